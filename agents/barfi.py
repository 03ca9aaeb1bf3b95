"""BARFI: a primary reward, hints that may be wrong, and an outer loop that finds out which to trust, and where.

    python -m agents.barfi --spec examples/specs/maze_bad_hint.yaml --primary goal
    python -m agents.barfi --spec examples/specs/maze_bad_hint.yaml --primary goal --learners 10 --device cuda
    python -m agents.barfi --spec ... --method sum            # or primary, potential: what it is compared with

A spec with a `barfi` term says what is blended and how. Of any other spec the terms are blended: the one that
`--primary` names is scored, all others are hints, whatever their kind. A policy learns from the blend
(`agents/blend.py`) with a learned discount, and the blend's weights climb the primary return of what the policy
becomes, by implicit differentiation (`agents/bilevel.py`). `--learners R` puts R runs of the same
settings side by side in one batch, each with weights, memory and random numbers of its own: seeds for the price of
one.

A round is: `n_envs` episodes of the present policy; a step of the outer loop on them; `n_envs * inner` steps of the
policy on stored episodes. Before the first step of the outer loop the policy learns from the plain sum for `warm_up`
episodes and then catches up on the blend. The policy is never begun anew.

Source:
    Gupta, Chandak, Jordan, Thomas and da Silva, "Behavior Alignment via Reward Function Optimization" (NeurIPS 2023),
    in the order of updates of the released code (classes `BarfiNeumann`, `Barfi`, `Frodo`). Its hyper-parameters are
    search grids, so the defaults here are choices from them. Deviations: the unrolled variant keeps warm-up, learned
    discount and optimiser of the others; the conjugate-gradient and exact solutions, `--start sum` and `primary`, and
    `--centred` are ours.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from agents.blend import Batch, Blend, LearntTerm, LinearPolicy, ascend, features, fresh
from agents.blend_episodes import Stage, keep, kept, newest
from agents.blend_objectives import Objectives
from agents.blend_worlds import bounds_of, horizon_of, parts_of, worlds_of
from agents.bounds import refuse_numbers
from agents.command import copied
from agents.device import (
    Memory,
    Tasks,
    from_arrays,
    numbers_state,
    read_tasks,
    set_numbers_state,
    to_arrays,
)
from agents.device_run import run_command, with_folder
from agents.recording import recording
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.training.blends import FILE, LearnedBlend
from rewardspec.training.folder import write_whole

BASELINES = ("sum", "primary", "potential")
WINDOW = 200
"""Episodes of each learner, its last ones, that the result is about."""

MET = 500
"""States, the newest, at which a run says what its blend weighs."""


@dataclass
class Args:
    """Train BARFI, or one of the methods that it is compared with."""

    spec: Path | None = None
    """Spec file: with a `barfi` term, or its terms are blended."""
    env: str | None = None
    """Gymnasium id; the spec's own when not given."""
    primary: str | None = None
    """Name of the term that counts, without a `barfi` term; the first when not given. All others are hints."""
    method: Literal["barfi", "sum", "primary", "potential"] = "barfi"
    """`sum` learns from the plain sum, `primary` without hints, `potential` takes the hint for a potential."""
    solve: Literal["neumann", "first_order", "conjugate_gradient", "exact", "unrolled"] = "neumann"
    """How the outer loop looks through the inner one."""
    terms: int = 5
    """K of the Neumann series; steps of conjugate gradients."""
    eta: float = 5e-4
    """Step of the Neumann series."""
    damping: float = 1.0
    """Added to the curvature, for conjugate gradients and the exact solution."""
    episodes: int = 1000
    """Episodes of each learner."""
    learners: int = 1
    """R, learners side by side."""
    n_envs: int = 3
    """Episodes between two steps of the outer loop, played at once."""
    horizon: int | None = None
    """Steps of an episode; as the spec or the environment says when not given."""
    inner: int = 5
    """Steps of the policy per episode played."""
    warm_up: int = 150
    """Episodes of learning from the plain sum, and steps of the policy that catch up on the blend then."""
    batch_size: int = 1
    """Episodes in a step of the policy."""
    curvature_batch: int = 15
    """Stored episodes, times batch_size, that the curvature is taken from."""
    buffer_size: int = 1000
    """Episodes of a learner that are kept."""
    features: str = "fourier(3)"
    """What the policy is linear in: fourier(3), tiles(5,4), random(32), raw, constant."""
    blend: str | None = None
    """What the blend's weights are linear in; the policy's features when not given."""
    learnt: tuple[LearntTerm, ...] = ("bias", "primary", "auxiliary")
    """Which weights are learned; the others are 1 (a bias 0)."""
    start: Literal["random", "sum", "primary"] = "random"
    """Where the blend's weights begin: as a new linear layer does, at the plain sum, or at the primary reward alone."""
    low: tuple[float, ...] = ()
    """Least observation, to scale by; the space's own when not given."""
    high: tuple[float, ...] = ()
    """Greatest observation."""
    centred: bool = False
    """Whether the outer loop subtracts what the other episodes of its batch came to."""
    optimiser: Literal["rmsprop", "adam"] = "rmsprop"
    learning_rate: float = 1e-3
    """Of the policy."""
    blend_rate: float = 5e-3
    """Of the blend's weights."""
    gamma_rate: float = 5e-3
    """Of the learned discount; 0 leaves it at gamma."""
    gamma_penalty: float = 0.25
    """Price of the learned discount: the shorter horizon wins where it does as well."""
    blend_penalty: float = 0.0
    """Price of the blend's weights, times their norm."""
    ent_coef: float = 0.25
    gamma: float | None = None
    """Discount of the primary return, and where the learned one begins; the spec's own, or 0.99."""
    outer_batch: int = 4
    """Newest episodes that the outer loop climbs by, and no fewer than a round's; the fourth is older."""
    replay: bool = False
    """Whether a baseline, too, takes `inner` steps per episode on stored episodes; one step a round without."""
    seed: int = 0
    device: str = "cpu"
    folder: Path | None = None
    """Run folder; runs/<spec>-barfi-<seed> without."""
    resume: Path | None = None
    """Run folder of a run to go on with."""
    log_every: int = 10
    """Rounds between rows of progress."""
    checkpoint_seconds: float = 60.0
    quiet: bool = False


class Barfi:
    """R learners of one spec: worlds, weights, memory, and a round.

    Attributes:
        memory: All that changes in training, besides the worlds: tensors whose first axis is the learners.
        returns: The newest rounds' primary returns, `[R, n_envs]` each.
    """

    def __init__(self, args: Args, tasks: Tasks) -> None:
        """Make worlds and learners.

        Raises:
            UnsupportedError: `wrong-setting`, `unfit-algorithm`, `no-batch-form`, `unknown-device`.
        """
        (program,) = tasks.programs.values()
        self.parts = parts_of(program, args)
        self.args = args = self.parts.args
        self.gamma, device = tasks.gamma, args.device
        self.worlds = worlds_of(tasks, args.learners * args.n_envs, device, args.seed)
        self.primary, self.hints = self.parts.primary, tuple(self.parts.hints)
        self.horizon = horizon_of(args, tasks)
        space: Any = self.worlds.env.single_observation_space
        if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
            raise UnsupportedError(Problem("unfit-algorithm", f"BARFI here sees vectors, not {space}"))
        self.features = features(args.features, *bounds_of(space, args.low, args.high), device)
        if self.parts.inputs:
            bounds = (list(self.parts.low), list(self.parts.high))
        else:
            bounds = bounds_of(space, self.parts.low or args.low, self.parts.high or args.high)
        self.blend_features = features(args.blend or args.features, *bounds, device)
        self.blend = Blend(self.hints, args.learnt)
        self.policy = LinearPolicy(self.worlds.single_action_space, self.features.size, device)
        self._is_barfi = args.method == "barfi"
        shape = (args.learners, args.n_envs)
        self.stage = Stage(self.worlds, self.parts, self.policy, self.features, shape, self.horizon)
        self.objectives = Objectives(
            args,
            self.policy,
            self.blend,
            self.features,
            self.blend_features,
            self.gamma,
            "inputs" if self.parts.inputs else "obs",
        )
        torch.manual_seed(args.seed)
        self.memory: Memory = self._begin()
        self.rounds = 0
        self.returns: deque[Tensor] = deque(maxlen=max(args.log_every, -(-WINDOW // args.n_envs)))
        self.told: dict[str, Tensor] = {}

    def _begin(self) -> Memory:
        """Return new weights, what their optimisers remember, and an empty memory."""
        args, r, device = self.args, self.args.learners, self.args.device

        def layer(inputs: int, outputs: int) -> Tensor:
            width = max(inputs - 1, 1) ** -0.5  # as a new linear layer of PyTorch, its bias the last feature
            return (torch.rand(r, inputs, outputs, device=device) * 2 - 1) * width

        theta = layer(self.policy.inputs, self.policy.actions).flatten(1)
        phi = layer(self.blend_features.size, len(self.blend.columns))
        if args.start != "random":
            counts = {"primary"} if args.start == "primary" else {"primary", *self.hints}
            phi = torch.zeros_like(phi)
            phi[:, -1] = torch.tensor([float(name in counts) for name in self.blend.columns], device=device)
        start = torch.tensor(self.gamma, dtype=torch.float64).logit().item()
        memory: Memory = {
            "theta": theta,
            "phi": phi,
            "horizon": torch.full((r,), start, device=device),  # the learned discount is its sigmoid
            **self.stage.room(min(args.buffer_size, args.episodes), device),
        }
        for name in ("theta", "phi", "horizon"):
            one = fresh(args.optimiser, memory[name][0])
            memory |= {f"{name}.{i}": part.expand(r, *part.shape).clone() for i, part in enumerate(one)}
        return memory

    # -- a round -------------------------------------------------------------------------------------

    def round(self) -> None:
        """Play, move the blend, move the policies."""
        args, memory = self.args, self.memory
        played = self.stage.play(memory["theta"])
        self.worlds.check()
        first = self.rounds * args.n_envs
        before, self.rounds = min(first, memory["stored.mask"].shape[1]), self.rounds + 1
        returns = played["primary"].sum(-1)
        self.returns.append(returns)
        older = newest(memory, first, max(0, args.outer_batch - args.n_envs))
        seen = {name: torch.cat([older[name], part], dim=1) for name, part in played.items()}
        warming = self._is_barfi and self.is_warming(first + args.n_envs)
        if self._is_barfi and not self.is_warming(first) and args.solve != "unrolled":
            self._move_blend(seen, before)
        elif self._is_barfi and args.solve == "unrolled" and "unrolled.theta" in memory:
            self._move_blend_unrolled(seen)
        keep(memory, played, first)
        if warming:
            self._climb({name: part[:, -2:] for name, part in played.items()}, "sum")
        elif not self._is_barfi and not args.replay:
            self._climb(played, args.method)
        else:
            extra = args.warm_up if self._is_barfi and self.is_warming(first) else 0
            self._learn(args.n_envs * args.inner + extra)
        self.told |= {
            "return": returns.mean(),
            "length": played["mask"].sum(-1).mean(),
            "spread": returns.std(-1).mean() if args.n_envs > 1 else torch.zeros(()),
            **{f"hint/{name}": played["hints"][..., i].sum(-1).mean() for i, name in enumerate(self.hints)},
        }

    def is_warming(self, episodes: int) -> bool:
        """Return whether the policy still learns from the plain sum after so many episodes."""
        return episodes <= self.args.warm_up + self.args.inner

    def _learn(self, steps: int) -> None:
        """Take steps of the policies on stored episodes."""
        args, memory = self.args, self.memory
        count = min(self.rounds * args.n_envs, memory["stored.mask"].shape[1])
        drawn = torch.randint(count, (steps, args.learners, args.batch_size), device=args.device)
        last = steps - args.n_envs * args.inner
        if self._is_barfi and args.solve == "unrolled":
            # Through the newer of these steps the outer loop goes, once it sees what they came to.
            self._move_policy(drawn[:last])
            state = [name for name in memory if name.startswith("theta")]
            memory |= {f"unrolled.{name}": memory[name].clone() for name in state}
            self._replayed = drawn = drawn[last:]
        self._move_policy(drawn)

    def _move_policy(self, drawn: Tensor) -> None:
        """Take a step up L with every policy for each of `drawn` `[steps, R, batch_size]`, places of kept episodes."""
        if len(drawn):
            episodes = kept(self.memory, drawn.transpose(0, 1).flatten(1))
            self._climb(episodes, self.args.method, len(drawn))

    def _climb(self, episodes: Batch, method: str, steps: int = 1) -> None:
        """Take steps up L, on episodes `[R, steps * N, T, ...]`, N for each.

        What they pay is worked out for all at once: weights and discount stand still meanwhile.
        """
        returns = torch.vmap(partial(self.objectives.returns, method=method))(self._outer(), episodes)
        whole = {"x": self.features.of(episodes["obs"]), "returns": returns, **episodes}
        of_steps = {name: part.chunk(steps, dim=1) for name, part in whole.items()}
        for k in range(steps):
            batch = {name: parts[k] for name, parts in of_steps.items()}
            x, returns = batch.pop("x"), batch.pop("returns")
            slope = torch.vmap(self.objectives.slope)(self.memory["theta"], x, batch, returns)
            self._ascend("theta", slope, self.args.learning_rate)

    # -- the outer loop ------------------------------------------------------------------------------

    def _outer(self) -> dict[str, Tensor]:
        return {"phi": self.memory["phi"], "horizon": self.memory["horizon"]}

    def _move_blend(self, seen: Batch, count: int) -> None:
        """Take one step up J with the blends, by implicit differentiation; `count` stored episodes are older."""
        args = self.args
        size = (args.learners, args.curvature_batch * args.batch_size)
        sample = kept(self.memory, torch.randint(count, size, device=args.device))
        slope, signal = torch.vmap(self.objectives.implicit)(
            self.memory["theta"], self._outer(), seen, sample
        )
        self._follow(slope, signal)

    def _move_blend_unrolled(self, seen: Batch) -> None:
        """Take one step up J with the blends, through the last round's steps of the policies."""
        memory = self.memory
        steps = [kept(memory, index) for index in self._replayed]
        batches = {name: torch.stack([step[name] for step in steps], dim=1) for name in steps[0]}
        begun = [memory[f"unrolled.{name}"] for name in memory if name.split(".")[0] == "theta"]
        slope = torch.vmap(self.objectives.through_steps)(begun, self._outer(), seen, batches)
        self._follow(slope, torch.zeros(self.args.learners, device=self.args.device))

    def _follow(self, slope: dict[str, Tensor], signal: Tensor) -> None:
        self._ascend("phi", slope["phi"], self.args.blend_rate)
        if self.args.gamma_rate:
            self._ascend("horizon", slope["horizon"], self.args.gamma_rate)
        # No spread among the primary returns is no signal: then the outer loop stands still, or drifts.
        self.told["signal"] = signal.mean()

    def _ascend(self, name: str, slope: Tensor, rate: float) -> None:
        """Take one step of the optimiser with all learners; it works number by number, so they need no axis."""
        kept = [key for key in self.memory if key.rpartition(".")[0] == name]
        memory = [self.memory[key] for key in kept]
        if self.args.optimiser == "adam":
            memory[2] = memory[2].view(-1, *[1] * (slope.dim() - 1))
        moved, memory = ascend(self.args.optimiser, rate, self.memory[name], slope, memory)  # type: ignore[assignment]
        self.memory[name] = moved
        self.memory |= {key: part.view_as(self.memory[key]) for key, part in zip(kept, memory, strict=True)}

    # -- what is remembered, and told ----------------------------------------------------------------

    def state(self) -> Memory:
        """Return all that a round changes."""
        worlds = {f"worlds.{name}": part for name, part in self.worlds.state_dict().items()}
        recent = torch.stack(list(self.returns)) if self.returns else torch.zeros(0)
        numbers = {"recent": recent, "numbers": numbers_state(self.args.device)}
        replayed = {"replayed": self._replayed} if hasattr(self, "_replayed") else {}
        return {**self.memory, **worlds, **numbers, **replayed}

    def restore(self, saved: Memory, rounds: int) -> None:
        """Take up what `state` gave."""
        set_numbers_state(self.args.device, saved.pop("numbers"))
        self.worlds.reset()
        worlds = {name[7:]: saved.pop(name) for name in list(saved) if name.startswith("worlds.")}
        self.worlds.load_state_dict(worlds)
        self.returns.extend(saved.pop("recent"))
        if "replayed" in saved:
            self._replayed = saved.pop("replayed")
        self.memory, self.rounds = saved, rounds

    def progress(self) -> dict[str, float | None]:
        """Return what the last round was like, and the mean primary return of the last `log_every` rounds."""
        told: dict[str, float | None] = {name: float(value) for name, value in self.told.items()}
        told["return"] = float(torch.stack(list(self.returns)[-self.args.log_every :]).mean())
        if self._is_barfi:
            told["gamma"] = float(torch.sigmoid(self.memory["horizon"]).mean())
            recent = self.memory["stored.obs"][:, : min(self.rounds * self.args.n_envs, 32)]
            _, main, others = torch.vmap(self.blend.weights)(
                self.memory["phi"], self.blend_features.of(recent)
            )
            told["weight/primary"] = float(main.mean())
            told |= {f"weight/{name}": float(others[..., i].mean()) for i, name in enumerate(self.hints)}
        return told

    def learned(self) -> LearnedBlend:
        """Return what the blends have become, with the newest states of the best learner."""
        returns = self.last_returns()
        best = int(returns.argmax())
        done = self.rounds * self.args.n_envs
        recent = {name: part[best] for name, part in newest(self.memory, done, 32).items()}
        met = recent["mask"].flatten().nonzero().squeeze(1)[-MET:]
        weights = self.objectives.state(recent) @ self.memory["phi"][best]
        bare = recent[self.objectives.reads]
        columns = self.blend.columns

        def at(part: Tensor) -> Any:
            return part.flatten(0, 1)[met].cpu().double().numpy()

        numbers = self.parts.inputs or [f"obs[{i}]" for i in range(bare.shape[-1])]
        return LearnedBlend(
            primary=self.primary.rpartition(".")[2],
            hints=self.hints,
            columns=columns,
            signals=self.blend_features.signals(numbers),
            features=self.blend_features.expressions,
            phi=self.memory["phi"].cpu().double().numpy(),
            discounts=torch.sigmoid(self.memory["horizon"]).cpu().double().numpy(),
            returns=returns.cpu().double().numpy(),
            states=at(bare),
            weights={name: at(weights[..., i]) for i, name in enumerate(columns)},
            paid={
                self.primary.rpartition(".")[2]: at(recent["primary"]),
                **{name: at(recent["hints"][..., i]) for i, name in enumerate(self.hints)},
            },
        )

    def last_returns(self) -> Tensor:
        """Return the mean primary return of each learner's last `WINDOW` episodes, `[R]`."""
        rounds = -(-WINDOW // self.args.n_envs)
        return torch.stack(list(self.returns)[-rounds:]).mean((0, 2))


# -- running it ----------------------------------------------------------------------------------------------


def train(args: Args, console: Any = None) -> dict[str, float]:
    """Train, or go on; return the mean primary return of the last 200 episodes, over the learners and by learner.

    Raises:
        RewardSpecError: Whatever is wrong with the spec, the settings, the device or the run folder.
    """
    refuse_numbers(args)
    args = with_folder(args, "barfi")
    tasks = read_tasks(args.spec, None, args.env, args.gamma, begun_in=copied("barfi", args))
    agent = Barfi(args, tasks)
    rounds = max(1, -(-args.episodes // args.n_envs))
    most = rounds * args.n_envs * args.learners * agent.horizon
    (program,) = tasks.programs.values()
    with recording("barfi", args, program, steps=most, spec_text=tasks.text, console=console) as run:
        done = 0
        if run.arrays:
            done = int(run.notes["rounds"])
            agent.restore(from_arrays(run.arrays, args.device), done)
        for i in range(done + 1, rounds + 1):
            agent.round()
            steps = i * args.n_envs * args.learners * agent.horizon  # slots of time, used or not
            if i % args.log_every == 0 or i == rounds:
                run.log(steps, {"episodes": float(i * args.n_envs), **agent.progress()})
                if run.is_due or i == rounds:
                    run.save(steps, to_arrays(agent.state()), {"rounds": i})
                    if args.method == "barfi":
                        text = json.dumps(agent.learned().to_data())
                        write_whole(run.folder.path / FILE, lambda file, text=text: file.write(text.encode()))
        last = agent.last_returns().cpu().numpy()
        result = {"return": float(np.mean(last))}
        if args.learners > 1:
            result |= {f"return/{i}": float(value) for i, value in enumerate(last)}
        run.finish(result)
    return result


if __name__ == "__main__":
    sys.exit(run_command("barfi", Args, train, sys.argv[1:]))
