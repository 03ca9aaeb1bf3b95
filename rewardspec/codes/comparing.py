"""The codes of comparing specs: what stands in the way of saying whether two rewards ask for the same."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

COMPARING: dict[str, Explanation] = {
    "needs-all-transitions": Explanation(
        "EPIC and DARD ask what an action would pay in every next state, also in those that it never leads to. A world "
        "with few outcomes for each action, or with episodes that end, has no such payments.",
        "$ rewardspec compare old.yaml new.yaml --env FrozenLake-v1 --canon epic",
        "$ rewardspec compare old.yaml new.yaml --env FrozenLake-v1 --canon val",
    ),
    "not-reproducible": Explanation(
        "Two specs are compared on the same episodes, and the environment gave other observations for the same seed "
        "and the same actions.",
        "$ rewardspec compare old.yaml new.yaml --env Unseeded-v0",
        "Let the environment draw all its random numbers from the generator that `reset(seed=...)` seeds.",
    ),
    "unbounded-episodes": Explanation(
        "Objectives that look at whole trajectories are evaluated by listing all of them, which needs a small world "
        "whose episodes all end after a few steps.",
        ">>> OfTrajectory(len).value(tabulate(gymnasium.make('FrozenLake-v1')), policy)",
        "Use a world without loops, or an objective that is a sum of rewards.",
    ),
    "constant-reward": Explanation(
        "An audit asks how a proxy and the true reward go together where a reference policy goes, and one of the two "
        "never varies there.",
        "$ rewardspec audit proxy.yaml --env FrozenLake-v1 --reference true:0.000001",
        "$ rewardspec audit proxy.yaml --env FrozenLake-v1 --reference uniform",
    ),
    "too-few-episodes": Explanation(
        "An audit by episodes learns on some of them how the policies differ and asks about others, and its intervals "
        "are over episodes: a handful says nothing.",
        ">>> audit_by_samples(reference[:3], optimised[:3], 0.99)",
        ">>> audit_by_samples(reference, optimised, 0.99)  # 50 of each, say",
    ),
    "not-solved": Explanation(
        "The solver of cone programs gave up before it found the best regularised policy.",
        ">>> optimise(occupancies, 1e12 * reward, reference, 'kl', 1e-9)",
        "Scale the rewards to similar sizes, or choose a reference that meets all states more often.",
    ),
}
