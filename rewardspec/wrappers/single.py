"""One gymnasium environment that pays what a spec says."""

from __future__ import annotations

import copy
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from rewardspec.backends import oracle
from rewardspec.backends.arithmetic import NotFiniteError
from rewardspec.backends.native_cache import import_numba
from rewardspec.backends.native_step import can_step, fuse_native
from rewardspec.backends.scalar import FusedStep, State, compile_scalar, fuse
from rewardspec.compiler import compile_spec
from rewardspec.errors import (
    MismatchError,
    NonFiniteRewardError,
    Place,
    Problem,
    RewardSpecError,
    UnsupportedError,
    list_names,
    near_miss,
)
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import Layout, bind
from rewardspec.ir.program import Observe, Program
from rewardspec.labels import load_labeller
from rewardspec.spec.model import Spec
from rewardspec.transition import Transition
from rewardspec.vocabulary import from_data, load
from rewardspec.wrappers import run_state
from rewardspec.wrappers.memory import extension
from rewardspec.wrappers.run_state import check_param

Label = Callable[[gym.Env[Any, Any], Transition], "Mapping[str, bool] | Iterable[str]"]
"""A labelling function: the live environment and the transition -> names that are true, or truth values by name."""

SingleBackend = Literal["scalar", "native"]
"""Where a step's arithmetic runs: generated Python, or machine code by numba."""

SpecLike = Spec | Program | str | Path | Mapping[str, Any]
"""A spec, a compiled program, the path of a YAML file, or the plain data of a spec."""


def as_program(spec: SpecLike) -> Program:
    """Return the program of a spec, of the file or data that holds one, or itself.

    Raises:
        SpecError: When the spec cannot be read or compiled.
    """
    if isinstance(spec, Program):
        return spec
    if isinstance(spec, Mapping):
        return compile_spec(from_data(dict(spec)))
    return compile_spec(spec if isinstance(spec, Spec) else load(spec))


def refuse_other(env: Any) -> None:
    """Raise when what should be wrapped is no single gymnasium environment.

    Raises:
        UnsupportedError: `not-an-environment`.
    """
    if isinstance(env, gym.Env):
        return
    hint = "Give an environment, as gymnasium.make('CartPole-v1') makes one."
    if isinstance(env, gym.vector.VectorEnv):
        hint = "It is a vector of environments: `wrap_vector` goes over those."
    raise UnsupportedError(
        Problem(
            "not-an-environment", f"a {type(env).__name__} is no single gymnasium environment", hints=(hint,)
        )
    )


def wrap(
    env: gym.Env[Any, Any],
    spec: SpecLike,
    *,
    label: Label | None = None,
    observe: Observe | None = None,
    detail: bool = False,
    backend: SingleBackend = "scalar",
) -> RewardSpecWrapper:
    r"""Return the environment with the spec's reward in place of its own.

    Args:
        env: Any gymnasium environment.
        spec: A spec, a compiled program or the path of a YAML file.
        label: Labelling function for propositions that the observation does not hold: called as
            `label(env, transition)` after every step, it returns the names that are true (or a mapping from names to
            truth values). A spec that names a ready-made labeller needs none.
        observe: How memory enters the observation; the spec's own choice when not given.
        detail: Whether `info["rewardspec"]` tells every step's reward by term, machine states, true propositions and
            verdicts. It costs; without it the key appears on the last step of an episode only.
        backend: `scalar` is generated Python. `native` compiles the step with numba, once per program and machine, and
            costs a tenth of it; steps that read labels, `info`, or parts of Dict and Tuple spaces, and those with
            `detail`, stay with generated Python.

    Returns:
        The wrapped environment. On the last step of an episode `info["rewardspec"]["return"]` holds the total of each
        term, and `info["return/<term>"]` the same for `Monitor(info_keywords=...)`.

    Raises:
        SpecError: When the spec is wrong.
        MismatchError: When the environment lacks what the spec reads.
        UnsupportedError: When the spec needs whole episodes before it can pay, or there is no such backend.
        MissingExtraError: When `native` is asked for and numba is not installed.

    Example:
        >>> import gymnasium
        >>> from rewardspec.vocabulary import loads
        >>> env = wrap(gymnasium.make("CartPole-v1"), loads("name: centred\nreward: 1 - abs(next_obs[0])"))
        >>> _ = env.reset(seed=0)
        >>> 0.9 < env.step(0)[1] < 1.0
        True
    """
    return RewardSpecWrapper(env, spec, label=label, observe=observe, detail=detail, backend=backend)


class RewardSpecWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """A gymnasium wrapper that runs a compiled program; make one with `wrap`.

    Attributes:
        program: The compiled spec.
        layout: The program bound to the environment's spaces.
        state: The program's state: machine states, folds, totals of the episode by term.
        last_transition: The last step as the program read it, labels included; kept with `detail` only.

    Without `detail`, `step` is one generated function that steps the environment and holds the state in its own
    variables (`fuse` in `backends/scalar.py`): an attribute of the instance, made at the first reset or step.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        spec: SpecLike,
        *,
        label: Label | None = None,
        observe: Observe | None = None,
        detail: bool = False,
        backend: SingleBackend = "scalar",
    ) -> None:
        """See `wrap`."""
        # Recorded as plain data, so that `env.spec.to_json()` can write it and `gymnasium.make` read it back.
        recorded = spec.to_data() if isinstance(spec, Spec) else str(spec) if isinstance(spec, Path) else spec
        gym.utils.RecordConstructorArgs.__init__(
            self, spec=recorded, label=label, observe=observe, detail=detail, backend=backend
        )
        refuse_other(env)
        refuse_backend(backend, ("scalar", "native"))
        gym.Wrapper.__init__(self, env)
        program = as_program(spec)
        refuse_episode_scope(program)
        self.layout: Layout = bind(program, env.observation_space, env.action_space)
        self.program = self.layout.program
        self._labels = _labels_for(self.layout, env, label)
        self._observe: Observe = observe or program.observe
        self._detail = detail
        self._params = array("d", [param.initial for param in program.params])
        self._scalar = compile_scalar(self.layout)
        self._report = EndReport(self.program)
        self._reads_obs = any(f.root == "obs" for f in self.layout.shapes) or callable(label) or detail
        self._extension = extension(self.program, env.observation_space, self._observe)
        if self._extension is not None:
            self.observation_space = self._extension.space
        self._native = backend == "native" and not detail and can_step(self.layout, *self._spaces)
        self._fused: FusedStep | None = None
        self._kept: tuple[State, int, Any] = (self._scalar.start, 0, None)
        self.last_transition: Transition | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the generated functions out: they are made anew."""
        state = {**self.__dict__, "_fused": None, "_kept": self._progress()}
        del state["_extension"]
        state.pop("step", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up where the pickled wrapper was."""
        self.__dict__.update(state)
        self._extension = extension(self.program, self.env.observation_space, self._observe)

    # -- gymnasium -------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and begin a new episode of the program."""
        obs, info = self.env.reset(seed=seed, options=options)
        state = self._scalar.reset(self.state) if self._scalar.remembers else self._scalar.start
        self._go_on(state, 0, copied(obs) if self._reads_obs else None)
        if self._extension is not None:
            obs = self._extension.extend(obs, state)
        if self._detail:
            info = {**info, "rewardspec": {**self._describe(None, None), **_inner(info)}}
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment and pay by the program."""
        if self._detail:
            return self._step_in_detail(action)
        if self._fused is None:
            self._go_on(*self._kept)
            assert self._fused is not None
        return self._fused.step(action)

    def _go_on(self, state: State, steps: int, obs: Any) -> None:
        """Continue an episode from there, with the environment's present `step`."""
        self._kept = (state, steps, obs)
        if self._detail:
            return
        if self._fused is None:
            self._fused = self._fuse()
            if type(self).step is RewardSpecWrapper.step:  # a subclass may do more in its own
                self.__dict__["step"] = self._fused.step
        self._fused.begin(self.env.step, state, steps, obs)

    def _fuse(self) -> FusedStep:
        """Return the generated step. It holds what it needs and not the wrapper, which would keep itself alive."""
        explain = partial(explain_advance, self.layout, self._params)
        extend = self._extension.extend if self._extension is not None else None
        if self._native:
            return fuse_native(
                self.layout, self._params, self._scalar, self._spaces,
                explain=explain, report=self._report, extend=extend,
            )  # fmt: skip
        return fuse(
            self.layout,
            self._params,
            explain=explain,
            report=self._report,
            read_labels=self._labels,
            remember=copied if self._reads_obs else None,
            extend=extend,
        )

    @property
    def _spaces(self) -> tuple[Any, Any]:
        return self.env.observation_space, self.env.action_space

    def _progress(self) -> tuple[State, int, Any]:
        """Return the state, the number of steps in this episode, and the observation before the next step."""
        return self._fused.read() if self._fused is not None else self._kept

    def _step_in_detail(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do the same as the generated step, and tell all about it."""
        before, steps, obs = self._kept
        next_obs, reward, terminated, truncated, info = self.env.step(action)
        labels: tuple[bool, ...] = ()
        if self._labels is not None:
            labels = self._labels(obs, action, next_obs, reward, terminated, truncated, info)
        parts = (obs, action, next_obs, reward, terminated, truncated, info, labels)
        try:
            state, paid, ended, cut, terms = self._scalar.advance_terms(before, *parts, self._params)
            if paid - paid != 0.0:
                raise NotFiniteError
        except Exception as error:
            raise explain_advance(self.layout, self._params, error, steps, before, *parts) from error
        self._kept = (state, steps + 1, copied(next_obs))
        transition = self.last_transition = _transition(self.layout, *parts)
        info = {**info, "rewardspec": {**self._describe((before, transition), terms), **_inner(info)}}
        if ended or cut:
            info = self._report(info, state, info["rewardspec"])
        if self._extension is not None:
            next_obs = self._extension.extend(next_obs, state)
        return next_obs, paid, ended, cut, info

    # -- what users change and look at ------------------------------------------------------------

    @property
    def state(self) -> State:
        """The program's state: machine states, folds, totals of the episode by term."""
        return self._progress()[0]

    @state.setter
    def state(self, state: State) -> None:
        _, steps, obs = self._progress()
        self._go_on(state, steps, obs)

    @property
    def params(self) -> dict[str, float]:
        """The numbers that can be changed while training runs, by name (`<term>.weight`, ...)."""
        return {param.name: value for param, value in zip(self.program.params, self._params, strict=True)}

    def set_param(self, name: str, value: float) -> None:
        """Change a number of the program from the next step on.

        Raises:
            UnsupportedError: When there is none of that name, or the value is not finite.
        """
        check_param(self.program, name, value)
        names = [param.name for param in self.program.params]
        self._params[names.index(name)] = float(value)

    @property
    def keeps_details(self) -> bool:
        """Whether every step's details are in `info` and `last_transition`."""
        return self._detail

    @property
    def machine_states(self) -> dict[str, str]:
        """The name of each machine's present state."""
        return _machine_states(self.program, self.state)

    @property
    def verdicts(self) -> dict[str, str]:
        """The four-valued verdict of each formula on the episode so far."""
        return _verdicts(self.program, self.state)

    def run_state(self) -> dict[str, float]:
        """Return what outlives episodes (running statistics, counted steps, parameters), for a checkpoint."""
        return run_state.collect(self.program, self.state, self.params)

    def load_run_state(self, saved: Mapping[str, float]) -> None:
        """Take up what `run_state` gave."""
        state = list(self.state)
        run_state.restore(self.program, saved, state.__setitem__, self.set_param)
        self.state = tuple(state)

    def _describe(
        self, step: tuple[Any, Transition] | None, terms: tuple[float, ...] | None
    ) -> dict[str, Any]:
        """Return the details of one step: `state` and `verdict` after it, `terms` paid, propositions `true` on it."""
        described: dict[str, Any] = {"state": self.machine_states, "verdict": self.verdicts}
        if step is not None and terms is not None:
            before, transition = step
            described["terms"] = {
                term.name: float(paid) for term, paid in zip(self.program.terms, terms, strict=True)
            }
            described["true"] = true_propositions(self.program, before, transition)
        return described


# -- reports and errors ----------------------------------------------------------------------------


def _machine_states(program: Program, state: State) -> dict[str, str]:
    return {m.name: m.states[u] for m, u in zip(program.machines, state, strict=False)}


def _verdicts(program: Program, state: State) -> dict[str, str]:
    position = {m.name: i for i, m in enumerate(program.machines)}
    return {v.term: v.word(tuple(state[position[name]] for name in v.machines)) for v in program.verdicts}


class EndReport:
    """Puts an episode's totals into its last step's info, where loggers look. What it needs is looked up once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._first = len(program.machines) + len(program.folds)
        self._names = tuple(term.name for term in program.terms)
        self._keys = tuple(f"return/{name}" for name in self._names)
        self._machines = tuple((machine.name, machine.states) for machine in program.machines)

    def __call__(
        self, info: dict[str, Any], state: State, summary: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the info with the totals; `summary` is what was told of the step before."""
        totals = state[self._first :]
        told = dict(summary) if summary is not None else _inner(info)
        told["return"] = dict(zip(self._names, totals, strict=True))
        told["state"] = {name: states[u] for (name, states), u in zip(self._machines, state, strict=False)}
        if self._program.verdicts:
            told["verdict"] = _verdicts(self._program, state)
        info = {**info, "rewardspec": told}  # a new one: an environment may hand out the same again and again
        info.update(zip(self._keys, totals, strict=True))
        return info


def _transition(
    layout: Layout,
    obs: Any,
    action: Any,
    next_obs: Any,
    reward: Any,
    terminated: Any,
    truncated: Any,
    info: Any,
    labels: tuple[bool, ...],
) -> Transition:
    label = dict(zip(layout.labels, labels, strict=True)) if labels else {}
    return Transition(obs, action, next_obs, reward, terminated, truncated, info, label)


def explain_advance(
    layout: Layout, params: Sequence[float], error: Exception, steps: int, state: State, *parts: Any
) -> RewardSpecError:
    """Return what went wrong in a step, in the spec's terms."""
    values = {param.name: value for param, value in zip(layout.program.params, params, strict=True)}
    return explain_step(layout.program, layout, steps, _transition(layout, *parts), state, error, values)


def _inner(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a wrapper inside this one told, under the key `inner`; nothing where there is none."""
    return {"inner": info["rewardspec"]} if "rewardspec" in info else {}


def copied(obs: Any) -> Any:
    """Return a copy of an observation: some environments fill one buffer again and again.

    Example:
        >>> obs = {"position": np.zeros(2)}
        >>> kept = copied(obs)
        >>> obs["position"] += 1
        >>> kept["position"].tolist()
        [0.0, 0.0]
    """
    if isinstance(obs, np.ndarray):
        return obs.copy()
    if isinstance(obs, Mapping):
        return {key: copied(value) for key, value in obs.items()}
    if type(obs) is tuple:
        return tuple(copied(value) for value in obs)
    return obs if isinstance(obs, int | float | str | np.generic) else copy.deepcopy(obs)


def refuse_backend(backend: str, known: tuple[str, ...]) -> None:
    """Raise when there is no such backend, or what it needs is not installed.

    Raises:
        UnsupportedError: `unknown-backend`.
        MissingExtraError: `missing-extra` for `native` without numba.
    """
    if backend not in known:
        hint = f"One of: {list_names(known)}.{near_miss(str(backend), known)}"
        raise UnsupportedError(
            Problem("unknown-backend", f"there is no backend '{backend}' here", hints=(hint,))
        )
    if backend == "native":
        import_numba()


def refuse_episode_scope(program: Program) -> None:
    """Raise when a program needs whole episodes before it can pay.

    Raises:
        UnsupportedError: `needs-whole-episodes`.
    """
    if program.scope == "episode":
        names = [term.name for term in program.terms if any(_is_future(node) for node in ir.walk(term.expr))]
        place = next((term.place for term in program.terms if term.name in names), Place())
        raise UnsupportedError(
            Problem(
                "needs-whole-episodes",
                f"the term '{list_names(names)}' is paid when the episode is over (`timing: relabel`)",
                place,
                (
                    "Use `timing: escrow` or `increment` while stepping, or `rewardspec.relabel` on stored data.",
                ),
            )
        )


def _is_future(node: ir.Expr) -> bool:
    return isinstance(node, ir.Field) and node.root == "future"


def true_propositions(program: Program, state: tuple[Any, ...], transition: Transition) -> list[str]:
    """Return the propositions that are true on a transition, by the oracle."""
    machines = len(program.machines)
    folds = {f.name: state[machines + i] for i, f in enumerate(program.folds)}
    names = {m.name: state[i] for i, m in enumerate(program.machines)}
    return oracle.true_propositions(program, oracle.OracleState([names], [folds]), transition)


class _UserLabels:
    """Calls a user's labelling function and puts its answer in the program's order."""

    def __init__(self, env: gym.Env[Any, Any], names: tuple[str, ...], label: Label) -> None:
        self.env, self.names, self.label = env, names, label
        self._heard = set(names)

    def __call__(
        self, obs: Any, action: Any, next_obs: Any, reward: Any, terminated: Any, truncated: Any, info: Any
    ) -> tuple[bool, ...]:
        step = Transition(obs, action, next_obs, reward, terminated, truncated, info)
        said = self.label(self.env, step)
        if isinstance(said, Iterator):
            said = list(said)
        labels = ordered_labels(said, self.names)
        if not self._heard.issuperset(said):
            self._warn_of(set(said) - self._heard)
        return labels

    def _warn_of(self, names: set[str]) -> None:
        """Warn, once for each, of names that nobody declared but that look like one that somebody did.

        Others are let pass: one labelling function may serve many specs.
        """
        self._heard |= names
        for name in sorted(map(str, names)):
            if hint := near_miss(name, self.names):
                text = f"the labelling function says '{name}', which the spec does not declare.{hint}"
                warnings.warn(text, stacklevel=2)


def ordered_labels(said: Mapping[str, bool] | Iterable[str], names: tuple[str, ...]) -> tuple[bool, ...]:
    """Return what a labelling function said as truth values in the order of `names`.

    Raises:
        MismatchError: `missing-label` when a mapping leaves one out, or it said nothing that has names.

    Example:
        >>> ordered_labels(["office"], ("coffee", "office"))
        (False, True)
    """
    if isinstance(said, Mapping):
        missing = [name for name in names if name not in said]
        if missing:
            raise MismatchError(
                Problem(
                    "missing-label",
                    f"the labelling function says nothing about '{missing[0]}'",
                    hints=(f"It gave: {list_names(said)}.{near_miss(missing[0], list(said))}",),
                )
            )
        return tuple(bool(said[name]) for name in names)
    if isinstance(said, str) or not isinstance(said, Iterable):
        raise MismatchError(
            Problem(
                "missing-label",
                f"the labelling function must return names or a mapping, not {said!r:.40}",
                hints=(f"For example ['{names[0]}'], or [] where nothing is true.",),
            )
        )
    true = frozenset(said)
    return tuple(name in true for name in names)


class _ReadyLabels:
    """Calls a ready-made labeller."""

    def __init__(self, env: gym.Env[Any, Any], layout: Layout, labeller: str) -> None:
        try:
            self.labels = load_labeller(labeller).bind(env, layout.labels)
        except MismatchError as error:
            raise MismatchError([_placed(problem, layout) for problem in error.problems]) from None

    def __call__(
        self, obs: Any, action: Any, next_obs: Any, reward: Any, terminated: Any, truncated: Any, info: Any
    ) -> tuple[bool, ...]:
        return self.labels(obs, action, next_obs, info)


def _placed(problem: Problem, layout: Layout) -> Problem:
    """Return a labeller's problem with the place at which the spec reads the label that it names."""
    labels = (field for field in layout.shapes if field.root == "label")
    place = next((field.place for field in labels if f"'{field.path[0]}'" in problem.message), problem.place)
    return replace(problem, place=place)


def _labels_for(layout: Layout, env: gym.Env[Any, Any], label: Label | None) -> Any:
    if not layout.labels:
        return None
    if label is not None:
        return _UserLabels(env, layout.labels, label)
    if layout.program.labels is not None:
        return _ReadyLabels(env, layout, layout.program.labels)
    place = next((p.place for p in layout.program.propositions if p.name in layout.labels), Place())
    raise MismatchError(
        Problem(
            "missing-label-function",
            f"the spec leaves {list_names(layout.labels)} to a labelling function, and none is given",
            place,
            ("Pass label=fn to wrap, or name a ready-made labeller: `env: {labels: minigrid}`.",),
        )
    )


def explain_step(
    program: Program,
    layout: Layout,
    step: int,
    transition: Transition,
    state: tuple[Any, ...],
    error: Exception | None,
    params: Mapping[str, float],
) -> RewardSpecError:
    """Return what went wrong in a step: the values read, the term and its place; the error itself when it is ours."""
    if isinstance(error, RewardSpecError):
        return error
    for field in layout.shapes:
        problem = check_field(field, transition, step)
        if problem is not None:
            kind = NonFiniteRewardError if problem.code == "nan-observation" else MismatchError
            return kind(problem)
    if error is not None and not isinstance(error, NotFiniteError):
        return MismatchError(
            Problem("unreadable-transition", f"step {step}: the program cannot read this transition: {error}")
        )
    machines = len(program.machines)
    before = oracle.OracleState(
        [{m.name: state[i] for i, m in enumerate(program.machines)}],
        [{f.name: state[machines + i] for i, f in enumerate(program.folds)}],
    )
    _, (outcome,) = oracle.step(program, before, [transition], dict(params))
    return non_finite(layout, step, transition, outcome.terms)


def non_finite(
    layout: Layout, step: int, transition: Transition, terms: Iterable[float]
) -> NonFiniteRewardError:
    """Return the error for terms of which one paid NaN or an infinity: names it, its place and the values read."""
    read = ", ".join(f"{show_field(f)} = {_shown(f, transition)}" for f in layout.shapes)
    for term, paid in zip(layout.program.terms, terms, strict=True):
        if not np.isfinite(paid):
            return NonFiniteRewardError(
                Problem(
                    "non-finite-reward",
                    f"the term '{term.name}' pays {paid} at step {step} of the episode",
                    term.place,
                    (
                        f"Values read: {read or 'none'}.",
                        "Guard it, as in where(x > 0, log(x), 0), or clip what it reads.",
                    ),
                )
            )
    return NonFiniteRewardError(
        Problem("non-finite-reward", f"the reward is not finite at step {step}; read: {read}")
    )


def show_field(field: ir.Field) -> str:
    """Return a field as it is written in a spec."""
    from rewardspec.ir.show import show_expr

    return show_expr(field)


def _shown(field: ir.Field, transition: Transition) -> str:
    try:
        text = str(oracle.read_field(field, transition))
    except Exception:  # any shape of bad data: the message must still come out
        return "unreadable"
    return text if len(text) <= 60 else text[:57] + "..."


def check_field(field: ir.Field, transition: Transition, step: int) -> Problem | None:
    """Return what is wrong with a field of a transition."""
    try:
        value = oracle.read_field(field, transition)
        numbers = np.asarray(value, dtype=np.float64)
    except (KeyError, IndexError, TypeError, ValueError):
        source = transition.info if field.root == "info" else getattr(transition, field.root)
        has = list_names(str(key) for key in source) if isinstance(source, Mapping) else type(source).__name__
        hint = f"It has: {has}."
        more = "Where a key comes and goes, say what its absence counts as: default(info.key, 0)."
        return Problem(
            "no-such-key",
            f"{show_field(field)} cannot be read at step {step}",
            field.place,
            (hint, more) if field.root == "info" else (hint,),
        )
    if np.isnan(numbers).any():
        return Problem(
            "nan-observation",
            f"{show_field(field)} is NaN at step {step}",
            field.place,
            (
                "A NaN makes every comparison false without a word; mend the environment, or do not read this value.",
            ),
        )
    return None
