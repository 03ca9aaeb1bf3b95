"""One environment, as fast as hand-written Python: the program becomes one Python function.

The function's text is generated from the IR alone (`emitter.py`). It holds operators, generated names
(`x7`, `u0`) and numbers written by `repr(float)`; whatever came from a user - keys, names - is bound to a
generated name in the function's namespace and is never part of the text. Numbers are Python's own: an
observation is turned into a list once (`tolist`), because arithmetic on NumPy scalars is ten times slower.

There are two forms of the same statements: `advance`, a pure function of the state and the transition, and
`fuse`, a closure that steps the environment itself and keeps the state in its own variables, which saves
building a tuple, a call and a dozen look-ups in every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from rewardspec.backends.emitter import Emitter
from rewardspec.ir.layout import Layout

State = tuple[Any, ...]
"""Machine states, then folds, then the episode's total of each term."""

PARTS = "action, next_obs, reward, terminated, truncated, info"

LARGE = 1e300
"""Sums beyond this are looked at again, value by value: one of them may be NaN, or the reward not finite."""


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
    """

    step: Callable[[Any], tuple[Any, float, bool, bool, dict[str, Any]]]
    begin: Callable[[Callable[[Any], Any], State, int, Any], None]
    read: Callable[[], tuple[State, int, Any]]


def compile_scalar(layout: Layout) -> ScalarProgram:
    """Return the functions for one environment; they are generated when first asked for."""
    program = layout.program
    start: State = (
        *(m.start for m in program.machines),
        *(f.start for f in program.folds),
        *(0.0 for _ in program.terms),
    )
    return ScalarProgram(layout, start)


def fuse(
    layout: Layout,
    params: Sequence[float],
    *,
    explain: Callable[..., Exception],
    report: Callable[[dict[str, Any], State], dict[str, Any]],
    read_labels: Callable[..., tuple[bool, ...]] | None = None,
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
        remember: `remember(next_obs)` -> what to keep as `obs` for the next step; None where nobody reads it.
        extend: `extend(next_obs, state)` -> the observation to return.
    """
    optional = {"read_labels": read_labels, "remember": remember, "extend": extend}
    present: dict[str, Any] = {name: hook for name, hook in optional.items() if hook is not None}
    present |= {"explain": explain, "report": report}
    make = _bind(layout, "fused", frozenset(present))
    return FusedStep(*make(params, **present))


def fused_source(layout: Layout, hooks: frozenset[str] = frozenset()) -> str:
    """Return the text that `fuse` runs, for readers."""
    return _fused_text(Emitter(layout), hooks)


def _bind(
    layout: Layout, form: Literal["advance", "advance_terms", "fused"], hooks: frozenset[str] = frozenset()
) -> Callable[..., Any]:
    """Return the generated function of that name."""
    emitter = Emitter(layout)
    source = _fused_text(emitter, hooks) if form == "fused" else _advance_text(emitter, form)
    namespace = dict(emitter.namespace)
    exec(compile(source, f"<rewardspec {form}>", "exec"), namespace)  # our own text: see the module's head
    made: Callable[..., Any] = namespace[form]
    return made


# -- the two forms of a step ----------------------------------------------------------------------


def _advance_text(emitter: Emitter, name: Literal["advance", "advance_terms"]) -> str:
    """Return the text of the pure function."""
    terms, news, flags = emitter.body()
    unfelt = emitter.unfelt()
    if unfelt:
        # One sum finds a NaN in any value read; infinities of both signs make one too, so look again.
        emitter.emit(f"c = {' + '.join(unfelt)}")
        emitter.emit(f"if c != c: _refuse_nan({_tuple(unfelt)})")
    extra = f", {_tuple(terms)}" if name == "advance_terms" else ""
    result = [_tuple(news), emitter.reward(terms), flags["terminated"], flags["truncated"]]
    emitter.emit(f"return {', '.join(result)}{extra}")
    arguments = f"state, obs, {PARTS}, labels, params, future=None"
    unpack = [f"{', '.join(emitter.slots)}, = state"] if emitter.slots else []
    return _text(f"def {name}({arguments}):", [*unpack, *emitter.finished()])


def _fused_text(emitter: Emitter, hooks: frozenset[str]) -> str:
    """Return the text of a function that makes `step`, `begin` and `read` of `FusedStep`."""
    terms, news, flags = emitter.body()
    unfelt = emitter.unfelt()
    emitter.emit(f"paid = {emitter.reward(terms)}")
    # The reward is NaN with every value it feels; the others are added, so that one question finds all.
    seen = " + ".join([*unfelt, "paid"])
    emitter.emit(f"if not {-LARGE} < {seen} < {LARGE}: _refuse({_tuple(unfelt)}, paid)")
    obs = "obs" if "remember" in hooks else "None"
    labels = "labels" if "read_labels" in hooks else "()"
    state = _tuple(emitter.slots)  # before the assignments that end the step, and after them
    ended = " or ".join(flags[how] for how in ("terminated", "truncated"))
    kept = [*emitter.slots, "steps", *(["obs"] if "remember" in hooks else [])]
    returned = "next_obs"
    step = ["next_obs, reward, terminated, truncated, info = env_step(action)"]
    if "read_labels" in hooks:
        step.append(f"labels = read_labels({obs}, {PARTS})")
    step += [
        "try:",
        *(f"    {line}" for line in emitter.finished()),
        "except Exception as error:",
        f"    raise explain(error, steps, {state}, {obs}, {PARTS}, {labels}) from error",
        "steps += 1",
        *_assignments(emitter.slots, news),
    ]
    step.append(f"if {ended}: info = report(info, {state})")
    if "remember" in hooks:
        step.append("obs = remember(next_obs)")
    if "extend" in hooks:
        returned = f"extend(next_obs, {state})"
    step.append(f"return {returned}, paid, {flags['terminated']}, {flags['truncated']}, info")
    unpack = [f"{', '.join(emitter.slots)}, = state"] if emitter.slots else []
    return _text(
        f"def fused({', '.join(['params', *sorted(hooks)])}):",
        [
            " = ".join(dict.fromkeys(["env_step", "obs", *kept, "None"])),
            "def step(action):",
            f"    nonlocal {', '.join(kept)}",
            *(f"    {line}" for line in step),
            "def begin(new_env_step, state, new_steps, new_obs):",
            f"    nonlocal {', '.join(['env_step', *kept])}",
            "    env_step, steps = new_env_step, new_steps",
            *(["    obs = new_obs"] if "remember" in hooks else []),
            *(f"    {line}" for line in unpack),
            "def read():",
            f"    return {state}, steps, obs",
            "return step, begin, read",
        ],
    )


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)},)" if items else "()"


def _assignments(names: list[str], values: list[str]) -> list[str]:
    """Return statements that give the slots their next values: totals first, they read what others change."""
    lines = [f"{name} = {value}" for name, value in zip(names, values, strict=True)]
    return sorted(lines, key=lambda line: not line.startswith("s"))


def _text(head: str, lines: list[str]) -> str:
    return "\n".join([head, *(f"    {line}" for line in lines)])
