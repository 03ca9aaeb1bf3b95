"""Weights on this machine, run by llama.cpp (`xllamacpp`, extra `local-llm`) in a process of their own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

from rewardspec.errors import LanguageModelError, Problem, missing_extra
from rewardspec.llm.chat import NotAnAnswerError, answers_of, body_of
from rewardspec.llm.provider import Answer, Completion, ModelCard, Request
from rewardspec.llm.weights import digest_of_file

WORKER = Path(__file__).parent / "local_worker.py"

CONTEXT = 4096
"""Tokens of prompt and answer together, at most."""


class LocalWeights:
    """A model from a GGUF file.

    The worker starts at the first request and ends with this object, with `close`, or at the end of a `with` block. One
    request is answered at a time, on one thread.

    Attributes:
        path: The file.
        card: Name, runtime and the file's SHA-256.
    """

    def __init__(
        self,
        path: str | Path,
        name: str | None = None,
        *,
        sha256: str | None = None,
        context: int = CONTEXT,
        timeout: float = 600.0,
    ) -> None:
        """Check the file; nothing is loaded yet.

        Args:
            path: GGUF file.
            name: Name for records; the file's own when not given.
            sha256: Digest that the file must have; taken as it is when not given.
            context: Tokens of prompt and answer together.
            timeout: Seconds that one request may take.

        Raises:
            MissingExtraError: `xllamacpp` is not installed.
            LanguageModelError: `no-weights` where there is no file, `broken-weights` where it is another one.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise missing_extra("xllamacpp", "local-llm", "a language model on this machine")
        self.path = Path(path).resolve()
        if not self.path.is_file():
            hint = "`rewardspec llm fetch smollm2` downloads a small one."
            raise LanguageModelError(Problem("no-weights", f"there is no file {self.path}", hints=(hint,)))
        found = digest_of_file(self.path)
        if sha256 is not None and found != sha256:
            hints = (f"expected {sha256}", f"found    {found}", "Fetch it anew.")
            raise LanguageModelError(
                Problem("broken-weights", f"{self.path.name} is not the file it should be", hints=hints)
            )
        from importlib.metadata import version

        self.card = ModelCard(name or self.path.stem, f"xllamacpp {version('xllamacpp')}", found)
        self._context, self._timeout = context, timeout
        self._worker: _Worker | None = None
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Completion:
        """Return the model's answers, each asked for by itself.

        Raises:
            LanguageModelError: `llm-unreachable` where the process ended or took too long, `llm-refused` where the
                runtime refused the request, `llm-bad-response`.
        """
        began = time.monotonic()
        answers: list[Answer] = []
        read = written = 0
        with self._lock:
            for i in range(request.n):
                one = replace(request, n=1, seed=request.seed + i)
                response = self._ask(body_of(one, self.card.name))
                try:
                    (answer, *_), prompt_tokens, answer_tokens = answers_of(response)
                except NotAnAnswerError as error:
                    raise _refused(response, error) from None
                answers.append(answer)
                read, written = read + prompt_tokens, written + answer_tokens
        return Completion(tuple(answers), self.card, read, written, time.monotonic() - began)

    def _ask(self, body: dict[str, Any]) -> Any:
        if self._worker is None:
            self._worker = _Worker(self.path, self._context)
        try:
            return self._worker.ask(body, self._timeout)
        except LanguageModelError:
            self.close()
            raise

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def __enter__(self) -> LocalWeights:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _refused(response: Any, error: Exception) -> LanguageModelError:
    said = response.get("error") if isinstance(response, dict) else None
    if isinstance(said, dict):
        message = f"the runtime refused the request: {str(said.get('message'))[:300]}"
        return LanguageModelError(Problem("llm-refused", message))
    return LanguageModelError(Problem("llm-bad-response", str(error)))


class _Worker:
    """The process that holds the weights, and the conversation with it."""

    def __init__(self, path: Path, context: int) -> None:
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 (the worker writes to it until it ends)
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(WORKER), str(path), str(context)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            env=_environment(),
        )
        self.end = weakref.finalize(self, _end, self._process)
        self._said: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_listen, args=(self._process, self._said), daemon=True).start()
        self._hear(300.0)

    def ask(self, body: dict[str, Any], timeout: float) -> Any:
        """Return the response to one request."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # its end is told by what is heard
            self._process.stdin.write(json.dumps(body).encode() + b"\n")
            self._process.stdin.flush()
        return self._hear(timeout).get("response")

    def _hear(self, timeout: float) -> dict[str, Any]:
        try:
            line = self._said.get(timeout=timeout)
        except queue.Empty:
            raise self._failed(f"gave no answer in {timeout:g} s") from None
        if not line:
            raise self._failed("ended by itself")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise self._failed(f"failed: {message['error']}")
        return message

    def _failed(self, what: str) -> LanguageModelError:
        self._noise.seek(0)
        last = self._noise.read().decode(errors="replace").strip().splitlines()[-3:]
        hints = tuple(line[:300] for line in last)
        return LanguageModelError(
            Problem("llm-unreachable", f"the process that holds the weights {what}", hints=hints)
        )


def _environment() -> dict[str, str]:
    """Return the worker's environment: what a program needs to start, and no secrets."""
    kept = (
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "SYSTEMROOT",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
    )
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return found | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def _listen(process: subprocess.Popen[bytes], said: queue.Queue[bytes]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        said.put(line)
    said.put(b"")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker, and wait for it: gently, then not."""
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
