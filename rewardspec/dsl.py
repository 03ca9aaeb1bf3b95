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
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NoReturn, Self, TypeAlias

from rewardspec.errors import Place, Problem, SpecError
from rewardspec.spec.document import path_text
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import VOCABULARY, from_data

Text: TypeAlias = "str | float | int | bool"
"""An expression, a guard or a formula; a number or a truth value stands for its text."""

Weight: TypeAlias = "float | Mapping[str, Any]"
"""A number, or what `linear`, `exponential`, `piecewise` and `performance` return."""

States: TypeAlias = "str | Sequence[str]"

MAX_DEPTH = 64


@dataclass(frozen=True)
class Reward:
    """One term of a reward, or the sum of several; immutable.

    Attributes:
        terms: Each term as plain data, the way it is written in YAML.

    Example:
        >>> reward = 2 * markov("reward") + ltl("F goal").named("task")
        >>> reward.terms
        ({'markov': {'value': 'reward'}, 'weight': 2}, {'ltl': {'formula': 'F goal'}, 'name': 'task'})
    """

    terms: tuple[dict[str, Any], ...]

    # NumPy scalars leave `np.float64(2) * reward` to us.
    __array_ufunc__: ClassVar[None] = None

    # -- sums, products, weights -------------------------------------------------------------------------

    def __add__(self, other: Reward | Text) -> Reward:
        return Reward((*self.terms, *reward_of(other).terms))

    def __radd__(self, other: Reward | Text) -> Reward:
        if isinstance(other, int) and other == 0:  # where Python's own sum() starts
            return self
        return reward_of(other) + self

    def __sub__(self, other: Reward | Text) -> Reward:
        return self + -reward_of(other)

    def __rsub__(self, other: Reward | Text) -> Reward:
        return reward_of(other) + -self

    def __neg__(self) -> Self:
        return self.weighted(-1)

    def __mul__(self, other: Reward | Weight | str) -> Reward:
        if isinstance(other, Reward | str):
            factors = [*_factors(self), *_factors(reward_of(other))]
            return _term("product", {"terms": factors})
        return self.weighted(other) if _is_weight(other) else NotImplemented

    def __rmul__(self, other: Weight | str) -> Reward:
        if isinstance(other, str):
            return reward_of(other) * self
        return self.weighted(other) if _is_weight(other) else NotImplemented

    def __truediv__(self, other: float) -> Self:
        return self.weighted(1 / other)

    def weighted(self, weight: Weight) -> Self:
        """Return the reward times a number or a schedule; every term of a sum gets the weight.

        Raises:
            SpecError: `two-weights` when a term has a weight already and one of the two is a schedule.
        """
        return replace(self, terms=tuple(_weigh(term, weight) for term in self.terms))

    def named(self, name: str) -> Self:
        """Return the reward under a name; a sum of several terms becomes one term.

        Raises:
            SpecError: `two-names` when it has a name already.
        """
        term = dict(single(self))
        if "name" in term:
            _collide("two-names", f"the term '{term['name']}' is given a second name, '{name}'")
        return replace(self, terms=({**term, "name": name},))

    # -- operators on one term ---------------------------------------------------------------------------

    def affine(
        self, scale: float = 1.0, shift: float = 0.0, *, name: str | None = None, weight: Weight | None = None
    ) -> Reward:
        """Return scale * x + shift."""
        return _term("affine", {"of": self, "scale": scale, "shift": shift}, name, weight)

    def clip(
        self,
        low: float | None = None,
        high: float | None = None,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return x held between two bounds."""
        return _term("clip", {"of": self, "low": low, "high": high}, name, weight)

    def sigmoid(
        self,
        slope: float = 1.0,
        centre: float = 0.0,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return 1 / (1 + exp(-slope * (x - centre)))."""
        return _term("sigmoid", {"of": self, "slope": slope, "centre": centre}, name, weight)

    def tanh(
        self,
        slope: float = 1.0,
        centre: float = 0.0,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return the hyperbolic tangent of slope * (x - centre)."""
        return _term("tanh", {"of": self, "slope": slope, "centre": centre}, name, weight)

    def log_sigmoid(
        self,
        slope: float = 1.0,
        centre: float = 0.0,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return log(1 / (1 + exp(-slope * (x - centre))))."""
        return _term("log_sigmoid", {"of": self, "slope": slope, "centre": centre}, name, weight)

    def threshold(
        self,
        at: float,
        above: float = 1.0,
        below: float = 0.0,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return `above` where x >= at, else `below`."""
        return _term("threshold", {"of": self, "at": at, "above": above, "below": below}, name, weight)

    def diff(
        self,
        discounted: bool = False,
        start: float | None = None,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return the change of x since the step before."""
        return _term("diff", {"of": self, "discounted": discounted, "start": start}, name, weight)

    def discount_by_count(
        self,
        when: Text | None = None,
        factor: float | None = None,
        power: float | None = None,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return x, paid less and less as it is paid again in an episode: factor^(n-1) or n^(-power)."""
        fields = {"of": self, "when": when, "factor": factor, "power": power}
        return _term("discount_by_count", fields, name, weight)

    def gate(
        self,
        when: Text,
        fallback: float = 0.0,
        known: Literal["step", "ever", "end"] = "step",
        timing: Literal["escrow", "increment", "relabel"] | None = None,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return x where a condition holds."""
        fields = {"of": self, "when": when, "fallback": fallback, "known": known, "timing": timing}
        return _term("gate", fields, name, weight)

    def normalise(
        self,
        mean: float | None = None,
        std: float | None = None,
        centre: bool = True,
        epsilon: float = 1e-8,
        freeze_after: int | None = None,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return (x - mean) / max(std, epsilon), both constant or both running."""
        fields = {"of": self, "mean": mean, "std": std, "centre": centre, "epsilon": epsilon}
        return _term("normalise", {**fields, "freeze_after": freeze_after}, name, weight)


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
    return _term("markov", {"value": value}, name, weight)


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
    return _term("potential", {**fields, "machine_discount": machine_discount}, name, weight)


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
    return _term("ltl", {**fields, "progress": progress, "scheme": scheme}, name, weight)


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
    return RewardMachine(_term("reward_machine", fields, name, weight).terms)


def edge(
    from_: States,
    to: str | None = None,
    when: Text = "true",
    reward: Text = 0,
    count: Mapping[str, Text] | None = None,
) -> dict[str, Any]:
    """Return an edge of a reward machine, from one state or from several."""
    return _given(**{"from": from_, "to": to, "when": when, "reward": reward, "count": count})


# -- operators without an inner term, or with several -----------------------------------------------------


def sum(*terms: Reward | Text, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return one term that pays the sum of its terms; `a + b` keeps them apart."""
    return _term("sum", {"terms": terms}, name, weight)


def product(*terms: Reward | Text, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays the product of its terms."""
    return _term("product", {"terms": terms}, name, weight)


def min(*terms: Reward | Text, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays the least of its terms on each step."""
    return _term("min", {"terms": terms}, name, weight)


def max(*terms: Reward | Text, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays the greatest of its terms on each step."""
    return _term("max", {"terms": terms}, name, weight)


def lexicographic(
    *terms: Reward | Text,
    range: tuple[float, float] = (0.0, 1.0),
    levels: int = 10,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that orders steps by its first term, then by the second, and so on."""
    return _term("lexicographic", {"terms": terms, "range": range, "levels": levels}, name, weight)


def once(when: Text, value: Text = 1, *, name: str | None = None, weight: Weight | None = None) -> Reward:
    """Return a term that pays on the first step of the episode on which a condition holds."""
    return _term("once", {"when": when, "value": value}, name, weight)


def end(
    when: Text,
    how: Literal["terminated", "truncated"] = "terminated",
    value: float = 0.0,
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that ends the episode under a condition; `spec(end=...)` takes it too."""
    return _term("end", {"when": when, "how": how, "value": value}, name, weight)


def term(word: str, *, name: str | None = None, weight: Weight | None = None, **fields: Any) -> Reward:
    """Return a term of any kind or operator by its word, with the fields that it has in YAML.

    Example:
        >>> term("clip", of=markov("reward"), low=-1) == markov("reward").clip(low=-1)
        True
    """
    return _term(word, fields, name, weight)


# -- schedules -------------------------------------------------------------------------------------------


def linear(from_: float, to: float, over: int, after: int = 0) -> dict[str, Any]:
    """Return a weight that goes from one number to another within `over` environment steps."""
    return {"linear": _given(**{"from": from_, "to": to, "over": over, "after": after})}


def exponential(from_: float, to: float = 0.0, *, half_life: int) -> dict[str, Any]:
    """Return a weight whose distance to `to` halves every `half_life` environment steps."""
    return {"exponential": _given(**{"from": from_, "to": to, "half_life": half_life})}


def piecewise(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Return a weight through points (environment steps, value), linear between them."""
    return {"piecewise": _plain(points)}


def performance(
    from_: float, to: float, measure: Text = "reward", *, low: float, high: float, window: int = 100
) -> dict[str, Any]:
    """Return a weight that changes as the average of a measure over finished episodes rises."""
    given = {"from": from_, "to": to, "measure": measure, "low": low, "high": high, "window": window}
    return {"performance": _given(**given)}


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
    return _given(**given, base_reward=base_reward, ends_early=ends_early)


def signal(value: Text, range: tuple[float, float] | None = None) -> dict[str, Any]:
    """Return a named expression with the range it is meant to have."""
    return _given(value=value, range=range)


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
    return _given(**given, terminated=terminated, ends_at=ends_at)


test.__test__ = False  # type: ignore[attr-defined]  # a builder, not one of pytest's tests


def spec(
    name: str = "reward",
    *,
    reward: Reward | Text | Mapping[str, Any] | Sequence[Reward | Text | Mapping[str, Any]],
    description: str = "",
    discount: float | None = None,
    env: str | Mapping[str, Any] | None = None,
    signals: Mapping[str, Text | Mapping[str, Any]] | None = None,
    propositions: Mapping[str, Text | None] | Sequence[str] = (),
    end: Reward | Mapping[str, Any] | Sequence[Reward | Mapping[str, Any]] = (),
    observe: Literal["auto", "onehot", "index", "dict", "none"] = "auto",
    tests: Sequence[Mapping[str, Any]] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Spec:
    r"""Return the spec, validated; equal to the one that YAML of the same content gives.

    Args:
        name: Name of the spec.
        reward: The terms: a sum of terms, or a list of them.
        description: What the reward is meant to bring about.
        discount: Discount of the return.
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
    parts = reward if isinstance(reward, Sequence) and not isinstance(reward, str) else [reward]
    ends = [end] if isinstance(end, Reward | Mapping) else end
    data: dict[str, Any] = {
        "rewardspec": 1,
        "name": name,
        "description": description,
        "discount": discount,
        "env": env,
        "signals": signals,
        "propositions": propositions,
        "reward": [term for part in parts for term in reward_of(part).terms],
        "end": [fields for item in ends for fields in _end_fields(item)],
        "observe": observe,
        "tests": tests,
        "provenance": provenance,
    }
    plain = _given(**data)
    _check_plain(plain, ())
    return from_data(plain)


# -- plain data ------------------------------------------------------------------------------------------


def reward_of(value: Reward | Text | Mapping[str, Any]) -> Reward:
    """Return a reward as it is, a term in YAML's form as a reward, and an expression as a `markov` term."""
    if isinstance(value, Reward):
        return value
    return Reward((_plain(value),)) if isinstance(value, Mapping) else markov(value)


def single(reward: Reward) -> dict[str, Any]:
    """Return a reward as one term; several become a `sum`."""
    return reward.terms[0] if len(reward.terms) == 1 else {"sum": list(reward.terms)}


def _term(
    word: str, fields: Mapping[str, Any], name: str | None = None, weight: Weight | None = None
) -> Reward:
    kind = VOCABULARY.get(word)
    inner = kind.terms if kind else ()
    given: dict[str, Any] = {}
    for field, value in fields.items():
        if field in inner and isinstance(value, Sequence) and not isinstance(value, str):
            given[field] = [single(reward_of(item)) for item in value]
        elif field in inner:
            given[field] = single(reward_of(value))
        elif value is not None:
            given[field] = _plain(value)
    defaults = kind.model.model_fields if kind else {}
    written = {
        field: value
        for field, value in given.items()
        if field not in defaults or defaults[field].is_required() or value != _plain(defaults[field].default)
    }
    return Reward(({word: written, **_given(name=name, weight=weight)},))


def _factors(reward: Reward) -> list[Any]:
    """Return the factors of a product that has neither name nor weight, or else the reward itself."""
    only = reward.terms[0]
    if len(reward.terms) == 1 and set(only) == {"product"}:
        return [Reward((factor,)) for factor in only["product"]["terms"]]
    return [reward]


def _weigh(term: dict[str, Any], weight: Weight) -> dict[str, Any]:
    before = term.get("weight")
    if before is None:
        return {**term, "weight": _plain(weight)}
    if isinstance(before, Mapping) or isinstance(weight, Mapping):
        word = next(iter(term))
        _collide(
            "two-weights",
            f"the term '{term.get('name', word)}' has a weight already, and one of the two is a schedule",
            "Weigh a sum of it instead: weight * rs.sum(term).",
        )
    return {**term, "weight": before * _plain(weight)}


def _end_fields(item: Reward | Mapping[str, Any]) -> list[Any]:
    """Return entries of a spec's `end` list; such a term has neither a name nor a weight."""
    if not isinstance(item, Reward):
        return [item]
    for term in item.terms:
        if set(term) != {"end"}:
            message = f"'end' takes ends without a name or a weight, not {', '.join(map(repr, term))}"
            hint = "Write it as a term of `reward`."
            raise SpecError(Problem("wrong-value", message, Place(path="end"), (hint,)))
    return [term["end"] for term in item.terms]


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


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float | Mapping) or hasattr(value, "tolist")


def _collide(code: str, message: str, *hints: str) -> NoReturn:
    raise SpecError(Problem(code, message, Place(), hints))


def _given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are given, as plain data."""
    return {name: _plain(value) for name, value in fields.items() if value is not None}


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value as dicts, lists and scalars of its own; arrays and NumPy numbers become Python's."""
    if depth > MAX_DEPTH:
        message = f"lists and mappings nest more than {MAX_DEPTH} levels deep"
        raise SpecError(Problem("document-too-deep", message))
    if isinstance(value, Reward):
        return single(value)
    if isinstance(value, Mapping):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value
