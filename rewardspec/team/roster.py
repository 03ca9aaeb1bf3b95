"""Who there is: the agents of an environment, their spaces, their teams, and the spec entry that each falls under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gymnasium import spaces

from rewardspec.errors import MismatchError, Place, Problem, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.spec.parts import DEFAULT


@dataclass(frozen=True)
class Roster:
    """The agents of an environment.

    Attributes:
        agents: All that there may be, in the environment's order (`possible_agents`).
        observations: Space of each one's observation.
        actions: Space of each one's action.
        teams: Each one's team; None for that of all who name none.
    """

    agents: tuple[str, ...]
    observations: Mapping[str, spaces.Space[Any]]
    actions: Mapping[str, spaces.Space[Any]]
    teams: Mapping[str, str | None]

    def select(self, who: ir.Agents, me: str | None, place: Place) -> tuple[str, ...]:
        """Return the agents that a field means, in the roster's order.

        Args:
            who: Whom the field names.
            me: The agent that reads it; None for joint terms, whose `team` is everybody in `teams`.
            place: Where the spec says so, for errors.

        Raises:
            MismatchError: `no-such-agent` when a name or pattern fits nobody.
        """
        if who.word == "agents":
            found = tuple(name for name in self.agents if fnmatchcase(name, who.pattern))
            if not found:
                raise MismatchError(no_such_agent(who.pattern, self.agents, place))
        elif who.word == "others" or (me is None and who.word == "team"):
            found = self.agents
        else:
            own = None if me is None else self.teams[me]
            found = tuple(name for name in self.agents if (self.teams[name] == own) is (who.word == "team"))
        return tuple(name for name in found if not (who.but_me and name == me))

    def of_team(self, team: str | None) -> Roster:
        """Return the roster as joint terms see it: only the agents of a team, all of them where it is None."""
        if team is None:
            return self
        kept = tuple(name for name in self.agents if self.teams[name] == team)
        return Roster(kept, self.observations, self.actions, self.teams)


def no_such_agent(pattern: str, agents: Iterable[str], place: Place) -> Problem:
    """Return the problem of a name or pattern that fits nobody."""
    known = list(agents)
    what = "fits no agent" if set(pattern) & set("*?") else "is no agent"
    hint = f"There are: {list_names(known)}.{near_miss(pattern, known)}"
    return Problem("no-such-agent", f"'{pattern}' {what} of this environment", place, (hint,))


def assign(
    patterns: Mapping[str, Place], agents: Iterable[str], place: Place | None = None
) -> dict[str, str]:
    """Return each agent's entry: its own name, else the pattern with most letters, else `default`.

    Args:
        patterns: Every entry, with the place of its key.
        agents: The environment's agents.
        place: Where the entries stand.

    Raises:
        MismatchError: `no-such-agent` for an entry that fits nobody, `agent-without-reward` for an agent that no entry
            fits, `agents-overlap` where two patterns fit equally well.

    Example:
        >>> nowhere = Place()
        >>> assign({"a_*": nowhere, "a_1": nowhere, "default": nowhere}, ["a_0", "a_1", "b"])
        {'a_0': 'a_*', 'a_1': 'a_1', 'b': 'default'}
    """
    agents = list(agents)
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for agent in agents:
        fitting = [p for p in patterns if p != DEFAULT and fnmatchcase(agent, p)]
        exact = max(map(exactness, fitting), default=0)
        best = [agent] if agent in fitting else [p for p in fitting if exactness(p) == exact]
        if len(best) > 1:
            hint = "Write an entry for the agent itself, or make one pattern longer."
            message = f"'{best[0]}' and '{best[1]}' fit the agent '{agent}' equally well"
            problems.append(Problem("agents-overlap", message, patterns[best[1]], (hint,)))
        elif best or DEFAULT in patterns:
            found[agent] = (*best, DEFAULT)[0]
        else:
            hint = "Add an entry for it, or `default: {reward: ...}` for all that are not named."
            message = f"no entry of 'agents' fits the agent '{agent}'"
            problems.append(Problem("agent-without-reward", message, place or Place(), (hint,)))
    used = set(found.values())
    for pattern, where in patterns.items():
        if pattern not in used and pattern != DEFAULT and not any(p.place == where for p in problems):
            problem = no_such_agent(pattern, agents, where)
            if any(fnmatchcase(agent, pattern) for agent in agents):
                message = f"'{pattern}' counts for nobody: a more exact entry fits each agent that it fits"
                problem = Problem("no-such-agent", message, where, problem.hints)
            problems.append(problem)
    if problems:
        raise MismatchError(problems)
    return found


def exactness(pattern: str) -> int:
    """Return how exact a pattern is: its characters that stand for themselves."""
    return sum(character not in "*?" for character in pattern)
