"""The command `formalisms`: what kinds of objectives there are, and what a spec cannot say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from rewardspec.cli.arguments import read_spec
from rewardspec.cli.printing import say, write
from rewardspec.errors import list_names, near_miss


def formalisms(
    spec: Annotated[
        Path | None,
        typer.Argument(metavar="[SPEC]", help="A spec in YAML, to be placed among them.", show_default=False),
    ] = None,
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="X Y", help="Can Y express whatever X can? With the way, or a counterexample."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Draw the diagram (.svg or .png).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """List what kinds of objectives there are, or say what a spec cannot say.

    Seventeen formalisms, ordered by which preferences among policies they can express (Subramani et al., 2024). With a
    spec: where it stands, tasks that no spec of its kind can state, what could, and what that would cost.

    \b
    Example:
      rewardspec formalisms
      rewardspec formalisms office.yaml
      rewardspec formalisms --pair RM MR
    """  # noqa: D301 (\b keeps the lines of the example apart)
    if output is not None and output.suffix.lower() not in (".svg", ".png"):
        raise typer.BadParameter(f"'{output}' must end in .svg or .png", param_hint="--output")
    if pair is not None:
        data, lines = _pair(*pair)
        lit = None
    elif spec is not None:
        data, lines = _placed(spec)
        lit = str(data["group"])
    else:
        data, lines = _listed()
        lit = None
    if output is not None:
        from rewardspec.analysis.formalisms.placing import draw_diagram

        write(output, draw_diagram(lit, "svg" if output.suffix.lower() == ".svg" else "png"))
    if as_json:
        write(None, json.dumps(data, indent=2))
    else:
        for line in lines:
            say(line)


def _listed() -> tuple[dict[str, Any], list[str]]:
    from rewardspec.analysis.columns import align
    from rewardspec.analysis.formalisms.preorder import COVERS, FORMALISMS

    rows = [("", "formalism", "what is written down", "policies are compared by", "expresses the same as")]
    for f in FORMALISMS:
        same = [g.key for g in FORMALISMS if g.group == f.group and g.key != f.key]
        rows.append((f.key, f.name, f.objective, f.order, ", ".join(same)))
    lines = [line.rstrip() for line in align(rows)]
    lines += [
        "",
        "Each of these says less than the one above it; pairs that are not connected say different things.",
    ]
    lines += [f"   {cover.below} -> {cover.above}: {cover.conversion}" for cover in COVERS]
    data = {
        "formalisms": [
            {"key": f.key, "name": f.name, "objective": f.objective, "order": f.order, "group": f.group}
            for f in FORMALISMS
        ],
        "covers": [{"below": c.below, "above": c.above, "conversion": c.conversion} for c in COVERS],
    }
    return data, lines


def _pair(one: str, two: str) -> tuple[dict[str, Any], list[str]]:
    from rewardspec.analysis.formalisms.preorder import BY_KEY, can_express

    keys = []
    for word in (one, two):
        key = word.upper()
        if key not in BY_KEY:
            known = tuple(BY_KEY)
            raise typer.BadParameter(
                f"there is no formalism '{word}'; there are: {list_names(known)}.{near_miss(key, known)}",
                param_hint="--pair",
            )
        keys.append(key)
    lower, upper = keys
    answer = can_express(lower, upper)
    data = {
        "lower": lower,
        "upper": upper,
        "possible": answer.possible,
        "path": list(answer.path),
        "witness": answer.witness.key if answer.witness else None,
        "reason": answer.reason,
    }
    names = (BY_KEY[lower].name, BY_KEY[upper].name)
    if answer.possible:
        lines = [f"yes: {names[1]} ({upper}) can express whatever {names[0]} ({lower}) can"]
        if len(answer.path) > 1:
            lines.append(f"   by way of {' -> '.join(answer.path)}")
        lines.append(f"   {answer.reason}")
    else:
        assert answer.witness is not None
        lines = [
            f"no: {names[0]} ({lower}) can express what {names[1]} ({upper}) cannot",
            f"   {answer.witness.wish} ({answer.witness.key}: {answer.witness.task})",
            f"   {answer.witness.why}",
        ]
    return data, lines


def _placed(path: Path) -> tuple[dict[str, Any], list[str]]:
    from rewardspec.analysis.formalisms.placing import COSTS, least_above, place
    from rewardspec.analysis.formalisms.preorder import BY_KEY
    from rewardspec.compiler import compile_spec

    spec = read_spec(path)
    program = compile_spec(spec)
    found = place(program, spec.objective)
    beyond = [(task, least_above(found.group, task)) for task, _ in found.beyond()]
    data = {
        "spec": program.name,
        "group": found.group,
        "why": found.why,
        "caveat": found.caveat,
        "cost": COSTS[found.group],
        "cannot_say": [
            {
                "wish": t.wish,
                "task": t.task,
                "said_by": t.within,
                "least_for_both": least,
                "cost": COSTS[least],
            }
            for t, least in beyond
        ],
    }
    lines = [
        f"'{program.name}' is of the kind {BY_KEY[found.group].name} ({found.group}): {found.why}.",
        f"   to optimise: {COSTS[found.group]}",
    ]
    if found.caveat:
        lines.append(f"   {found.caveat}")
    if beyond:
        lines.append("What no spec of this kind can say, and the least that could say it besides:")
        for task, least in beyond:
            lines.append(f"   {task.wish} ({task.key}: {task.task})")
            said = BY_KEY[task.within].name
            more = "" if least == task.within else f"; both together: {BY_KEY[least].name} ({least})"
            lines.append(f"      {said} ({task.within}){more}; to optimise: {COSTS[least]}")
    return data, lines
