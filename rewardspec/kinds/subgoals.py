"""Kind `subgoals`: pays when a judge says that a subgoal of the task was reached on this very step (CALM)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.kinds.potential import shaped
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model, ModelError, Number, Truth, check_line

MAX_SUBGOALS = 16
"""Subgoals of one term: a model is asked about all of them at once."""

Sentence = Annotated[str, Field(min_length=1, max_length=200)]
"""A short text for a model to read, on one line."""

Note = Annotated[str, Field(max_length=1000)]
"""A longer one, which may be left out."""

View = Literal["auto", "crop9", "chars", "tty", "grid", "numbers"]
"""What a judge sees of an observation; see `rewardspec/llm/views.py`."""


class LanguageModelJudge(Model):
    """A language model that reads the observation before a step, the action, and the observation after it."""

    llm: str = Field(
        "default",
        min_length=1,
        max_length=200,
        description="Which model: `default` (what REWARDSPEC_LLM names), or the name of fetched weights.",
    )
    observation: View = Field(
        "auto",
        description="What it is shown: `crop9` (9x9 characters around the agent), `chars`, `tty` (NetHack's screen), "
        "`grid` (a text or an array of characters), `numbers`; `auto` takes the first that fits.",
    )
    actions: tuple[Sentence, ...] = Field(
        (),
        max_length=512,
        description="Names of the actions, from 0; those of the environment when not given.",
    )
    note: Note = Field(
        "", description="What else it is told, such as what the characters of a map stand for; one line."
    )
    cache: Truth = Field(
        True, description="Whether equal prompts are asked once; the answers are kept with the run."
    )

    @field_validator("note", "actions")
    @classmethod
    def _check_lines(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for text in (given,) if isinstance(given, str) else given:
            check_line(text, "text for the judge")
        return given


class OracleJudge(Model):
    """Conditions that tell what a person would say: exact, for tests and for comparison."""

    oracle: tuple[ExpressionText, ...] = Field(
        min_length=1, max_length=MAX_SUBGOALS, description="One truth value per subgoal, in their order."
    )


class DistilledJudge(Model):
    """A small classifier that was fitted to a judge's answers (`rewardspec llm distil`)."""

    distilled: str = Field(
        min_length=1, max_length=1000, description="Its file, relative to the run's folder; `.npz`."
    )


class Subgoals(Model):
    """Pays a bonus on the step on which a judge says that a subgoal was reached.

    Formula: r_t = bonus * (number of subgoals that the judge says were reached on the step, each once per episode)

    With `shaping: potential` it pays gamma * Phi(s') - Phi(s) with Phi = bonus * (number reached so far in the
    episode), which leaves the optimal policies alone whatever the judge says. The bonus alone does not: a wrong judge
    can be farmed, and once per episode bounds by how much.

    The judge sees the transition, not the trajectory, and never acts. Which subgoals were reached is memory, so the
    observation is extended with it.

    Law: with `repeat: never` an episode is paid at most bonus * (number of subgoals).

    Source: Pignatelli et al., "Assessing the Zero-Shot Capabilities of LLMs for Action Evaluation in RL" (CALM, arXiv
    2409.12798): r' = r + lambda * max_g beta_g(o, a, o'). The sum here equals that maximum where a step ends one
    subgoal at most; `repeat: always` pays the maximum itself, on every step, as the paper does. Once per episode and
    the potential are ours.
    """

    task: Annotated[str, Field(max_length=400)] = Field(
        "", description="The task, as one would say it to a person."
    )
    subgoals: Literal["discover"] | tuple[Sentence, ...] = Field(
        description="What to reach on the way, in words; `discover` has a model propose them before training."
    )
    judge: LanguageModelJudge | OracleJudge | DistilledJudge = Field(
        LanguageModelJudge.model_validate({}), description="Who says whether a subgoal was reached."
    )
    bonus: Number = Field(1.0, description="Paid for each subgoal.")
    repeat: Literal["never", "always"] = Field(
        "never", description="Whether a subgoal that is reached again in the episode is paid again."
    )
    shaping: Literal["bonus", "potential"] = Field(
        "bonus", description="Whether the bonus is paid, or the difference of a potential."
    )

    @field_validator("task")
    @classmethod
    def _check_task(cls, task: str) -> str:
        check_line(task, "task")
        return task

    @field_validator("subgoals")
    @classmethod
    def _check_subgoals(cls, subgoals: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(subgoals, str):
            return subgoals
        if not 1 <= len(subgoals) <= MAX_SUBGOALS:
            raise ValueError(f"there are 1 to {MAX_SUBGOALS} subgoals, or the word 'discover'")
        for subgoal in subgoals:
            check_line(subgoal, "subgoal")
        if len({s.casefold() for s in subgoals}) < len(subgoals):
            raise ModelError("duplicate-name", "a subgoal is listed twice")
        return subgoals

    @model_validator(mode="after")
    def _check_form(self) -> Subgoals:
        if self.shaping == "potential" and self.repeat == "always":
            raise ValueError("a potential counts each subgoal once: leave 'repeat' out")
        return self


def lower(term: Subgoals, scope: Scope) -> Expr:
    """Return the payment; declares a proposition and a memory for each subgoal."""
    if isinstance(term.subgoals, str):
        scope.problem(
            "undiscovered-subgoals",
            "the subgoals have not been proposed yet",
            "subgoals",
            hints=(
                "`rewardspec llm discover SPEC -o NEW.yaml` asks the model once and writes them into a spec.",
            ),
        )
        return ir.ZERO
    reached = _reached(term, term.subgoals, scope)
    if term.repeat == "always":
        any_reached = reached[0] if len(reached) == 1 else ir.Logic("or", reached)
        return ir.Where(any_reached, ir.Const(term.bonus), ir.ZERO)
    paid: list[Expr] = []
    counts: list[tuple[Expr, Expr]] = []
    for number, holds in enumerate(reached, 1):
        before, after = scope.fold(
            f"reached_{number}",
            0.0,
            lambda past, holds=holds: ir.Where(holds, ir.ONE, past),
            low=0.0,
            high=1.0,
        )
        first = ir.Logic("and", (holds, ir.Compare("eq", before, ir.ZERO)))
        paid.append(ir.Where(first, ir.Const(term.bonus), ir.ZERO))
        counts.append((before, after))
    if term.shaping == "bonus":
        return ir.total(tuple(paid))
    scale = ir.Const(term.bonus)
    before = ir.Binary("mul", scale, ir.total(tuple(before for before, _ in counts)))
    after = ir.Binary("mul", scale, ir.total(tuple(after for _, after in counts)))
    return shaped(scope.discount("a potential"), after, before)


def _reached(term: Subgoals, subgoals: tuple[str, ...], scope: Scope) -> tuple[Expr, ...]:
    """Return, per subgoal, whether it was reached on the step: a condition, or a label that a judge will say."""
    if isinstance(term.judge, OracleJudge):
        oracle = term.judge.oracle
        if len(oracle) != len(subgoals):
            scope.problem(
                "oracle-length",
                f"the oracle says {len(oracle)} truth value{'s' * (len(oracle) != 1)} of {len(subgoals)} subgoals",
                "judge",
                "oracle",
                hints=("One condition for each subgoal, in their order.",),
            )
            return (ir.FALSE,) * len(subgoals)
        return tuple(scope.condition(text, "judge", "oracle", i) for i, text in enumerate(oracle))
    return scope.judged("subgoals", subgoals, term)


KIND = Kind(Subgoals, "subgoals", lower)
