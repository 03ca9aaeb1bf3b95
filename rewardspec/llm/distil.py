"""A small classifier in a judge's place: fitted to what the judge said, so that training does not wait for a model.

Logistic regression for each subgoal. Of a page of characters it sees which action was taken, the words of both messages
and which characters became others, alone and with the action; of numbers, those before and after the step, their
differences and squares. Subgoals are rare, so both answers weigh the same in the fit.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from rewardspec.errors import LanguageModelError, Problem
from rewardspec.ir.program import Judged
from rewardspec.kinds.subgoals import View
from rewardspec.llm.views import changed, choose_view, message_of, name_action, show
from rewardspec.transition import Transition

BUCKETS = 2048
"""Numbers that words and changes are hashed to."""

FORMAT = 1

Floats = npt.NDArray[np.float64]

StepSeen = tuple[Any, str, Any]
"""Observation before, name of the action, observation after."""


@dataclass(frozen=True)
class Held:
    """How a classifier does on steps that were kept from its fit, against the judge that it was fitted to.

    Attributes:
        steps: How many were kept.
        agreement: Share of them on which it says the same of every subgoal.
    """

    steps: int
    agreement: float


class Distilled:
    """A classifier that is called like a judge.

    Attributes:
        questions: The subgoals.
        view: What it sees.
        held: How it does on steps that were kept from the fit.
        source: Name of the judge that it was fitted to.
    """

    def __init__(
        self,
        questions: tuple[str, ...],
        view: View,
        weights: Floats,
        centre: Floats,
        spread: Floats,
        held: Held,
        source: str,
        actions: tuple[str, ...] = (),
    ) -> None:
        """Take what was fitted: `weights` `[Q, F + 1]`, `centre` and `spread` `[F]`."""
        self.questions, self.view, self.held, self.source = questions, view, held, source
        self.labels = questions
        self._weights, self._centre, self._spread, self._actions = weights, centre, spread, actions

    def __call__(self, env: Any, transition: Transition) -> dict[str, bool]:
        """Return the truth of each label on a step."""
        action = name_action(env, transition.action, self._actions)
        said = self.judge(transition.obs, action, transition.next_obs)
        return dict(zip(self.labels, said.values(), strict=True))

    def judge(self, obs: Any, action: str, next_obs: Any) -> dict[str, bool]:
        """Return the truth of each subgoal for a step between two observations."""
        x = (features(self.view, obs, action, next_obs) - self._centre) / self._spread
        scores = self._weights[:, :-1] @ x + self._weights[:, -1]
        return dict(zip(self.questions, (scores > 0.0).tolist(), strict=True))

    def save(self, path: str | Path) -> None:
        """Write it as `.npz`: arrays, and one text of JSON."""
        about = {
            "format": FORMAT,
            "questions": list(self.questions),
            "view": self.view,
            "held": [self.held.steps, self.held.agreement],
            "source": self.source,
            "actions": list(self._actions),
        }
        with Path(path).open("wb") as file:
            np.savez_compressed(
                file,
                about=np.array(json.dumps(about)),
                weights=self._weights,
                centre=self._centre,
                spread=self._spread,
            )

    @staticmethod
    def load(path: Path, judged: Judged, space: gym.spaces.Space[Any] | None = None) -> Distilled:
        """Return the classifier of a file, as the judge of what a program leaves to it.

        Raises:
            LanguageModelError: `broken-judge` where it cannot be read, or was fitted to other subgoals.
            MismatchError: `no-view` where the space has not what it sees.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                weights, centre, spread = (
                    np.array(file[name], np.float64) for name in ("weights", "centre", "spread")
                )
            questions = tuple(map(str, about["questions"]))
            held = Held(int(about["held"][0]), float(about["held"][1]))
            actions, view, source = tuple(map(str, about["actions"])), about["view"], str(about["source"])
            width = centre.size
            fits = weights.shape == (len(questions), width + 1) and spread.shape == (width,)
            fits = fits and centre.ndim == 1 and about["format"] == FORMAT and view in get_args(View)
            fits = fits and all(bool(np.isfinite(array).all()) for array in (weights, centre, spread))
        except (OSError, ValueError, KeyError, TypeError, LookupError, zipfile.BadZipFile) as error:
            raise _broken(path, f"it cannot be read ({type(error).__name__})") from None
        if not fits:
            raise _broken(path, "its parts do not fit together")
        if questions != judged.questions:
            raise _broken(path, f"it was fitted to other subgoals: {', '.join(questions)}")
        if space is not None:
            view = choose_view(space, view, judged.place)
        found = Distilled(questions, view, weights, centre, spread, held, source, actions)
        found.labels = judged.labels
        return found


def _broken(path: Path, why: str) -> LanguageModelError:
    hint = "Fit it anew: rewardspec llm distil SPEC."
    return LanguageModelError(Problem("broken-judge", f"{path.name}: {why}", hints=(hint,)))


def distil(
    steps: Sequence[StepSeen],
    said: Sequence[Mapping[str, bool]],
    view: View,
    *,
    source: str,
    actions: Sequence[str] = (),
    held_out: float = 0.2,
    seed: int = 0,
    iterations: int = 300,
    decay: float = 1e-3,
) -> Distilled:
    """Return a classifier that is fitted to what a judge said of steps.

    Args:
        steps: What was judged.
        said: What was said, subgoal -> truth, a step each.
        view: What the classifier sees.
        source: Name of the judge.
        actions: Names of the actions, where the environment has none.
        held_out: Share of the steps that only judge the fit.
        seed: Seed of which these are.
        iterations: Steps of Adam, over all data at once.
        decay: Factor on half the squared weights, added to the loss.

    Raises:
        LanguageModelError: `too-little-said` where a subgoal was reached on no step, or on all of them.
    """
    questions = tuple(said[0]) if said else ()
    truth = np.array([[bool(step[question]) for question in questions] for step in said], np.float64)
    for number, question in enumerate(questions):
        if truth[:, number].min() == truth[:, number].max():
            how = "no step" if truth[0, number] == 0 else "every step"
            message = f"'{question}' was reached on {how} of {len(said)}: there is nothing to tell apart"
            hint = "Let a better player take the steps, or judge more of them."
            raise LanguageModelError(Problem("too-little-said", message, hints=(hint,)))
    x = np.array([features(view, *step) for step in steps])
    order = np.random.default_rng(seed).permutation(len(x))
    kept, fitted = np.split(order, [round(held_out * len(x))])
    centre, spread = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if view == "numbers":
        centre[BUCKETS:] = x[fitted, BUCKETS:].mean(axis=0)
        spread[BUCKETS:] = np.maximum(x[fitted, BUCKETS:].std(axis=0), 1e-6)
    x = (x - centre) / spread
    weights = _fit(x[fitted], truth[fitted], iterations, decay)
    same = (x[kept] @ weights[:, :-1].T + weights[:, -1] > 0) == truth[kept].astype(bool)
    held = Held(len(kept), float(same.all(axis=1).mean()) if len(kept) else 0.0)
    return Distilled(questions, view, weights, centre, spread, held, source, tuple(actions))


def _fit(x: Floats, truth: Floats, iterations: int, decay: float) -> Floats:
    """Return the weights `[Q, F + 1]` of balanced logistic regressions, by Adam on all data."""
    x = np.hstack([x, np.ones((len(x), 1))])
    share = np.clip(truth.mean(axis=0), 1e-6, 1 - 1e-6)
    balance = np.where(truth > 0, 0.5 / share, 0.5 / (1 - share)) / len(x)
    weights = np.zeros((truth.shape[1], x.shape[1]))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, iterations + 1):
        said = 1.0 / (1.0 + np.exp(-np.clip(x @ weights.T, -30, 30)))
        gradient = ((said - truth) * balance).T @ x + decay * weights
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        scale = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights -= 0.05 * scale * mean / (np.sqrt(square) + 1e-8)
    return weights


def features(view: View, obs: Any, action: str, next_obs: Any) -> Floats:
    """Return what the classifier sees of a step: `[2048]` of words and changes, and the numbers of that view."""
    x = np.zeros(BUCKETS)
    for word in _words(view, obs, action, next_obs):
        for token in (word, f"{action} & {word}"):
            x[zlib.crc32(token.encode()) % BUCKETS] = 1.0
    if view != "numbers":
        return x
    before, after = _flat(obs), _flat(next_obs)
    return np.concatenate([x, before, after, after - before, before**2, after**2])


def _words(view: View, obs: Any, action: str, next_obs: Any) -> Iterator[str]:
    yield f"action {action}"
    if view == "numbers":
        return
    for when, seen in (("before", obs), ("after", next_obs)):
        words = (message_of(seen) or "").split()[:30]
        yield from (f"{when}: {word}" for word in words)
        yield from (f"{when}: {a} {b}" for a, b in pairwise(words))
    pairs = changed(show(obs, view), show(next_obs, view))
    yield from ("moved",) if pairs is None else (f"{old} became {new}" for old, new in pairs)


def _flat(obs: Any) -> Floats:
    """Return the numbers of an observation, `[numbers]`."""
    if isinstance(obs, Mapping):
        return np.concatenate([_flat(part) for part in obs.values()])
    if isinstance(obs, tuple):
        return np.concatenate([_flat(part) for part in obs])
    return np.asarray(obs, np.float64).reshape(-1)
