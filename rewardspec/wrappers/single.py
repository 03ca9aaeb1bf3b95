"""One gymnasium environment that pays what a spec says."""

from __future__ import annotations

import copy
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np

from rewardspec.backends import oracle
from rewardspec.backends.arithmetic import NotFiniteError
from rewardspec.backends.native_step import can_append, can_step, fuse_native
from rewardspec.backends.scalar import FusedStep, State, compile_scalar, fuse
from rewardspec.compiler import compile_spec
from rewardspec.errors import Problem, SpecError
from rewardspec.ir.layout import Layout, bind
from rewardspec.ir.program import Observe, Program
from rewardspec.spec.model import Spec
from rewardspec.transition import Transition
from rewardspec.vocabulary import from_data, load
from rewardspec.wrappers import reports, run_state
from rewardspec.wrappers.labelling import Label, ReadyLabels, labels_for
from rewardspec.wrappers.memory import Memory, extension
from rewardspec.wrappers.refusals import refuse_backend, refuse_episode_scope, refuse_learned, refuse_other
from rewardspec.wrappers.reports import EndReport, inner_report
from rewardspec.wrappers.run_state import check_param
from rewardspec.wrappers.step_errors import explain_advance, transition_of

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
    given: object = spec
    if not isinstance(given, Spec | str | Path):
        hint = "A spec is what `rewardspec.loads` or `rewardspec.load` returns, the path of a file, or a mapping."
        message = f"a {type(given).__name__} is no spec"
        raise SpecError(Problem("not-a-mapping", message, hints=(hint,)))
    return compile_spec(spec if isinstance(spec, Spec) else load(spec))


def wrap(
    env: gym.Env[Any, Any],
    spec: SpecLike,
    *,
    label: Label | None = None,
    judge: Label | None = None,
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
        judge: Who says whether subgoals were reached, where the spec leaves that to a judge: called like `label`, with
            the subgoals' texts for names. `rewardspec.wrap_judged` finds the judge that the spec names.
        observe: How memory enters the observation; the spec's own choice when not given.
        detail: Whether `info["rewardspec"]` tells every step's reward by term, machine states, true propositions and
            verdicts. It costs; without it the key appears on the last step of an episode only.
        backend: `scalar` is generated Python. `native` compiles the step with numba, once per program and machine, and
            costs a tenth of it; steps that read labels of a labelling function (ready-made labellers are called from
            machine code), `info`, or parts of Dict and Tuple spaces, and those with `detail`, stay with generated
            Python.

    Returns:
        The wrapped environment. On the last step of an episode `info["rewardspec"]["return"]` holds the total of each
        term, and `info["return/<term>"]` the same for `Monitor(info_keywords=...)`. Where an environment that is
        wrapped already has a term of the same name, its total is `info["return/inner/<term>"]` then.

    Raises:
        SpecError: When the spec is wrong.
        MismatchError: When the environment lacks what the spec reads.
        UnsupportedError: When the spec needs whole episodes before it can pay, or a judge (`needs-judge`), or there is
            no such backend.
        MissingExtraError: When `native` is asked for and numba is not installed.

    Example:
        >>> import gymnasium
        >>> from rewardspec.vocabulary import loads
        >>> env = wrap(gymnasium.make("CartPole-v1"), loads("name: centred\nreward: 1 - abs(next_obs[0])"))
        >>> _ = env.reset(seed=0)
        >>> 0.9 < env.step(0)[1] < 1.0
        True
    """
    return RewardSpecWrapper(
        env, spec, label=label, judge=judge, observe=observe, detail=detail, backend=backend
    )


class Taken(NamedTuple):
    """A step as it was taken: `parts` is what the program read, `steps` the number of steps before it."""

    before: State
    steps: int
    parts: tuple[Any, ...]
    state: State
    reward: float
    terminated: bool
    truncated: bool
    terms: tuple[float, ...]

    @property
    def next_obs(self) -> Any:
        """The environment's observation after the step."""
        return self.parts[2]

    @property
    def info(self) -> dict[str, Any]:
        """The environment's info."""
        info: dict[str, Any] = self.parts[6]
        return info

    def transition(self, layout: Layout) -> Transition:
        """Return the step as a transition."""
        return transition_of(layout, *self.parts)


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
        judge: Label | None = None,
        observe: Observe | None = None,
        detail: bool = False,
        backend: SingleBackend = "scalar",
    ) -> None:
        """See `wrap`."""
        # Recorded as plain data, so that `env.spec.to_json()` can write it and `gymnasium.make` read it back.
        recorded = spec.to_data() if isinstance(spec, Spec) else str(spec) if isinstance(spec, Path) else spec
        gym.utils.RecordConstructorArgs.__init__(
            self, spec=recorded, label=label, judge=judge, observe=observe, detail=detail, backend=backend
        )
        refuse_other(env)
        refuse_backend(backend, ("scalar", "native"))
        gym.Wrapper.__init__(self, env)
        program = as_program(spec)
        refuse_episode_scope(program)
        bound = bind(program, env.observation_space, env.action_space)
        self.program = bound.program
        self.layout: Layout = self._bound(bound)
        self._labels = labels_for(self.layout, env, label, judge)
        self._observe: Observe = observe or program.observe
        self._detail = detail
        self._params = array("d", [param.initial for param in program.params])
        self._scalar = compile_scalar(self.layout)
        self._report = EndReport(self.program)
        self._reads_obs = any(f.root == "obs" for f in self.layout.shapes) or detail
        self._reads_obs |= callable(label) or callable(judge)
        self._extension = extension(self.program, env.observation_space, self._observe)
        if self._extension is not None:
            self.observation_space = self._extension.space
        is_ready = self._ready is not None
        self._native = backend == "native" and not detail and can_step(self.layout, *self._spaces, is_ready)
        self._fused: FusedStep | None = None
        self._kept: tuple[State, int, Any] = (self._scalar.start, 0, None)
        self.last_transition: Transition | None = None

    def _bound(self, layout: Layout) -> Layout:
        """Return the layout that the steps are compiled from."""
        refuse_learned(layout.program)
        return layout

    @property
    def _steps_fused(self) -> bool:
        """Whether steps go through one generated function."""
        return not self._detail

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
        scalar, extension = self._scalar, self._extension
        state = scalar.reset(self.state) if scalar.remembers else scalar.start
        self._go_on(state, 0, copied(obs) if self._reads_obs else None)
        if extension is not None:
            show = self._fused.show if self._fused is not None else None
            obs = (show or extension.extend)(obs, state)
        if self._detail:
            info = {**info, "rewardspec": {**self._describe(None, None), **inner_report(info)}}
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment and pay by the program."""
        if not self._steps_fused:
            return self._step_in_detail(action)
        if self._fused is None:
            self._go_on(*self._kept)
            assert self._fused is not None
        return self._fused.step(action)

    def _go_on(self, state: State, steps: int, obs: Any) -> None:
        """Continue an episode from there, with the environment's present `step`."""
        fused = self._fused
        if fused is None:
            self._kept = (state, steps, obs)
            if not self._steps_fused:
                return
            fused = self._fused = self._fuse()
            if type(self).step is RewardSpecWrapper.step:  # a subclass may do more in its own
                self.__dict__["step"] = fused.step
        fused.begin(self.env.step, state, steps, obs)

    def _fuse(self) -> FusedStep:
        """Return the generated step. It holds what it needs and not the wrapper, which would keep itself alive."""
        explain = partial(explain_advance, self.layout, self._params)
        extend = self._extension.extend if self._extension is not None else None
        ready = self._ready
        if self._native:
            return fuse_native(
                self.layout, self._params, self._scalar, self._spaces,
                explain=explain, report=self._report.tell, read_ready=ready, extend=extend, appended=self._appended,
            )  # fmt: skip
        return fuse(
            self.layout,
            self._params,
            explain=explain,
            report=self._report.tell,
            read_labels=self._labels if ready is None else None,
            read_ready=ready,
            remember=copied if self._reads_obs else None,
            extend=extend,
        )

    @property
    def _ready(self) -> Callable[..., tuple[bool, ...]] | None:
        """What reads all labels by a ready-made labeller; None where another function says them, or there are none."""
        return self._labels.labels.read if isinstance(self._labels, ReadyLabels) else None

    @property
    def _appended(self) -> tuple[Memory, Any] | None:
        """The memory that is appended to a vector, with the type of the whole; None where it enters otherwise."""
        if self._extension is None or self._extension.mode != "onehot" or not can_append(self._spaces[0]):
            return None
        return Memory.of(self.program), self._extension.space.dtype

    @property
    def _spaces(self) -> tuple[Any, Any]:
        return self.env.observation_space, self.env.action_space

    def _progress(self) -> tuple[State, int, Any]:
        """Return the state, the number of steps in this episode, and the observation before the next step."""
        return self._fused.read() if self._fused is not None else self._kept

    def _step_in_detail(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do the same as the generated step, and tell all about it."""
        taken = self._take(action)
        transition = self.last_transition = taken.transition(self.layout)
        described = self._describe((taken.before, transition), taken.terms)
        info = {**taken.info, "rewardspec": {**described, **inner_report(taken.info)}}
        if taken.terminated or taken.truncated:
            info = self._report(info, taken.state, info["rewardspec"])
        next_obs = taken.next_obs
        if self._extension is not None:
            next_obs = self._extension.extend(next_obs, taken.state)
        return next_obs, taken.reward, taken.terminated, taken.truncated, info

    def _take(self, action: Any) -> Taken:
        """Step the environment and the program, and keep the state; without the generated step."""
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
        return Taken(before, steps, parts, state, paid, ended, cut, terms)

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
    def present_obs(self) -> Any:
        """The environment's observation after the last step or reset; None where nobody reads it, details apart."""
        return self._progress()[2]

    @property
    def machine_states(self) -> dict[str, str]:
        """The name of each machine's present state."""
        return reports.machine_states(self.program, self.state)

    @property
    def verdicts(self) -> dict[str, str]:
        """The four-valued verdict of each formula on the episode so far."""
        return reports.verdicts(self.program, self.state)

    def run_state(self) -> dict[str, float]:
        """Return what outlives episodes (running statistics, counted steps, parameters), for a checkpoint."""
        return run_state.collect(self.program, self.state, self.params)

    def tally(self) -> list[float]:
        """Return what each term has paid in the episode so far."""
        first = len(self.program.machines) + len(self.program.folds)
        return [float(total) for total in self.state[first : first + len(self.program.terms)]]

    def take_tally(self, tally: Sequence[float]) -> None:
        """Take up what `tally` gave, where playing an episode again need not pay the same."""

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


def true_propositions(program: Program, state: tuple[Any, ...], transition: Transition) -> list[str]:
    """Return the propositions that are true on a transition, by the oracle."""
    machines = len(program.machines)
    folds = {f.name: state[machines + i] for i, f in enumerate(program.folds)}
    names = {m.name: state[i] for i, m in enumerate(program.machines)}
    return oracle.true_propositions(program, oracle.OracleState([names], [folds]), transition)
