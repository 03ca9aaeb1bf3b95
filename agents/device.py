"""What agents that live on the device are made of: worlds, what they see, weights as one vector, captured graphs.

Everything that changes while such an agent trains is a tensor with a name, in a dict: a checkpoint is those tensors, a
graph capture puts them back after its trial run, and nothing else has to be remembered. `device_run.py` trains them.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from torch import Tensor

from agents.command import held_specs, joined
from envs.batches import batch, refuse_device
from rewardspec import Program, Spec, compile_spec, load
from rewardspec.analysis.optimisers import check_discount, check_objective
from rewardspec.environments import choose_environment
from rewardspec.errors import MismatchError, Problem, UnsupportedError, list_names
from rewardspec.learning.learner import RewardLearner
from rewardspec.training.folder import RunFolder
from rewardspec.wrappers.remembering import tensors_of
from rewardspec.wrappers.stacked import StackedWrapper, wrap_stacked
from rewardspec.wrappers.tensor import TensorWrapper, wrap_tensor

Memory = dict[str, Tensor]
"""Tensors that keep their addresses while their values change."""

GAMMA = 0.99
"""The agent's discount where neither the spec nor the user says one."""


# -- specs and worlds ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tasks:
    """What is to be learned: one spec, or all specs of a folder.

    Attributes:
        specs: By name.
        programs: The same, compiled.
        gamma: The discount.
        text: The specs as they were written, for the run folder.
        env_id: Gymnasium id of the environment.
        arguments: What it is made with.
    """

    specs: Mapping[str, Spec]
    programs: Mapping[str, Program]
    gamma: float
    text: str
    env_id: str
    arguments: Mapping[str, Any]


def read_tasks(
    spec: Path | None,
    specs: Path | None,
    env_id: str | None = None,
    gamma: float | None = None,
    *,
    begun_in: RunFolder | None = None,
) -> Tasks:
    """Read a spec, or every `*.yaml` of a folder, or the files that a pattern names.

    Args:
        spec: A spec file.
        specs: A folder of spec files, or a pattern as `specs/office_*.yaml`.
        env_id: The environment, where the specs do not name it or another is meant.
        gamma: The agent's discount; the specs' own when not given.
        begun_in: The run folder whose copy of these specs is read in place of their files.

    Raises:
        SpecError: When a spec is wrong, or there is none.
        MismatchError: `no-environment`: none is named, or the specs' may not be made unasked (`choose_environment`).
        UnsupportedError: `discount-mismatch` when `gamma` is not a spec's discount; `wrong-setting`.
    """
    if (spec is None) == (specs is None):
        text = "say what to learn: either --spec with a file, or --specs with a folder of them, or a pattern in quotes"
        raise UnsupportedError(Problem("wrong-setting", text))
    if begun_in is not None:
        names = [spec.stem] if spec is not None else list(begun_in.read_facts()["digest"])
        read = dict(zip(names, held_specs(begun_in, len(names)), strict=True))
        text = begun_in.spec.read_text(encoding="utf-8")
    else:
        paths = [spec] if spec is not None else _matching(Path(str(specs)))
        if not paths:
            raise UnsupportedError(Problem("wrong-setting", f"there are no specs in {specs}"))
        read = {path.stem: load(path) for path in paths}
        text = joined([path.read_text(encoding="utf-8") for path in paths])
    found = {one.discount for one in read.values() if one.discount is not None}
    chosen = gamma if gamma is not None else found.pop() if len(found) == 1 else GAMMA
    problems = [
        problem
        for one in read.values()
        for problem in check_discount(one, chosen) + check_objective(one, "this agent")
    ]
    if problems:
        raise UnsupportedError(problems)
    named = [one.env for one in read.values() if one.env is not None and one.env.id is not None]
    its_id, arguments = choose_environment(env_id, named[0] if named else None)
    if its_id is None:
        hint = "Write `env: {id: CartPole-v1}` in the spec, or pass --env."
        raise MismatchError(Problem("no-environment", "no spec names an environment", hints=(hint,)))
    return Tasks(
        read, {name: compile_spec(one) for name, one in read.items()}, chosen, text, its_id, arguments
    )


def _matching(specs: Path) -> list[Path]:
    return sorted(specs.glob("*.yaml") if specs.is_dir() else specs.parent.glob(specs.name))


def make_worlds(
    tasks: Tasks,
    num_envs: int,
    device: str,
    seed: int,
    *,
    stacked: bool = False,
    learner: RewardLearner | None = None,
) -> TensorWrapper | StackedWrapper:
    """Return the environments on the device: with one program, with a stack of several (or of one), or with a learner.

    Raises:
        UnsupportedError: `unknown-device`, `no-batch-form`, `unfit-stack`.
        MismatchError: When the environment lacks what a spec reads.
    """
    refuse_device(device)
    envs = batch(tasks.env_id, num_envs, device, seed, **tasks.arguments)
    if learner is not None:
        worlds: TensorWrapper = learner.wrap_tensor(envs, device=device)
        return worlds
    if stacked or len(tasks.specs) > 1:
        return wrap_stacked(envs, tasks.specs, device=device)
    return wrap_tensor(envs, next(iter(tasks.specs.values())), device=device, totals=False)


# -- what an agent sees --------------------------------------------------------------------------------------


class Sight:
    """Observations as what networks take: a vector `[N, D]` and, where there is one, a picture `[N, C, H, W]`.

    Attributes:
        size: D.
        picture: (C, H, W), None where there is no picture.
    """

    def __init__(self, space: spaces.Space[Any], device: str) -> None:
        """Look at the space of one observation.

        Raises:
            UnsupportedError: `unreadable-observation`.
        """
        parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
        self._vectors: list[tuple[str, Callable[[Tensor], Tensor]]] = []
        self.size, self.picture, self._shown = 0, None, None
        for key, part in parts.items():
            if isinstance(part, spaces.Discrete):
                self._vectors.append((key, _one_hot(part, device)))
                self.size += int(part.n)
            elif isinstance(part, spaces.Box) and len(part.shape) == 3 and self.picture is None:
                height, width, channels = part.shape
                self.picture, self._shown = (channels, height, width), key
                self._scale = 1.0 / float(part.high.max()) if np.isfinite(part.high.max()) else 1.0
            elif isinstance(part, spaces.Box | spaces.MultiBinary):
                self._vectors.append((key, _scaled(part, device)))
                self.size += math.prod(part.shape)
            else:
                text = f"the observation's part '{key}' is a {type(part).__name__}: not a vector, number or picture"
                raise UnsupportedError(Problem("unreadable-observation", text))

    def __call__(self, obs: Any) -> Memory:
        """Return new tensors `{"vector": [N, D] float32, "picture": [N, C, H, W] float32}`."""
        parts = obs if isinstance(obs, Mapping) else {"": obs}
        vectors = [see(parts[key]) for key, see in self._vectors]
        seen = {"vector": torch.cat(vectors, dim=1)} if vectors else {}
        if self._shown is not None:
            seen["picture"] = parts[self._shown].to(torch.float32).movedim(-1, 1) * self._scale
        return seen


def _one_hot(space: spaces.Discrete, device: str) -> Callable[[Tensor], Tensor]:
    rows, first = torch.eye(int(space.n), device=device), int(space.start)
    return lambda x: rows[x - first]


def _scaled(space: spaces.Box | spaces.MultiBinary, device: str) -> Callable[[Tensor], Tensor]:
    """Return a function that brings numbers into -1 .. 1 where their bounds are finite, and leaves others alone."""
    factor = np.ones(space.shape, np.float32)
    if isinstance(space, spaces.Box):
        most = np.maximum(np.abs(space.low), np.abs(space.high)).astype(np.float32)
        factor = np.where(
            np.isfinite(most) & (most > 0) & (most < 1e6), 1 / np.where(most > 0, most, 1), factor
        )
    scale = torch.as_tensor(factor.ravel(), dtype=torch.float32, device=device)
    return lambda x: x.to(torch.float32).flatten(1) * scale


# -- weights -------------------------------------------------------------------------------------------------


class Weights:
    """Names and shapes of the parts of one flat vector.

    Attributes:
        shapes: Name -> shape.
        size: Length of the vector.
    """

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._gains: dict[str, float] = {}
        self.size = 0

    def add(self, name: str, shape: tuple[int, ...], gain: float) -> None:
        """Add a part: with a gain, an orthogonal matrix of that gain; without (0), zeros."""
        self.shapes[name], self._gains[name] = shape, gain
        self.size += math.prod(shape)

    def linear(self, name: str, inputs: int, outputs: int, gain: float = math.sqrt(2)) -> int:
        """Add a layer `x @ weight + bias`; return the number of its outputs."""
        self.add(f"{name}.weight", (inputs, outputs), gain)
        self.add(f"{name}.bias", (outputs,), 0.0)
        return outputs

    def init(self, seed: int) -> Tensor:
        """Return a new vector, the same for the same seed on every device."""
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for name, shape in self.shapes.items():
            part = torch.zeros(shape)
            if self._gains[name]:
                torch.nn.init.orthogonal_(part, self._gains[name], generator=generator)
            parts.append(part.flatten())
        return torch.cat(parts)

    def split(self, vector: Tensor) -> Memory:
        """Return the parts by name, views of the vector. One operation: its gradient is one concatenation."""
        parts = vector.split([math.prod(shape) for shape in self.shapes.values()])
        return {
            name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


class Trunk:
    """Features of what is seen: a small convolutional network for the picture, the vector as it is."""

    def __init__(self, sight: Sight, weights: Weights) -> None:
        """Add the weights that it needs."""
        self.picture, self.size = sight.picture, sight.size
        if sight.picture is not None:
            channels, height, width = sight.picture
            weights.add("see0.weight", (16, channels, 3, 3), math.sqrt(2))
            weights.add("see0.bias", (16,), 0.0)
            weights.add("see1.weight", (32, 16, 3, 3), math.sqrt(2))
            weights.add("see1.bias", (32,), 0.0)
            halves = [(n + 1) // 2 for n in (height, width)]
            self.size += weights.linear("see2", 32 * halves[0] * halves[1], 128)

    def __call__(self, w: Memory, seen: Memory) -> Tensor:
        """Return features `[N, size]`."""
        if self.picture is None:
            return seen["vector"]
        conv, relu = torch.nn.functional.conv2d, torch.relu
        x = relu(conv(seen["picture"], w["see0.weight"], w["see0.bias"], padding=1))
        x = relu(conv(x, w["see1.weight"], w["see1.bias"], stride=2, padding=1))
        x = relu(torch.addmm(w["see2.bias"], x.flatten(1), w["see2.weight"]))
        return torch.cat([x, seen["vector"]], dim=1) if "vector" in seen else x


def layers(w: Memory, name: str, x: Tensor, depth: int, activate: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the hidden layers `name0` ... of a network, then `name` without activation: `[N, outputs]`."""
    for i in range(depth):
        x = activate(torch.addmm(w[f"{name}{i}.bias"], x, w[f"{name}{i}.weight"]))
    return torch.addmm(w[f"{name}.bias"], x, w[f"{name}.weight"])


def add_layers(
    weights: Weights, name: str, inputs: int, hidden: Sequence[int], outputs: int, gain: float
) -> None:
    """Add the weights of `layers`."""
    for i, width in enumerate(hidden):
        inputs = weights.linear(f"{name}{i}", inputs, width)
    weights.linear(name, inputs, outputs, gain)


def adam(memory: Memory, gradient: Tensor, learning_rate: Tensor | float, epsilon: float = 1e-5) -> None:
    """Take one step of Adam on `memory["weights"]`, with its moments in `first`, `second` and `updates`.

    Source: Kingma and Ba, "Adam" (ICLR 2015), algorithm 1, on one vector, and without a look at the step's number.
    """
    memory["updates"].add_(1)
    memory["first"].lerp_(gradient, 0.1)
    memory["second"].lerp_(gradient * gradient, 0.001)
    first = memory["first"] / (1 - 0.9 ** memory["updates"])
    second = memory["second"] / (1 - 0.999 ** memory["updates"])
    memory["weights"].sub_(learning_rate * first / (second.sqrt() + epsilon))


def adam_memory(weights: Tensor) -> Memory:
    """Return weights with what Adam remembers."""
    return {
        "weights": weights,
        "first": torch.zeros_like(weights),
        "second": torch.zeros_like(weights),
        "updates": torch.zeros((), device=weights.device),
    }


# -- graphs and checkpoints ----------------------------------------------------------------------------------


def captured(
    work: Callable[[], None], state: Callable[[], Memory], restore: Callable[[Memory], None], worlds: Any
) -> Callable[[], None]:
    """Return a function that replays `work` as one CUDA graph.

    A graph reads and writes the addresses that it was captured with, so `work` must keep all that it remembers in
    tensors whose memory stays, and look at none of them. It is tried three times before it is captured, as PyTorch
    asks for; what it changed by that is put back, random numbers included.

    Args:
        work: What to capture.
        state: Returns copies of all that `work` changes.
        restore: Puts them back.
        worlds: The wrapped environments, which are looked at for memory that moves.

    Raises:
        UnsupportedError: `unfit-graph` when the environments put new tensors in place of old ones.
    """
    before, numbers = state(), torch.cuda.get_rng_state()
    refuse_moving(worlds, work, state, restore)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    restore(before)
    torch.cuda.set_rng_state(numbers)
    return graph.replay


def refuse_moving(
    worlds: Any, work: Callable[[], None], state: Callable[[], Memory], restore: Callable[[Memory], None]
) -> None:
    """Raise when environments do not write what they remember into the same memory: a graph would replay old values.

    Raises:
        UnsupportedError: `unfit-graph`, with the attribute.
    """
    places = {name: tensor.data_ptr() for name, tensor in tensors_of(worlds.env).items()}
    before = state()
    work()
    restore(before)
    for name, tensor in tensors_of(worlds.env).items():
        if places.get(name) != tensor.data_ptr():
            where = f"{type(worlds.env).__name__}.{name}"
            text = f"{where} is a new tensor after a step, and a CUDA graph would go on with the old"
            hint = f"Write self.{name}.copy_(...) in place of self.{name} = ..., or leave --cuda-graphs out."
            raise UnsupportedError(Problem("unfit-graph", text, hints=(hint,)))


def refuse_graphs(device: str) -> None:
    """Raise unless the device can capture graphs.

    Raises:
        UnsupportedError: `unknown-device`.
    """
    refuse_device(device)
    if torch.device(device).type != "cuda":
        hint = "Pass --device cuda, or leave --cuda-graphs out: --compile helps on the CPU."
        text = f"CUDA graphs need a CUDA device, and the device is '{device}'"
        raise UnsupportedError(Problem("unknown-device", text, hints=(hint,)))


def refuse_compiling(device: str) -> None:
    """Raise unless torch.compile finds the compiler that it hands its code to: one for C++, for CUDA one for C.

    Raises:
        UnsupportedError: `needs-compiler`; `unknown-device`.
    """
    refuse_device(device)
    language, variable, names = "C++", "CXX", ("clang++",) if sys.platform == "darwin" else ("g++",)
    if torch.device(device).type == "cuda":
        language, variable, names = "C", "CC", ("gcc", "clang")
    tried = (os.environ[variable],) if os.environ.get(variable) else names
    if not any(shutil.which(name) for name in tried):
        hint = f"Install one (on Debian: apt install g++), name yours in {variable}, or leave --compile out."
        text = f"torch.compile needs a {language} compiler, and {list_names(tried)} is not to be found"
        raise UnsupportedError(Problem("needs-compiler", text, hints=(hint,)))


def numbers_state(device: str) -> Tensor:
    """Return the state of the device's random numbers, as bytes."""
    return torch.cuda.get_rng_state() if torch.device(device).type == "cuda" else torch.get_rng_state()


def set_numbers_state(device: str, state: Tensor) -> None:
    """Take up what `numbers_state` gave."""
    if torch.device(device).type == "cuda":
        torch.cuda.set_rng_state(state.cpu())
    else:
        torch.set_rng_state(state.cpu())


def copies(memory: Memory, worlds: Any) -> Memory:
    """Return copies of all that training changes, random numbers apart: an agent's memory, and its worlds'."""
    told = {f"worlds.{name}": part for name, part in worlds.state_dict().items()}
    return {name: part.clone() for name, part in memory.items()} | told


def take_up(memory: Memory, worlds: Any, saved: Memory) -> None:
    """Take up what `copies` gave; memory keeps its addresses."""
    for name, part in memory.items():
        part.copy_(saved[name])
    worlds.load_state_dict({name[7:]: part for name, part in saved.items() if name[:7] == "worlds."})


def to_arrays(memory: Memory) -> dict[str, npt.NDArray[Any]]:
    """Return tensors as arrays, for a checkpoint."""
    return {name: tensor.cpu().numpy() for name, tensor in memory.items()}


def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], device: str) -> Memory:
    """Return a checkpoint's arrays as tensors on the device; bytes of random numbers stay bytes."""
    return {name: torch.as_tensor(array, device=device) for name, array in arrays.items()}
