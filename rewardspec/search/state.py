"""Where a search stands, read from its journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from rewardspec.search.candidate import Candidate, Trained
from rewardspec.search.folder import Event, SearchFolder
from rewardspec.search.judges import Choice
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import load


@dataclass(frozen=True)
class Refusal:
    """A proposal that was not admitted."""

    generation: int
    round: int
    index: int
    reason: str


@dataclass(frozen=True)
class Final:
    """A training of the chosen spec."""

    number: int
    seed: int
    trained: Trained | None
    failed: str = ""


@dataclass
class State:
    """What a search has come to.

    Attributes:
        candidates: All that were admitted, by id, in order.
        digests: By digest of the program, the candidate that has it.
        refusals: Proposals that were not.
        asked: By (generation, round), the candidates that were missing.
        closed: The (generation, round) whose proposals have all been looked at.
        choices: By generation, what the judge said.
        best: The best of all generations, once it was chosen.
        comparisons: Pairs that the judge looked at.
        finals: Trainings of the best, by number.
        is_finished: Whether the search has come to its end.
    """

    candidates: dict[str, Candidate] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    asked: dict[tuple[int, int], int] = field(default_factory=dict)
    closed: set[tuple[int, int]] = field(default_factory=set)
    choices: dict[int, Choice] = field(default_factory=dict)
    best: str | None = None
    comparisons: int = 0
    finals: dict[int, Final] = field(default_factory=dict)
    is_finished: bool = False

    def of(self, generation: int) -> list[Candidate]:
        """Return the candidates of a generation."""
        return [c for c in self.candidates.values() if c.generation == generation]

    def trained(self, generation: int) -> list[Candidate]:
        """Return those that were trained to the end."""
        return [c for c in self.of(generation) if c.trained is not None]

    def champions(self) -> list[Candidate]:
        """Return the best candidate of each generation that was judged."""
        return [self.candidates[self.choices[g].best] for g in sorted(self.choices)]

    def reasons(self, generation: int, before: int) -> tuple[str, ...]:
        """Return why proposals of a generation came to nothing, in the rounds before one."""
        found = [
            ((r.round, r.index), r.reason)
            for r in self.refusals
            if r.generation == generation and r.round < before
        ]
        found += [
            ((c.round, c.index), c.failed) for c in self.of(generation) if c.failed and c.round < before
        ]
        return tuple(reason for _, reason in sorted(found))

    def take(self, event: Event, folder: SearchFolder, spec: Spec | None = None) -> None:
        """Take in what happened; `spec` is a new candidate's where it is at hand, and read from its file where not."""
        sort = event["event"]
        if sort == "round":
            self.asked[event["generation"], event["round"]] = event["need"]
        elif sort == "asked":
            self.closed.add((event["generation"], event["round"]))
        elif sort == "refused":
            self.refusals.append(
                Refusal(event["generation"], event["round"], event["index"], event["reason"])
            )
        elif sort == "candidate":
            candidate = candidate_of(event, load(folder.spec_of(event["id"])) if spec is None else spec)
            self.candidates[candidate.id] = candidate
            self.digests[event["digest"]] = candidate.id
        elif sort == "trained":
            self._change(event["id"], trained=Trained.from_data(event["result"]))
        elif sort == "failed":
            self._change(event["id"], failed=event["reason"])
        elif sort == "chosen":
            choice = Choice(event["best"], event["worst"], event["comparisons"])
            self.choices[event["generation"]] = choice
            self.comparisons += choice.comparisons
        elif sort == "best":
            self.best = event["id"]
            self.comparisons += event["comparisons"]
        elif sort == "final":
            result = event["result"]
            trained = None if result is None else Trained.from_data(result)
            self.finals[event["number"]] = Final(event["number"], event["seed"], trained, event["failed"])
        elif sort == "finished":
            self.is_finished = True

    def _change(self, candidate: str, **fields: Any) -> None:
        self.candidates[candidate] = replace(self.candidates[candidate], **fields)


def candidate_of(event: Event, spec: Spec) -> Candidate:
    """Return the candidate that an event tells of."""
    return Candidate(
        event["id"],
        event["generation"],
        spec,
        event["parent"],
        event["by"],
        tuple(event["changes"]),
        event["round"],
        event["index"],
    )


def read_state(folder: SearchFolder, events: Iterable[Event]) -> State:
    """Return where a search stands."""
    state = State()
    for event in events:
        state.take(event, folder)
    return state
