"""Classifiers from play: a model judges each step that looks like none before, and a classifier is fitted to it.

What is fitted takes the model's place in the spec, so that training waits for nobody (`rewardspec llm distil`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium as gym

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.program import Program
from rewardspec.kinds.subgoals import LanguageModelJudge, Subgoals
from rewardspec.llm.distil import Distilled, StepSeen, distil
from rewardspec.llm.judges import Judges, ModelJudge, judge_for
from rewardspec.llm.provider import Provider
from rewardspec.llm.views import name_action
from rewardspec.spec.model import Spec
from rewardspec.transition import Transition
from rewardspec.vocabulary import from_data
from rewardspec.wrappers.single import SpecLike, as_program, wrap

Player = Callable[[Any], Any]
"""Observation -> action."""


class Pupil:
    """Listens to a judge: keeps each step of which it was asked something new, and what it said."""

    def __init__(self, judge: ModelJudge) -> None:
        """Listen to a judge."""
        self.judge, self.actions = judge, judge.actions
        self.steps: list[StepSeen] = []
        self.said: list[Mapping[str, bool]] = []

    def __call__(self, env: Any, transition: Transition) -> dict[str, bool]:
        """Return what the judge says."""
        asked = self.judge.stats.asked
        told = self.judge(env, transition)
        if self.judge.stats.asked > asked:
            action = name_action(env, transition.action, self.actions)
            self.steps.append((transition.obs, action, transition.next_obs))
            asked_of = self.judge.judged
            self.said.append(
                {q: told[label] for label, q in zip(asked_of.labels, asked_of.questions, strict=True)}
            )
        return told


def distil_judges(
    spec: SpecLike,
    env: gym.Env[Any, Any],
    provider: Provider | None = None,
    *,
    steps: int = 20_000,
    calls: int = 1_000,
    player: Player | None = None,
    seed: int = 0,
    told: Callable[[int, int], None] = lambda steps, asked: None,
) -> dict[str, Distilled]:
    """Play an environment, have a model judge it, and return a classifier for each term that is left to a model.

    Args:
        spec: A spec with terms whose judge is a model, its program, or its file.
        env: What is played.
        provider: The language model; the one that the spec names when not given.
        steps: Steps that are played, at most.
        calls: Distinct steps that are put to the model, at most, over all terms.
        player: Who acts; at random when not given. Subgoals that are not reached cannot be learned from.
        seed: Seed of play and of what is kept from the fit.
        told: Called after each step with the steps and the calls so far.

    Raises:
        UnsupportedError: `nothing-judged` where no term is left to a model.
        LanguageModelError: The model cannot be asked; `too-little-said` where a subgoal was reached never or always.
    """
    program: Program = as_program(spec)
    judges = judge_for(program, env.observation_space, provider).judges
    pupils = {name: Pupil(judge) for name, judge in judges.items() if isinstance(judge, ModelJudge)}
    if not pupils:
        message = f"no term of '{program.name}' is left to a model"
        hint = "A judge that is a model is written so: judge: {llm: default}."
        raise UnsupportedError(Problem("nothing-judged", message, hints=(hint,)))
    wrapped = wrap(env, program, judge=Judges({**judges, **pupils}))
    wrapped.action_space.seed(seed)
    obs, _ = wrapped.reset(seed=seed)
    for step in range(1, steps + 1):
        action = wrapped.action_space.sample() if player is None else player(obs)
        obs, _, terminated, truncated, _ = wrapped.step(action)
        asked = sum(len(pupil.steps) for pupil in pupils.values())
        told(step, asked)
        if asked >= calls:
            break
        if terminated or truncated:
            obs, _ = wrapped.reset()
    found = {}
    for name, pupil in pupils.items():
        source, view = pupil.judge.provider.card.name, pupil.judge.view
        found[name] = distil(pupil.steps, pupil.said, view, source=source, actions=pupil.actions, seed=seed)
    return found


def with_distilled(spec: Spec, files: Mapping[str, str]) -> Spec:
    """Return a spec in which classifiers have taken the place of models.

    Args:
        spec: The spec.
        files: Name of a judged term, as `distil_judges` gives it -> name of its file.
    """
    data = spec.to_data()
    names = [judged.name for judged in as_program(spec).judged if _asks_a_model(judged.settings)]
    for name, fields in zip(names, _asking(data["reward"]), strict=True):
        fields["judge"] = {"distilled": files[name]}
    return from_data(data)


def _asks_a_model(term: object) -> bool:
    return isinstance(term, Subgoals) and isinstance(term.judge, LanguageModelJudge)


def _asking(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the fields of every term, however deep, whose subgoals are left to a model, in the order of the spec."""
    if isinstance(value, dict):
        if isinstance(value.get("subgoals"), list):  # the short form, with the options beside it
            beside = {key: value.pop(key) for key in list(value) if key in Subgoals.model_fields}
            value["subgoals"] = beside
        fields = value.get("subgoals")
        if isinstance(fields, dict):
            if _asks_a_model(Subgoals.model_validate(fields)):
                yield fields
            return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _asking(item)
