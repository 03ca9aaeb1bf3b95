"""The command `rewardspec llm distil`: have a small classifier learn what a model judges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardspec.cli.arguments import SpecPath, open_environment, read_spec
from rewardspec.cli.printing import say, write


def distil(
    spec: SpecPath,
    env: Annotated[str, typer.Option(metavar="ID", help="Gymnasium id.", show_default="the spec's own")] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The spec that uses it; stdout without."),
    ] = None,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where the classifiers go.")] = Path("."),
    steps: Annotated[int, typer.Option(min=1, help="Steps that are played at random, at most.")] = 20_000,
    calls: Annotated[int, typer.Option(min=1, help="Distinct steps that the model judges, at most.")] = 1_000,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens, at most.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of play and of what is kept from the fit.")] = 0,
    records: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the answers in this file; what is in it is not asked again."),
    ] = None,
) -> None:
    """Fit small classifiers to what a model says of steps, and write the spec that trains without it.

    Play is random; each step that looks like none before is put to the model. A term whose judge is a model gets a
    classifier, in TERM.npz, and it is said how often it agrees with the model on steps kept from the fit.

    \b
    Example:
      REWARDSPEC_LLM=qwen-coder-1.5b rewardspec llm distil keyroom.yaml --records said.jsonl -o fast.yaml
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.llm.budget import Budget, Budgeted
    from rewardspec.llm.progress import Shown
    from rewardspec.llm.provider import Provider
    from rewardspec.llm.providers import open_provider
    from rewardspec.llm.records import Recorder
    from rewardspec.llm.teaching import distil_judges, with_distilled

    read = read_spec(spec)
    provider: Provider = Budgeted(open_provider(), Budget(calls=calls, tokens=tokens))
    if records is not None:
        provider = Recorder(provider, records)
    with open_environment(read, env) as made, Shown(provider, calls, "judging") as shown:
        found = distil_judges(read, made, shown, steps=steps, calls=calls, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: f"{name.replace('/', '-')}.npz" for name in found}
    for name, classifier in found.items():
        classifier.save(folder / files[name])
        held = classifier.held
        say(
            f"{folder / files[name]}: agrees with {classifier.source} on {held.agreement:.0%} of {held.steps} steps "
            "kept from the fit",
            err=True,
        )
    write(output, with_distilled(read, files).to_yaml())
