"""A spec for several agents as ordinary specs, one for each part: what each sort of agent wants, and what all get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rewardspec.spec.agents import AgentSpec, JointSpec
from rewardspec.spec.document import Path, path_text
from rewardspec.spec.model import Spec
from rewardspec.spec.places import Places

DEFAULT = "default"
"""The entry for agents that no other entry fits."""

EVERYBODY = "*"
"""What the one part of a spec without `agents:` stands for."""


def joint_part(spec: Spec) -> Spec | None:
    """Return what all agents get as a spec of its own; None where there is none."""
    return None if spec.joint is None else _part(spec, spec.joint, ("joint",))


def agent_parts(spec: Spec) -> dict[str, Spec]:
    """Return what each sort of agent wants as a spec of its own, by name or pattern.

    Names are declared at the top, once for all, and every value keeps its place. A spec without `agents:` is one part,
    the same for all. A part may have no terms: all that its agents get is then what the joint terms pay.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> spec = loads("agents: {scout: {reward: 1}, default: {reward: 2 * reward}}")
        >>> [(name, part.reward[0].body.value) for name, part in agent_parts(spec).items()]
        [('scout', '1'), ('default', '2 * reward')]
    """
    if not spec.is_for_agents:
        return {EVERYBODY: spec}
    if not spec.agents:
        return {EVERYBODY: _part(spec, AgentSpec.model_construct(), ("joint",))}
    return {name: _part(spec, entry, ("agents", name)) for name, entry in spec.agents.items()}


def parts(spec: Spec) -> Iterator[tuple[str, Spec]]:
    """Yield all parts that have terms, with what messages call them; a spec for one agent is its own, unnamed."""
    if not spec.is_for_agents:
        yield "", spec
        return
    joint = joint_part(spec)
    if joint is not None:
        yield "joint", joint
    for name, part in agent_parts(spec).items():
        if part.reward:
            yield path_text(("agents", name)), part


def _part(spec: Spec, entry: AgentSpec | JointSpec, path: Path) -> Spec:
    """Return the spec with the terms, ends and tests of one entry for its own."""
    fields: dict[str, Any] = {name: getattr(spec, name) for name in type(spec).model_fields}
    fields |= {"reward": entry.reward, "end": entry.end, "tests": entry.tests, "agents": {}, "joint": None}
    fields["name"] = f"{spec.name}, {path[-1] if isinstance(entry, JointSpec) else path_text(path)}"[:200]
    part = Spec.model_construct(**fields)  # every value has been checked; a part may be without terms
    moved: dict[Path, Path] = {(name,): (*path, name) for name in ("reward", "end", "tests")}
    part._places = Places(spec._places.document, {**spec._places.moved, **moved})
    return part
