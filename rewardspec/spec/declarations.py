"""What a spec says beside its terms: the environment, signals, ends, tests, and what is maximised."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rewardspec.spec.values import (
    ExpressionText,
    Forms,
    Model,
    ModelError,
    Number,
    Range,
    Truth,
    Whole,
    in_pieces,
)


class EnvSpec(Model):
    """The environment that the spec is written for. Optional: any environment can be wrapped."""

    id: str | None = Field(None, description="Gymnasium id.", examples=["MiniGrid-DoorKey-8x8-v0"])
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Arguments of gymnasium.make.")
    labels: str | None = Field(
        None, description="Ready-made labeller.", examples=["minigrid", "minihack", "environment"]
    )
    horizon: Annotated[Whole, Field(gt=0)] | None = Field(None, description="Steps after which it truncates.")
    base_reward: Range | None = Field(
        None, description="Least and greatest reward of the environment itself on one step, for the checker."
    )
    ends_early: Truth | None = Field(None, description="Whether episodes can terminate before the horizon.")


class SignalSpec(Model):
    """A named expression, with the range it is meant to have."""

    value: ExpressionText = Field(description="The expression.")
    range: Range | None = Field(None, description="Least and greatest value, for the checker.")


class EndSpec(Model):
    """A condition that ends the episode, with an optional last payment."""

    when: ExpressionText = Field(description="Truth-valued expression.")
    how: Literal["terminated", "truncated"] = Field("terminated", description="Which flag is set.")
    value: Number = Field(0.0, description="Paid on the step that ends the episode.")


Ends = Annotated[
    tuple[EndSpec, ...],
    in_pieces(1000),
    Forms("a mapping or a list of mappings", "`end: {when: 'next_obs[0] > 2'}`, or a list of such mappings"),
]
"""Conditions; one may stand without brackets."""


class TestSpec(Model):
    """A trace or recorded transitions, with what the spec must say about them."""

    __test__ = False  # not a test class of pytest's

    name: str = Field(description="Name of the test, for reports.")
    trace: Annotated[tuple[Annotated[tuple[str, ...], in_pieces(4096)], ...], in_pieces(100_000)] | None = (
        Field(None, description="One list of true propositions per step.", max_length=100_000)
    )
    transitions: Annotated[tuple[dict[str, Any], ...], in_pieces(100_000)] | None = Field(
        None,
        description="One mapping per step: obs, action, next_obs, reward, info, label (as far as they are read).",
        max_length=100_000,
    )
    end: Literal["terminated", "truncated"] | None = Field(
        None, description="How the episode ends after the last step; it stays open when not given."
    )
    return_: Number | dict[str, Number] | None = Field(
        None, alias="return", description="Undiscounted sum of the rewards, in all or by term."
    )
    rewards: Annotated[tuple[Number, ...], in_pieces(100_000)] | None = Field(
        None, description="Reward of every step."
    )
    state: str | dict[str, str] | None = Field(None, description="Machine state after the last step.")
    verdict: str | dict[str, str] | None = Field(None, description="Formula's verdict after the last step.")
    terminated: Truth | None = Field(None, description="Whether the program has ended the episode.")
    ends_at: Annotated[Whole, Field(ge=0)] | None = Field(
        None, description="Index of the step that ends the episode."
    )

    @model_validator(mode="after")
    def _check_one(self) -> TestSpec:
        if (self.trace is None) == (self.transitions is None):
            raise ValueError("a test has either a 'trace' or 'transitions'")
        expected = (self.return_, self.rewards, self.state, self.verdict, self.terminated, self.ends_at)
        if all(value is None for value in expected):
            raise ValueError(
                "a test expects something: return, rewards, state, verdict, terminated or ends_at"
            )
        return self


class ObjectiveSpec(Model):
    """By which number policies are compared; wrappers pay the same rewards whatever it is.

    Formula: regularised E[sum_t discount^t (r_t + weight * entropy)]; outer f(expected returns); inner E[f(returns)]

    Source: Subramani et al. (ICLR 2024).
    """

    kind: Literal["discounted", "limit_average", "regularised", "outer", "inner"] = Field(
        "discounted", description="Which objective."
    )
    weight: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="What a nat of entropy is worth, for `regularised`."
    )
    of: ExpressionText | None = Field(
        None,
        description="Expression over terms' names, which stand for their returns.",
    )

    @property
    def words(self) -> str:
        """The objective in a line."""
        told = {
            "discounted": "the expected discounted return",
            "limit_average": "the average reward per step in the long run (an episode that is over pays 0)",
            "regularised": f"the expected discounted return, and {self.weight} for each nat of entropy",
            "outer": f"{self.of}, each name standing for its term's expected discounted return",
            "inner": f"the expectation of {self.of}, each name standing for its term's return in an episode",
        }
        return told[self.kind]

    @model_validator(mode="after")
    def _check_use(self) -> ObjectiveSpec:
        for name, kinds in (("weight", ("regularised",)), ("of", ("outer", "inner"))):
            given = getattr(self, name) is not None
            if given != (self.kind in kinds):
                word = "is not for" if given else "is needed by"
                raise ModelError("wrong-value", f"'{name}' {word} the objective {self.kind}")
        return self
