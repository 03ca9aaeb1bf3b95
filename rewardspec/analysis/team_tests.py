"""The tests of a spec for several agents: of its parts, and of all agents together on recorded joint transitions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rewardspec.analysis.recorded import KEYS, RecordedError, transition_of
from rewardspec.analysis.spec_tests import TOLERANCE, Row, TestResult, run_tests
from rewardspec.errors import Problem, SpecError, list_names, near_miss
from rewardspec.ir.layout import space_of
from rewardspec.spec.declarations import TestSpec
from rewardspec.spec.model import Spec
from rewardspec.spec.parts import parts
from rewardspec.team.compile import TeamProgram, compile_team
from rewardspec.transition import Transition


def run_team_tests(spec: Spec, only: str = "") -> tuple[TestResult, ...]:
    """Run the tests of joint terms and of every entry, then those of all agents together.

    A trace in an entry's `tests:` is one agent's, one in `joint:` the team's. At the top stand transitions with a
    mapping for each agent (`{scout: {reward: 1}, pilot: {reward: 0}}`), and what each is paid, shares included.

    Raises:
        SpecError: When a test itself is wrong.
    """
    team = compile_team(spec)
    results: list[TestResult] = []
    problems: list[Problem] = []
    for name, part in parts(spec):
        try:
            found = run_tests(part, only=only)
            results += [replace(result, name=f"{name}: {result.name}") for result in found]
        except SpecError as error:
            problems.extend(error.problems)
    for i, test in enumerate(spec.tests):
        if only in test.name:
            try:
                results.append(_together(spec, team, test, i))
            except SpecError as error:
                problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return tuple(results)


def _together(spec: Spec, team: TeamProgram, test: TestSpec, index: int) -> TestResult:
    """Return what all agents are paid on recorded joint transitions, through the wrapper itself."""
    from rewardspec.wrappers.parallel import wrap_parallel

    def fail(code: str, message: str, *path: str | int, hint: str = "") -> SpecError:
        place = spec.place(("tests", index, *path))
        return SpecError(Problem(code, message, place, (hint,) if hint else ()))

    if test.transitions is None:
        hint = (
            "A trace of one agent stands in its entry's `tests:`, one of the team in `joint: {tests: ...}`."
        )
        raise fail("wrong-value", "a test of all agents together has 'transitions', not a 'trace'", hint=hint)
    if not isinstance(test.return_, Mapping):
        hint = "For example `return: {agent_0: 1, agent_1: 0.5}`."
        raise fail("wrong-value", "a test of all agents together says what each agent is paid", hint=hint)
    tape = [_read(step, t, fail) for t, step in enumerate(test.transitions)]
    agents = list(dict.fromkeys(name for step in tape for name in step))
    for name in test.return_:
        if name not in agents:
            hint = f"The transitions have: {list_names(agents)}.{near_miss(name, agents)}"
            raise fail(
                "no-such-agent", f"'{name}' is no agent of these transitions", "return", name, hint=hint
            )
    env = wrap_parallel(_tape_env(tape, agents, test.end), team, label=_labels_of(tape), detail=True)
    env.reset()
    rows: list[Row] = []
    totals = dict.fromkeys(agents, 0.0)
    for now in tape:
        actions = {name: _given(step.action) for name, step in now.items()}
        _, rewards, terminations, truncations, _ = env.step(actions)
        for name, paid in rewards.items():
            totals[name] += paid
        over = not env.agents
        ended, cut = over and all(terminations.values()), over and any(truncations.values())
        rows.append(Row((), env.joint_states, {n: rewards.get(n, 0.0) for n in agents}, ended, cut))
        if over:
            break
    differences = [
        f"return of {name}: expected {expected:g}, got {totals[name]:g}"
        for name, expected in test.return_.items()
        if not math.isclose(totals[name], expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    ]
    return TestResult(test.name, tuple(differences), tuple(rows))


def _read(step: Mapping[str, Any], t: int, fail: Any) -> dict[str, Transition]:
    """Return one joint transition: a transition for each agent that acts."""
    found: dict[str, Transition] = {}
    for name, data in step.items():
        if not isinstance(data, Mapping):
            hint = "As in {agent_0: {reward: 1, next_obs: [0, 2]}, agent_1: {reward: 0}}."
            raise fail(
                "wrong-type",
                f"'{name}' needs a mapping of what it saw, did and got",
                "transitions",
                t,
                hint=hint,
            )
        try:
            found[name] = transition_of(data)
        except RecordedError as error:
            code = "unknown-key" if error.key not in KEYS else "wrong-value"
            raise fail(code, error.message, "transitions", t, name, error.key, hint=error.hint) from None
    return found


def _labels_of(tape: list[dict[str, Transition]]) -> Any:
    """Return a labelling function that says what the transitions say; what is true of any agent is true of the team."""

    def label(env: Any, agent: str | None, step: Transition) -> list[str]:
        now = tape[env.at - 1]
        told = [now[name].label or {} for name in (now if agent is None else [agent]) if name in now]
        return [name for said in told for name, holds in said.items() if holds]

    return label


def _tape_env(tape: list[dict[str, Transition]], agents: list[str], end: str | None) -> Any:
    """Return an environment of several agents that plays recorded transitions."""
    from pettingzoo import ParallelEnv

    first = {name: next(step[name] for step in tape if name in step) for name in agents}

    class Tape(ParallelEnv[str, Any, Any]):  # type: ignore[misc]
        """Who acts on a step is who is named in it; what is left out of a transition is 0."""

        metadata: dict[str, Any] = {"name": "tape"}  # noqa: RUF012

        def __init__(self) -> None:
            self.possible_agents, self.agents = agents, list[str]()
            self.at = 0
            self.seen = {n: space_of(_given(first[n].obs, first[n].next_obs)) for n in agents}
            self.done = {n: space_of(_given(first[n].action)) for n in agents}

        def observation_space(self, agent: str) -> Any:
            return self.seen[agent]

        def action_space(self, agent: str) -> Any:
            return self.done[agent]

        def reset(self, seed: int | None = None, options: Any = None) -> Any:
            self.at, self.agents = 0, list(tape[0])
            begun = {n: _given(tape[0][n].obs, tape[0][n].next_obs) for n in self.agents}
            return begun, {n: {} for n in self.agents}

        def step(self, actions: dict[str, Any]) -> Any:
            now = tape[self.at]
            self.at += 1
            following = tape[self.at] if self.at < len(tape) else {}
            is_last = not following
            ends = {n: bool(s.terminated) or (is_last and end == "terminated") for n, s in now.items()}
            cuts = {n: bool(s.truncated) or (is_last and end == "truncated") for n, s in now.items()}
            after = {
                n: _given(s.next_obs, following[n].obs if n in following else None, s.obs)
                for n, s in {**now, **following}.items()
            }
            self.agents = [n for n in following if not (ends.get(n) or cuts.get(n))]
            return (
                after,
                {n: s.reward for n, s in now.items()},
                ends,
                cuts,
                {n: s.info for n, s in now.items()},
            )

    return Tape()


def _given(*values: Any) -> Any:
    """Return the first value that is given, 0 where none is."""
    return next((value for value in values if value is not None), np.zeros(()))
