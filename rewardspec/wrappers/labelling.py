"""From a labelling function, a user's or a ready-made one, to truth values in a program's order."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import gymnasium as gym

from rewardspec.errors import MismatchError, Place, Problem, list_names, near_miss
from rewardspec.ir.layout import Layout
from rewardspec.labels import Labels, load_labeller
from rewardspec.transition import Transition
from rewardspec.wrappers.refusals import refuse_unjudged

Label = Callable[[gym.Env[Any, Any], Transition], "Mapping[str, bool] | Iterable[str]"]
"""A labelling function: the live environment and the transition -> names that are true, or truth values by name."""


class _UserLabels:
    """Calls a user's labelling function and puts its answer in the program's order."""

    def __init__(self, env: gym.Env[Any, Any], names: tuple[str, ...], label: Label) -> None:
        refuse_other_function(label)
        self.env, self.names, self.label = env, names, label
        self._heard = set(names)

    def __call__(
        self, obs: Any, action: Any, next_obs: Any, reward: Any, terminated: Any, truncated: Any, info: Any
    ) -> tuple[bool, ...]:
        step = Transition(obs, action, next_obs, reward, terminated, truncated, info)
        said = self.label(self.env, step)
        if isinstance(said, Iterator):
            said = list(said)
        labels = ordered_labels(said, self.names)
        if not self._heard.issuperset(said):
            self._warn_of(set(said) - self._heard)
        return labels

    def _warn_of(self, names: set[str]) -> None:
        """Warn, once for each, of names that nobody declared but that look like one that somebody did.

        Others are let pass: one labelling function may serve many specs.
        """
        self._heard |= names
        for name in sorted(map(str, names)):
            if hint := near_miss(name, self.names):
                text = f"the labelling function says '{name}', which the spec does not declare.{hint}"
                warnings.warn(text, stacklevel=2)


def refuse_other_function(label: Any) -> None:
    """Raise when what is given cannot be called as a labelling function.

    Raises:
        MismatchError: `missing-label-function`.

    Example:
        >>> refuse_other_function(lambda env, step: [])
    """
    try:
        inspect.signature(label).bind(None, None)
    except ValueError:  # a function of C that tells nothing of itself
        return
    except TypeError as error:
        message = f"the labelling function cannot be called as label(env, transition): {error}"
        hint = "def label(env, step): return ['at_goal'] if step.next_obs[0] > 0.5 else []"
        raise MismatchError(Problem("missing-label-function", message, hints=(hint,))) from None


def ordered_labels(said: Mapping[str, bool] | Iterable[str], names: tuple[str, ...]) -> tuple[bool, ...]:
    """Return what a labelling function said as truth values in the order of `names`.

    Raises:
        MismatchError: `missing-label` when a mapping leaves one out, or it said nothing that has names.

    Example:
        >>> ordered_labels(["office"], ("coffee", "office"))
        (False, True)
    """
    if isinstance(said, Mapping):
        missing = [name for name in names if name not in said]
        if missing:
            raise MismatchError(
                Problem(
                    "missing-label",
                    f"the labelling function says nothing about '{missing[0]}'",
                    hints=(f"It gave: {list_names(said)}.{near_miss(missing[0], list(said))}",),
                )
            )
        return tuple(bool(said[name]) for name in names)
    if isinstance(said, str) or not isinstance(said, Iterable):
        raise MismatchError(
            Problem(
                "missing-label",
                f"the labelling function must return names or a mapping, not {said!r:.40}",
                hints=(f"For example ['{names[0]}'], or [] where nothing is true.",),
            )
        )
    true = frozenset(said)
    return tuple(name in true for name in names)


class _JudgedLabels:
    """Puts together what a judge says and what a labelling function says, in the program's order."""

    def __init__(self, env: gym.Env[Any, Any], layout: Layout, judge: Label, others: Any) -> None:
        names = layout.program.judged_labels
        self._judged = _UserLabels(env, tuple(name for name in layout.labels if name in names), judge)
        self._others = others
        ranks = [n for n in layout.labels if n not in names] + list(self._judged.names)
        self._order = tuple(ranks.index(name) for name in layout.labels)

    def __call__(self, *step: Any) -> tuple[bool, ...]:
        said = (*(self._others(*step) if self._others is not None else ()), *self._judged(*step))
        return tuple([said[i] for i in self._order])


class ReadyLabels:
    """Calls a ready-made labeller.

    Attributes:
        labels: What it is over the environment.
    """

    def __init__(self, env: gym.Env[Any, Any], layout: Layout, labeller: str) -> None:
        try:
            judged = layout.program.judged_labels
            names = tuple(name for name in layout.labels if name not in judged)
            self.labels: Labels = load_labeller(labeller).bind(env, names)
        except MismatchError as error:
            raise MismatchError([_placed(problem, layout) for problem in error.problems]) from None

    def __call__(
        self, obs: Any, action: Any, next_obs: Any, reward: Any, terminated: Any, truncated: Any, info: Any
    ) -> tuple[bool, ...]:
        """Return the truth of the labels after a step."""
        return self.labels.read(action, next_obs, info)


def _placed(problem: Problem, layout: Layout) -> Problem:
    """Return a labeller's problem with the place at which the spec reads the label that it names."""
    labels = (field for field in layout.shapes if field.root == "label")
    place = next((field.place for field in labels if f"'{field.path[0]}'" in problem.message), problem.place)
    return replace(problem, place=place)


def labels_for(
    layout: Layout, env: gym.Env[Any, Any], label: Label | None, judge: Label | None = None
) -> Any:
    """Return what gives the truth values of a layout's labels after a step; None where it has none.

    Raises:
        MismatchError: `missing-label-function`, or what a ready-made labeller finds wrong.
        UnsupportedError: `needs-judge` where a judge must say some of them, and there is none.
    """
    refuse_unjudged(layout.program, judge is not None)
    judged = layout.program.judged_labels
    others = _told_labels(layout, env, label, tuple(n for n in layout.labels if n not in judged))
    if judge is None or len(judged) == 0:
        return others
    return _JudgedLabels(env, layout, judge, others)


def _told_labels(layout: Layout, env: gym.Env[Any, Any], label: Label | None, names: tuple[str, ...]) -> Any:
    """Return what gives the labels that no judge says."""
    if not names:
        return None
    if label is not None:
        return _UserLabels(env, names, label)
    if layout.program.labels is not None:
        return ReadyLabels(env, layout, layout.program.labels)
    place = next((p.place for p in layout.program.propositions if p.name in names), Place())
    raise MismatchError(
        Problem(
            "missing-label-function",
            f"the spec leaves {list_names(names)} to a labelling function, and none is given",
            place,
            ("Pass label=fn to wrap, or name a ready-made labeller: `env: {labels: minigrid}`.",),
        )
    )
