"""Why each agent of a team was paid: an episode of a PettingZoo environment, explained program by program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rewardspec.analysis.columns import align
from rewardspec.analysis.explain import (
    MAX_EPISODE,
    EpisodeReport,
    explain_episode,
    keep,
    show_episode,
    show_paid,
    show_step,
)
from rewardspec.errors import MismatchError, Problem, list_names, near_miss
from rewardspec.parallel_environments import make_named_environment
from rewardspec.spec.model import Spec
from rewardspec.team.resolve import KEY
from rewardspec.transition import Transition

Policy = Callable[[str, Any], Any]
"""From an agent's name and observation to its action."""

TEAM = "joint"
"""What the program of all agents together is called."""


@dataclass(frozen=True)
class TeamReport:
    """An explained episode of several agents.

    Attributes:
        reports: By agent, what its own program paid; under `joint`, what the one of all together paid, and under
            `joint: <agent>` what an agent was paid by its own projection of it.
        entries: By agent, its entry in the spec.
        paid: By agent, what it was paid in all: its own terms, the joint ones, and what is shared.
        begins: By name of a report, the step of the episode at which it begins: who joins later begins later.
    """

    reports: Mapping[str, EpisodeReport]
    entries: Mapping[str, str]
    paid: Mapping[str, float]
    begins: Mapping[str, int]


def explain_team(
    spec: Spec, env_id: str = "", *, policy: Policy | None = None, seed: int = 0, max_steps: int = MAX_EPISODE
) -> TeamReport:
    """Return why each agent was paid in one episode.

    Args:
        spec: The spec, with `agents:` or without.
        env_id: The environment; the one that the spec names without.
        policy: Who does what; uniformly random actions without one.
        seed: Seed of the environment and of random actions.
        max_steps: Steps after which an episode that nothing ends is left.

    Raises:
        SpecError: The spec does not compile.
        MismatchError: The environment lacks what the spec reads, or cannot be made.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> spec = loads("agents: {default: {reward: 2 * reward}}")
        >>> told = explain_team(spec, "mpe2/simple_spread_v3")
        >>> len(told.reports["agent_0"].steps), told.paid["agent_0"] < 0
        (25, True)
    """
    from rewardspec.wrappers.parallel import wrap_parallel

    made = make_named_environment(spec, env_id)
    env = wrap_parallel(made, spec, observe=None if policy else "none", detail=True)
    try:
        return explain_play(env, policy, seed=seed, max_steps=max_steps)
    finally:
        env.close()


def explain_play(
    env: Any, policy: Policy | None = None, *, seed: int = 0, max_steps: int = MAX_EPISODE
) -> TeamReport:
    """Play one episode in an environment of `wrap_parallel(..., detail=True)` and return why each agent was paid."""
    observations, _ = env.reset(seed=seed)
    for i, name in enumerate(env.possible_agents):
        env.action_space(name).seed(seed + i)
    tapes: dict[str, list[Transition]] = {}
    programs: dict[str, Any] = {}
    begins: dict[str, int] = {}
    paid = dict.fromkeys(env.possible_agents, 0.0)
    for t in range(max_steps):
        acting = list(env.agents)
        if not acting:
            break
        actions = {
            name: env.action_space(name).sample() if policy is None else policy(name, observations[name])
            for name in acting
        }
        observations, rewards, *_ = env.step(actions)
        for name in acting:
            paid[name] += rewards[name]
        for name, running in env.running(acting).items():
            if running.last_transition is not None:
                begins.setdefault(name, t)
                programs[name] = running.program
                tapes.setdefault(name, []).append(keep(running.last_transition))
    reports = {name: explain_episode(programs[name], tape) for name, tape in tapes.items()}
    return TeamReport(reports, env.entries, {name: paid[name] for name in paid if name in tapes}, begins)


# -- pages -------------------------------------------------------------------------------------------


def show_team(report: TeamReport, *, agent: str = "", step: int | None = None, limit: int | None = 40) -> str:
    """Return the pages of the agents one below the other, what all together are paid first.

    Args:
        report: The episode.
        agent: Show this agent alone.
        step: Show this step alone, of those who act on it.
        limit: Lines of each table, as for `show_episode`.

    Raises:
        MismatchError: `no-such-agent`.
    """
    names = sorted(report.reports, key=lambda name: (name != TEAM, name in report.entries))
    if agent:
        if agent not in names:
            hint = f"There are: {list_names(names)}.{near_miss(agent, names)}"
            raise MismatchError(Problem("no-such-agent", f"'{agent}' played no step", hints=(hint,)))
        names = [agent]
    pages = []
    for name in names:
        told, begin = report.reports[name], report.begins[name]
        if step is not None and not 0 <= step - begin < len(told.steps):
            continue
        head = f"=== {name}"
        if name in report.entries:
            head += f", by '{report.entries[name]}'" if report.entries[name] != name else ""
        if begin:
            head += f", from step {begin} on"
        page = show_episode(told, limit=limit) if step is None else show_step(told, step - begin)
        page = page.replace(
            f'info["{KEY}"].', "agents."
        )  # how the host hands them in, and what a spec writes
        pages.append(f"{head} ===\n\n{page}")
    if not agent and step is None:
        rows = [["agent", "paid in all"], *([name, show_paid(paid)] for name, paid in report.paid.items())]
        pages.append("\n".join(line.rstrip() for line in align(rows, right=(1,))))
    return "\n\n".join(pages)


def length(report: TeamReport) -> int:
    """Return the steps of the episode."""
    return max((report.begins[name] + len(told.steps) for name, told in report.reports.items()), default=0)
