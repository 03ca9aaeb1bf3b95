"""PPO that stays near a reference policy, by occupancy or by action, so that a proxy reward is not hacked.

    python -m agents.orpo --spec examples/specs/tomato_proxy.yaml --reference true:0.1 --strength 0.1
    python -m agents.orpo --spec proxy.yaml --reference runs/first --divergence kl --by actions

Half of the environments are played by the reference, half by the policy. In each iteration, in this order: a rollout
of both; a discriminator learns to tell the two (see `rewardspec/learning/discriminator.py`); its d = log(mu / mu_ref)
on the policy's steps is taken off the reward; advantages; PPO's updates.

    reward' = reward - strength * sigma * g(d),   sigma the proxy's standard deviation where the reference goes
    sqrt_chi2: (e^d - 1) / sqrt(E[e^d - 1])   chi2: e^d - 1   kl: d   tv: sign(d)

With `--by actions` it is PPO's loss that pays instead: strength * sigma * D(policy(.|s), reference(.|s)) / (1 - gamma).

A policy that leaves the reference's support has no finite chi2 or KL. On finite worlds that is known before anything is
learned: a policy in training may do anything, so the reference must have a chance of everything that can be reached.
Elsewhere a step counts as outside when its ratio e^d is above `--most-ratio`, and the run is refused when more than
`--outside` of the policy's steps are, at a row of progress. (The authors' release sets such penalties to 0 in silence.)

Source:
    Laidlaw, Singhal, Dragan, "Correlated Proxies: A New Definition and Improved Mitigation for Reward Hacking" (ICLR
    2025, arXiv 2403.03185): the objective, the order of updates, the discriminator. What their release does otherwise
    is an option here: `--trim 0.01` (of e^d at both ends, where chi2 is estimated), `--no-discounted` (each step counts
    alike, though the theory's occupancy is discounted), `--on-leaving zero`, `--reward-clip 1000`.

    e^d - 1 is theirs where the formula's gradient is e^d: the constant matters only where episodes end by themselves,
    and there it stands for having ended, a state whose ratio is taken to be 1.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agents.device import Memory, Tasks, adam
from agents.device_run import run_command, train_resident
from agents.orpo_reference import Finite, Reference, read_reference
from agents.ppo_torch import PPO
from rewardspec.errors import LearningError, Problem, UnsupportedError
from rewardspec.learning.discriminator import Discriminator

Divergence = Literal["sqrt_chi2", "chi2", "kl", "tv"]

FLOOR = 1e-4
"""Below this a root is taken of no less: its slope would be infinite. As released, for actions."""


@dataclass
class Args:
    """Train PPO near a reference policy."""

    spec: Path | None = None
    """Spec file to learn: the proxy."""
    reference: str = "true:0.1"
    """`uniform`; on finite worlds `true:EPS` or `proxy:EPS`, an optimal policy that acts at random with probability
    EPS; or the run folder of `ppo_torch`."""
    true: Path | None = None
    """Spec of the true reward, for `true:EPS` and for what is reported; the environment's own reward without."""
    divergence: Divergence = "sqrt_chi2"
    by: Literal["occupancy", "actions"] = "occupancy"
    """What is kept near the reference's: state-action occupancies, or actions in each state."""
    strength: float = 0.1
    """Of the regularisation, in standard deviations of the proxy under the reference; 0 for none."""
    correlation: float | None = None
    """Correlation r of proxy and true reward: the strength is then sqrt(1 - r^2), the theory's for sqrt_chi2."""
    start: Literal["reference", "random"] = "reference"
    """What the policy is before it is trained: an imitation of the reference, or random."""
    start_steps: int = 300
    """Updates of that imitation."""
    env: str | None = None
    """Gymnasium id; the spec's own when not given."""
    steps: int = 200_000
    """Environment steps, of policy and reference together."""
    n_envs: int = 64
    """B, environments; the reference plays half of them."""
    n_steps: int = 100
    """T, steps of every environment between updates."""
    n_epochs: int = 4
    """PPO's passes over the policy's half of a rollout."""
    batch_size: int | None = None
    """Rows of an update; they divide n_envs / 2 * n_steps. An eighth of these without."""
    d_steps: int = 20
    """Steps of the discriminator in each iteration."""
    d_batch: int = 1024
    """Rows of either half that such a step looks at."""
    d_learning_rate: float = 1e-3
    d_hidden: tuple[int, ...] = (256, 256)
    learning_rate: float = 1e-3
    anneal: bool = True
    """Whether the learning rate falls to 0 over the run."""
    gamma: float | None = None
    """Discount; the spec's own when not given."""
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers, of the policy and of the value alike."""
    discounted: bool = True
    """Whether a step counts gamma^t in the occupancy, t being its number in the episode; as released: False."""
    trim: float = 0.0
    """Share of the largest and of the smallest ratios left out where chi2 is estimated; as released: 0.01."""
    reward_clip: float | None = None
    """Bound of the regularised reward of a step; as released: 1000 in the tomato world."""
    on_leaving: Literal["refuse", "zero"] = "refuse"
    """What is done where the reference's support is left: refused, or, as released, not penalised."""
    most_ratio: float = 1000.0
    """Ratio above which a step is outside the support, on worlds that are not finite."""
    outside: float = 0.05
    """Share of the policy's steps that may be outside."""
    seed: int = 0
    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:1`."""
    folder: Path | None = None
    """Run folder; runs/<spec>-orpo-<seed> without."""
    resume: Path | None = None
    """Run folder of a run to go on with."""
    log_every: int = 5
    """Iterations between rows of progress."""
    checkpoint_seconds: float = 60.0
    quiet: bool = False
    specs: ClassVar[None] = None
    compile: ClassVar[bool] = False
    cuda_graphs: ClassVar[bool] = False
    compiled_steps: ClassVar[int] = 1


START_ROWS, START_RATE = 512, 3e-3
"""Rows of an update of the imitation, and its learning rate."""


class ORPO(PPO):
    """One run; see `PPO`, whose network, rollout rows and update it shares."""

    learns_rewards = False

    def __init__(self, args: Args, tasks: Tasks) -> None:
        """Make worlds, weights, the reference and the discriminator.

        Raises:
            UnsupportedError: `wrong-setting`; `unfit-algorithm` for pictures and, with `by actions`, for actions that
                are not Discrete; `left-support` where the reference has no chance of something that can be reached.
        """
        _refuse_settings(args)
        super().__init__(args, tasks)  # type: ignore[arg-type]
        self.args: Any = args
        self.half = args.n_envs // 2
        rollout = self.half * args.n_steps
        self._rows = args.batch_size if args.batch_size is not None else max(1, rollout // 8)
        if rollout % self._rows:
            text = f"a batch_size of {self._rows} does not divide the policy's half of a rollout, {rollout}"
            hint = f"Such as --batch-size {math.gcd(rollout, self._rows)}."
            raise UnsupportedError(Problem("wrong-setting", text, hints=(hint,)))
        if self.sight.picture is not None:
            raise UnsupportedError(Problem("unfit-algorithm", "the discriminator sees vectors, not pictures"))
        if args.by == "actions" and not self.net.is_discrete:
            hint = "Keep it near by occupancy: --by occupancy."
            text = "action distributions are compared where actions are Discrete"
            raise UnsupportedError(Problem("unfit-algorithm", text, hints=(hint,)))
        self.reference: Reference = read_reference(args, tasks, self)
        device = args.device
        self.strength = args.strength if args.correlation is None else math.sqrt(1 - args.correlation**2)
        self.told = Discriminator(
            self.sight.size + self.net.actions,
            hidden=args.d_hidden,
            learning_rate=args.d_learning_rate,
            seed=args.seed,
            device=device,
        )
        self._own = (torch.arange(args.n_envs, device=device) < self.half).to(torch.float32)
        self.memory |= {
            "age": torch.zeros(args.n_envs, device=device),
            "sigma": torch.ones((), device=device),
            "distance": torch.zeros(4, device=device),  # chi2, KL, tv and the share outside, as estimated
            **{f"told.{name}": part for name, part in self.told.memory.items()},
        }

    def warm_up(self) -> None:
        """Let the reference play: measure how the proxy varies there, and imitate it where that is the start."""
        played = self._of_reference()
        if isinstance(self.reference, Finite):
            self.memory["sigma"].fill_(self.reference.sigma)
        else:
            self.memory["sigma"].fill_(spread(played["reward"].flatten(), played["counts"].flatten()))
        if self.args.start == "reference":
            self._imitate({name: part.flatten(0, 1) for name, part in played.items()})

    def _of_reference(self) -> Memory:
        """Return a rollout `[T, B]` that the reference plays in all environments, which then are as before."""
        before = self.worlds.state_dict()
        seen = {key[5:]: part.clone() for key, part in self.memory.items() if key.startswith("seen.")}
        age = torch.zeros(self.args.n_envs, device=self.args.device)
        records = []
        with torch.no_grad():
            for _ in range(self.args.n_steps):
                action = self.reference.sample(seen, slice(None), self._noise(self.args.n_envs))
                record = {f"seen.{key}": part for key, part in seen.items()} | {"action": action}
                if self.net.is_discrete:
                    record["near"] = self.reference.log(seen, slice(None))
                obs, reward, terminated, truncated, _ = self.worlds.step(self.net.for_environment(action))
                record["counts"] = self.gamma**age if self.args.discounted else torch.ones_like(age)
                record["reward"] = reward.to(torch.float32, copy=True)
                records.append(record)
                age = (age + 1) * ~(terminated | truncated)
                seen = self.sight(obs)
        self.worlds.load_state_dict(before)
        return {name: torch.stack([record[name] for record in records]) for name in records[0]}

    def _imitate(self, rows: Memory) -> None:
        """Fit the policy to what the reference does in the states it was in; PPO then begins with fresh moments."""
        net, memory = self.net, self.memory

        def loss(weights: Tensor, index: Tensor) -> Tensor:
            w = net.weights.split(weights)
            seen = {key[5:]: part[index] for key, part in rows.items() if key.startswith("seen.")}
            head = net.policy(w, net.trunk(w, seen))
            if net.is_discrete:
                return -(rows["near"][index].exp() * torch.log_softmax(head, dim=1)).sum(1).mean()
            return -net.log_probability(w, head, rows["action"][index])[0].mean()

        slope, count = torch.func.grad(loss), len(rows["action"])
        for _ in range(self.args.start_steps):
            index = torch.randint(count, (min(count, START_ROWS),), device=self.args.device)
            adam(memory, slope(memory["weights"], index), START_RATE)
        for name in ("first", "second", "updates"):
            memory[name].zero_()

    def _noise(self, count: int) -> Tensor:
        shape = (count, self.net.actions)
        make = torch.rand if self.net.is_discrete else torch.randn
        return make(shape, device=self.args.device)

    # -- rollout -------------------------------------------------------------------------------------

    def step(self, noise: Tensor) -> Memory:
        """Let the policy act in the first half and the reference in the second; pay by the spec."""
        memory, net, half = self.memory, self.net, self.half
        w = net.weights.split(memory["weights"])
        seen = {key[5:]: part.clone() for key, part in memory.items() if key.startswith("seen.")}
        own = {key: part[:half] for key, part in seen.items()}
        head = net.policy(w, net.trunk(w, own))
        action = net.sample(w, head, noise[:half])
        log, _ = net.log_probability(w, head, action)
        near = self.reference.log(own, slice(None, half)) if self.args.by == "actions" else None
        rest = {key: part[half:] for key, part in seen.items()}
        both = torch.cat([action, self.reference.sample(rest, slice(half, None), noise[half:])])
        obs, reward, terminated, truncated, infos = self.worlds.step(net.for_environment(both))
        ended = terminated | truncated
        counts = self.gamma ** memory["age"] if self.args.discounted else torch.ones_like(memory["age"])
        memory["age"].add_(1).mul_(~ended)
        self.score(reward, ended, infos)
        for key, part in self.sight(obs).items():
            memory[f"seen.{key}"].copy_(part)
        return {
            **{f"seen.{key}": part for key, part in own.items()},
            **{f"next.{key}": part[:half] for key, part in self.sight(infos["final_obs"]).items()},
            "pair": torch.cat([seen["vector"], self._one_hot(both)], dim=1),
            "counts": counts,
            "action": action,
            "log": log,
            "reward": reward[:half].to(torch.float32, copy=True),
            "lives": (~terminated[:half]).to(torch.float32),
            "goes_on": (~ended[:half]).to(torch.float32),
            **({"near": near} if near is not None else {}),
        }

    def _one_hot(self, action: Tensor) -> Tensor:
        if not self.net.is_discrete:
            return action
        return torch.nn.functional.one_hot(action, self.net.actions).to(torch.float32)

    def score(self, reward: Tensor, ended: Tensor, infos: dict[str, Any]) -> None:
        """Sum up a step of every environment; what is told are the policy's episodes."""
        memory = self.memory
        returns, length = memory["return"] + reward, memory["length"] + 1
        told = torch.stack([torch.ones_like(returns), returns, length]) * (ended * self._own)
        memory["finished"].add_(told.sum(1, keepdim=True))
        memory["return"].copy_(returns * ~ended)
        memory["length"].copy_(length * ~ended)

    # -- regularisation ------------------------------------------------------------------------------

    def regularise(self, taken: Memory) -> None:
        """Let the discriminator learn, then take its penalty off the policy's rewards `[T, B / 2]`."""
        args, half = self.args, self.half
        pairs, counts = taken.pop("pair"), taken.pop("counts")
        ours, theirs = pairs[:, :half].flatten(0, 1), pairs[:, half:].flatten(0, 1)
        weights = (counts[:, :half].flatten(), counts[:, half:].flatten())
        self.told.fit(ours, theirs, *weights, steps=args.d_steps, rows=args.d_batch)
        with torch.no_grad():
            d, of_reference = self.told(ours), self.told(theirs)
            share = weights[0] / weights[0].sum()
            excess = d.exp() - 1.0
            chi2 = self._chi2(excess, share)
            far = (share * (d > math.log(args.most_ratio))).sum()
            theirs_share = weights[1] / weights[1].sum()
            tv = 0.5 * (
                (share * (d / 2).tanh().abs()).sum() + (theirs_share * (of_reference / 2).tanh().abs()).sum()
            )
            self.memory["distance"].copy_(torch.stack([chi2, (share * d).sum(), tv, far]))
            if args.by == "occupancy" and self.strength > 0:
                penalty = self._penalty(d, excess, chi2)
                if args.on_leaving == "zero":  # as released
                    penalty = torch.nan_to_num(penalty, nan=0.0, posinf=0.0, neginf=0.0)
                less = taken["reward"] - self.strength * self.memory["sigma"] * penalty.view_as(
                    taken["reward"]
                )
                if args.reward_clip is not None:
                    less = less.clamp(-args.reward_clip, args.reward_clip)
                taken["reward"] = less

    def _chi2(self, excess: Tensor, share: Tensor) -> Tensor:
        """Return E[e^d - 1] by weight, without the trimmed ends."""
        if self.args.trim > 0:
            low, high = torch.quantile(
                excess, torch.tensor([self.args.trim, 1 - self.args.trim], device=excess.device)
            )
            share = share * ((excess >= low) & (excess <= high))
            share = share / share.sum()
        return (share * excess).sum()

    def _penalty(self, d: Tensor, excess: Tensor, chi2: Tensor) -> Tensor:
        if self.args.divergence == "kl":
            return d
        if self.args.divergence == "tv":
            return d.sign()
        if self.args.divergence == "chi2":
            return excess
        # As released: where the estimate is not above 0, there is nothing to divide by.
        return excess / torch.where(chi2 > 0, chi2, torch.ones_like(chi2)).sqrt()

    def loss(self, weights: Tensor, rows: Memory) -> tuple[Tensor, Tensor]:
        """Return PPO's loss on rows of a rollout, with the distance of actions where that is wanted."""
        loss, told = super().loss(weights, rows)
        if "near" not in rows or self.strength == 0:
            return loss, told
        net = self.net
        w = net.weights.split(weights)
        seen = {key[5:]: part for key, part in rows.items() if key.startswith("seen.")}
        log = torch.log_softmax(net.policy(w, net.trunk(w, seen)), dim=1)
        apart = action_divergence(self.args.divergence, log, rows["near"])
        return loss + self.strength * self.memory["sigma"] * apart / (1.0 - self.gamma), told

    # -- an iteration --------------------------------------------------------------------------------

    def iterate(self) -> None:
        """Roll out, let the discriminator learn, regularise, and learn: in this order."""
        args, device = self.args, self.args.device
        shape = (args.n_steps, args.n_envs, self.net.actions)
        noise = (
            torch.rand(shape, device=device) if self.net.is_discrete else torch.randn(shape, device=device)
        )
        with torch.no_grad():
            records = [self.step(each) for each in noise]
        taken = {name: torch.stack([record[name] for record in records]) for name in records[0]}
        self.regularise(taken)
        advantage, returns = self.assess(taken)
        kept = {"action", "log", "near", *(name for name in taken if name.startswith("seen."))}
        rows = {name: part.flatten(0, 1) for name, part in taken.items() if name in kept}
        rows |= {"advantage": advantage.flatten(), "returns": returns.flatten()}
        for _ in range(args.n_epochs):
            order = torch.rand(len(rows["log"]), device=device).argsort()
            for index in order.split(self._rows):
                self.improve(rows, index)

    # -- what is told --------------------------------------------------------------------------------

    def progress(self) -> dict[str, float | None]:
        """Return what has happened since the last call, with the distance; on finite worlds exact, with both rewards.

        Raises:
            LearningError: `left-support`.
        """
        told = super().progress()
        chi2, kl, tv, outside = self.memory["distance"].tolist()
        told |= {"estimated/chi2": chi2, "estimated/kl": kl, "estimated/tv": tv}
        if isinstance(self.reference, Finite):
            return told | self.reference.told(self.probabilities())
        told["outside"] = outside
        refuse_leaving(self.args, self.strength, outside)
        return told

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Return what the policy does in each state of a finite world, `[S, A]`."""
        net, w = self.net, self.net.weights.split(self.memory["weights"])
        obs = torch.as_tensor(self.worlds.env.world.observation, device=self.args.device)
        with torch.no_grad():
            head = net.policy(w, net.trunk(w, self.sight(obs)))
            return torch.softmax(head, dim=1).cpu().double().numpy()

    def evaluate(self, tasks: Tasks) -> dict[str, float]:
        """Return the mean return of the likeliest actions; on finite worlds, exactly, what the policy itself earns."""
        result = super().evaluate(tasks)
        if isinstance(self.reference, Finite):
            exact = self.reference.told(self.probabilities())
            result |= {name: value for name, value in exact.items() if value is not None}
            result |= {f"reference/{name}": value for name, value in self.reference.base().items()}
        return result


def spread(values: Tensor, counts: Tensor) -> float:
    """Return the standard deviation of values `[N]` by weight.

    Raises:
        UnsupportedError: `constant-reward` where they do not vary.
    """
    share = counts / counts.sum()
    mean = (share * values).sum()
    found = float((share * (values - mean).square()).sum().sqrt())
    if found <= 1e-6 * float(values.abs().max().clamp_min(1e-30)):
        text = "the proxy never varies where the reference goes: strengths have no unit"
        raise UnsupportedError(Problem("constant-reward", text, hints=("Choose another reference.",)))
    return found


def action_divergence(kind: Divergence, log: Tensor, near: Tensor) -> Tensor:
    """Return the mean distance of action distributions in the states of a batch.

    Formula: kl E_s sum p log(p / r); chi2 E_s sum (p - r)^2 / r; sqrt_chi2 its root; tv E_s sum |p - r| / 2

    Args:
        kind: Which.
        log: `[N, A]`, log-probabilities of the policy.
        near: `[N, A]`, of the reference; it must have a chance of everything.

    Example:
        >>> p, r = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
        >>> round(float(action_divergence("chi2", p, r)), 4) == round(1 / 4 + 1 / 12, 4)
        True
    """
    p, r = log.exp(), near.exp()
    if kind == "kl":
        return (p * (log - near)).sum(1).mean()
    if kind == "tv":
        return 0.5 * (p - r).abs().sum(1).mean()
    chi2 = ((p - r).square() / r).sum(1).mean()
    return chi2 if kind == "chi2" else chi2.clamp_min(FLOOR).sqrt()


def refuse_leaving(args: Args, strength: float, outside: float) -> None:
    """Raise where too many of a regularised policy's steps have left the reference's support.

    Raises:
        LearningError: `left-support`.
    """
    needs_support = args.by == "occupancy" and args.divergence != "tv" and strength > 0
    if args.on_leaving == "zero" or not needs_support or outside <= args.outside:
        return
    text = (
        f"{outside:.0%} of the policy's steps are more than {args.most_ratio:g} times likelier than the reference's: "
        f"it has left the reference's support, and {args.divergence} is not known there"
    )
    hints = (
        "Use a stronger regularisation (--strength), or a reference that acts at random more often.",
        "--on-leaving zero goes on without a penalty on such steps, as the authors' release does.",
    )
    raise LearningError(Problem("left-support", text, hints=hints))


def _refuse_settings(args: Args) -> None:
    wrong = None
    if args.n_envs < 2 or args.n_envs % 2:
        wrong = f"n_envs is {args.n_envs}; policy and reference play half of them each"
    elif not 0.0 <= args.strength < math.inf:
        wrong = f"strength is {args.strength}; it is 0 or above"
    elif args.correlation is not None and not 0.0 < args.correlation <= 1.0:
        wrong = f"correlation is {args.correlation}; it lies above 0 and is at most 1"
    elif not 0.0 <= args.trim < 0.5:
        wrong = f"trim is {args.trim}; it is a share below a half"
    elif not args.most_ratio > 1.0:
        wrong = f"most_ratio is {args.most_ratio}; it is above 1"
    if wrong is not None:
        raise UnsupportedError(Problem("wrong-setting", wrong))


def train(args: Args, console: Any = None) -> dict[str, float]:
    """Train, or go on; return what the policy earns in the end: see `train_resident`."""
    return train_resident("orpo", ORPO, args, console)


if __name__ == "__main__":
    sys.exit(run_command("orpo", Args, train, sys.argv[1:]))
