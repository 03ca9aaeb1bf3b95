"""Kind `latent`: a reward per step, learned from the returns of whole episodes through a few factors (LaRe)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from rewardspec.ir.expr import Expr, Root
from rewardspec.kinds.reward_model import Networks, Positive, Stored
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model, Name, Number, Whole

if TYPE_CHECKING:
    from rewardspec.encoder.language import Encoder

MAX_FACTORS = 256
"""Factors that are named one by one."""


class NamedFactor(Model):
    """A factor with a name, for reports."""

    name: Name = Field(description="What reports call it.")
    value: ExpressionText = Field(description="Its value on a step, a number.")


class EncoderSource(Model):
    """Factors in NumPy's manner: a source with one function, which is read and compiled, and never run.

    `evaluation_func(observation)` or `evaluation_func(observation, action)` takes arrays of shape (batch, width) and
    returns a list of arrays of shape (batch, 1), one for each factor. This is what `rewardspec llm factors` writes.
    """

    source: str = Field(description="The function, as Python text.", min_length=1, max_length=20_000)
    observation: Annotated[Whole, Field(ge=1, le=4096)] = Field(description="Width of the observation.")
    action: Annotated[Whole, Field(ge=1, le=4096)] | None = Field(
        None, description="Width of the action; not given, the function cannot read it."
    )
    sha256: str | None = Field(
        None,
        description="Digest of what the source says; a source that was changed since is refused.",
        pattern=r"^[0-9a-f]{64}$",
    )
    written_by: str | None = Field(None, description="Name of the model that wrote it.", max_length=200)


class Decomposing(Model):
    """How the networks are fitted to the returns of whole episodes, once per refresh."""

    learning_rate: Positive = Field(1e-3, description="Adam's.")
    episodes: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        64, description="Episodes of one step of Adam."
    )
    updates: Annotated[Whole, Field(ge=1, le=1_000_000)] = Field(
        200, description="Steps of Adam per refresh."
    )
    held_out: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.1, description="Share of the episodes that only judge; 0 for none."
    )
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.0, description="Adam's.")


class Latent(Stored):
    """Pays each step its part in the return of the episode, as a small network of a few factors says.

    The network is fitted so that what it pays in an episode adds up to the episode's return, sum of r over T steps;
    nothing finer than the return is looked at. With m the mean over K of the T steps, drawn without replacement,

    - `rd`: (return / T - m)^2 over all steps, K = T;
    - `rrd`: the same over K drawn steps: rd plus (1 - K / T) / K times the variance of r within the episode;
    - `rrd_unbiased`: rrd minus (1 - K / T) / K times the sample variance of the K rewards, rd in expectation.

    With `factors: all` the network sees the whole observation and action: plain return decomposition.

    Law: where the decoder can express the true reward, its minimum of `rd` pays returns exactly; of episodes of one
    length, a reward per step and its sum paid once are the same to it.

    Source: Qu et al., "Latent Reward: LLM-Empowered Credit Assignment in Episodic Reinforcement Learning" (LaRe, AAAI
    2025, arXiv 2412.11120); the randomised losses: Ren et al., "Learning Long-Term Reward Redistribution via
    Randomized Return Decomposition" (ICLR 2022). Deviations: an episode of no more than K steps is taken whole, where
    the released code draws with replacement; returns are standardised for the fit; updates come in refreshes.
    """

    factors: Literal["all", "llm"] | EncoderSource | tuple[NamedFactor | ExpressionText, ...] = Field(
        description="What the networks see: expressions, numbers or vectors; a source in NumPy's manner; `all` for the "
        "whole observation and action; or `llm`, in whose place `rewardspec llm factors` puts a source.",
    )
    task: str | None = Field(
        None,
        description="What the agent is to do, in a few sentences, for the model that is asked.",
        max_length=5000,
    )
    observation: str = Field(
        "auto",
        description="What the numbers of observation and action mean, for the model that is asked; `auto` is what the "
        "environment itself documents.",
        max_length=20_000,
    )
    target: ExpressionText = Field(
        "reward", description="What is summed over an episode; only the sum is looked at."
    )
    decoder: Networks = Field(Networks.model_validate({}), description="The networks.")
    loss: Literal["rd", "rrd", "rrd_unbiased"] = Field("rrd_unbiased", description="What is minimised.")
    subsample: Annotated[Whole, Field(ge=2, le=100_000)] = Field(
        64, description="K, steps drawn from an episode, for the randomised losses."
    )
    phase: Literal["state", "next_state"] = Field(
        "state",
        description="Whether a source, or `all`, sees the observation before the step or after it.",
    )
    fit: Decomposing = Field(Decomposing.model_validate({}), description="How the networks are fitted.")

    @property
    def networks(self) -> Networks:
        """The form of its networks."""
        return self.decoder

    @model_validator(mode="after")
    def _check_factors(self) -> Latent:
        if self.factors == "llm" and self.task is None:
            raise ValueError("'task' says what the model is asked, and `factors: llm` needs it")
        if isinstance(self.factors, tuple) and not 1 <= len(self.factors) <= MAX_FACTORS:
            raise ValueError(f"there may be 1 to {MAX_FACTORS} factors")
        return self


def lower(term: Latent, scope: Scope) -> Expr:
    """Return what the model will say."""
    target = ("target", scope.expression(term.target, "target"))
    roots: tuple[Root, ...] = ("next_obs",) if term.phase == "next_state" else ("obs", "action")
    return scope.learned("latent", _inputs(term, scope), (target,), term, whole=roots)


def _inputs(term: Latent, scope: Scope) -> tuple[Expr, ...] | None:
    """Return what the networks see; None for the whole observation."""
    factors = term.factors
    if factors == "all":
        return None
    if factors == "llm":
        scope.problem(
            "factors-not-asked",
            "the factors are left to a language model, and none has been asked yet",
            "factors",
            hints=(
                "Ask one, and train on the spec it completes: rewardspec llm factors SPEC > COMPLETE.yaml",
            ),
        )
        return ()
    if isinstance(factors, EncoderSource):
        return _encoded(factors, term, scope)
    values: list[Expr] = []
    for i, factor in enumerate(factors):
        if isinstance(factor, NamedFactor):
            values.append(scope.expression(factor.value, "factors", i, "value"))
        else:
            values.append(scope.expression(factor, "factors", i))
    return tuple(values)


def _read(encoder: EncoderSource, term: Latent) -> Encoder:
    from rewardspec.encoder.language import read_encoder  # here: most specs have none

    return read_encoder(encoder.source, encoder.observation, encoder.action, term.phase)


def _encoded(encoder: EncoderSource, term: Latent, scope: Scope) -> tuple[Expr, ...]:
    from rewardspec.encoder.refusal import EncoderError

    try:
        read = _read(encoder, term)
    except EncoderError as error:
        scope.problem(error.code, error.message, "factors", "source", hints=error.hints)
        return ()
    if encoder.sha256 is not None and encoder.sha256 != read.digest:
        scope.problem(
            "encoder-changed",
            "the source is not the one whose digest is given",
            "factors",
            "sha256",
            hints=(
                f"Its digest is {read.digest}; write that, or leave `sha256` out, if the change is meant.",
            ),
        )
    return read.factors


def factor_names(term: Latent, width: int) -> tuple[str, ...]:
    """Return a name for each number that the networks see.

    Args:
        term: The term.
        width: How many there are; a vector counts as many as it has entries.
    """
    if isinstance(term.factors, EncoderSource):
        names = list(_read(term.factors, term).names)
    elif isinstance(term.factors, tuple):
        names = [
            factor.name if isinstance(factor, NamedFactor) else re.sub(r"\s+", " ", factor)
            for factor in term.factors
        ]
    else:
        names = []
    return tuple(names) if len(names) == width else tuple(f"input {i}" for i in range(width))


KIND = Kind(Latent, "factors", lower)
