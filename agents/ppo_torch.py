"""PPO that lives on the device: environments, reward program, rollout, advantages and updates, all in torch.

    python -m agents.ppo_torch --spec examples/specs/cartpole_centred.yaml --n-envs 64
    python -m agents.ppo_torch --specs 'examples/specs/office_*.yaml' --n-envs 64
    python -m agents.ppo_torch --spec ... --device cuda --n-envs 16384 --compile --cuda-graphs

With `--specs` one policy learns every spec of a folder: their machines become one padded table on the device and each
environment of the batch is paid by its own (see `rewardspec/wrappers/stacked.py`).

Nothing in an iteration looks at a tensor from Python, so an iteration never waits for the device. With `--cuda-graphs`
all of it (rollout, advantages and every update) is captured once and replayed; `--compile` fuses its three parts by
`torch.compile` first. On the CPU the same file runs with `--compile` or plainly.

Source:
    Schulman et al., "Proximal Policy Optimization Algorithms" (2017), with the details that Huang et al., "The 37
    Implementation Details of PPO" (2022) list: orthogonal weights, annealed learning rate, normalised advantages,
    clipped value loss left out (their ablation, and Andrychowicz et al. 2021, find no use in it).

    Where an episode is cut by its horizon its return goes on with the value of the final observation (Pardo et al.,
    "Time Limits in Reinforcement Learning", 2018); where the program or the environment ends it, with 0.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from agents.device import Memory, Sight, Tasks, Trunk, Weights, adam, adam_memory, add_layers, layers
from agents.device_run import Resident, returns_of, run_command, train_resident
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.learning.refreshing import has_fitted


@dataclass
class Args:
    """Train PPO on the device."""

    spec: Path | None = None
    """Spec file to learn."""
    specs: Path | None = None
    """Folder of spec files, or a pattern in quotes: one policy learns them all."""
    env: str | None = None
    """Gymnasium id; the spec's own when not given."""
    steps: int = 500_000
    """Environment steps, over all environments."""
    n_envs: int = 16
    """B, environments on the device."""
    n_steps: int = 128
    """T, steps of every environment between updates."""
    n_epochs: int = 4
    """Passes over a rollout."""
    batch_size: int | None = None
    """Rows of an update; they divide n_envs * n_steps. An eighth of these without."""
    learning_rate: float = 2.5e-3
    anneal: bool = True
    """Whether the learning rate falls to 0 over the run."""
    gamma: float | None = None
    """Discount; the spec's own when not given."""
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    """How far the probability of an action may move in one iteration."""
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    """The gradient is scaled down to this norm."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers, of the policy and of the value alike."""
    seed: int = 0
    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:1`."""
    compile: bool = False
    """Fuse rollout steps, advantages and updates with torch.compile (half a minute or so to begin with)."""
    compiled_steps: int = 8
    """Rollout steps that are compiled into one call: a call costs tens of microseconds."""
    cuda_graphs: bool = False
    """Capture an iteration in a CUDA graph and replay it."""
    folder: Path | None = None
    """Run folder; runs/<spec>-ppo_torch-<seed> without (runs/tasks-... for several specs)."""
    resume: Path | None = None
    """Run folder of a run to go on with."""
    log_every: int = 10
    """Iterations between rows of progress."""
    checkpoint_seconds: float = 60.0
    quiet: bool = False


# -- the network ---------------------------------------------------------------------------------------------


class ActorCritic:
    """Policy and value as pure functions of one vector of weights.

    Attributes:
        weights: Names and shapes of the weights.
        is_discrete: Whether actions are whole numbers.
        actions: Number of actions, or of an action's components.
    """

    def __init__(self, sight: Sight, space: spaces.Space[Any], hidden: tuple[int, ...], device: str) -> None:
        """Look at the action space and lay out the weights.

        Raises:
            UnsupportedError: `unfit-algorithm` when actions are neither Discrete nor a vector.
        """
        self.is_discrete = isinstance(space, spaces.Discrete)
        if isinstance(space, spaces.Discrete):
            self.actions, self._first = int(space.n), int(space.start)
        elif isinstance(space, spaces.Box) and len(space.shape) == 1:
            self.actions = space.shape[0]
            self._low = torch.as_tensor(space.low, device=device)
            self._high = torch.as_tensor(space.high, device=device)
        else:
            text = f"PPO here chooses Discrete actions and vectors, not {space}"
            raise UnsupportedError(Problem("unfit-algorithm", text))
        self.weights, self._depth = Weights(), len(hidden)
        self.trunk = Trunk(sight, self.weights)
        add_layers(self.weights, "actor", self.trunk.size, hidden, self.actions, 0.01)
        add_layers(self.weights, "critic", self.trunk.size, hidden, 1, 1.0)
        if not self.is_discrete:
            self.weights.add("spread", (self.actions,), 0.0)  # logarithm of the standard deviation

    def policy(self, w: Memory, features: Tensor) -> Tensor:
        """Return logits or means, `[N, A]`."""
        return layers(w, "actor", features, self._depth, torch.tanh)

    def value(self, w: Memory, features: Tensor) -> Tensor:
        """Return values `[N]`."""
        return layers(w, "critic", features, self._depth, torch.tanh).squeeze(1)

    def sample(self, w: Memory, head: Tensor, noise: Tensor) -> Tensor:
        """Return actions for noise `[N, A]`: uniform for Discrete (the Gumbel trick), else standard normal."""
        if self.is_discrete:
            # noise may be 0 and never 1; a logarithm of 0 would make an action impossible or certain.
            return (head - torch.log(-torch.log(noise.clamp_min(1e-30)))).argmax(1)
        return head + w["spread"].exp() * noise

    def best(self, head: Tensor) -> Tensor:
        """Return the likeliest actions."""
        return head.argmax(1) if self.is_discrete else head

    def log_probability(self, w: Memory, head: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the actions' log-probability and the policy's entropy, both `[N]`."""
        if self.is_discrete:
            log = torch.log_softmax(head, dim=1)
            return log.gather(1, action.unsqueeze(1)).squeeze(1), -(log.exp() * log).sum(1)
        spread = w["spread"]
        distance = (action - head) * torch.exp(-spread)
        constant = 0.5 * math.log(2 * math.pi)
        log = -(0.5 * distance.square() + spread + constant).sum(1)
        return log, (spread + 0.5 + constant).sum().expand(len(head))

    def for_environment(self, action: Tensor) -> Tensor:
        """Return actions as the environment takes them: counted from its first, or within its bounds."""
        return action + self._first if self.is_discrete else torch.clamp(action, self._low, self._high)


# -- the algorithm -------------------------------------------------------------------------------------------


class PPO(Resident):
    """One run: worlds, weights, and an iteration that is a rollout and its updates; see `Resident`."""

    learns_rewards = True

    def __init__(self, args: Args, tasks: Tasks) -> None:
        """Make worlds and weights.

        Raises:
            UnsupportedError: `wrong-setting` when the batch size does not divide a rollout; as `Resident`.
        """
        rollout, device = args.n_envs * args.n_steps, args.device
        self._rows = args.batch_size if args.batch_size is not None else max(1, rollout // 8)
        if rollout % self._rows:
            text = f"a batch_size of {self._rows} does not divide a rollout of {rollout} (n_envs * n_steps)"
            hint = f"Such as --batch-size {math.gcd(rollout, self._rows)}."
            raise UnsupportedError(Problem("wrong-setting", text, hints=(hint,)))
        super().__init__(args, tasks)
        self.steps = rollout
        self.taken = 0
        self.sight = Sight(self.worlds.single_observation_space, device)
        self.net = ActorCritic(self.sight, self.worlds.single_action_space, args.hidden, device)
        torch.manual_seed(args.seed)
        self.memory |= {
            **adam_memory(self.net.weights.init(args.seed).to(device)),
            "rate": torch.tensor(args.learning_rate, device=device),
            "losses": torch.zeros(5, device=device),
            **{f"seen.{key}": part for key, part in self.sight(self.worlds.reset()).items()},
        }
        self._chunk, self._length = self.several_steps, 1
        self._assess, self._improve = self.assess, self.improve
        if args.compile:
            self._length = math.gcd(args.n_steps, args.compiled_steps)
            self._chunk = torch.compile(self.several_steps, fullgraph=True, dynamic=False)
            self._assess = torch.compile(self.assess, fullgraph=True, dynamic=False)
            self._improve = torch.compile(self.improve, fullgraph=True, dynamic=False)

    # -- rollout -------------------------------------------------------------------------------------

    def several_steps(self, noise: Tensor) -> list[Memory]:
        """Step all environments K times, with noise `[K, B, A]`; return what happened, new tensors `[B, ...]`."""
        return [self.step(each) for each in noise]

    def step(self, noise: Tensor) -> Memory:
        """Choose actions, step the environments and pay by the specs."""
        memory, net = self.memory, self.net
        w = net.weights.split(memory["weights"])
        seen = {key[5:]: part.clone() for key, part in memory.items() if key.startswith("seen.")}
        head = net.policy(w, net.trunk(w, seen))
        action = net.sample(w, head, noise)
        log, _ = net.log_probability(w, head, action)
        obs, reward, terminated, truncated, infos = self.worlds.step(net.for_environment(action))
        ended = terminated | truncated
        self.score(reward, ended, infos)
        for key, part in self.sight(obs).items():
            memory[f"seen.{key}"].copy_(part)
        return {
            **{f"seen.{key}": part for key, part in seen.items()},
            **{f"next.{key}": part for key, part in self.sight(infos["final_obs"]).items()},
            "action": action,
            "log": log,
            "reward": reward.to(torch.float32, copy=True),
            "lives": (~terminated).to(torch.float32),
            "goes_on": (~ended).to(torch.float32),
            **({"learned": infos["learned"], "paid": infos["paid"]} if self.learner is not None else {}),
        }

    def learn_reward(self, taken: Memory) -> None:
        """Show a rollout to the learner, refresh what is due, and pay the rollout by the models of now."""
        learner = self.learner
        assert learner is not None
        steps, batch = taken["reward"].shape
        for features, goes_on in zip(
            taken["learned"].cpu().numpy(), taken["goes_on"].cpu().numpy(), strict=True
        ):
            learner.observe(features, goes_on == 0)
        self.taken += steps * batch
        if any(map(has_fitted, learner.refresh(self.taken))):
            params = {
                name: torch.tensor(value, device=self.args.device)
                for name, value in self.worlds.params.items()
            }
            now = learner.pay_tensor(taken["learned"].flatten(0, 1), params).sum(0).view(steps, batch)
            taken["reward"] += now - taken["paid"]

    # -- advantages ----------------------------------------------------------------------------------

    def assess(self, taken: Memory) -> tuple[Tensor, Tensor]:
        """Return advantages and returns `[T, B]` by GAE: the discounted sum of one-step errors of the value.

        A_t = d_t + gamma lambda goes_on_t A_{t+1},  d_t = r_t + gamma lives_t V(s'_t) - V(s_t), where s'_t is the
        observation after the step and before any reset.
        """
        w = self.net.weights.split(self.memory["weights"])
        now, after = (
            self.net.value(w, self.net.trunk(w, flattened(taken, name))).view_as(taken["reward"])
            for name in ("seen.", "next.")
        )
        error = taken["reward"] + self.gamma * taken["lives"] * after - now
        advantage = discounted_sums(error, self.gamma * self.args.gae_lambda * taken["goes_on"])
        return advantage, advantage + now

    # -- update --------------------------------------------------------------------------------------

    def loss(self, weights: Tensor, rows: Memory) -> tuple[Tensor, Tensor]:
        """Return PPO's loss on rows `[N, ...]` of a rollout, and what is told of it."""
        args, net = self.args, self.net
        w = net.weights.split(weights)
        features = net.trunk(w, {key[5:]: part for key, part in rows.items() if key.startswith("seen.")})
        log, entropy = net.log_probability(w, net.policy(w, features), rows["action"])
        ratio = torch.exp(log - rows["log"])
        advantage = rows["advantage"]
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = torch.clamp(ratio, 1 - args.clip_range, 1 + args.clip_range)
        policy_loss = -torch.minimum(advantage * ratio, advantage * clipped).mean()
        value_loss = (net.value(w, features) - rows["returns"]).square().mean()
        entropy = entropy.mean()
        loss = policy_loss + args.vf_coef * value_loss - args.ent_coef * entropy
        change = ((ratio - 1) - (log - rows["log"])).mean()  # Schulman's estimate of the KL divergence
        strayed = ((ratio - 1).abs() > args.clip_range).to(torch.float32).mean()
        return loss, torch.stack([policy_loss, value_loss, entropy, change, strayed]).detach()

    def improve(self, taken: Memory, index: Tensor) -> None:
        """Take one step of Adam on the loss of the rows that `index` `[N]` names."""
        memory = self.memory
        rows = {name: part[index] for name, part in taken.items()}
        gradient, told = torch.func.grad(self.loss, has_aux=True)(memory["weights"], rows)
        norm = gradient.norm()
        gradient = gradient * torch.clamp(self.args.max_grad_norm / (norm + 1e-6), max=1.0)
        adam(memory, gradient, memory["rate"])
        memory["losses"].copy_(told)

    # -- an iteration --------------------------------------------------------------------------------

    def iterate(self) -> None:
        """Take a rollout and learn from it. Nothing here waits for the device."""
        args, net, device = self.args, self.net, self.args.device
        shape = (args.n_steps, args.n_envs, net.actions)
        noise = torch.rand(shape, device=device) if net.is_discrete else torch.randn(shape, device=device)
        records = [record for part in noise.split(self._length) for record in self._chunk(part)]
        taken = {name: torch.stack([record[name] for record in records]) for name in records[0]}
        if self.learner is not None:
            self.learn_reward(taken)
        advantage, returns = self._assess(taken)
        kept = {"action", "log", *(name for name in taken if name.startswith("seen."))}
        rows = {name: part.flatten(0, 1) for name, part in taken.items() if name in kept}
        rows |= {"advantage": advantage.flatten(), "returns": returns.flatten()}
        for _ in range(args.n_epochs):
            # The order of random keys: a permutation that a graph can draw.
            order = torch.rand(len(rows["log"]), device=device).argsort()
            for index in order.split(self._rows):
                self._improve(rows, index)

    def schedule(self, done: int, iterations: int) -> None:
        """Let the learning rate fall to 0 over the run, where it is annealed."""
        self.taken = done * self.steps
        if self.args.anneal:
            self.memory["rate"].fill_(self.args.learning_rate * (1 - done / iterations))

    def losses(self) -> dict[str, float]:
        """Return the parts of the last update's loss; waits for the device."""
        names = ("loss/policy", "loss/value", "entropy", "kl", "clipped")
        return dict(zip(names, self.memory["losses"].tolist(), strict=True))

    def evaluate(self, tasks: Tasks) -> dict[str, float]:
        """Return the mean return of the likeliest actions, by spec."""
        net, w = self.net, self.net.weights.split(self.memory["weights"])

        def choose(_: Any, obs: Any) -> Tensor:
            return net.for_environment(net.best(net.policy(w, net.trunk(w, self.sight(obs)))))

        return returns_of(tasks, choose, self.args.device, self.args.seed + 1_000_003, learner=self.learner)


def flattened(taken: Memory, prefix: str) -> Memory:
    """Return the parts whose names begin so, with time and environments as one axis."""
    return {
        name[len(prefix) :]: part.flatten(0, 1) for name, part in taken.items() if name.startswith(prefix)
    }


def discounted_sums(x: Tensor, factor: Tensor) -> Tensor:
    """Return y `[T, B]` with `y_t = x_t + factor_t * y_{t+1}`, in log2(T) operations instead of T.

    A step from t to t + n is `(sum of n terms, product of n factors)`; two of them joined make one of 2 n.

    Example:
        >>> discounted_sums(torch.ones(3, 1), torch.full((3, 1), 0.5)).flatten()
        tensor([1.7500, 1.5000, 1.0000])
    """
    reach, steps = 1, len(x)
    while reach < steps:
        later = torch.nn.functional.pad(x[reach:], (0, 0, 0, reach))
        further = torch.nn.functional.pad(factor[reach:], (0, 0, 0, reach))
        x, factor = x + factor * later, factor * further
        reach *= 2
    return x


def train(args: Args, console: Any = None) -> dict[str, float]:
    """Train, or go on; return what the likeliest actions earn in the end, by spec: see `train_resident`."""
    return train_resident("ppo_torch", PPO, args, console)


if __name__ == "__main__":
    sys.exit(run_command("ppo_torch", Args, train, sys.argv[1:]))
