"""The spec as data: pydantic models that YAML and the Python DSL both build.

A `Spec` holds text (expressions, guards, formulas) and numbers; it computes nothing. The models of the reward kinds
and operators live beside their lowering, in `kinds/` and `operators/`; a `Term` holds one of them as its body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from rewardspec.errors import Place, Problem, SpecError
from rewardspec.ir.program import Observe
from rewardspec.spec.document import path_text
from rewardspec.spec.places import Places
from rewardspec.spec.scalars import short
from rewardspec.spec.wording import word_findings

if TYPE_CHECKING:
    from rewardspec.ir.expr import Expr
    from rewardspec.lowering import Scope

RESERVED = frozenset(
    [
        "and",
        "or",
        "not",
        "xor",
        "implies",
        "iff",
        "true",
        "false",
        "True",
        "False",
        "None",
        "if",
        "else",
        "in",
        "is",
        "lambda",
        "obs",
        "next_obs",
        "action",
        "reward",
        "terminated",
        "truncated",
        "info",
        "label",
        "future",
        "agents",
        "team",
        "teammates",
        "others",
        "opponents",
        "pi",
        "inf",
        "nan",
    ]
)
"""Words that cannot name a signal, a proposition or a machine state's proposition."""

MAX_NAME = 80
"""Characters of a name."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PATTERN = re.compile(r"[A-Za-z0-9_*?.: -]+\Z")
_TERM_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ .-]*\Z")


class ModelError(ValueError):
    """A value does not fit, with the code and the hints of the problem that it is."""

    def __init__(self, code: str, message: str, *hints: str) -> None:
        super().__init__(message)
        self.code, self.hints = code, hints


def _check_name(name: str) -> str:
    if not _NAME.match(name) or len(name) > MAX_NAME:
        hint = f"Use letters, digits and underscores, a letter first, at most {MAX_NAME} in all."
        raise ModelError("invalid-name", f"'{short(name)}' cannot be a name", hint)
    if name in RESERVED:
        message = f"'{name}' is a word of the language and cannot be declared"
        raise ModelError("reserved-name", message, f"Choose another name, for example '{name}_'.")
    return name


def _check_term_name(name: str) -> str:
    if not _TERM_NAME.match(name) or len(name) > MAX_NAME:
        hint = f"Use letters, digits, spaces, '_', '-' and '.', a letter first, at most {MAX_NAME} in all."
        raise ModelError("invalid-name", f"'{short(name)}' cannot be the name of a term", hint)
    return name


def _check_pattern(pattern: str) -> str:
    if not _PATTERN.match(pattern) or len(pattern) > MAX_NAME:
        hint = f"Use an agent's name, or a pattern with '*' and '?', at most {MAX_NAME} characters."
        raise ModelError("invalid-name", f"'{short(pattern)}' cannot be the name or pattern of agents", hint)
    return pattern


def _check_version(version: object) -> object:
    if isinstance(version, bool) or version != 1:
        raise ModelError(
            "wrong-version",
            f"the language has version 1, not {short(str(version))}",
            "Write 'rewardspec: 1'.",
        )
    return version


def _check_range(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ModelError(
            "wrong-value",
            f"the range runs from {ends[0]:g} down to {ends[1]:g}",
            "Write the lesser number first.",
        )
    return ends


def number_to_text(value: object) -> object:
    """Let `- markov: 1` and `when: true` stand for their text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float.__repr__(value)  # a NumPy float would name its type
    return repr(value) if isinstance(value, int) else value


def one_or_many(value: object) -> object:
    """Let `from: want` stand for `from: [want]`."""
    return (value,) if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(_check_name)]
"""A name that expressions and guards may use."""

TermName = Annotated[str, AfterValidator(_check_term_name)]

AgentPattern = Annotated[str, AfterValidator(_check_pattern)]
"""An agent's name, or a pattern with `*` and `?`."""

ExpressionText = Annotated[
    str,
    BeforeValidator(number_to_text, json_schema_input_type=str | bool | int | float),
    Field(examples=["-0.01 * abs(action)", "next_obs[0] > 2 and not broken"]),
]
"""A numeric or truth-valued expression over one transition."""

GuardText = Annotated[
    str,
    BeforeValidator(number_to_text, json_schema_input_type=str | bool | int | float),
    Field(examples=["coffee and not broken", "true"]),
]
"""A boolean formula over declared propositions."""

Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
"""A finite number; a text or a truth value is not taken for one."""

Whole = Annotated[int, Field(strict=True, ge=-(10**15), le=10**15)]
"""A whole number that a float holds exactly, likewise."""

PIECE = 50
"""Items of a long list that are validated together."""


def in_pieces(limit: int) -> WrapValidator:
    """Return a validator of a list, piece by piece: a million bad items give the findings of one piece."""

    def validate(value: Any, validate_list: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(value, list | tuple) or len(value) <= PIECE:
            return validate_list(value)
        if len(value) > limit:
            raise ModelError("document-too-large", f"{len(value)} values in a list that may hold {limit}")
        found: list[Any] = []
        for start in range(0, len(value), PIECE):
            try:
                found.extend(validate_list(value[start : start + PIECE]))
            except ValidationError as error:
                raise _moved(error, start) from None
        return tuple(found)

    return WrapValidator(validate)


def _moved(error: ValidationError, start: int) -> ValidationError:
    """Return an error about a piece of a list as one about the list."""
    details: list[InitErrorDetails] = []
    for detail in error.errors(include_url=False):
        index, *rest = detail["loc"]
        moved = (index + start if isinstance(index, int) else index, *rest)
        details.append(
            {"type": detail["type"], "loc": moved, "input": detail["input"], "ctx": detail.get("ctx", {})}
        )
    return ValidationError.from_exception_data(error.title, details)


Truth = Annotated[bool, Field(strict=True)]
"""`true` or `false`; neither a number nor a text is taken for one."""

Range = Annotated[tuple[Number, Number], AfterValidator(_check_range)]
"""Least and greatest value."""


class Model(BaseModel):
    """What all models of a spec share: frozen, and no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True
    )


class Linear(Model):
    """From one number to another, linearly in the environment steps of the run."""

    from_: Number = Field(alias="from", description="Value at the start.")
    to: Number = Field(description="Value at the end and after it.")
    over: Annotated[Whole, Field(gt=0)] = Field(description="Environment steps that the change takes.")
    after: Annotated[Whole, Field(ge=0)] = Field(0, description="Environment steps before the change begins.")


class Exponential(Model):
    """From one number towards another; the distance halves every `half_life` environment steps."""

    from_: Number = Field(alias="from", description="Value at the start.")
    to: Number = Field(0.0, description="Value approached.")
    half_life: Annotated[Whole, Field(gt=0)] = Field(
        description="Environment steps in which the distance halves."
    )


class Performance(Model):
    """From one number to another as the agent gets better, measured on finished episodes."""

    from_: Number = Field(alias="from", description="Value while the measure is at or below `low`.")
    to: Number = Field(description="Value once the measure has reached `high`.")
    measure: ExpressionText = Field("reward", description="Summed over an episode; averaged over episodes.")
    low: Number = Field(description="Average at which the change begins.")
    high: Number = Field(description="Average at which the change is complete.")
    window: Annotated[Whole, Field(gt=0)] = Field(100, description="Episodes of the exponential average.")

    @model_validator(mode="after")
    def _check_order(self) -> Performance:
        if not self.low < self.high:
            raise ValueError("'low' must be below 'high'")
        return self


class Schedule(Model):
    """A number that changes while training runs: exactly one of the forms."""

    linear: Linear | None = None
    exponential: Exponential | None = None
    piecewise: Annotated[tuple[tuple[Annotated[Whole, Field(ge=0)], Number], ...], in_pieces(100)] | None = (
        Field(None, description="Points [environment steps, value], linear between them.", max_length=100)
    )
    performance: Performance | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Schedule:
        forms = [
            name for name in ("linear", "exponential", "piecewise", "performance") if getattr(self, name)
        ]
        if len(forms) != 1:
            raise ValueError("a schedule has exactly one of: linear, exponential, piecewise, performance")
        if self.piecewise and any(
            a[0] >= b[0] for a, b in zip(self.piecewise, self.piecewise[1:], strict=False)
        ):
            raise ValueError("the steps of a piecewise schedule must increase")
        return self


Weight = Number | Schedule


class Term(Model):
    """One part of a reward: a kind or an operator with its options.

    Attributes:
        kind: Word of the vocabulary.
        body: The kind's own model.
        name: What reports call it; the kind's name when not given.
        weight: Factor on what the term pays, constant or scheduled; it can be changed while training runs.
    """

    kind: str
    body: SerializeAsAny[BaseModel]
    name: TermName | None = None
    weight: Weight | None = None


@dataclass(frozen=True)
class Kind:
    """A word of the vocabulary: its model, its main field and how it becomes IR.

    Attributes:
        model: The options.
        main: Name of the field that a bare value fills, as in `ltl: F goal`.
        lower: Makes the expression for what the term pays on a step; reports problems to the scope.
        terms: Names of the fields that hold other terms.
    """

    model: type[Model]
    main: str
    lower: Callable[[Any, Scope], Expr]
    terms: tuple[str, ...] = ()


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
    end: Annotated[tuple[EndSpec, ...], in_pieces(1000)] = Field(
        (), description="Conditions under which such an agent leaves."
    )
    tests: Annotated[tuple[TestSpec, ...], in_pieces(10_000)] = Field(
        (), description="Traces of one such agent and what they must earn."
    )


class JointSpec(Model):
    """What is read on agents together, has one state for all of them, and is paid in full to each of them."""

    reward: tuple[Term, ...] = Field(description="Terms, which are added up.", max_length=1000)
    team: Name | None = Field(
        None, description="Whom it is for and about: a team; all agents where not given."
    )
    end: Annotated[tuple[EndSpec, ...], in_pieces(1000)] = Field(
        (), description="Conditions that end the episode for all of them."
    )
    tests: Annotated[tuple[TestSpec, ...], in_pieces(10_000)] = Field(
        (), description="Traces of the joint propositions and what they must earn."
    )


def _objective_word(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


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


class Spec(Model):
    """A reward specification.

    Build one with `rewardspec.load` (YAML) or `rewardspec.Spec(...)` and the builders in `rewardspec.dsl`; both give
    equal specs for equal content. `rewardspec.compile_spec` makes a program of it, `rewardspec.wrap` an environment.
    """

    rewardspec: Annotated[Literal[1], BeforeValidator(_check_version)] = Field(
        1, description="Version of the language."
    )
    name: str = Field("reward", min_length=1, max_length=200, description="Name of the spec.")
    description: str = Field("", description="What the reward is meant to bring about.")
    discount: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        None,
        description="Discount of the return that is to be maximised; needed by potentials and discounted formulas.",
    )
    objective: Annotated[
        ObjectiveSpec, BeforeValidator(_objective_word, json_schema_input_type=str | ObjectiveSpec)
    ] = Field(
        ObjectiveSpec(kind="discounted", weight=None, of=None),
        description="What is maximised; a word alone, such as `limit_average`, is its kind.",
    )
    env: EnvSpec | None = Field(None, description="The environment that the spec is written for.")
    signals: dict[Name, SignalSpec] = Field(default_factory=dict, description="Named expressions.")
    propositions: dict[Name, ExpressionText | None] = Field(
        default_factory=dict, description="Named truth values; null means: given by the labelling function."
    )
    reward: tuple[Term, ...] = Field(description="Terms, which are added up.", max_length=1000)
    agents: dict[AgentPattern, AgentSpec] = Field(
        default_factory=dict,
        description="For several agents, instead of `reward`: what each wants, by name or pattern; the most exact "
        "pattern counts, `default` where none fits.",
        max_length=1000,
    )
    joint: JointSpec | None = Field(
        None, description="For several agents: what all of them get, from one state for all."
    )
    end: Annotated[tuple[EndSpec, ...], in_pieces(1000)] = Field(
        (), description="Conditions that end the episode."
    )
    observe: Observe = Field("auto", description="How machine states and other memory enter the observation.")
    tests: Annotated[tuple[TestSpec, ...], in_pieces(10_000)] = Field(
        (), description="Traces and what they must earn."
    )
    provenance: dict[str, Any] = Field(
        default_factory=dict, description="Who or what wrote the spec, and from what."
    )

    _places: Places = PrivateAttr(default_factory=Places)

    @model_validator(mode="before")
    @classmethod
    def _let_agents_stand_for_reward(cls, data: Any) -> Any:
        if isinstance(data, dict) and "reward" not in data and (data.get("agents") or data.get("joint")):
            return {**data, "reward": ()}
        return data

    @model_validator(mode="after")
    def _check_reward(self) -> Spec:
        if self.reward and self.is_for_agents:
            raise ModelError(
                "reward-beside-agents",
                "'reward' stands beside 'agents'",
                "Move it: to `agents: {default: {reward: ...}}`, where each agent is paid by what it does itself, "
                "or to `joint: {reward: ...}`, where all get the same.",
            )
        if not self.reward and not self.is_for_agents:
            raise ValueError("'reward' must not be empty")
        return self

    @property
    def is_for_agents(self) -> bool:
        """Whether it says what each of several agents wants; one that does not is the same for all."""
        return bool(self.agents) or self.joint is not None

    def __init__(self, /, **data: Any) -> None:
        """Check and take the fields.

        Raises:
            SpecError: With what is wrong with them; places are paths only.
        """
        try:
            super().__init__(**data)
        except ValidationError as error:
            found = word_findings(error, type(self), lambda path: path)
            raise SpecError(
                [Problem(f.code, f.message, Place(path=path_text(f.path)), f.hints) for f in found]
            ) from None

    def place(self, path: tuple[str | int, ...]) -> Place:
        """Return where the value at a path stands, or the nearest value that encloses it."""
        return self._places.find(path)

    def place_of_key(self, path: tuple[str | int, ...]) -> Place:
        """Return where the key that leads to a value stands."""
        return self._places.find_key(path)

    def __eq__(self, other: object) -> bool:
        """Compare content; places do not count."""
        return isinstance(other, Spec) and self.to_data() == other.to_data()

    __hash__ = None  # type: ignore[assignment]

    def to_data(self) -> dict[str, Any]:
        """Return the spec as plain mappings, lists and scalars, the way it is written in YAML."""
        from rewardspec.spec.writing import write_spec

        return write_spec(self)

    def to_yaml(self) -> str:
        """Return the spec as YAML that `rewardspec.loads` reads back to an equal spec."""
        from rewardspec.spec.text import dump_text

        return dump_text(self.to_data())
