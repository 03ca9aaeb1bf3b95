"""The lints, one family a file. A lint is a function from a `Subject` to problems; `LINTS` names them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rewardspec.analysis.lints import (
    composition,
    declarations,
    formulas,
    incentives,
    learned,
    machines,
    numbers,
)
from rewardspec.analysis.subject import Subject
from rewardspec.errors import Problem

Lint = Callable[[Subject], Iterator[Problem]]

LINTS: tuple[Lint, ...] = (
    formulas.lint_formulas,
    formulas.lint_payments,
    machines.lint_guards,
    machines.lint_states,
    machines.lint_cycles,
    composition.lint_products,
    composition.lint_normalise,
    composition.lint_telescoping,
    composition.lint_gates,
    composition.lint_lexicographic,
    composition.lint_shaping,
    composition.lint_weights,
    incentives.lint_goal,
    incentives.lint_scales,
    incentives.lint_potential_terms,
    learned.lint_ensembles,
    learned.lint_segments,
    learned.lint_rankings,
    learned.lint_emphasis,
    learned.lint_value_targets,
    learned.lint_flips,
    learned.lint_teachers,
    learned.lint_returns,
    learned.lint_feedback,
    numbers.lint_finite,
    numbers.lint_ends,
    declarations.lint_unread,
    declarations.lint_constant_propositions,
    declarations.lint_memory,
    declarations.lint_missing,
    declarations.lint_tests,
)
