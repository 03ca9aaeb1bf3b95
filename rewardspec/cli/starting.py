"""Commands that give a spec to start from: `new` and `convert`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardspec.cli.arguments import read_spec
from rewardspec.cli.printing import say, write
from rewardspec.errors import Place, Problem, SpecError, list_names, near_miss

if TYPE_CHECKING:
    from rewardspec.spec.model import Spec
    from rewardspec.spec.terms import Term

Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; stdout without.")
]


class Form(StrEnum):
    """What `convert` can write."""

    YAML = "yaml"
    PYTHON = "python"
    TORO_ICARTE = "toro-icarte"


SUFFIXES = {".yaml": Form.YAML, ".yml": Form.YAML, ".py": Form.PYTHON, ".txt": Form.TORO_ICARTE}


def new(
    env_id: Annotated[
        str,
        typer.Argument(
            metavar="ENV_ID",
            help="Gymnasium id, or a PettingZoo environment: its name or its module.",
            show_default=False,
        ),
    ],
    output: Output = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite the file.")] = False,
) -> None:
    """Start a spec for an environment, by reading its spaces.

    Its observation, actions, labels and time limit become commented YAML, which passes `rewardspec check`
    and `rewardspec test`; change it to say what you want. An environment of several agents (PettingZoo's
    parallel API) gets an entry for each sort of agent.

    \b
    Example:
      rewardspec new CartPole-v1 -o cartpole.yaml
      rewardspec new MiniGrid-DoorKey-8x8-v0 -o doorkey.yaml
      rewardspec new mpe2/simple_tag_v3 -o tag.yaml
      rewardspec new butterfly/pistonball-v6 -o pistonball.yaml
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.analysis.new import start_spec
    from rewardspec.analysis.new_team import start_team_spec
    from rewardspec.parallel_environments import makes_several

    if output is not None and output.exists() and not force:
        raise typer.BadParameter(f"'{output}' is there already; --force overwrites it", param_hint="--output")
    write(output, start_team_spec(env_id) if makes_several(env_id) else start_spec(env_id))
    if output is not None:
        say(f"next: rewardspec check {output}; rewardspec test {output}; rewardspec show {output}", err=True)


def convert(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A spec (.yaml), or a reward machine in Toro Icarte's text format (.txt)."
        ),
    ],
    output: Output = None,
    to: Annotated[
        Form | None, typer.Option(help="What to write; without it, what the output's name says, or YAML.")
    ] = None,
    term: Annotated[
        str, typer.Option(metavar="NAME", help="The reward machine to write, where the spec has several.")
    ] = "",
) -> None:
    """Turn Toro Icarte's reward machines into specs, and back.

    Reads specs and the text format of the repository `reward_machines`; writes YAML, Python and that format.

    \b
    Example:
      rewardspec convert t1.txt -o t1.yaml
      rewardspec convert office.yaml --to python
      rewardspec convert office.yaml -o office.txt --term delivery
    """  # noqa: D301 (\b keeps the lines of the example apart)
    form = to or (SUFFIXES.get(output.suffix.lower()) if output is not None else None) or Form.YAML
    spec = _read_text_format(file) if file.suffix.lower() == ".txt" else read_spec(file)
    if form is Form.YAML:
        write(output, spec.to_yaml())
    elif form is Form.PYTHON:
        from rewardspec.dsl_source import to_python

        write(output, to_python(spec))
    else:
        from rewardspec.kinds.toro_icarte import write_toro_icarte

        name, machine = _choose_term(spec, term)
        write(output, write_toro_icarte(machine) + "\n")
        if len(spec.reward) > 1 or spec.end or spec.tests:
            say(f"the text format holds '{name}' alone; the rest of the spec is left out", err=True)


def _read_text_format(path: Path) -> Spec:
    """Read a reward machine in Toro Icarte's text format as a spec with one term.

    Raises:
        SpecError: The file cannot be read, with line and column.
        UnsupportedError: It names a reward function that is not known here.
    """
    from rewardspec.kinds.toro_icarte import propositions_of, read_toro_icarte
    from rewardspec.vocabulary import from_data

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(
            Problem("not-utf8", f"the file is not UTF-8: {error.reason}", Place(str(path)))
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SpecError(
            Problem("unreadable-file", f"cannot read the file: {reason}", Place(str(path)))
        ) from None
    body = read_toro_icarte(text, str(path))
    return from_data(
        {
            "rewardspec": 1,
            "name": path.stem,
            "description": f"From {path.name}, a reward machine in Toro Icarte's text format.",
            "propositions": dict.fromkeys(propositions_of(body)),
            "reward": [{"reward_machine": body}],
        }
    )


def _choose_term(spec: Spec, name: str) -> tuple[str, Term]:
    """Return the reward machine of that name, or the only one, with its name."""
    from rewardspec.compiler import term_names

    machines = {
        n: term
        for n, term in zip(term_names(spec), spec.reward, strict=True)
        if term.kind == "reward_machine"
    }
    if name and name not in machines:
        hint = f" There are: {list_names(machines)}.{near_miss(name, machines)}"
        raise typer.BadParameter(f"the spec has no reward machine '{name}'.{hint}", param_hint="--term")
    if not name and len(machines) != 1:
        found = (
            f"{len(machines)} reward machines: say which. There are: {list_names(machines)}."
            if machines
            else "none"
        )
        raise typer.BadParameter(
            f"the text format holds one reward machine, and the spec has {found}", param_hint="--term"
        )
    chosen = name or next(iter(machines))
    return chosen, machines[chosen]
