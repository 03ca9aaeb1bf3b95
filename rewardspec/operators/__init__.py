"""Reward operators: how terms are transformed and joined. `OPERATORS` names them all."""

from __future__ import annotations

from rewardspec.operators import combine, count, ending, gate, history, maps, normalise
from rewardspec.spec.terms import Kind

OPERATORS: dict[str, Kind] = {
    "sum": combine.SUM,
    "product": combine.PRODUCT,
    "min": combine.MIN,
    "max": combine.MAX,
    "lexicographic": combine.LEXICOGRAPHIC,
    "affine": maps.AFFINE,
    "clip": maps.CLIP,
    "sigmoid": maps.SIGMOID,
    "tanh": maps.TANH,
    "log_sigmoid": maps.LOG_SIGMOID,
    "threshold": maps.THRESHOLD,
    "diff": history.DIFF,
    "once": count.ONCE,
    "discount_by_count": count.DISCOUNT_BY_COUNT,
    "gate": gate.GATE,
    "normalise": normalise.NORMALISE,
    "end": ending.END,
}
