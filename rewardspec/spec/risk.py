"""The node `risk:` of an agent: which risk it dislikes, where it comes from, and how much."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from rewardspec.spec.model import Model, ModelError, Number


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
            if name in self.model_fields_set and self.measure != measure:
                raise ModelError("wrong-value", f"'{name}' is for the measure {measure}, not {self.measure}")
        return self
