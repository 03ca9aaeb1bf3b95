"""Questions to people and their answers, as JSON Lines in the run's folder.

`<name>.questions.jsonl` has a line for each pair: its id, and for either side which steps of which episode it shows
(`env`, `episode`, `start`, `steps`). The inputs of the two sides, which a model is fitted to, lie beside it in
`<name>.questions/<id>.npz`. The file of answers is written by `rewardspec label`, or by hand:
`{"id": 3, "answer": "left"}`; left, right, equal or skip. The last answer to a question counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem, list_names, near_miss
from rewardspec.learning.fitting import Pairs
from rewardspec.learning.trajectories import Segments

Floats = npt.NDArray[np.float32]

ANSWERS: dict[str, float | None] = {"left": 1.0, "right": 0.0, "equal": 0.5, "skip": None}
"""What a person may answer, and the label it makes."""

MAX_LINE = 10_000
"""Characters of one line of a file of answers."""


class Questions:
    """The questions of one learned part, and the answers to them.

    Attributes:
        asked: Questions written in all.
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
        self.file = (folder / file).resolve()
        if not self.file.is_relative_to(folder.resolve()):
            message = f"the file of answers, {file!r}, is not inside the run's folder"
            raise LearningError(Problem("wrong-answer", message, hints=("Name a file, as in labels.jsonl.",)))
        self._list = folder / f"{name}.questions.jsonl"
        self._inputs = folder / f"{name}.questions"
        self.asked = sum(1 for _ in read_lines(self._list)) if self._list.exists() else 0

    @property
    def open(self) -> int:
        """Questions without an answer."""
        return self.asked - len(self._answers())

    def ask(self, left: Segments, right: Segments, a: Floats, b: Floats, offset: Floats | None) -> None:
        """Write questions.

        Args:
            left: N segments.
            right: N segments.
            a: `[N, L, D]` inputs of the left ones.
            b: `[N, L, D]` of the right ones.
            offset: `[N]` what is added to the difference of the statistics; nothing when None.
        """
        self._inputs.mkdir(parents=True, exist_ok=True)
        for i in range(len(left)):
            number = self.asked
            extra = np.float32(0.0 if offset is None else offset[i])
            np.savez(self._inputs / f"{number}.npz", allow_pickle=False, a=a[i], b=b[i], offset=extra)
            line = {"id": number, "left": _clip(left, i), "right": _clip(right, i)}
            with self._list.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self.asked += 1

    def answered(self, length: int, width: int) -> Pairs:
        """Return the pairs with an answer other than skip, segments of `length` steps of `width` numbers.

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
        return Pairs(a, b, np.array([label for _, label in kept], np.float32), offset)

    def cut(self, asked: int) -> None:
        """Forget the questions after the first `asked` ones."""
        if not self._list.exists():
            return
        lines = [line for number, line in read_lines(self._list) if number <= asked]
        self._list.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        self.asked = len(lines)

    def _answers(self) -> dict[int, str]:
        if not self.file.exists():
            return {}
        return read_answers(self.file, self.asked)


def read_answers(path: Path, asked: int) -> dict[int, str]:
    """Return the last answer to each question.

    A last line that was cut off is left out: whoever writes it is not done.

    Args:
        path: JSON Lines file of answers.
        asked: Number of questions; their ids are below it.

    Raises:
        LearningError: `wrong-answer`, with the line, for anything else that cannot be read.
    """
    found: dict[int, str] = {}
    for number, line in read_lines(path):
        if not isinstance(line, dict) or not {"id", "answer"} <= set(line):
            raise _wrong(path, number, 'it is not of the form {"id": 3, "answer": "left"}')
        which, answer = line["id"], line["answer"]
        if isinstance(which, bool) or not isinstance(which, int) or not 0 <= which < asked:
            ids = f"ids are 0 to {asked - 1}" if asked else "nothing was asked yet"
            raise _wrong(path, number, f"there is no question {which!r}; {ids}")
        if answer not in ANSWERS:
            hint = f"One of: {list_names(ANSWERS)}.{near_miss(str(answer), ANSWERS)}"
            raise _wrong(path, number, f"{answer!r} is no answer", hint)
        found[which] = answer
    return found


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


def _clip(segments: Segments, i: int) -> dict[str, int]:
    return {
        "env": int(segments.envs[i]),
        "episode": int(segments.episodes[i]),
        "start": int(segments.starts[i]),
        "steps": int(segments.rows.shape[1]),
    }


def _wrong(path: Path, line: int, reason: str, *hints: str) -> LearningError:
    return LearningError(Problem("wrong-answer", f"{path.name}, line {line}: {reason}", hints=hints))
