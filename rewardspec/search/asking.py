"""Proposals of a language model: three messages, of which the last one is written anew each time.

The messages are the rules, the task, and where the search stands: the best and the worst spec of the generation before
with what each term paid along training, and what told the best ones of earlier generations apart. An answer is text: it
is read as a spec and checked, by whoever admits it, and nothing of it is run.

Source: ICPL (arXiv 2410.17233) and its code: two answers for each that is missing, at temperature 1. Deviations: specs
stand for functions; differences are computed, where a second call is made there; reasons of refusals are told.
"""

from __future__ import annotations

from collections.abc import Sequence

from rewardspec.ir.functions import FUNCTION_NAMES
from rewardspec.llm.prompts import load_prompt
from rewardspec.llm.provider import Message, Provider, Request
from rewardspec.search.admission import Proposal
from rewardspec.search.candidate import Candidate, Track
from rewardspec.search.feedback import Standing
from rewardspec.spec.model import Spec

TEMPERATURE = 1.0
TIMES = 2
"""Answers that are asked for, for each candidate that is missing."""

MAX_TOKENS = 1200
REASONS = 5
"""Reasons of refusals that are told, the latest ones."""

LONGEST_REASON = 400


class Asker:
    """Proposes what a language model writes.

    Attributes:
        provider: The model; behind a recorder, so that what it said once is not asked again.
        form: What the numbers of a step mean.
    """

    def __init__(self, provider: Provider, form: str) -> None:
        """See the class."""
        self.provider, self.form = provider, form

    @property
    def name(self) -> str:
        """What records call it: the model, and the digests of the prompts."""
        prompts = ("icpl_system", "icpl_first", "icpl_begin", "icpl_feedback", "icpl_refused")
        return f"{self.provider.card.name}, prompts " + ", ".join(load_prompt(name).id for name in prompts)

    def propose(self, standing: Standing, need: int, round: int) -> Sequence[Proposal]:
        """Return twice as many answers as are needed.

        Raises:
            LanguageModelError: Whatever the provider raises; a budget that is spent among it.
        """
        request = request_for(standing, self.form, need, round)
        completion = self.provider.complete(request)
        parent = None if standing.good is None else standing.good.id
        by = f"{completion.card.name}, {request.prompt}"
        return [Proposal(answer.text, by, parent) for answer in completion.answers]


def request_for(standing: Standing, form: str, need: int, round: int) -> Request:
    """Return the request of a round: always three messages."""
    last = "icpl_begin" if standing.good is None else "icpl_feedback"
    return Request(
        (
            Message("system", load_prompt("icpl_system").fill(functions=", ".join(sorted(FUNCTION_NAMES)))),
            Message("user", _first(standing.base, form)),
            Message("user", _begin(standing) if standing.good is None else _feedback(standing)),
        ),
        n=TIMES * need,
        temperature=TEMPERATURE,
        seed=1_000_000 * standing.seed + 1_000 * standing.generation + round,
        max_tokens=MAX_TOKENS,
        prompt=load_prompt(last).id,
    )


def _first(base: Spec, form: str) -> str:
    task = base.description.strip() or base.name
    return load_prompt("icpl_first").fill(task=task, form=form.strip(), spec=shown(base))


def _begin(standing: Standing) -> str:
    return load_prompt("icpl_begin").fill(refused=_refused(standing)).rstrip()


def _feedback(standing: Standing) -> str:
    good, feedback = standing.good, standing.feedback
    assert good is not None
    bad = standing.bad if feedback.bad else None
    history = []
    if feedback.differences:
        for candidate, changed in standing.history():
            lines = "\n".join(f"- {line}" for line in changed) or "- nothing"
            history.append(
                f"The best one of generation {candidate.generation}. {_trace(candidate, standing)}"
            )
            history.append(
                f"What the best one of generation {candidate.generation + 1} does differently:\n{lines}"
            )
    return (
        load_prompt("icpl_feedback")
        .fill(
            and_worst=" and the worst" if bad is not None else "",
            history="\n" + "\n\n".join(history) + "\n" if history else "",
            good=shown(good.spec),
            good_trace=_trace(good, standing),
            bad=""
            if bad is None
            else f"\nThe worst one:\n```yaml\n{shown(bad.spec)}\n```\n{_trace(bad, standing)}\n",
            not_bad=", and do not build on the worst one" if bad is not None else "",
            refused=_refused(standing),
        )
        .rstrip()
    )


def shown(spec: Spec) -> str:
    """Return what a model is shown of a spec, and may write: signals, propositions and reward."""
    data = {
        key: value
        for key, value in spec.to_data().items()
        if key in ("signals", "propositions", "reward") and value
    }
    from rewardspec.spec.text import dump_text

    return dump_text(data).strip()


def _trace(candidate: Candidate, standing: Standing) -> str:
    """Return what a candidate's terms paid along training, in lines."""
    trained = candidate.trained
    if not standing.feedback.trace or trained is None:
        return ""
    lines = [f"{name}: {_track(track)}" for name, track in trained.trace.items()]
    lines.append(f"steps of an episode: {_track(trained.lengths)}")
    if standing.feedback.score:
        lines += [f"{name} (not paid): {value:.3g} at best" for name, value in trained.best.items()]
    return "What each term paid in an episode, along training:\n" + "\n".join(lines)


def _track(track: Track) -> str:
    values = ", ".join(f"{value:.3g}" for value in track.values)
    return f"[{values}], max {track.greatest:.3g}, mean {track.mean:.3g}, min {track.least:.3g}"


def _refused(standing: Standing) -> str:
    if not standing.refused:
        return ""
    reasons = (" ".join(reason.split())[:LONGEST_REASON] for reason in standing.refused[-REASONS:])
    return load_prompt("icpl_refused").fill(reasons="\n".join(f"- {reason}" for reason in reasons))
