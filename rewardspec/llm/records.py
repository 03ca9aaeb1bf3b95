"""What models answered, kept: a JSON Lines file that is found by content, written by one provider and read by another.

A line holds the whole request with its digest, the prompt file it came from, the model's card, the answers, the token
counts, the seconds and the date. It is provider-neutral, shows in a diff, and holds no header and no key.
"""

from __future__ import annotations

import datetime
import difflib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rewardspec.errors import LanguageModelError, Place, Problem, list_names
from rewardspec.llm.provider import Answer, Completion, Message, ModelCard, Provider, Request, digest_of

SHOWN_LINES = 12
"""Lines of a difference that a message shows."""

Key = tuple[str, str]
"""Name of the model and digest of the request."""


class RecordStore:
    """The records of one file, by model and request.

    Attributes:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the file where it exists.

        Raises:
            LanguageModelError: `broken-records` for a line that is no record, or whose digest is not its request's.
        """
        self.path = Path(path)
        self._lock = threading.Lock()
        self._torn = 0
        self._records: dict[Key, dict[str, Any]] = {}
        if self.path.is_file():
            self._read()

    def _read(self) -> None:
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                name, digest = record["model"]["name"], record["digest"]
                completion_of(record), request_of(record)
            except (ValueError, KeyError, TypeError) as error:
                if number == len(lines):  # the line that was being written when its run was stopped
                    self._torn = len(line)
                    continue
                raise self._broken(number, f"it is no record ({type(error).__name__})") from None
            if digest_of(record["request"]) != digest:
                raise self._broken(number, "its digest is not that of its request: it was changed by hand")
            self._records[name, digest] = record

    def _broken(self, number: int, why: str) -> LanguageModelError:
        hint = "Make it anew with the model, or take the line out."
        return LanguageModelError(
            Problem("broken-records", f"line {number}: {why}", Place(str(self.path), number, 1), (hint,))
        )

    def __len__(self) -> int:
        return len(self._records)

    def models(self) -> list[str]:
        """Return the names of the models that have records here."""
        return sorted({name for name, _ in self._records})

    def prompts(self) -> set[str]:
        """Return the prompt files, with digests, that the records were made from."""
        return {record["prompt"] for record in self._records.values() if record["prompt"]}

    def records(self) -> Iterable[Mapping[str, Any]]:
        """Return all records, in the order of the file."""
        return tuple(self._records.values())

    def find(self, model: str, request: Request) -> Completion | None:
        """Return what a model answered; None where it was not asked."""
        record = self._records.get((model, request.digest()))
        return None if record is None else completion_of(record)

    def add(self, request: Request, completion: Completion) -> None:
        """Write a record at the end of the file, in one piece."""
        record: dict[str, Any] = {
            "request": request.to_data(),
            "digest": request.digest(),
            "prompt": request.prompt,
            "model": {
                "name": completion.card.name,
                "runtime": completion.card.runtime,
                "weights": completion.card.weights,
            },
            "answers": [{"text": a.text, "finish": a.finish} for a in completion.answers],
            "tokens": {"prompt": completion.prompt_tokens, "answer": completion.answer_tokens},
            "seconds": round(completion.seconds, 3),
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        }
        line = json.dumps(record, ensure_ascii=False) + "\n"
        with self._lock:
            self._records[completion.card.name, request.digest()] = record
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._torn:
                os.truncate(self.path, self.path.stat().st_size - self._torn)
                self._torn = 0
            with self.path.open("ab") as file:
                file.write(line.encode())

    def nearest(self, model: str, request: Request) -> Request | None:
        """Return the recorded request of a model that is most like another one; None where there are none."""
        text = _flat(request)
        best, found = -1.0, None
        for (name, _), record in self._records.items():
            if name != model:
                continue
            other = request_of(record)
            likeness = difflib.SequenceMatcher(None, text[-4000:], _flat(other)[-4000:], False).quick_ratio()
            if likeness > best:
                best, found = likeness, other
        return found


class Replay:
    """Answers from records alone: what was not recorded is an error, never a silent call.

    Attributes:
        store: The records.
        card: The card of the model whose answers these are.
    """

    def __init__(self, records: RecordStore | str | Path, model: str | None = None) -> None:
        """Take the records of one model.

        Args:
            records: A store, or its file.
            model: Whose; needed where the file has several.

        Raises:
            LanguageModelError: `no-record` where the file has none of that model; `broken-records`.
        """
        self.store = records if isinstance(records, RecordStore) else RecordStore(records)
        models = self.store.models()
        name = model or (models[0] if len(models) == 1 else None)
        if name not in models:
            asked = f"of '{model}'" if model else "of one model" if models else ""
            raise LanguageModelError(
                Problem(
                    "no-record",
                    f"{self.store.path} has no records {asked}".rstrip(),
                    hints=(f"It has records of: {list_names(models)}.",),
                )
            )
        of_model = next(r for r in self.store.records() if r["model"]["name"] == name)
        self.card: ModelCard = completion_of(of_model).card

    def complete(self, request: Request) -> Completion:
        """Return what was recorded.

        Raises:
            LanguageModelError: `no-record`, with the nearest recorded prompt and the difference.
        """
        found = self.store.find(self.card.name, request)
        if found is not None:
            return found
        nearest = self.store.nearest(self.card.name, request)
        hints = ["Record it: ask the model itself through a `Recorder` on the same file."]
        if nearest is not None:
            hints = [f"The nearest record differs:\n{difference(nearest, request)}", *hints]
        raise LanguageModelError(
            Problem(
                "no-record",
                f"{self.store.path} has no answer of '{self.card.name}' to this request "
                f"({request.prompt or request.digest()[:12]})",
                hints=tuple(hints),
            )
        )


class Recorder:
    """Asks another provider and records what it says; what it recorded before is not asked again.

    Attributes:
        inner: Who is asked.
        store: The records.
        misses: Requests that were not recorded before.
    """

    def __init__(self, inner: Provider, records: RecordStore | str | Path) -> None:
        """See the class."""
        self.inner = inner
        self.store = records if isinstance(records, RecordStore) else RecordStore(records)
        self.misses = 0

    @property
    def card(self) -> ModelCard:
        """The inner provider's."""
        return self.inner.card

    def complete(self, request: Request) -> Completion:
        """Return the recorded answers, or new ones, and record these."""
        found = self.store.find(self.card.name, request)
        if found is not None:
            return found
        self.misses += 1
        completion = self.inner.complete(request)
        self.store.add(request, completion)
        return completion


class Remembered:
    """Asks another provider and keeps what it says for as long as the process lives.

    Environments that train side by side share one of these, so that what one was told is not asked for the others.
    Requests at a temperature above 0 are asked anew.

    Attributes:
        inner: Who is asked.
    """

    def __init__(self, inner: Provider) -> None:
        """See the class."""
        self.inner = inner
        self._said: dict[str, Completion] = {}

    @property
    def card(self) -> ModelCard:
        """The inner provider's."""
        return self.inner.card

    def complete(self, request: Request) -> Completion:
        """Return what was said before, or ask."""
        if request.temperature > 0:
            return self.inner.complete(request)
        digest = request.digest()
        found = self._said.get(digest)
        if found is None:
            found = self.inner.complete(request)
            self._said[digest] = replace(found, is_new=False)
        return found


def completion_of(record: Mapping[str, Any]) -> Completion:
    """Return the answers of a record."""
    model, tokens = record["model"], record["tokens"]
    return Completion(
        tuple(
            Answer(str(a["text"]), "length" if a["finish"] == "length" else "stop") for a in record["answers"]
        ),
        ModelCard(str(model["name"]), str(model["runtime"]), str(model["weights"])),
        int(tokens["prompt"]),
        int(tokens["answer"]),
        is_new=False,
    )


def request_of(record: Mapping[str, Any]) -> Request:
    """Return the request of a record."""
    data = record["request"]
    messages = tuple(Message(m["role"], m["content"]) for m in data["messages"])
    return Request(
        messages,
        schema=data["schema"],
        grammar=data["grammar"],
        n=data["n"],
        temperature=data["temperature"],
        seed=data["seed"],
        max_tokens=data["max_tokens"],
        prompt=record["prompt"],
    )


def difference(recorded: Request, asked: Request) -> str:
    """Return what tells two requests apart, a few lines of a unified difference.

    Example:
        >>> from rewardspec.llm.provider import ask
        >>> print(difference(ask("Is the door open?"), ask("Is the door shut?", seed=1)))
        -Is the door open?
        +Is the door shut?
        -seed: 0
        +seed: 1
    """
    lines = difflib.unified_diff(_flat(recorded).split("\n"), _flat(asked).split("\n"), n=0, lineterm="")
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    more = [f"... and {len(changed) - SHOWN_LINES} lines more"] if len(changed) > SHOWN_LINES else []
    return "\n".join([line[:160] for line in changed[:SHOWN_LINES]] + more)


def _flat(request: Request) -> str:
    """Return a request as lines of text: its messages, then its options."""
    data = request.to_data()
    spoken = "\n".join(f"[{m.role}]\n{m.content}" for m in request.messages)
    options = (f"{key}: {json.dumps(value)}" for key, value in data.items() if key != "messages")
    return "\n".join((spoken, *options))
