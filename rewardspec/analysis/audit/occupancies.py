"""Occupancy measures of a finite process as a polytope, and programs over it: the best regularised policy, exactly.

An occupancy measure is `[N]`: N - 1 pairs of state and action, row x * A + a, and one cell for having ended. It sums
to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, RewardSpecError, UnsupportedError, missing_extra
from rewardspec.tabular.process import Process

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Divergence = Literal["sqrt_chi2", "chi2", "kl", "tv"]

DIVERGENCES: tuple[Divergence, ...] = get_args(Divergence)

LEAST = 1e-13
"""A cell that the reference visits less often is outside its support."""

NEAR = 1e-5
"""Duality gap and violated constraints with which an answer still counts, where the solver cannot come nearer."""


@dataclass(frozen=True, eq=False)
class Occupancies:
    """The occupancy measures that policies of a process can have.

    Attributes:
        process: The process.
        discount: In (0, 1).
    """

    process: Process
    discount: float

    @property
    def size(self) -> int:
        """N."""
        return self.process.n_states * self.process.n_actions + 1

    def of(self, policy: Floats) -> Floats:
        """Return the occupancy `[N]` of a policy `[X, A]`.

        Formula: m(x, a) = (1 - discount) * sum_t discount^t P(x_t = x, a_t = a); the rest is in the last cell
        """
        inside = (1.0 - self.discount) * self.process.occupancy(policy, self.discount).reshape(-1)
        return np.append(inside, max(0.0, 1.0 - float(inside.sum())))

    def policy(self, occupancy: Floats) -> Floats:
        """Return the policy `[X, A]` of an occupancy; states that it does not visit take all actions alike."""
        visits = np.maximum(occupancy[:-1].reshape(self.process.n_states, -1), 0.0)
        total = visits.sum(axis=1, keepdims=True)
        shares: Floats = np.where(total > LEAST, visits / np.maximum(total, LEAST), 1.0 / visits.shape[1])
        return shares

    def reward(self, expected: Floats) -> Floats:
        """Return a reward `[X, A]` as `[N]`: having ended pays 0."""
        return np.append(expected.reshape(-1), 0.0)

    @cached_property
    def flow(self) -> tuple[Any, Floats]:
        """Sparse `[X + 1, N]` and `[X + 1]`: an occupancy m >= 0 is one exactly if flow @ m equals the second."""
        from scipy import sparse

        process, states = self.process, self.process.n_states
        pairs = self.size - 1
        leaving = sparse.kron(sparse.identity(states), np.ones((1, process.n_actions)))
        entering = process.successors.T
        ends = process.expected(process.ended).reshape(-1)
        inside = sparse.hstack([leaving - self.discount * entering, sparse.csr_matrix((states, 1))])
        last = sparse.csr_matrix(np.append(-self.discount * ends, 1.0 - self.discount).reshape(1, pairs + 1))
        aim = np.append((1.0 - self.discount) * process.start, 0.0)
        return sparse.vstack([inside, last]).tocsc(), aim


def divergence(kind: Divergence, occupancy: Floats, reference: Floats) -> float:
    """Return how far an occupancy is from a reference; infinite (but for `tv`) where it leaves the support.

    Formula: chi2 sum (m - r)^2 / r; sqrt_chi2 its root; kl sum m log(m / r); tv sum |m - r| / 2

    Example:
        >>> divergence("chi2", np.array([0.5, 0.5]), np.array([0.25, 0.75])) == 1 / 4 + 1 / 12
        True
    """
    if kind == "tv":
        return 0.5 * float(np.abs(occupancy - reference).sum())
    inside = reference > LEAST
    if float(occupancy[~inside].sum()) > 1e-9:
        return float("inf")
    m, r = np.maximum(occupancy[inside], 0.0), reference[inside]
    if kind == "kl":
        return float(np.sum(np.where(m > 0, m * np.log(np.maximum(m, 1e-300) / r), 0.0)))
    chi2 = float(np.sum((m - r) ** 2 / r))
    return chi2 if kind == "chi2" else float(np.sqrt(chi2))


def optimise(
    occupancies: Occupancies, reward: Floats, reference: Floats, kind: Divergence, strength: float
) -> Floats:
    """Return the occupancy `[N]` that maximises reward less a divergence from a reference, within its support.

    Formula: max m . reward - strength * D(m, reference) over occupancies m

    `sqrt_chi2` is a second-order cone program, `chi2` a quadratic, `kl` one with exponential cones, `tv` a linear one;
    all are solved by Clarabel's interior point method.

    Args:
        occupancies: The polytope.
        reward: `[N]`.
        reference: `[N]`, an occupancy.
        kind: D.
        strength: At least 0; 0 optimises within the support alone.

    Raises:
        UnsupportedError: `not-solved` when the solver gives up.
        MissingExtraError: Without Clarabel.
    """
    inside = np.flatnonzero(reference > LEAST)
    root = np.sqrt(reference[inside])
    flow, aim = occupancies.flow
    # In units of the reference's root, m = root * y, the cone's coefficients are all 1.
    equations = flow[:, inside].multiply(root[None, :]).tocsc()
    kept = np.flatnonzero(np.diff(equations.tocsr().indptr) > 0)
    gain = reward[inside] * root
    scale = max(float(np.abs(gain).max(initial=0.0)), 1e-300)
    y = _solve(equations[kept], aim[kept], gain / scale, root, kind, strength / scale)
    found = np.zeros(len(reference))
    found[inside] = np.maximum(y, 0.0) * root
    whole: Floats = found / found.sum()
    return whole


def _solve(
    equations: Any, aim: Floats, gain: Floats, root: Floats, kind: Divergence, strength: float
) -> Floats:
    """Return y `[n]` >= 0 that maximises gain . y - strength * D(root * y, root^2) where equations @ y equals aim."""
    try:
        import clarabel
    except ImportError:
        raise missing_extra("clarabel", "audit", "optimising over occupancies") from None
    from scipy import sparse

    n = len(gain)
    one = sparse.identity(n, format="csc")
    extra = {"sqrt_chi2": 1, "chi2": 0, "kl": n, "tv": n}[kind] if strength > 0 else 0
    wide = sparse.csc_matrix((n, extra))
    rows = [sparse.hstack([equations, sparse.csc_matrix((len(aim), extra))]), sparse.hstack([-one, wide])]
    sides = [aim, np.zeros(n)]
    cones: list[Any] = [clarabel.ZeroConeT(len(aim)), clarabel.NonnegativeConeT(n)]
    cost = np.concatenate([-gain, np.zeros(extra)])
    square = sparse.csc_matrix((n + extra, n + extra))
    if strength > 0 and kind == "sqrt_chi2":  # (t, y - root) in the second-order cone
        cost[n] = strength
        rows.append(
            sparse.vstack([sparse.hstack([sparse.csc_matrix((1, n)), [[-1.0]]]), sparse.hstack([-one, wide])])
        )
        sides.append(np.concatenate([[0.0], -root]))
        cones.append(clarabel.SecondOrderConeT(n + 1))
    elif strength > 0 and kind == "chi2":
        square = (2.0 * strength * one).tocsc()
        cost = cost - 2.0 * strength * root
    elif strength > 0 and kind == "tv":  # t >= |root * (y - root)| / 2
        cost[n:] = strength
        half = sparse.diags(root / 2.0)
        rows.append(sparse.vstack([sparse.hstack([half, -one]), sparse.hstack([-half, -one])]))
        sides.append(np.concatenate([root**2 / 2.0, -(root**2) / 2.0]))
        cones.append(clarabel.NonnegativeConeT(2 * n))
    elif strength > 0:  # t >= y log(y / root), and m log(m / r) = root * that
        cost[n:] = strength * root
        blocks = sparse.lil_matrix((3 * n, 2 * n))
        for i in range(n):
            blocks[3 * i, n + i] = 1.0
            blocks[3 * i + 1, i] = -1.0
        side = np.zeros(3 * n)
        side[2::3] = root
        rows.append(blocks.tocsc())
        sides.append(side)
        cones += [clarabel.ExponentialConeT()] * n
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_iter = 500
    settings.max_step_fraction = 0.9  # with 0.99 a third of programs with exponential cones get stuck
    solver = clarabel.DefaultSolver(
        square, cost, sparse.vstack(rows).tocsc(), np.concatenate(sides), cones, settings
    )
    found = solver.solve()
    y = np.asarray(found.x[:n], np.float64)
    gap = abs(found.obj_val - found.obj_val_dual) / max(1.0, abs(found.obj_val))
    if str(found.status) != "Solved" and not (gap < NEAR and float(np.abs(equations @ y - aim).max()) < NEAR):
        raise _not_solved(kind, strength, str(found.status))
    return y


def _not_solved(kind: str, strength: float, status: str) -> RewardSpecError:
    text = f"no best policy could be found for {kind} at strength {strength:g} (in units of the reward): {status}"
    hint = "Rewards of very different size, or a reference that hardly visits some states, make this hard."
    return UnsupportedError(Problem("not-solved", text, hints=(hint,)))
