"""Tabular Q-learning over the product of a finite world and a spec: `python -m agents.q_learning --help`.

    python -m agents.q_learning --spec examples/specs/office_coffee.yaml --method crm
    python -m agents.q_learning --specs examples/specs/office_*.yaml --method crm --shaping value_iteration
    python -m agents.q_learning --resume runs/office_coffee-crm-0

- `plain` learns from the step that was taken (QL).
- `crm` learns from the same step in every other memory state too: counterfactual experience.
- `hrm` learns a policy for every edge of the machine, all of them from every step, and which edge to aim for.

Several specs are several tasks on one world, one an episode in turn; memory states of all tasks stand in one table, so
that `crm` and `hrm` learn all tasks from every step.

Source: R. Toro Icarte, T. Q. Klassen, R. Valenzano, S. A. McIlraith, "Reward Machines: Exploiting Reward Function
Structure in Reinforcement Learning", JAIR 73 (2022), sections 3 to 5, with the constants of the authors' code. Where we
deviate, the line says so.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tyro
from numba import njit

from agents import command
from agents.bounds import refuse_numbers
from agents.recording import recording
from agents.tabular_tasks import Shaping, Tables, Task, make_task, tabled
from rewardspec import Program, compile_spec, load
from rewardspec.analysis.optimisers import check_discount, check_objective
from rewardspec.environments import choose_environment, make_environment
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.tabular.world import TabularWorld, tabulate
from rewardspec.training.folder import RunFolder


@dataclass
class Args:
    """What to learn from, and how. The constants are the published ones."""

    specs: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--spec"])] = ()
    """Specs in YAML; several are several tasks, one an episode in turn."""
    env: str | None = None
    """Gymnasium id; the one that the first spec names without."""
    method: Literal["plain", "crm", "hrm"] = "crm"
    """What is learnt from a step."""
    shaping: Shaping = "none"
    """Potential over the machine that is added while learning; `value_iteration` is the published one."""
    steps: int = 100_000
    """Environment steps."""
    seed: int = 0
    """Seed of everything random."""
    epsilon: float = 0.1
    """Probability of a random action (and of a random option)."""
    learning_rate: float = 0.5
    """Step size of every update."""
    gamma: float | None = None
    """Discount; the specs' own, and no other where they have one (0.9 where they have none)."""
    q_init: float = 2.0
    """Value of what has not been tried: above any return, so that all is tried."""
    option_success: float = 1.0
    """What an option's policy is paid beside the reward when it takes its edge."""
    option_failure: float = 0.0
    """What it is paid when the machine goes elsewhere."""
    machine_discount: float = 0.9
    """Discount of the value iteration on the machine, for shaping."""
    bootstrap_at_limit: bool = True
    """Go on beyond the time limit when learning; the authors' plain Q-learning stops there, their CRM does not."""
    eval_every: int = 1_000
    """Steps between two evaluations of the greedy policy."""
    eval_episodes: int = 100
    """Episodes of an evaluation, where the world is random (one where it is not)."""
    window: int = 100
    """Latest episodes, per task, over which reward per step is averaged."""
    folder: Path | None = None
    """Run folder; runs/<spec>-<method>-<seed> without."""
    resume: Path | None = None
    """Run folder to go on with, with its own arguments."""
    quiet: bool = False
    """Show no progress."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints."""


# -- the kernels -----------------------------------------------------------------------------------------------------


class Rates(NamedTuple):
    """The constants of an update."""

    epsilon: float
    alpha: float
    gamma: float
    success: float
    failure: float
    bootstrap_at_limit: bool


class Position(NamedTuple):
    """Where a run stands; a kernel goes on from here and leaves the new position here."""

    random: npt.NDArray[np.uint64]  # [1]
    place: npt.NDArray[np.int64]  # [7] task, state, memory, step of the episode, option, its start, its steps
    sums: npt.NDArray[np.float64]  # [2] reward of the episode, discounted reward of the option
    possible: npt.NDArray[np.bool_]  # [U] memory that the episode may be in as far as the latest label tells


class Episodes(NamedTuple):
    """Episodes that ended in a call."""

    reward: npt.NDArray[np.float64]
    length: npt.NDArray[np.int64]
    task: npt.NDArray[np.int64]


@njit(cache=True, inline="always")
def draw(random):
    """Return a number in [0, 1): SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), a generator of one word."""
    random[0] += np.uint64(0x9E3779B97F4A7C15)
    z = random[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 1.1102230246251565e-16


@njit(cache=True, inline="always")
def choose(q, s, low, high, epsilon, random):
    """Return an epsilon-greedy choice from `q[s, low:high]`; what is equally good is drawn from alike."""
    if draw(random) < epsilon:
        return low + int(draw(random) * (high - low))
    best, ties, choice = q[s, low], 1, low
    for i in range(low + 1, high):
        if q[s, i] > best:
            best, ties, choice = q[s, i], 1, i
        elif q[s, i] == best:
            ties += 1
    if ties == 1:
        return choice
    skip = int(draw(random) * ties)
    for i in range(choice, high):
        if q[s, i] == best:
            if skip == 0:
                return i
            skip -= 1
    return choice


@njit(cache=True, inline="always")
def pick(cumulative, row, random):
    """Return an index drawn by a row of cumulative probabilities; nothing is drawn where there is one."""
    if cumulative[row, 0] >= 1.0:
        return 0
    u, i = draw(random), 0
    while i < cumulative.shape[1] - 1 and u >= cumulative[row, i]:
        i += 1
    return i


@njit(cache=True, inline="always")
def largest(q, row, low, high):
    """Return the largest of `q[row, low:high]`."""
    best = q[row, low]
    for i in range(low + 1, high):
        best = max(best, q[row, i])
    return best


@njit(cache=True)
def begin_episode(tables, position):
    """Begin the next task's episode."""
    place = position.place
    place[0] = (place[0] + 1) % len(tables.begin)
    place[1] = tables.starts[pick(tables.start, 0, position.random)]
    place[2], place[3], place[4] = tables.begin[place[0]], 0, -1
    position.sums[0] = 0.0
    position.possible[:] = True


@njit(cache=True, inline="always")
def narrow(possible, following, row):
    """Keep as possible the memory to which some memory leads on the latest transition.

    Elsewhere the episode cannot be; the authors' code learns nothing there either. What is possible is worked out
    from all memory, not only from what was possible before, as in their code.
    """
    possible[:] = False
    for v in range(len(possible)):
        if following[row, v] < len(possible):
            possible[following[row, v]] = True


@njit(cache=True)
def learn_values(tables, rates, position, q, counterfactual, steps, episodes):
    """Take steps and learn Q from each, in the memory that it was taken in or in all that are possible.

    Row s * U + u of `q` holds the values of the actions in state s and memory u; row (s * A + a) * K + k of the
    tables is an outcome.
    """
    random, place, sums, possible = position.random, position.place, position.sums, position.possible
    following, learnt, learnt_at_limit = tables.next_memory, tables.learnt, tables.learnt_at_limit
    paid, paid_at_limit, terminated = tables.paid, tables.paid_at_limit, tables.terminated
    truncated, next_state, chance, horizon = (
        tables.truncated,
        tables.next_state,
        tables.chance,
        tables.horizon,
    )
    actions, outcomes, memory, ended = q.shape[1], chance.shape[1], following.shape[1], 0
    for _ in range(steps):
        s, u = place[1], place[2]
        a = choose(q, s * memory + u, 0, actions, rates.epsilon, random)
        row = (s * actions + a) * outcomes + pick(chance, s * actions + a, random)
        s2 = next_state[row]
        place[3] += 1
        at_limit = place[3] == horizon

        for v in range(memory if counterfactual else 1):
            w = v if counterfactual else u
            if counterfactual and not possible[w]:
                continue
            goal = learnt_at_limit[row, w] if at_limit else learnt[row, w]
            if not terminated[row, w] and (rates.bootstrap_at_limit or not at_limit):
                goal += rates.gamma * largest(q, s2 * memory + following[row, w], 0, actions)
            q[s * memory + w, a] += rates.alpha * (goal - q[s * memory + w, a])

        if counterfactual:
            narrow(possible, following, row)
        sums[0] += paid_at_limit[row, u] if at_limit else paid[row, u]
        place[1], place[2] = s2, following[row, u]
        if at_limit or terminated[row, u] or truncated[row, u]:
            episodes.reward[ended], episodes.length[ended] = sums[0], place[3]
            episodes.task[ended] = place[0]
            ended += 1
            begin_episode(tables, position)
    return ended


@njit(cache=True)
def learn_options(tables, rates, position, q, controller, steps, episodes):
    """Take steps and learn from each a policy per option, and when options end which to choose.

    Row s * O + o of `q` holds the values of the actions for option o; row s of `controller` those of the options.
    """
    random, place, sums, possible = position.random, position.place, position.sums, position.possible
    following, learnt, learnt_at_limit = tables.next_memory, tables.learnt, tables.learnt_at_limit
    paid, paid_at_limit, terminated = tables.paid, tables.paid_at_limit, tables.terminated
    truncated, next_state, chance, horizon = (
        tables.truncated,
        tables.next_state,
        tables.chance,
        tables.horizon,
    )
    origin, target, first = tables.origin, tables.target, tables.first
    actions, outcomes, options, ended = q.shape[1], chance.shape[1], controller.shape[1], 0
    for _ in range(steps):
        s, u = place[1], place[2]
        if place[4] < 0:
            place[4] = choose(controller, s, first[u], first[u + 1], rates.epsilon, random)
            place[5], place[6], sums[1] = s, 0, 0.0
        a = choose(q, s * options + place[4], 0, actions, rates.epsilon, random)
        row = (s * actions + a) * outcomes + pick(chance, s * actions + a, random)
        s2 = next_state[row]
        place[3] += 1
        at_limit = place[3] == horizon

        # Every option's own policy: paid for taking its edge, over when the machine moves.
        for o in range(options):
            w = origin[o]
            if not possible[w]:
                continue
            goal = learnt_at_limit[row, w] if at_limit else learnt[row, w]
            if following[row, w] != w:
                goal += rates.success if following[row, w] == target[o] else rates.failure
            elif rates.bootstrap_at_limit or not at_limit:
                goal += rates.gamma * largest(q, s2 * options + o, 0, actions)
            q[s * options + o, a] += rates.alpha * (goal - q[s * options + o, a])

        # The choice among options, when the option ends: a step of as many steps as the option took.
        sums[1] += rates.gamma ** place[6] * (learnt_at_limit[row, u] if at_limit else learnt[row, u])
        place[6] += 1
        u2, over = following[row, u], terminated[row, u]
        # The authors let an option run on beyond the time limit into the next episode; ours ends there.
        stop = over or at_limit or truncated[row, u]
        if u2 != u or stop:
            goal = sums[1]
            if not over and (rates.bootstrap_at_limit or not at_limit):
                goal += rates.gamma ** place[6] * largest(controller, s2, first[u2], first[u2 + 1])
            controller[place[5], place[4]] += rates.alpha * (goal - controller[place[5], place[4]])
            place[4] = -1

        narrow(possible, following, row)
        sums[0] += paid_at_limit[row, u] if at_limit else paid[row, u]
        place[1], place[2] = s2, u2
        if stop:
            episodes.reward[ended], episodes.length[ended] = sums[0], place[3]
            episodes.task[ended] = place[0]
            ended += 1
            begin_episode(tables, position)
    return ended


@njit(cache=True)
def play(tables, gamma, q, controller, task, episodes, random):
    """Return the mean discounted return of the greedy policy on a task; `controller` is empty without options."""
    total, actions, outcomes = 0.0, q.shape[1], tables.chance.shape[1]
    width = controller.shape[1] or tables.next_memory.shape[1]
    for _ in range(episodes):
        s, u, t = tables.starts[pick(tables.start, 0, random)], tables.begin[task], 0
        o, weight = -1, 1.0
        while weight > 1e-9 and t < 1_000_000:
            if len(controller) and o < 0:
                o = tables.first[u] + np.argmax(controller[s, tables.first[u] : tables.first[u + 1]])
            a = np.argmax(q[s * width + (o if o >= 0 else u)])
            row = (s * actions + a) * outcomes + pick(tables.chance, s * actions + a, random)
            t += 1
            at_limit = t == tables.horizon
            total += weight * (tables.paid_at_limit[row, u] if at_limit else tables.paid[row, u])
            if at_limit or tables.terminated[row, u] or tables.truncated[row, u]:
                break
            u2 = tables.next_memory[row, u]
            o = o if u2 == u else -1
            s, u, weight = tables.next_state[row], u2, weight * gamma
    return total / episodes


# -- learning --------------------------------------------------------------------------------------------------------


@dataclass
class Learner:
    """An agent while it learns.

    Attributes:
        tasks: What it learns.
        args: How.
        gamma: The discount.
        q: `[S * U, A]`, or `[S * O, A]` with options.
        controller: `[S, O]`, values of options; empty without.
        position: Where the run stands.
        recent: Reward per step of the latest episodes, in parts of the optimum.
    """

    tasks: Sequence[Task]
    args: Args
    gamma: float
    tables: Tables = field(init=False)
    q: npt.NDArray[np.float64] = field(init=False)
    controller: npt.NDArray[np.float64] = field(init=False)
    position: Position = field(init=False)
    recent: deque[float] = field(init=False)
    episodes: int = 0

    def __post_init__(self) -> None:
        """Begin: nothing learnt, first episode of the first task."""
        self.tables = tables = tabled(self.tasks)
        world, memory = self.tasks[0].product.world, tables.paid.shape[1]
        options = len(tables.origin) if self.args.method == "hrm" else 0
        self.q = np.full((world.n_states * (options or memory), world.n_actions), self.args.q_init)
        self.controller = np.full((world.n_states, options) if options else (0, 0), self.args.q_init)
        self.position = Position(
            np.array([self.args.seed], np.uint64),
            np.zeros(7, np.int64),
            np.zeros(2),
            np.ones(memory, np.bool_),
        )
        draw(self.position.random)
        self.position.place[0] = -1
        begin_episode(tables, self.position)
        self.recent = deque(maxlen=self.args.window * len(self.tasks))

    def learn(self, steps: int) -> Episodes:
        """Take that many steps; return the episodes that ended."""
        args = self.args
        rates = Rates(
            args.epsilon,
            args.learning_rate,
            self.gamma,
            args.option_success,
            args.option_failure,
            args.bootstrap_at_limit,
        )
        room = Episodes(np.zeros(steps), np.zeros(steps, np.int64), np.zeros(steps, np.int64))
        where = (self.tables, rates, self.position, self.q)
        if args.method == "hrm":
            ended = learn_options(*where, self.controller, steps, room)
        else:
            ended = learn_values(*where, args.method == "crm", steps, room)
        done = Episodes(room.reward[:ended], room.length[:ended], room.task[:ended])
        best = np.array([task.per_step or np.nan for task in self.tasks])
        self.recent.extend((done.reward / done.length / best[done.task]).tolist())
        self.episodes += ended
        return done

    def returns(self) -> list[float]:
        """Return the greedy policy's discounted return on each task."""
        random = np.array([self.args.seed + 1], np.uint64)
        sure = len(self.tables.starts) == 1 and bool((self.tables.chance[:, 0] >= 1.0).all())
        episodes = 1 if sure else self.args.eval_episodes
        where = (self.tables, self.gamma, self.q, self.controller)
        return [play(*where, task, episodes, random) for task in range(len(self.tasks))]

    def row(self) -> dict[str, float | None]:
        """Return what there is to log."""
        found = self.returns()
        parts = [
            value / task.optimum for value, task in zip(found, self.tasks, strict=True) if task.optimum > 0
        ]
        row: dict[str, float | None] = {
            "return": float(np.mean(found)),
            "return/of_optimum": float(np.mean(parts)) if parts else None,
            "return/least_of_optimum": float(np.min(parts)) if parts else None,
            "reward_per_step/of_optimum": float(np.mean(self.recent)) if self.recent else None,
            "episodes": float(self.episodes),
        }
        if len(found) > 1:
            row |= {f"return/{task.name}": value for task, value in zip(self.tasks, found, strict=True)}
        return row

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything that the run needs to go on."""
        place = self.position._asdict()
        return {"q": self.q, "controller": self.controller, "recent": np.array(self.recent), **place}

    def go_on(self, arrays: dict[str, npt.NDArray[Any]], episodes: int) -> None:
        """Take up a run where it stopped."""
        self.q, self.controller = arrays["q"], arrays["controller"]
        self.position = Position(*(arrays[name] for name in Position._fields))
        self.recent.extend(arrays["recent"].tolist())
        self.episodes = episodes


def prepare(args: Args) -> tuple[list[Task], float]:
    """Return the specs' tasks on the world that the first of them names, and the discount.

    A run that is gone on with reads its folder's copy of the specs.

    Raises:
        UnsupportedError: `no-environment`, `needs-machine`, `discount-mismatch`.
        RewardSpecError: Whatever is wrong with a spec or the world.
    """
    begun_in = command.copied("q_learning", args)
    specs = (
        [load(path) for path in args.specs]
        if begun_in is None
        else command.held_specs(begun_in, len(args.specs))
    )
    gamma = args.gamma if args.gamma is not None else specs[0].discount or 0.9
    problems = [
        problem
        for spec in specs
        for problem in check_discount(spec, gamma) + check_objective(spec, "this agent")
    ]
    if problems:
        raise UnsupportedError(problems)
    named = specs[0].env
    env_id, arguments = choose_environment(args.env, named)
    if env_id is None:
        raise UnsupportedError(
            Problem("no-environment", "the spec names no environment", hints=("Name one with --env.",))
        )
    world = tabulate(make_environment(env_id, **arguments))
    return [task_of(compile_spec(spec), world, args, gamma) for spec in specs], gamma


def task_of(program: Program, world: TabularWorld, args: Args, gamma: float) -> Task:
    """Return a task as the arguments want it learnt.

    Raises:
        UnsupportedError: `needs-machine`.
    """
    return make_task(
        program,
        world,
        gamma,
        method=args.method,
        shaping=args.shaping,
        epsilon=args.epsilon,
        machine_discount=args.machine_discount,
    )


def main(args: Args) -> RunFolder:
    """Learn, or go on learning."""
    if not args.specs:
        sys.exit("say what to learn from: --spec FILE (or --resume FOLDER)")
    refuse_numbers(args)
    tasks, gamma = prepare(args)
    learner = Learner(tasks, args, gamma)
    args = with_folder(args)
    programs = {f"{i} {task.name}": task.product.program for i, task in enumerate(tasks)}
    text = (
        "" if args.resume else command.joined([Path(path).read_text(encoding="utf-8") for path in args.specs])
    )
    with recording(
        "q_learning", args, programs, steps=args.steps, spec_text=text, console=console(args)
    ) as run:
        if run.arrays:
            learner.go_on(run.arrays, int(run.notes["episodes"]))
        reached = run.notes.get("reached")
        row: dict[str, float | None] = {}
        for step in range(run.start, args.steps, args.eval_every):
            done = min(step + args.eval_every, args.steps)
            learner.learn(done - step)
            row = learner.row()
            run.log(done, row)
            least = row["return/least_of_optimum"]
            if reached is None and least is not None and least >= 0.95:
                reached = done
            if run.is_due or done == args.steps:
                run.save(done, learner.arrays(), {"episodes": learner.episodes, "reached": reached})
        optimum = {task.name: task.optimum for task in tasks}
        run.finish({**row, "optimum": optimum, "steps_to_95_per_cent": reached})
        return run.folder


def console(args: Args) -> Any:
    """Return where progress is shown; nowhere when it should be quiet."""
    from rich.console import Console

    return Console(stderr=True, quiet=args.quiet)


def read_arguments(words: Sequence[str]) -> Args:
    """Return the arguments of a command line; `--resume FOLDER` brings those that its run was begun with.

    Raises:
        UnsupportedError: `not-a-run-folder`, `settings-changed`.
    """
    return with_folder(command.read_arguments(Args, "q_learning", words, __doc__))


def with_folder(args: Args) -> Args:
    """Return the arguments with their run folder."""
    name = Path(args.specs[0]).stem if len(args.specs) == 1 else "tasks"
    return command.placed(args, f"{name}-{args.method}-{args.seed}")


if __name__ == "__main__":
    sys.exit(command.run(lambda: read_arguments(sys.argv[1:]), lambda args: f"run folder: {main(args).path}"))
