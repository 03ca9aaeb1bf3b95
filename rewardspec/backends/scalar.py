"""One environment, as fast as hand-written Python: the program becomes one Python function.

The function's text is generated from the IR alone (`emitter.py`, `fused_text.py`). It holds operators, generated
names (`x7`, `u0`) and numbers written by `repr(float)`; whatever came from a user - keys, names - is bound to a
generated name in the function's namespace and is never part of the text. Numbers are Python's own: an
observation is turned into a list once (`tolist`), because arithmetic on NumPy scalars is ten times slower.

There are two forms of the same statements: `advance`, a pure function of the state and the transition, and
`fuse`, a closure that steps the environment itself and keeps the state in its own variables, which saves
building a tuple, a call and a dozen look-ups in every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from rewardspec.backends.emitter import Emitter
from rewardspec.backends.fused_text import fused_text
from rewardspec.backends.python_text import PARTS, function_text, tuple_text
from rewardspec.ir.layout import Layout
from rewardspec.sets.family import Single

State = tuple[Any, ...]
"""Machine states, folds, the episode's total of each term, then what sets remember."""


@dataclass(frozen=True)
class ScalarProgram:
    """A program for one environment.

    Attributes:
        layout: The program bound to spaces.
        start: State at the start of a run.
    """

    layout: Layout
    start: State

    def __reduce__(self) -> tuple[Callable[[Layout], ScalarProgram], tuple[Layout]]:
        return compile_scalar, (self.layout,)

    @cached_property
    def remembers(self) -> bool:
        """Whether any of the state outlives an episode."""
        return any(fold.scope == "run" for fold in self.layout.program.folds)

    @cached_property
    def advance(self) -> Callable[..., Any]:
        """The program as a pure function.

        `advance(state, obs, action, next_obs, reward, terminated, truncated, info, labels, params, future)`
        gives `(state, reward, terminated, truncated)`; `labels` stand in the order of `layout.labels`,
        `params` in that of `program.params`. A reward that is not finite comes out as it is: hosts must
        check.

        Raises:
            NotFiniteError: When a value is NaN that the reward would not show (a comparison's, say).
        """
        return _bind(self.layout, "advance")

    @cached_property
    def advance_terms(self) -> Callable[..., Any]:
        """The same with the tuple of the terms' payments at the end."""
        return _bind(self.layout, "advance_terms")

    @property
    def source(self) -> str:
        """Text of the generated function, for readers."""
        return _advance_text(Emitter(self.layout), "advance")

    def reset(self, state: State) -> State:
        """Return the state at the start of the next episode: values of run scope are kept."""
        program = self.layout.program
        machines = len(program.machines)
        kept = [
            state[machines + i] if fold.scope == "run" else fold.start for i, fold in enumerate(program.folds)
        ]
        return (*self.start[:machines], *kept, *self.start[machines + len(kept) :])


@dataclass(frozen=True)
class FusedStep:
    """`step` of a gymnasium environment as one generated closure that holds the program's state.

    Attributes:
        step: `step(action)` -> what a gymnasium environment returns.
        begin: `begin(env_step, state, steps, obs)`: go on from there; every episode begins so.
        read: `read()` -> `(state, steps, obs)`.
        show: `show(obs, state)` -> an observation with the present memory, where this does it faster than others.
    """

    step: Callable[[Any], tuple[Any, float, bool, bool, dict[str, Any]]]
    begin: Callable[[Callable[[Any], Any], State, int, Any], None]
    read: Callable[[], tuple[State, int, Any]]
    show: Callable[[Any, State], Any] | None = None


def compile_scalar(layout: Layout) -> ScalarProgram:
    """Return the functions for one environment; they are generated when first asked for."""
    program = layout.program
    start: State = (
        *(m.start for m in program.machines),
        *(f.start for f in program.folds),
        *(0.0 for _ in program.terms),
        *(part for grown in program.sets for part in Single(grown.function).start),
    )
    return ScalarProgram(layout, start)


def fuse(
    layout: Layout,
    params: Sequence[float],
    *,
    explain: Callable[..., Exception],
    report: Callable[[dict[str, Any], State], dict[str, Any]],
    read_labels: Callable[..., tuple[bool, ...]] | None = None,
    read_ready: Callable[..., tuple[bool, ...]] | None = None,
    remember: Callable[[Any], Any] | None = None,
    extend: Callable[[Any, State], Any] | None = None,
) -> FusedStep:
    """Return a program's step fused with the environment's.

    Args:
        layout: The program bound to the environment's spaces.
        params: Values of the program's parameters; they are read anew in every step.
        explain: `explain(error, steps, state, obs, action, next_obs, reward, terminated, truncated, info,
            labels)` gives the exception to raise. The state is that before the step, and stays.
        report: `report(info, state)` -> the info of the last step of an episode.
        read_labels: `read_labels(obs, action, next_obs, reward, terminated, truncated, info)`.
        read_ready: `read_ready(action, next_obs, info)`, in its place.
        remember: `remember(next_obs)` -> what to keep as `obs` for the next step; None where nobody reads it.
        extend: `extend(next_obs, state)` -> the observation to return.
    """
    optional = {"read_labels": read_labels, "read_ready": read_ready, "remember": remember, "extend": extend}
    present: dict[str, Any] = {name: hook for name, hook in optional.items() if hook is not None}
    present |= {"explain": explain, "report": report}
    source, namespace = fused_text(layout, frozenset(present))
    return FusedStep(*_made(source, {**namespace, "params": params, **present}, "fused")())


def fused_source(layout: Layout, hooks: frozenset[str] = frozenset()) -> str:
    """Return the text that `fuse` runs, for readers."""
    return fused_text(layout, hooks)[0]


def _bind(layout: Layout, name: Literal["advance", "advance_terms"]) -> Callable[..., Any]:
    """Return the generated function of that name."""
    emitter = Emitter(layout)
    return _made(_advance_text(emitter, name), emitter.namespace, name)


def _made(source: str, namespace: Mapping[str, Any], name: str) -> Callable[..., Any]:
    """Return what a generated text defines."""
    scope = dict(namespace)
    exec(compile(source, f"<rewardspec {name}>", "exec"), scope)  # our own text: see the module's head
    made: Callable[..., Any] = scope[name]
    return made


def _advance_text(emitter: Emitter, name: Literal["advance", "advance_terms"]) -> str:
    """Return the text of the pure function."""
    terms, news, flags = emitter.body()
    unfelt = emitter.unfelt()
    if unfelt:
        # One sum finds a NaN in any value read; infinities of both signs make one too, so look again.
        emitter.emit(f"c = {' + '.join(unfelt)}")
        emitter.emit(f"if c != c: _refuse_nan({tuple_text(unfelt)})")
    extra = f", {tuple_text(terms)}" if name == "advance_terms" else ""
    result = [tuple_text(news), emitter.reward(terms), flags["terminated"], flags["truncated"]]
    emitter.emit(f"return {', '.join(result)}{extra}")
    arguments = f"state, obs, {PARTS}, labels, params, future=None"
    unpack = [f"{', '.join(emitter.slots)}, = state"] if emitter.slots else []
    return function_text(f"def {name}({arguments}):", [*unpack, *emitter.finished()])
