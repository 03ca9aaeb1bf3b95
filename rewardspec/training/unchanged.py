"""What a run notes of the spec that it was begun with, and the refusal to go on with another.

The program's digest tells what is paid. What is maximised, and how long episodes may be, are told beside it: no program
knows its spec's objective or horizon.
"""

from __future__ import annotations

from typing import Any

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.spec.declarations import ObjectiveSpec
from rewardspec.spec.model import Spec
from rewardspec.training.folder import RunFolder


def facts_of(spec: Spec, digest: str) -> dict[str, Any]:
    r"""Return what tells a spec from others that would train another agent, as plain data.

    Args:
        spec: The spec.
        digest: Of what it compiles to: a program, or a team's.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> facts_of(loads("objective: {kind: regularised, weight: 0.1}\nreward: 1"), "0a1b")
        {'digest': '0a1b', 'objective': {'kind': 'regularised', 'weight': 0.1}, 'horizon': None}
    """
    return {
        "digest": digest,
        "objective": spec.objective.model_dump(exclude_none=True),
        "horizon": spec.env.horizon if spec.env is not None else None,
    }


def refuse_other(run: RunFolder, spec: Spec, digest: str) -> None:
    """Raise when a spec is not what a run was begun with; what an earlier version did not note is not compared.

    Raises:
        UnsupportedError: `not-a-run-folder`; `spec-changed`.
    """
    begun, now = run.read_facts(), facts_of(spec, digest)
    which = spec.place(()).file or f"the spec {spec.name!r}"
    if begun.get("digest") != now["digest"]:
        text = f"{which} is not the spec that this run was trained on"
    elif begun.get("objective", now["objective"]) != now["objective"]:
        text = (
            f"{which} maximises {spec.objective.words}; this run was trained for {_words(begun['objective'])}"
        )
    elif begun.get("horizon", now["horizon"]) != now["horizon"]:
        text = (
            f"{which} ends episodes {_after(now['horizon'])}; in this run they end {_after(begun['horizon'])}"
        )
    else:
        return
    hint = "Train on the changed spec in a new folder: rewardspec train SPEC."
    raise UnsupportedError(Problem("spec-changed", text, hints=(hint,)))


def _after(horizon: Any) -> str:
    """Return in words when episodes end."""
    return "where the environment does" if horizon is None else f"after {horizon} steps"


def _words(objective: Any) -> str:
    """Return an objective that a run noted in a line."""
    try:
        return ObjectiveSpec.model_validate(objective).words
    except ValueError:
        return "another objective"
