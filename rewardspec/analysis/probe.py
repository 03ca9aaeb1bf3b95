"""What only an environment can tell: the range of each term over random episodes, and wrong declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from rewardspec.analysis.lints.learned import rankings
from rewardspec.analysis.subject import Subject, inspect, is_judged, is_learned
from rewardspec.compiler import compile_spec
from rewardspec.environments import choose_environment, make_environment
from rewardspec.errors import MismatchError, Problem, RewardSpecError, SpecError
from rewardspec.kinds.markov import Markov
from rewardspec.lowering import Path
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Schedule, Term
from rewardspec.wrappers.labelling import Label
from rewardspec.wrappers.single import wrap

SIGNAL = "signal "
"""What the name of a term that only measures a signal begins with: no user's term is named so."""

FACTOR = "factor "
"""Likewise, of a term that only measures what a learner will compare."""

BASE, OWN_END = "environment reward", "environment end"

MAX_STEPS = 10_000
"""Steps after which an episode that nothing ends is left."""

RATIO = 1_000.0

TOLERANCE = 1e-6


@dataclass
class Measured:
    """What one term paid, or what one signal was, over random episodes.

    Attributes:
        low: Least value on a step.
        high: Greatest value on a step.
        total: Sum of absolute values over all steps.
        returns: Undiscounted sum of each episode.
    """

    low: float = float("inf")
    high: float = float("-inf")
    total: float = 0.0
    returns: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Take in the value of one step."""
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.total += abs(value)
        self.returns[-1] += value

    @property
    def mean_return(self) -> float:
        """Mean undiscounted sum of an episode."""
        return float(np.mean(self.returns)) if self.returns else 0.0


@dataclass(frozen=True)
class EnvReport:
    """What random episodes showed.

    Attributes:
        findings: Where they disagree with the spec, and what they never showed.
        terms: By term, what it paid.
        signals: By signal, its values (numbers only).
        seen: By proposition, the share of steps on which it was true.
        lengths: Steps of each episode.
    """

    findings: tuple[Problem, ...]
    terms: Mapping[str, Measured]
    signals: Mapping[str, Measured]
    seen: Mapping[str, float]
    lengths: tuple[int, ...]


def check_env(
    spec: Spec,
    env: gym.Env[Any, Any] | str | None = None,
    episodes: int = 20,
    seed: int = 0,
    *,
    label: Label | None = None,
) -> EnvReport:
    r"""Return what random episodes say about a spec.

    Args:
        spec: The spec.
        env: The environment or its gymnasium id; the spec's own when not given.
        episodes: Episodes to play with uniformly random actions.
        seed: Seed of environment and actions.
        label: Labelling function, as for `wrap`.

    Raises:
        SpecError: The spec does not compile.
        MismatchError: The environment lacks what the spec reads, or cannot be made.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> report = check_env(loads("name: up\nreward: 1 - abs(next_obs[2])"), "CartPole-v1", episodes=2)
        >>> 0.5 < report.terms["markov"].low < report.terms["markov"].high <= 1
        True
    """
    subject = inspect(spec)
    measuring = with_measurements(subject)
    made = env is None or isinstance(env, str)
    host = make_env(spec, env) if env is None or isinstance(env, str) else env
    try:
        wrapped = wrap(host, measuring, label=label, observe="none", detail=True)
        run = _Run(spec, [term.name for term in wrapped.program.terms])
        failure: tuple[Problem, ...] = ()
        try:
            for episode in range(episodes):
                run.play(wrapped, seed + episode)
        except RewardSpecError as error:
            failure = error.problems
        horizon = host.spec.max_episode_steps if host.spec is not None else None
    finally:
        if made:
            host.close()  # type: ignore[no-untyped-call]
    findings = (*failure, *run.findings(subject, horizon))
    return EnvReport(findings, run.terms, run.signals, run.shares(), tuple(run.lengths))


def make_env(spec: Spec, env: str | None) -> gym.Env[Any, Any]:
    """Make the environment of that id, or the one that the spec names.

    Raises:
        MismatchError: There is none of that id, or none is named.
    """
    name, arguments = choose_environment(env, spec.env)
    if name is None:
        hint = "Name one, or add `env: {id: ...}` to the spec."
        raise MismatchError(Problem("no-environment", "no environment was named", hints=(hint,)))
    return make_environment(name, **arguments)


def with_measurements(subject: Subject) -> Spec:
    """Return the spec with terms that pay what is to be measured: signals, factors, the own reward, the own end.

    Terms that are learned, or told by a judge, are left out: nobody has learned them yet, and nobody is asked.
    """
    spec = subject.spec
    known = [
        term.model_copy(update={"name": name})
        for i, (name, term) in enumerate(zip(subject.names, spec.reward, strict=True))
        if not is_learned(subject.paid["reward", i])
        and not is_judged(subject.paid["reward", i], subject.program)
    ]
    extra = [
        Term(kind="markov", body=Markov(value=text), name=name)
        for name, text in ((BASE, "reward"), (OWN_END, "where(terminated, 1, 0)"))
    ]
    for name in _scalar_signals(spec):
        extra.append(Term(kind="markov", body=Markov(value=name), name=SIGNAL + name))
    for name, (_, text) in _factors(subject).items():
        extra.append(Term(kind="markov", body=Markov(value=text), name=name))
    return spec.model_copy(update={"reward": (*known, *extra), "tests": ()})


def _factors(subject: Subject) -> dict[str, tuple[Path, str]]:
    """Return what learners will compare: by the name that it is measured under, its path and its expression."""
    found: dict[str, tuple[Path, str]] = {}
    for path, factors in rankings(subject):
        for i, factor in enumerate(factors):
            found[f"{FACTOR}{len(found)} {factor.name}"] = ((*path, i), factor.value)
    return found


def _scalar_signals(spec: Spec) -> Iterator[str]:
    """Yield the signals with a declared range: those are numbers."""
    for name, signal in spec.signals.items():
        if signal.range is None:
            continue
        term = Term(kind="markov", body=Markov(value=name), name=SIGNAL + name)
        try:
            compile_spec(spec.model_copy(update={"reward": (term,), "tests": ()}))
        except SpecError:
            continue
        yield name


class _Run:
    """Random episodes and what was measured on them."""

    def __init__(self, spec: Spec, names: list[str]) -> None:
        self.spec = spec
        self.measured = {name: Measured() for name in names}
        self.true: dict[str, int] = dict.fromkeys(spec.propositions, 0)
        self.lengths: list[int] = []

    @property
    def terms(self) -> dict[str, Measured]:
        """What the spec's own terms paid."""
        return {name: m for name, m in self.measured.items() if not _is_ours(name)}

    @property
    def signals(self) -> dict[str, Measured]:
        """The values of signals."""
        return {name.removeprefix(SIGNAL): m for name, m in self.measured.items() if name.startswith(SIGNAL)}

    def shares(self) -> dict[str, float]:
        """Return the share of steps on which each proposition was true."""
        steps = max(1, sum(self.lengths))
        return {name: count / steps for name, count in self.true.items()}

    def play(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Play one episode."""
        env.reset(seed=seed)
        env.action_space.seed(seed)
        for measured in self.measured.values():
            measured.returns.append(0.0)
        self.lengths.append(0)
        over = False
        while not over and self.lengths[-1] < MAX_STEPS:
            _, _, terminated, truncated, info = env.step(env.action_space.sample())
            over = bool(terminated or truncated)
            self.lengths[-1] += 1
            detail = info["rewardspec"]
            for name, value in detail["terms"].items():
                self.measured[name].add(float(value))
            for name in detail["true"]:
                if name in self.true:
                    self.true[name] += 1

    def findings(self, subject: Subject, max_steps: int | None) -> Iterator[Problem]:
        """Yield what the episodes say against the spec."""
        if not self.lengths or not sum(self.lengths):
            return
        yield from self._ranges(subject)
        yield from self._ends(subject, max_steps)
        yield from self._silent(subject)
        yield from self._constant_factors(subject)
        yield from self._dwarfed(subject)

    def _ranges(self, subject: Subject) -> Iterator[Problem]:
        for name, measured in self.signals.items():
            low, high = sorted(self.spec.signals[name].range or (0.0, 0.0))
            if measured.low < low - TOLERANCE or measured.high > high + TOLERANCE:
                yield subject.finding(
                    "signal-out-of-range",
                    "warning",
                    f"the signal '{name}' was between {measured.low:.4g} and {measured.high:.4g}; "
                    f"its declared range is {low:g} to {high:g}",
                    ("signals", name, "range"),
                    ("Widen the range: the checks that compare amounts rely on it.",),
                )
        declared = self.spec.env.base_reward if self.spec.env else None
        base = self.measured[BASE]
        if declared and (base.low < min(declared) - TOLERANCE or base.high > max(declared) + TOLERANCE):
            yield subject.finding(
                "base-reward-out-of-range",
                "warning",
                f"the environment's own reward was between {base.low:.4g} and {base.high:.4g}; "
                f"declared is {min(declared):g} to {max(declared):g}",
                ("env", "base_reward"),
                ("Widen the range: the checks that compare amounts rely on it.",),
            )

    def _ends(self, subject: Subject, max_steps: int | None) -> Iterator[Problem]:
        horizon, longest = subject.horizon, max(self.lengths)
        limit = max_steps if max_steps is not None else longest
        if horizon is not None and (longest > horizon or (max_steps is not None and max_steps != horizon)):
            yield subject.finding(
                "horizon-mismatch",
                "warning",
                f"the declared horizon is {horizon}, the environment's is {limit}",
                ("env", "horizon"),
                (f"Write `horizon: {limit}`, or make the environment with `max_episode_steps={horizon}`.",),
            )
        early = sum(1 for total in self.measured[OWN_END].returns if total)
        if early and subject.ends_early is False:
            yield subject.finding(
                "early-end-mismatch",
                "warning",
                f"{early} of {len(self.lengths)} random episodes were terminated by the environment; "
                "the spec says `ends_early: false`",
                ("env", "ends_early"),
                ("Write `ends_early: true`.",),
            )

    def _silent(self, subject: Subject) -> Iterator[Problem]:
        steps = sum(self.lengths)
        for name, count in self.true.items():
            if count in (0, steps):
                yield subject.finding(
                    "proposition-never-changed",
                    "info",
                    f"'{name}' was {'true' if count else 'false'} on all {steps} steps of "
                    f"{len(self.lengths)} random "
                    "episodes",
                    ("propositions", name),
                    ("A goal may be too far for random actions; anything else may be misread.",),
                )
        for i, name in enumerate(subject.names):
            if name not in self.terms:  # it is learned, or told by a judge
                continue
            if not self.terms[name].total and not isinstance(self.spec.reward[i].weight, Schedule):
                yield subject.finding(
                    "term-never-paid",
                    "info",
                    f"'{name}' paid 0 on all {steps} steps of {len(self.lengths)} random episodes",
                    ("reward", i),
                    ("An agent that explores at random gets no sign of it: shaping or `progress` may help.",),
                )

    def _constant_factors(self, subject: Subject) -> Iterator[Problem]:
        for name, (path, _) in _factors(subject).items():
            measured = self.measured[name]
            if measured.low == measured.high:
                yield subject.finding(
                    "factor-never-changed",
                    "info",
                    f"the factor '{name.split()[-1]}' was {measured.low:.4g} on all {sum(self.lengths)} steps of "
                    f"{len(self.lengths)} random episodes",
                    path,
                    ("Until it changes it tells no two segments apart: the other factors decide alone.",),
                )

    def _dwarfed(self, subject: Subject) -> Iterator[Problem]:
        steady = [
            name
            for name, term in zip(subject.names, self.spec.reward, strict=True)
            if not isinstance(term.weight, Schedule) and name in self.terms
        ]
        felt = {name: self.terms[name].total for name in steady if self.terms[name].total > 0}
        if len(felt) < 2:
            return
        largest = max(felt, key=lambda name: felt[name])
        for name, total in felt.items():
            if total * RATIO < felt[largest]:
                yield subject.finding(
                    "dwarfed-term",
                    "warning",
                    f"over random episodes '{name}' paid {total / len(self.lengths):.3g} an episode in "
                    "absolute value, "
                    f"'{largest}' {felt[largest] / len(self.lengths):.3g}: {felt[largest] / total:,.0f} "
                    "times as much",
                    ("reward", subject.names.index(name)),
                    (f"A weight of about {felt[largest] / total / 10:.2g} would let it be felt.",),
                )


def _is_ours(name: str | None) -> bool:
    return name in (BASE, OWN_END) or (name or "").startswith((SIGNAL, FACTOR))
