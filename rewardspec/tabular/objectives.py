"""Optimal policies of finite worlds by other objectives than the discounted return: limit average, regularised, ...

Each is solved by what is known to be right for it: a linear program over long-run frequencies, soft value iteration,
cutting planes over occupancies, and dynamic programming with the returns so far in the state.

Source: M. L. Puterman, "Markov Decision Processes" (1994), section 9.3, for the linear program of multichain models; B.
Ziebart, "Modeling Purposeful Adaptive Behavior" (2010), for soft values; J. E. Kelley, "The Cutting-Plane Method for
Solving Convex Programs" (1960).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.backends import oracle
from rewardspec.compiler import compile_spec, return_names, term_names
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Program, Term
from rewardspec.ir.text import parse_expression
from rewardspec.spec.model import Spec
from rewardspec.tabular.process import Process, sparse
from rewardspec.tabular.product import Product, take_product
from rewardspec.tabular.world import TabularWorld
from rewardspec.transition import Transition

Floats = npt.NDArray[np.float64]

Function = Callable[[Any], float]
"""Of returns, one a term."""

CUTS = 300
"""Cutting planes before it is said how far the answer may be from the best."""

CLOSE = 1e-7
"""Distance of the best found from the bound, relative to the range seen, at which the search ends."""

PROBES = 100
"""Returns that are drawn to see whether an outer function is concave; twice as many chords between them."""

MOST_NODES = 300_000
"""States with returns so far, over all steps, after which an inner objective is refused."""

NUDGE = 1e-6
"""Of returns, relative to their range, for slopes."""


@dataclass(frozen=True, eq=False)
class Optimal:
    """A best policy by an objective.

    Attributes:
        kind: Of the objective.
        value: What it reaches.
        bound: No policy reaches more than this; the value itself where the method is exact.
        policy: `[U, S, A]`, over memory states and the world's; None where it depends on the returns so far.
        returns: By term, its expected discounted return; empty where there are none to speak of.
        product: World and program together.
    """

    kind: str
    value: float
    bound: float
    policy: Floats | None
    returns: dict[str, float]
    product: Product


def optimise_objective(spec: Spec, world: TabularWorld, discount: float) -> Optimal:
    """Return a best policy by the spec's objective.

    Args:
        spec: The spec.
        world: The finite world.
        discount: In (0, 1); limit averages do not look at it.

    Raises:
        UnsupportedError: `unfit-objective` where an outer function is not concave, an inner one meets episodes without
            an end or too many returns; what `take_product` refuses; `wrong-setting` for a discount of 1.
    """
    program = compile_spec(spec)
    product = take_product(program, world)
    process, objective = Process.of(product), spec.objective
    reward = process.expected(_flat(product.reward))
    if objective.kind == "limit_average":
        return limit_average(product, process, reward)
    if not 0.0 < discount < 1.0:
        text = f"the objective {objective.kind} needs a discount below 1, not {discount:g}"
        raise UnsupportedError(Problem("wrong-setting", text, hints=("Write `discount:` in the spec.",)))
    if objective.kind == "regularised":
        assert objective.weight is not None
        return regularised(product, process, reward, discount, objective.weight)
    if objective.kind == "discounted":
        found = process.optimum(reward, discount)
        value = float(process.start @ found.values)
        return Optimal("discounted", value, value, _shaped(product, found.policy), {}, product)
    rewards = {name: _flat(one.reward) for name, one in _by_term(program, spec, world)}
    f = function_of(spec)
    if objective.kind == "outer":
        return outer(product, process, rewards, discount, f, spec)
    return inner(product, process, rewards, discount, f, spec)


def function_of(spec: Spec) -> Function:
    """Return the function of returns that an objective names, in the order of the spec's terms.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> terms = "[{markov: 1, name: a}, {markov: 2, name: b}]"
        >>> function_of(loads(f"{{objective: {{kind: outer, of: 'min(a, 2 * b)'}}, reward: {terms}}}"))([3.0, 1.0])
        2.0
    """
    assert spec.objective.of is not None
    names = tuple(return_names(spec))
    expr = parse_expression(spec.objective.of, return_names(spec), roots=())
    program = Program("of", None, (), (), (), (), (Term("of", "markov", expr),), ())
    state = oracle.init(program)

    def f(returns: Sequence[float]) -> float:
        info = dict(zip(names, map(float, returns), strict=True))
        return float(oracle.step(program, state, [Transition(info=info)])[1][0].reward)

    return f


def _by_term(program: Program, spec: Spec, world: TabularWorld) -> list[tuple[str, Product]]:
    """Return, by term, the product in which it alone pays; memory is the same in all of them."""
    found = []
    for name in term_names(spec):
        alone = tuple(
            term if term.name == name else replace(term, expr=ir.Binary("mul", ir.ZERO, term.expr))
            for term in program.terms
        )
        found.append((name, take_product(replace(program, terms=alone), world)))
    return found


def _flat(table: Floats) -> Floats:
    return table.reshape(-1, *table.shape[2:])


def _shaped(product: Product, policy: Floats) -> Floats:
    return policy.reshape(product.n_memory, product.world.n_states, -1)


# -- limit average -----------------------------------------------------------------------------------------------------


def limit_average(product: Product, process: Process, reward: Floats) -> Optimal:
    """Return a policy of the greatest average reward per step; an episode that is over pays 0 for ever.

    Formula: max sum r(s,a) x(s,a) over x, y >= 0 with x stationary and, for all s, sum_a x(s,a) + sum_a y(s,a) minus
    what y brings to s equal to the start's probability of s
    """
    from scipy.optimize import linprog

    states, actions = process.n_states, process.n_actions
    leaving = sparse().kron(sparse().identity(states), np.ones((1, actions)))
    balance = (leaving - process.successors.T).tocsr()
    nothing = sparse().csr_matrix(balance.shape)
    equations = sparse().vstack([sparse().hstack([balance, nothing]), sparse().hstack([leaving, balance])])
    cost = np.concatenate([-reward.reshape(-1), np.zeros(states * actions)])
    # Where episodes end for good, what is left of the start's mass has gone there.
    sides = np.concatenate([np.zeros(states), process.start])
    found = linprog(cost, A_eq=equations.tocsc(), b_eq=sides, bounds=(0, None), method="highs")
    if found.status != 0:
        raise UnsupportedError(Problem("not-solved", f"the linear program was not solved: {found.message}"))
    stay, pass_by = (part.reshape(states, actions) for part in np.split(found.x, 2))
    visits = np.where(stay.sum(axis=1, keepdims=True) > 1e-9, stay, pass_by)
    total = visits.sum(axis=1, keepdims=True)
    policy = np.where(total > 1e-12, visits / np.maximum(total, 1e-300), 1.0 / actions)
    value = -float(found.fun)
    return Optimal("limit_average", value, value, _shaped(product, policy), {}, product)


# -- regularised -------------------------------------------------------------------------------------------------------


def regularised(
    product: Product, process: Process, reward: Floats, discount: float, weight: float
) -> Optimal:
    """Return the policy of the greatest return with entropy: V(s) = w log sum_a exp(Q(s,a) / w), its softmax."""
    values = np.zeros(process.n_states)
    while True:
        worth = process.backup(reward, values, discount)
        best = worth.max(axis=1)
        after = best + weight * np.log(np.exp((worth - best[:, None]) / weight).sum(axis=1))
        change = float(np.abs(after - values).max(initial=0.0))
        values = after
        if change <= 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0))):
            break
    policy = np.exp((worth - values[:, None]) / weight)
    policy /= policy.sum(axis=1, keepdims=True)
    value = float(process.start @ values)
    return Optimal("regularised", value, value, _shaped(product, policy), {}, product)


# -- a function of expected returns ------------------------------------------------------------------------------------


def outer(
    product: Product,
    process: Process,
    rewards: dict[str, Floats],
    discount: float,
    f: Function,
    spec: Spec,
) -> Optimal:
    """Return a policy that makes f(J_1, ..., J_k) greatest: by cutting planes, f being concave; of one return, any f.

    Every policy's returns are linear in its discounted occupancy, which ranges over a polytope.

    Raises:
        UnsupportedError: `unfit-objective` where f, of several returns, is seen not to be concave.
    """
    from scipy.optimize import linprog

    paid = np.stack([process.expected(one).reshape(-1) for one in rewards.values()])  # [k, X * A]
    names, pairs = tuple(rewards), paid.shape[1]
    leaving = sparse().kron(sparse().identity(process.n_states), np.ones((1, process.n_actions)))
    flow = (leaving - discount * process.successors.T).tocsc()

    def extreme(weights: Floats) -> Floats:
        found = process.optimum((weights @ paid).reshape(process.n_states, -1), discount)
        return process.occupancy(found.policy, discount).reshape(-1)

    if len(names) == 1:
        low, high = extreme(-np.ones(1)), extreme(np.ones(1))
        visits = _best_between(low, high, paid[0], f)
        value = f([float(paid[0] @ visits)])
        return _outer_found(product, process, visits, paid, names, value, value)
    corners = [
        paid @ extreme(sign * np.eye(len(names))[i]) for i in range(len(names)) for sign in (1.0, -1.0)
    ]
    spread = np.maximum(np.ptp(np.array(corners), axis=0), 1e-9)
    _probe(np.array(corners), f, spec)
    at, seen, cuts, bound = extreme(np.ones(len(names))), [], [], np.inf
    best, kept = -np.inf, at
    for _ in range(CUTS):
        returns = paid @ at
        value = f(returns)
        if value > best:
            best, kept = value, at
        slope = np.array([_slope(f, returns, i, NUDGE * spread[i]) for i in range(len(names))])
        cuts.append((value, returns, slope))
        seen.append((value, returns))
        scale = max(max(v for v, _ in seen) - min(v for v, _ in seen), 1e-9)
        for v, j in seen:
            for w, i, g in cuts:
                if v > w + float(g @ (j - i)) + 1e-4 * scale + 1e-9:
                    raise _not_concave(spec)
        rows = np.array([np.append(-(g @ paid), 1.0) for _, _, g in cuts])
        sides = np.array([w - float(g @ i) for w, i, g in cuts])
        cost = np.append(np.zeros(pairs), -1.0)
        equations = sparse().hstack([flow, sparse().csr_matrix((process.n_states, 1))]).tocsc()
        limits = [(0, None)] * pairs + [(None, None)]
        found = linprog(cost, A_ub=rows, b_ub=sides, A_eq=equations, b_eq=process.start, bounds=limits)
        if found.status != 0:
            raise UnsupportedError(Problem("not-solved", f"a cutting plane was not found: {found.message}"))
        bound, at = -float(found.fun), np.maximum(found.x[:-1], 0.0)
        if bound - best <= CLOSE * scale:
            break
    return _outer_found(product, process, kept, paid, names, best, max(bound, best))


def _slope(f: Function, at: Floats, i: int, step: float) -> float:
    nudge = step * np.eye(len(at))[i]
    return (f(at + nudge) - f(at - nudge)) / (2.0 * step)


def _best_between(low: Floats, high: Floats, paid: Floats, f: Function) -> Floats:
    """Return the occupancy between two that makes f of its return greatest: a scan, refined three times."""
    first, last = 0.0, 1.0
    for _ in range(4):
        grid = np.linspace(first, last, 401)
        values = [f([float(paid @ ((1.0 - t) * low + t * high))]) for t in grid]
        best = int(np.argmax(values))
        first, last = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found: Floats = (1.0 - grid[best]) * low + grid[best] * high
    return found


def _outer_found(
    product: Product,
    process: Process,
    visits: Floats,
    paid: Floats,
    names: Sequence[str],
    value: float,
    bound: float,
) -> Optimal:
    by_state = visits.reshape(process.n_states, -1)
    total = by_state.sum(axis=1, keepdims=True)
    policy = np.where(total > 1e-12, by_state / np.maximum(total, 1e-300), 1.0 / by_state.shape[1])
    returns = dict(zip(names, map(float, paid @ visits), strict=True))
    return Optimal("outer", value, bound, _shaped(product, policy), returns, product)


def _probe(corners: Floats, f: Function, spec: Spec) -> None:
    """Refuse f where it lies below a chord between returns that policies can have: some are drawn, not all."""
    rng = np.random.default_rng(0)
    shares = np.vstack([np.eye(len(corners)), rng.dirichlet(np.full(len(corners), 0.5), PROBES)])
    points = shares @ corners
    values = np.array([f(point) for point in points])
    scale = max(float(np.ptp(values)), 1e-9)
    one, two = rng.integers(len(points), size=(2, 2 * PROBES))
    for i, j in zip(one, two, strict=True):
        if f((points[i] + points[j]) / 2.0) < (values[i] + values[j]) / 2.0 - 1e-6 * scale:
            raise _not_concave(spec)


def _not_concave(spec: Spec) -> UnsupportedError:
    text = "the outer function is not concave, and only concave functions of several returns are solved"
    hint = "Sums, `min`, `log` and negative squares of returns are concave; `max` and products are not."
    return UnsupportedError(Problem("unfit-objective", text, spec.place(("objective", "of")), (hint,)))


# -- the expectation of a function of returns --------------------------------------------------------------------------


def inner(
    product: Product,
    process: Process,
    rewards: dict[str, Floats],
    discount: float,
    f: Function,
    spec: Spec,
) -> Optimal:
    """Return what the best behaviour reaches in E[f(G_1, ..., G_k)]; it may look at the returns so far.

    Episodes end by themselves, or at the world's horizon. What is paid at the horizon is what is paid at any step.

    Raises:
        UnsupportedError: `unfit-objective` where episodes need not end, or returns are too many.
    """
    paid = np.stack(list(rewards.values()), axis=-1)  # [X, A, K, k]
    horizon = product.world.horizon
    layers: list[list[tuple[int, tuple[float, ...]]]] = [
        [(int(x), (0.0,) * paid.shape[-1]) for x in np.flatnonzero(process.start)]
    ]
    moves: list[list[list[list[tuple[float, Any]]]]] = []
    nodes = 0
    while layers[-1]:
        t = len(layers) - 1
        number: dict[tuple[int, tuple[float, ...]], int] = {}
        layer = []
        for x, so_far in layers[-1]:
            by_action = []
            for a in range(process.n_actions):
                outcomes: list[tuple[float, Any]] = []
                for k in np.flatnonzero(process.probability[x, a]):
                    chance = float(process.probability[x, a, k])
                    gained = discount**t * paid[x, a, k]
                    after = tuple(np.round(np.array(so_far) + gained, 10).tolist())
                    if process.ended[x, a, k] or t + 1 == horizon:
                        outcomes.append((chance, f(after)))
                    else:
                        node = (int(process.next_state[x, a, k]), after)
                        outcomes.append((chance, (number.setdefault(node, len(number)),)))
                by_action.append(outcomes)
            layer.append(by_action)
        moves.append(layer)
        nodes += len(number)
        if nodes > MOST_NODES or t > MOST_NODES:
            text = (
                f"there are more than {MOST_NODES:,} states with returns so far, or episodes without an end"
            )
            hint = (
                "Use a shorter horizon (env: {kwargs: {max_episode_steps: N}}), or rewards that pay rarely."
            )
            raise UnsupportedError(Problem("unfit-objective", text, spec.place(("objective",)), (hint,)))
        layers.append(list(number))
    ahead: list[float] = []
    for layer in reversed(moves):
        ahead = [
            max(
                sum(c * (ahead[end[0]] if isinstance(end, tuple) else end) for c, end in outcomes)
                for outcomes in by_action
            )
            for by_action in layer
        ]
    value = float(process.start[np.flatnonzero(process.start)] @ np.array(ahead))
    return Optimal("inner", value, value, None, {}, product)
