"""One agent's place in an environment of several: its programs, their states, and what it is shown of them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from rewardspec.backends.arithmetic import NotFiniteError
from rewardspec.backends.scalar import ScalarProgram, State, compile_scalar
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Observe, Program
from rewardspec.transition import Transition
from rewardspec.wrappers.memory import Extension, extension
from rewardspec.wrappers.reports import EndReport, machine_states, verdicts
from rewardspec.wrappers.single import true_propositions
from rewardspec.wrappers.step_errors import explain_advance, transition_of


class Running:
    """A program that is being stepped.

    Attributes:
        layout: The program bound to spaces.
        params: Its changeable numbers, in the order of `program.params`.
        state: Its state.
        steps: Steps of the episode so far.
        paid: What it paid on the last step.
    """

    def __init__(self, layout: Layout, scalar: ScalarProgram | None = None) -> None:
        """Begin at the start; `scalar` is the compiled program where there is one already."""
        self.layout, self.program = layout, layout.program
        self.scalar = scalar or compile_scalar(layout)
        self.params = array("d", [param.initial for param in self.program.params])
        self.state: State = self.scalar.start
        self.steps, self.paid = 0, 0.0
        self.report = EndReport(self.program)
        self._before: State = self.state
        self._transition: Transition | None = None
        self._terms: tuple[float, ...] = ()

    def begin(self) -> None:
        """Begin an episode; what outlives episodes stays."""
        self.state = self.scalar.reset(self.state) if self.scalar.remembers else self.scalar.start
        self.steps, self.paid = 0, 0.0
        self._transition = None

    def step(self, parts: tuple[Any, ...], keep: bool) -> tuple[float, bool, bool]:
        """Step on what the program reads; return what it pays and the ends.

        Args:
            parts: obs, action, next_obs, reward, terminated, truncated, info, labels.
            keep: Whether to keep the step for `describe`.

        Raises:
            RewardSpecError: What went wrong, in the spec's terms.
        """
        before = self.state
        try:
            state, paid, ended, cut, terms = self.scalar.advance_terms(before, *parts, self.params)
            if paid - paid != 0.0:
                raise NotFiniteError
        except Exception as error:
            raise explain_advance(self.layout, self.params, error, self.steps, before, *parts) from error
        self.state, self.paid = state, float(paid)
        self.steps += 1
        if keep:
            self._before, self._transition = before, transition_of(self.layout, *parts)
            self._terms = tuple(map(float, terms))
        return self.paid, bool(ended), bool(cut)

    def describe(self) -> dict[str, Any]:
        """Return the details of the last step: states and verdicts, payments by term, propositions that were true."""
        told: dict[str, Any] = {
            "state": machine_states(self.program, self.state),
            "verdict": verdicts(self.program, self.state),
        }
        if self._transition is not None:
            names = (term.name for term in self.program.terms)
            told["terms"] = dict(zip(names, self._terms, strict=True))
            told["true"] = true_propositions(self.program, self._before, self._transition)
        return told

    @property
    def last_transition(self) -> Transition | None:
        """What the program read on the last step that was kept; None before the first of an episode."""
        return self._transition

    def totals(self) -> dict[str, float]:
        """Return what each term has paid in the episode so far."""
        first = len(self.program.machines) + len(self.program.folds)
        return {term.name: float(self.state[first + i]) for i, term in enumerate(self.program.terms)}


class Seat:
    """One agent: its own program, its view of the joint one, and its share.

    Attributes:
        name: The agent.
        own: Its own program.
        view: The joint program as it sees it: the one of all, or its projection; None where it gets nothing of it.
        share: What it gets of what everybody earns; None where that is what it earns itself.
        space: Space of its observation, memory included.
    """

    def __init__(
        self,
        name: str,
        own: Running,
        view: Running | None,
        share: Running | None,
        space: spaces.Space[Any],
        observe: Observe,
    ) -> None:
        """Take a place."""
        self.name, self.own, self.view, self.share = name, own, view, share
        self.space = space
        self._extensions: list[tuple[Running, Extension]] = []
        for running in self.shown():
            found = extension(running.program, self.space, observe)
            if found is not None:
                self._extensions.append((running, found))
                self.space = found.space
        self.obs: Any = None
        """Its last observation, as the environment gave it."""
        self.info: Mapping[str, Any] = {}
        """The last info that the environment gave it."""
        self.total = self.task = 0.0
        """What it was paid in the episode, and what the environment itself paid."""

    def shown(self) -> list[Running]:
        """Return the programs whose memory the agent sees, its own first."""
        return [running for running in (self.own, self.view, self.share) if running is not None]

    def begin(self, obs: Any, info: Mapping[str, Any]) -> None:
        """Begin an episode with its first observation."""
        self.own.begin()
        if self.share is not None:
            self.share.begin()
        self.obs, self.info = obs, info
        self.total = self.task = 0.0

    def extend(self, obs: Any) -> Any:
        """Return an observation with the memory that the agent sees."""
        for running, found in self._extensions:
            obs = found.extend(obs, running.state)
        return obs

    def programs(self) -> dict[str, Program]:
        """Return its programs by what reports call them."""
        named = {"": self.own, "joint": self.view, "share": self.share}
        return {name: running.program for name, running in named.items() if running is not None}
