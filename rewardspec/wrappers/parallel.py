"""A PettingZoo environment whose agents are paid what a spec says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from rewardspec.backends.scalar import ScalarProgram, compile_scalar
from rewardspec.errors import Problem, UnsupportedError, list_names, missing_extra
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Observe, Program
from rewardspec.lowering import STRIDE
from rewardspec.spec.model import Spec
from rewardspec.team.compile import TeamProgram, compile_team, team_of_equals
from rewardspec.team.resolve import JOINT, KEY, bind_agent, reads_others, reads_spaces_of_others
from rewardspec.team.roster import Roster
from rewardspec.team.share import share_program
from rewardspec.vocabulary import from_data, load
from rewardspec.wrappers import reports, run_state
from rewardspec.wrappers.players import as_parallel, blank, idle_action, possible_agents
from rewardspec.wrappers.refusals import refuse_episode_scope, refuse_unjudged
from rewardspec.wrappers.reports import inner_report
from rewardspec.wrappers.seats import Running, Seat
from rewardspec.wrappers.single import copied
from rewardspec.wrappers.team_labels import AgentLabel, TeamLabels

try:
    from pettingzoo.utils import BaseParallelWrapper
except ImportError:
    raise missing_extra("pettingzoo", "multiagent", "wrap_parallel") from None

TeamLike = Spec | TeamProgram | Program | str | Path | Mapping[str, Any]
"""A spec, a compiled one (a single program holds for each agent), the path of a YAML file, or a spec's plain data."""


def as_team(spec: TeamLike) -> TeamProgram:
    """Return the programs of a spec for several agents, of the file or data that holds one, or themselves.

    Raises:
        SpecError: When the spec cannot be read or compiled.
    """
    if isinstance(spec, TeamProgram):
        return spec
    if isinstance(spec, Program):
        return team_of_equals(spec)
    if isinstance(spec, Mapping):
        return compile_team(from_data(dict(spec)))
    return compile_team(spec if isinstance(spec, Spec) else load(spec))


def wrap_parallel(
    env: Any,
    spec: TeamLike,
    *,
    label: AgentLabel | None = None,
    observe: Observe | None = None,
    detail: bool = False,
) -> ParallelRewardSpec:
    r"""Return a PettingZoo environment with the spec's rewards in place of its own.

    Args:
        env: A `ParallelEnv`, or an `AECEnv` that PettingZoo's own `aec_to_parallel` can convert.
        spec: A spec with `agents:`, or one without that holds for each agent; compiled, or the path of a YAML file.
        label: Labelling function for propositions that observations do not hold: called as
            `label(env, agent, transition)` after every step for each agent whose program reads labels, and with
            `agent=None` and mappings by agent in the transition for joint terms. It returns the names that are true, or
            a mapping from names to truth values.
        observe: How memory enters each agent's observation; the spec's own choice when not given.
        detail: Whether each agent's `info["rewardspec"]` tells every step's reward by term, machine states, true
            propositions and verdicts; without it the key appears on an agent's last step only.

    Returns:
        The wrapped environment. On the last step of an agent its `info["rewardspec"]` holds the totals of its terms
        (`return`), of the joint ones (`joint`) and of what was shared (`share`), what it was paid in all (`paid`) and
        what the environment paid it (`task_return`).

    Raises:
        SpecError: When the spec is wrong.
        MismatchError: When the environment or an agent lacks what the spec reads, or `agents:` fits nobody.
        UnsupportedError: `not-an-environment`, or the spec cannot be paid step by step.
        MissingExtraError: When PettingZoo is not installed.

    Example:
        >>> from mpe2 import simple_spread_v3
        >>> from rewardspec.vocabulary import loads
        >>> spec = loads("agents: {agent_0: {reward: reward}, default: {reward: mean(others.reward)}}")
        >>> env = wrap_parallel(simple_spread_v3.parallel_env(), spec)
        >>> observations, infos = env.reset(seed=0)
        >>> rewards = env.step({agent: env.action_space(agent).sample() for agent in env.agents})[1]
        >>> sorted(rewards)
        ['agent_0', 'agent_1', 'agent_2']
    """
    return ParallelRewardSpec(env, spec, label=label, observe=observe, detail=detail)


class ParallelRewardSpec(BaseParallelWrapper[str, Any, Any]):  # type: ignore[misc]
    """A PettingZoo wrapper that runs compiled programs, one for each agent; make one with `wrap_parallel`.

    Attributes:
        team: The compiled spec.
        roster: The agents that there may be, with their spaces and teams.
        agents: Those who act on the next step.
        entries: Each agent's entry in the spec.
    """

    def __init__(
        self,
        env: Any,
        spec: TeamLike,
        *,
        label: AgentLabel | None = None,
        observe: Observe | None = None,
        detail: bool = False,
    ) -> None:
        """See `wrap_parallel`."""
        env = as_parallel(env)
        super().__init__(env)
        self.team = as_team(spec)
        refuse_unpayable(self.team)
        names = possible_agents(env)
        self.possible_agents = list(names)
        self.agents: list[str] = []
        self.entries = self.team.assign(names)
        self.roster = Roster(
            names,
            {name: env.observation_space(name) for name in names},
            {name: env.action_space(name) for name in names},
            {name: self.team.entries[self.entries[name]].team for name in names},
        )
        self._detail = detail
        self._compiled: dict[tuple[Any, ...], tuple[Layout, ScalarProgram]] = {}
        self._joint: Running | None = None
        if self.team.joint is not None:
            self._joint = self._running("joint", self.team.joint, None)
        self._seats = {name: self._seat(name, observe or self.team.observe) for name in names}
        self._readers = [r for seat in self._seats.values() for r in seat.shown() if reads_keys(r.layout)]
        if self._joint is not None and reads_keys(self._joint.layout):
            self._readers.append(self._joint)
        self._labels = TeamLabels.of(env, self.team, self._seats, self._joint, label)
        self._composed = {
            name for name in names if reads_spaces_of_others(self.team.entries[self.entries[name]].program)
        }
        self._left: set[str] = set()
        self._idle = {name: idle_action(self.roster.actions[name], name) for name in names}
        self._joint_names = self._members()

    def _members(self) -> tuple[str, ...]:
        return self.roster.of_team(self.team.joint_team).agents

    def _running(self, key: str, program: Program, me: str | None) -> Running:
        """Return a program for an agent, compiled once for all whose programs are the same."""
        roster = self.roster.of_team(self.team.joint_team) if me is None else self.roster
        same: tuple[Any, ...] = (key, me)
        if me is not None and not reads_others(program):
            same = (key, repr(roster.observations[me]), repr(roster.actions[me]))
        if same not in self._compiled:
            layout = bind_agent(program, me, roster)
            self._compiled[same] = layout, compile_scalar(layout)
        return Running(*self._compiled[same])

    def _seat(self, name: str, observe: Observe) -> Seat:
        pattern = self.entries[name]
        entry = self.team.entries[pattern]
        view = None
        if self.team.is_joint_for(name, self.roster):
            view = self._joint
            if entry.projection is not None:
                view = self._running(f"projection of {pattern}", entry.projection, None)
        share = None
        if entry.share is not None:
            share = self._running("share", share_program(entry.share, name, self.roster), name)
        own = self._running(pattern, entry.program, name)
        for running in (own, view, share):
            if running is not None:
                _count_together(running, 1.0)
        return Seat(name, own, view, share, self.roster.observations[name], observe)

    # -- PettingZoo ------------------------------------------------------------------------------

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's observation, memory included; always the same object."""
        return self._seats[agent].space

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's action."""
        return self.roster.actions[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Reset the environment and begin a new episode for every agent and for the team."""
        observations, infos = self.env.reset(seed=seed, options=options)
        self.agents = list(self.env.agents)
        self._left = set()
        if self._joint is not None:
            self._joint.begin()
        for seat in self._seats.values():
            if seat.view is not None and seat.view is not self._joint:
                seat.view.begin()
            first = observations.get(seat.name)
            seat.begin(copied(first) if first is not None else blank(self.roster.observations[seat.name]),
                       dict(infos.get(seat.name, {})))  # fmt: skip
        shown = {name: self._seats[name].extend(observations[name]) for name in self.agents}
        told = {name: dict(infos.get(name, {})) for name in self.agents}
        if self._detail:
            for name in self.agents:
                told[name]["rewardspec"] = {**self._described(self._seats[name]), **inner_report(told[name])}
        return shown, told

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Step the environment, then pay: joint terms first, each agent's own, and what is shared of them last."""
        acting = self.agents
        if not acting:
            return {}, {}, {}, {}, {}
        idle = {name: self._idle[name] for name in self.env.agents if name in self._left}
        given = {name: actions[name] for name in acting if name in actions}
        step = _Step(self, acting, {**given, **idle}, self.env.step({**given, **idle}))
        step.pay()
        rewards, terminations, truncations = step.rewards, step.terminations, step.truncations
        alive = set(self.env.agents)
        joined = [name for name in self.env.agents if name not in acting and name not in self._left]
        self._left |= {n for n in acting if n in alive and (terminations[n] or truncations[n])}
        shown, infos = {}, {}
        for name in acting:
            seat = self._seats[name]
            shown[name] = seat.extend(seat.obs)
            infos[name] = self._info(seat, step.infos.get(name, {}), terminations[name] or truncations[name])
        for name in joined:
            seat = self._seats[name]
            seat.begin(copied(step.observations[name]), dict(step.infos.get(name, {})))
            shown[name], infos[name] = seat.extend(seat.obs), dict(seat.info)
            rewards[name], terminations[name], truncations[name] = 0.0, False, False
        going_on = {n for n in acting if n in alive and not (terminations[n] or truncations[n])}
        self.agents = [name for name in self.env.agents if name in going_on or name in joined]
        return shown, rewards, terminations, truncations, infos

    # -- what is told ----------------------------------------------------------------------------

    def _info(self, seat: Seat, info: Mapping[str, Any], is_last: bool) -> dict[str, Any]:
        if not is_last and not self._detail:
            return dict(info)
        described = self._described(seat) if self._detail else {}
        told: dict[str, Any] = {**described, **inner_report(info)}
        if not is_last:
            return {**info, "rewardspec": told}
        if seat.view is not None:
            told["joint"] = seat.view.totals()
        if seat.share is not None:
            told["share"] = seat.share.totals()
        told["paid"], told["task_return"] = seat.total, seat.task
        return seat.own.report(dict(info), seat.own.state, told)

    def _described(self, seat: Seat) -> dict[str, Any]:
        """Return the details of an agent's last step, those of its view of the joint terms under `of_joint`."""
        told = seat.own.describe()
        if seat.view is not None:
            told["of_joint"] = seat.view.describe()
        if seat.share is not None:
            told["of_share"] = seat.share.describe().get("terms", {})
        return told

    def running(self, agents: Iterable[str]) -> dict[str, Running]:
        """Return agents' programs by name, that of all together as `joint`, projections as `joint: <agent>`."""
        found: dict[str, Running] = {} if self._joint is None else {"joint": self._joint}
        for name in agents:
            seat = self._seats[name]
            found[name] = seat.own
            if seat.view is not None and seat.view is not self._joint:
                found[f"joint: {name}"] = seat.view
        return found

    # -- what users change and look at -------------------------------------------------------------

    @property
    def machine_states(self) -> dict[str, dict[str, str]]:
        """The name of the present state of each machine of an agent's own, by agent; see `joint_states`."""
        return {n: reports.machine_states(s.own.program, s.own.state) for n, s in self._seats.items()}

    @property
    def joint_states(self) -> dict[str, str]:
        """The name of the present state of each joint machine."""
        return {} if self._joint is None else reports.machine_states(self._joint.program, self._joint.state)

    def set_param(self, name: str, value: float, agent: str | None = None) -> None:
        """Change a number of the programs from the next step on, of one agent or of all that have it.

        Raises:
            UnsupportedError: `unknown-param` when no program has it, or the value is not finite.
        """
        seats = self._seats.values() if agent is None else [self._seats[agent]]
        running = [r for seat in seats for r in seat.shown()] + ([self._joint] if self._joint else [])
        known = dict.fromkeys(param.name for r in running for param in r.program.params)
        if name not in known or not np.isfinite(value):
            hint = f"There are: {list_names(known)}."
            message = f"no agent's program has a parameter '{name}'"
            if name in known:
                message = f"'{name}' cannot be {value}"
            raise UnsupportedError(Problem("unknown-param", message, hints=(hint,)))
        for program in running:
            for i, param in enumerate(program.program.params):
                if param.name == name:
                    program.params[i] = float(value)

    def run_state(self) -> dict[str, float]:
        """Return what outlives episodes (running statistics, counted steps, parameters), for a checkpoint."""
        found: dict[str, float] = {}
        for name, running in self._named():
            params = zip(running.program.params, running.params, strict=True)
            held = run_state.collect(running.program, running.state, {p.name: v for p, v in params})
            found |= {f"{name}: {key}": value for key, value in held.items()}
        return found

    def load_run_state(self, saved: Mapping[str, float]) -> None:
        """Take up what `run_state` gave."""
        for name, running in self._named():
            own = {key[len(name) + 2 :]: v for key, v in saved.items() if key.startswith(f"{name}: ")}
            state = list(running.state)
            names = [param.name for param in running.program.params]

            def change(param: str, value: float, running: Running = running, names: Any = names) -> None:
                running.params[names.index(param)] = value

            run_state.restore(running.program, own, state.__setitem__, change)
            running.state = tuple(state)

    def _named(self) -> list[tuple[str, Running]]:
        """Return every running program once, with a name that stays the same."""
        found = [] if self._joint is None else [("joint", self._joint)]
        for seat in self._seats.values():
            for word, running in (("own", seat.own), ("projection", seat.view), ("share", seat.share)):
                if running is not None and running is not self._joint:
                    found.append((f"{word} of {seat.name}", running))
        return found

    def count_together(self, count: int) -> None:
        """Have schedules over steps count those of `count` environments that train together."""
        for seat in self._seats.values():
            for running in seat.shown():
                _count_together(running, float(count))


class _Step:
    """One step as it is paid: what the environment gave, and what each agent gets."""

    def __init__(
        self, host: ParallelRewardSpec, acting: list[str], actions: dict[str, Any], given: tuple[Any, ...]
    ) -> None:
        self.host, self.acting, self.actions = host, acting, actions
        self.observations, self.own, self.terminated, self.truncated, self.infos = given
        self.rewards: dict[str, float] = {}
        self.terminations: dict[str, bool] = {}
        self.truncations: dict[str, bool] = {}
        self.seats = host._seats
        self.keep = host._detail
        self.table: dict[str, dict[str, Any]] = {}
        self.extra: dict[str, Any] = {KEY: self.table}

    def pay(self) -> None:
        """Work out every agent's reward and ends."""
        host = self.host
        before = {name: seat.obs for name, seat in self.seats.items()}
        for name in self.acting:
            seat = self.seats[name]
            if name in self.observations:
                seat.obs = copied(self.observations[name])
            seat.info = self.infos.get(name, seat.info)
        after = {name: seat.obs for name, seat in self.seats.items()}
        full = {name: self.actions.get(name, idle) for name, idle in host._idle.items()}
        acting = set(self.acting)
        if host._readers:
            for name, seat in self.seats.items():
                here = name in acting
                self.table[name] = {
                    "present": float(here),
                    "reward": float(self.own.get(name, 0.0)) if here else 0.0,
                    "terminated": float(bool(self.terminated.get(name, not here))),
                    "truncated": float(bool(self.truncated.get(name, False))),
                    "info": seat.info,
                    "paid": 0.0,
                    "label": {},
                }
        labels = host._labels.read(self, before, after, full) if host._labels is not None else {}
        over, cut = self._joint_step(before, after, full, labels.get(None, ()))
        for name in self.acting:
            self._own_step(name, before, after, full, labels.get(name, ()))
        for name in self.acting:
            self._share(name)
            self.terminations[name] = self.terminations[name] or (over and name in host._joint_names)
            self.truncations[name] = self.truncations[name] or (cut and name in host._joint_names)

    def _joint_step(
        self, before: dict[str, Any], after: dict[str, Any], actions: dict[str, Any], labels: tuple[bool, ...]
    ) -> tuple[bool, bool]:
        """Step what is joint, and each projection of it; return whether it ends the episode, and how."""
        joint = self.host._joint
        if joint is None:
            return False, False
        members = [name for name in self.acting if name in self.host._joint_names]
        alive = [n for n in self.host.env.agents if n in self.host._joint_names and n not in self.host._left]
        over = not alive
        flags = (
            over and all(self.terminated.get(name, False) for name in members),
            over and any(self.truncated.get(name, False) for name in members),
        )
        parts = (before, actions, after, 0.0, *flags, self.extra, labels)
        paid, ended, cut = joint.step(parts, self.keep)
        views = {id(joint): paid}
        for name in self.host._joint_names:
            view = self.seats[name].view
            if view is not None and id(view) not in views:
                names = view.layout.labels
                own = tuple(labels[joint.layout.labels.index(label)] for label in names)
                views[id(view)] = view.step((*parts[:-1], own), self.keep)[0]
        self.joint_paid = {n: views.get(id(self.seats[n].view), 0.0) for n in members}
        return ended, cut

    def _own_step(
        self,
        name: str,
        before: dict[str, Any],
        after: dict[str, Any],
        actions: dict[str, Any],
        labels: tuple[bool, ...],
    ) -> None:
        seat = self.seats[name]
        info: dict[str, Any] = dict(self.infos.get(name, {}))
        if seat.own.layout.shapes and reads_keys(seat.own.layout):
            info |= self.extra
            info[JOINT] = self.joint_paid.get(name, 0.0) if self.host._joint is not None else 0.0
        reward = self.own.get(name, 0.0)
        ends = bool(self.terminated.get(name, False)), bool(self.truncated.get(name, False))
        seen: tuple[Any, ...] = before[name], actions[name], after[name]
        if name in self.host._composed:
            seen = before, actions, after
        paid, ended, cut = seat.own.step((*seen, reward, *ends, info, labels), self.keep)
        seat.task += float(reward)
        self.rewards[name], self.terminations[name], self.truncations[name] = paid, ended, cut
        if self.table:
            self.table[name]["paid"] = paid

    def _share(self, name: str) -> None:
        seat = self.seats[name]
        if seat.share is not None:
            parts = (None, None, None, 0.0, False, False, self.extra, ())
            self.rewards[name] = seat.share.step(parts, self.keep)[0]
        seat.total += self.rewards[name]


def reads_keys(layout: Layout) -> bool:
    """Return whether a bound program reads what the host tells of other agents or of joint terms."""
    return any(f.root == "info" and f.path and f.path[0] in (KEY, JOINT) for f in layout.shapes)


def _count_together(running: Running, count: float) -> None:
    for i, param in enumerate(running.program.params):
        if param.name == STRIDE:
            running.params[i] = count


def refuse_unpayable(team: TeamProgram) -> None:
    """Raise when a program needs whole episodes, or a learner, or an agent dislikes risk.

    Raises:
        UnsupportedError: `needs-whole-episodes`, `needs-learner`, `unserved-risk`.
    """
    for pattern, entry in team.entries.items():
        if entry.risk is not None:
            text = (
                f"the agents '{pattern}' dislike risk, and no wrapper can pay that: it is no sum over steps"
            )
            hint = "Solve it with `python -m agents.psro --spec ...`, or wrap `compile_team(spec).without_risk()`."
            raise UnsupportedError(Problem("unserved-risk", text, entry.place, (hint,)))
    for _, program in team.programs():
        refuse_episode_scope(program)
        if program.learned:
            names = list_names([learned.name for learned in program.learned])
            text = f"what the term '{names}' pays is learned, and nothing here learns beside several agents"
            hints = (
                "Rewards are learned in environments of one agent: `rewardspec train`, or `RewardLearner` in Python. "
                "Here every term says what it pays, as `markov` does.",
                "Latent rewards of a team that shares a return are learned where its agents live on a device: "
                "`python -m agents.ppo_torch --spec SPEC`, or `RewardLearner.wrap_tensor`.",
            )
            raise UnsupportedError(Problem("needs-learner", text, program.learned[0].place, hints))
        refuse_unjudged(program, False, "A judge is asked under one environment of one agent: `wrap`.")
