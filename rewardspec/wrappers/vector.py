"""A gymnasium vector environment that pays what a spec says, and vectors of wrapped environments for SB3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from rewardspec.backends.array import ArrayProgram, ArrayState, compile_array
from rewardspec.backends.native import NativeBatch, compile_native
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
from rewardspec.ir.program import VERDICTS, Observe, Program
from rewardspec.transition import Outcome, Transition
from rewardspec.wrappers import run_state
from rewardspec.wrappers.memory import extension
from rewardspec.wrappers.refusals import refuse_backend, refuse_episode_scope, refuse_learned, refuse_unjudged
from rewardspec.wrappers.reports import add_totals
from rewardspec.wrappers.rows import (
    Bools,
    masked,
    nan_rows,
    present,
    put_info,
    put_rows,
    row_of,
    row_of_infos,
)
from rewardspec.wrappers.run_state import check_param
from rewardspec.wrappers.single import SpecLike, as_program, copied
from rewardspec.wrappers.step_errors import check_field, non_finite, show_field
from rewardspec.wrappers.vector_sb3 import make_vec

__all__ = ["Label", "RewardSpecVectorWrapper", "make_vec", "wrap_vector"]

VectorBackend = Literal["array", "native"]
"""Where a step's arithmetic runs: NumPy, or machine code by numba."""

Label = Callable[[VectorEnv[Any, Any, Any], Transition], Mapping[str, Any]]
"""A labelling function for B environments: vector environment, batched transition -> `[B]` bool by name."""


def wrap_vector(
    venv: VectorEnv[Any, Any, Any],
    spec: SpecLike,
    *,
    label: Label | None = None,
    observe: Observe | None = None,
    detail: bool = False,
    backend: VectorBackend = "array",
) -> RewardSpecVectorWrapper:
    """Return the vector environment with the spec's reward in place of its own.

    All three autoreset modes are served. In NEXT_STEP mode the step on which a sub-environment is reset is no
    step of the program: it is paid 0 and the state starts anew. In SAME_STEP mode the last transition of an
    episode reads the final observation and info from `infos`. In DISABLED mode the caller resets what has
    ended, through this wrapper, by `reset(options={"reset_mask": ended})`.

    Args:
        venv: A gymnasium vector environment.
        spec: A spec, a compiled program or the path of a YAML file.
        label: Labelling function for propositions that the observation does not hold, called after every step
            as `label(venv, transition)` with batched data; returns a mapping from names to `[B]` truth
            values.
        observe: How memory enters the observation; the spec's own choice when not given.
        detail: Whether `infos["rewardspec"]` tells every step's payments by term (`terms`), machine states
            (`state`) and verdicts (`verdict`), each `[B]`.
        backend: `array` is NumPy, operation by operation; `native` compiles the program to one loop with numba.

    Returns:
        The wrapped vector environment. Rewards are `[B]` float64. Where an episode ends,
        `infos["rewardspec"]` holds `return` by term, `state` and `verdict`, and `infos["return/<term>"]` the
        totals again: arrays with gymnasium's `_key` masks.

    Raises:
        SpecError: When the spec is wrong.
        MismatchError: When the environment lacks what the spec reads.
        UnsupportedError: `not-a-vector-environment`; `vector-cannot-end` when the spec can end an episode and
            the vector environment resets its environments by itself; `vector-labeller` when the spec names a
            ready-made labeller, which must see the live environments; `needs-whole-episodes` when it pays only
            once episodes are over; `unknown-backend`.
        MissingExtraError: When `native` is asked for and numba is not installed.

    Example:
        >>> import gymnasium
        >>> from rewardspec.vocabulary import loads
        >>> venv = gymnasium.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync")
        >>> venv = wrap_vector(venv, loads("{name: centred, reward: '1 - abs(next_obs[0])'}"))
        >>> _ = venv.reset(seed=0)
        >>> venv.step(venv.action_space.sample())[1].shape
        (3,)
    """
    return RewardSpecVectorWrapper(venv, spec, label=label, observe=observe, detail=detail, backend=backend)


class RewardSpecVectorWrapper(VectorWrapper):
    """A gymnasium vector wrapper that runs a compiled program; make one with `wrap_vector`.

    Attributes:
        program: The compiled spec.
        layout: The program bound to the spaces of one sub-environment.
        state: The program's state, every slot `[B]`: machine states, folds, totals of the episode by term.
        autoreset_mode: Who resets a sub-environment, and when.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        spec: SpecLike,
        *,
        label: Label | None = None,
        observe: Observe | None = None,
        detail: bool = False,
        backend: VectorBackend = "array",
    ) -> None:
        """See `wrap_vector`."""
        refuse_other(env)
        refuse_backend(backend, ("array", "native"))
        super().__init__(env)
        program = as_program(spec)
        refuse_episode_scope(program)
        refuse_learned(program)
        self.autoreset_mode = autoreset_mode_of(env)
        refuse_ends(program, self.autoreset_mode)
        self.layout: Layout = bind(program, env.single_observation_space, env.single_action_space)
        self.program = self.layout.program
        refuse_labels(self.layout, label)
        self._label = label
        self._observe: Observe = observe or program.observe
        self._detail = detail
        self._backend = backend
        self._params = {param.name: param.initial for param in program.params}
        self._reads_obs = label is not None or any(f.root == "obs" for f in self.layout.shapes)
        self._info_keys = tuple(
            dict.fromkeys(
                f.path[0] for f in self.layout.shapes if f.root == "info" and isinstance(f.path[0], str)
            )
        )
        self._compile()
        self.state: ArrayState = self._array.init()
        self._obs: Any = None
        self._ended = np.zeros(self.num_envs, np.bool_)
        self._steps = np.zeros(self.num_envs, np.int64)

    def _compile(self) -> None:
        self._array: ArrayProgram | NativeBatch
        if self._backend == "native":
            self._array = compile_native(self.layout, self.num_envs)
        else:
            self._array = compile_array(self.layout, self.num_envs, "numpy", dtype="float64")
        self._extension = extension(self.program, self.env.single_observation_space, self._observe)
        if self._extension is not None:
            self.single_observation_space = self._extension.space
            self.observation_space = batch_space(self._extension.space, self.num_envs)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled functions out: they are made anew."""
        state = dict(self.__dict__)
        del state["_array"], state["_extension"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the compiled functions anew."""
        self.__dict__.update(state)
        self._compile()

    # -- gymnasium -------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environments (those of `options["reset_mask"]`, where given) and the program there."""
        mask = np.ones(self.num_envs, np.bool_)
        if options is not None and "reset_mask" in options:
            mask = np.array(options["reset_mask"], np.bool_)
        # gymnasium takes the mask out of the dict that it is given; wrappers around this one look for it
        # afterwards.
        given: dict[str, Any] | None = None if options is None else dict(options)
        obs, infos = self.env.reset(seed=seed, options=given)  # type: ignore[arg-type]
        self.state = self._array.reset(self.state, mask)
        self._ended = self._ended & ~mask
        self._steps[mask] = 0
        self._remember(obs)
        if self._detail:
            infos = {**infos, "rewardspec": self._describe(None)}
        return self._extended(obs), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step the environments and pay by the program."""
        if self.autoreset_mode == AutoresetMode.DISABLED:
            self._refuse_unreset()
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        active, before = None, self.state
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and self._ended.any():
            active, before = ~self._ended, self._array.reset(before, self._ended)
        transition = Transition(self._obs, actions, obs, rewards, terminated, truncated, infos)
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            transition = self._with_final(transition, np.logical_or(terminated, truncated))
        if self._label is not None:
            transition = replace(transition, label=self._labels(transition))
        state, outcome = self._advance(before, transition, active)
        self._steps += 1
        if active is not None:
            self._steps[~active] = 0
        self.state = state
        self._ended = np.logical_or(outcome.terminated, outcome.truncated)
        infos = self._report(infos, outcome)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and self._ended.any():
            self._extend_final(infos)
            self.state = self._array.reset(self.state, self._ended)
            self._steps[self._ended] = 0
        self._remember(obs)
        return self._extended(obs), outcome.reward, outcome.terminated, outcome.truncated, infos

    def _advance(
        self, state: ArrayState, transition: Transition, active: Bools | None
    ) -> tuple[ArrayState, Outcome]:
        """Return the program's step; the wrapper's own state is untouched, whatever is raised."""
        if active is not None and not active.any():
            zeros = np.zeros(self.num_envs)
            none = np.zeros(self.num_envs, np.bool_)
            return state, Outcome(zeros, none, none, tuple(zeros for _ in self.program.terms))
        rows = np.ones(self.num_envs, np.bool_) if active is None else active
        quick = self._advance_native(state, transition, active)
        if quick is not None:
            return quick
        self._check_values(transition, rows)
        try:
            news, outcome = self._array.step(state, transition, self._params, active)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            row = int(np.flatnonzero(rows)[0])
            problem = Problem(
                "unreadable-transition",
                f"step {self._steps[row]}: the program cannot read this transition: {error}",
            )
            raise MismatchError(problem) from error
        if not np.isfinite(outcome.reward).all():
            raise self._explain(transition, outcome)
        return news, outcome

    def _advance_native(
        self, state: ArrayState, transition: Transition, active: Bools | None
    ) -> tuple[ArrayState, Outcome] | None:
        """Return the step where machine code finds nothing wrong with it, else None: then look closer."""
        if not isinstance(self._array, NativeBatch) or self._info_keys:
            return None  # keys of infos come and go
        try:
            news, outcome, sound = self._array.step_checked(state, transition, self._params, active)
        except (KeyError, IndexError, TypeError, ValueError):
            return None
        return (news, outcome) if sound else None

    def _remember(self, obs: Any) -> None:
        if self._reads_obs:
            self._obs = copied(obs)

    def _extended(self, obs: Any) -> Any:
        return obs if self._extension is None else self._extension.extend_batch(obs, self.state)

    # -- ends of episodes --------------------------------------------------------------------------

    def _refuse_unreset(self) -> None:
        if self._ended.any():
            rows = list_names(map(str, np.flatnonzero(self._ended)))
            raise UnsupportedError(
                Problem(
                    "vector-not-reset",
                    f"the episodes of the environments {rows} are over, and nobody has reset them",
                    hints=(
                        "In DISABLED mode: `venv.reset(options={'reset_mask': terminated | truncated})`.",
                    ),
                )
            )

    def _with_final(self, transition: Transition, ended: Bools) -> Transition:
        """Return the transition with final observations and infos in place of the reset's (SAME_STEP)."""
        if not ended.any():
            return transition
        infos, rows = transition.info or {}, np.flatnonzero(ended)
        if "final_obs" not in infos:
            raise MismatchError(
                Problem(
                    "no-final-observation",
                    "the vector environment resets in the same step and gives no infos['final_obs']",
                    hints=("Without it the last transition of an episode cannot be read.",),
                )
            )
        space = self.env.single_observation_space
        next_obs = put_rows(space, transition.next_obs, rows, infos["final_obs"])
        info = dict(infos)
        final_info = infos.get("final_info") or {}
        for key in self._info_keys:
            put_info(info, final_info, key, ended)
        return replace(transition, next_obs=next_obs, info=info)

    def _extend_final(self, infos: dict[str, Any]) -> None:
        """Put memory into the final observations as well; called before the state is reset."""
        if self._extension is None or "final_obs" not in infos:
            return
        extended = np.full(self.num_envs, None, dtype=object)
        program = self.program
        sets = len(program.machines) + len(program.folds) + len(program.terms)
        for i in np.flatnonzero(self._ended):
            numbers = (slot[i].item() for slot in self.state[:sets])
            state = (*numbers, *(part[i : i + 1] for part in self.state[sets:]))
            extended[i] = self._extension.extend(infos["final_obs"][i], state)
        infos["final_obs"] = extended

    def _report(self, infos: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
        """Return the infos with the details asked for and the totals of the episodes that end."""
        if self._detail:
            infos = {**infos, "rewardspec": {**self._describe(outcome), **_inner(infos)}}
        if not self._ended.any():
            return infos
        ended = self._ended.copy()
        first = len(self.program.machines) + len(self.program.folds)
        totals = {
            term.name: np.where(ended, total, 0.0)
            for term, total in zip(self.program.terms, self.state[first:], strict=False)
        }
        summary = infos["rewardspec"] if self._detail else {**self._standing(ended), **_inner(infos)}
        summary["return"], summary["_return"] = masked(totals, ended), ended
        infos = {**infos, "rewardspec": summary, "_rewardspec": ended}
        add_totals(infos, totals)
        add_totals(infos, dict.fromkeys(totals, ended), "_return/")
        return infos

    def _describe(self, outcome: Outcome | None) -> dict[str, Any]:
        """Return the details of one step: `state` and `verdict` after it, `terms` paid."""
        everyone = np.ones(self.num_envs, np.bool_)
        described = self._standing(everyone)
        if outcome is not None:
            terms = {term.name: paid for term, paid in zip(self.program.terms, outcome.terms, strict=True)}
            described["terms"], described["_terms"] = masked(terms, everyone), everyone
        return described

    def _standing(self, mask: Bools) -> dict[str, Any]:
        """Return machine states and verdicts by name, in gymnasium's form of nested infos."""
        standing: dict[str, Any] = {"state": masked(self.machine_states, mask), "_state": mask}
        if self.program.verdicts:
            standing |= {"verdict": masked(self.verdicts, mask), "_verdict": mask}
        return standing

    # -- labels, checks, errors -------------------------------------------------------------------

    def _labels(self, transition: Transition) -> dict[str, Bools]:
        assert self._label is not None
        said = self._label(self.env, transition)
        labels: dict[str, Bools] = {}
        for name in self.layout.labels:
            if not isinstance(said, Mapping) or name not in said:
                given = list(said) if isinstance(said, Mapping) else []
                what = list_names(given) if isinstance(said, Mapping) else f"a {type(said).__name__}"
                raise MismatchError(
                    Problem(
                        "missing-label",
                        f"the labelling function says nothing about '{name}'",
                        hints=(f"It gave: {what}.{near_miss(name, given)} It must give [B] truth values.",),
                    )
                )
            values = np.asarray(said[name])
            if values.shape != (self.num_envs,):
                raise MismatchError(
                    Problem(
                        "label-shape",
                        f"the labelling function gives '{name}' the shape {values.shape}, "
                        f"not ({self.num_envs},)",
                        hints=("Above a vector environment a label is one truth value per environment.",),
                    )
                )
            labels[name] = values.astype(np.bool_)
        return labels

    def _check_values(self, transition: Transition, rows: Bools) -> None:
        """Refuse values that cannot be read or are NaN: a comparison would hide them."""
        for field in self.layout.shapes:
            if field.root in ("terminated", "truncated", "label"):
                continue
            try:
                values = np.asarray(self._array.backend.read(field, transition, self.num_envs))
                bad = rows & ~present(field, transition.info)
                if values.dtype.kind in "fO":
                    bad = bad | (rows & nan_rows(values))
            except (KeyError, IndexError, TypeError, ValueError):
                bad = rows
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                problem = check_field(field, self._row(transition, row), int(self._steps[row]))
                if problem is None:
                    text = f"{show_field(field)} cannot be read at step {self._steps[row]}"
                    problem = Problem("no-such-key", text, field.place)
                kind = NonFiniteRewardError if problem.code == "nan-observation" else MismatchError
                raise kind(_in_environment(problem, row))

    def _explain(self, transition: Transition, outcome: Outcome) -> RewardSpecError:
        """Return the error for a reward that is not finite: environment, term, step and the values read."""
        row = int(np.flatnonzero(~np.isfinite(outcome.reward))[0])
        terms = [float(paid[row]) for paid in outcome.terms]
        error = non_finite(self.layout, int(self._steps[row]), self._row(transition, row), terms)
        return NonFiniteRewardError([_in_environment(problem, row) for problem in error.problems])

    def _row(self, transition: Transition, i: int) -> Transition:
        """Return the transition of one environment."""
        return Transition(
            row_of(transition.obs, i),
            row_of(transition.action, i),
            row_of(transition.next_obs, i),
            row_of(transition.reward, i),
            row_of(transition.terminated, i),
            row_of(transition.truncated, i),
            row_of_infos(transition.info or {}, i),
            row_of(transition.label, i),
        )

    # -- what users change and look at -------------------------------------------------------------

    @property
    def params(self) -> dict[str, float]:
        """The numbers that can be changed while training runs, by name (`<term>.weight`, ...)."""
        return dict(self._params)

    def set_param(self, name: str, value: float) -> None:
        """Change a number of the program from the next step on, for all environments.

        Raises:
            UnsupportedError: When there is none of that name, or the value is not finite.
        """
        check_param(self.program, name, value)
        self._params[name] = float(value)

    @property
    def machine_states(self) -> dict[str, npt.NDArray[Any]]:
        """The name of each machine's present state, `[B]` strings by machine."""
        return {
            m.name: np.array(m.states, dtype=object)[u.astype(np.intp)]
            for m, u in zip(self.program.machines, self.state, strict=False)
        }

    @property
    def verdicts(self) -> dict[str, npt.NDArray[Any]]:
        """The four-valued verdict of each formula on the episodes so far, `[B]` strings by term."""
        position = {m.name: i for i, m in enumerate(self.program.machines)}
        words = np.array(VERDICTS, dtype=object)
        found: dict[str, npt.NDArray[Any]] = {}
        for v in self.program.verdicts:
            columns = [self.state[position[name]] for name in v.machines]
            values = [v.value(tuple(int(column[i]) for column in columns)) for i in range(self.num_envs)]
            found[v.term] = words[values]
        return found

    def run_state(self) -> dict[str, float]:
        """Return what outlives episodes (running statistics, counted steps, parameters), for a checkpoint."""
        return run_state.collect(self.program, self.state, self._params, lambda slot: float(slot[0]))

    def load_run_state(self, saved: Mapping[str, float]) -> None:
        """Take up what `run_state` gave."""
        state = list(self.state)

        def set_slot(slot: int, value: float) -> None:
            state[slot] = np.full(self.num_envs, value, np.float64)

        run_state.restore(self.program, saved, set_slot, self.set_param)
        self.state = tuple(state)


# -- what cannot be right is refused -------------------------------------------------------------------


def refuse_other(venv: Any) -> None:
    """Raise when what should be wrapped is no gymnasium vector environment.

    Raises:
        UnsupportedError: `not-a-vector-environment`.
    """
    if not isinstance(venv, VectorEnv):
        raise UnsupportedError(
            Problem(
                "not-a-vector-environment",
                f"a {type(venv).__name__} is no gymnasium vector environment",
                hints=("`wrap` goes over a single environment; `make_vec` makes vectors for SB3.",),
            )
        )


def autoreset_mode_of(venv: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    """Return who resets a vector environment's sub-environments, and when.

    gymnasium keeps `metadata` as the sub-environment's class attribute, so two vector environments of the
    same class overwrite each other's mode there; the attribute of the instance is asked first.
    """
    mode = getattr(venv.unwrapped, "autoreset_mode", None) or venv.metadata.get("autoreset_mode")
    if mode is None:
        gym.logger.warn(
            f"{venv} does not tell its `autoreset_mode`; NEXT_STEP is assumed, gymnasium's default."
        )
        return AutoresetMode.NEXT_STEP
    return mode if isinstance(mode, AutoresetMode) else AutoresetMode(mode)


def refuse_ends(program: Program, mode: AutoresetMode) -> None:
    """Raise when a program can end an episode that the vector environment below would play on.

    Raises:
        UnsupportedError: `vector-cannot-end`.
    """
    if program.ends and mode != AutoresetMode.DISABLED:
        names = {machine.name: machine.place for machine in program.machines if machine.terminal}
        place = next((p for p in names.values() if p.line), next((t.place for t in program.terms), Place()))
        raise UnsupportedError(
            Problem(
                "vector-cannot-end",
                f"the spec can end an episode, and a vector environment in {mode.name} mode resets its "
                "environments by itself: an ended one would play on",
                place,
                (
                    "Wrap each before vectorising: `SyncVectorEnv([lambda: wrap(make(id), spec)] * n)`;",
                    "`make_vec` does so for SB3. Or use autoreset mode DISABLED and reset what has ended.",
                ),
            )
        )


def refuse_labels(layout: Layout, label: Label | None) -> None:
    """Raise when nobody can give the labels that a program reads.

    Raises:
        UnsupportedError: `vector-labeller` for ready-made labellers; `needs-judge`.
        MismatchError: `missing-label-function` when there is no labelling function.
    """
    refuse_unjudged(
        layout.program, False, "A judge is asked under one environment: wrap each before vectorising."
    )
    if not layout.labels or label is not None:
        return
    place = next((p.place for p in layout.program.propositions if _reads_labels(p.expr)), Place())
    if layout.program.labels is not None:
        raise UnsupportedError(
            Problem(
                "vector-labeller",
                f"the labels of '{layout.program.labels}' are read from live environments, which are out of "
                "reach from above a vector environment",
                place,
                ("Wrap each environment before vectorising, as `make_vec` does for SB3.",),
            )
        )
    raise MismatchError(
        Problem(
            "missing-label-function",
            f"the spec leaves {list_names(layout.labels)} to a labelling function, and none is given",
            place,
            ("Pass label=fn to wrap_vector: fn(venv, transition) -> truth values [B] by name.",),
        )
    )


def _reads_labels(expr: ir.Expr) -> bool:
    return any(isinstance(node, ir.Field) and node.root == "label" for node in ir.walk(expr))


def _inner(infos: Mapping[str, Any]) -> dict[str, Any]:
    """Return what wrappers inside this one told, under the key `inner`; nothing where there is none."""
    return {"inner": infos["rewardspec"]} if "rewardspec" in infos else {}


def _in_environment(problem: Problem, row: int) -> Problem:
    return replace(problem, message=f"environment {row}: {problem.message}")
