"""From a spec for several agents to programs: one for each entry, one for what is joint, one for what is shared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from rewardspec.compiler import compile_spec
from rewardspec.errors import MismatchError, Place, Problem, SpecError
from rewardspec.ir import expr as ir
from rewardspec.ir.passes import drop_unread_propositions
from rewardspec.ir.program import Observe, Program, Term
from rewardspec.ir.show import show_field
from rewardspec.spec.agents import RiskSpec, ShareSpec
from rewardspec.spec.model import Spec
from rewardspec.spec.parts import EVERYBODY, agent_parts, joint_part
from rewardspec.team.projection import project
from rewardspec.team.resolve import find_not_reduced
from rewardspec.team.roster import Roster, assign

JOINT_TERM = "joint"
"""Name of the term by which an agent's program pays what the joint terms pay."""


@dataclass(frozen=True)
class Entry:
    """What the agents of one name or pattern get.

    Attributes:
        program: What one such agent is paid by itself, with the joint terms' payment as a term of its own.
        team: Name of its team.
        share: How it takes part in what others earn.
        risk: Which risk it dislikes; a solver's business.
        projection: The joint program as these agents can tell it; None where they see it whole, or there is none.
        place: Where the entry is declared.
    """

    program: Program
    team: str | None = None
    share: ShareSpec | None = None
    risk: RiskSpec | None = None
    projection: Program | None = None
    place: Place = field(default=Place(), compare=False, repr=False)


@dataclass(frozen=True)
class TeamProgram:
    """A compiled spec for several agents.

    Attributes:
        name: The spec's name.
        discount: The spec's discount.
        entries: By name or pattern of agents.
        joint: What is read on agents together; None where nothing is.
        joint_team: The team that the joint program is for and about; None for all agents.
        observe: How memory enters observations.
        labels: Name of a ready-made labeller.
        place: Where the entries are declared.
    """

    name: str
    discount: float | None
    entries: Mapping[str, Entry]
    joint: Program | None = None
    joint_team: str | None = None
    observe: Observe = "auto"
    labels: str | None = None
    place: Place = field(default=Place(), compare=False, repr=False)

    def programs(self) -> Iterator[tuple[str, Program]]:
        """Yield every program with a name for it: the joint one first, then each entry's."""
        if self.joint is not None:
            yield "joint", self.joint
        for pattern, entry in self.entries.items():
            yield pattern, entry.program

    def assign(self, agents: tuple[str, ...]) -> dict[str, str]:
        """Return each agent's entry.

        Raises:
            MismatchError: `no-such-agent`, `agent-without-reward`, `agents-overlap`.
        """
        found = assign({p: e.place for p, e in self.entries.items()}, agents, self.place)
        teams = {self.entries[pattern].team for pattern in found.values()}
        if self.joint_team is not None and self.joint_team not in teams:
            message = f"no agent is of the team '{self.joint_team}', which the joint terms are for"
            raise MismatchError(Problem("no-such-agent", message, self.place))
        return found

    def is_joint_for(self, agent: str, roster: Roster) -> bool:
        """Return whether an agent gets what the joint terms pay."""
        return self.joint is not None and self.joint_team in (None, roster.teams[agent])

    def without_risk(self) -> TeamProgram:
        """Return the same rewards for a solver that sees to the risk itself."""
        return replace(self, entries={name: replace(one, risk=None) for name, one in self.entries.items()})

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change when the meaning may have changed."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def compile_team(spec: Spec) -> TeamProgram:
    r"""Compile a spec for several agents; one without `agents:` is the same for all of them.

    Raises:
        SpecError: With every problem found, each with its place.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> team = compile_team(loads("agents: {scout: {reward: 1}, default: {reward: mean(others.reward)}}"))
        >>> [(pattern, len(entry.program.terms)) for pattern, entry in team.entries.items()]
        [('scout', 1), ('default', 1)]
    """
    problems: list[Problem] = []
    joint = _compile_joint(spec, problems)
    team = spec.joint.team if spec.joint is not None else None
    entries: dict[str, Entry] = {}
    for pattern, part in agent_parts(spec).items():
        entry = spec.agents.get(pattern)
        at = ("agents", pattern) if entry is not None else ("joint",) if spec.joint is not None else ()
        has_joint = joint is not None and team in (None, entry.team if entry else None)
        if not part.reward and not has_joint:
            hint = "Say what they want, as in `reward: [...]`, or give all agents something with `joint:`."
            message = f"the agents '{pattern}' are paid nothing"
            problems.append(Problem("agent-without-reward", message, spec.place_of_key(at), (hint,)))
            continue
        try:
            program = drop_unread_propositions(compile_spec(part))
        except SpecError as error:
            problems.extend(error.problems)
            continue
        problems.extend(find_not_reduced(program))
        if has_joint:
            program = replace(program, terms=(*program.terms, _joint_term(spec, program)))
        projection = None
        if entry is not None and entry.local is not None:
            projection = _project(spec, pattern, joint if has_joint else None, problems)
        share, risk = (entry.share, entry.risk) if entry is not None else (None, None)
        entries[pattern] = Entry(
            program, entry.team if entry else None, share, risk, projection, spec.place_of_key(at)
        )
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    labels = spec.env.labels if spec.env is not None else None
    place = spec.place(("agents",)) if spec.agents else spec.place(())
    return TeamProgram(spec.name, spec.discount, entries, joint, team, spec.observe, labels, place)


def team_of_equals(program: Program) -> TeamProgram:
    """Return a program as that of each of several agents."""
    entries = {EVERYBODY: Entry(program)}
    return TeamProgram(
        program.name, program.discount, entries, observe=program.observe, labels=program.labels
    )


def _compile_joint(spec: Spec, problems: list[Problem]) -> Program | None:
    part = joint_part(spec)
    if part is None:
        return None
    try:
        program = drop_unread_propositions(compile_spec(part))
    except SpecError as error:
        problems.extend(error.problems)
        return None
    problems.extend(find_not_reduced(program))
    problems.extend(_find_own(program))
    if program.learned:
        name = program.learned[0].name
        message = (
            f"what the joint term '{name}' pays is learned, and nothing here learns beside several agents"
        )
        hint = "Here every term says what it pays, as `markov` and `reward_machine` do."
        problems.append(Problem("needs-learner", message, program.learned[0].place, (hint,)))
    return program


def _find_own(program: Program) -> Iterator[Problem]:
    """Yield a problem for each field of joint terms that is read of one agent without saying of which."""
    for read in program.fields():
        own = read.who is None and read.root not in ("label", "terminated", "truncated", "future", "learned")
        relative = read.who is not None and (read.who.word in ("others", "opponents") or read.who.but_me)
        if own or relative:
            shown = show_field(read)
            hint = f"Say whose: agents.NAME.{read.root}, or of all, as in any(team.{read.root}...)."
            message = f"joint terms belong to no agent, and '{shown}' is an agent's own"
            if relative:
                message = f"joint terms belong to no agent, so there are none that '{shown}' could mean"
            yield Problem("own-signal-in-joint", message, read.place, (hint,))


def _joint_term(spec: Spec, program: Program) -> Term:
    name = JOINT_TERM
    while any(term.name == name for term in program.terms):
        name += "_"
    return Term(name, "joint", ir.Field("paid", who=ir.Agents("joint")), spec.place(("joint",)))


def _project(spec: Spec, pattern: str, joint: Program | None, problems: list[Problem]) -> Program | None:
    local = spec.agents[pattern].local or ()
    place = spec.place(("agents", pattern, "local"))
    if joint is None:
        message = (
            f"'local' says what the agents '{pattern}' can tell of joint terms, and there are none for them"
        )
        problems.append(Problem("unfit-projection", message, place, ("Add `joint:`, or leave 'local' out.",)))
        return None
    try:
        return project(joint, local, place)
    except SpecError as error:
        problems.extend(error.problems)
        return None
