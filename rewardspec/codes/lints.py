"""The codes of the linter: what each finding means, a spec that trips it, and the spec mended.

Every example trips its code and no fix does; `tests/analysis/test_lint_codes.py` holds them to it.
"""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation
from rewardspec.codes.lint_composition import COMPOSITION
from rewardspec.codes.lint_declarations import DECLARATIONS
from rewardspec.codes.lint_environment import ENVIRONMENT
from rewardspec.codes.lint_formulas import FORMULAS
from rewardspec.codes.lint_incentives import INCENTIVES
from rewardspec.codes.lint_learned import LEARNED
from rewardspec.codes.lint_machines import MACHINES

LINT_CODES: dict[str, Explanation] = {
    **FORMULAS,
    **MACHINES,
    **COMPOSITION,
    **INCENTIVES,
    **LEARNED,
    **DECLARATIONS,
    **ENVIRONMENT,
}
"""Every code of the linter."""
