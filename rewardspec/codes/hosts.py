"""The codes of wrapping and running: what an environment, a host or a machine lacks."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

ENVIRONMENTS: dict[str, Explanation] = {
    "index-out-of-range": Explanation(
        "An index or slice does not fit the observation or action of this environment. It is found when "
        "wrapping, from the spaces, before the first step.",
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
        "Two values of different shapes meet in one operation. Shapes are not stretched to fit, except that"
        " a single number goes with everything.",
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
    "not-tabular": Explanation(
        "Exact solutions and tabular agents need the environment as arrays: every state, action and outcome. This "
        "environment offers none.",
        ">>> tabulate(gymnasium.make('CartPole-v1'))",
        ">>> tabulate(gymnasium.make('FrozenLake-v1'))",
    ),
    "unbounded-memory": Explanation(
        "A product with a finite world needs finitely many memory states. A counter without an end has more, and so "
        "have statistics over a whole run; a term that looks at other environments of a batch has none of its own.",
        ">>> take_product(compile_spec(loads('reward: {normalise: reward}')), world)",
        ">>> take_product(compile_spec(loads('reward: reward')), world)",
    ),
    "nan-observation": Explanation(
        "A value that the spec reads is NaN. A NaN makes every comparison false, so a machine would "
        "silently stay where it is.",
        ">>> env.step(action)  # the environment returns obs[0] = nan",
        "Mend the environment, or do not read this value.",
    ),
    "non-finite-reward": Explanation(
        "A term paid NaN or an infinite number. It never leaves the program: the error names the term, the "
        "step and the values that were read.",
        "# env: CartPole-v1\n# step\nreward: log(0 * reward)\n",
        "# env: CartPole-v1\n# step\nreward: log(max(reward, 0.01))\n",
    ),
}

HOSTS_ONLY: dict[str, Explanation] = {
    "needs-whole-episodes": Explanation(
        "A term is paid when the episode is over (`timing: relabel`), and a wrapper pays step by step.",
        "# env: CartPole-v1\nreward:\n  gate: reward\n  when: obs[0] > 1\n  known: ever\n  timing: relabel\n",
        "# env: CartPole-v1\nreward:\n  gate: reward\n  when: obs[0] > 1\n  known: ever\n  timing: escrow\n",
    ),
    "observe-mode": Explanation(
        "The program has memory that the agent must see, and the chosen `observe` mode cannot put it into "
        "this observation.",
        "# env: CartPole-v1\nobserve: index\nreward:\n  diff: reward\n",
        "# env: CartPole-v1\nobserve: onehot\nreward:\n  diff: reward\n",
    ),
    "unknown-param": Explanation(
        "A parameter is set that the program does not have, or to a number that is not finite. Parameters "
        "are the weights of terms and the switches of running statistics.",
        ">>> env.set_param('markov.wieght', 2.0)",
        ">>> env.set_param('markov.weight', 2.0)",
    ),
    "unknown-backend": Explanation(
        "The array backend is asked for a library that it does not speak.",
        ">>> rewardspec.backends.array.load_backend('jax')",
        "Use 'numpy' or 'torch'.",
    ),
    "set-not-supported": Explanation(
        "A submodular term pays by what was visited, a set. The compiled backend, counterfactual experience and memory "
        "in relabelled observations keep states and numbers only.",
        ">>> wrap_vector(envs, 'coverage.yaml', backend='native')",
        ">>> wrap_vector(envs, 'coverage.yaml')",
    ),
    "unknown-device": Explanation(
        "The device does not exist here, or torch was built without it.",
        ">>> wrap_vector(envs, spec, device='cuda:7')",
        "Use 'cpu', or one of the devices that `torch.cuda.device_count()` counts.",
    ),
    "missing-extra": Explanation(
        "A package that this needs is not installed. rewardspec itself is small; what only some users need "
        "is an extra.",
        "$ pip install rewardspec\n$ rewardspec draw office.yaml",
        "$ pip install 'rewardspec[report]'",
    ),
    "drawing-too-large": Explanation(
        "The machine has too many states and edges for a picture that anyone could read.",
        "$ rewardspec draw huge.yaml",
        "$ rewardspec show huge.yaml",
    ),
}

VECTORS: dict[str, Explanation] = {
    "vector-cannot-end": Explanation(
        "The spec can end an episode, and a vector environment that resets by itself would play on. In "
        "DISABLED mode the wrapper's user owns the resets; below the vector environment each wrapper ends "
        "its own episode.",
        ">>> rewardspec.wrap_vector(gymnasium.make_vec('CartPole-v1', 8), spec)",
        ">>> rewardspec.make_vec('CartPole-v1', spec, 8)",
    ),
    "vector-labeller": Explanation(
        "A ready-made labeller reads live environments, and above a vector environment they are out of "
        "reach.",
        ">>> rewardspec.wrap_vector(gymnasium.make_vec('MiniGrid-DoorKey-5x5-v0', 8), spec)",
        ">>> rewardspec.make_vec('MiniGrid-DoorKey-5x5-v0', spec, 8)",
    ),
    "vector-not-reset": Explanation(
        "In DISABLED mode an environment whose episode is over was stepped before anyone reset it.",
        ">>> venv.step(actions)  # after terminated[3]",
        ">>> venv.reset(options={'reset_mask': terminated | truncated})",
    ),
    "no-final-observation": Explanation(
        "A vector environment that resets in the same step must hand out the last observation of the "
        "episode in `infos['final_obs']`; without it the last transition cannot be read.",
        ">>> rewardspec.wrap_vector(venv, spec)  # of SAME_STEP mode, without final_obs",
        "Use NEXT_STEP mode, or a vector environment that gives `final_obs`.",
    ),
    "label-shape": Explanation(
        "Above a vector environment a labelling function gives one truth value per environment.",
        ">>> rewardspec.wrap_vector(venv, spec, label=lambda venv, step: {'upright': True})",
        ">>> rewardspec.wrap_vector(venv, spec, label=lambda venv, step: {'upright': abs(step.next_obs[:, "
        "2]) < 0.1})",
    ),
    "not-an-environment": Explanation(
        "`wrap` goes over a single gymnasium environment: not over an id, a vector of environments or anything"
        " else.",
        ">>> rewardspec.wrap('CartPole-v1', spec)",
        ">>> rewardspec.wrap(gymnasium.make('CartPole-v1'), spec)",
    ),
    "not-a-vector-environment": Explanation(
        "`wrap_vector` goes over a `gymnasium.vector.VectorEnv`, and this is something else: one "
        "environment, or a vector of stable-baselines3, which `make_vec` makes.",
        ">>> rewardspec.wrap_vector(gymnasium.make('CartPole-v1'), spec)",
        ">>> rewardspec.wrap_vector(gymnasium.make_vec('CartPole-v1', 8), spec)",
    ),
    "too-few-environments": Explanation(
        "A vector environment has at least one environment.",
        ">>> rewardspec.make_vec('CartPole-v1', spec, 0)",
        ">>> rewardspec.make_vec('CartPole-v1', spec, 1)",
    ),
    "unguarded-processes": Explanation(
        "Each process of a vector begins by running your script once more, as a module that is not `__main__`, to know "
        "what it defines. A script that makes the vector at its top would make another one in each process, and so on; "
        "what makes and uses it stands under `if __name__ == '__main__':`. So it is with gymnasium's `AsyncVectorEnv` "
        "and SB3's `SubprocVecEnv` themselves.",
        ">>> venv = rewardspec.make_vec('CartPole-v1', spec, 4, subprocess=True)",
        ">>> if __name__ == '__main__':\n"
        "...     venv = rewardspec.make_vec('CartPole-v1', spec, 4, subprocess=True)",
    ),
}

TRAINING: dict[str, Explanation] = {
    "no-environment": Explanation(
        "A command needs an environment, and none is named, or the one that is named cannot be made.",
        "$ rewardspec check --env CartPole-v9 cartpole.yaml",
        "$ rewardspec check --env CartPole-v1 cartpole.yaml",
    ),
    "unknown-algorithm": Explanation(
        "`rewardspec train` speaks ppo, dqn, sac, td3 and a2c.",
        "$ rewardspec train cartpole.yaml --algo pp",
        "$ rewardspec train cartpole.yaml --algo ppo",
    ),
    "wrong-setting": Explanation(
        "A setting of a training run is out of its range, or is set by the run itself.",
        "$ rewardspec train cartpole.yaml --steps 0",
        "$ rewardspec train cartpole.yaml --steps 100000",
    ),
    "unreadable-observation": Explanation(
        "The agents learn from vectors, pictures and mappings of them, and this observation holds something"
        " else.",
        "$ rewardspec train words.yaml --env BabyAI-GoToLocal-v0",
        "Wrap the environment so that its observation is a vector or a picture.",
    ),
    "run-folder-taken": Explanation(
        "The folder of a run is not empty. A run never writes over another one.",
        "$ rewardspec train cartpole.yaml --out runs/first",
        "Resume the run that is there, or name another folder.",
    ),
    "not-a-run-folder": Explanation(
        "The folder holds no run: it has no spec and no record of the settings.",
        "$ rewardspec train --resume runs/firts",
        "$ rewardspec train --resume runs/first",
    ),
    "run-in-use": Explanation(
        "Another process is training in this folder.",
        "$ rewardspec train --resume runs/first  # while the first process is at work",
        "Wait for it, stop it, or train in another folder.",
    ),
    "unfit-algorithm": Explanation(
        "The algorithm cannot choose actions of this sort: dqn needs a Discrete action space, sac a Box.",
        "$ rewardspec train pendulum.yaml --algo dqn",
        "$ rewardspec train pendulum.yaml --algo sac",
    ),
    "spec-changed": Explanation(
        "The run was begun with another spec (or game file), or with another `objective:` or horizon in it. Going on "
        "with this one would join two curves that mean different things.",
        "$ rewardspec train --resume runs/first  # after spec.yaml was edited",
        "Train the new spec in a folder of its own.",
    ),
    "nothing-trained": Explanation(
        "The folder's run has no checkpoint yet, so there is no agent to load.",
        "$ rewardspec watch runs/first",
        "$ rewardspec train --resume runs/first",
    ),
    "broken-checkpoint": Explanation(
        "A checkpoint cannot be read: it was cut off while it was written, or changed since.",
        "$ rewardspec train --resume runs/first",
        "Delete that checkpoint; the run goes on from the one before it.",
    ),
}

STORED: dict[str, Explanation] = {
    "offline-labeller": Explanation(
        "A ready-made labeller reads live environments, and stored transitions have none.",
        ">>> rewardspec.relabel(transitions, spec)  # of a spec with `labels: minigrid`",
        "Store the labels with the transitions while the environment lives, or hand over a labelling function.",
    ),
    "unreadable-data": Explanation(
        "The stored transitions cannot be read: a part is missing, or their lengths differ.",
        ">>> rewardspec.relabel({'obs': obs[:10], 'action': action[:9]}, spec)",
        ">>> rewardspec.relabel({'obs': obs[:10], 'action': action[:10]}, spec)",
    ),
    "unsupported-buffer": Explanation(
        "The store is of a sort that cannot be relabelled, or that does not keep what the spec reads.",
        ">>> rewardspec.relabel(buffer, spec)",
        "Hand over arrays, a replay buffer of stable-baselines3 or a Minari data set that holds what is read.",
    ),
    "lost-final-observation": Explanation(
        "The buffer writes the next observation over the last one of an episode, so that the last transition cannot "
        "be read.",
        ">>> ReplayBuffer(..., optimize_memory_usage=True)",
        ">>> ReplayBuffer(..., optimize_memory_usage=False)",
    ),
}

HOSTS: dict[str, Explanation] = {**ENVIRONMENTS, **HOSTS_ONLY, **VECTORS, **STORED, **TRAINING}
