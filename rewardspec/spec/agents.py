"""What a spec for several agents says of each sort of them, and of all of them together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from rewardspec.spec.declarations import Ends, TestSpec
from rewardspec.spec.terms import Term
from rewardspec.spec.values import Model, ModelError, Name, Number, in_pieces


class Inequity(Model):
    """What an agent loses for earning less, or more, than others: inequity aversion.

    Formula: u_i = r_i - disadvantageous/(N-1) * sum_j max(e_j - e_i, 0) - advantageous/(N-1) * sum_j max(e_i - e_j, 0)
    over the N-1 other agents j, with e_k = smoothing * e_k + r_k, 0 at the start of an episode

    Source: Fehr and Schmidt (1999); with smoothed rewards Hughes et al. (NeurIPS 2018, arXiv 1803.08884), whose
    smoothing is the discount times lambda.
    """

    disadvantageous: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="Price of earning less than another: envy; alpha in the paper."
    )
    advantageous: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="Price of earning more than another: guilt; beta in the paper."
    )
    smoothing: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.0, description="What is left, a step later, of what was earned; 0 compares single steps."
    )
    among: Literal["others", "team"] = Field(
        "others", description="With whom: all other agents, or the team's."
    )


class ShareSpec(Model):
    """How agents take part in what others earn. What they earn is what their own terms and the joint ones pay.

    Formula: (1 - team) * r_i + team * mean of r_j over the team, oneself included, then the prices of `inequity`
    """

    team: Annotated[Number, Field(ge=0, le=1)] = Field(
        0.0, description="Part of the reward that is the team's mean: 0 selfish, 1 all the same."
    )
    inequity: Inequity | None = Field(None, description="What unequal earnings cost.")


def _check_gamma(gamma: float) -> float:
    if gamma < 0.0:
        hint = "0 makes an agent indifferent to risk; one that seeks it has no equilibrium to speak of."
        raise ModelError("negative-gamma", f"'gamma' must be at least 0, not {gamma:g}", hint)
    return gamma


class RiskSpec(Model):
    """A dislike of the risk that other agents' choices bring, which a solver trades against what is expected.

    Formula: u = E[return] - gamma * R

    R is taken over the draw of the opponents' strategies, the return against each of them being averaged over the own
    mixing and over chance. No wrapper can pay it, since it is no sum over steps: `agents/psro.py` optimises it, and
    `rewardspec equilibrium` and `agents/rae.py` solve games in normal form with it.

    Source: the utility of risk-averse equilibrium (Slumbers et al., arXiv 2205.15434; arXiv 2510.03446).
    """

    measure: Literal["variance", "realised_variance", "lower_partial_moment", "cvar"] = Field(
        "variance",
        description="`variance` over the opponents' draw; `realised_variance` with own mixing in it, too; "
        "`lower_partial_moment`: squared shortfall below `target`; `cvar`: how far the worst `level` lies below "
        "the mean.",
    )
    source: Literal["opponents"] = Field("opponents", description="Whose choices count as risk.")
    gamma: Annotated[Number, AfterValidator(_check_gamma)] = Field(
        description="How much the risk is disliked; for variances in units of 1 / return.", examples=["0.5"]
    )
    level: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.25, description="Share of worst outcomes, for `cvar`."
    )
    target: Number | None = Field(
        None,
        description="Return below which an outcome counts, for `lower_partial_moment`; the mean without.",
    )

    @model_validator(mode="after")
    def _check_use(self) -> RiskSpec:
        for name, measure in (("level", "cvar"), ("target", "lower_partial_moment")):
            given = getattr(self, name) != type(self).model_fields[name].default
            if given and self.measure != measure:
                raise ModelError("wrong-value", f"'{name}' is for the measure {measure}, not {self.measure}")
        return self


class AgentSpec(Model):
    """What the agents of a name or pattern want."""

    reward: tuple[Term, ...] = Field((), description="Terms, which are added up.", max_length=1000)
    team: Name | None = Field(
        None, description="Name of the team; agents without one are all of one team, which has none."
    )
    share: ShareSpec | None = Field(None, description="How they take part in what others earn.")
    risk: RiskSpec | None = Field(
        None,
        description="A dislike of the risk that others' choices bring; for solvers, no wrapper can pay it.",
    )
    local: tuple[Name, ...] | None = Field(
        None,
        description="Propositions of the joint terms that they can tell: their part of a joint machine is its "
        "projection onto these. All of them where not given.",
        max_length=62,
    )
    end: Ends = Field((), description="Conditions under which such an agent leaves.")
    tests: Annotated[tuple[TestSpec, ...], in_pieces(10_000)] = Field(
        (), description="Traces of one such agent and what they must earn."
    )


class JointSpec(Model):
    """What is read on agents together, has one state for all of them, and is paid in full to each of them."""

    reward: tuple[Term, ...] = Field(description="Terms, which are added up.", max_length=1000)
    team: Name | None = Field(
        None, description="Whom it is for and about: a team; all agents where not given."
    )
    end: Ends = Field((), description="Conditions that end the episode for all of them.")
    tests: Annotated[tuple[TestSpec, ...], in_pieces(10_000)] = Field(
        (), description="Traces of the joint propositions and what they must earn."
    )
