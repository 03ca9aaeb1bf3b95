"""Which language model is asked where a spec says `llm: default`, or the name of fetched weights.

A spec may come from anybody, so it names no address, no file and no key: these are the user's own settings, in
environment variables. What `default` means is in REWARDSPEC_LLM:

    REWARDSPEC_LLM=smollm2                        # weights that `rewardspec llm fetch` downloaded
    REWARDSPEC_LLM=/models/large.gguf             # weights in a file
    REWARDSPEC_LLM=http://127.0.0.1:8080/v1       # a server, with REWARDSPEC_LLM_MODEL=name
    REWARDSPEC_LLM=replay:records.jsonl           # records

A server on another machine needs REWARDSPEC_LLM_ALLOW_REMOTE=1, and its key is read from REWARDSPEC_LLM_KEY. Two more
hold for any of them: REWARDSPEC_LLM_BUDGET=calls=2000,tokens=1000000,seconds=3600 is what a process may spend, and
REWARDSPEC_LLM_RECORDS=file.jsonl is where answers are kept and looked up.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from rewardspec.errors import LanguageModelError, Place, Problem, list_names
from rewardspec.llm.budget import Budget, Budgeted
from rewardspec.llm.chat_server import ChatServer
from rewardspec.llm.provider import Provider
from rewardspec.llm.records import Recorder, Remembered, Replay
from rewardspec.llm.weights import catalogue, weights_named

VARIABLE, MODEL, KEY, REMOTE, BUDGET, RECORDS = (
    "REWARDSPEC_LLM",
    "REWARDSPEC_LLM_MODEL",
    "REWARDSPEC_LLM_KEY",
    "REWARDSPEC_LLM_ALLOW_REMOTE",
    "REWARDSPEC_LLM_BUDGET",
    "REWARDSPEC_LLM_RECORDS",
)

REPLAY = "replay:"


def open_provider(name: str = "default", place: Place | None = None) -> Provider:
    """Return the model that a spec names; the same object for the same name, so that weights are loaded once.

    Args:
        name: `default`, or the name of weights that were fetched.
        place: Where the spec says so, for the error.

    Raises:
        LanguageModelError: `no-llm` where `default` is not set, `unknown-weights`, `no-weights`, or what the provider
            finds wrong.
        MissingExtraError: For weights, where `xllamacpp` is not installed.
    """
    if name != "default":
        if name not in catalogue():
            hints = (
                f"A spec names 'default' or weights: {list_names(catalogue())}.",
                f"An address or a file is the user's to set: {VARIABLE}.",
            )
            message = f"no language model is called '{name[:80]}'"
            raise LanguageModelError(Problem("unknown-weights", message, place or Place(), hints))
        return _opened(name, "", "", False, *_around())
    setting = os.environ.get(VARIABLE, "").strip()
    if not setting:
        hints = (
            f"Say which: {VARIABLE}=http://127.0.0.1:8080/v1 and {MODEL}=name, or {VARIABLE}=qwen-coder-1.5b.",
            "Or hand one over: rewardspec.wrap_judged(env, spec, provider).",
        )
        raise LanguageModelError(
            Problem("no-llm", "the spec asks a language model, and none is set", place or Place(), hints)
        )
    key = KEY if os.environ.get(KEY) else ""
    return _opened(setting, os.environ.get(MODEL, ""), key, os.environ.get(REMOTE) == "1", *_around())


def _around() -> tuple[str, str]:
    return os.environ.get(BUDGET, "").strip(), os.environ.get(RECORDS, "").strip()


@cache
def _opened(
    setting: str, model: str, key_variable: str, allow_remote: bool, budget: str, records: str
) -> Provider:
    """Return a model with what the user has put around it; asked twice, it answers from memory."""
    provider = _bare(setting, model, key_variable, allow_remote)
    if budget:
        provider = Budgeted(provider, read_budget(budget))
    return Remembered(Recorder(provider, records) if records else provider)


def read_budget(text: str) -> Budget:
    """Return the budget that a text such as `calls=500,tokens=200000` says.

    Raises:
        LanguageModelError: `bad-budget`.

    Example:
        >>> read_budget("calls=500, seconds=60")
        Budget(calls=500, tokens=None, seconds=60.0)
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in ("calls", "tokens", "seconds") or not number.replace("_", "").isdecimal():
            hint = "For example calls=500,tokens=200000,seconds=3600."
            raise LanguageModelError(Problem("bad-budget", f"{part[:60]!r} is no budget", hints=(hint,)))
        found[name] = int(number)
    seconds = found.pop("seconds", None)
    return Budget(
        **{name: int(n) for name, n in found.items()}, seconds=None if seconds is None else float(seconds)
    )


def _bare(setting: str, model: str, key_variable: str, allow_remote: bool) -> Provider:
    if setting.startswith(REPLAY):
        return Replay(setting.removeprefix(REPLAY), model or None)
    if "://" in setting:
        return ChatServer(
            setting, model or "default", key_variable=key_variable or None, allow_remote=allow_remote
        )
    from rewardspec.llm.local import LocalWeights

    if setting.endswith(".gguf"):
        return LocalWeights(Path(setting).expanduser())
    weights = weights_named(setting)
    if not weights.is_there:
        hint = f"rewardspec llm fetch {setting}"
        raise LanguageModelError(Problem("no-weights", f"'{setting}' has not been fetched", hints=(hint,)))
    return LocalWeights(weights.file, weights.name, sha256=weights.sha256)
