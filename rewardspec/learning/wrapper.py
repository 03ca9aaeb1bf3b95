"""One gymnasium environment that pays learned terms by their models, and tells a learner what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Observe, Program
from rewardspec.learning.messages import MESSAGES
from rewardspec.wrappers.labelling import Label
from rewardspec.wrappers.reports import inner_report
from rewardspec.wrappers.single import RewardSpecWrapper

if TYPE_CHECKING:
    from rewardspec.learning.learner import RewardLearner


class LearnedStep(NamedTuple):
    """What a step's `info["learned"]` tells.

    Attributes:
        features: `[F]` numbers that models see, that learners compare, and that learned terms need besides.
        paid: What the learned terms paid on the step, summed.
        seed: Seed of the episode's reset; None where it had none.
        messages: What the game said, one text for each term that reads messages.
    """

    features: npt.NDArray[np.float64]
    paid: float
    seed: int | None = None
    messages: tuple[str, ...] = ()


class LearnedRewardWrapper(RewardSpecWrapper):
    """Pays a spec with learned terms; make one with `RewardLearner.wrap`, or with `wrap_learned(env, spec, ...)`.

    Every step's info has `learned`, a `LearnedStep`. What is reported at the end of an episode is what was paid, by
    the models as they were at each step, and under `info["rewardspec"]["measures"]` the mean of each number that is
    compared, such as HERON's factors.

    Attributes:
        learner: Whose models pay.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        spec: Program,
        *,
        learner: RewardLearner,
        label: Label | None = None,
        observe: Observe | None = None,
        detail: bool = False,
    ) -> None:
        """See `RewardLearner.wrap`."""
        self.learner = learner
        # The first record counts: whoever makes the environment anew from `env.spec` shares the learner.
        gym.utils.RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,
            spec=spec,
            learner=learner,
            label=label,
            observe=observe,
            detail=detail,
        )
        super().__init__(env, spec, label=label, observe=observe, detail=detail)
        self._seed: int | None = None
        self._totals = np.zeros(len(self.program.terms))
        self._sums = np.zeros(self._split.width)
        names = (term.name for term in self._split.layout.program.terms[len(self._split.known) :])
        self._feature_names = tuple(names)

    def _bound(self, layout: Layout) -> Layout:
        self._split = self.learner.bind(layout)
        return self._split.layout

    @property
    def _steps_fused(self) -> bool:
        return False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and begin a new episode of the program."""
        self._seed = seed
        self._totals[:] = 0.0
        self._sums[:] = 0.0
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment and pay: what is known by the program, what is learned by the models."""
        taken = self._take(action)
        split = self._split
        known = taken.terms[: len(split.known)]
        features = np.array(taken.terms[len(split.known) :], np.float64)
        learned = self._pay(features)
        reward = float(sum(known)) + float(sum(learned))
        together = (*known, *learned)
        terms = tuple(together[i] for i in split.order)
        self._totals += terms
        self._sums += features
        step = LearnedStep(features, float(sum(learned)), self._seed, taken.info.get(MESSAGES, ()))
        info = {**taken.info, "learned": step}
        next_obs = taken.next_obs
        if self._detail:
            transition = self.last_transition = taken.transition(self.layout)
            described = self._describe((taken.before, transition), terms)
            info["rewardspec"] = {**described, **inner_report(taken.info)}
        if taken.terminated or taken.truncated:
            info = self._report_end(info, taken.steps + 1)
        if self._extension is not None:
            next_obs = self._extension.extend(next_obs, taken.state)
        return next_obs, reward, taken.terminated, taken.truncated, info

    def _pay(self, features: npt.NDArray[np.float64]) -> tuple[float, ...]:
        """Return what each learned term pays on one step; nothing where it is the target of a critic."""
        if self.learner.targets_value:
            return (0.0,) * (len(self.program.terms) - len(self._split.known))
        models = self.learner.models
        said = {
            c.learned.name: models[c.learned.name].reward_of_one(features[c.inputs])
            for c in self._split.columns
        }
        return self._split.pay_one(features.tolist(), said, self._params)

    def _report_end(self, info: dict[str, Any], steps: int) -> dict[str, Any]:
        slots = self.state[: len(self.program.machines) + len(self.program.folds)]
        summary = dict(info["rewardspec"]) if self._detail else inner_report(info)
        measures = {
            self._feature_names[i]: float(self._sums[i] / steps)
            for c in self._split.columns
            for i in range(c.measures.start, c.measures.stop)
        }
        return self._report(info, (*slots, *self._totals.tolist()), {**summary, "measures": measures})

    def tally(self) -> list[float]:
        """Return what each term has paid in the episode so far."""
        return [float(total) for total in self._totals]

    def take_tally(self, tally: Sequence[float]) -> None:
        """Take up what `tally` gave: the models have changed since it was paid."""
        self._totals[:] = tally

    def take_models(self, data: bytes) -> None:
        """Take up the models of a learner in another process, the bytes of their `.npz` file."""
        self.learner.load_models(data)


def learned_from(place: str | Path) -> Path:
    """Return the file of reward models of a run folder, or the file itself.

    Raises:
        UnsupportedError: `no-models` where there is none.
    """
    from rewardspec.learning.models import MODELS

    path = Path(place)
    file = path / MODELS if path.is_dir() else path
    if not file.is_file():
        hint = "A run of `rewardspec train` on a spec with learned terms has one when it is finished."
        raise UnsupportedError(Problem("no-models", f"there are no reward models in {path}", hints=(hint,)))
    return file
