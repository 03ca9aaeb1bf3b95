"""Terms in Python as plain data: what builders return, operators on it, and how values become plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NoReturn, Self, TypeAlias

from rewardspec.errors import Place, Problem, SpecError
from rewardspec.vocabulary import VOCABULARY

Text: TypeAlias = "str | float | int | bool"
"""An expression, a guard or a formula; a number or a truth value stands for its text."""

Weight: TypeAlias = "float | Mapping[str, Any]"
"""A number, or what `linear`, `exponential`, `piecewise` and `performance` return."""

MAX_DEPTH = 64


@dataclass(frozen=True)
class Reward:
    """One term of a reward, or the sum of several; immutable.

    Attributes:
        terms: Each term as plain data, the way it is written in YAML.

    Example:
        >>> from rewardspec.dsl import ltl, markov
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
            return term_of("product", {"terms": factors})
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
        return term_of("affine", {"of": self, "scale": scale, "shift": shift}, name, weight)

    def clip(
        self,
        low: float | None = None,
        high: float | None = None,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return x held between two bounds."""
        return term_of("clip", {"of": self, "low": low, "high": high}, name, weight)

    def sigmoid(
        self,
        slope: float = 1.0,
        centre: float = 0.0,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return 1 / (1 + exp(-slope * (x - centre)))."""
        return term_of("sigmoid", {"of": self, "slope": slope, "centre": centre}, name, weight)

    def tanh(
        self,
        slope: float = 1.0,
        centre: float = 0.0,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return the hyperbolic tangent of slope * (x - centre)."""
        return term_of("tanh", {"of": self, "slope": slope, "centre": centre}, name, weight)

    def log_sigmoid(
        self,
        slope: float = 1.0,
        centre: float = 0.0,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return log(1 / (1 + exp(-slope * (x - centre))))."""
        return term_of("log_sigmoid", {"of": self, "slope": slope, "centre": centre}, name, weight)

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
        return term_of("threshold", {"of": self, "at": at, "above": above, "below": below}, name, weight)

    def diff(
        self,
        discounted: bool = False,
        start: float | None = None,
        *,
        name: str | None = None,
        weight: Weight | None = None,
    ) -> Reward:
        """Return the change of x since the step before."""
        return term_of("diff", {"of": self, "discounted": discounted, "start": start}, name, weight)

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
        return term_of("discount_by_count", fields, name, weight)

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
        return term_of("gate", fields, name, weight)

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
        return term_of("normalise", {**fields, "freeze_after": freeze_after}, name, weight)


# -- plain data ------------------------------------------------------------------------------------------


def reward_of(value: Reward | Text | Mapping[str, Any]) -> Reward:
    """Return a reward as it is, a term in YAML's form as a reward, and an expression as a `markov` term."""
    if isinstance(value, Reward):
        return value
    return Reward((plain_of(value),)) if isinstance(value, Mapping) else term_of("markov", {"value": value})


def single(reward: Reward) -> dict[str, Any]:
    """Return a reward as one term; several become a `sum`."""
    return reward.terms[0] if len(reward.terms) == 1 else {"sum": list(reward.terms)}


def term_of(
    word: str, fields: Mapping[str, Any], name: str | None = None, weight: Weight | None = None
) -> Reward:
    """Return a term of a word of the language; fields at their default are left out."""
    kind = VOCABULARY.get(word)
    inner = kind.terms if kind else ()
    given: dict[str, Any] = {}
    for field, value in fields.items():
        if field in inner and isinstance(value, Sequence) and not isinstance(value, str):
            given[field] = [single(reward_of(item)) for item in value]
        elif field in inner:
            given[field] = single(reward_of(value))
        elif value is not None:
            given[field] = plain_of(value)
    defaults = kind.model.model_fields if kind else {}
    written = {
        field: value
        for field, value in given.items()
        if field not in defaults
        or defaults[field].is_required()
        or value != plain_of(defaults[field].default)
    }
    return Reward(({word: written, **fields_given(name=name, weight=weight)},))


def _factors(reward: Reward) -> list[Any]:
    """Return the factors of a product that has neither name nor weight, or else the reward itself."""
    only = reward.terms[0]
    if len(reward.terms) == 1 and set(only) == {"product"}:
        return [Reward((factor,)) for factor in only["product"]["terms"]]
    return [reward]


def _weigh(term: dict[str, Any], weight: Weight) -> dict[str, Any]:
    before = term.get("weight")
    if before is None:
        return {**term, "weight": plain_of(weight)}
    if isinstance(before, Mapping) or isinstance(weight, Mapping):
        word = next(iter(term))
        _collide(
            "two-weights",
            f"the term '{term.get('name', word)}' has a weight already, and one of the two is a schedule",
            "Weigh a sum of it instead: weight * rs.sum(term).",
        )
    return {**term, "weight": before * plain_of(weight)}


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float | Mapping) or hasattr(value, "tolist")


def _collide(code: str, message: str, *hints: str) -> NoReturn:
    raise SpecError(Problem(code, message, Place(), hints))


def fields_given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are given, as plain data."""
    return {name: plain_of(value) for name, value in fields.items() if value is not None}


def plain_of(value: Any, depth: int = 0) -> Any:
    """Return a value as dicts, lists and scalars of its own; arrays and NumPy numbers become Python's."""
    if depth > MAX_DEPTH:
        message = f"lists and mappings nest more than {MAX_DEPTH} levels deep"
        raise SpecError(Problem("document-too-deep", message))
    if isinstance(value, Reward):
        return single(value)
    if isinstance(value, Mapping):
        return {key: plain_of(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_of(item, depth + 1) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value
