"""The search: propose until enough candidates run, train them, have them judged, and propose again.

Whatever happens is in the journal before the next thing begins. A search that was stopped, at whatever moment, goes on
from there: no candidate is lost, none is trained twice, and no answer of a model is asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rewardspec.compiler import compile_spec
from rewardspec.errors import LearningError, Problem
from rewardspec.search.admission import Proposal, RefusedError, Trial, admit
from rewardspec.search.candidate import Candidate
from rewardspec.search.differences import differences
from rewardspec.search.feedback import Feedback, Proposer, Standing
from rewardspec.search.folder import SearchFolder
from rewardspec.search.judges import Judge
from rewardspec.search.page import write_page
from rewardspec.search.state import State, read_state
from rewardspec.search.trainer import Job, Trainer
from rewardspec.spec.model import Spec
from rewardspec.training.folder import write_whole
from rewardspec.vocabulary import from_data

AS_GIVEN = "as it was given"
"""Who proposed the first candidate: the spec itself."""

LATER = 1_000
"""What the seeds of the final trainings are ahead of those of the search: they were not chosen by."""


@dataclass(frozen=True)
class Plan:
    """How a search is done.

    Attributes:
        generations: How often candidates are proposed, N.
        candidates: That are trained and judged in each, K.
        rounds: Requests that a generation may take, until the search gives up.
        finals: Trainings of the best spec at the end, each with a seed of its own.
        seed: Of what is drawn; candidates of generation g are all trained with seed + g.
        feedback: What proposers are told.
        with_base: Whether the spec as it was given is the first candidate.
    """

    generations: int = 5
    candidates: int = 4
    rounds: int = 20
    finals: int = 5
    seed: int = 0
    feedback: Feedback = field(default_factory=Feedback)
    with_base: bool = True


class Show(Protocol):
    """Hears how a search gets on."""

    def say(self, text: str) -> None:
        """Hear of something in a line."""
        ...

    def look(self, done: int, steps: Mapping[str, int]) -> None:
        """Hear how many trainings are over, and how far others are."""
        ...


class Silence:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def look(self, done: int, steps: Mapping[str, int]) -> None:
        """Show nothing."""


class Search:
    """A search in its folder.

    Attributes:
        folder: The folder.
        base: The spec that it began with.
        plan: How it is done.
        state: What it has come to.
    """

    def __init__(
        self,
        folder: SearchFolder,
        base: Spec,
        plan: Plan,
        proposer: Proposer,
        trainer: Trainer,
        judge: Judge,
        trial: Trial | None = None,
        show: Show | None = None,
    ) -> None:
        """Take up what the folder's journal tells.

        Args:
            folder: A folder that was created.
            base: The spec to begin with.
            plan: How it is done.
            proposer: Who proposes.
            trainer: Who trains.
            judge: Who judges.
            trial: What an admitted spec must survive.
            show: Hears how it gets on.
        """
        self.folder, self.base, self.plan = folder, base, plan
        self._proposer, self._trainer, self._judge = proposer, trainer, judge
        self._trial, self._show = trial, show or Silence()
        self.state: State = read_state(folder, folder.events())

    def run(self) -> State:
        """Search to the end, and return what it came to.

        Raises:
            LearningError: `search-stuck` where a generation cannot be filled; `unjudged`.
            LanguageModelError: What the proposer raises.
            UnsupportedError: `run-in-use`.
        """
        with self.folder.lock():
            if self.state.is_finished:
                return self.state
            for generation in range(1, self.plan.generations + 1):
                if generation not in self.state.choices:
                    self._fill(generation)
                    self._choose(generation)
            self._finish()
        return self.state

    # -- a generation ------------------------------------------------------------------------------

    def _fill(self, generation: int) -> None:
        """Propose and train until there are enough candidates that run."""
        if generation == 1 and self.plan.with_base and not self.state.candidates:
            self._admit(self.base, compile_spec(self.base).digest(), Proposal({}, AS_GIVEN), 1, -1, 0)
        while True:
            missing = self.plan.candidates - sum(not c.failed for c in self.state.of(generation))
            if missing > 0:
                self._ask(generation, missing)
            elif len(self.state.trained(generation)) >= self.plan.candidates:
                return
            else:
                self._train(generation)

    def _ask(self, generation: int, missing: int) -> None:
        """Ask for proposals once, and admit as many as are missing."""
        begun = [r for g, r in self.state.asked if g == generation]
        number = max(begun, default=-1)
        if number < 0 or (generation, number) in self.state.closed:
            number += 1
            if number >= self.plan.rounds:
                self._give_up(generation)
            self._note("round", generation=generation, round=number, need=missing)
        need = self.state.asked[generation, number]  # what a search that was stopped asked for then
        standing = self._standing(generation, number)
        before = {(r.round, r.index) for r in self.state.refusals if r.generation == generation}
        for index, proposal in enumerate(self._proposer.propose(standing, need, number)):
            admitted = [c for c in self.state.of(generation) if c.round == number]
            if len(admitted) >= need:
                break
            if (number, index) in before or any(c.index == index for c in admitted):
                continue
            self._look_at(proposal, generation, number, index)
        self._note("asked", generation=generation, round=number)

    def _look_at(self, proposal: Proposal, generation: int, number: int, index: int) -> None:
        """Admit a proposal, or note why not."""
        try:
            spec, digest = admit(proposal, self.base, self._trial)
            twin = self.state.digests.get(digest)
            if twin is not None:
                raise RefusedError(f"it is the same as '{twin}', which was tried")
        except RefusedError as error:
            self._note("refused", generation=generation, round=number, index=index, reason=str(error))
            first = str(error).split("\n")[0]
            self._show.say(f"generation {generation}: refused: {first}")
            return
        self._admit(spec, digest, proposal, generation, number, index)

    def _admit(
        self, spec: Spec, digest: str, proposal: Proposal, generation: int, number: int, index: int
    ) -> None:
        """Write a candidate down: first its spec, then that it is there."""
        name = f"g{generation}c{len(self.state.of(generation)) + 1}"
        parent = None if proposal.parent is None else self.state.candidates[proposal.parent]
        changes = differences(self.base if parent is None else parent.spec, spec)
        told: dict[str, Any] = {"generation": generation, "candidate": name, "by": proposal.by}
        if parent is not None:
            told["parent"] = parent.id
        told["changes"] = list(changes)
        data = spec.to_data()
        data["provenance"] = {**data.get("provenance", {}), "search": told}
        kept = from_data(data)
        self.folder.write_spec(name, kept.to_yaml())
        self._note(
            "candidate",
            kept,
            digest=digest,
            id=name,
            generation=generation,
            parent=proposal.parent,
            by=proposal.by,
            changes=list(changes),
            round=number,
            index=index,
        )

    def _standing(self, generation: int, number: int) -> Standing:
        """Return what a proposer is told; always put together anew."""
        feedback = self.plan.feedback
        is_told = generation > 1 and not feedback.is_open
        worst = self.state.choices[generation - 1].worst if is_told else None
        return Standing(
            self.base,
            generation,
            tuple(self.state.champions()[: generation - 1]) if is_told else (),
            None if worst is None or not feedback.bad else self.state.candidates[worst],
            self.state.reasons(generation, number),
            feedback,
            self.plan.seed,
        )

    def _train(self, generation: int) -> None:
        """Train the candidates of a generation that have not been."""
        open_ones = [c for c in self.state.of(generation) if c.trained is None and not c.failed]
        if not open_ones:
            return
        jobs = [self._job(c.id, c.id, c.spec, self.plan.seed + generation) for c in open_ones]
        for outcome in self._trainer.train(jobs, lambda steps: self._show.look(self._done(), steps)):
            if outcome.trained is None:
                self._note("failed", id=outcome.id, reason=outcome.failed)
                self._show.say(f"{outcome.id} could not be trained: {outcome.failed.splitlines()[0]}")
                continue
            self._note("trained", id=outcome.id, result=outcome.trained.to_data())
            score = self._judge.score(self.state.candidates[outcome.id])
            told = "" if score is None else f": {self._judge.name} {score:.4g}"
            self._show.say(f"{outcome.id} is trained{told}")
        self._show.look(self._done(), {})
        self._refuse_hopeless()

    def _job(self, name: str, candidate: str, spec: Spec, seed: int) -> Job:
        return Job(name, spec, self.folder.spec_of(candidate), self.folder.run_of(name), seed)

    def _done(self) -> int:
        return sum(c.trained is not None for c in self.state.candidates.values()) + len(self.state.finals)

    def _refuse_hopeless(self) -> None:
        """Raise where nothing was ever trained, and always for the same reason."""
        tried = list(self.state.candidates.values())
        failed = {c.failed for c in tried}
        if len(tried) > 1 and len(failed) == 1 and tried[0].failed:
            hint = "It is not the candidates' fault; mend it and go on: " + self.folder.go_on()
            message = f"all of {len(tried)} candidates failed alike: {tried[0].failed}"
            raise LearningError(Problem("search-stuck", message, hints=(hint,)))

    def _give_up(self, generation: int) -> None:
        running = sum(not c.failed for c in self.state.of(generation))
        reasons = self.state.reasons(generation, self.plan.rounds)
        last = tuple(f"refused or failed: {' '.join(reason.split())[:200]}" for reason in reasons[-3:])
        hints = (*last, "A stronger model, a plainer `description:`, or more --rounds may help.")
        raise LearningError(
            Problem(
                "search-stuck",
                f"generation {generation} has {running} of {self.plan.candidates} candidates that run, after "
                f"{self.plan.rounds} requests and {len(reasons)} proposals that came to nothing",
                hints=hints,
            )
        )

    # -- judging and the end -----------------------------------------------------------------------

    def _choose(self, generation: int) -> None:
        tried = self.state.trained(generation)[: self.plan.candidates]
        choice = self._judge.pick(tried, generation, want_worst=generation < self.plan.generations)
        self._note(
            "chosen",
            generation=generation,
            best=choice.best,
            worst=choice.worst,
            comparisons=choice.comparisons,
        )
        worst = f", worst {choice.worst}" if choice.worst is not None else ""
        self._show.say(f"generation {generation} of {self.plan.generations}: best {choice.best}{worst}")
        self._write_best(self.state.candidates[choice.best])
        self._write_page()

    def _finish(self) -> None:
        """Choose the best of all generations and train it anew."""
        if self.state.best is None:
            choice = self._judge.pick(self.state.champions(), self.plan.generations + 1, want_worst=False)
            self._note("best", id=choice.best, comparisons=choice.comparisons)
        assert self.state.best is not None
        best = self.state.candidates[self.state.best]
        self._write_best(best)
        numbers = [n for n in range(1, self.plan.finals + 1) if n not in self.state.finals]
        seeds = {f"final-{n}": (n, self.plan.seed + LATER + n) for n in numbers}
        jobs = [self._job(name, best.id, best.spec, seed) for name, (_, seed) in seeds.items()]
        if jobs:
            self._show.say(f"best of all: {best.id}; training it anew, seeds: {self.plan.finals}")
            for outcome in self._trainer.train(jobs, lambda steps: self._show.look(self._done(), steps)):
                number, seed = seeds[outcome.id]
                result = None if outcome.trained is None else outcome.trained.to_data()
                self._note("final", number=number, seed=seed, result=result, failed=outcome.failed)
                self._show.look(self._done(), {})
        self._note("finished")
        self._write_page()

    def _write_best(self, candidate: Candidate) -> None:
        text = self.folder.spec_of(candidate.id).read_bytes()
        write_whole(self.folder.best, lambda file: file.write(text))

    def _write_page(self) -> None:
        write_page(
            self.folder, self.base, self.state, self._judge, self.plan.generations, self.plan.candidates
        )

    def _note(self, event: str, spec: Spec | None = None, **fields: Any) -> None:
        """Write down what happened, and take it in as a search that goes on would."""
        self.state.take(self.folder.append(event, **fields), self.folder, spec)


def final_scores(state: State, measure: str) -> Sequence[float]:
    """Return a measure of each final training, its greatest value along training."""
    return [
        final.trained.best[measure]
        for final in state.finals.values()
        if final.trained is not None and measure in final.trained.best
    ]
