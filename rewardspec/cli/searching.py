"""The command that proposes rewards: `search`."""

from __future__ import annotations

import contextlib
import datetime
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardspec.cli.arguments import open_environment, read_spec
from rewardspec.cli.printing import draw_without_a_screen, say, say_error
from rewardspec.cli.training_options import (
    Algo,
    AlgoOption,
    EnvironmentId,
    Environments,
    Pairs,
    Quiet,
    Seed,
    read_settings,
)
from rewardspec.errors import Problem, RewardSpecError, UnsupportedError, list_names, near_miss

if TYPE_CHECKING:
    from rewardspec.search.folder import SearchFolder
    from rewardspec.search.state import State
    from rewardspec.spec.model import Spec

JUDGES = ("return", "success", "length", "person")
"""Judges that are no file."""


class By(StrEnum):
    """Who proposes."""

    MODEL = "model"
    MUTATION = "mutation"


class Part(StrEnum):
    """Parts of the feedback that can be left out."""

    TRACE = "trace"
    DIFFERENCES = "differences"
    BAD = "bad"


def search(
    spec: Annotated[
        Path,
        typer.Argument(
            metavar="SPEC",
            help="A spec to begin with, or with --resume a search's folder.",
            show_default=False,
        ),
    ],
    generations: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="How often specs are proposed.")
    ] = 5,
    candidates: Annotated[
        int, typer.Option(metavar="K", min=2, max=1000, help="Specs that are trained in each generation.")
    ] = 4,
    judge: Annotated[
        str,
        typer.Option(
            metavar="WHO",
            help="Who ranks: `return` (the environment's own), `success`, `length`, `person` (two clips on a page), "
            "or a spec's file: a teacher that scores what agents play.",
        ),
    ] = "return",
    proposer: Annotated[
        By | None,
        typer.Option(
            help="Who proposes: a language model or a mutation operator.",
            show_default="model where REWARDSPEC_LLM is set",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(metavar="N", min=1, help="Environment steps of each training.")
    ] = 20_000,
    final_seeds: Annotated[
        int, typer.Option(metavar="N", min=0, max=1000, help="Trainings of the best spec at the end.")
    ] = 5,
    algo: AlgoOption = Algo.PPO,
    n_envs: Environments = None,
    env: EnvironmentId = "",
    setting: Pairs = None,
    seed: Seed = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=1024,
            help="Trainings at once; 0 for none but this process.",
            show_default="cores",
        ),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=1, help="Stop a training that takes longer.", show_default="no limit"
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Requests that a generation may take.")
    ] = 20,
    open_loop: Annotated[
        bool, typer.Option("--open-loop", help="Tell the proposer nothing of what was trained: the control.")
    ] = False,
    without: Annotated[
        list[Part] | None, typer.Option(help="Leave this part of the feedback out (repeat).")
    ] = None,
    with_score: Annotated[
        bool, typer.Option("--with-score", help="Tell the proposer the measures, too.")
    ] = False,
    noise: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Share of generations judged at random.")
    ] = 0.0,
    calls: Annotated[int, typer.Option(min=1, help="Requests to a model, at most.")] = 200,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of them, at most.")] = 1_000_000,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Seconds of them, at most.", show_default="no limit")
    ] = None,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port of the page for a person; 0: any.")
    ] = 8765,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder.", show_default="runs/search-<spec>-<seed>")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search that was stopped.")] = False,
    quiet: Quiet = False,
) -> None:
    """Propose rewards, train on each, have them judged, and propose again.

    A language model, or without one a mutation operator, writes whole specs. Each is read, checked and tried
    before it is trained; reasons of refusals go back. The best and the worst of a generation, with what each
    of their terms paid, are what the next proposals are made from. At the end the best of all is trained anew
    with several seeds. Every candidate stays in the folder as an ordinary spec, with what it was made from;
    report.md shows the tree.

    A search that was stopped, at whatever moment, goes on with --resume: nothing is trained or asked twice.

    \b
    Example:
      rewardspec search cartpole.yaml --generations 5 --candidates 4
      REWARDSPEC_LLM=http://127.0.0.1:8080/v1 rewardspec search cartpole.yaml --judge person
      rewardspec search --resume runs/search-cartpole-0
      rewardspec check runs/search-cartpole-0/best.yaml
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.search.folder import SearchFolder

    if resume:
        folder = SearchFolder(out or spec)
        folder.read_facts()
    else:
        folder = SearchFolder(
            out or Path("runs") / f"search-{spec.stem if str(spec) != '-' else 'stdin'}-{seed}"
        )
        base = read_spec(spec)
        who, teacher = _judge(judge)
        facts: dict[str, Any] = {
            "plan": {
                "generations": generations,
                "candidates": candidates,
                "rounds": rounds,
                "finals": final_seeds,
                "seed": seed,
            },
            "feedback": {
                **{str(part): part not in (without or []) for part in Part},
                "score": with_score,
                "is_open": open_loop,
            },
            "budget": {
                "steps": steps,
                "algo": str(algo),
                "env_id": env or None,
                "n_envs": n_envs,
                "agent": read_settings(setting or []),
            },
            "judge": who,
            "noise": noise,
            "by": str(proposer or (By.MODEL if os.environ.get("REWARDSPEC_LLM") else By.MUTATION)),
            "limit": limit,
        }
        text = base.to_yaml() if str(spec) == "-" else spec.read_text(encoding="utf-8")
        _begin(folder, text, facts, base, teacher)
    spending = {"calls": calls, "tokens": tokens, "seconds": seconds}
    try:
        state = _go(folder, workers, spending, port, quiet)
    except KeyboardInterrupt:
        say(folder.stopped(), err=True)
        raise typer.Exit(130) from None
    except RewardSpecError as error:
        say_error(error)
        say(f"what was done is kept; go on with: {folder.go_on()}", err=True)
        raise typer.Exit(1) from None
    _say_result(folder, state)


def _judge(word: str) -> tuple[str, str | None]:
    """Return a judge's name, and the text of a teacher's spec."""
    if word in JUDGES:
        return word, None
    if Path(word).suffix in (".yaml", ".yml"):
        read_spec(Path(word))  # what is wrong with it is said before anything is trained
        return "teacher", Path(word).read_text(encoding="utf-8")
    raise typer.BadParameter(
        f"there is no judge '{word}'; there are: {list_names(JUDGES)}, or a spec's file.{near_miss(word, JUDGES)}",
        param_hint="--judge",
    )


def _begin(folder: SearchFolder, text: str, facts: dict[str, Any], base: Spec, teacher: str | None) -> None:
    """Check what can be checked, and make the folder."""
    from rewardspec.search.admission import player, refuse_base
    from rewardspec.search.trainer import Budget
    from rewardspec.training.versions import versions
    from rewardspec.vocabulary import loads

    refuse_base(base)
    if facts["judge"] == "person" and facts["noise"]:
        raise typer.BadParameter("a person is careless without being told", param_hint="--noise")
    Budget(**facts["budget"]).check(base)
    with open_environment(base, facts["budget"]["env_id"] or "") as made:
        trial = player(made)
        trial(base)
        if teacher is not None:
            trial(loads(teacher, "the judge's spec"))
    facts["proposer"] = _proposer_name(facts["by"])
    facts["versions"] = versions()
    facts["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    folder.create(text, facts, teacher)


def _proposer_name(by: str) -> str:
    """Return who proposes, for the record; a model that cannot be asked is said at once."""
    if by == By.MUTATION:
        return "mutation"
    from rewardspec.llm.providers import open_provider

    card = open_provider().card
    return f"{card.name} ({card.runtime})"


def _go(folder: SearchFolder, workers: int | None, spending: dict[str, Any], port: int, quiet: bool) -> State:
    """Search, from where the folder stands, to the end."""
    from rewardspec.search.admission import player
    from rewardspec.search.display import shown
    from rewardspec.search.feedback import Feedback
    from rewardspec.search.judges import ByScore, Careless, Judge
    from rewardspec.search.loop import Plan, Search, Show, Silence
    from rewardspec.search.mutation import Mutator
    from rewardspec.search.person import Person
    from rewardspec.search.trainer import TEACHER, Budget, Runs
    from rewardspec.training.settings import choose
    from rewardspec.vocabulary import load

    facts, base = folder.read_facts(), load(folder.spec)
    try:
        plan = Plan(**facts["plan"], feedback=Feedback(**facts["feedback"]))
        budget = Budget(**facts["budget"])
        who, noise, by, limit = (facts[key] for key in ("judge", "noise", "by", "limit"))
    except (KeyError, TypeError) as error:
        message = f"{folder.facts} is not what `rewardspec search` wrote: {error}"
        raise UnsupportedError(Problem("not-a-search-folder", message)) from error
    is_person = who == "person"
    teacher = folder.teacher if who == TEACHER else None
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(open_environment(base, budget.env_id or ""))
        trainer = stack.enter_context(Runs(budget, workers, limit, teacher, clips=is_person))
        total = plan.generations * plan.candidates + plan.finals
        show: Show = Silence()
        if not quiet:
            show = stack.enter_context(shown(total, 0, budget.steps))
        judge: Judge
        if is_person:
            settings = choose(base, steps=budget.steps, algo=budget.algo, env_id=budget.env_id)
            draw_without_a_screen()
            judge = stack.enter_context(
                Person(folder, base, settings, lambda text: say(text, err=True), port=port)
            )
        else:
            judge = ByScore(who)
        if noise:
            judge = Careless(judge, noise, plan.seed)
        asker = _asker(folder, made, spending) if by == By.MODEL else Mutator()
        show.say(f"{total} trainings of {budget.steps:,} steps; proposed by {asker.name.partition(',')[0]}")
        return Search(folder, base, plan, asker, trainer, judge, player(made), show).run()


def _asker(folder: SearchFolder, env: Any, spending: dict[str, Any]) -> Any:
    """Return the model as a proposer: what it said is kept in the folder and not asked again."""
    from rewardspec.llm.budget import Budget, Budgeted
    from rewardspec.llm.forms import describe
    from rewardspec.llm.providers import open_provider
    from rewardspec.llm.records import Recorder
    from rewardspec.search.asking import Asker

    provider = Recorder(Budgeted(open_provider(), Budget(**spending)), folder.records)
    return Asker(provider, describe(env))


def _say_result(folder: SearchFolder, state: State) -> None:
    best = state.candidates[state.best] if state.best is not None else None
    trained = len([c for c in state.candidates.values() if c.trained is not None])
    failed = len([c for c in state.candidates.values() if c.failed])
    say(f"{trained} candidates trained, {failed} failed, {len(state.refusals)} proposals refused")
    if best is not None:
        say(("best: ", "bold"), (best.id, "bold"), f" ({folder.best})")
        for line in best.changes:
            say(f"   {line}")
    say(f"page: {folder.report}")
    say(f"next: rewardspec train {folder.best}", err=True)
