"""Declare what an agent should want; get a reward that can be read, checked, tested, trained on and trusted.

    import gymnasium, rewardspec

    env = rewardspec.wrap(gymnasium.make("CartPole-v1"), "cartpole.yaml")

`load` reads a spec, `check` looks for mistakes in it, `compile_spec` makes the program, `wrap` and its siblings make
environments pay by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewardspec.analysis.check import check as check
    from rewardspec.compiler import compile_spec as compile_spec
    from rewardspec.errors import LanguageModelError as LanguageModelError
    from rewardspec.errors import LearningError as LearningError
    from rewardspec.errors import MismatchError as MismatchError
    from rewardspec.errors import NonFiniteRewardError as NonFiniteRewardError
    from rewardspec.errors import RewardSpecError as RewardSpecError
    from rewardspec.errors import SpecError as SpecError
    from rewardspec.errors import UnsupportedError as UnsupportedError
    from rewardspec.ir.program import Program as Program
    from rewardspec.learning.finished import wrap_learned as wrap_learned
    from rewardspec.learning.learner import RewardLearner as RewardLearner
    from rewardspec.llm.judges import wrap_judged as wrap_judged
    from rewardspec.spec.model import Spec as Spec
    from rewardspec.transition import Outcome as Outcome
    from rewardspec.transition import Transition as Transition
    from rewardspec.vocabulary import from_data as from_data
    from rewardspec.vocabulary import load as load
    from rewardspec.vocabulary import loads as loads
    from rewardspec.wrappers.offline import relabel as relabel
    from rewardspec.wrappers.parallel import wrap_parallel as wrap_parallel
    from rewardspec.wrappers.parallel_sb3 import make_parallel_vec as make_parallel_vec
    from rewardspec.wrappers.single import wrap as wrap
    from rewardspec.wrappers.tensor import wrap_tensor as wrap_tensor
    from rewardspec.wrappers.vector import make_vec as make_vec
    from rewardspec.wrappers.vector import wrap_vector as wrap_vector

_PUBLIC = {
    "LanguageModelError": "rewardspec.errors",
    "LearningError": "rewardspec.errors",
    "MismatchError": "rewardspec.errors",
    "NonFiniteRewardError": "rewardspec.errors",
    "Outcome": "rewardspec.transition",
    "Program": "rewardspec.ir.program",
    "RewardLearner": "rewardspec.learning.learner",
    "RewardSpecError": "rewardspec.errors",
    "Spec": "rewardspec.spec.model",
    "SpecError": "rewardspec.errors",
    "Transition": "rewardspec.transition",
    "UnsupportedError": "rewardspec.errors",
    "check": "rewardspec.analysis.check",
    "compile_spec": "rewardspec.compiler",
    "from_data": "rewardspec.vocabulary",
    "load": "rewardspec.vocabulary",
    "loads": "rewardspec.vocabulary",
    "make_parallel_vec": "rewardspec.wrappers.parallel_sb3",
    "make_vec": "rewardspec.wrappers.vector",
    "relabel": "rewardspec.wrappers.offline",
    "wrap": "rewardspec.wrappers.single",
    "wrap_judged": "rewardspec.llm.judges",
    "wrap_learned": "rewardspec.learning.finished",
    "wrap_parallel": "rewardspec.wrappers.parallel",
    "wrap_tensor": "rewardspec.wrappers.tensor",
    "wrap_vector": "rewardspec.wrappers.vector",
}

__all__ = list(_PUBLIC)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import rewardspec` costs next to nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'rewardspec' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
