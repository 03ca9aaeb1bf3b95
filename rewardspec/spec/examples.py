"""One worked example for each word of the language: for the reference, the schema and the messages."""

from __future__ import annotations

EXAMPLES: dict[str, str] = {
    "markov": """\
markov: -0.01 * abs(action)
""",
    "potential": """\
potential: -distance(obs[0:2], [3, 4])
scale: 0.5
""",
    "reward_machine": """\
reward_machine:
  start: want
  terminal: lost
  edges:
    - {from: want, to: have, when: coffee and not broken, reward: 0.1}
    - {from: [want, have], to: lost, when: broken}
""",
    "ltl": """\
ltl: F(coffee & X F office) & G !broken
accept: 1
reject: -1
""",
    "stl": """\
stl: G[0, 10](obs[0] >= 0.5 or F[0, 5](obs[1] >= 0.2))
""",
    "heron": """\
heron:
  factors:
    - {name: upright, value: 'next_obs[0]', margin: {std: 1}}
    - {name: calm, value: '-abs(next_obs[1])', margin: 0.1}
  segment: 25
  model: {ensemble: 5, combine: {uwo: 0.5}}
""",
    "preferences": """\
preferences:
  labels: {teacher: reward, mistakes: 0.1}
  segment: 25
  budget: 1000
""",
    "latent": """\
latent:
  factors:
    - {name: distance, value: 'norm(next_obs[0:2])'}
    - {name: effort, value: sum(action ** 2)}
  decoder: {hidden: [64, 64]}
  loss: rrd_unbiased
  subsample: 64
""",
    "submodular": """\
submodular:
  coverage: {radius: 1, metric: disc, weight: 6 + x}
  cells: {of: 'next_obs[0:2]', counts: [20, 20], low: [-5, -5], size: 0.5}
""",
    "barfi": """\
barfi:
  primary: reward
  auxiliary: {progress: 'next_obs[0] - obs[0]', effort: -abs(action)}
  blend: {features: fourier(3), terms: [bias, primary, auxiliary]}
  discount: learned
""",
    "difference": """\
difference: max(team.next_obs[0])
""",
    "subgoals": """\
subgoals:
  task: Pick up the key, open the door, reach the stairs.
  subgoals: [pick up the key, open the door]
  judge: {llm: default, observation: crop9}
  bonus: 0.5
""",
    "feedback": """\
feedback:
  task: Find the way out of the dungeon.
  message: next_obs.message
  model: classification
  judge: {llm: default, note: "The game is NetHack."}
weight: 0.1
""",
    "sum": """\
sum:
  - markov: next_obs[0]
  - markov: -0.01
weight: 0.5
""",
    "product": """\
product:
  - markov: tolerance(next_obs[0], -0.5, 0.5, margin=1)
  - markov: tolerance(next_obs[1], 0, 0, margin=2)
""",
    "min": """\
min:
  - markov: next_obs[0]
  - markov: next_obs[1]
""",
    "max": """\
max:
  - markov: next_obs[0]
  - markov: next_obs[1]
""",
    "lexicographic": """\
lexicographic:
  levels: 4
  terms:
    - markov: 1 - broken
    - markov: next_obs[0]
""",
    "affine": """\
affine: {markov: reward}
scale: 2
shift: -1
""",
    "clip": """\
clip: {markov: reward}
low: -1
high: 1
""",
    "sigmoid": """\
sigmoid: {markov: 'next_obs[0]'}
slope: 4
centre: 0.5
""",
    "tanh": """\
tanh: {markov: reward}
slope: 0.1
""",
    "log_sigmoid": """\
log_sigmoid: {markov: 'next_obs[0]'}
""",
    "threshold": """\
threshold: {markov: 'next_obs[0]'}
at: 0.5
above: 1
below: -1
""",
    "diff": """\
diff: {markov: 'next_obs[0]'}
start: 0
""",
    "once": """\
once: coffee
value: 0.5
""",
    "discount_by_count": """\
discount_by_count: {markov: 'where(coffee, 1, 0)'}
factor: 0.5
""",
    "gate": """\
gate: {markov: 'next_obs[0]'}
when: not broken
""",
    "normalise": """\
normalise: {markov: reward}
freeze_after: 100000
""",
    "end": """\
end: broken
value: -1
""",
}
"""Word -> a term in YAML; it reads a vector observation and the propositions coffee, office and broken."""
