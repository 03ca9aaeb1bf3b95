"""The codes of agents: what a spec, a machine or a run lacks for an agent to learn from it."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

AGENTS: dict[str, Explanation] = {
    "needs-machine": Explanation(
        "Counterfactual experience and options over a machine's edges need a machine: a reward machine, an LTL "
        "formula or a potential over one. This spec has none.",
        "$ python -m agents.q_learning --method crm --spec markov.yaml",
        "$ python -m agents.q_learning --method plain --spec markov.yaml",
    ),
    "memory-follows-machine": Explanation(
        "Counterfactual experience pays a step as if the machine had been in another state. A counter that the "
        "machine itself keeps would then be another number too, and nobody knows which.",
        ">>> CounterfactualWrapper(env, 'edges that say count: {n: n + 1}')",
        ">>> CounterfactualWrapper(env, 'a machine with the states none, one, two')",
    ),
    "too-many-states": Explanation(
        "Counterfactual experience replays a step from every joint state of the spec's machines, and there are too "
        "many.",
        ">>> CounterfactualWrapper(env, spec_of_seven_machines)",
        ">>> CounterfactualWrapper(env, spec_of_one_formula)",
    ),
    "no-counterfactuals": Explanation(
        "A CRM replay buffer stores what the environments tell about other machine states, and finds it in "
        "observations. These tell nothing, or show the machine's state somewhere else.",
        ">>> DQN('MlpPolicy', wrap(env, spec), replay_buffer_class=CrmReplayBuffer)",
        ">>> DQN('MlpPolicy', CounterfactualWrapper(env, spec), replay_buffer_class=CrmReplayBuffer)",
    ),
    "settings-changed": Explanation(
        "A run can be resumed only by the agent and with the arguments that it was begun with: with others its numbers "
        "would be those of neither.",
        "$ python -m agents.q_learning --resume runs/office --learning-rate 0.1",
        "$ python -m agents.q_learning --resume runs/office",
    ),
    "unfit-stack": Explanation(
        "Specs that share a batch on the device become one padded table: same environment, same discount, same "
        "observation, and each of them decided by machine states, truth values and sums of numbers read on the step. "
        "A spec that remembers numbers (counters, running statistics) is no table.",
        "$ python -m agents.ppo_torch --specs office/  # one of them: `normalise: {of: reward}`",
        "$ python -m agents.ppo_torch --spec office/normalised.yaml",
    ),
    "not-plannable": Explanation(
        "Greedy and beam search walk a finite world without chance, for as many steps as an episode has, and add up "
        "the gains of one set.",
        "$ python -m agents.planners --spec examples/specs/office_coffee.yaml",
        "$ python -m agents.planners --spec examples/specs/field_coverage.yaml",
    ),
    "no-batch-form": Explanation(
        "An agent that lives on the device needs its environments there: written in torch, or finite, so that their "
        "table can be stepped. This environment is neither.",
        "$ python -m agents.ppo_torch --spec walker.yaml --env Walker2d-v5",
        "$ python -m agents.ppo_sb3 --spec walker.yaml --env Walker2d-v5",
    ),
    "needs-compiler": Explanation(
        "`torch.compile` writes C++ (for CUDA, C beside its kernels) and has it compiled. There is no compiler here, "
        "or not under the name that the variable CXX (CC) gives it.",
        "$ CXX=g++-99 python -m agents.ppo_torch --spec cartpole.yaml --compile",
        "$ python -m agents.ppo_torch --spec cartpole.yaml",
    ),
    "left-support": Explanation(
        "A policy that is kept near a reference by chi2 or KL must do nothing that the reference never does: there is "
        "no such divergence then. On finite worlds the reference needs a chance of every action in every state that "
        "can be reached; elsewhere a policy has left the support when many of its steps are far likelier than the "
        "reference's.",
        "$ python -m agents.orpo --spec proxy.yaml --reference true:0",
        "$ python -m agents.orpo --spec proxy.yaml --reference true:0.1",
    ),
    "unfit-objective": Explanation(
        "The spec's `objective:` is not what this agent optimises, or is one that cannot be solved as it stands. "
        "Agents that train optimise discounted returns, SAC also regularised ones. On finite worlds every objective is "
        "solved exactly, but for functions of several expected returns that are not concave, and functions of an "
        "episode's returns that take too many values.",
        "$ rewardspec train rate.yaml --algo ppo   # objective: limit_average",
        "$ python -m agents.value_iteration --spec rate.yaml",
    ),
    "unfit-graph": Explanation(
        "A CUDA graph reads and writes the addresses that it was captured with. Environments that put a new tensor in "
        "place of the old one would be replayed from where they were when it was captured.",
        ">>> self.place = torch.where(mask, start, self.place)  # with --cuda-graphs",
        ">>> self.place.copy_(torch.where(mask, start, self.place))",
    ),
}
