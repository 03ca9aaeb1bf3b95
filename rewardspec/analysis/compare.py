"""Whether two specs ask for the same on a finite world, exactly: distance, order of policies, optima, regret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rewardspec.analysis.starc.canonical import CANONICALISERS, Canonical
from rewardspec.analysis.starc.distance import ALIKE, distance, standardise
from rewardspec.analysis.starc.joint import Joint, join
from rewardspec.analysis.starc.norms import Norm, norm
from rewardspec.analysis.starc.regret import Regret, regret, returns, sample_policies
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.program import Program
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import Agreement, Solution, solve
from rewardspec.tabular.solve import compare as compare_solutions
from rewardspec.tabular.world import TabularWorld

Floats = npt.NDArray[np.float64]

Sameness = Literal["reward", "order", "optimal"]
"""What two specs can have in common, from most to least: what they pay, how they order policies, what is optimal."""

SETTLED_DISCOUNT = 0.99
"""Where neither spec names a discount."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two specs have in common on one finite world.

    Attributes:
        names: The two specs.
        discount: Per step.
        joint: The process over both memories.
        pays_alike: Whether both pay the same on every transition that can happen.
        order: `alike` where both order all policies alike, `opposite` where one is the other upside down, else
            `different`; `trivial` where neither prefers any policy to another.
        trivial: Of each spec, whether it earns the same whatever is done.
        scale: Where ordered alike, the factor from the first to the second.
        distance: By the canonicaliser, norm and metric that were asked for.
        canonical: That canonicaliser.
        size: That norm; None for none.
        metric: That metric.
        agreement: Whether the same policies are optimal, and where they part.
        solutions: The optimal solution of each.
        regrets: By the first of following the second, and the reverse.
        policies: How many policies regret was sampled from.
    """

    names: tuple[str, str]
    discount: float
    joint: Joint
    pays_alike: bool
    order: Literal["alike", "opposite", "different", "trivial"]
    trivial: tuple[bool, bool]
    scale: float | None
    distance: float
    canonical: Canonical
    size: Norm | None
    metric: Norm
    agreement: Agreement
    solutions: tuple[Solution, Solution]
    regrets: tuple[Regret, Regret]
    policies: int

    def is_same(self, what: Sameness) -> bool:
        """Say whether the two have that in common."""
        if what == "reward":
            return self.pays_alike and not self.joint.ends_apart
        if what == "order":
            return self.order in ("alike", "trivial")
        return self.agreement.same


def choose_discount(programs: tuple[Program, Program], discount: float | None) -> float:
    """Return the discount to compare at: the caller's, the specs' own, or `SETTLED_DISCOUNT`.

    Raises:
        UnsupportedError: `discount-mismatch` where two of these differ; `wrong-setting` outside (0, 1).
    """
    told = {p.name: p.discount for p in programs if p.discount is not None}
    if discount is not None:
        told["--gamma"] = discount
    if len(set(told.values())) > 1:
        text = "two specs are compared at one discount, and there are " + ", ".join(
            f"{value:g} ({name})" for name, value in told.items()
        )
        raise UnsupportedError(Problem("discount-mismatch", text, hints=("Make them the same.",)))
    rate = next(iter(told.values()), SETTLED_DISCOUNT)
    if not 0 < rate < 1:
        text = f"policies are compared by discounted return, and a discount of {rate:g} is not in (0, 1)"
        raise UnsupportedError(Problem("wrong-setting", text, hints=("Give one below 1, say 0.99.",)))
    return rate


def compare_on_world(
    first: Program,
    second: Program,
    world: TabularWorld,
    *,
    discount: float | None = None,
    canonical: Canonical = "val",
    size: Norm | None = "w2",
    metric: Norm = "w2",
    policies: int = 200,
    seed: int = 0,
) -> Comparison:
    r"""Compare two programs on a finite world, exactly.

    Policies may depend on the memory of both (on machines' states); a program that has ended an episode pays 0 from
    then on. The world's horizon is left out.

    Args:
        first: A compiled spec.
        second: Another.
        world: The world.
        discount: In (0, 1); the specs' own when not given.
        canonical: Canonical form for the distance.
        size: Norm by which canonical rewards are normalised; None for not.
        metric: Norm of the difference.
        policies: How many policies regret is sampled from.
        seed: Of those.

    Raises:
        UnsupportedError: What `take_product` and `join` refuse; `discount-mismatch`; `wrong-setting`;
            `needs-all-transitions`.
        MismatchError: Where the world lacks what a spec reads.

    Example:
        >>> import gymnasium
        >>> from rewardspec import compile_spec, loads
        >>> from rewardspec.tabular.world import tabulate
        >>> lake = tabulate(gymnasium.make("FrozenLake-v1"))
        >>> plain = compile_spec(loads("name: plain\ndiscount: 0.9\nreward: reward"))
        >>> shaped = compile_spec(loads("name: shaped\ndiscount: 0.9\nreward: [2 * reward, {potential: obs}]"))
        >>> compare_on_world(plain, shaped, lake).order
        'alike'
    """
    rate = choose_discount((first, second), discount)
    joint = join(take_product(first, world), take_product(second, world))
    process, (one, two) = joint.process, joint.rewards
    solutions = (solve(joint.products[0], rate), solve(joint.products[1], rate))
    forms = tuple(standardise(process, paid, rate) for paid in (one, two))
    apart = norm(forms[0].reward - forms[1].reward, process.probability, "w2")
    trivial = (forms[0].is_trivial, forms[1].is_trivial)
    near = ALIKE + forms[0].error + forms[1].error
    same = apart <= near and trivial[0] == trivial[1]
    order: Literal["alike", "opposite", "different", "trivial"] = "different"
    if same:
        order = "trivial" if all(trivial) else "alike"
    elif norm(forms[0].reward + forms[1].reward, process.probability, "w2") <= near:
        order = "opposite"
    chances = process.probability > 0
    expected = (process.expected(one), process.expected(two))
    drawn = sample_policies(process, expected, rate, policies, seed)
    plain = canonical == "val" and size == metric == "w2"
    return Comparison(
        (first.name, second.name),
        rate,
        joint,
        bool(np.allclose(one[chances], two[chances], rtol=1e-12, atol=1e-12)),
        order,
        trivial,
        forms[1].size / forms[0].size if order == "alike" else None,
        apart if plain else distance(process, one, two, rate, canonical, size, metric),
        canonical,
        size,
        metric,
        compare_solutions(*solutions),
        solutions,
        regret(returns(process, drawn, expected, rate)),
        len(drawn),
    )


def is_starc(comparison: Comparison) -> bool:
    """Say whether a comparison's distance is a STARC metric: 0 exactly for the same order, and bounding regret."""
    return CANONICALISERS[comparison.canonical].is_starc and comparison.size is not None
