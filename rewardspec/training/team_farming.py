"""What a trained team does with its rewards: `farming.py` for several agents, program by program.

Each agent's own terms are looked at in its own episodes, and what all together are paid in the team's. An agent is in
the state that the environment tells of itself, or else in the one that it sees; what it is paid by joint terms, and of
what is shared, counts as its reward but is not its own doing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rewardspec.analysis.farming import JOINT, Played, Taken, find_farming, find_rising
from rewardspec.errors import Problem
from rewardspec.spec.model import Spec
from rewardspec.spec.parts import EVERYBODY, agent_parts, joint_part
from rewardspec.training.farming import (
    EPISODES,
    as_key,
    memory,
    steps_to_play,
    told_situation,
    write_warnings,
)
from rewardspec.training.folder import RunFolder
from rewardspec.wrappers.parallel import ParallelRewardSpec
from rewardspec.wrappers.seats import Running

Act = Callable[[str, Any], Any]
"""From an agent's name and observation to its action."""

TEAM = "the team"
"""What all agents together are called."""


@dataclass
class TeamPlayed:
    """A sample of a team's episodes.

    Attributes:
        agents: By name or pattern of the spec's `agents:`, the episodes of all agents that it is for.
        joint: The same episodes as the joint terms pay for them; none where there are none.
        episodes: Episodes that were begun.
        steps: Steps of them; a step of all agents is one.
    """

    agents: dict[str, list[Played]] = field(default_factory=lambda: defaultdict(list))
    joint: list[Played] = field(default_factory=list)
    episodes: int = 0
    steps: int = 0


def look_back(
    run: RunFolder, spec: Spec, played: TeamPlayed, rows: Sequence[Mapping[str, Any]]
) -> list[Problem]:
    """Write what episodes and rows of a team's run show into its folder, and return it.

    Args:
        run: The run folder.
        spec: The spec.
        played: The sample.
        rows: Rows of progress.
    """
    found = [*find_team_farming(spec, played), *find_rising(rows, spec.place(()))]
    write_warnings(run, played.episodes, played.steps, found)
    return found


def find_team_farming(spec: Spec, played: TeamPlayed) -> list[Problem]:
    """Return what a team's episodes show, as warnings: of all together first, then of each entry's agents."""
    joint = joint_part(spec)
    found = [] if joint is None else find_farming(joint, played.joint, TEAM)
    for name, part in agent_parts(spec).items():
        who = "each agent" if name == EVERYBODY else f"each of '{name}'" if "*" in name else f"'{name}'"
        if part.reward and played.agents.get(name):
            found += find_farming(part, played.agents[name], who, joint)
    return found


# -- the sample --------------------------------------------------------------------------------------------------------


def sample_team(env: ParallelRewardSpec, act: Act, *, trained: int, seed: int) -> TeamPlayed:
    """Play a few episodes of a trained team.

    Args:
        env: Made with `detail=True`.
        act: The policies; their choices are drawn by torch's generator, which is seeded here.
        trained: Steps that the team trained for.
        seed: Of episodes and choices.
    """
    from stable_baselines3.common.utils import set_random_seed

    left = steps_to_play(trained)
    set_random_seed(seed)
    found = TeamPlayed()
    while found.episodes < EPISODES and left > 0:
        tapes, taken = _play(env, act, seed if not found.episodes else None, left)
        left -= taken
        found.episodes, found.steps = found.episodes + 1, found.steps + taken
        for name, tape in tapes.items():
            if name is None:
                found.joint.append(tape.played())
            else:
                found.agents[env.entries[name]].append(tape.played())
    return found


def _play(
    env: ParallelRewardSpec, act: Act, seed: int | None, left: int
) -> tuple[dict[str | None, _Tape], int]:
    """Play an episode, or `left` steps of it; return what each agent did, under None what all did, and the steps."""
    observations, _ = env.reset(seed=seed)
    tapes: dict[str | None, _Tape] = {}
    said: list[bool] = []
    taken = 0
    while env.agents and taken < left:
        acting = list(env.agents)
        programs = env.running(acting)
        joint = programs["joint"] if env.team.joint is not None else None
        views = {name: programs.get(f"joint: {name}", joint) for name in acting}
        for name in acting:
            if name not in tapes:
                tapes[name] = _Tape(env, programs[name], views[name])
        if joint is not None and None not in tapes:
            tapes[None] = _Tape(env, joint)
        actions = {name: act(name, observations[name]) for name in acting}
        observations, _, terminations, truncations, infos = env.step(actions)
        taken += 1
        for name in acting:
            tapes[name].take(env, _paid(env, name, infos[name]["rewardspec"]))
            success = infos[name].get("is_success", infos[name].get("success"))
            if (terminations[name] or truncations[name]) and success is not None:
                tapes[name].success = bool(success)
                said.append(bool(success))
        if joint is not None:
            tapes[None].take(env, joint.describe()["terms"])
    if None in tapes and said and not env.agents:
        tapes[None].success = all(said)
    return tapes, taken


def _paid(env: ParallelRewardSpec, name: str, told: Mapping[str, Any]) -> dict[str, float]:
    """Return what an agent was paid on a step: by its own terms, by the joint ones, and of what others earned."""
    own = env.team.entries[env.entries[name]].program.terms
    paid = {term.name: told["terms"][term.name] for term in own if term.kind != "joint"}
    paid |= {JOINT + term: value for term, value in told.get("of_joint", {}).get("terms", {}).items()}
    return paid | {f"share/{term}": value for term, value in told.get("of_share", {}).items()}


class _Tape:
    """What one program saw and did in an episode, from the step on which it begins."""

    def __init__(self, env: ParallelRewardSpec, own: Running, view: Running | None = None) -> None:
        self.own, self.view = own, view
        self.states: Mapping[str, str] = own.describe()["state"]
        self.first, self.memory = told_situation(env), self._memory()
        self.steps: list[Taken] = []
        self.success: bool | None = None

    def _memory(self) -> Hashable:
        both = [running for running in (self.own, self.view) if running is not None]
        return tuple(memory(running.program, running.state) for running in both)

    def take(self, env: ParallelRewardSpec, paid: Mapping[str, float]) -> None:
        """Take in the last step, and what it paid."""
        told, last = self.own.describe(), self.own.last_transition
        if last is None:
            return
        if not self.steps and self.first is None:
            self.first = as_key(last.obs)
        after = told["state"]
        moves = {name: (self.states[name], after[name]) for name in after}
        self.states = after
        world = told_situation(env)
        world = as_key(last.next_obs) if world is None else world
        self.steps.append(Taken(world, self._memory(), paid, moves, frozenset(told["true"])))

    def played(self) -> Played:
        """Return the episode."""
        return Played(self.first, self.steps, self.memory, self.success)
