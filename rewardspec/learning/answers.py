"""Questions to people and their answers, as JSON Lines in the run's folder.

`<name>.questions.jsonl` has a line for each pair: its id, and for either side which steps of which episode it shows
(`env`, `episode`, `start`, `steps`) and the `seed` of that episode's reset. What else a question needs lies beside it,
in `<name>.questions/<id>.npz`: the inputs of the two sides, which a model is fitted to, and the actions that play them
again.

The file of answers is written by `rewardspec label`, or by hand: `{"id": 3, "answer": "left"}`; left, right, equal or
skip. The last answer to a question counts; `undo` takes it back. Where several learned terms share a file, a line says
whose question it answers, as in `{"term": "comfort", "id": 3, "answer": "left"}`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem, list_names, near_miss
from rewardspec.learning.playing import Recipe
from rewardspec.learning.trajectories import Segments

Floats = npt.NDArray[np.float32]

ANSWERS: dict[str, float | None] = {"left": 1.0, "right": 0.0, "equal": 0.5, "skip": None}
"""What a person may answer, and the label it makes."""

UNDO = "undo"
"""What takes an answer back: the question is open again."""

MAX_LINE = 10_000
"""Characters of one line of a file of answers."""

SUFFIX = ".questions.jsonl"
"""How the name of a file of questions ends."""

OWN_FILES = ("progress.jsonl", "learned.jsonl")
"""JSON Lines files of a run that are no place for answers."""


@dataclass(frozen=True)
class Clip:
    """One side of a question.

    Attributes:
        env: Which of the environments side by side.
        episode: Number of its episode, counted over the run.
        start: Number of the first step that is shown, within the episode.
        steps: Steps that are shown.
        seed: Seed of the episode's reset; None where it cannot be played again.
    """

    env: int
    episode: int
    start: int
    steps: int
    seed: int | None = None

    def to_data(self) -> dict[str, int]:
        """Return it as plain data."""
        data = {"env": self.env, "episode": self.episode, "start": self.start, "steps": self.steps}
        return data if self.seed is None else {**data, "seed": self.seed}


@dataclass(frozen=True)
class Question:
    """Which of two clips is better? `id` counts from 0 within a learned part."""

    id: int
    left: Clip
    right: Clip


class Questions:
    """The questions of one learned part, and the answers to them, as the learner sees them.

    Nothing is written before the first question is asked: whoever only watches a run leaves its files alone.

    Questions stay, whatever becomes of the run: one that is resumed goes on with those that were asked after its
    checkpoint, since people may have answered them.

    Attributes:
        name: Of the learned part.
        file: The file of answers.
    """

    def __init__(self, folder: Path | None, name: str, file: str) -> None:
        """Ask in a folder.

        Raises:
            LearningError: `needs-folder` without one, `wrong-answer` when the file of answers lies outside of it.
        """
        if folder is None:
            hint = "RewardLearner(spec, folder='runs/first'); `rewardspec train` has one by itself."
            message = f"'{name}' learns from people's answers, and their file needs a folder"
            raise LearningError(Problem("needs-folder", message, hints=(hint,)))
        self.name = name
        self.file = answer_file(folder, file)
        self._folder = folder
        self._inputs = inputs_folder(folder, name)
        self._written: int | None = None

    @property
    def command(self) -> str:
        """The command that shows them."""
        return f"rewardspec label {shlex.quote(str(self._folder))}"

    @property
    def asked(self) -> int:
        """Questions written in all."""
        return len(read_questions(self._folder, self.name)) if self._written is None else self._written

    @property
    def open(self) -> int:
        """Questions without an answer."""
        return self.asked - len(self._answers())

    def ask(
        self,
        left: Segments,
        right: Segments,
        a: Floats,
        b: Floats,
        offset: Floats | None = None,
        played: tuple[Sequence[Recipe], Sequence[Recipe]] | None = None,
    ) -> None:
        """Write questions; they are on the disk when this returns.

        Args:
            left: N segments.
            right: N segments.
            a: `[N, L, D]` inputs of the left ones.
            b: `[N, L, D]` of the right ones.
            offset: `[N]` what is added to the difference of the statistics; nothing when None.
            played: How the N left and the N right ones are played again; None where nobody knows.
        """
        if not len(left):
            return
        asked = self.asked
        self._inputs.mkdir(parents=True, exist_ok=True)
        lines = []
        for i in range(len(left)):
            extra = np.float32(0.0 if offset is None else offset[i])
            actions = {}
            seeds: tuple[int | None, int | None] = (None, None)
            if played is not None:
                ours, theirs = played[0][i], played[1][i]
                actions = {"left_actions": ours.actions, "right_actions": theirs.actions}
                seeds = (ours.seed, theirs.seed)
            number = asked + i
            np.savez(
                self._inputs / f"{number}.npz", allow_pickle=False, a=a[i], b=b[i], offset=extra, **actions
            )
            sides = {"left": _clip(left, i, seeds[0]), "right": _clip(right, i, seeds[1])}
            line = {"id": number, **{side: clip.to_data() for side, clip in sides.items()}}
            lines.append(json.dumps(line) + "\n")
        with (self._folder / f"{self.name}{SUFFIX}").open("a+b") as file:
            _mend_end(file)  # half a line that a killed run left
            file.write("".join(lines).encode())
            _flush(file)
        self._written = asked + len(lines)

    def answered(self, length: int, width: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the N pairs with an answer other than skip, segments of `length` steps of `width` numbers.

        Returns:
            `[N, L, D]` inputs of the left sides and of the right ones, `[N]` labels and `[N]` offsets.

        Raises:
            LearningError: `wrong-answer` for an answer that cannot be read.
        """
        labels = {number: ANSWERS[answer] for number, answer in self._answers().items()}
        kept = [(number, label) for number, label in sorted(labels.items()) if label is not None]
        a, b = np.zeros((2, len(kept), length, width), np.float32)
        offset = np.zeros(len(kept), np.float32)
        for i, (number, _) in enumerate(kept):
            with np.load(self._inputs / f"{number}.npz", allow_pickle=False) as file:
                a[i], b[i], offset[i] = file["a"], file["b"], file["offset"]
        return a, b, np.array([label for _, label in kept], np.float32), offset

    def _answers(self) -> dict[int, str]:
        return read_answers(self.file, self.asked, self.name) if self.file.exists() else {}


# -- the files -----------------------------------------------------------------------------------------


def add_question(
    folder: Path, name: str, question: Question, played: tuple[Recipe, Recipe], **more: Any
) -> None:
    """Write one question that no model is fitted to; it is on the disk when this returns.

    Args:
        folder: Where.
        name: Whose questions.
        question: The question; its id is the number of those before it.
        played: How the two sides are played again.
        more: What else its line holds.
    """
    place = inputs_folder(folder, name)
    place.mkdir(parents=True, exist_ok=True)
    left, right = (recipe.actions for recipe in played)
    np.savez(place / f"{question.id}.npz", allow_pickle=False, left_actions=left, right_actions=right)
    line = {"id": question.id, "left": question.left.to_data(), "right": question.right.to_data(), **more}
    with (folder / f"{name}{SUFFIX}").open("a+b") as file:
        _mend_end(file)
        file.write(json.dumps(line).encode() + b"\n")
        _flush(file)


def answer_file(folder: Path, name: str) -> Path:
    """Return the file of answers of that name in a folder.

    Raises:
        LearningError: `wrong-answer` when it lies outside, or is another file of the run.
    """
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        message = f"the file of answers, {name!r}, is not inside the run's folder"
        raise LearningError(Problem("wrong-answer", message, hints=("Name a file, as in labels.jsonl.",)))
    if file.suffix != ".jsonl" or file.name.endswith(SUFFIX) or file.name in OWN_FILES:
        message = f"the file of answers, {name!r}, must be a .jsonl file of its own"
        raise LearningError(Problem("wrong-answer", message, hints=("Name a file, as in labels.jsonl.",)))
    return file


def inputs_folder(folder: Path, name: str) -> Path:
    """Return where what belongs to a learned part's questions lies, one file for each."""
    return folder / f"{name}.questions"


def read_questions(folder: Path, name: str) -> list[Question]:
    """Return the questions of a learned part, in the order of their ids.

    Raises:
        LearningError: `wrong-answer` for a line that is no question.
    """
    path = folder / f"{name}{SUFFIX}"
    if not path.exists():
        return []
    found: list[Question] = []
    for number, line in read_lines(path):
        try:
            if line["id"] != len(found):
                raise ValueError(f"the id is not {len(found)}")
            found.append(Question(len(found), _clip_of(line["left"]), _clip_of(line["right"])))
        except (KeyError, TypeError, ValueError) as error:
            raise _wrong(path, number, f"it is no question: {error}") from error
    return found


def read_recipes(folder: Path, name: str, question: Question) -> tuple[Recipe, Recipe] | None:
    """Return how the two sides of a question are played again; None where its run did not note that.

    Raises:
        LearningError: `wrong-answer` when the file is broken.
    """
    if question.left.seed is None or question.right.seed is None:
        return None
    path = inputs_folder(folder, name) / f"{question.id}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            left, right = file["left_actions"], file["right_actions"]
        for clip, actions in ((question.left, left), (question.right, right)):
            if actions.ndim != 2 or len(actions) != clip.start + clip.steps:
                raise ValueError(f"there are {len(actions)} actions for {clip.start + clip.steps} steps")
    except Exception as error:  # a file that was cut off raises whatever zip and NumPy like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"what plays question {question.id} again, {path.name}, cannot be read: {reason}"
        raise LearningError(Problem("wrong-answer", message)) from error
    return Recipe(question.left.seed, left), Recipe(question.right.seed, right)


def read_answers(path: Path, asked: int, term: str | None = None) -> dict[int, str]:
    """Return the last answer to each question, in the order in which they were given.

    A last line that was cut off is left out: whoever writes it is not done.

    Args:
        path: JSON Lines file of answers.
        asked: Number of questions; their ids are below it.
        term: Whose questions; lines that name another term are left out.

    Raises:
        LearningError: `wrong-answer`, with the line, for anything else that cannot be read.
    """
    found: dict[int, str] = {}
    for number, line in read_lines(path):
        if not isinstance(line, dict) or not {"id", "answer"} <= set(line):
            raise _wrong(path, number, 'it is not of the form {"id": 3, "answer": "left"}')
        if term is not None and line.get("term", term) != term:
            continue
        which, answer = line["id"], line["answer"]
        if isinstance(which, bool) or not isinstance(which, int) or not 0 <= which < asked:
            ids = f"ids are 0 to {asked - 1}" if asked else "nothing was asked yet"
            raise _wrong(path, number, f"there is no question {which!r}; {ids}")
        found.pop(which, None)
        if answer == UNDO:
            continue
        if not isinstance(answer, str) or answer not in ANSWERS:
            hint = f"One of: {list_names([*ANSWERS, UNDO])}.{near_miss(str(answer), ANSWERS)}"
            raise _wrong(path, number, f"{answer!r} is no answer", hint)
        found[which] = answer
    return found


def add_answer(path: Path, term: str, question: int, answer: str) -> None:
    """Write an answer; it is on the disk when this returns.

    Processes that write at once take turns. Half a line that a killed one left is cut off first.

    Raises:
        LearningError: `wrong-answer` for a word that is no answer.
    """
    if answer not in (*ANSWERS, UNDO):
        hint = f"One of: {list_names([*ANSWERS, UNDO])}.{near_miss(answer, ANSWERS)}"
        raise LearningError(Problem("wrong-answer", f"{answer!r} is no answer", hints=(hint,)))
    line = json.dumps({"term": term, "id": question, "answer": answer}) + "\n"
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _mend_end(file)
        file.write(line.encode())
        _flush(file)
    if is_new:
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each line of a JSON Lines file; a cut-off last line is left out.

    Raises:
        LearningError: `wrong-answer` for a line that is not JSON.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                if len(text) > MAX_LINE:
                    raise ValueError(f"it has more than {MAX_LINE} characters")
                yield number, json.loads(text)
            except (ValueError, RecursionError) as error:
                if not text.endswith("\n"):
                    return
                raise _wrong(path, number, f"it is not JSON: {error}") from error


def _mend_end(file: IO[bytes]) -> None:
    """Make a file of lines end with a whole one: half a line is cut off, a whole one gets its end."""
    file.seek(0)
    text = file.read()
    tail = text.rpartition(b"\n")[2]
    if not tail:
        return
    try:
        json.loads(tail)
    except (ValueError, RecursionError):
        file.truncate(len(text) - len(tail))
        file.seek(0, os.SEEK_END)
    else:
        file.write(b"\n")


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _clip(segments: Segments, i: int, seed: int | None) -> Clip:
    return Clip(
        int(segments.envs[i]),
        int(segments.episodes[i]),
        int(segments.starts[i]),
        int(segments.rows.shape[1]),
        seed,
    )


def _clip_of(data: dict[str, Any]) -> Clip:
    """Return a clip from plain data; numbers that are none raise a TypeError or ValueError."""
    clip = Clip(data["env"], data["episode"], data["start"], data["steps"], data.get("seed"))
    for number in clip.to_data().values():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise ValueError(f"{number!r} is no count")
    return clip


def _wrong(path: Path, line: int, reason: str, *hints: str) -> LearningError:
    return LearningError(Problem("wrong-answer", f"{path.name}, line {line}: {reason}", hints=hints))
