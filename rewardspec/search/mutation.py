"""Proposals without a model: a mutation operator over specs, so that a search can be tested and held against one.

From the best spec of the generation before (the one that the search began with, in the first), each proposal

1. moves every constant weight that is not 0: log|w| += s * normal, with s = spread * shrink^(generation - 1) times 1,
   1/4, 1/2 in turn. Proposals come in pairs that move in opposite directions (antithetic sampling): where a small step
   one way makes a smooth reward worse, the other way makes it better;
2. in the pairs with the whole spread goes on in the direction from the worst spec to the best one: log|w| +=
   u * stride * (log|w of best| - log|w of worst|), u uniform in 0..1, for terms that both have with one sign;
3. with chance `threshold`, scales one number that a comparison in a term or a proposition holds, by 1 + s * normal;
4. with chance `drop`, leaves one term out, where there are several;
5. with chance `add`, takes one in from the pool: terms of the spec that the search began with, its signals (as
   `markov`, and as `potential` where it has a discount) and its propositions, with a weight of either sign whose size
   is that of the other weights.

Everything is drawn from (seed, generation, request, number), so the same search proposes the same.
"""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rewardspec.compiler import term_names
from rewardspec.search.admission import Proposal
from rewardspec.search.feedback import Standing
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Schedule
from rewardspec.spec.writing import write_term

MOST = 200
"""Characters of an expression in which thresholds are looked for."""

SHARES = (1.0, 0.25, 0.5)
"""Shares of the spread that pairs of proposals take in turn."""

WIDEST = 8.0
"""Greatest change of the logarithm of a weight in one proposal."""


@dataclass(frozen=True)
class Mutation:
    """How specs are mutated.

    Attributes:
        spread: Standard deviation of the change of a weight's logarithm in the first generation.
        shrink: What is left of it from one generation to the next.
        stride: How far the direction from worst to best is followed, at most; 0 to leave the worst one out of it.
        threshold: Chance of a threshold that moves.
        drop: Chance of a term that is left out.
        add: Chance of one that is taken in.
    """

    spread: float = 0.6
    shrink: float = 0.8
    stride: float = 0.5
    threshold: float = 0.3
    drop: float = 0.15
    add: float = 0.25


class Mutator:
    """Proposes mutations.

    Attributes:
        mutation: How specs are mutated.
    """

    def __init__(self, mutation: Mutation | None = None) -> None:
        """See the module."""
        self.mutation = mutation or Mutation()

    @property
    def name(self) -> str:
        """What records call it."""
        return "mutation"

    def propose(self, standing: Standing, need: int, round: int) -> Sequence[Proposal]:
        """Return twice as many proposals as are needed: some may be refused."""
        good = standing.good
        parent = standing.base if good is None else good.spec
        found = []
        for number in range(2 * need):
            data = self._mutated(parent, standing, round, number)
            found.append(Proposal(data, self.name, None if good is None else good.id))
        return found

    def _mutated(self, parent: Spec, standing: Standing, round: int, number: int) -> dict[str, Any]:
        how, drawn_from = self.mutation, (standing.seed, standing.generation, round)
        pair, is_second = divmod(number, 2)
        shared = np.random.default_rng((*drawn_from, pair))
        rng = np.random.default_rng((*drawn_from, number, 1))
        share = SHARES[pair % len(SHARES)]
        scale = how.spread * how.shrink ** (standing.generation - 1 if standing.goods else 0)
        data = copy.deepcopy(parent.to_data())
        terms = _terms(data)
        for name, term in zip(term_names(parent), terms, strict=True):
            term.setdefault("name", name)  # weights are compared by name, and names are numbered anew
        pull = self._pull(standing) if share == 1.0 else {}
        _move_weights(terms, -scale * share if is_second else scale * share, pull, shared)
        if rng.random() < how.threshold:
            _move_threshold(data, terms, scale, rng, with_propositions=not standing.base.end)
        if rng.random() < how.drop and len(terms) > 1:
            terms.pop(int(rng.integers(len(terms))))
        if rng.random() < how.add:
            _add_term(terms, standing.base, rng)
        data["reward"] = terms
        return data

    def _pull(self, standing: Standing) -> dict[str, float]:
        """Return by term the direction from the worst spec to the best one, in logarithms of weights."""
        if standing.good is None or standing.bad is None or not self.mutation.stride:
            return {}
        good, bad = weights(standing.good.spec), weights(standing.bad.spec)
        return {
            name: self.mutation.stride * math.log(value / bad[name])
            for name, value in good.items()
            if name in bad and value * bad[name] > 0
        }


def weights(spec: Spec) -> dict[str, float]:
    """Return the constant weights of a spec's terms, by name.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> weights(loads("reward: [reward, {markov: 1, weight: -0.5}]"))
        {'markov': 1.0, 'markov_2': -0.5}
    """
    return {
        name: 1.0 if term.weight is None else float(term.weight)
        for name, term in zip(term_names(spec), spec.reward, strict=True)
        if not isinstance(term.weight, Schedule)
    }


def _terms(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the terms of a spec's data as mappings, whatever short form they were written in."""
    written = data["reward"] if isinstance(data["reward"], list) else [data["reward"]]
    return [term if isinstance(term, dict) else {"markov": term} for term in written]


def _move_weights(
    terms: Sequence[dict[str, Any]], scale: float, pull: dict[str, float], rng: np.random.Generator
) -> None:
    share = rng.random()
    for term in terms:
        drawn, weight = rng.normal(), term.get("weight", 1.0)
        if isinstance(weight, dict) or not weight:
            continue
        moved = scale * drawn + share * pull.get(str(term["name"]), 0.0)
        term["weight"] = _rounded(float(weight) * math.exp(min(max(moved, -WIDEST), WIDEST)))


def _rounded(value: float) -> float:
    """Return a number with four digits: specs are for people."""
    return float(f"{value:.4g}")


# -- thresholds ----------------------------------------------------------------------------------------


def _move_threshold(
    data: dict[str, Any],
    terms: Sequence[dict[str, Any]],
    scale: float,
    rng: np.random.Generator,
    with_propositions: bool,
) -> None:
    """Scale one number in one comparison."""
    places: list[tuple[dict[str, Any], str, tuple[int, int, float]]] = []
    holders: list[dict[str, Any]] = list(terms)
    if with_propositions and isinstance(data.get("propositions"), dict):
        holders.append(data["propositions"])
    for holder in holders:
        for key, text in holder.items():
            if isinstance(text, str) and key != "name":
                places += [(holder, key, place) for place in thresholds(text)]
    if not places:
        return
    holder, key, (start, end, value) = places[int(rng.integers(len(places)))]
    moved = value * (1.0 + scale * rng.normal()) if value else scale * rng.normal()
    text = holder[key]
    holder[key] = f"{text[:start]}{_rounded(moved)!r}{text[end:]}"


def thresholds(text: str) -> list[tuple[int, int, float]]:
    """Return begin, end and value of each number that an expression compares with.

    Example:
        >>> thresholds("where(obs[0] > 0.5 and abs(obs[1]) <= 2, 1, 0)")
        [(15, 18, 0.5), (38, 39, 2.0)]
    """
    if len(text) > MOST or "\n" in text or not text.isascii():
        return []
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in ast.walk(tree):
        for part in (node.left, *node.comparators) if isinstance(node, ast.Compare) else ():
            if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub):
                part = part.operand  # the sign stays
            if isinstance(part, ast.Constant) and _is_number(part.value):
                assert part.end_col_offset is not None
                found.append((part.col_offset, part.end_col_offset, float(str(part.value))))
    return sorted(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- terms ---------------------------------------------------------------------------------------------


def _add_term(terms: list[dict[str, Any]], base: Spec, rng: np.random.Generator) -> None:
    """Add a term of the pool that is not there yet."""
    taken = {str(term.get("name")) for term in terms}
    pool = [term for term in pool_of(base) if term["name"] not in taken]
    if not pool:
        return
    sizes = [abs(term.get("weight", 1.0)) for term in terms if not isinstance(term.get("weight"), dict)]
    chosen = dict(pool[int(rng.integers(len(pool)))])
    if "weight" not in chosen:
        sign = 1.0 if rng.random() < 0.5 else -1.0
        chosen["weight"] = _rounded(sign * (float(np.median(sizes)) if sizes else 1.0) or sign)
    terms.append(chosen)


def pool_of(base: Spec) -> list[dict[str, Any]]:
    """Return the terms that may be added: the base's own, its signals and its propositions.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> base = loads("{signals: {speed: 'obs[0]'}, propositions: {goal: 'obs[0] > 1'}, reward: reward}")
        >>> [term["name"] for term in pool_of(base)]
        ['markov', 'speed', 'goal']
    """
    return list(_pool(base))


def _pool(base: Spec) -> Iterator[dict[str, Any]]:
    for name, term in zip(term_names(base), base.reward, strict=True):
        yield {**write_term(term), "name": name}
    for name in base.signals:
        yield {"markov": name, "name": name}
        if base.discount is not None:
            yield {"potential": name, "name": f"progress of {name}"}
    for name in base.propositions:
        yield {"markov": f"where({name}, 1, 0)", "name": name}
