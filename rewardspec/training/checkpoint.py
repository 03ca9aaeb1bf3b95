"""All that a run needs to go on as if it had never stopped: into a folder, and back.

Weights go through `torch.load(weights_only=True)`, everything else is JSON and plain arrays: nothing is
unpickled, so a run folder that somebody sent can be looked at and gone on with.

Environments are not stored. Every episode is seeded, so each environment is brought back by playing its
current episode again (`Episodes.go_back_to`).
"""

from __future__ import annotations

import base64
import json
import pickle
import random
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rewardspec.errors import LearningError, Problem
from rewardspec.training.environments import Episodes

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

COUNTED = (
    "num_timesteps",
    "_episode_num",
    "_n_updates",
    "_n_calls",
    "exploration_rate",
    "_current_progress_remaining",
)
"""Numbers of SB3's algorithms, as far as an algorithm has them."""

BUFFERED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""Arrays of SB3's replay buffers."""


def save(model: BaseAlgorithm, envs: Iterable[Episodes], notes: Mapping[str, Any], folder: Path) -> None:
    """Write a run's state, as it is at the start of a rollout.

    Args:
        model: The agent in training.
        envs: Its environments.
        notes: Plain data of the caller's, handed back by `load`.
        folder: Where to; it is empty.
    """
    save_weights(model, folder / "weights.zip")
    state = {
        "counted": {name: getattr(model, name) for name in COUNTED if hasattr(model, name)},
        "random": random_state(model),
        "envs": [env.where() for env in envs],
        "episodes": list(model.ep_info_buffer or ()),
        "successes": [bool(s) for s in model.ep_success_buffer or ()],
        "notes": dict(notes),
    }
    (folder / "state.json").write_text(json.dumps(state))
    arrays: dict[str, Any] = {"episode_starts": model._last_episode_starts}
    arrays |= dict(_flat("obs", model._last_obs))
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        filled = buffer.buffer_size if buffer.full else buffer.pos
        for name in (*BUFFERED, *_counterfactual(buffer)):
            arrays |= {
                key: value[:filled] for key, value in _flat(f"buffer.{name}", getattr(buffer, name, None))
            }
        arrays["buffer.place"] = np.array([buffer.pos, buffer.full])
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)


def load(model: BaseAlgorithm, envs: Iterable[Episodes], folder: Path) -> dict[str, Any]:
    """Bring a freshly built agent and its environments to a saved state; return the caller's notes.

    `model.learn(..., reset_num_timesteps=False)` then goes on with the first step of the rollout.

    Raises:
        LearningError: `broken-checkpoint`.
    """
    try:
        state = json.loads((folder / "state.json").read_text())
        with np.load(folder / "arrays.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        load_weights(model, folder / "weights.zip")
        for name, value in state["counted"].items():
            setattr(model, name, value)
        for env, where in zip(envs, state["envs"], strict=True):
            env.go_back_to(where)
        model.ep_info_buffer = deque(state["episodes"], maxlen=model._stats_window_size)
        model.ep_success_buffer = deque(state["successes"], maxlen=model._stats_window_size)
        model._last_obs = _nested("obs", arrays)
        model._last_episode_starts = arrays["episode_starts"]
        if "buffer.place" in arrays:
            _fill(_attribute(model, "replay_buffer"), arrays)
        restore_random_state(model, state["random"])  # last: playing an episode again may draw
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(folder, error) from error
    notes: dict[str, Any] = state["notes"]
    return notes


def run_state(folder: Path) -> dict[str, float]:
    """Return what of the spec outlives episodes (schedules, statistics), as the first environment has it.

    Raises:
        LearningError: `broken-checkpoint`.
    """
    try:
        state = json.loads((folder / "state.json").read_text())
        return {str(name): float(value) for name, value in state["envs"][0]["run_state"].items()}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise _broken(folder, error) from error


def save_weights(model: BaseAlgorithm, path: Path) -> None:
    """Write the parameters of an agent's networks and optimisers, and nothing else."""
    import torch

    names, variables = model._get_torch_save_params()
    held = {"parameters": {name: _attribute(model, name).state_dict() for name in names}}
    held["variables"] = {
        name: _attribute(model, name) for name in variables if _attribute(model, name) is not None
    }
    with path.open("wb") as file:
        torch.save(held, file)


def load_weights(model: BaseAlgorithm, path: Path) -> None:
    """Read what `save_weights` wrote into an agent that was built alike.

    Raises:
        LearningError: `broken-checkpoint`.
    """
    import torch

    try:
        held = torch.load(path, map_location=model.device, weights_only=True)
        model.set_parameters(held["parameters"], exact_match=True, device=model.device)
        for name, value in held["variables"].items():
            _attribute(model, name).data = value.data
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> LearningError:
    reason = (str(error).splitlines() or [""])[0]
    return LearningError(Problem("broken-checkpoint", f"{path} cannot be read: {reason}"))


def _attribute(model: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        model = getattr(model, name)
    return model


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return an array, or a mapping of arrays, as named arrays."""
    if isinstance(value, Mapping):
        return [(f"{name}/{key}", array) for key, array in value.items()]
    return [] if value is None else [(name, value)]


def _nested(name: str, arrays: Mapping[str, Any]) -> Any:
    """Return what `_flat` took apart."""
    if name in arrays:
        return arrays[name]
    start = f"{name}/"
    return {key[len(start) :]: array for key, array in arrays.items() if key.startswith(start)}


def _counterfactual(buffer: Any) -> tuple[str, ...]:
    """Return the names of the arrays that a CRM buffer has beside SB3's."""
    return tuple(getattr(buffer, "stored", ()))


def _fill(buffer: Any, arrays: Mapping[str, Any]) -> None:
    for name in (*BUFFERED, *_counterfactual(buffer)):
        for key, target in _flat(f"buffer.{name}", getattr(buffer, name, None)):
            target[: len(arrays[key])] = arrays[key]
    position, full = arrays["buffer.place"]
    buffer.pos, buffer.full = int(position), bool(full)


def random_state(model: BaseAlgorithm) -> dict[str, Any]:
    """Return the state of every generator that SB3 draws from."""
    import torch

    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, gauss],
        "torch": base64.b64encode(torch.get_rng_state().numpy().tobytes()).decode(),
        "actions": model.action_space.np_random.bit_generator.state,
    }


def restore_random_state(model: BaseAlgorithm, saved: Mapping[str, Any]) -> None:
    """Bring every generator back to what `random_state` gave."""
    import torch

    version, words, gauss = saved["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, gauss = saved["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(torch.frombuffer(bytearray(base64.b64decode(saved["torch"])), dtype=torch.uint8))
    model.action_space.np_random.bit_generator.state = saved["actions"]
