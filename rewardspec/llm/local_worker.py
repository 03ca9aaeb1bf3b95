"""The process in which weights are loaded: `python -I local_worker.py FILE CONTEXT`.

Weights are parsed by C++ code that was not written for hostile files, so they stay out of the process that trains. This
one reads a request a line from stdin and writes a response a line to stdout, both JSON; it ends when stdin does. It
computes on one thread, without busy waiting: more would collapse where cores are shared.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main(path: str, context: int) -> None:
    """Load the weights, say so, and answer until there is nothing more to read."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the library prints is not part of the conversation
    try:
        server, version = load(path, context)
    except Exception as error:
        say(channel, {"error": f"{type(error).__name__}: {error}"})
        return
    say(channel, {"ready": True, "runtime": version})
    for line in sys.stdin:
        try:
            say(channel, {"response": server.handle_chat_completions(json.loads(line))})
        except Exception as error:
            say(channel, {"error": f"{type(error).__name__}: {error}"})


def load(path: str, context: int) -> tuple[Any, str]:
    """Return llama.cpp's server over the weights, and what it is."""
    from importlib.metadata import version

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = context
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.warmup = False
    params.verbosity = 0
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = 1
        threads.poll = 0
    return xllamacpp.Server(params), f"xllamacpp {version('xllamacpp')}"


def say(channel: Any, message: dict[str, Any]) -> None:
    """Write one message."""
    channel.write(json.dumps(message) + "\n")
    channel.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
