"""Reference policies of `orpo`: uniform, an optimal policy of a finite world with some chance, or a trained network."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agents.command import begun
from agents.device import Memory, Tasks
from rewardspec.analysis.audit.hacking import mixed, steady_optimum
from rewardspec.analysis.audit.occupancies import Occupancies, divergence
from rewardspec.analysis.starc.joint import Joint, join
from rewardspec.compiler import compile_spec
from rewardspec.errors import LearningError, Problem, UnsupportedError
from rewardspec.tabular.batch import TabularBatch
from rewardspec.tabular.product import take_product
from rewardspec.training.folder import RunFolder
from rewardspec.vocabulary import load, loads

if TYPE_CHECKING:
    from agents.orpo import ORPO, Args

Floats = npt.NDArray[np.float64]


class Reference(Protocol):
    """What acts in half of the environments."""

    def log(self, seen: Memory, rows: slice) -> Tensor:
        """Return log-probabilities `[N, A]` of Discrete actions in some environments, before a step."""
        ...

    def sample(self, seen: Memory, rows: slice, noise: Tensor) -> Tensor:
        """Return actions in some environments for noise `[N, A]`, as the policy's network draws them."""
        ...


def drawn(log: Tensor, noise: Tensor) -> Tensor:
    """Return actions `[N]` of log-probabilities and uniform noise `[N, A]`: the Gumbel trick."""
    return (log - torch.log(-torch.log(noise.clamp_min(1e-30)))).argmax(1)


class Uniform:
    """Takes all actions alike: Discrete ones, or vectors of a standard normal within their bounds."""

    def __init__(self, actions: int, is_discrete: bool, device: str) -> None:
        """Remember how many actions there are."""
        self._log = torch.full((1, actions), -math.log(actions), device=device)
        self._is_discrete = is_discrete

    def log(self, seen: Memory, rows: slice) -> Tensor:
        """See `Reference`."""
        return self._log.expand(len(seen["vector"]), -1)

    def sample(self, seen: Memory, rows: slice, noise: Tensor) -> Tensor:
        """See `Reference`."""
        return drawn(self.log(seen, rows), noise) if self._is_discrete else noise


class Network:
    """The policy of a run of `ppo_torch`, as its newest checkpoint has it."""

    def __init__(self, agent: ORPO, run: RunFolder) -> None:
        """Read the weights.

        Raises:
            UnsupportedError: `not-a-run-folder`, `settings-changed` for a run of another agent; `nothing-trained`;
                `wrong-setting` where it sees another observation.
            LearningError: `broken-checkpoint`.
        """
        from agents.ppo_torch import ActorCritic
        from agents.ppo_torch import Args as PPOArgs

        settings = begun(PPOArgs, "ppo_torch", run)
        latest = run.latest()
        if latest is None:
            raise UnsupportedError(Problem("nothing-trained", f"the run in {run.path} has no checkpoint yet"))
        try:
            with np.load(latest / "arrays.npz", allow_pickle=False) as file:
                weights = torch.as_tensor(file["weights"], device=agent.args.device)
        except (OSError, ValueError, KeyError) as error:
            text = f"{latest} cannot be read: {error}"
            raise LearningError(Problem("broken-checkpoint", text)) from error
        space = agent.worlds.single_action_space
        self.net = ActorCritic(agent.sight, space, settings.hidden, agent.args.device)
        if len(weights) != self.net.weights.size:
            text = f"the policy in {run.path} sees or does something else than there is here"
            hint = "A reference needs the same observation: a spec without memory, or with the same."
            raise UnsupportedError(Problem("wrong-setting", text, hints=(hint,)))
        self.w = {name: part.clone() for name, part in self.net.weights.split(weights).items()}

    def log(self, seen: Memory, rows: slice) -> Tensor:
        """See `Reference`."""
        head = self.net.policy(self.w, self.net.trunk(self.w, seen))
        return torch.log_softmax(head, dim=1)

    def sample(self, seen: Memory, rows: slice, noise: Tensor) -> Tensor:
        """See `Reference`."""
        return self.net.sample(self.w, self.net.policy(self.w, self.net.trunk(self.w, seen)), noise)


class Finite:
    """A policy of a finite world, by state, and what there is to say exactly of another one beside it.

    Attributes:
        joint: The world with proxy and true reward.
        table: `[S, A]`, its probabilities.
        sigma: The proxy's standard deviation where it goes.
    """

    def __init__(self, joint: Joint, table: Floats, discount: float, batch: TabularBatch) -> None:
        """Look at where it goes.

        Raises:
            UnsupportedError: `left-support`; `constant-reward`.
        """
        self.joint, self.table, self._batch = joint, table, batch
        self._log = torch.as_tensor(np.log(np.maximum(table, 1e-300)), device=batch.device).to(torch.float32)
        self.space = Occupancies(joint.process, discount)
        self.rewards = [self.space.reward(joint.process.expected(reward)) for reward in joint.rewards]
        self.occupancy = self.space.of(table[joint.state])
        mean = float(self.occupancy @ self.rewards[1])
        self.sigma = float(self.occupancy @ (self.rewards[1] - mean) ** 2) ** 0.5
        self._refuse()

    def _refuse(self) -> None:
        chances = self.table[self.joint.state]  # in each state that can be reached by whatever policy
        if float(chances.min()) <= 0.0:
            x, a = divmod(int(chances.argmin()), self.joint.process.n_actions)
            seen = np.asarray(self.joint.products[0].world.observation[self.joint.state[x]]).tolist()
            text = (
                f"the reference never takes action {a} in the state that shows {seen}, which can be reached: a policy "
                "in training would leave its support, where no divergence is finite"
            )
            hint = "Let the reference act at random now and then: true:0.1, say."
            raise UnsupportedError(Problem("left-support", text, hints=(hint,)))
        if self.sigma <= 1e-9 * max(float(np.abs(self.rewards[1]).max()), 1e-300):
            text = "the proxy never varies where the reference goes: strengths have no unit"
            raise UnsupportedError(Problem("constant-reward", text, hints=("Choose another reference.",)))

    def log(self, seen: Memory, rows: slice) -> Tensor:
        """See `Reference`."""
        return self._log.index_select(0, self._batch.state[rows])

    def sample(self, seen: Memory, rows: slice, noise: Tensor) -> Tensor:
        """See `Reference`."""
        return drawn(self.log(seen, rows), noise)

    def told(self, table: Floats) -> dict[str, float | None]:
        """Return what a policy `[S, A]` earns of both rewards per step, and its distances, all exact.

        A distance is None where the policy goes to what the reference does less often than once in 1e13 steps.
        """
        occupancy = self.space.of(table[self.joint.state])
        apart = {kind: divergence(kind, occupancy, self.occupancy) for kind in ("chi2", "kl")}
        return {
            "true": float(occupancy @ self.rewards[0]),
            "proxy": float(occupancy @ self.rewards[1]),
            **{kind: value if math.isfinite(value) else None for kind, value in apart.items()},
        }

    def base(self) -> dict[str, float]:
        """Return what the reference itself earns of both rewards."""
        return {
            name: float(self.occupancy @ reward)
            for name, reward in zip(("true", "proxy"), self.rewards, strict=True)
        }

    @cached_property
    def correlation(self) -> float:
        """The correlation of proxy and true reward where the reference goes."""
        centred = [reward - float(self.occupancy @ reward) for reward in self.rewards]
        spread = [float(self.occupancy @ one**2) ** 0.5 for one in centred]
        return float(self.occupancy @ (centred[0] * centred[1])) / (spread[0] * spread[1])


def read_reference(args: Args, tasks: Tasks, agent: ORPO) -> Reference:
    """Return the reference that the arguments name.

    Raises:
        UnsupportedError: `wrong-setting` when it is none, or the world is not finite; as the classes above.
    """
    kind, _, number = args.reference.partition(":")
    finite = _finite(args, tasks, agent)
    if kind == "uniform" and not number:
        if finite is not None:
            joint, batch = finite
            actions = joint.process.n_actions
            table = np.full((batch.world.n_states, actions), 1.0 / actions)
            return Finite(joint, table, tasks.gamma, batch)
        return Uniform(agent.net.actions, agent.net.is_discrete, args.device)
    if kind in ("true", "proxy") and number:
        if finite is None:
            text = f"'{args.reference}' is for finite worlds and specs without memory"
            hint = "Give the run folder of `python -m agents.ppo_torch`, or `uniform`."
            raise UnsupportedError(Problem("wrong-setting", text, hints=(hint,)))
        joint, batch = finite
        reward = joint.process.expected(joint.rewards[0 if kind == "true" else 1])
        best = mixed(steady_optimum(joint.process, reward, tasks.gamma), _share(args.reference, number))
        table = np.full((batch.world.n_states, joint.process.n_actions), 1.0 / joint.process.n_actions)
        table[joint.state] = best
        return Finite(joint, table, tasks.gamma, batch)
    return Network(agent, RunFolder(Path(args.reference)))


def _share(text: str, number: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not 0.0 <= share <= 1.0:
        raise UnsupportedError(Problem("wrong-setting", f"'{text}': a share lies between 0 and 1"))
    return share


def _finite(args: Args, tasks: Tasks, agent: ORPO) -> tuple[Joint, TabularBatch] | None:
    """Return the world with both rewards where it is finite and neither spec remembers anything."""
    batch: Any = agent.worlds.env
    if not isinstance(batch, TabularBatch):
        return None
    proxy = next(iter(tasks.programs.values()))
    text = "name: environment\nreward: reward"
    true = compile_spec(loads(text) if args.true is None else load(args.true))
    joint = join(take_product(true, batch.world), take_product(proxy, batch.world))
    return (joint, batch) if int(joint.memory.max()) == 0 else None
