"""How the members of an ensemble agree on one reward.

Every function takes the members' rewards with the members on the first axis, NumPy or torch, and does the same to each
of the other entries. Laws, tested: all shift with a common constant; WCO is never above the mean; a single member is
left alone (UWO with ddof 0); UWO may lie below the least member.

Sources: mean, WCO, UWO: Coste et al., "Reward Model Ensembles Help Mitigate Overoptimization" (ICLR 2024), whose
released code takes the population variance in best-of-n and the unbiased one in PPO; hence `ddof`. Nominal and worst:
"Reward-Robust RLHF" (2024), BRME.
"""

from __future__ import annotations

from typing import Any

from rewardspec.kinds.reward_model import Combine, NominalWorst, Uwo


def combine(members: Any, how: Combine, nominal: int = 0, worst: int | None = None) -> Any:
    """Return one reward for each entry.

    Args:
        members: `[M, ...]` rewards of M members, a NumPy array or a torch tensor.
        how: The combination.
        nominal: Index of the nominal member.
        worst: Index of the worst member where it was found over a batch; found for each entry when None.

    Returns:
        `[...]`, of the same library.

    Example:
        >>> import numpy as np
        >>> combine(np.array([[1.0], [3.0]]), "wco"), combine(np.array([[1.0], [3.0]]), Uwo(uwo=0.5))
        (array([1.]), array([1.5]))
    """
    if how == "mean":
        return members.mean(0)
    if how == "wco":
        return _least(members)
    if how == "median":
        return _median(members)
    if isinstance(how, Uwo):
        return members.mean(0) - how.uwo * variance(members, how.ddof)
    assert isinstance(how, NominalWorst)
    low = _least(members) if worst is None else members[worst]
    return (1.0 - how.nominal_worst) * members[nominal] + how.nominal_worst * low


def variance(members: Any, ddof: int) -> Any:
    """Return the variance over the members; 0 for a single member, also with ddof 1."""
    number = members.shape[0]
    away = members - members.mean(0)
    return (away * away).sum(0) / max(number - ddof, 1)


def _least(members: Any) -> Any:
    return members.min(0) if not _is_torch(members) else members.amin(0)


def _median(members: Any) -> Any:
    """Return the median; of an even number of members the mean of the middle two, which torch's own is not."""
    ordered = members.sort(0).values if _is_torch(members) else _sorted(members)
    number = members.shape[0]
    return (ordered[(number - 1) // 2] + ordered[number // 2]) / 2


def _sorted(members: Any) -> Any:
    import numpy as np

    return np.sort(members, axis=0)


def _is_torch(value: Any) -> bool:
    return type(value).__module__.startswith("torch")
