"""Reward kinds: what a term may declare. `KINDS` names them all."""

from __future__ import annotations

from rewardspec.kinds import (
    barfi,
    difference,
    feedback,
    heron,
    latent,
    ltl,
    markov,
    potential,
    preferences,
    reward_machine,
    stl,
    subgoals,
    submodular,
)
from rewardspec.spec.terms import Kind

KINDS: dict[str, Kind] = {
    "markov": markov.KIND,
    "potential": potential.KIND,
    "reward_machine": reward_machine.KIND,
    "ltl": ltl.KIND,
    "stl": stl.KIND,
    "heron": heron.KIND,
    "preferences": preferences.KIND,
    "latent": latent.KIND,
    "submodular": submodular.KIND,
    "barfi": barfi.KIND,
    "difference": difference.KIND,
    "subgoals": subgoals.KIND,
    "feedback": feedback.KIND,
}
