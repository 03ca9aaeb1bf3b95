"""Specs in Python: a builder for every word of the language, operators on terms, the `Spec` that YAML gives.

::

    from rewardspec import dsl as rs

    spec = rs.spec(
        "office",
        discount=0.95,
        propositions=["coffee", "office", "broken"],
        reward=2 * rs.ltl("F(coffee & X F office) & G !broken")
        + rs.reward_machine(start="want", terminal="lost")
        .edge("want", "have", when="coffee and not broken", reward=0.1)
        .edge(["want", "have"], "lost", when="broken")
        + rs.markov("-0.01 * abs(action)", name="effort"),
    )

Builders hold plain data and check nothing beyond Python's own signatures; `spec` validates the whole, in
the words and with the paths that a YAML file gets. `a + b` adds terms, `2 * a` weighs them, `a * b` is their
product, `-a` the negative. `sum`, `min`, `max` and `end` are the language's words: import the module as here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from rewardspec.dsl_agents import Ends, Terms, ends_of, terms_of
from rewardspec.dsl_agents import agent as agent
from rewardspec.dsl_agents import inequity as inequity
from rewardspec.dsl_agents import joint as joint
from rewardspec.dsl_agents import risk as risk
from rewardspec.dsl_agents import share as share
from rewardspec.dsl_learned import answers as answers
from rewardspec.dsl_learned import barfi as barfi
from rewardspec.dsl_learned import blend as blend
from rewardspec.dsl_learned import decomposing as decomposing
from rewardspec.dsl_learned import encoder as encoder
from rewardspec.dsl_learned import factor as factor
from rewardspec.dsl_learned import feedback as feedback
from rewardspec.dsl_learned import fit as fit
from rewardspec.dsl_learned import heron as heron
from rewardspec.dsl_learned import latent as latent
from rewardspec.dsl_learned import networks as networks
from rewardspec.dsl_learned import nominal_worst as nominal_worst
from rewardspec.dsl_learned import preferences as preferences
from rewardspec.dsl_learned import ranking as ranking
from rewardspec.dsl_learned import reward_model as reward_model
from rewardspec.dsl_learned import subgoals as subgoals
from rewardspec.dsl_learned import teacher as teacher
from rewardspec.dsl_learned import uwo as uwo
from rewardspec.dsl_sets import submodular as submodular
from rewardspec.dsl_terms import (
    Reward,
    Text,
    Weight,
    fields_given,
    plain_of,
    term_of,
)
from rewardspec.errors import Place, Problem, SpecError
from rewardspec.spec.document import path_text
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import from_data

States: TypeAlias = "str | Sequence[str]"


@dataclass(frozen=True)
class RewardMachine(Reward):
    """A reward machine under construction."""

    def edge(
        self,
        from_: States,
        to: str | None = None,
        when: Text = "true",
        reward: Text = 0,
        count: Mapping[str, Text] | None = None,
    ) -> RewardMachine:
        """Return the machine with one more edge."""
        term = dict(self.terms[0])
        fields = dict(term["reward_machine"])
        fields["edges"] = [*fields["edges"], edge(from_, to, when, reward, count)]
        return RewardMachine(({**term, "reward_machine": fields},))


# -- kinds -----------------------------------------------------------------------------------------------


def markov(value: Text, *, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays the value of an expression over the transition."""
    return term_of("markov", {"value": value}, name, weight)


def difference(value: Text, *, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays an agent what a value of its team loses without it."""
    return term_of("difference", {"value": value}, name, weight)


def potential(
    of: Text | None = None,
    machine: str | None = None,
    method: Literal["distance", "value", "value_iteration"] = "distance",
    scale: float = 1.0,
    machine_discount: float = 0.9,
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return shaping by a potential: an expression over `obs`, or read from another term's machine."""
    fields = {"of": of, "machine": machine, "method": method, "scale": scale}
    return term_of("potential", {**fields, "machine_discount": machine_discount}, name, weight)


def ltl(
    formula: str,
    semantics: Literal["finite", "infinite"] = "finite",
    pay: Literal["first", "for_good", "end"] = "first",
    accept: float = 1.0,
    reject: float = 0.0,
    progress: float = 0.0,
    scheme: Literal["frontier", "every_visit", "parity"] | None = None,
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that pays for traces that satisfy a temporal formula."""
    fields = {"formula": formula, "semantics": semantics, "pay": pay, "accept": accept, "reject": reject}
    return term_of("ltl", {**fields, "progress": progress, "scheme": scheme}, name, weight)


def stl(formula: str, *, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays the robustness of a formula of signal temporal logic, on the last steps."""
    return term_of("stl", {"formula": formula}, name, weight)


def reward_machine(
    edges: Sequence[Mapping[str, Any]] = (),
    start: str = "",
    terminal: States = (),
    counters: Mapping[str, float] | None = None,
    propositions: Mapping[str, Text] | None = None,
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> RewardMachine:
    """Return a reward machine; its edges are a list of `edge(...)`, or added by the method of that name.

    Example:
        >>> machine = reward_machine(start="u0", terminal="u1").edge("u0", "u1", when="goal", reward=1)
        >>> machine.terms[0]["reward_machine"]["edges"]
        [{'from': 'u0', 'to': 'u1', 'when': 'goal', 'reward': 1}]
    """
    fields: dict[str, Any] = {"edges": edges, "start": start, "terminal": terminal}
    fields |= {"counters": counters, "propositions": propositions}
    return RewardMachine(term_of("reward_machine", fields, name, weight).terms)


def edge(
    from_: States,
    to: str | None = None,
    when: Text = "true",
    reward: Text = 0,
    count: Mapping[str, Text] | None = None,
) -> dict[str, Any]:
    """Return an edge of a reward machine, from one state or from several."""
    return fields_given(**{"from": from_, "to": to, "when": when, "reward": reward, "count": count})


# -- operators without an inner term, or with several -----------------------------------------------------


def sum(*terms: Reward | Text, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return one term that pays the sum of its terms; `a + b` keeps them apart."""
    return term_of("sum", {"terms": terms}, name, weight)


def product(*terms: Reward | Text, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays the product of its terms."""
    return term_of("product", {"terms": terms}, name, weight)


def min(*terms: Reward | Text, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays the least of its terms on each step."""
    return term_of("min", {"terms": terms}, name, weight)


def max(*terms: Reward | Text, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays the greatest of its terms on each step."""
    return term_of("max", {"terms": terms}, name, weight)


def lexicographic(
    *terms: Reward | Text,
    range: tuple[float, float] = (0.0, 1.0),
    levels: int = 10,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that orders steps by its first term, then by the second, and so on."""
    return term_of("lexicographic", {"terms": terms, "range": range, "levels": levels}, name, weight)


def once(when: Text, value: Text = 1, *, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays on the first step of the episode on which a condition holds."""
    return term_of("once", {"when": when, "value": value}, name, weight)


def end(
    when: Text,
    how: Literal["terminated", "truncated"] = "terminated",
    value: float = 0.0,
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that ends the episode under a condition; `spec(end=...)` takes it too."""
    return term_of("end", {"when": when, "how": how, "value": value}, name, weight)


def term(word: str, *, name: str | None = None, weight: Weight | None = None, **fields: Any) -> Reward:
    """Return a term of any kind or operator by its word, with the fields that it has in YAML.

    Example:
        >>> term("clip", of=markov("reward"), low=-1) == markov("reward").clip(low=-1)
        True
    """
    return term_of(word, fields, name, weight)


# -- schedules -------------------------------------------------------------------------------------------


def linear(from_: float, to: float, over: int, after: int = 0) -> dict[str, Any]:
    """Return a weight that goes from one number to another within `over` environment steps."""
    return {"linear": fields_given(**{"from": from_, "to": to, "over": over, "after": after})}


def exponential(from_: float, to: float = 0.0, *, half_life: int) -> dict[str, Any]:
    """Return a weight whose distance to `to` halves every `half_life` environment steps."""
    return {"exponential": fields_given(**{"from": from_, "to": to, "half_life": half_life})}


def piecewise(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Return a weight through points (environment steps, value), linear between them."""
    return {"piecewise": plain_of(points)}


def performance(
    from_: float, to: float, measure: Text = "reward", *, low: float, high: float, window: int = 100
) -> dict[str, Any]:
    """Return a weight that changes as the average of a measure over finished episodes rises."""
    given = {"from": from_, "to": to, "measure": measure, "low": low, "high": high, "window": window}
    return {"performance": fields_given(**given)}


# -- the rest of a spec ----------------------------------------------------------------------------------


def env(
    id: str | None = None,
    kwargs: Mapping[str, Any] | None = None,
    labels: str | None = None,
    horizon: int | None = None,
    base_reward: tuple[float, float] | None = None,
    ends_early: bool | None = None,
) -> dict[str, Any]:
    """Return the environment that a spec is written for."""
    given = {"id": id, "kwargs": kwargs, "labels": labels, "horizon": horizon}
    return fields_given(**given, base_reward=base_reward, ends_early=ends_early)


def signal(value: Text, range: tuple[float, float] | None = None) -> dict[str, Any]:
    """Return a named expression with the range it is meant to have."""
    return fields_given(value=value, range=range)


def test(
    name: str,
    trace: Sequence[Sequence[str]] | None = None,
    transitions: Sequence[Mapping[str, Any]] | None = None,
    end: Literal["terminated", "truncated"] | None = None,
    return_: float | Mapping[str, float] | None = None,
    rewards: Sequence[float] | None = None,
    state: str | Mapping[str, str] | None = None,
    verdict: str | Mapping[str, str] | None = None,
    terminated: bool | None = None,
    ends_at: int | None = None,
) -> dict[str, Any]:
    """Return a trace or recorded transitions, with what the spec must say about them."""
    expected = {"return": return_, "rewards": rewards, "state": state, "verdict": verdict}
    given = {"name": name, "trace": trace, "transitions": transitions, "end": end, **expected}
    return fields_given(**given, terminated=terminated, ends_at=ends_at)


test.__test__ = False  # type: ignore[attr-defined]  # a builder, not one of pytest's tests


def spec(
    name: str = "reward",
    *,
    reward: Terms = (),
    agents: Mapping[str, Mapping[str, Any]] | None = None,
    joint: Mapping[str, Any] | None = None,
    description: str = "",
    discount: float | None = None,
    objective: str | Mapping[str, Any] | None = None,
    env: str | Mapping[str, Any] | None = None,
    signals: Mapping[str, Text | Mapping[str, Any]] | None = None,
    propositions: Mapping[str, Text | None] | Sequence[str] = (),
    end: Ends = (),
    observe: Literal["auto", "onehot", "index", "dict", "none"] = "auto",
    tests: Sequence[Mapping[str, Any]] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Spec:
    r"""Return the spec, validated; equal to the one that YAML of the same content gives.

    Args:
        name: Name of the spec.
        reward: The terms: a sum of terms, or a list of them.
        agents: For several agents, instead: `agent(...)` by name or pattern.
        joint: `joint(...)`: what all of several agents get.
        description: What the reward is meant to bring about.
        discount: Discount of the return.
        objective: By which number policies are compared: a kind, or a mapping with its options.
        env: Gymnasium id, or `env(...)`.
        signals: Named expressions, or `signal(...)`.
        propositions: Named truth values, or a list of names that the labelling function gives.
        end: `end(...)`, or a list of them: conditions that end the episode.
        observe: How memory enters the observation.
        tests: A list of `test(...)`.
        provenance: Who or what wrote the spec, and from what.

    Raises:
        SpecError: With every problem found; places are paths, such as `reward[0].low`.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> spec("effort", reward=markov("-0.01 * abs(action)")) == loads(
        ...     "name: effort\nreward: -0.01 * abs(action)"
        ... )
        True
    """
    data: dict[str, Any] = {
        "rewardspec": 1,
        "name": name,
        "description": description,
        "discount": discount,
        "objective": objective,
        "env": env,
        "signals": signals,
        "propositions": propositions,
        "reward": terms_of(reward) or (None if agents or joint else []),
        "agents": agents,
        "joint": joint,
        "end": ends_of(end),
        "observe": observe,
        "tests": tests,
        "provenance": provenance,
    }
    plain = fields_given(**data)
    _check_plain(plain, ())
    return from_data(plain)


def _check_plain(value: Any, path: tuple[str | int, ...]) -> None:
    """Refuse what has no place in a YAML file either: other types, and numbers that are not finite."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(item, (*path, str(key)))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check_plain(item, (*path, i))
    elif isinstance(value, float) and not math.isfinite(value):
        hint = "For 'no limit', leave it out."
        place = Place(path=path_text(path))
        raise SpecError(Problem("non-finite-number", f"{value} is not a finite number", place, (hint,)))
    elif value is not None and not isinstance(value, str | int | float):
        message = f"a spec holds texts, numbers, truth values, lists and mappings, not {type(value).__name__}"
        raise SpecError(Problem("wrong-type", message, Place(path=path_text(path))))
