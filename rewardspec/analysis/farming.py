"""Signs that an agent farms its reward: repeated situations, paying loops, one term alone, return without success.

No true reward is needed: what is looked at are episodes of the trained agent and the rows of its progress. None of the
signs proves anything; each says what was seen, where the spec pays for it, and what to do if it is not what was meant.

Potentials are left out of all sums: what they pay for going round a loop is no gain for the agent (Ng, Harada and
Russell, 1999). An agent that succeeds in `DONE` of its episodes is not suspected.

Source: ours; the thresholds below were chosen on the gallery's specs (silent) and on specs written to be farmed (told).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rewardspec.analysis.intervals import Interval
from rewardspec.analysis.subject import Subject, inspect
from rewardspec.errors import FormulaError, Place, Problem
from rewardspec.kinds.reward_machine import OTHERWISE, RewardMachine
from rewardspec.logic.guards import guard_holds, parse_guard
from rewardspec.lowering import Path
from rewardspec.spec.model import Spec

SHARE = 0.5
"""A loop, or a repeated situation, is told from this share on of all that the episodes were paid above 0."""

ROUNDS = 3.0
"""And where it was gone round, or come back to, this often in an episode, on the mean."""

ALONE = 0.95
"""A term has this share of all that the terms earned, or more: the reward is concentrated in it."""

DONE = 0.9
"""Share of successes from which on an agent is not suspected."""

LEAST_ROWS = 6
"""Rows of progress with finished episodes below which no trend is claimed."""

RISE = 3.0
"""The return has risen when the last third of the rows is above the first by this many standard errors, ..."""

RISE_SHARE = 0.2
"""... and by this share of the first third's size."""

SUCCESS_RISE = 0.02
"""A success rate that rose by no more than this has not risen; and one of `SUCCESS` or more is none to complain of."""

SUCCESS = 0.5

LONGEST = 8
"""Situations of a loop that are shown."""

AGENT = "the agent"
"""What an agent is called where there is one."""

JOINT = "joint/"
"""How the names of terms begin by which an agent of several is paid for what all together do."""


@dataclass(frozen=True)
class Taken:
    """One step of an episode, as far as the signs look at it.

    Attributes:
        world: The environment's state after the step (what it shows, where it tells no more).
        memory: What the spec remembers after it: machine states, counters.
        paid: By term, what it paid.
        moves: By machine, names of its state before and after.
        true: Propositions that were true.
    """

    world: Hashable
    memory: Hashable = ()
    paid: Mapping[str, float] = field(default_factory=dict)
    moves: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    true: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Played:
    """An episode, or the beginning of one.

    Attributes:
        world: The environment's state before the first step.
        memory: What the spec remembers then.
        steps: The steps.
        success: Whether it was one; None where nobody can say.
    """

    world: Hashable
    steps: Sequence[Taken]
    memory: Hashable = ()
    success: bool | None = None


def find_farming(
    spec: Spec, episodes: Sequence[Played], who: str = AGENT, joint: Spec | None = None
) -> list[Problem]:
    """Return what episodes of a trained agent show, as warnings; a loop says what its situations would.

    Args:
        spec: The spec that paid.
        episodes: Episodes of the agent, whole or begun. What steps were paid by names that are no terms of the spec
            belongs to all that the agent was paid, but is not suspected here.
        who: What the agent is called.
        joint: What pays the agent beside the spec, by `JOINT` and the term's name.
    """
    if not episodes or has_succeeded(episodes):
        return []
    subject = inspect(spec)
    found = find_loop(subject, episodes, who)
    repeated = [] if found else find_repeated(subject, episodes, who)
    beside = None if joint is None else inspect(joint)
    return [*found, *repeated, *find_concentrated(subject, episodes, who, beside)]


def has_succeeded(episodes: Iterable[Played]) -> bool:
    """Say whether nearly all episodes of which it is known were successes."""
    told = [episode.success for episode in episodes if episode.success is not None]
    return bool(told) and sum(told) >= DONE * len(told)


# -- loops -----------------------------------------------------------------------------------------------------------


@dataclass
class _Loop:
    """A loop that was gone round: how often, what it paid by term, and one round of it."""

    rounds: int
    paid: dict[str, float]
    example: Sequence[Taken]

    @property
    def total(self) -> float:
        return sum(self.paid.values())


def find_loop(subject: Subject, episodes: Sequence[Played], who: str = AGENT) -> list[Problem]:
    """Return a warning where most of the reward is paid for going round: back to the same situation, memory included.

    Two kinds of loops are looked for: those of one machine's states, wherever the world is meanwhile, and those of the
    world and all memory together. A loop counts where one round of it is paid more than 0 in sum.
    """
    counted = _counted(subject)
    everything = counted | _elsewhere(subject, episodes)
    gained = sum(max(0.0, _sum(step, everything)) for episode in episodes for step in episode.steps)
    if gained <= 0:
        return []
    best: tuple[float, list[Problem]] = (0.0, [])
    for machine, owner in _machines(subject).items():
        if owner not in counted or any(machine not in step.moves for step in episodes[0].steps[:1]):
            continue
        loops = _machine_loops(episodes, machine, owner)
        best = max(best, _told_loops(subject, loops, episodes, gained, machine, who), key=lambda one: one[0])
    if not best[1]:
        best = _told_loops(subject, _loops(episodes, counted), episodes, gained, None, who)
    return best[1]


def _told_loops(
    subject: Subject,
    loops: Mapping[Hashable, _Loop],
    episodes: Sequence[Played],
    gained: float,
    machine: str | None,
    who: str,
) -> tuple[float, list[Problem]]:
    """Return the loops' share of all that was gained, and the warning where that is too much."""
    paying = [loop for loop in loops.values() if loop.total > 1e-9]
    rounds = sum(loop.rounds for loop in paying) / len(episodes)
    share = sum(loop.total for loop in paying) / gained
    if share < SHARE or rounds < ROUNDS:
        return share, []
    loop = max(paying, key=lambda one: one.total)
    term = max(loop.paid, key=lambda name: loop.paid[name])
    place, line = _source(subject, term, loop.example, machine)
    each = loop.total / loop.rounds
    way = _way(loop, machine)
    text = (
        f"{who} goes round in a loop that pays {each:+.4g} a round, {rounds:.3g} rounds an episode: "
        f"{min(share, 1.0):.0%} of all it is paid"
    )
    hints = (
        f"The loop: {way}.",
        f"It is '{term}' that pays for it{line}.",
        "If going round is what you want, all is well. If not: pay it once (`once`, or a machine state that is not "
        "come back to), take back on the way what was paid, use a potential, or end the episode.",
    )
    return share, [Problem("farmed-loop", text, place, hints, "warning")]


def _loops(episodes: Sequence[Played], counted: frozenset[str]) -> dict[Hashable, _Loop]:
    """Return the elementary loops of all episodes, by what they pass through: what comes back is taken off the path."""
    found: dict[Hashable, _Loop] = {}
    for episode in episodes:
        path: list[Hashable] = [(episode.world, episode.memory)]
        steps: list[Taken] = []
        at = {path[0]: 0}
        for step in episode.steps:
            here = (step.world, step.memory)
            steps.append(step)
            if here not in at:
                at[here] = len(path)
                path.append(here)
                continue
            first = at[here]
            _add(found, frozenset(path[first:]), steps[first:], counted)
            for gone in path[first + 1 :]:
                del at[gone]
            del path[first + 1 :], steps[first:]
    return found


def _machine_loops(episodes: Sequence[Played], machine: str, owner: str) -> dict[Hashable, _Loop]:
    """Return the loops of one machine's states, with what the machine's own term pays on them.

    A step on which the machine stays where it is and pays is a loop of one state; one on which it stays and pays
    nothing is none.
    """
    found: dict[Hashable, _Loop] = {}
    own = frozenset({owner})
    for episode in episodes:
        path: list[str] = []
        steps: list[Taken] = []
        for step in episode.steps:
            before, after = step.moves[machine]
            path = path or [before]
            if before == after and not step.paid.get(owner, 0.0):
                continue
            steps.append(step)
            if after not in path:
                path.append(after)
                continue
            first = path.index(after)
            _add(found, frozenset(path[first:]), steps[first:], own)
            del path[first + 1 :], steps[first:]
    return found


def _add(
    found: dict[Hashable, _Loop], key: Hashable, steps: Sequence[Taken], counted: frozenset[str]
) -> None:
    loop = found.setdefault(key, _Loop(0, {}, list(steps)))
    loop.rounds += 1
    for step in steps:
        for name in counted:
            loop.paid[name] = loop.paid.get(name, 0.0) + step.paid.get(name, 0.0)


def _way(loop: _Loop, machine: str | None) -> str:
    """Return one round in words."""
    if machine is not None:
        states = [loop.example[0].moves[machine][0], *(step.moves[machine][1] for step in loop.example)]
        shown = " -> ".join(states[: LONGEST + 1])
        return f"{machine}: {shown}{' -> ...' if len(states) > LONGEST + 1 else ''}"
    count = len({step.world for step in loop.example})
    if count == 1 and len(loop.example) == 1:
        return f"it stays where it is ({show_world(loop.example[0].world)})"
    shown = " -> ".join(show_world(step.world) for step in loop.example[:3])
    more = " -> ..." if count > 3 else ""
    return f"{len(loop.example)} steps through {count} situations, {shown}{more}"


def _source(subject: Subject, term: str, steps: Sequence[Taken], machine: str | None) -> tuple[Place, str]:
    """Return the line that pays most of a term on some steps: its machine's edge, or else the term itself."""
    path = ("reward", subject.names.index(term))
    edges: Counter[Path] = Counter()
    for name, owner in _machines(subject).items():
        if owner == term and (machine is None or machine == name):
            for step in steps:
                edge = edge_of(subject, name, step)
                if edge is not None and step.paid.get(term, 0.0) > 0:
                    edges[edge] += 1
    place = subject.spec.place(edges.most_common(1)[0][0] if edges else path)
    lines = sorted({subject.spec.place(edge).line for edge in edges} - {0})
    if len(lines) > 1:
        return place, f", on the edges in lines {', '.join(map(str, lines))}"
    return place, ""


def edge_of(subject: Subject, machine: str, step: Taken) -> Path | None:
    """Return the path of the written edge that a machine took on a step; None where none was written."""
    if machine not in step.moves:
        return None
    before, after = step.moves[machine]
    for path, _, body in subject.of_kind(RewardMachine):
        own = subject.machine(path)
        if own is None or own.name != machine:
            continue
        true = set(step.true) | {name for name in body.propositions if f"{machine}.{name}" in step.true}
        otherwise = None
        for i, edge in enumerate(body.edges):
            # A state that the compiler merged of several is named after all of them.
            leaves = not {*edge.from_, "|".join(edge.from_)}.isdisjoint({before, *before.split("|")})
            enters = edge.to is None or edge.to in {after, *after.split("|")}
            if not leaves or not enters or (edge.to is None and before != after):
                continue
            if edge.when.strip() in (OTHERWISE, "else"):
                otherwise = (*path, "edges", i)
                continue
            try:
                if guard_holds(parse_guard(edge.when), true):
                    return (*path, "edges", i)
            except FormulaError:  # was refused when the spec was compiled
                continue
        return otherwise
    return None


# -- repeated situations -----------------------------------------------------------------------------------------------


def find_repeated(subject: Subject, episodes: Sequence[Played], who: str = AGENT) -> list[Problem]:
    """Return a warning where most of the reward is paid for coming back to places, whatever the spec remembers.

    What is summed is what was paid, above 0, on arriving in a state of the world in which the episode had been before;
    from it goes what was taken off on such arrivals.
    """
    counted = _counted(subject)
    everything = counted | _elsewhere(subject, episodes)
    gained = again = 0.0
    visits: Counter[Hashable] = Counter()
    by_world: dict[Hashable, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    examples: dict[Hashable, Taken] = {}
    for episode in episodes:
        seen = {episode.world}
        for step in episode.steps:
            paid = _sum(step, counted)
            gained += max(0.0, _sum(step, everything))
            if step.world in seen:
                again += paid
                visits[step.world] += 1
                if paid > 0:
                    examples[step.world] = step
                for name in counted:
                    by_world[step.world][name] += step.paid.get(name, 0.0)
            seen.add(step.world)
    if gained <= 0 or again < SHARE * gained or not examples:
        return []
    world = max(examples, key=lambda one: sum(by_world[one].values()))
    often = visits[world] / len(episodes)
    if often < ROUNDS:
        return []
    paid_by = by_world[world]
    term = max(paid_by, key=lambda name: paid_by[name])
    each = sum(paid_by.values()) / visits[world]
    place, _ = _source(subject, term, [examples[world]], None)
    text = f"{again / gained:.0%} of all that {who} is paid is for coming back to where it was in the episode"
    hints = (
        f"Most of it in one place ({show_world(world)}): {often:.3g} times an episode, {each:+.4g} each time, "
        f"by '{term}'.",
        "If staying there is what you want, all is well. If not: pay the first visit alone (`once`, or a set function "
        "of what was visited), use a potential, or end the episode.",
    )
    return [Problem("farmed-state", text, place, hints, "warning")]


# -- one term alone ----------------------------------------------------------------------------------------------------


def find_concentrated(
    subject: Subject, episodes: Sequence[Played], who: str = AGENT, joint: Subject | None = None
) -> list[Problem]:
    """Return a warning where one term earns everything, and another that could pay has paid nothing at all.

    One of them, at least, is a term of `subject`; joint terms among themselves are looked at with all together.
    """
    could = _could(subject)
    own = {name for name, _ in could}
    if joint is not None:
        could += [(JOINT + name, place) for name, place in _could(joint)]
    elsewhere = _elsewhere(subject, episodes) - {name for name, _ in could}
    earned = {
        name: sum(max(0.0, step.paid.get(name, 0.0)) for episode in episodes for step in episode.steps)
        for name in [*(name for name, _ in could), *elsewhere]
    }
    whole = sum(earned.values())
    if len(could) < 2 or whole <= 0:
        return []
    first, place = max(could, key=lambda one: earned[one[0]])
    silent = [name for name, _ in could if earned[name] == 0]
    if earned[first] < ALONE * whole or own.isdisjoint({first, *silent}) or not silent:
        return []
    others = ", ".join(f"'{name}'" for name in silent)
    what = "the terms earn" if who == AGENT else f"{who} earns"
    text = f"{earned[first] / whole:.0%} of what {what} is earned by '{first}', and nothing by {others}"
    hints = (
        f"In {len(episodes)} episode{'s' * (len(episodes) != 1)} of the trained agent; left out are potentials and "
        "terms that can only take.",
        f"Perhaps '{first}' pays enough by itself for the agent to leave the rest. Lower its weight, gate it, or "
        "pay it as a potential; or train longer where the rest is only hard to find.",
    )
    return [Problem("concentrated-reward", text, place, hints, "warning")]


def _could(subject: Subject) -> list[tuple[str, Place]]:
    """Return the terms that can pay more than nothing, and where they stand; potentials are left out."""
    counted = _counted(subject)
    return [
        (name, subject.spec.place(("reward", i)))
        for i, name in enumerate(subject.names)
        if name in counted and _range(subject, name).high > 0
    ]


def _range(subject: Subject, name: str) -> Interval:
    (found,) = [term for term in subject.program.terms if term.name == name]
    return subject.ranges.of(found.expr)


# -- return without success --------------------------------------------------------------------------------------------


def find_rising(rows: Sequence[Mapping[str, Any]], place: Place | None = None) -> list[Problem]:
    """Return a warning where the spec's return rises over a run while the rate of successes does not.

    Args:
        rows: Rows of progress, as `rewardspec.training.recorder.Tally.row` gives them.
        place: Where the warning points to.
    """
    fresh = [row["fresh"] for row in rows if row["fresh"]["count"] and row["fresh"]["success"] is not None]
    if len(fresh) < LEAST_ROWS:
        return []
    third = len(fresh) // 3
    early, late = fresh[:third], fresh[-third:]
    success = [
        _mean([one["success"] for one in part], [one["count"] for one in part]) for part in (early, late)
    ]
    if success[1] >= SUCCESS or success[1] - success[0] > SUCCESS_RISE:
        return []
    paid = [[float(one["spec_return"]) for one in part] for part in (early, late)]
    means = [sum(part) / len(part) for part in paid]
    rise = means[1] - means[0]
    error = sum(_variance(part) / len(part) for part in paid) ** 0.5
    if rise <= max(RISE * error, RISE_SHARE * abs(means[0]), 1e-9):
        return []
    text = (
        f"the return rose from {means[0]:.4g} to {means[1]:.4g} while the successes stayed at {success[1]:.0%} "
        f"of the episodes ({success[0]:.0%} before)"
    )
    hints = (
        "The agent gets better at being paid and not at the task. See what it is paid for: `rewardspec watch RUN` "
        "shows an episode by term.",
        "Let success pay more than anything that can be had without it, and shape with potentials alone.",
    )
    return [Problem("rising-without-success", text, place or Place(), hints, "warning")]


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def _variance(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


# -- what is counted ---------------------------------------------------------------------------------------------------


def _counted(subject: Subject) -> frozenset[str]:
    """Return the terms that are looked at: all but potentials."""
    return frozenset(
        name
        for name, term in zip(subject.names, subject.spec.reward, strict=True)
        if term.kind != "potential"
    )


def _elsewhere(subject: Subject, episodes: Sequence[Played]) -> frozenset[str]:
    """Return the names by which steps were paid that are no terms of the spec: joint terms, and what is shared."""
    return frozenset(
        {name for episode in episodes for step in episode.steps for name in step.paid}
    ).difference(subject.names)


def _sum(step: Taken, counted: frozenset[str]) -> float:
    return sum(step.paid.get(name, 0.0) for name in counted)


def _machines(subject: Subject) -> dict[str, str]:
    """Return the reward machines that are terms of their own, with the term's name."""
    return {
        machine.name: subject.name(path)
        for path, _, _ in subject.of_kind(RewardMachine)
        if len(path) == 2 and (machine := subject.machine(path)) is not None
    }


def show_world(world: Hashable) -> str:
    """Return a situation in a few characters.

    Example:
        >>> show_world((3, 1))
        '(3, 1)'
    """
    text = world if isinstance(world, str) else repr(world)
    return text if len(text) <= 60 else f"{text[:57]}..."
