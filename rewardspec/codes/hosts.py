"""The codes of wrapping and running: what an environment, a host or a machine lacks."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

ENVIRONMENTS: dict[str, Explanation] = {
    "index-out-of-range": Explanation(
        "An index or slice does not fit the observation or action of this environment. It is found when wrapping, "
        "from the spaces, before the first step.",
        "# env: CartPole-v1\nreward: -abs(obs[4])\n",
        "# env: CartPole-v1\nreward: -abs(obs[3])\n",
    ),
    "discrete-observation": Explanation(
        "The environment's space is Discrete: one whole number, and the spec reads it as a vector.",
        "# env: FrozenLake-v1\nreward: next_obs[0]\n",
        "# env: FrozenLake-v1\npropositions: {goal: next_obs == 15}\nreward:\n  ltl: F goal\n",
    ),
    "not-a-number": Explanation(
        "The value that is read is a Dict, a Tuple or another space without numbers.",
        "# env: Blackjack-v1\nreward: obs\n",
        "# env: Blackjack-v1\nreward: obs[0]\n",
    ),
    "not-a-scalar": Explanation(
        "A term, proposition or memory is one number, and this expression is a vector in this environment.",
        "# env: CartPole-v1\nreward: -abs(obs)\n",
        "# env: CartPole-v1\nreward: -norm(obs)\n",
    ),
    "not-a-vector": Explanation(
        "A reduction needs a vector, and the value is a single number in this environment.",
        "# env: CartPole-v1\nreward: sum(reward)\n",
        "# env: CartPole-v1\nreward: reward\n",
    ),
    "shape-mismatch": Explanation(
        "Two values of different shapes meet in one operation. Shapes are not stretched to fit, except that a single "
        "number goes with everything.",
        "# env: CartPole-v1\nreward: distance(obs[:2], obs[:3])\n",
        "# env: CartPole-v1\nreward: distance(obs[:2], obs[2:])\n",
    ),
    "missing-label-function": Explanation(
        "The spec leaves propositions to a labelling function, and none was given to `wrap`.",
        "# env: CartPole-v1\npropositions: [upright]\nreward:\n  ltl: G upright\n  pay: end\n",
        ">>> rewardspec.wrap(env, spec, label=lambda env, step: {'upright': abs(step.next_obs[2]) < 0.1})",
    ),
    "missing-label": Explanation(
        "The labelling function returned a mapping that leaves a declared proposition out.",
        ">>> env = rewardspec.wrap(env, spec, label=lambda env, step: {'uprigth': True})\n>>> env.step(0)",
        ">>> env = rewardspec.wrap(env, spec, label=lambda env, step: {'upright': True})",
    ),
    "labeller-mismatch": Explanation(
        "The ready-made labeller reads the state of another family of environments.",
        "# env: CartPole-v1\nenv: {id: CartPole-v1, labels: minigrid}\n"
        "propositions: {key: label.carrying_key}\nreward:\n  ltl: F key\n",
        "env: {id: MiniGrid-DoorKey-5x5-v0, labels: minigrid}\n"
        "propositions: {key: label.carrying_key}\nreward:\n  ltl: F key\n",
    ),
    "nan-observation": Explanation(
        "A value that the spec reads is NaN. A NaN makes every comparison false, so a machine would silently stay "
        "where it is.",
        ">>> env.step(action)  # the environment returns obs[0] = nan",
        "Mend the environment, or do not read this value.",
    ),
    "non-finite-reward": Explanation(
        "A term paid NaN or an infinite number. It never leaves the program: the error names the term, the step and "
        "the values that were read.",
        "# env: CartPole-v1\n# step\nreward: log(0 * reward)\n",
        "# env: CartPole-v1\n# step\nreward: log(max(reward, 0.01))\n",
    ),
}

HOSTS_ONLY: dict[str, Explanation] = {
    "needs-whole-episodes": Explanation(
        "A term is paid when the episode is over (`timing: relabel`), and a wrapper pays step by step.",
        "# env: CartPole-v1\nreward:\n  gate: reward\n  when: next_obs[0] > 1\n  known: ever\n  timing: relabel\n",
        "# env: CartPole-v1\nreward:\n  gate: reward\n  when: next_obs[0] > 1\n  known: ever\n  timing: escrow\n",
    ),
    "observe-mode": Explanation(
        "The program has memory that the agent must see, and the chosen `observe` mode cannot put it into this "
        "observation.",
        "# env: CartPole-v1\nobserve: index\nreward:\n  diff: reward\n",
        "# env: CartPole-v1\nobserve: onehot\nreward:\n  diff: reward\n",
    ),
    "unknown-param": Explanation(
        "A parameter is set that the program does not have, or to a number that is not finite. Parameters are the "
        "weights of terms and the switches of running statistics.",
        ">>> env.set_param('markov.wieght', 2.0)",
        ">>> env.set_param('markov.weight', 2.0)",
    ),
    "unknown-backend": Explanation(
        "The array backend is asked for a library that it does not speak.",
        ">>> rewardspec.backends.array.load_backend('jax')",
        "Use 'numpy' or 'torch'.",
    ),
    "unknown-device": Explanation(
        "The device does not exist here, or torch was built without it.",
        ">>> wrap_vector(envs, spec, device='cuda:7')",
        "Use 'cpu', or one of the devices that `torch.cuda.device_count()` counts.",
    ),
    "missing-extra": Explanation(
        "A package that this needs is not installed. rewardspec itself is small; what only some users need is an "
        "extra.",
        "$ pip install rewardspec\n$ rewardspec draw office.yaml",
        "$ pip install 'rewardspec[report]'",
    ),
    "drawing-too-large": Explanation(
        "The machine has too many states and edges for a picture that anyone could read.",
        "$ rewardspec draw huge.yaml",
        "$ rewardspec show huge.yaml",
    ),
}

HOSTS: dict[str, Explanation] = {**ENVIRONMENTS, **HOSTS_ONLY}
