"""The spec as data: pydantic models that YAML and the Python DSL both build.

A `Spec` holds text (expressions, guards, formulas) and numbers; it computes nothing. Its parts are in `terms.py`,
`declarations.py` and `agents.py`, what their fields hold in `values.py`. The models of the reward kinds and operators
live beside their lowering, in `kinds/` and `operators/`; a `Term` holds one of them as its body.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from rewardspec.errors import Place, Problem, SpecError
from rewardspec.ir.program import Observe
from rewardspec.spec.agents import AgentSpec, JointSpec
from rewardspec.spec.declarations import Ends, EnvSpec, ObjectiveSpec, SignalSpec, TestSpec
from rewardspec.spec.document import path_text
from rewardspec.spec.places import Places
from rewardspec.spec.scalars import short
from rewardspec.spec.terms import Term
from rewardspec.spec.values import (
    AgentPattern,
    ExpressionText,
    Forms,
    Model,
    ModelError,
    Name,
    Number,
    in_pieces,
)
from rewardspec.spec.wording import word_findings


def _check_version(version: object) -> object:
    if isinstance(version, bool) or version != 1:
        raise ModelError(
            "wrong-version",
            f"the language has version 1, not {short(str(version))}",
            "Write 'rewardspec: 1'.",
        )
    return version


def _objective_word(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


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
        ObjectiveSpec,
        BeforeValidator(_objective_word, json_schema_input_type=str | ObjectiveSpec),
        Forms(
            "text or a mapping",
            "`objective: limit_average`, or `objective: {kind: regularised, weight: 0.1}`",
        ),
    ] = Field(
        ObjectiveSpec(kind="discounted", weight=None, of=None),
        description="What is maximised; a word alone, such as `limit_average`, is its kind.",
    )
    env: Annotated[
        EnvSpec | None, Forms("text or a mapping", "`env: ID`, or `env: {id: ID, horizon: 100}`")
    ] = Field(None, description="The environment that the spec is written for.")
    signals: dict[Name, SignalSpec] = Field(default_factory=dict, description="Named expressions.")
    propositions: Annotated[
        dict[Name, ExpressionText | None],
        Forms("a mapping or a list", "`propositions: {door: info.door}`, or names alone as in [door, key]"),
    ] = Field(
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
    end: Ends = Field((), description="Conditions that end the episode.")
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
