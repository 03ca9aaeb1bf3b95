"""The codes of learned rewards: what a model, its labels or its learner lacks."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

HERON = "reward:\n  heron: {factors: [{name: speed, value: reward}]%s}\n"

TERMS: dict[str, Explanation] = {
    "learned-in-memory": Explanation(
        "An operator that remembers (normalise, diff, once, gate, ...) stands around a learned term. The term's model "
        "changes while an agent trains, and what was remembered of its old rewards would not.",
        "reward:\n  normalise: {heron: {factors: [{name: speed, value: reward}]}}\n",
        "reward:\n  clip: {heron: {factors: [{name: speed, value: reward}]}}\n  low: -1\n  high: 1\n",
    ),
    "uncentred-ensemble": Explanation(
        "Scores that are fitted to comparisons have a free offset: adding a number to all scores of a member changes "
        "no comparison. A mean is only shifted by it, but a least, median or nominal member becomes another one.",
        HERON % ", model: {ensemble: 5, combine: wco, standardise: false}",
        HERON % ", model: {ensemble: 5, combine: wco}",
    ),
    "too-many-inputs": Explanation(
        "A reward model sees at most 4,096 numbers of a step. One that names no inputs sees the whole observation and "
        "action: an image has more.",
        ">>> rewardspec.wrap(gym.make('CarRacing-v3'), 'heron.yaml')",
        HERON % ", inputs: [info.speed, action]",
    ),
    "needs-learner": Explanation(
        "The spec has a term whose reward is learned while an agent trains. A wrapper by itself cannot pay it: a "
        "learner must stand by, or a finished run say what was learned.",
        ">>> rewardspec.wrap(env, 'heron.yaml')",
        ">>> learner = rewardspec.RewardLearner('heron.yaml')\n>>> env = learner.wrap(env)\n"
        ">>> SAC('MlpPolicy', env).learn(50_000, callback=learner.callback())",
    ),
}

HINTS: dict[str, Explanation] = {
    "constant-hint": Explanation(
        "A hint of a `barfi` term reads nothing of the step, so it pays the same on every step and tells none from "
        "another. A constant is learned as the blend's `bias` in any case.",
        "reward:\n  barfi: {primary: reward, auxiliary: {hurry: -1}}\n",
        "reward:\n  barfi: {primary: reward, auxiliary: {effort: -abs(action)}}\n",
    ),
    "learned-discount": Explanation(
        "A potential keeps the best policies as they are only if it is discounted as the agent discounts, and a "
        "`barfi` term with `discount: learned` changes the agent's discount while it trains.",
        "discount: 0.99\nreward:\n  - barfi: {primary: reward, auxiliary: {effort: -abs(action)}}\n"
        "  - potential: obs[0]\n",
        "discount: 0.99\nreward:\n  - barfi: {primary: reward, auxiliary: {effort: -abs(action)}, discount: fixed}\n"
        "  - potential: obs[0]\n",
    ),
    "no-blend": Explanation(
        "A run that is to be frozen, or explained, has no learned blend: it is no run of BARFI, or was stopped before "
        "its first checkpoint.",
        "$ rewardspec freeze runs/cartpole-ppo",
        "$ python -m agents.barfi --spec maze.yaml --folder runs/maze\n$ rewardspec freeze runs/maze > frozen.yaml",
    ),
}

LEARNERS: dict[str, Explanation] = {
    "nothing-learned": Explanation(
        "A learner is for specs with a term whose reward is learned (heron, preferences, ...), and this one has none.",
        ">>> RewardLearner('cartpole.yaml')",
        ">>> rewardspec.wrap(env, 'cartpole.yaml')",
    ),
    "nothing-wrapped": Explanation(
        "The learner has wrapped no environment yet, so it does not know what its models are to see.",
        ">>> PPO('MlpPolicy', env).learn(1000, callback=learner.callback())",
        ">>> PPO('MlpPolicy', learner.wrap(env)).learn(1000, callback=learner.callback())",
    ),
    "no-inputs": Explanation(
        "A reward model that names no inputs sees the numbers of observation and action, and there are none.",
        ">>> learner.wrap(environment_whose_observation_is_a_text)",
        "Name what it sees: `inputs: [info.speed]`.",
    ),
    "other-spaces": Explanation(
        "All environments that one learner wraps have the same spaces: its models see them all.",
        ">>> [learner.wrap(gym.make(name)) for name in ('CartPole-v1', 'Acrobot-v1')]",
        "Make one learner for each.",
    ),
    "needs-folder": Explanation(
        "Answers of people, and a store on disk, are files: the learner needs a folder for them.",
        ">>> RewardLearner('answers.yaml')",
        ">>> RewardLearner('answers.yaml', folder='runs/first')",
    ),
    "broken-features": Explanation(
        "A number that a model would see, or that is compared, is not finite.",
        ">>> learner.observe(features, ended)",
        "Guard it in the spec, as in where(x > 0, log(x), 0).",
    ),
    "all-tied": Explanation(
        "No pair of a refresh was decided, and the spec says `when_tied: stop`: the margins are too wide for what the "
        "agent does, the factors are constant, or no episode is as long as a segment.",
        ">>> learner.refresh(1000)  # factors: [{name: speed, value: info.speed, margin: 100}]",
        ">>> learner.refresh(1000)  # factors: [{name: speed, value: info.speed, margin: {std: 0.5}}]",
    ),
    "wrong-answer": Explanation(
        "A line of the file of answers is not JSON, answers a question that was never asked, or says something other "
        "than left, right, equal or skip. A last line that was cut off is let pass.",
        '$ echo \'{"id": 3, "answer": "lefft"}\' >> runs/first/answers.jsonl',
        '$ echo \'{"id": 3, "answer": "left"}\' >> runs/first/answers.jsonl',
    ),
    "broken-model": Explanation(
        "A file of reward models cannot be read, has another form than the spec says, or belongs to another spec.",
        ">>> rewardspec.wrap_learned(env, 'changed.yaml', 'runs/first')",
        ">>> rewardspec.wrap_learned(env, 'runs/first/spec.yaml', 'runs/first')",
    ),
    "broken-store": Explanation(
        "The stored steps of a run do not fit: their files were cut off, or belong to a run with other environments.",
        ">>> RewardLearner('heron.yaml', folder='runs/first', store_on_disk=True)",
        ">>> RewardLearner('heron.yaml', folder='runs/second', store_on_disk=True)",
    ),
    "no-models": Explanation(
        "The folder or file has no reward models: nothing was learned there, or the run is not finished.",
        ">>> rewardspec.wrap_learned(env, 'heron.yaml', 'runs/empty')",
        ">>> rewardspec.wrap_learned(env, 'heron.yaml', 'runs/first')",
    ),
    "other-environment": Explanation(
        "The agent trains in environments that the learner did not wrap, so nobody tells it what happens there.",
        ">>> PPO('MlpPolicy', env).learn(1000, callback=learner.callback())",
        ">>> PPO('MlpPolicy', learner.wrap(env)).learn(1000, callback=learner.callback())",
    ),
    "normalised-reward": Explanation(
        "VecNormalize divides rewards by statistics of what they were. A learned reward is paid anew when its model "
        "changes, and what was divided cannot be.",
        ">>> VecNormalize(venv)",
        ">>> VecNormalize(venv, norm_reward=False)",
    ),
    "needs-vector": Explanation(
        "The regret of a segment needs the agent's values at its ends, and these are asked for observations that are "
        "one array.",
        ">>> PPO('MultiInputPolicy', learner.wrap(env)).learn(1000, callback=learner.callback())",
        ">>> PPO('MlpPolicy', FlattenObservation(learner.wrap(env))).learn(1000, callback=learner.callback())",
    ),
    "value-target": Explanation(
        "`goes_into: value_target` repeats what HERON's released script for robots does: advantages come from the "
        "other terms, and what the model says is only what the critic is fitted to. The agent must be one whose critic "
        "has a target of its own after each rollout, and all learned terms must say the same.",
        ">>> SAC('MlpPolicy', learner.wrap(env)).learn(1000, callback=learner.callback())",
        ">>> PPO('MlpPolicy', learner.wrap(env)).learn(1000, callback=learner.callback())",
    ),
    "learned-counterfactuals": Explanation(
        "Counterfactual experience pays a step as if a machine had been in another state; a learned reward was "
        "recorded for the state in which it was.",
        "$ rewardspec train heron.yaml --algo dqn --crm 1",
        "$ rewardspec train heron.yaml --algo dqn",
    ),
}

LEARNING: dict[str, Explanation] = {**TERMS, **HINTS, **LEARNERS}
"""The codes of learned rewards."""
