"""The learner of a spec's learned rewards: it watches steps, fits models to comparisons, and pays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem, UnsupportedError
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Program
from rewardspec.kinds.feedback import Feedback
from rewardspec.kinds.latent import Latent
from rewardspec.kinds.preferences import Preferences
from rewardspec.kinds.reward_model import Refreshing, Stored
from rewardspec.learning.aims import no_value_target, settings_of, targets_value
from rewardspec.learning.comparisons import ByPeople, Comparisons, comparisons_for
from rewardspec.learning.decomposition import refuse_other_widths
from rewardspec.learning.features import Columns, Split, split
from rewardspec.learning.feedback import FeedbackSource
from rewardspec.learning.message_models import MessageModel
from rewardspec.learning.messages import MessageReader, join
from rewardspec.learning.models import (
    MODELS,
    UNREADABLE,
    Ensemble,
    StepModel,
    models_from_arrays,
    models_to_arrays,
    read_models,
    write_models,
)
from rewardspec.learning.refreshing import Values, fit_pairs, fit_returns, gains_of
from rewardspec.learning.trajectories import TrajectoryStore
from rewardspec.learning.wrapper import LearnedRewardWrapper
from rewardspec.wrappers.single import SpecLike, as_program

if TYPE_CHECKING:
    from rewardspec.learning.callback import LearnedRewardCallback
    from rewardspec.llm.provider import Provider

Floats = npt.NDArray[np.float32]

STATE = "learner.npz"
"""Name of the file, in a checkpoint, of all that a learner needs besides its models."""


class RewardLearner:
    """Learns what a spec leaves to be learned, beside any agent that trains.

    With stable-baselines3:

        learner = RewardLearner("pendulum_heron.yaml")
        model = SAC("MlpPolicy", learner.wrap(gymnasium.make("Pendulum-v1")))
        model.learn(50_000, callback=learner.callback())

    Any other agent calls `observe` after each step of its environments and `refresh` now and then, and pays stored
    steps anew by `pay`. A learner whose messages a language model labels has a process beside it, which ends at
    `close`, at the end of a `with` block, or with this process.

    Attributes:
        program: The compiled spec.
        targets_value: Whether what models say is paid to nobody, and is what a critic is fitted to.
        models: Per learned part, its model; made when the first environment is wrapped.
        store: The latest steps; made by the first `observe`.
        team: Environments, side by side, that share a return, as agents of one world do: latent rewards add up to the
            return of all of them.
        reports: What every refresh came to, in order: plain data with `steps`, `name`, `refresh` and the numbers of
            `FitReport` and of the comparisons.
    """

    models_file = MODELS

    def __init__(
        self,
        spec: SpecLike,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
        store_on_disk: bool = False,
        provider: Provider | None = None,
    ) -> None:
        """Make a learner that has seen nothing.

        Args:
            spec: A spec with at least one learned term.
            seed: Seed of weights, of what is drawn, and of simulated teachers.
            folder: Folder of the run: for questions to people or to a model, and for the store where it is on disk.
            store_on_disk: Whether the stored steps live in files of the folder and not in memory.
            provider: The language model that labels messages, asked in a thread; when not given, the one that the spec
                names, asked by a process.

        Raises:
            SpecError: The spec is wrong.
            UnsupportedError: `nothing-learned`; `needs-folder`; `value-target` where some learned terms pay and others
                do not.
        """
        self.program: Program = as_program(spec)
        if not self.program.learned:
            hint = "Train on it as it is: rewardspec.wrap(env, spec)."
            message = f"nothing of the reward of '{self.program.name}' is learned"
            raise UnsupportedError(Problem("nothing-learned", message, hints=(hint,)))
        self.folder = None if folder is None else Path(folder)
        self.targets_value = targets_value(self.program)
        if store_on_disk and self.folder is None:
            raise UnsupportedError(Problem("needs-folder", "a store on disk needs a folder"))
        self._on_disk = store_on_disk
        self._seed = seed
        self._rng = np.random.default_rng((seed, 1))
        self._split: Split | None = None
        self.models: dict[str, StepModel] = {}
        self._provider = provider
        self._feedback: dict[str, FeedbackSource] = {}
        self._sources: dict[str, Comparisons] = {}
        self._next: dict[str, int] = {
            learned.name: settings_of(learned.settings).after for learned in self.program.learned
        }
        self._refreshed: dict[str, int] = dict.fromkeys(self._next, 0)
        self.store: TrajectoryStore | None = None
        self.team = 1
        self._ends = 0
        self._late: dict[str, npt.NDArray[Any]] | None = None
        self.reports: list[dict[str, Any]] = []

    # -- environments --------------------------------------------------------------------------------

    def wrap(self, env: gym.Env[Any, Any], **options: Any) -> LearnedRewardWrapper:
        """Return an environment that pays by the present models and tells what the learner needs.

        Args:
            env: Any gymnasium environment that fits the spec.
            options: `label` and `observe`, as `rewardspec.wrap` takes them.

        Raises:
            MismatchError: The environment lacks what the spec reads, or differs from one wrapped before.
        """
        if self.reads_messages:
            env = MessageReader(env, self)
        return LearnedRewardWrapper(env, self.program, learner=self, **options)

    def wrap_tensor(self, tenv: Any, **options: Any) -> Any:
        """Return environments on a device that pay by the present models; see `LearnedTensorWrapper`.

        Args:
            tenv: The environments, as `rewardspec.wrap_tensor` takes them.
            options: `device`, `dtype`, `label` and `observe`, likewise.

        Raises:
            UnsupportedError: `value-target`; `needs-messages`.
        """
        from rewardspec.learning.tensor_wrapper import LearnedTensorWrapper

        if self.reads_messages:
            message = "environments on a device show no messages, and a term pays for them"
            hint = "Train with stable-baselines3: rewardspec train SPEC, or learner.wrap(env)."
            raise UnsupportedError(Problem("needs-messages", message, hints=(hint,)))
        if self.targets_value:
            raise no_value_target("environments on a device")
        return LearnedTensorWrapper(tenv, self, **options)

    def bind(self, layout: Layout) -> Split:
        """Return the split of a layout; the first one decides the models' form."""
        found = split(layout)
        if self._split is None:
            self._split = found
            for i, columns in enumerate(found.columns):
                settings = settings_of(columns.learned.settings)
                if isinstance(settings, Feedback):
                    self._bind_feedback(columns, settings, self._seed * 1009 + i)
                    continue
                if isinstance(settings, Latent):
                    refuse_other_widths(settings, columns.learned, layout)
                width = columns.inputs.stop - columns.inputs.start
                name = columns.learned.name
                if not width:
                    message = f"the model of '{name}' would see nothing: no part of observation or action is a number"
                    raise UnsupportedError(Problem("no-inputs", message, columns.learned.place))
                self.models[name] = Ensemble(settings.networks, width, seed=self._seed * 1009 + i)
                if isinstance(settings, Refreshing):
                    self._sources[name] = comparisons_for(columns, self.folder)
        elif found.width != self._split.width:
            message = "this environment's spaces differ from those of the one that was wrapped first"
            raise UnsupportedError(Problem("other-spaces", message))
        return found

    def _bind_feedback(self, columns: Columns, settings: Feedback, seed: int) -> None:
        model = MessageModel(settings, seed)
        self.models[columns.learned.name] = model
        source = FeedbackSource(columns.learned, model, self.folder, self._provider, self._rng)
        self._feedback[columns.learned.name] = source

    @property
    def split(self) -> Split:
        """The spec as the environments see it.

        Raises:
            LearningError: `nothing-wrapped` before the first `wrap`.
        """
        if self._split is None:
            hint = "Train on `learner.wrap(env)`."
            raise LearningError(
                Problem("nothing-wrapped", "the learner has wrapped no environment", hints=(hint,))
            )
        return self._split

    def callback(self, reports: str | Path | None = None) -> LearnedRewardCallback:
        """Return what `model.learn(callback=...)` of stable-baselines3 takes.

        Args:
            reports: JSON Lines file to which what every refresh came to is appended; none when not given.
        """
        from rewardspec.learning.callback import LearnedRewardCallback

        return LearnedRewardCallback(self, None if reports is None else Path(reports))

    # -- learning --------------------------------------------------------------------------------------

    @property
    def needs_values(self) -> bool:
        """Whether a learned part is fitted to regrets, and needs the agent's values."""
        return any(
            isinstance(each.settings, Preferences) and each.settings.statistic == "regret"
            for each in self.program.learned
        )

    @property
    def asks_people(self) -> bool:
        """Whether a learned part asks people, and needs to know how an episode is played again."""
        return any(isinstance(source, ByPeople) for source in self._sources.values())

    @property
    def reads_messages(self) -> bool:
        """Whether a learned part pays for messages."""
        return any(isinstance(each.settings, Feedback) for each in self.program.learned)

    def know(self, name: str, text: str) -> int:
        """Keep a message that an environment of this process shows; return its number.

        Args:
            name: Of the learned part that reads it.
            text: The message.
        """
        return self._feedback[name].know(text)

    def start(self) -> None:
        """See that somebody labels messages, where a language model is to do so; nothing is waited for.

        Raises:
            LanguageModelError: `no-llm`, `unknown-weights` and the like where there is no model to be asked.
        """
        for source in self._feedback.values():
            source.open()

    def close(self) -> None:
        """End the processes that label messages; the next refresh starts them again."""
        for source in self._feedback.values():
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def observe(
        self,
        features: npt.ArrayLike,
        ended: npt.ArrayLike,
        ends: npt.ArrayLike | None = None,
        played: npt.ArrayLike | None = None,
        messages: Iterable[Sequence[str]] | None = None,
    ) -> None:
        """Keep a step of every environment.

        Args:
            features: `[B, F]`, from `info["learned"].features`.
            ended: `[B]` whether the step was the last of its episode.
            ends: `[B, 2 O + 1]` the agent's observation before the step, after it, and whether the step terminated;
                where `needs_values`.
            played: `[B, 2 + A]` what `playing.pack` makes of the episodes' seeds and of the actions; where
                `asks_people`. Without it questions cannot be shown.
            messages: Per environment, `info["learned"].messages`; needed from environments in other processes alone.

        Raises:
            LearningError: `broken-features` for numbers that are not finite.
        """
        rows = np.asarray(features, np.float32)
        for shown in messages or ():
            for told, text in zip(self._feedback.values(), shown, strict=True):
                told.know(text)
        for columns in self.split.columns if self._feedback else ():
            if feedback := self._feedback.get(columns.learned.name):
                feedback.saw(join(rows[:, columns.inputs]).tolist())
        known = rows.shape[1]
        if played is not None:
            rows = np.concatenate([rows, np.asarray(played, np.float32)], axis=1)
        extra = slice(known, rows.shape[1])
        if ends is not None:
            rows = np.concatenate([rows, np.asarray(ends, np.float32)], axis=1)
        stored = [s.store for each in self.program.learned if isinstance(s := each.settings, Stored)]
        if self.store is None and stored:
            steps = max(stored)
            folder = self.folder / "store" if self._on_disk and self.folder is not None else None
            self.store = TrajectoryStore(steps, len(rows), rows.shape[1], folder)
            self._ends = extra.stop
            for source in self._sources.values():
                if isinstance(source, ByPeople) and played is not None:
                    source.played = extra
            if self._late is not None:
                self.store.take_state(self._late)
                self._late = None
        if not np.isfinite(rows).all():
            where = int(np.argwhere(~np.isfinite(rows))[0][1])
            message = (
                f"a learned reward would see {rows[:, where].tolist()[:3]} in {self._feature_name(where)}"
            )
            raise LearningError(Problem("broken-features", message))
        if self.store is not None:
            self.store.add(rows, ended)

    def _feature_name(self, column: int) -> str:
        terms = self.split.layout.program.terms[len(self.split.known) :]
        return f"'{terms[column].name}'" if column < len(terms) else "the agent's observation"

    def is_due(self, steps: int) -> bool:
        """Return whether a refresh is due after that many environment steps of the run."""
        return any(steps >= due for due in self._next.values())

    def refresh(self, steps: int, values: Values | None = None) -> list[dict[str, Any]]:
        """Fit every model whose refresh is due; return what it came to, empty where nothing was due.

        Args:
            steps: Environment steps of the run so far.
            values: The agent's own values; where `needs_values`.

        Raises:
            LearningError: `all-tied` where the spec says `when_tied: stop` and no pair was decided; `wrong-answer`.
            LanguageModelError: `no-llm` and the like where messages are to be labelled and there is no model.
        """
        found = []
        for columns in self.split.columns:
            name = columns.learned.name
            settings = settings_of(columns.learned.settings)
            if steps < self._next[name] or (self.store is None and not isinstance(settings, Feedback)):
                continue
            while self._next[name] <= steps:
                self._next[name] += settings.every
            self._refreshed[name] += 1
            report = {"steps": steps, "name": name, "refresh": self._refreshed[name]}
            if isinstance(settings, Feedback):
                found.append(report | self._feedback[name].refresh())
            elif isinstance(settings, Latent):
                found.append(report | fit_returns(*self._stored(columns), settings, self.team, self._rng))
            else:
                assert isinstance(settings, Refreshing) and self.store is not None
                gains = None
                if values is not None and getattr(settings, "statistic", "") == "regret":
                    gains = gains_of(self.store, self._ends, values)
                source = self._sources[name]
                found.append(report | fit_pairs(*self._stored(columns), settings, source, gains, self._rng))
        self.reports += found
        return found

    def _stored(self, columns: Columns) -> tuple[Ensemble, TrajectoryStore, Columns]:
        """Return a learned part's model, the stored steps, and where its features are."""
        model = self.models[columns.learned.name]
        assert self.store is not None and isinstance(model, Ensemble)
        return model, self.store, columns

    # -- paying ------------------------------------------------------------------------------------------

    def say(self, features: npt.ArrayLike) -> dict[str, npt.NDArray[np.float64]]:
        """Return what each model says of `[N, F]` features: `[N]` by name."""
        rows = np.asarray(features, np.float32)
        return {
            c.learned.name: self.models[c.learned.name].reward(rows[:, c.inputs]) for c in self.split.columns
        }

    def pay(
        self, features: npt.ArrayLike, params: Mapping[str, float] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return `[N]` the sum of the learned terms for stored steps, by the present models.

        Args:
            features: `[N, F]`.
            params: Values of parameters where they differ from their initial ones.
        """
        rows = np.asarray(features, np.float64)
        values = {param.name: param.initial for param in self.program.params} | dict(params or {})
        paid: npt.NDArray[np.float64] = self.split.pay(rows, self.say(rows), values).sum(0)
        return paid

    def pay_tensor(self, features: Any, params: Mapping[str, Any]) -> Any:
        """Return `[K, N]` what each learned term pays for `[N, F]` features, a tensor on any device.

        Args:
            features: `[N, F]`.
            params: Value of every parameter of the program.
        """
        said = {
            c.learned.name: self.models[c.learned.name].reward_tensor(features[:, c.inputs])
            for c in self.split.columns
        }
        return self.split.pay_tensor(features, said, params)

    # -- plain data --------------------------------------------------------------------------------------

    def save_models(self, target: str | Path | IO[bytes]) -> None:
        """Write the reward models to an `.npz` file, for `rewardspec.wrap_learned(env, spec, path)`."""
        write_models(self.models, self.program.digest(), Path(target) if isinstance(target, str) else target)

    def load_models(self, source: str | Path | bytes) -> None:
        """Take up models that were learned for the same spec.

        Raises:
            LearningError: `broken-model`.
        """
        read_models(self.models, self.program.digest(), source if isinstance(source, bytes) else Path(source))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that the learner needs to go on, as plain arrays."""
        arrays = models_to_arrays(self.models, self.program.digest())
        if self.store is not None:
            arrays |= {f"store/{key}": array for key, array in self.store.state().items()}
        for name, source in self._sources.items():
            arrays |= {f"source/{name}/{key}": array for key, array in source.state().items()}
        for name, told in self._feedback.items():
            arrays |= {f"source/{name}/{key}": array for key, array in told.state().items()}
        rest = {
            "random": self._rng.bit_generator.state,
            "next": self._next,
            "refreshed": self._refreshed,
            "reports": self.reports,
        }
        return arrays | {"rest": np.array(json.dumps(rest))}

    def take_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` gave.

        Raises:
            LearningError: `broken-model`, `broken-store`, `broken-checkpoint`.
        """
        models_from_arrays(self.models, self.program.digest(), arrays)
        try:
            rest = json.loads(str(arrays["rest"]))
            self._rng.bit_generator.state = rest["random"]
            self._next, self._refreshed = dict(rest["next"]), dict(rest["refreshed"])
            self.reports = list(rest["reports"])
            for name, source in self._sources.items():
                own = under(f"source/{name}/", arrays)
                if own:
                    source.take_state(own)
            for name, told in self._feedback.items():
                told.take_state(under(f"source/{name}/", arrays))
        except (ValueError, KeyError, TypeError) as error:
            problem = Problem("broken-checkpoint", f"the learner's state cannot be read: {error}")
            raise LearningError(problem) from error
        self._late = under("store/", arrays) or None
        if self.store is not None and self._late is not None:
            self.store.take_state(self._late)
            self._late = None

    def save(self, folder: Path) -> None:
        """Write the models, and all else that the learner needs to go on, for a checkpoint."""
        self.save_models(folder / MODELS)
        arrays: Any = self.state()
        np.savez(folder / STATE, allow_pickle=False, **arrays)

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote.

        Raises:
            LearningError: `broken-model`, `broken-store`, `broken-checkpoint`.
        """
        self.take_state(read_state(folder))


def read_state(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a learner's state from a checkpoint.

    Raises:
        LearningError: `broken-checkpoint`.
    """
    try:
        with np.load(folder / STATE, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except UNREADABLE as error:
        raise LearningError(
            Problem("broken-checkpoint", f"{folder / STATE} cannot be read: {error}")
        ) from error


def under(start: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays whose names begin so, without that beginning."""
    return {key[len(start) :]: array for key, array in arrays.items() if key.startswith(start)}
