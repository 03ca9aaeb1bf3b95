"""Reward models: ensembles of small networks, fitted in torch, asked for a single step in NumPy."""

from __future__ import annotations

import io
import itertools
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem, missing_extra
from rewardspec.kinds.reward_model import Networks, NominalWorst, RewardModel
from rewardspec.learning.combining import combine

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "torch", "learned rewards") from error

Floats = npt.NDArray[np.float32]

MODELS = "learned.npz"
"""Name of the file of reward models in a run folder."""

LEAST_SPREAD = 1e-6
"""Spread below which an input or an output counts as constant, and is only centred."""

NEWEST = 0.1
"""Share of the steps that members are settled on, the newest, over which the worst one is found: over all of them
standardised members have the same mean."""

UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, MemoryError),
    *(
        RuntimeError,
        zlib.error,
        zipfile.BadZipFile,
    ),  # RuntimeError: said to be encrypted, or packed in a strange way
)
"""What NumPy and zipfile raise for a file that is cut short, damaged or no archive of arrays."""

BLOCK = 16_384
"""Steps that are asked at a time: more need memory and are no faster."""


class StepModel(Protocol):
    """What a learner pays by, for one learned part: D numbers of a step -> a reward, 0 before anything is learned."""

    is_fitted: bool

    def reward(self, inputs: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return `[N]` rewards for `[N, D]` inputs."""
        ...

    def reward_of_one(self, inputs: npt.ArrayLike) -> float:
        """Return the reward of one step, `[D]` inputs."""
        ...

    def reward_tensor(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `[N]` rewards for `[N, D]` inputs on their device."""
        ...

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the model as plain arrays."""
        ...

    def take_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what `to_arrays` gave."""
        ...


class Ensemble:
    """M networks of one form, their weights stacked: `[M, in, out]` for each layer.

    Inputs are centred and scaled by mean and spread of the steps that were fitted; each member's output, where the
    model says `standardise`, by mean and spread over the steps stored at the last refresh.

    Attributes:
        form: The model's options.
        width: Numbers that it sees of a step.
        weights: `[M, in, out]` and `[M, 1, out]` in turn, torch parameters.
        is_fitted: False before the first refresh: it says 0 then.
        nominal: The member with the least held-out loss.
        worst: The member with the least mean over the newest of the stored steps.
    """

    def __init__(self, form: Networks, width: int, seed: int) -> None:
        """Draw the weights as torch's linear layers do: uniform within 1 / sqrt(inputs)."""
        self.form, self.width = form, width
        generator = torch.Generator().manual_seed(seed)
        sizes = (width, *form.hidden, 1)
        self.weights: list[torch.Tensor] = []
        for wide, narrow in itertools.pairwise(sizes):
            bound = 1.0 / np.sqrt(max(wide, 1))
            for rows in (wide, 1):
                drawn = torch.rand(form.ensemble, rows, narrow, generator=generator) * 2 - 1
                self.weights.append((drawn * bound).requires_grad_())
        self.centre = np.zeros(width, np.float32)
        self.spread = np.ones(width, np.float32)
        self.mean = np.zeros(form.ensemble, np.float32)
        self.scale = np.ones(form.ensemble, np.float32)
        self.nominal = self.worst = 0
        self.is_fitted = False
        self._fast: list[Floats] | None = None

    # -- asking ------------------------------------------------------------------------------------

    def scores(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `[M, N]` scores as the networks give them, not standardised; `inputs` are `[N, D]` or `[M, N, D]`."""
        centre, spread = torch.from_numpy(self.centre), torch.from_numpy(self.spread)
        x = (inputs - centre.to(inputs)) / spread.to(inputs)
        x = x.expand(self.form.ensemble, *x.shape) if x.ndim == 2 else x
        last = len(self.weights) - 2
        for i in range(0, len(self.weights), 2):
            x = torch.baddbmm(self.weights[i + 1].to(x.device), x, self.weights[i].to(x.device))
            if i < last:
                x = torch.relu(x) if self.form.activation == "relu" else torch.tanh(x)
        scores: torch.Tensor = x.squeeze(-1)
        return scores

    def members(self, inputs: npt.ArrayLike) -> Floats:
        """Return `[M, N]` rewards of the members for `[N, D]` inputs, standardised where the model says so."""
        rows = torch.from_numpy(np.ascontiguousarray(inputs, np.float32))
        with torch.no_grad():
            blocks = (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
            found = [self.scores(block).numpy() for block in blocks]
        scores = np.concatenate(found, axis=1) if found else np.zeros((self.form.ensemble, 0), np.float32)
        return (scores - self.mean[:, None]) / self.scale[:, None]

    def reward(self, inputs: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return `[N]` rewards for `[N, D]` inputs: 0 before the first refresh."""
        if not self.is_fitted:
            return np.zeros(len(np.asarray(inputs)))
        combined: npt.NDArray[np.float64] = self._combined(self.members(inputs)).astype(np.float64)
        return combined

    def reward_tensor(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `[N]` rewards for `[N, D]` inputs on their device: 0 before the first refresh."""
        if not self.is_fitted:
            return torch.zeros(len(inputs), dtype=inputs.dtype, device=inputs.device)
        with torch.no_grad():
            return self.combined(inputs.float()).to(inputs.dtype)

    def combined(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `[N]` rewards for `[N, D]` inputs, with their gradients."""
        scores = self.scores(inputs)
        mean, scale = (torch.from_numpy(part).to(scores)[:, None] for part in (self.mean, self.scale))
        combined: torch.Tensor = self._combined((scores - mean) / scale)
        return combined

    def reward_of_one(self, inputs: npt.ArrayLike) -> float:
        """Return the reward of one step, `[D]` inputs: NumPy alone, a tenth of torch's time for a single row."""
        if not self.is_fitted:
            return 0.0
        if self._fast is None:
            self._fast = [weight.detach().numpy().copy() for weight in self.weights]
        fast = self._fast
        x = ((np.asarray(inputs, np.float32) - self.centre) / self.spread)[None, None, :]
        last = len(fast) - 2
        for i in range(0, len(fast), 2):
            x = x @ fast[i] + fast[i + 1]
            if i < last:
                x = np.maximum(x, 0.0, out=x) if self.form.activation == "relu" else np.tanh(x, out=x)
        return float(self._combined((x[:, 0, 0] - self.mean) / self.scale))

    def _combined(self, members: Any) -> Any:
        how = self.form.combine
        over_batch = isinstance(how, NominalWorst) and how.worst_over == "batch"
        return combine(members, how, self.nominal, self.worst if over_batch else None)

    # -- after fitting -----------------------------------------------------------------------------

    def see(self, inputs: Floats) -> None:
        """Take the scale of the inputs from `[N, D]` steps; done once, before the first fit."""
        self.centre = inputs.mean(0).astype(np.float32)
        spread = inputs.std(0)
        self.spread = np.where(spread < LEAST_SPREAD, 1.0, spread).astype(np.float32)

    def settle(self, inputs: Floats, losses: npt.NDArray[np.float64]) -> None:
        """Take who is nominal from `[M]` losses, and who is worst from `[N, D]` stored steps, oldest first.

        Where the form has a scale that is free, each member's is taken from the stored steps, too.
        """
        self._fast = None
        if isinstance(self.form, RewardModel):
            self.mean[:], self.scale[:] = 0.0, 1.0
        scores = (self.members(inputs) * self.scale[:, None]) + self.mean[:, None]
        if isinstance(self.form, RewardModel) and self.form.standardise:
            self.mean = scores.mean(1)
            spread = scores.std(1)
            self.scale = np.where(spread < LEAST_SPREAD, 1.0, spread).astype(np.float32)
        self.nominal = int(np.argmin(losses))
        newest = scores[:, -max(int(scores.shape[1] * NEWEST), 1) :]
        self.worst = int(np.argmin(((newest - self.mean[:, None]) / self.scale[:, None]).mean(1)))
        self.is_fitted = True

    def forget_fast(self) -> None:
        """Forget the copy of the weights that single steps are answered from; for whoever changes them."""
        self._fast = None

    # -- plain data --------------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that it has learned, as plain arrays."""
        weights = {f"weight_{i}": w.detach().numpy().copy() for i, w in enumerate(self.weights)}
        scale = {name: getattr(self, name) for name in ("centre", "spread", "mean", "scale")}
        chosen = np.array([self.nominal, self.worst, self.is_fitted], np.int64)
        return {**weights, **scale, "chosen": chosen}

    def take_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what `to_arrays` gave.

        Raises:
            LearningError: `broken-model` when they are of another form.
        """
        own, found = self.to_arrays(), {}
        try:
            if set(arrays) != set(own):
                raise ValueError(f"it holds {_names(arrays)}, not {_names(own)}")
            for name, mine in own.items():
                found[name] = given = np.asarray(arrays[name], mine.dtype)
                if given.shape != mine.shape:
                    raise ValueError(f"{name} has the shape {given.shape}, not {mine.shape}")
                if not np.isfinite(given).all():
                    raise ValueError(f"{name} holds numbers that are not finite")
            nominal, worst, fitted = (int(value) for value in found["chosen"])
            if not 0 <= min(nominal, worst) <= max(nominal, worst) < self.form.ensemble:
                raise ValueError(f"it names members {nominal} and {worst} of {self.form.ensemble}")
        except (TypeError, ValueError) as error:
            message = f"the saved reward model is not of this spec's form: {error}"
            raise LearningError(Problem("broken-model", message)) from error
        with torch.no_grad():
            for i, weight in enumerate(self.weights):
                weight.copy_(torch.from_numpy(found[f"weight_{i}"]))
        for name in ("centre", "spread", "mean", "scale"):
            getattr(self, name)[...] = found[name]
        self.nominal, self.worst, self.is_fitted, self._fast = nominal, worst, bool(fitted), None


def _names(arrays: Mapping[str, Any]) -> str:
    return ", ".join(sorted(arrays)) or "nothing"


def models_to_arrays(models: Mapping[str, StepModel], digest: str) -> dict[str, npt.NDArray[Any]]:
    """Return reward models as plain arrays, with the digest of the program that they belong to."""
    arrays = {
        f"model/{name}/{key}": array
        for name, model in models.items()
        for key, array in model.to_arrays().items()
    }
    return {"digest": np.array(digest), **arrays}


def models_from_arrays(
    models: Mapping[str, StepModel],
    digest: str,
    arrays: Mapping[str, npt.NDArray[Any]],
    name: str = "what was saved",
) -> None:
    """Take up what `models_to_arrays` gave.

    Raises:
        LearningError: `broken-model`.
    """
    if str(arrays.get("digest")) != digest:
        hint = "Take the spec from the run that the models were learned in."
        problem = Problem("broken-model", f"{name} was learned for another spec", hints=(hint,))
        raise LearningError(problem)
    for model in models:
        start = f"model/{model}/"
        own = {key[len(start) :]: array for key, array in arrays.items() if key.startswith(start)}
        models[model].take_arrays(own)


def write_models(models: Mapping[str, StepModel], digest: str, target: Path | IO[bytes]) -> None:
    """Write reward models as `.npz`."""
    arrays: Any = models_to_arrays(models, digest)
    np.savez(target, allow_pickle=False, **arrays)


def read_models(models: Mapping[str, StepModel], digest: str, source: Path | bytes) -> None:
    """Read what `write_models` wrote into models of the same spec.

    Raises:
        LearningError: `broken-model`.
    """
    name = str(source) if isinstance(source, Path) else "what another process sent"
    try:
        with np.load(io.BytesIO(source) if isinstance(source, bytes) else source, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except UNREADABLE as error:
        raise LearningError(Problem("broken-model", f"{name} cannot be read: {error}")) from error
    models_from_arrays(models, digest, arrays, name)
