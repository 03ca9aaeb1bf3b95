"""How agents that live on the device are trained: one loop, one checkpoint and one result for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from agents.bounds import refuse_numbers
from agents.command import copied, placed, read_arguments, run
from agents.device import (
    Memory,
    Tasks,
    captured,
    copies,
    from_arrays,
    make_worlds,
    numbers_state,
    read_tasks,
    refuse_compiling,
    refuse_graphs,
    set_numbers_state,
    take_up,
    to_arrays,
)
from agents.recording import recording
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.learning.learner import RewardLearner

LEARNER = "learner."
"""How the names of a learner's arrays begin in a checkpoint."""


class Resident:
    """What agents on the device have in common: episodes summed up, an iteration that can be captured, its state.

    An agent adds its weights to `memory` and writes `iterate`, `schedule`, `losses` and `evaluate`.

    Attributes:
        args: The agent's arguments.
        gamma: The discount.
        names: Names of the specs.
        worlds: The environments with their specs.
        learner: Learns what the spec leaves to be learned; None where that is nothing.
        memory: All that changes in training besides the worlds: tensors that keep their addresses.
        steps: Environment steps of an iteration, over all environments.
    """

    learns_rewards = False

    def __init__(self, args: Any, tasks: Tasks, *, stacked: bool = False) -> None:
        """Make the worlds, with nothing played.

        Raises:
            UnsupportedError: `unknown-device`, `needs-compiler`; what `make_worlds` refuses.
        """
        if args.cuda_graphs:
            refuse_graphs(args.device)
        if args.compile:
            refuse_compiling(args.device)
        self.args, self.gamma, self.names, device = args, tasks.gamma, tuple(tasks.specs), args.device
        self.learner = learner_of(args, tasks, self.learns_rewards)
        self.worlds: Any = make_worlds(
            tasks, args.n_envs, device, args.seed, stacked=stacked, learner=self.learner
        )
        many, batch = len(self.names), args.n_envs
        self.memory: Memory = {
            "return": torch.zeros(batch, device=device),
            "length": torch.zeros(batch, device=device),
            # episodes, sum of their returns, sum of their lengths, by spec
            "finished": torch.zeros(3, many, device=device),
        }
        self.steps = batch
        self._which = torch.arange(many, device=device).unsqueeze(1)
        self._iterate: Callable[[], None] = self.iterate

    def score(self, reward: Tensor, ended: Tensor, infos: dict[str, Any]) -> None:
        """Sum up a step of every environment; with several specs `infos` says whose it was."""
        memory = self.memory
        returns, length = memory["return"] + reward, memory["length"] + 1
        told = torch.stack([torch.ones_like(returns), returns, length]) * ended
        if len(self.names) > 1:
            memory["finished"].add_((told.unsqueeze(1) * (infos["spec"] == self._which)).sum(2))
        else:
            memory["finished"].add_(told.sum(1, keepdim=True))
        memory["return"].copy_(torch.where(ended, torch.zeros_like(returns), returns))
        memory["length"].copy_(torch.where(ended, torch.zeros_like(length), length))

    def warm_up(self) -> None:
        """Do what comes before the first iteration of a new run."""

    def schedule(self, done: int, iterations: int) -> None:
        """Set what changes over the run, before the iteration after `done` of them."""
        raise NotImplementedError

    def iterate(self) -> None:
        """Step and learn. Nothing here waits for the device."""
        raise NotImplementedError

    def losses(self) -> dict[str, float]:
        """Return what the last update said; waits for the device."""
        raise NotImplementedError

    def evaluate(self, tasks: Tasks) -> dict[str, float]:
        """Return the mean return of the actions held for best, by spec."""
        raise NotImplementedError

    def capture(self) -> None:
        """Capture an iteration in a CUDA graph, if that is wanted."""
        if self.args.cuda_graphs:
            self._iterate = captured(self.iterate, self.state, self.restore, self.worlds)

    def run(self) -> None:
        """Do an iteration, as it is done fastest here."""
        self._iterate()

    def state(self) -> Memory:
        """Return copies of all that an iteration changes, random numbers apart."""
        return copies(self.memory, self.worlds)

    def restore(self, saved: Memory) -> None:
        """Take up what `state` gave; memory keeps its addresses."""
        take_up(self.memory, self.worlds, saved)

    def progress(self) -> dict[str, float | None]:
        """Return what has happened since the last call; waits for the device."""
        self.worlds.check()
        episodes, returns, lengths = self.memory["finished"].cpu().double().numpy()
        self.memory["finished"].zero_()
        told: dict[str, float | None] = {}
        if len(self.names) > 1:
            told = {
                f"return/{name}": float(r / n) if n else None
                for name, r, n in zip(self.names, returns, episodes, strict=True)
            }
        total = float(episodes.sum())
        told["return"] = float(returns.sum() / total) if total else None
        told["length"] = float(lengths.sum() / total) if total else None
        return told | {"episodes": total} | self.losses()


def train_resident(
    name: str, make: Callable[[Any, Tasks], Resident], args: Any, console: Any = None
) -> dict[str, float]:
    """Train, or go on; return the result: what the actions held for best earn in the end, by spec.

    Args:
        name: The agent's name.
        make: `(args, tasks)` -> the agent.
        args: The agent's arguments.
        console: Where progress is shown.

    Raises:
        RewardSpecError: Whatever is wrong with the spec, the settings, the device or the run folder.
    """
    refuse_numbers(args)
    args = with_folder(args, name)
    tasks = read_tasks(args.spec, args.specs, args.env, args.gamma, begun_in=copied(name, args))
    agent = make(args, tasks)
    each = agent.steps
    iterations = max(1, -(-args.steps // each))
    program = next(iter(tasks.programs.values())) if args.spec is not None else tasks.programs
    with recording(
        name, args, program, steps=iterations * each, spec_text=tasks.text, console=console
    ) as run:
        if run.arrays:
            own = {name: part for name, part in run.arrays.items() if not name.startswith(LEARNER)}
            if agent.learner is not None:
                agent.learner.take_state(
                    {n[len(LEARNER) :]: a for n, a in run.arrays.items() if n not in own}
                )
            saved = from_arrays(own, args.device)
            set_numbers_state(args.device, saved.pop("numbers"))
            agent.restore(saved)
        else:
            agent.warm_up()
        agent.capture()
        for i in range(run.start // each, iterations):
            agent.schedule(i, iterations)
            agent.run()
            done = i + 1
            if done % args.log_every == 0 or done == iterations:
                run.log(done * each, agent.progress())
                if run.is_due or done == iterations:
                    state = agent.state() | {"numbers": numbers_state(args.device)}
                    run.save(done * each, to_arrays(state) | learner_arrays(agent.learner), {})
        if agent.learner is not None:
            agent.learner.save_models(run.folder.path / agent.learner.models_file)
        result = agent.evaluate(tasks)
        run.finish(result)
    return result


def learner_of(args: Any, tasks: Tasks, learns: bool) -> RewardLearner | None:
    """Return who learns what a spec leaves to be learned; None where that is nothing.

    Args:
        args: The agent's arguments.
        tasks: What is learned.
        learns: Whether the agent pays what it has taken anew.

    Raises:
        UnsupportedError: `unfit-algorithm` where it does not, or steps are captured or compiled.
    """
    if not any(program.learned for program in tasks.programs.values()) or len(tasks.specs) > 1:
        return None  # a stack refuses learned parts itself
    text, hint = None, "Train with stable-baselines3: rewardspec train SPEC."
    learner = RewardLearner(next(iter(tasks.programs.values())), seed=args.seed)
    if not learns:
        text = "this agent's replay buffer cannot be paid anew when a learned reward has changed"
    elif learner.needs_values or learner.asks_people:
        text = "regrets and people's answers are for agents of stable-baselines3"
    elif args.cuda_graphs or args.compile:
        text = "a learned reward is fitted in Python, between steps that are neither captured nor compiled"
        hint = "Leave --cuda-graphs and --compile out."
    if text is not None:
        raise UnsupportedError(Problem("unfit-algorithm", text, hints=(hint,)))
    return learner


def learner_arrays(learner: RewardLearner | None) -> dict[str, Any]:
    """Return a learner's state for a checkpoint."""
    return {} if learner is None else {f"{LEARNER}{name}": part for name, part in learner.state().items()}


# -- the command line ----------------------------------------------------------------------------------------


def run_command(
    agent: str, kind: type[Any], train: Callable[[Any, Any], dict[str, float]], command: Sequence[str]
) -> int:
    """Train as a command line says and print what came of it; return the exit status.

    Args:
        agent: The agent's name.
        kind: Its `Args`; a resumed run begins with its own.
        train: `(args, console)` -> result.
        command: Words of the command line.
    """
    from rich.console import Console

    def read() -> Any:
        return with_folder(read_arguments(kind, agent, command), agent)

    def told(args: Any) -> str:
        result = train(args, Console(stderr=True, quiet=args.quiet))
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in result.items())
        return f"{numbers}\nrun folder: {args.resume or args.folder}"

    return run(read, told)


def with_folder(args: Any, agent: str) -> Any:
    """Return the arguments with their run folder."""
    name = args.spec.stem if args.spec is not None else "tasks"
    return placed(args, f"{name}-{agent}-{args.seed}")


# -- what came of it -----------------------------------------------------------------------------------------


def returns_of(
    tasks: Tasks,
    choose: Callable[[Any, Any], Tensor],
    device: str,
    seed: int,
    *,
    stacked: bool = False,
    learner: RewardLearner | None = None,
    episodes: int = 64,
    limit: int = 2000,
) -> dict[str, float]:
    """Return the mean return of a policy, by spec and over all: one episode of each of some new environments.

    Args:
        tasks: What was learned.
        choose: Environments and their observations with memory -> actions as the environments take them.
        device: Torch device.
        seed: Seeds the environments.
        stacked: As for `make_worlds`.
        learner: Likewise: it pays as it has learned.
        episodes: How many, rounded up so that each spec has as many.
        limit: Steps after which an episode counts as it is.
    """
    many = len(tasks.specs)
    count = -(-episodes // many) * many
    worlds: Any = make_worlds(tasks, count, device, seed, stacked=stacked, learner=learner)
    obs = worlds.reset()
    returns = torch.zeros(count, device=device)
    playing = torch.ones_like(returns)
    with torch.no_grad():
        for _ in range(limit):
            obs, reward, terminated, truncated, _ = worlds.step(choose(worlds, obs))
            returns += playing * reward
            playing *= ~(terminated | truncated)
            if not playing.any():
                break
    by_spec = returns.reshape(-1, many).mean(0).tolist()
    result = {f"return/{name}": value for name, value in zip(tasks.specs, by_spec, strict=True)}
    return {**(result if many > 1 else {}), "return": float(returns.mean())}
