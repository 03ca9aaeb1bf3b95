"""Counterfactual experience: one step replayed from every machine state, because the machine is known.

What the environment did on a step does not depend on the state of a reward machine beside it. The step can therefore
be learned from as if the machine had been in any other state: the program says what it would have paid, where the
machine would have gone, and whether the episode would have ended.

- `JointStates`: the states of a program's machines, taken together and numbered.
- `Counterfactuals`: recorded steps replayed in batches, on NumPy or torch.
- `CounterfactualWrapper`: an environment that tells the counterfactuals of every step in its info.

Propositions keep the truth values of the step; nothing is asked of a labelling function twice. Memory that does not
depend on a machine (counted steps, the last value of a signal) is the same in every machine state and keeps its
value. Memory that does depend on one (a reward machine's counters) would be another in another state, nobody knows
which: such a program is refused.

Source:
    Toro Icarte et al., "Reward Machines: Exploiting Reward Function Structure in Reinforcement Learning" (JAIR 73,
    2022), section 3.3 (CRM). Deviation: their code leaves out states that no sequence of the labels seen so far leads
    to; here every reachable state is replayed, as the paper's algorithm says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from rewardspec.backends.arithmetic import NotFiniteError
from rewardspec.backends.array import ArrayState, compile_array
from rewardspec.errors import Place, Problem, UnsupportedError, list_names
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import Layout
from rewardspec.ir.machine import uncovered
from rewardspec.ir.passes import simplify
from rewardspec.ir.program import Machine, Observe, Program
from rewardspec.sets.refusal import refuse_sets
from rewardspec.transition import Transition
from rewardspec.wrappers.labelling import Label
from rewardspec.wrappers.memory import KEY, Memory
from rewardspec.wrappers.single import RewardSpecWrapper, SpecLike, copied
from rewardspec.wrappers.step_errors import explain_advance

MOST_STATES = 4096
"""Joint machine states that are replayed, at most."""

MOST_MOVES = 2_000_000
"""Combinations of edges that are tried to find them, at most."""

INFO = "counterfactual"
"""Key of the counterfactuals in a step's info."""


@dataclass(frozen=True, eq=False)
class JointStates:
    """The states that a program's machines can be in together: U of them, of which R are replayed from.

    Attributes:
        states: State of each machine, `[U, M]` int64; the first row is where an episode begins.
        replayed: Rows that experience is replayed from, `[R]` int64: those that do not end the episode.
        memory: How each looks in an observation, `[U, W]` float32: machine after machine, one-hot.
    """

    states: npt.NDArray[np.int64]
    replayed: npt.NDArray[np.int64]
    memory: npt.NDArray[np.float32]
    _codes: npt.NDArray[np.int64]
    _order: npt.NDArray[np.int64]
    _radix: npt.NDArray[np.int64]

    @staticmethod
    def of(program: Program) -> JointStates:
        r"""Return the joint states that sequences of labels can lead to.

        Raises:
            UnsupportedError: `needs-machine` when the program has no machine with two states or more;
                `memory-follows-machine` when it remembers what depends on a machine; `too-many-states`.

        Example:
            >>> from rewardspec import compile_spec, loads
            >>> spec = loads("propositions: {a: 'next_obs[0] > 0'}\nreward: {ltl: F a & F !a, reject: -1}")
            >>> joint = JointStates.of(compile_spec(spec))
            >>> joint.states.ravel().tolist(), joint.replayed.tolist()
            ([0, 1, 2, 3], [0, 1, 2])
        """
        refuse_unreplayable(program)
        found = np.array(_reachable(program), np.int64)
        sizes = np.array([len(machine.states) for machine in program.machines])
        radix = np.concatenate([np.cumprod(sizes[:0:-1])[::-1], [1]]).astype(np.int64)
        codes = found @ radix
        order = np.argsort(codes)
        replayed = np.array([u for u, states in enumerate(found) if not _is_over(program, states)], np.int64)
        # `Memory` shows machines of two states or more.
        shown = [(i, len(m.states)) for i, m in enumerate(program.machines) if len(m.states) > 1]
        memory = np.concatenate([np.eye(size, dtype=np.float32)[found[:, i]] for i, size in shown], axis=1)
        return JointStates(found, replayed, memory, codes[order], order, radix)

    def __len__(self) -> int:
        """U."""
        return len(self.states)

    def index(self, machines: Sequence[Any]) -> Any:
        """Return the rows of machine states: one number or array `[...]` a machine, an array `[...]` of rows."""
        code = sum(np.asarray(u, np.int64) * factor for u, factor in zip(machines, self._radix, strict=True))
        return self._order[np.searchsorted(self._codes, code)]

    def onto(self, obs: npt.NDArray[Any], index: npt.NDArray[np.int64], first: int) -> npt.NDArray[Any]:
        """Return observations `[N, ..., n]` that show the states `index` (`[N, ...]`) instead of their own.

        Args:
            obs: Observations with memory; changed in place.
            index: Rows of `states`.
            first: Where in the observation the machine states begin.
        """
        obs[..., first : first + self.memory.shape[1]] = self.memory[index]
        return obs


def refuse_unreplayable(program: Program) -> None:
    """Raise when steps cannot be replayed from other machine states.

    Raises:
        UnsupportedError: `needs-machine`, `memory-follows-machine`, `set-not-supported`.
    """
    if not any(len(machine.states) > 1 for machine in program.machines):
        hint = "Declare a `reward_machine` or an `ltl` term, or learn without counterfactuals."
        raise UnsupportedError(
            Problem(
                "needs-machine", f"the spec '{program.name}' has no machine to replay from", hints=(hint,)
            )
        )
    refuse_sets(program, "counterfactual experience", "Learn without counterfactuals.")
    following = _following(program)
    if following:
        raise UnsupportedError(
            Problem(
                "memory-follows-machine",
                f"{list_names(following)} would be another number in another machine state, and nobody knows which",
                _place_of(program, following),
                ("Say it with more machine states, or learn without counterfactuals.",),
            )
        )


def _following(program: Program) -> list[str]:
    """Return the folds of an episode whose value depends on a machine's state, directly or through another fold."""
    updates = {fold.name: fold.update for fold in program.folds}
    propositions = {p.name: p.expr for p in program.propositions}
    follows: dict[str, bool] = {}

    def is_led(expr: ir.Expr) -> bool:
        for node in ir.walk(expr):
            if isinstance(node, ir.StateTable | ir.OutputTable):
                return True
            if isinstance(node, ir.Holds) and is_led(propositions[node.name]):
                return True
            if isinstance(node, ir.Memory) and does_follow(node.fold):
                return True
        return False

    def does_follow(name: str) -> bool:
        if name not in follows:
            follows[name] = False  # a fold that reads itself is led by what else it reads
            follows[name] = is_led(updates[name])
        return follows[name]

    return [fold.name for fold in program.folds if fold.scope == "episode" and does_follow(fold.name)]


def _place_of(program: Program, folds: Sequence[str]) -> Place:
    owner = folds[0].split(".")[0]
    return next((term.place for term in program.terms if term.name == owner), Place())


def _is_over(program: Program, states: Sequence[int] | npt.NDArray[np.int64]) -> bool:
    """Return whether the episode has surely ended when the machines have come to these states."""
    position = {machine.name: i for i, machine in enumerate(program.machines)}

    def fix(node: ir.Expr) -> ir.Expr:
        if isinstance(node, ir.StateTable) and node.after:
            node = ir.Const(node.values[int(states[position[node.machine]])])
        return simplify(node)

    return any(ir.rewrite(end.when, fix) == ir.Const(True) for end in program.ends)


def _reachable(program: Program) -> list[tuple[int, ...]]:
    """Return the joint states that labels lead to, the start first; edges that exclude each other are not taken."""
    names = list(dict.fromkeys(name for machine in program.machines for name in machine.propositions))
    bits = {name: i for i, name in enumerate(names)}
    moves = [[_moves(machine, u, bits) for u in range(len(machine.states))] for machine in program.machines]
    start = tuple(machine.start for machine in program.machines)
    seen, queue, tried = {start: None}, deque([start]), 0
    while queue:
        states = queue.popleft()
        if _is_over(program, states):
            continue
        for cubes in product(*(moves[i][u] for i, u in enumerate(states))):
            tried += 1
            target = tuple(move[2] for move in cubes)
            if target not in seen and _agree(cubes):
                seen[target] = None
                queue.append(target)
            if tried > MOST_MOVES:
                break
        if len(seen) > MOST_STATES or tried > MOST_MOVES:
            raise UnsupportedError(
                Problem(
                    "too-many-states",
                    f"the machines of '{program.name}' have too many states together (at most {MOST_STATES:,})",
                    hints=("Leave a machine out, or learn without counterfactuals.",),
                )
            )
    return list(seen)


def _moves(machine: Machine, state: int, bits: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """Return mask, value and target of a state's edges over the program's label, and of staying."""

    def spread(word: int) -> int:
        return sum(1 << bits[name] for i, name in enumerate(machine.propositions) if word >> i & 1)

    edges = [(spread(e.mask), spread(e.value), e.target) for e in machine.edges[state]]
    stays = [(spread(mask), spread(value), state) for mask, value in uncovered(machine.edges[state])]
    return [*edges, *stays]


def _agree(cubes: Sequence[tuple[int, int, int]]) -> bool:
    """Return whether one label satisfies all cubes."""
    mask = value = 0
    for other_mask, other_value, _ in cubes:
        if (value ^ other_value) & mask & other_mask:
            return False
        mask, value = mask | other_mask, value | other_value
    return True


# -- batches ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Experience:
    """N steps replayed from R machine states each.

    Attributes:
        state: Row of `JointStates` from which it is replayed, `[R]` int64.
        reward: `[N, R]`.
        next_state: Row to which the machines would have gone, `[N, R]` int64.
        terminated: `[N, R]` bool, the environment's flag or the program's.
        truncated: `[N, R]` bool, likewise.
    """

    state: Any
    reward: Any
    next_state: Any
    terminated: Any
    truncated: Any


class Counterfactuals:
    """Replays batches of N recorded steps from every joint machine state.

    Attributes:
        states: The joint machine states.
    """

    def __init__(
        self,
        layout: Layout,
        batch: int,
        library: Literal["numpy", "torch"] = "numpy",
        *,
        dtype: Literal["float32", "float64"] | None = None,
        device: str = "cpu",
    ) -> None:
        """Compile a program for N steps at once.

        Args:
            layout: The program bound to spaces, as `wrap(...).layout` has it.
            batch: N.
            library: `numpy` or `torch`.
            dtype: Floating type; float64 for NumPy and float32 for torch when not given.
            device: Torch device.

        Raises:
            UnsupportedError: As `JointStates.of`; also `memory-follows-machine` for running statistics, which a
                batch takes over all its rows, the counterfactual ones too (`CounterfactualWrapper` can).
        """
        self.states = JointStates.of(layout.program)
        _refuse_statistics(layout.program)
        self._each = len(self.states.replayed)
        self._array = compile_array(layout, batch * self._each, library, dtype=dtype, device=device)
        self._machines = len(layout.program.machines)
        self._batch = batch
        slots = [np.tile(self.states.states[self.states.replayed, i], batch) for i in range(self._machines)]
        self._lib = lib = self._array.backend
        self._slots = tuple(
            lib.cast(lib.constant(slot), lib.state_type(len(machine.states)))
            for slot, machine in zip(slots, layout.program.machines, strict=True)
        )
        self._index = _Index(self.states, lib)

    def replay(
        self, transition: Transition, state: ArrayState, params: Mapping[str, Any] | None = None
    ) -> Experience:
        """Return what the program would have said in every machine state.

        Args:
            transition: The recorded steps, leaves `[N, ...]` of the library's arrays: base observations without
                memory, the environment's own reward and flags, the infos and labels of the step.
            state: The program's state before each step, slots `[N]`; only its numbers matter, not its machines.
            params: Values of parameters where they differ from their initial ones.
        """
        repeated = _repeated(transition, self._batch, self._each)
        slots = [_repeat(slot, self._each) for slot in state[self._machines :]]
        news, outcome = self._array.step((*self._slots, *slots), repeated, params)
        shape = (self._batch, self._each)
        return Experience(
            self._index.replayed,
            outcome.reward.reshape(shape),
            self._index(news[: self._machines]).reshape(shape),
            outcome.terminated.reshape(shape),
            outcome.truncated.reshape(shape),
        )


def _refuse_statistics(program: Program) -> None:
    """Raise when a program takes statistics over the environments of a batch."""
    for fold in program.folds:
        if any(isinstance(node, ir.Reduce) and node.axis == "B" for node in ir.walk(fold.update)):
            raise UnsupportedError(
                Problem(
                    "memory-follows-machine",
                    f"the running statistics '{fold.name}' would count what was never paid",
                    _place_of(program, [fold.name]),
                    ("Use fixed `mean` and `std`, or `CounterfactualWrapper`.",),
                )
            )


class _Index:
    """`JointStates.index` in the arrays of a backend."""

    def __init__(self, states: JointStates, lib: Any) -> None:
        self._lib, self._states = lib, states
        self.replayed = lib.constant(states.replayed)
        self._dense = None
        size = int(states._codes.max()) + 1
        if size <= 1 << 20:
            dense = np.zeros(size, np.int64)
            dense[states._codes] = states._order
            self._dense = lib.constant(dense)

    def __call__(self, machines: Sequence[Any]) -> Any:
        lib = self._lib
        if self._dense is None:
            return lib.constant(self._states.index([np.asarray(u) for u in machines]))
        code: Any = 0
        for u, factor in zip(machines, self._states._radix, strict=True):
            code = code + lib.cast(u, lib.index_type) * int(factor)
        return lib.take(self._dense, code)


def _repeat(value: Any, times: int) -> Any:
    """Return an array with every row `times` times in a row: `[N, ...]` -> `[N * times, ...]`."""
    if hasattr(value, "repeat_interleave"):
        return value.repeat_interleave(times, 0)
    return np.repeat(np.asarray(value), times, axis=0)


def _repeated(transition: Transition, batch: int, times: int) -> Transition:
    def leaves(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: leaves(inner) for key, inner in value.items()}
        if isinstance(value, tuple):
            return tuple(leaves(inner) for inner in value)
        if value is None or np.ndim(value) == 0:
            return value  # one value for all steps, as the backend takes it
        return _repeat(value, times)

    return Transition(*(leaves(getattr(transition, name)) for name in transition.__dataclass_fields__))


# -- an environment that tells them ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Told:
    """The counterfactuals of one step, as `info["counterfactual"]` holds them.

    Attributes:
        states: The joint machine states.
        place: Key of the observation's part that shows the machine states (None where it has no parts), and where
            in that part they begin.
        state: Row of the actual state before the step.
        reward: What would have been paid, `[R]` float32.
        next_state: Row after the step, `[R]` int64.
        terminated: `[R]` bool.
    """

    states: JointStates
    place: tuple[str | None, int]
    state: int
    reward: npt.NDArray[np.float32]
    next_state: npt.NDArray[np.int64]
    terminated: npt.NDArray[np.bool_]

    def __deepcopy__(self, memo: Any) -> Told:
        """Return itself: SB3 copies every info deeply, and nothing here changes."""
        return self


class CounterfactualWrapper(RewardSpecWrapper):
    """`wrap` with the counterfactuals of every step in `info["counterfactual"]`.

    Reward, ends and observations are those of `wrap`. Its agent must see the machine's state, one-hot.

    Attributes:
        states: The joint machine states.
        place: As in `Told`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        spec: SpecLike,
        *,
        label: Label | None = None,
        observe: Observe | None = None,
    ) -> None:
        r"""Wrap an environment.

        Args:
            env: Any gymnasium environment.
            spec: As for `wrap`.
            label: As for `wrap`.
            observe: As for `wrap`; `onehot` or `dict`, where it is not left to choose.

        Raises:
            UnsupportedError: As `wrap` and `JointStates.of`, and `observe-mode`.

        Example:
            >>> from rewardspec import loads
            >>> spec = loads("propositions: {right: 'next_obs[0] > 0'}\nreward: {ltl: F right & F !right, reject: -1}")
            >>> env = CounterfactualWrapper(gym.make("CartPole-v1"), spec)
            >>> _ = env.reset(seed=0)
            >>> told = env.step(1)[4]["counterfactual"]
            >>> told.states.replayed.tolist(), told.next_state.tolist()
            ([0, 1, 2], [1, 1, 3])
        """
        super().__init__(env, spec, label=label, observe=observe)
        self.states = JointStates.of(self.program)
        mode = self._extension.mode if self._extension is not None else "none"
        if mode not in ("onehot", "dict"):
            hint = "Use `observe: onehot` or `observe: dict`."
            raise UnsupportedError(
                Problem(
                    "observe-mode",
                    f"`observe: {mode}` does not show the machine states one-hot",
                    hints=(hint,),
                )
            )
        self.place = self._place(mode)
        self._from = [tuple(int(u) for u in self.states.states[row]) for row in self.states.replayed]
        self._row = {tuple(int(u) for u in states): row for row, states in enumerate(self.states.states)}

    def _place(self, mode: str) -> tuple[str | None, int]:
        space: Any = self.observation_space
        if mode == "dict":
            inner = getattr(self.env.observation_space, "spaces", None)
            added = [key for key in space.spaces if not isinstance(inner, dict) or key not in inner]
            return (KEY if KEY in added else added[0]), 0
        return None, space.shape[0] - Memory.of(self.program).width

    def _go_on(self, state: Any, steps: int, obs: Any) -> None:
        """Keep the state here: a generated step would not tell what the others need."""
        self._kept = (state, steps, obs)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment, pay by the program, and tell what it would have paid elsewhere."""
        before, steps, obs = self._kept
        next_obs, reward, terminated, truncated, info = self.env.step(action)
        labels = () if self._labels is None else self._labels(
            obs, action, next_obs, reward, terminated, truncated, info
        )  # fmt: skip
        parts = (obs, action, next_obs, reward, terminated, truncated, info, labels)
        actual = state, paid, ended, cut = self._advance(before, steps, parts)
        told = self._tell(before, steps, parts, actual)
        self._kept = (state, steps + 1, copied(next_obs) if self._reads_obs else None)
        if ended or cut:
            info = self._report.tell(info, state)
        if self._extension is not None:
            next_obs = self._extension.extend(next_obs, state)
        return next_obs, paid, ended, cut, {**info, INFO: told}

    def _tell(self, before: Any, steps: int, parts: tuple[Any, ...], actual: tuple[Any, ...]) -> Told:
        machines = len(self.program.machines)
        own, numbers = before[:machines], before[machines:]
        count = len(self._from)
        reward = np.empty(count, np.float32)
        next_state, terminated = np.empty(count, np.int64), np.empty(count, np.bool_)
        for i, states in enumerate(self._from):
            news, paid, ended, _ = (
                actual if states == own else self._advance((*states, *numbers), steps, parts)
            )
            reward[i], next_state[i], terminated[i] = paid, self._row[news[:machines]], ended
        return Told(self.states, self.place, self._row[own], reward, next_state, terminated)

    def _advance(self, before: Any, steps: int, parts: tuple[Any, ...]) -> tuple[Any, float, bool, bool]:
        """Return what the program says of a step in a state; errors in the spec's terms."""
        try:
            state, paid, ended, cut = self._scalar.advance(before, *parts, self._params)
            if paid - paid != 0.0:
                raise NotFiniteError
        except Exception as error:
            raise explain_advance(self.layout, self._params, error, steps, before, *parts) from error
        return state, paid, ended, cut
