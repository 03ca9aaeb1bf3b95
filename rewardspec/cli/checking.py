"""Commands that judge specs: `check`, `test` and `schema`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardspec.cli.arguments import SpecPaths, read_spec
from rewardspec.cli.printing import STYLES, Part, count, problem_data, say, say_problem, write
from rewardspec.errors import Problem, RewardSpecError, Severity, list_names

if TYPE_CHECKING:
    from rewardspec.analysis.probe import EnvReport
    from rewardspec.analysis.spec_tests import TestResult
    from rewardspec.spec.model import Spec

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


# -- check -------------------------------------------------------------------------------------------


def check(
    specs: SpecPaths,
    env: Annotated[
        str,
        typer.Option(
            metavar="ID",
            help="Play random episodes of this environment too; `spec` takes the one that the spec names.",
        ),
    ] = "",
    episodes: Annotated[
        int, typer.Option(metavar="N", min=1, max=100_000, help="How many episodes to play.")
    ] = 20,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of these episodes.")] = 0,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep one of them for `rewardspec explain` (.jsonl).")
    ] = None,
    gamma: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, max=1, help="The agent's discount, to compare with the spec's."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Leave findings with this code out (repeat for more)."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look for mistakes in specs before anything is trained.

    Reports unreachable states, formulas that cannot hold, rewards that can be farmed, incentives to die
    early, and much else; each finding has a place and a code that `rewardspec explain` tells more about.
    Exits with 1 when there are errors.

    \b
    Example:
      rewardspec check office.yaml
      rewardspec check --strict --gamma 0.99 specs/*.yaml
      rewardspec check office.yaml --env CartPole-v1
    """  # noqa: D301 (\b keeps the lines of the example apart)
    ignored = ignore or []
    _filtered((), ignored)  # a misspelt code is said before anything is looked at
    if record is not None and not env:
        raise typer.BadParameter(
            "needs --env: there is no episode to keep without one", param_hint="--record"
        )
    if record is not None and record.suffix != ".jsonl":
        raise typer.BadParameter(f"'{record}' must end in .jsonl", param_hint="--record")
    findings: list[Problem] = []
    for path in specs:
        found, report = _check_one(path, env, episodes, seed, gamma, record)
        found = _filtered(found, ignored)
        findings += found
        if not as_json:
            for problem in found:
                say_problem(problem)
            if report is not None:
                _say_ranges(report)
    counts = Counter(problem.severity for problem in findings)
    if as_json:
        write(None, json.dumps([problem_data(problem) for problem in findings], indent=2))
    else:
        _say_summary(len(specs), counts, findings)
    if counts["error"] or (strict and counts["warning"]):
        raise typer.Exit(1)


def _filtered(problems: Iterable[Problem], ignore: Sequence[str]) -> list[Problem]:
    from rewardspec.analysis.check import filter_findings

    try:
        return list(filter_findings(problems, ignore))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ignore") from None


def _check_one(
    path: Path, env: str, episodes: int, seed: int, gamma: float | None, record: Path | None
) -> tuple[list[Problem], EnvReport | None]:
    """Return the findings about one spec; what stops it from being read or compiled is one of them."""
    from rewardspec.analysis.check import check as check_spec
    from rewardspec.analysis.check import sort_findings
    from rewardspec.analysis.optimisers import check_discount

    report = None
    found: list[Problem] = []
    try:
        spec = read_spec(path)
        found = list(check_spec(spec))
        if gamma is not None:
            found += check_discount(spec, gamma)
        found = list(sort_findings(found))
        if env and not any(problem.severity == "error" for problem in found):
            report = _play(spec, env, episodes, seed, record)
            found += report.findings
    except RewardSpecError as error:
        return [*found, *error.problems], None
    return found, report


def _play(spec: Spec, env: str, episodes: int, seed: int, record: Path | None) -> EnvReport:
    """Return what random episodes say; keep one of them where that is asked for."""
    from rewardspec.analysis.explain import record_random, write_episode
    from rewardspec.analysis.probe import check_env
    from rewardspec.cli.arguments import is_for_several, open_environment

    if is_for_several(spec, env):
        if record is not None:
            raise typer.BadParameter("keeps episodes of one agent", param_hint="--record")
        from rewardspec.analysis.team_probe import check_team_env

        return check_team_env(spec, "" if env == "spec" else env, episodes, seed)
    with open_environment(spec, env) as made:
        if record is not None:
            write(record, write_episode(record_random(made, spec, seed=seed)))
        return check_env(spec, made, episodes, seed)


def _say_ranges(report: EnvReport) -> None:
    """Write what each term paid, and how often each proposition was true, on the episodes played."""
    from rewardspec.analysis.columns import align

    steps = sum(report.lengths)
    say((f"random play: {count(len(report.lengths), 'episode')}, {count(steps, 'step')}", "bold"))
    rows = [("term", "least", "greatest", "mean return")]
    rows += [(n, f"{m.low:.4g}", f"{m.high:.4g}", f"{m.mean_return:.4g}") for n, m in report.terms.items()]
    for line in align(rows, right=(1, 2, 3)):
        say(f"   {line}")
    if report.seen:
        rows = [("proposition", "true on", "", "")]
        rows += [(name, f"{share:.1%}", "", "") for name, share in report.seen.items()]
        for line in align(rows, right=(1,)):
            say(f"   {line}")


def _say_summary(specs: int, counts: Counter[Severity], findings: Sequence[Problem]) -> None:
    parts: list[Part] = []
    for severity in SEVERITIES:
        if counts[severity]:
            parts += [", " if parts else "", (count(counts[severity], severity), STYLES[severity])]
    say(f"{count(specs, 'spec')}: ", *(parts or [("no findings", "bold green")]))
    codes = dict.fromkeys(
        p.code for p in sorted(findings, key=lambda p: SEVERITIES.index(p.severity)) if p.code
    )
    if codes:
        say(f"`rewardspec explain {next(iter(codes))}` shows an example and the fix.")


# -- test --------------------------------------------------------------------------------------------


def test(
    specs: SpecPaths,
    only: Annotated[
        str, typer.Option("--only", "-k", metavar="TEXT", help="Run the tests whose name contains this.")
    ] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the steps of passing tests too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Run the `tests:` of specs: traces, with what they must earn.

    A failure shows what was expected and what came, and the trace step by step.
    Exits with 1 when a test fails or cannot run.

    \b
    Example:
      rewardspec test office.yaml
      rewardspec test -k "never" specs/*.yaml
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.analysis.spec_tests import run_tests
    from rewardspec.spec.parts import parts

    results: list[tuple[Path, TestResult]] = []
    broken: list[Problem] = []
    untested: list[Path] = []
    for path in specs:
        try:
            spec = read_spec(path)
            found = run_tests(spec, only=only)
        except RewardSpecError as error:
            broken += error.problems
            if not as_json:
                for problem in error.problems:
                    say_problem(problem)
            continue
        if not any(part.tests for _, part in (*parts(spec), ("", spec))):
            untested.append(path)
        results += [(path, result) for result in found]
        if not as_json:
            for result in found:
                _say_result(path, result, verbose)
    if as_json:
        data = [_result_data(path, result) for path, result in results]
        write(None, json.dumps({"results": data, "problems": [problem_data(p) for p in broken]}, indent=2))
    else:
        for path in untested:
            say((f"{path}: {_why_untested(path)}", "yellow"))
        _say_counts([result for _, result in results], len(broken))
    if broken or not all(result.passed for _, result in results):
        raise typer.Exit(1)


def _why_untested(path: Path) -> str:
    from rewardspec.analysis.subject import inspect, is_learned
    from rewardspec.spec.parts import parts

    programs = [inspect(part).program for _, part in parts(read_spec(path))]
    if all(is_learned(term.expr) for program in programs for term in program.terms):
        return "no tests, and none to write: all that it pays is learned while an agent trains."
    return "no tests. `tests:` takes traces with what they must earn."


def _say_result(path: Path, result: TestResult, verbose: bool) -> None:
    from rewardspec.analysis.spec_tests import show_result

    if result.passed:
        untested = f"  (learned, and not tested: {list_names(result.learned)})" if result.learned else ""
        say(("passed", "green"), f"  {path}: {result.name}{untested}")
    else:
        say(("FAILED", STYLES["error"]), f"  {path}: {result.name}")
    if verbose or not result.passed:
        say("\n".join(f"        {line}".rstrip() for line in show_result(result)))


def _say_counts(results: Sequence[TestResult], broken: int) -> None:
    failed = sum(not result.passed for result in results)
    parts: list[Part] = [(f"{len(results) - failed} passed", "green" if results else "")]
    if failed:
        parts += [", ", (f"{failed} failed", STYLES["error"])]
    if broken:
        parts += [", ", (count(broken, "problem"), STYLES["error"])]
    say(*parts)


def _result_data(path: Path, result: TestResult) -> dict[str, Any]:
    return {
        "file": str(path),
        "name": result.name,
        "passed": result.passed,
        "differences": list(result.differences),
        "undecided": list(result.undecided),
        "learned": list(result.learned),
        "steps": [
            {
                "true": list(row.label),
                "states": row.states,
                "terms": row.terms,
                "terminated": row.terminated,
                "truncated": row.truncated,
            }
            for row in result.rows
        ],
    }


# -- schema ------------------------------------------------------------------------------------------


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; stdout without.")
    ] = None,
) -> None:
    """Print the JSON Schema of the language, for editors.

    It completes and checks specs while they are written. With the YAML extension of VS Code, begin a spec
    with `# yaml-language-server: $schema=rewardspec.schema.json`.

    \b
    Example:
      rewardspec schema -o rewardspec.schema.json
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.spec.schema import json_schema
    from rewardspec.vocabulary import VOCABULARY

    write(output, json.dumps(json_schema(VOCABULARY), indent=2) + "\n")
