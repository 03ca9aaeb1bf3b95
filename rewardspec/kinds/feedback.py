"""Kind `feedback`: pays for what the game says, by what a model thinks of each message (ONI).

The name is the paper's own word, intrinsic rewards from a language model's *feedback*; `preferences` compares segments
of trajectories, `subgoals` judges transitions, and this kind asks about messages, texts alone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from rewardspec.errors import FormulaError, Place
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.text import parse_expression
from rewardspec.kinds.reward_model import Positive, Scheduled
from rewardspec.kinds.subgoals import Note
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model, Number, Truth, Whole, check_line

SHORTEST = 123
"""Bytes that six convolutions and three poolings leave one number of: no network reads fewer."""

Size = Annotated[Whole, Field(ge=1, le=4096)]
"""Width of a layer."""

Phrase = Annotated[str, Field(min_length=1, max_length=200)]
"""Words that a message may hold."""

CUTOFFS = {"classification": 0.5, "ranking": 0.0}
"""Cutoff of a model where the spec gives none."""


class Annotator(Model):
    """A language model that is asked about messages, beside the agent, which never waits for it."""

    llm: str = Field(
        "default",
        min_length=1,
        max_length=200,
        description="Which model: `default` (what REWARDSPEC_LLM names), or the name of fetched weights.",
    )
    note: Note = Field("", description="What else it is told of the game; one line.")
    batch: Annotated[Whole, Field(ge=1, le=10_000)] = Field(
        100, description="Questions, the newest, that are taken from the queue at a time."
    )
    parallel: Annotated[Whole, Field(ge=1, le=64)] = Field(
        4, description="Requests that are under way at the same time."
    )
    answer_tokens: Annotated[Whole, Field(ge=1, le=4096)] = Field(
        200, description="Tokens of an answer, at most."
    )

    @field_validator("note")
    @classmethod
    def _check_note(cls, note: str) -> str:
        check_line(note, "note")
        return note


class PhraseOracle(Model):
    """Phrases that tell what a person would say: exact, for tests and for comparison; no model is asked."""

    oracle: tuple[Phrase, ...] = Field(
        min_length=1,
        max_length=1000,
        description="A message that holds one of them is helpful; of two, the one with the earlier phrase is better.",
    )


class CharacterNetwork(Model):
    """A convolutional network over the bytes of a message."""

    embedding: Size = Field(32, description="Numbers that a byte becomes.")
    channels: Size = Field(64, description="Channels of each of the six convolutions.")
    features: Size | None = Field(
        None,
        description="Numbers that a message becomes; 128 for a classification and 256 for a ranking when not given.",
    )
    hidden: tuple[Size, ...] | None = Field(
        None,
        max_length=8,
        description="Width of each hidden layer after that; two of 512, one for a ranking, when not given.",
    )
    dropout: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.1, description="Share of hidden numbers that are left out while a classifier is fitted."
    )


class MessageFitting(Model):
    """How a network is fitted to the labels, once per refresh."""

    learning_rate: Positive = Field(1e-4, description="Adam's.")
    batch_size: Annotated[Whole, Field(ge=1)] = Field(256, description="Labels of one step of Adam.")
    updates: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        32, description="Steps of Adam per refresh while there are few labels."
    )
    few: Annotated[Whole, Field(ge=0)] = Field(25_000, description="Labels that are few, at most.")
    updates_later: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        1, description="Steps of Adam per refresh when there are more."
    )
    gradient_norm: Positive = Field(10.0, description="Norm to which gradients are cut.")


class Feedback(Scheduled):
    """Pays for the message of a step, by a model of what a language model thinks of such messages.

    Formula: r_t = value(m_t) / N(m_t)^power, N(m) = how often m was shown in this episode, this step included

    - `retrieval`: value(m) is the label of this very message, 1 helpful or 0; 0 before it is there.
    - `classification`: value(m) = 1 if p(m) > cutoff else 0, p(m) a small network's probability, fitted to labels.
    - `ranking`: value(m) = R(m) if R(m) >= cutoff else 0, R fitted to which of two messages is better,
      P(a over b) = sigmoid(R(a) - R(b)), less its mean and divided by its spread over the messages that were shown.

    Messages without a label wait in a queue on disk. A process of its own asks the model, the newest first; what it
    says is taken up at the next refresh, and pays from then on, also for steps that were taken before. A label is
    never revised, and nothing is asked twice. The agent does not see the counts.

    An empty message says nothing: it is not asked about and pays 0, unless `empty: ask`.

    Law: with `power` above 1 an episode is paid at most max value(m) * zeta(power) for one message.

    Source: Zheng et al., "Online Intrinsic Rewards for Decision Making Agents from Large Language Model Feedback" (ONI,
    arXiv 2410.23022); r = a_ext r_env + a_int value(m) / N(m)^3, where the two factors are the terms' weights here.
    Deviations: answers that cannot be read teach nothing, where the released code counts them as unhelpful, or as a
    tie; empty messages are left out; questions come at refreshes; mean and spread are over all messages shown lately,
    by how often they were, and not a running average. The released code pays the raw R, although it computes mean,
    spread and cutoff: `as_released: true` repeats that, and how it counts what cannot be read.
    """

    task: Annotated[str, Field(min_length=1, max_length=5000)] = Field(
        description="What the agent is to do, as one would say it to a person."
    )
    message: ExpressionText = Field(
        "next_obs.message",
        description="Where the message stands: a part of `next_obs` or of `info`, a text or bytes.",
    )
    model: Literal["retrieval", "classification", "ranking"] = Field(
        "retrieval", description="How labels become rewards."
    )
    judge: Annotator | PhraseOracle = Field(
        Annotator.model_validate({}), description="Who labels the messages."
    )
    power: Annotated[Number, Field(ge=0, le=100)] = Field(
        3.0, description="Exponent of the count by which a message is paid less and less often."
    )
    cutoff: Number | None = Field(
        None,
        description="What a message must exceed, or reach: a probability (0.5), or a score in standard deviations from "
        "the mean (0).",
    )
    as_released: Truth = Field(
        False,
        description="Whether scores are paid raw, and unreadable answers count as unhelpful, as in the released code.",
    )
    empty: Literal["ignore", "ask"] = Field(
        "ignore", description="Whether a model is asked about the empty message, too."
    )
    longest: Annotated[Whole, Field(ge=SHORTEST, le=4096)] = Field(
        256, description="Bytes of a message that are read."
    )
    queue: Annotated[Whole, Field(ge=1, le=1_000_000)] = Field(
        10_000, description="Questions that wait, at most; the oldest are dropped."
    )
    pairs: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        100, description="Pairs of messages that are drawn per refresh, for a ranking."
    )
    network: CharacterNetwork = Field(
        CharacterNetwork.model_validate({}), description="The network of a classification or a ranking."
    )
    fit: MessageFitting = Field(MessageFitting.model_validate({}), description="How it is fitted.")
    relabel: Truth = Field(
        True,
        description="Whether stored steps are paid anew by the labels of today when an agent learns from them.",
    )

    @property
    def cut(self) -> float:
        """What a message must exceed or reach."""
        return CUTOFFS.get(self.model, 0.0) if self.cutoff is None else self.cutoff

    @field_validator("task")
    @classmethod
    def _check_task(cls, task: str) -> str:
        check_line(task, "task")
        return task

    @model_validator(mode="after")
    def _check_cutoff(self) -> Feedback:
        if self.cutoff is not None and self.model == "retrieval":
            raise ValueError("a label is 0 or 1: leave 'cutoff' out, or say another 'model'")
        if self.cutoff is not None and self.model == "ranking" and self.as_released:
            raise ValueError("the released code applies no cutoff to a ranking: leave 'cutoff' out")
        return self


def lower(term: Feedback, scope: Scope) -> Expr:
    """Return what the model will say of the message, over a power of how often it was shown."""
    _check_message(term, scope)
    name = scope.unique("", scope.draft.learned)
    first, second, shown = (ir.Field("info", (key,)) for key in keys_of(name))
    said = scope.learned("feedback", (first, second), (), term)
    value: Expr = said
    cut = ir.Const(float(term.cut))
    if term.model == "classification":
        value = ir.Where(ir.Compare("gt", said, cut), ir.ONE, ir.ZERO)
    elif term.model == "ranking" and not term.as_released:
        value = ir.Where(ir.Compare("ge", said, cut), said, ir.ZERO)
    return ir.Binary("div", value, ir.Binary("pow", shown, ir.Const(float(term.power))))


def keys_of(name: str) -> tuple[str, str, str]:
    """Return the keys of `info` that tell which message was shown, in two numbers, and how often in the episode."""
    return f"{name}.message_1", f"{name}.message_2", f"{name}.shown"


def message_field(term: Feedback, place: Place | None = None) -> ir.Field | None:
    """Return where the message stands; None where the spec names no such part.

    Raises:
        FormulaError: It cannot be read.
    """
    found = parse_expression(term.message, {}, place or Place())
    if not isinstance(found, ir.Field) or found.root not in ("next_obs", "info") or found.who is not None:
        return None
    whole = all(isinstance(step, str) or all(isinstance(item, int) for item in step) for step in found.path)
    return found if found.path and whole and found.default is None else None


def _check_message(term: Feedback, scope: Scope) -> None:
    try:
        found = message_field(term, scope.at("message"))
    except FormulaError as error:
        scope.formula_problem(error, "message")
        return
    if found is None:
        scope.problem(
            "not-a-message",
            f"'{term.message[:80]}' is no part of what a step shows",
            "message",
            hints=("Name the part of `next_obs` or `info` that holds it: next_obs.message, info.message.",),
        )


KIND = Kind(Feedback, "task", lower)
