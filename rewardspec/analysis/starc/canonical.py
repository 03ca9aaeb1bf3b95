"""Canonicalisation: of all rewards that ask for the same, one to compare by.

Every function takes a process and a reward `[X, A, K]` and returns the canonical one: `[X, A, K]` or, where it is the
same for all outcomes of a state and an action, `[X, A, 1]`. All are linear in the reward.

Source: Skalse et al., "STARC", ICLR 2024: VAL and the minimal one; A. Gleave et al., "Quantifying Differences in Reward
Functions", ICLR 2021: EPIC; B. Wulfe et al., "Dynamics-Aware Comparison of Learned Reward Functions", ICLR 2022: DARD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.tabular.process import Process

Floats = npt.NDArray[np.float64]

Canonical = Literal["val", "minimal", "val_potential", "minimal_potential", "epic", "dard", "none"]


def random_policy(process: Process) -> Floats:
    """Return the policy `[X, A]` that takes all actions alike."""
    return np.full((process.n_states, process.n_actions), 1.0 / process.n_actions)


def successor_values(process: Process, values: Floats) -> Floats:
    """Return `[X, A, K]`: the value of the state that each outcome leads to, 0 where the episode is over."""
    return np.where(process.ended, 0.0, values[process.next_state])


def val(process: Process, reward: Floats, discount: float) -> Floats:
    """Return the advantages of the random policy: neither shaping nor redistribution over outcomes changes them.

    Formula: c(s, a) = E[R + discount * V(s') - V(s)] = Q(s, a) - V(s), V the values of the random policy
    """
    paid, policy = process.expected(reward), random_policy(process)
    values = process.value(policy, paid, discount)
    return (process.backup(paid, values, discount) - values[:, None])[:, :, None]


def val_potential(process: Process, reward: Floats, discount: float) -> Floats:
    """Return the reward shaped by the random policy's values. Redistribution over outcomes changes it.

    Formula: c(s, a, s') = R + discount * V(s') - V(s)
    """
    values = process.value(random_policy(process), process.expected(reward), discount)
    return _shaped(process, reward, values, discount)


def minimal(process: Process, reward: Floats, discount: float) -> Floats:
    """Return the reward of least weighted L2 norm among those that shaping and redistribution make of this one.

    The least squares are solved exactly. Redistributed, a reward is smallest where all outcomes of an action are paid
    alike, so only the potential is sought.
    """
    paid = process.expected(reward)
    values = _least(process, paid, discount)
    return (process.backup(paid, values, discount) - values[:, None])[:, :, None]


def minimal_potential(process: Process, reward: Floats, discount: float) -> Floats:
    """Return the reward of least L2 norm over all outcomes among those that shaping alone makes of this one."""
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    count = process.next_state.size
    states = np.repeat(np.arange(process.n_states), count // process.n_states)
    onward = np.where(process.ended, 0.0, discount).reshape(-1)
    rows = np.arange(count)
    leads = sparse.csr_matrix(
        (onward, (rows, process.next_state.reshape(-1))), shape=(count, process.n_states)
    )
    leaves = sparse.csr_matrix((np.ones(count), (rows, states)), shape=(count, process.n_states))
    design = leads - leaves
    values = spsolve((design.T @ design).tocsc(), -(design.T @ reward.reshape(-1)))
    return _shaped(process, reward, np.atleast_1d(values), discount)


def epic(process: Process, reward: Floats, discount: float) -> Floats:
    """Return EPIC's canonical reward, states and actions drawn alike from all.

    Formula: c = R + discount * p(s') - p(s) - discount * mean p, p(s) = mean of R(s, A, S') over all A and S'
    """
    _require_all_pairs(process, "epic")
    potential: Floats = reward.mean(axis=(1, 2))
    shaped: Floats = reward + discount * potential[None, None, :] - potential[:, None, None]
    return shaped - discount * float(potential.mean())


def dard(process: Process, reward: Floats, discount: float) -> Floats:
    """Return DARD's canonical reward: as EPIC's, with successors drawn by the process.

    Formula: c = R + discount * p(s') - p(s) - discount * E[R(S', A, S'')], p(s) = E[R(s, A, S')], A drawn alike
    from all and one for both draws, S' from (s, A), S'' from (s', A)
    """
    _require_all_pairs(process, "dard")
    potential: Floats = process.expected(reward).mean(axis=1)
    chance, actions = process.probability, process.n_actions
    middle = sum(chance[:, a] @ reward[:, a] @ chance[:, a].T for a in range(actions)) / actions
    return (
        reward
        + discount * potential[None, None, :]
        - potential[:, None, None]
        - discount * np.asarray(middle)[:, None, :]
    )


def none(process: Process, reward: Floats, discount: float) -> Floats:
    """Return the reward as it is: what is compared without a canonical form."""
    return reward


@dataclass(frozen=True)
class Canonicaliser:
    """A way to a canonical reward.

    Attributes:
        of: The function.
        ignores_shaping: Whether potential shaping leaves it as it is.
        ignores_redistribution: Whether it depends on what an action pays on average alone. With both, and
            normalised, its distance is 0 exactly for rewards that order all policies alike: a STARC metric.
        all_pairs: Whether it asks for the reward of transitions that cannot happen.
    """

    of: Callable[[Process, Floats, float], Floats]
    ignores_shaping: bool = True
    ignores_redistribution: bool = False
    all_pairs: bool = False

    @property
    def is_starc(self) -> bool:
        """Whether it makes a STARC metric: sound and complete."""
        return self.ignores_shaping and self.ignores_redistribution


CANONICALISERS: dict[Canonical, Canonicaliser] = {
    "val": Canonicaliser(val, ignores_redistribution=True),
    "minimal": Canonicaliser(minimal, ignores_redistribution=True),
    "val_potential": Canonicaliser(val_potential),
    "minimal_potential": Canonicaliser(minimal_potential),
    "epic": Canonicaliser(epic, all_pairs=True),
    "dard": Canonicaliser(dard, all_pairs=True),
    "none": Canonicaliser(none, ignores_shaping=False),
}
"""Every canonicaliser by its name."""


def _shaped(process: Process, reward: Floats, values: Floats, discount: float) -> Floats:
    return reward + discount * successor_values(process, values) - values[:, None, None]


def _least(process: Process, paid: Floats, discount: float) -> Floats:
    """Return the potential `[X]` after which what actions pay on average has the least L2 norm."""
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    leaves = sparse.kron(sparse.identity(process.n_states), np.ones((process.n_actions, 1)), format="csr")
    design = discount * process.successors - leaves
    return np.atleast_1d(spsolve((design.T @ design).tocsc(), -(design.T @ paid.reshape(-1))))


def _require_all_pairs(process: Process, name: str) -> None:
    states = np.arange(process.n_states)
    if process.next_state.shape[2] != process.n_states or (process.next_state != states).any():
        text = f"'{name}' asks what an action would pay in every next state, and this world has only those that happen"
        hint = "'val' compares what can happen; it is also the one whose distance bounds regret both ways."
        raise UnsupportedError(Problem("needs-all-transitions", text, hints=(hint,)))
    if process.ended.any():
        text = f"'{name}' has no ends of episodes, and this process has"
        raise UnsupportedError(Problem("needs-all-transitions", text, hints=("Choose 'val'.",)))
