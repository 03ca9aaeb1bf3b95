"""Commands that show what a spec means: `show`, `draw` and `explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardspec.cli.arguments import SpecPath, is_for_several, open_environment, read_spec
from rewardspec.cli.blending import explain_run, is_run
from rewardspec.cli.printing import say, write
from rewardspec.errors import list_names, near_miss

if TYPE_CHECKING:
    from rewardspec.analysis.explain import EpisodeReport
    from rewardspec.ir.program import Machine, Program
    from rewardspec.spec.model import Spec


# -- show --------------------------------------------------------------------------------------------


def show(
    spec: SpecPath,
    source: Annotated[
        bool,
        typer.Option(
            "--source", help="Print the Python that runs on every step instead; needs an environment."
        ),
    ] = False,
    env: Annotated[
        str, typer.Option(metavar="ID", help="The environment for --source; the spec's own without.")
    ] = "",
) -> None:
    """Print what a spec compiles to, for reading.

    That is what the program reads, remembers, pays and ends on; with --source, the Python that runs.

    \b
    Example:
      rewardspec show office.yaml
      rewardspec show cartpole.yaml --source --env CartPole-v1
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.compiler import compile_spec
    from rewardspec.ir.show_program import show_program

    read = read_spec(spec)
    if read.is_for_agents:
        if source or env:
            raise typer.BadParameter(
                "is for specs of one agent", param_hint="--source" if source else "--env"
            )
        write(None, _show_team(read))
        return
    program = compile_spec(read)
    if not source:
        if env:
            raise typer.BadParameter(
                "is for --source: the program is the same in every environment", param_hint="--env"
            )
        write(None, show_program(program) + _objective_line(read))
        return
    from rewardspec.backends.scalar import compile_scalar
    from rewardspec.ir.layout import bind

    with open_environment(read, env) as made:
        write(None, compile_scalar(bind(program, made.observation_space, made.action_space)).source)


def _objective_line(spec: Spec) -> str:
    """Return what is to be maximised where that is not the discounted return; nothing otherwise."""
    return "" if spec.objective.kind == "discounted" else f"\n\nmaximises {spec.objective.words}"


def _show_team(spec: Spec) -> str:
    """Return the programs of a spec for several agents, one below the other, and who shares with whom."""
    from rewardspec.ir.show_program import show_program
    from rewardspec.team.compile import compile_team

    team = compile_team(spec)
    shown = []
    for name, program in team.programs():
        entry = team.entries.get(name) if program is not team.joint else None
        lines = [f"=== {'all agents together' if entry is None else f'agents {name}'} ==="]
        if entry is not None and entry.team is not None:
            lines.append(f"team {entry.team}")
        if entry is not None and entry.share is not None:
            lines.append(f"shares {entry.share.model_dump(exclude_defaults=True)}")
        shown.append("\n".join([*lines, "", show_program(program)]))
        if entry is not None and entry.projection is not None:
            shown.append(f"=== what agents {name} can tell of it ===\n\n{show_program(entry.projection)}")
    return "\n".join(shown)


# -- draw --------------------------------------------------------------------------------------------


def draw(
    spec: SpecPath,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where to: a name that ends in .svg or .png."),
    ],
    machine: Annotated[str, typer.Option(metavar="NAME", help="Draw this machine alone.")] = "",
) -> None:
    """Draw a spec's machines: states, guards and what each edge pays.

    Formulas are machines too: green states satisfy the formula for good, red ones violate it for good.

    \b
    Example:
      rewardspec draw office.yaml -o office.svg
      rewardspec draw office.yaml -o machine.png --machine reward_machine
    """  # noqa: D301 (\b keeps the lines of the example apart)
    form = output.suffix.lower()
    if form not in (".svg", ".png"):
        raise typer.BadParameter(f"'{output}' must end in .svg or .png", param_hint="--output")
    from rewardspec.analysis.draw import draw_png, draw_svg
    from rewardspec.compiler import compile_spec

    read = read_spec(spec)
    drawn = _choose_machine(_team_machines(read) if read.is_for_agents else compile_spec(read), machine)
    write(output, draw_svg(drawn) if form == ".svg" else draw_png(drawn))


def _team_machines(spec: Spec) -> Program:
    """Return a program with the machines of all parts, each named after its part but for the joint ones."""
    from dataclasses import replace

    from rewardspec.team.compile import compile_team

    programs = list(compile_team(spec).programs())
    machines = [
        machine if name == "joint" else replace(machine, name=f"{name}.{machine.name}")
        for name, program in programs
        for machine in program.machines
    ]
    return replace(programs[0][1], machines=tuple(machines), propositions=(), terms=(), ends=(), verdicts=())


def _choose_machine(program: Program, name: str) -> Program | Machine:
    names = [machine.name for machine in program.machines]
    if name and name not in names:
        hint = f" There are: {list_names(names)}.{near_miss(name, names)}"
        raise typer.BadParameter(f"the spec has no machine '{name}'.{hint}", param_hint="--machine")
    if not names:
        raise typer.BadParameter(
            "the spec has no machines to draw; `rewardspec show` prints what it pays", param_hint="SPEC"
        )
    return program.machine(name) if name else program


# -- explain -----------------------------------------------------------------------------------------


def explain(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CODE | SPEC [EPISODE] | RUN",
            help="A code, or a spec and a recorded episode, or a run that learned its reward.",
            show_default=False,
        ),
    ] = None,
    list_codes: Annotated[bool, typer.Option("--list", help="List all codes.")] = False,
    step: Annotated[
        int | None,
        typer.Option(min=0, metavar="T", help="Explain this step alone, with every value that it read."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every step of a long episode.")] = False,
    env: Annotated[
        str,
        typer.Option(metavar="ID", help="Without EPISODE: play one with random actions in this environment."),
    ] = "",
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of that episode.")] = 0,
    agent: Annotated[
        str, typer.Option(metavar="NAME", help="Of several agents, explain this one alone (or `joint`).")
    ] = "",
) -> None:
    """Explain a code, an episode's rewards, or what a run trusts.

    An episode is a .jsonl file with one transition a line (obs, action, next_obs, reward, terminated,
    truncated, info, label: as far as the spec reads them), or an .npz file with an array of each. Without
    one, an episode of random actions is played in the environment: of a spec for several agents always.

    \b
    Example:
      rewardspec explain overlapping-guards
      rewardspec explain office.yaml episode.jsonl
      rewardspec explain office.yaml episode.jsonl --step 12
      rewardspec explain cartpole.yaml --env CartPole-v1
    """  # noqa: D301 (\b keeps the lines of the example apart)
    words = what or []
    if list_codes:
        _list_codes()
    elif not words:
        raise typer.BadParameter(
            "say which code, or which spec and episode; --list lists the codes", param_hint="CODE"
        )
    elif len(words) == 1 and is_run(words[0]):
        explain_run(Path(words[0]))
    elif len(words) == 1 and not _is_file_name(words[0]):
        _explain_code(words[0])
    elif len(words) > 2:
        raise typer.BadParameter(
            "takes a code, or a spec and one episode", param_hint="CODE | SPEC [EPISODE]"
        )
    else:
        _explain_episode(
            Path(words[0]), Path(words[1]) if len(words) == 2 else None, env, seed, step, every, agent
        )


def _is_file_name(word: str) -> bool:
    return word == "-" or Path(word).suffix in (".yaml", ".yml") or "/" in word or Path(word).is_file()


def _list_codes() -> None:
    from rewardspec.analysis.columns import align
    from rewardspec.codes import CODES

    rows = [
        (code, page.severity, page.summary.partition(". ")[0].rstrip("."))
        for code, page in sorted(CODES.items())
    ]
    for line in align(rows):
        say(line)


def _explain_code(code: str) -> None:
    from rewardspec.codes import CODES

    page = CODES.get(code)
    if page is None:
        hint = near_miss(code, CODES) or " `rewardspec explain --list` lists them all."
        raise typer.BadParameter(f"there is no code '{code}'.{hint}", param_hint="CODE")
    say((code, "bold"), f" ({page.severity})" if page.severity != "error" else " (error)")
    say()
    say(_wrap(page.summary))
    for title, text in (("For example", page.example), ("The fix", page.fix)):
        if text:
            say()
            say((f"{title}:", "bold"))
            say()
            say("\n".join(f"    {line}".rstrip() for line in text.rstrip("\n").split("\n")))


def _wrap(text: str) -> str:
    import textwrap

    return "\n\n".join(textwrap.fill(part, 88, break_on_hyphens=False) for part in text.split("\n\n"))


def _explain_episode(
    path: Path, episode: Path | None, env: str, seed: int, step: int | None, every: bool, agent: str
) -> None:
    from rewardspec.analysis.explain import explain_episode, read_episode, show_episode, show_step

    spec = read_spec(path)
    say_lineage(spec)
    if spec.is_for_agents or (episode is None and is_for_several(spec, env)):
        _explain_team(spec, episode, env, seed, step, every, agent)
        return
    if agent:
        raise typer.BadParameter("is for specs of several agents", param_hint="--agent")
    if episode is None:
        explained = _play_one(spec, env, seed)
    else:
        if env:
            raise typer.BadParameter("plays an episode, and you gave one", param_hint="--env")
        explained = explain_episode(spec, read_episode(episode, spec))
    if step is None:
        write(None, show_episode(explained, limit=None if every else 40) + _objective_line(spec))
        return
    if step >= len(explained.steps):
        steps = len(explained.steps)
        raise typer.BadParameter(f"the episode has the steps 0 to {steps - 1}", param_hint="--step")
    write(None, show_step(explained, step))


def say_lineage(spec: Spec) -> None:
    """Say where a spec comes from that a search wrote."""
    told = spec.provenance.get("search")
    if not isinstance(told, dict):
        return
    parent = f" from {told['parent']}" if "parent" in told else ""
    by = str(told.get("by", "nobody knows whom"))[:200]
    say(f"candidate {str(told.get('candidate', ''))[:20]} of a search{str(parent)[:30]}, proposed by {by}")
    changes = told.get("changes")
    for change in changes[:20] if isinstance(changes, list) else ():
        say(f"   {str(change)[:200]}")


def _explain_team(
    spec: Spec, episode: Path | None, env: str, seed: int, step: int | None, every: bool, agent: str
) -> None:
    """Explain an episode of random actions to each agent."""
    from rewardspec.analysis.team_explain import explain_team, length, show_team

    if episode is not None:
        text = "recorded episodes are of one agent: leave it out, and one of random actions is played"
        raise typer.BadParameter(text, param_hint="EPISODE")
    told = explain_team(spec, env, seed=seed)
    if step is not None and step >= length(told):
        raise typer.BadParameter(f"the episode has the steps 0 to {length(told) - 1}", param_hint="--step")
    write(None, show_team(told, agent=agent, step=step, limit=None if every else 40))


def _play_one(spec: Spec, env: str, seed: int) -> EpisodeReport:
    """Explain an episode of random actions."""
    from rewardspec.analysis.explain import explain_episode, record_random

    if not env and (spec.env is None or spec.env.id is None):
        raise typer.BadParameter(
            "give a recorded episode, or an environment to play one in (--env ID)", param_hint="EPISODE"
        )
    with open_environment(spec, env) as made:
        return explain_episode(spec, record_random(made, spec, seed=seed))
