"""Guards, temporal formulas and the automata they become. Importing this loads no Spot."""

from rewardspec.logic.automaton import (
    Automaton,
    Verdict,
    distance_to_accepting,
    minimise,
    refine,
    step,
    trim,
    verdicts,
)
from rewardspec.logic.factors import FiniteMonitor, joint_verdict
from rewardspec.logic.finite import StateLimit, compile_finite
from rewardspec.logic.formula import Formula, parse_formula
from rewardspec.logic.guards import (
    Guard,
    cubes_overlap,
    cubes_to_guard,
    find_gap,
    find_overlap,
    guard_cubes,
    guard_holds,
    merge_cubes,
    parse_guard,
    show_cube,
    show_guard,
    show_label,
)
from rewardspec.logic.infinite import OmegaMonitor, compile_factors, compile_infinite, omega_verdicts
from rewardspec.logic.parity import ParityMonitor, compile_parity, parity_verdicts

__all__ = [
    "Automaton", "FiniteMonitor", "Formula", "Guard", "OmegaMonitor", "ParityMonitor", "StateLimit", "Verdict",
    "compile_factors", "compile_finite", "compile_infinite", "compile_parity", "cubes_overlap", "cubes_to_guard",
    "distance_to_accepting", "find_gap", "find_overlap", "guard_cubes", "guard_holds", "joint_verdict", "merge_cubes",
    "minimise", "omega_verdicts", "parity_verdicts", "parse_formula", "parse_guard", "refine", "show_cube",
    "show_guard", "show_label", "step", "trim", "verdicts",
]  # fmt: skip
