"""The command `rewardspec llm factors`: have a language model write the factors of a latent reward."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardspec.cli.arguments import SpecPath, open_environment, read_spec
from rewardspec.cli.printing import say, write

if TYPE_CHECKING:
    from rewardspec.llm.factors import Asked


def factors(
    spec: SpecPath,
    env: Annotated[str, typer.Option(metavar="ID", help="Gymnasium id.", show_default="the spec's own")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here, not to stdout.")
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, max=32, help="Answers that are asked for at first.")] = 5,
    tries: Annotated[int, typer.Option(min=1, max=32, help="Functions that are verified, at most.")] = 5,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes of random play that judge them.")] = 240,
    seed: Annotated[int, typer.Option(help="Seed of play and of the requests.")] = 0,
    records: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the answers in this file; what is in it is not asked again."),
    ] = None,
    calls: Annotated[int, typer.Option(min=1, help="Requests, at most.")] = 20,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens, at most.")] = 200_000,
) -> None:
    """Have a model write the factors of latent rewards, and complete the spec with them.

    A function that it writes is parsed, checked on steps of the environment and on the returns of episodes, and
    compiled; it is never run as Python. Reasons for a refusal go back to the model. Which model that is, the
    environment variable REWARDSPEC_LLM says.

    \b
    Example:
      REWARDSPEC_LLM=http://127.0.0.1:8080/v1 rewardspec llm factors reacher.yaml -o complete.yaml
      rewardspec train complete.yaml
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.llm.budget import Budget, Budgeted
    from rewardspec.llm.completing import complete_factors
    from rewardspec.llm.provider import Provider
    from rewardspec.llm.providers import open_provider
    from rewardspec.llm.records import Recorder

    read = read_spec(spec)
    provider: Provider = Budgeted(open_provider(), Budget(calls=calls, tokens=tokens))
    if records is not None:
        provider = Recorder(provider, records)
    with open_environment(read, env) as made:
        completed = complete_factors(
            read,
            provider,
            made,
            candidates=candidates,
            tries=tries,
            episodes=episodes,
            seed=seed,
            told=lambda text: say(text, err=True),
        )
    for asked in completed.asked:
        say(describe(asked), err=True)
    write(output, completed.spec.to_yaml())


def describe(asked: Asked) -> str:
    """Return what was found, in a few lines."""
    from rewardspec.ir.show import show_expr

    encoder, explained = asked.verdict.encoder, asked.verdict.explained
    told = "returns of random play are all alike, so they were not judged by them"
    if explained is not None:
        told = f"they explain {explained:.0%} of the variance of held-out returns"
    lines = [f"{len(encoder.names)} factors after {asked.calls} requests; {told}"]
    lines += [
        f"  {name} = {show_expr(expr)[:100]}"
        for name, expr in zip(encoder.names, encoder.factors, strict=True)
    ]
    if encoder.lifted:
        lines.append(f"  of shape (batch,), taken for (batch, 1): {', '.join(encoder.lifted)}")
    return "\n".join(lines)
