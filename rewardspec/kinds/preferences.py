"""Kind `preferences`: a reward learned from which of two segments is preferred."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rewardspec.ir.expr import Expr
from rewardspec.kinds.heron import Factor, lower_factors
from rewardspec.kinds.reward_model import Refreshing, Share, lower_inputs, warn_ensemble
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model, Number, Whole


class Ranking(Model):
    """Labels by a ranking of factors, as `heron` gives them."""

    ranking: tuple[Factor, ...] = Field(
        description="Factors, most important first.", min_length=1, max_length=64
    )


class Teacher(Model):
    """Labels by a simulated teacher who sees a reward, with the faults of people.

    Source: B-Pref (Lee et al., NeurIPS 2021, Datasets and Benchmarks): the stochastic, myopic, mistaken, skipping and
    equal teachers.
    """

    teacher: ExpressionText = Field("reward", description="The reward that the teacher sees on a step.")
    rationality: Annotated[Number, Field(gt=0)] | None = Field(
        None,
        description="Factor on the difference inside the logistic function; not given, the better one always wins.",
    )
    myopia: Annotated[Number, Field(gt=0, le=1)] = Field(
        1.0, description="Weight of a step relative to the one after it."
    )
    mistakes: Share = Field(0.0, description="Share of labels that are turned over.")
    skip_below: Number | None = Field(
        None, description="Pairs whose better return is below this are not labelled."
    )
    equal_within: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="Pairs whose returns differ by less than this are called equal."
    )


class Answers(Model):
    """Labels by people, from a file of answers (see `rewardspec label`)."""

    file: str = Field(
        description="JSON Lines file, relative to the run's folder.", min_length=1, max_length=1000
    )


class Preferences(Refreshing):
    """Pays what a model says that was fitted to preferences between segments.

    P(a over b) = sigmoid(statistic(a) - statistic(b)). The statistic of a segment is

    - `partial_return`: the sum of its rewards (Christiano et al., NeurIPS 2017).
    - `regret`: that sum plus the value of where the segment ends, minus the value of where it begins: minus the
      segment's regret in a deterministic world (Knox et al., TMLR 2024). The values are those of the agent in
      training, which stands in for an optimal one; the exact method for finite worlds is
      `rewardspec.learning.exact_preferences`.

    Labels stay: pairs of earlier refreshes are fitted again, up to the budget.

    Source: Knox et al., "Models of human preference for learning reward functions" (arXiv 2206.02231).
    """

    labels: Ranking | Teacher | Answers = Field(
        Teacher.model_validate({}),
        description="Where labels come from: a ranking, a simulated teacher, or a file.",
    )
    statistic: Literal["partial_return", "regret"] = Field(
        "partial_return", description="What of a segment is thought to be preferred."
    )
    segment: Annotated[Whole, Field(ge=1, le=10_000)] = Field(25, description="Steps of a segment.")
    budget: Annotated[Whole, Field(ge=1)] | None = Field(
        None, description="Labels of the whole run, at most; no limit when not given."
    )


def lower(term: Preferences, scope: Scope) -> Expr:
    """Return what the model will say."""
    measures: tuple[tuple[str, Expr], ...] = ()
    if isinstance(term.labels, Ranking):
        measures = lower_factors(term.labels.ranking, scope, "labels", "ranking")
    elif isinstance(term.labels, Teacher):
        measures = (("teacher", scope.expression(term.labels.teacher, "labels", "teacher")),)
    if term.statistic == "regret":
        scope.discount("the regret of a segment")
    warn_ensemble(term, scope)
    return scope.learned("preferences", lower_inputs(term, scope), measures, term)


KIND = Kind(Preferences, "labels", lower)
