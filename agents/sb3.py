"""What the agents on stable-baselines3 share: their command line, and going on with a run of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import tyro

from agents.command import other_agent, resumed
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import resume
from rewardspec.training.settings import Settings

Args = TypeVar("Args")

COMPARED_ELSEWHERE = ("spec", "folder", "resume", "quiet", "checkpoint_seconds")
"""Arguments that decide no number, and the spec: `resume` compares its meaning."""


def read_arguments(
    kind: type[Args], agent: str, algos: Sequence[str], words: Sequence[str], description: str | None
) -> Args:
    """Return the arguments of a command line; a run that is gone on with keeps those it was begun with.

    Args:
        kind: The agent's `Args`.
        agent: The agent's name.
        algos: The algorithms that it runs.
        words: The command line.
        description: What `--help` says first.

    Raises:
        UnsupportedError: `not-a-run-folder`; `settings-changed` when another agent began the run, or with other
            arguments.
    """
    run = resumed(words)
    before = kind() if run is None else kind(**as_arguments(kind, begun(run, agent, algos)))
    args = tyro.cli(kind, description=description, args=list(words), default=before)
    if run is not None:
        refuse_changed(run, before, args)
    return args


def refuse_changed(run: RunFolder, before: Any, args: Any) -> None:
    """Raise where a run is gone on with under other arguments than it was begun with.

    Raises:
        UnsupportedError: `settings-changed`.
    """
    names = [place.name for place in fields(args) if place.name not in COMPARED_ELSEWHERE]
    pairs = [(name, getattr(before, name), getattr(args, name)) for name in names]
    changed = [f"{name} is {there!r} there and {here!r} here" for name, there, here in pairs if there != here]
    if changed:
        hint = "Resume with the arguments that the run was begun with."
        text = f"the run in {run.path} is another: {', '.join(changed)}"
        raise UnsupportedError(Problem("settings-changed", text, hints=(hint,)))


def algorithm_arguments(args: Any, own: Sequence[str]) -> dict[str, Any]:
    """Return what stable-baselines3 takes of an agent's arguments.

    Args:
        args: The agent's arguments, with `hidden` and `gamma`.
        own: Names of those that it takes as they are; what is None is left to it.
    """
    given = {name: getattr(args, name) for name in own if getattr(args, name) is not None}
    given["policy_kwargs"] = {"net_arch": list(args.hidden)}
    if args.gamma is not None:
        given["gamma"] = args.gamma
    return given


def begun(run: RunFolder, agent: str, algos: Sequence[str]) -> Settings:
    """Return the settings of a run that this agent can go on with: its own, or the same of `rewardspec train`.

    Raises:
        UnsupportedError: `not-a-run-folder`; `settings-changed` when another agent began it.
    """
    held = run.read_facts().get("settings")
    if not isinstance(held, dict) or run.agent not in (None, agent) or held.get("algo") not in algos:
        raise other_agent(run, agent)
    try:
        return Settings(**held)
    except TypeError:
        raise other_agent(run, agent) from None


def as_arguments(kind: type[Any], held: Settings) -> Mapping[str, Any]:
    """Return the settings as an agent's arguments, as far as it has them."""
    given = {
        **held.agent,
        "env": held.env_id,
        "steps": held.steps,
        "seed": held.seed,
        "n_envs": held.n_envs,
        "algo": held.algo,
        "crm": held.crm is not None,
    }
    if held.crm is not None:
        given["ratio"] = held.crm
    if "net_arch" in held.agent.get("policy_kwargs", {}):
        given["hidden"] = tuple(held.agent["policy_kwargs"]["net_arch"])
    return {place.name: given[place.name] for place in fields(kind) if place.name in given}


def go_on(agent: str, algos: Sequence[str], args: Any) -> RunFolder:
    """Go on with the run that `args.resume` names.

    Raises:
        UnsupportedError: As `begun` and `rewardspec.training.loop.resume`.
    """
    begun(RunFolder(args.resume), agent, algos)
    return resume(
        args.resume, spec=args.spec, checkpoint_seconds=args.checkpoint_seconds, show=not args.quiet
    )
