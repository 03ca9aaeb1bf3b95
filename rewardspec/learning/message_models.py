"""What messages are worth: the labels themselves, or a convolutional network over bytes that is fitted to them (ONI).

Sizes are those of Zheng et al. (arXiv 2410.23022) by default: 32 numbers for each of 256 bytes, six convolutions of 64
channels, without padding (widths 7, 7, 3, 3, 3, 3; the largest of three after the first, the second and the last), 128
numbers for a message and two hidden layers of 512 for a classification, 256 and one for a ranking.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rewardspec.errors import LearningError, Problem
from rewardspec.kinds.feedback import CharacterNetwork, Feedback
from rewardspec.learning.messages import join

Floats = npt.NDArray[np.float64]

KERNELS = (7, 7, 3, 3, 3, 3)
POOLED = (True, True, False, False, False, True)
"""Width of each convolution, and whether the largest of three numbers is taken after it."""

BLOCK = 512
"""Messages that a network is asked about at a time."""

LEAST_SPREAD = 1e-6


class Characters(torch.nn.Module):
    """A network from the bytes of messages to `outputs` numbers."""

    def __init__(self, form: CharacterNetwork, longest: int, outputs: int) -> None:
        """Draw the weights as torch's layers do."""
        super().__init__()
        self.embedding = torch.nn.Embedding(256, form.embedding)
        sizes = (form.embedding, *(form.channels,) * len(KERNELS))
        self.convolutions = torch.nn.ModuleList(
            torch.nn.Conv1d(sizes[i], sizes[i + 1], kernel) for i, kernel in enumerate(KERNELS)
        )
        left = longest
        for kernel, pooled in zip(KERNELS, POOLED, strict=True):
            left = (left - kernel + 1) // (3 if pooled else 1)
        features = form.features or (128 if outputs == 2 else 256)
        hidden = ((512, 512) if outputs == 2 else (512,)) if form.hidden is None else form.hidden
        widths = (left * form.channels, features, *hidden, outputs)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.dropout = form.dropout

    def forward(self, data: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return `[N, outputs]` numbers for `[N, bytes]` bytes; a generator says what is dropped in a fit."""
        x: torch.Tensor = self.embedding(data.long()).transpose(1, 2)
        for layer, pooled in zip(self.convolutions, POOLED, strict=True):
            x = torch.relu(layer(x))
            x = torch.nn.functional.max_pool1d(x, 3) if pooled else x
        x = x.flatten(1)
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i == len(self.layers) - 1:
                break
            x = torch.relu(x)
            if generator is not None and self.dropout and i:
                kept = torch.rand(x.shape, generator=generator) >= self.dropout
                x = x * kept / (1.0 - self.dropout)
        return x


class MessageModel:
    """Says what a message is worth, for one term of kind `feedback`.

    Attributes:
        options: The term.
        width: Numbers in which a program sees a message.
        texts: Messages by number; what is not among them is worth 0.
        labels: Labels by number, for `retrieval`.
        network: The network of the other two.
        is_fitted: False before the first labels: it says 0 then.
        mean: Mean of the scores of a ranking, over messages as they were shown.
        spread: Their standard deviation.
    """

    width = 2

    def __init__(self, options: Feedback, seed: int) -> None:
        """Know nothing."""
        self.options = options
        self.texts: dict[int, str] = {}
        self.labels: dict[int, float] = {}
        self.network: Characters | None = None
        self.is_fitted = False
        self.mean, self.spread = 0.0, 1.0
        self._known: dict[int, float] = {}
        if options.model != "retrieval":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                outputs = 2 if options.model == "classification" else 1
                self.network = Characters(options.network, options.longest, outputs)
            self._adam = torch.optim.Adam(self.network.parameters(), lr=options.fit.learning_rate)

    # -- asking ------------------------------------------------------------------------------------

    def reward(self, inputs: npt.ArrayLike) -> Floats:
        """Return `[N]` what messages are worth, from `[N, 2]` numbers."""
        codes, place = np.unique(join(inputs), return_inverse=True)
        found: Floats = np.array(self.of(codes.tolist()), np.float64)[place.reshape(-1)]
        return found

    def reward_of_one(self, inputs: npt.ArrayLike) -> float:
        """Return what the message of one step is worth, from its two numbers."""
        (code,) = join(np.asarray(inputs)[None]).tolist()
        return self.of([code])[0]

    def reward_tensor(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `[N]` what messages are worth, from `[N, 2]` numbers on any device."""
        return torch.from_numpy(self.reward(inputs.cpu().numpy())).to(inputs)

    def of(self, codes: Sequence[int]) -> list[float]:
        """Return what messages are worth, by number."""
        if self.network is None:
            return [self.labels.get(code, 0.0) for code in codes]
        if not self.is_fitted:
            return [0.0] * len(codes)
        new = [code for code in codes if code not in self._known and self.counts(code)]
        if new:
            said = (self.scores([self.texts[code] for code in new]) - self.mean) / self.spread
            self._known.update(zip(new, said.tolist(), strict=True))
        return [self._known.get(code, 0.0) for code in codes]

    def counts(self, code: int) -> bool:
        """Return whether a message is there to be judged: it is known, and not empty where that says nothing."""
        return code in self.texts and (code != 0 or self.options.empty == "ask")

    def scores(self, texts: Sequence[str]) -> Floats:
        """Return `[N]` what the network says of messages: a probability, or a score as it is."""
        network = self.network
        assert network is not None
        found = []
        with torch.no_grad():
            for start in range(0, len(texts), BLOCK):
                said = network(self._bytes(texts[start : start + BLOCK]))
                said = torch.softmax(said, 1)[:, 1] if said.shape[1] == 2 else said[:, 0]
                found.append(said.double().numpy())
        return np.concatenate(found) if found else np.zeros(0)

    def _bytes(self, texts: Sequence[str]) -> torch.Tensor:
        """Return `[N, longest]` the bytes of messages, zero behind their ends."""
        longest = self.options.longest
        rows = (text.encode("utf-8", "replace")[:longest].ljust(longest, b"\0") for text in texts)
        return torch.from_numpy(np.frombuffer(b"".join(rows), np.uint8).reshape(-1, longest).copy())

    # -- fitting -----------------------------------------------------------------------------------

    def fit_labels(self, labels: Mapping[int, float], rng: np.random.Generator) -> float:
        """Fit the probability to labels by number, 0 or 1; return the loss of the last step.

        Loss: cross-entropy of two classes, not weighted.
        """
        network = self.network
        assert network is not None
        data = self._bytes([self.texts[code] for code in labels])
        truth = torch.tensor([int(label > 0.5) for label in labels.values()])

        def loss_of(rows: npt.NDArray[np.int64], generator: torch.Generator) -> torch.Tensor:
            which = torch.from_numpy(rows)
            return torch.nn.functional.cross_entropy(network(data[which], generator), truth[which])

        return self._fit(len(truth), loss_of, rng)

    def fit_pairs(self, pairs: Sequence[tuple[int, int, float]], rng: np.random.Generator) -> float:
        """Fit the score to pairs (a, b, label); the label is 1 where a is better, 0 where b is, 1/2 for a tie.

        Loss: -label log sigmoid(R(a) - R(b)) - (1 - label) log sigmoid(R(b) - R(a)), the mean of a batch.
        """
        network = self.network
        assert network is not None
        codes = np.array([pair[:2] for pair in pairs], np.int64).reshape(-1, 2)
        known, places = np.unique(codes, return_inverse=True)
        places = places.reshape(-1, 2)
        data = self._bytes([self.texts[code] for code in known.tolist()])
        target = torch.tensor([pair[2] for pair in pairs])

        def loss_of(rows: npt.NDArray[np.int64], generator: torch.Generator) -> torch.Tensor:
            used, where = np.unique(places[rows], return_inverse=True)
            said = network(data[torch.from_numpy(used)])[:, 0][torch.from_numpy(where.reshape(-1, 2))]
            difference = said[:, 0] - said[:, 1]
            return torch.nn.functional.binary_cross_entropy_with_logits(
                difference, target[torch.from_numpy(rows)]
            )

        return self._fit(len(target), loss_of, rng)

    def _fit(self, number: int, loss_of: Any, rng: np.random.Generator) -> float:
        network, options = self.network, self.options.fit
        assert network is not None
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        last = 0.0
        for _ in range(options.updates if number <= options.few else options.updates_later):
            size = min(options.batch_size, number)
            rows = rng.choice(number, size, replace=False)
            with torch.enable_grad():
                loss = loss_of(rows, generator)
                self._adam.zero_grad(set_to_none=True)
                loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.gradient_norm)
            self._adam.step()
            last = float(loss.detach())
        self.is_fitted = True
        self.forget()
        return last

    def settle(self, shown: Mapping[int, int]) -> None:
        """Take mean and spread of a ranking's scores over messages, by how often they were shown."""
        self.forget()
        known = {code: number for code, number in shown.items() if self.counts(code)}
        if self.options.model != "ranking" or self.options.as_released or not known or not self.is_fitted:
            return
        scores = self.scores([self.texts[code] for code in known])
        weights = np.array(list(known.values()), np.float64)
        mean = float(np.average(scores, weights=weights))
        spread = float(np.sqrt(np.average((scores - mean) ** 2, weights=weights)))
        self.mean, self.spread = mean, spread if spread > LEAST_SPREAD else 1.0

    def forget(self) -> None:
        """Forget what was said: the network has changed."""
        self._known.clear()

    # -- plain data --------------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return labels, weights and all else as plain arrays, for a checkpoint."""
        found: dict[str, npt.NDArray[Any]] = {
            "codes": np.array(list(self.labels), np.int64),
            "labels": np.array(list(self.labels.values()), np.float64),
            "settled": np.array([self.mean, self.spread, self.is_fitted], np.float64),
        }
        if self.network is not None:
            for i, weight in enumerate(self.network.parameters()):
                found[f"weight_{i}"] = weight.detach().numpy().copy()
                moments = self._adam.state.get(weight, {})
                if moments:
                    found[f"mean_{i}"] = moments["exp_avg"].numpy().copy()
                    found[f"square_{i}"] = moments["exp_avg_sq"].numpy().copy()
                    found["updates"] = np.array(float(moments["step"]))
        return found

    def take_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what `to_arrays` gave.

        Raises:
            LearningError: `broken-model` when they are of another form.
        """
        try:
            codes, labels = np.asarray(arrays["codes"], np.int64), np.asarray(arrays["labels"], np.float64)
            mean, spread, fitted = (float(value) for value in np.asarray(arrays["settled"], np.float64))
            if codes.shape != labels.shape or codes.ndim != 1:
                raise ValueError(f"{codes.shape} messages have {labels.shape} labels")
            if not np.isfinite([mean, spread, *labels]).all() or spread <= 0:
                raise ValueError("numbers are not finite")
            if self.network is not None:
                self._take_network(self.network, arrays)
        except (KeyError, TypeError, ValueError) as error:
            message = f"the saved reward model is not of this spec's form: {error}"
            raise LearningError(Problem("broken-model", message)) from error
        self.labels = dict(zip(codes.tolist(), labels.tolist(), strict=True))
        self.mean, self.spread, self.is_fitted = mean, spread, bool(fitted)
        self.forget()

    def _take_network(self, network: Characters, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        weights = list(network.parameters())
        taken: list[list[torch.Tensor]] = []
        for i, weight in enumerate(weights):
            names = [f"weight_{i}"] + ([f"mean_{i}", f"square_{i}"] if "updates" in arrays else [])
            parts = [torch.from_numpy(np.array(arrays[name], np.float32)) for name in names]
            if any(part.shape != weight.shape for part in parts):
                raise ValueError(f"weight_{i} is not of the shape {tuple(weight.shape)}")
            if not all(bool(torch.isfinite(part).all()) for part in parts):
                raise ValueError(f"weight_{i} holds numbers that are not finite")
            taken.append(parts)
        with torch.no_grad():
            for weight, parts in zip(weights, taken, strict=True):
                weight.copy_(parts[0])
                if len(parts) == 3:
                    step = torch.tensor(float(arrays["updates"]))
                    self._adam.state[weight] = {"step": step, "exp_avg": parts[1], "exp_avg_sq": parts[2]}
