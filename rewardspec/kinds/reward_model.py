"""Options of reward models that are fitted to comparisons: what they see, their form, how they are fitted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rewardspec.ir.expr import Expr
from rewardspec.lowering import Scope
from rewardspec.spec.values import ExpressionText, Model, Number, Truth, Whole

Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]


class Uwo(Model):
    """Mean minus `uwo` times the variance over the members (Coste et al., ICLR 2024: uncertainty-weighted)."""

    uwo: Annotated[Number, Field(ge=0)] = Field(description="Factor on the variance; 0 is the mean.")
    ddof: Literal[0, 1] = Field(
        0, description="0 divides the variance by the number of members, 1 by one less."
    )


class NominalWorst(Model):
    """(1 - w) times a nominal member plus w times the worst one (reward-robust RLHF, BRME).

    The nominal member is the one with the least held-out loss; the paper's is the head with the least predicted
    spread, which members without a spread of their own do not have.
    """

    nominal_worst: Share = Field(description="Weight w of the worst case; 0 is the nominal member alone.")
    worst_over: Literal["step", "batch"] = Field(
        "step",
        description="Whether the worst member is found for each step, or once, by its mean over the steps seen last.",
    )


Combine = Literal["mean", "median", "wco"] | Uwo | NominalWorst
"""How the members' rewards become one: `wco` is the least (worst-case optimisation)."""


class Networks(Model):
    """An ensemble of small networks that give each step a number."""

    hidden: tuple[Annotated[Whole, Field(ge=1, le=4096)], ...] = Field(
        (64, 64), description="Width of each hidden layer.", max_length=8
    )
    activation: Literal["relu", "tanh"] = Field("relu", description="What follows each hidden layer.")
    ensemble: Annotated[Whole, Field(ge=1, le=64)] = Field(1, description="Members.")
    combine: Combine = Field("mean", description="How the members' rewards become one.")

    @property
    def is_pessimistic(self) -> bool:
        """Whether the combination looks at more than the members' mean."""
        return self.combine != "mean" and not (isinstance(self.combine, Uwo) and self.combine.uwo == 0)


class RewardModel(Networks):
    """An ensemble of small networks that give each step a number, whose zero and unit are free."""

    standardise: Truth = Field(
        True,
        description="Whether each member's rewards are centred and scaled by mean and spread over what is stored.",
    )


class Fitting(Model):
    """How a reward model is fitted to pairs, once per refresh."""

    learning_rate: Positive = Field(1e-3, description="Adam's.")
    batch_size: Annotated[Whole, Field(ge=1)] = Field(64, description="Pairs of one step of Adam.")
    epochs: Annotated[Whole, Field(ge=1)] = Field(10, description="Passes over the pairs, at most.")
    patience: Annotated[Whole, Field(ge=1)] = Field(
        3, description="Passes without a better held-out loss after which a refresh stops."
    )
    held_out: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.1, description="Share of the pairs that only judge; 0 for none, and then every pass is made."
    )
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.0, description="Adam's.")
    centring: Annotated[Number, Field(ge=0)] = Field(
        0.0,
        description="Factor on the squared sum of a pair's two scores, added to the loss; 0.01 is customary.",
    )
    smoothing: Annotated[Number, Field(ge=0, lt=0.5)] = Field(
        0.0, description="Share by which every label is moved towards the other side."
    )
    flip_doubtful: Annotated[Number, Field(ge=0, lt=0.5)] = Field(
        0.0,
        description="Greatest share of the pairs, those the ensemble contradicts most, whose labels are turned over.",
    )
    adaptive_margin: Truth = Field(
        False,
        description="Whether a pair must be told apart by as much as the ensemble told it apart before.",
    )


class Scheduled(Model):
    """Options that every reward fitted beside an agent has: when it is refreshed.

    Subclasses have `relabel`, too, and say what it is fitted to.
    """

    after: Annotated[Whole, Field(ge=1)] = Field(
        1000, description="Environment steps before the first refresh; until then the term pays 0."
    )
    every: Annotated[Whole, Field(ge=1)] = Field(2000, description="Environment steps between two refreshes.")


class Stored(Scheduled):
    """Options that every reward fitted to stored steps has. Subclasses say what it is fitted to."""

    store: Annotated[Whole, Field(ge=100, le=100_000_000)] = Field(
        100_000, description="Steps that are kept to learn from, the latest ones."
    )
    relabel: Truth = Field(
        True,
        description="Whether stored steps are paid anew by the model of today when an agent learns from them.",
    )

    @property
    def networks(self) -> Networks:
        """The form of its networks."""
        raise NotImplementedError


class Refreshing(Stored):
    """Options that every reward fitted to comparisons has; subclasses say what is compared."""

    segment: Annotated[Whole, Field(ge=1, le=10_000)] = Field(
        1, description="Steps that are compared at a time."
    )
    inputs: tuple[ExpressionText, ...] | None = Field(
        None,
        description="What the model sees, numbers or vectors; the whole observation and action when not given.",
        min_length=1,
        max_length=256,
    )
    model: RewardModel = Field(RewardModel.model_validate({}), description="The networks.")
    fit: Fitting = Field(Fitting.model_validate({}), description="How they are fitted.")
    pairs: Annotated[Whole, Field(ge=1, le=10_000_000)] = Field(
        500, description="Pairs that are drawn for a refresh."
    )
    when_tied: Literal["keep", "stop"] = Field(
        "keep",
        description="What happens when all pairs of a refresh are tied: go on with the last model, or stop.",
    )

    @property
    def networks(self) -> Networks:
        """The form of its networks."""
        return self.model

    @model_validator(mode="after")
    def _check_store(self) -> Refreshing:
        if self.store < 2 * self.segment:
            raise ValueError("'store' must hold at least two segments")
        return self


def lower_inputs(term: Refreshing, scope: Scope) -> tuple[Expr, ...] | None:
    """Return what the model sees; None for the whole observation and action."""
    if term.inputs is None:
        return None
    return tuple(scope.expression(text, "inputs", i) for i, text in enumerate(term.inputs))


def warn_ensemble(term: Refreshing, scope: Scope) -> None:
    """Note a combination that its members cannot serve.

    Scores fitted to comparisons have a free offset each, which moves a least or median member about; and a single
    member has no spread.
    """
    if term.model.is_pessimistic and not term.model.standardise and term.fit.centring == 0:
        scope.problem(
            "uncentred-ensemble",
            "the members' scores have no common zero, and this combination compares them",
            "model",
            "combine",
            hints=(
                "Say `standardise: true` in the model, or `centring: 0.01` in the fit; or take the mean.",
            ),
        )
