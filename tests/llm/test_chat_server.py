"""The protocol, over real sockets: what is sent, and what becomes of everything that a server can do wrong.

These tests prove that the client speaks the protocol. They prove nothing about any model.
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request as Seen
from werkzeug import Response

from rewardspec.errors import LanguageModelError
from rewardspec.llm.chat_server import ChatServer, Patience, retry_after
from rewardspec.llm.provider import ask

KEY = "sk-correct-horse-battery-staple"
SCHEMA = {"type": "object", "properties": {"open": {"type": "boolean"}}, "required": ["open"]}


def reply(*texts: str, finish: str = "stop", usage: Any = None) -> dict[str, Any]:
    choices = [{"message": {"role": "assistant", "content": t}, "finish_reason": finish} for t in texts]
    return {"choices": choices, "usage": usage or {"prompt_tokens": 11, "completion_tokens": 3}}


class Pauses(list[float]):
    """Stands in for `time.sleep`: remembers the pauses and does not make them."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def client(server: HTTPServer, pauses: Pauses | None = None, **options: Any) -> ChatServer:
    patience = options.pop("patience", Patience(timeout=5.0, tries=3, pause=1.0, jitter=0.0))
    return ChatServer(
        server.url_for("/v1"),
        "small",
        patience=patience,
        sleep=Pauses() if pauses is None else pauses,
        **options,
    )


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(LanguageModelError) as caught:
        call()
    return caught.value.problems[0].code


def test_the_body_is_what_the_protocol_says(httpserver: HTTPServer) -> None:
    seen: list[Seen] = []

    def handle(request: Seen) -> Response:
        seen.append(request)
        return Response(json.dumps(reply('{"open": true}')), content_type="application/json")

    httpserver.expect_request("/v1/chat/completions", method="POST").respond_with_handler(handle)
    request = ask("Is it open?", system="Be brief.", schema=SCHEMA, temperature=0.5, seed=7, max_tokens=16)
    found = client(httpserver).complete(request)
    assert (found.text, found.prompt_tokens, found.answer_tokens) == ('{"open": true}', 11, 3)
    assert json.loads(seen[0].get_data()) == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Is it open?"},
        ],
        "n": 1,
        "temperature": 0.5,
        "seed": 7,
        "max_tokens": 16,
        "stream": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
    }
    assert seen[0].headers["Content-Type"] == "application/json"
    assert "Authorization" not in seen[0].headers


def test_a_grammar_and_further_fields_are_sent(httpserver: HTTPServer) -> None:
    body = {**client(httpserver).body_of(ask("?", grammar='root ::= "yes"')), "cache_prompt": True}
    httpserver.expect_request("/v1/chat/completions", json=body).respond_with_json(reply("yes"))
    server = client(httpserver, extra={"cache_prompt": True})
    assert server.complete(ask("?", grammar='root ::= "yes"')).text == "yes"


def test_the_key_goes_into_the_header_and_nowhere_else(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    headers = {"Authorization": f"Bearer {KEY}"}
    httpserver.expect_ordered_request("/v1/chat/completions", headers=headers).respond_with_json(reply("yes"))
    httpserver.expect_ordered_request("/v1/chat/completions").respond_with_data(f"no key {KEY}", status=401)
    httpserver.expect_ordered_request("/v1/chat/completions").respond_with_data(f"<p>{KEY}</p>")
    server = client(httpserver, key_variable="MODEL_KEY")
    assert server.complete(ask("?")).text == "yes"
    for code in ("llm-refused", "llm-bad-response"):  # servers that repeat the key
        with pytest.raises(LanguageModelError) as caught:
            server.complete(ask("?"))
        assert caught.value.problems[0].code == code
        assert KEY not in str(caught.value) and "<key>" in str(caught.value)
    assert KEY not in repr(vars(server)) and KEY not in caplog.text
    monkeypatch.delenv("MODEL_KEY")
    assert code_of(lambda: server.complete(ask("?"))) == "llm-no-key"


def test_a_server_that_gives_one_answer_is_asked_for_the_others(httpserver: HTTPServer) -> None:
    seeds: list[int] = []

    def handle(request: Seen) -> Response:
        seeds.append(json.loads(request.get_data())["seed"])
        return Response(json.dumps(reply(f"answer {len(seeds)}")), content_type="application/json")

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(handle)
    found = client(httpserver).complete(ask("?", n=3, seed=5, temperature=1.0))
    assert [a.text for a in found.answers] == ["answer 1", "answer 2", "answer 3"]
    assert seeds == [5, 6, 7] and found.tokens == 3 * 14


def test_an_answer_that_was_cut_off_says_so(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/chat/completions").respond_with_json(reply("```", finish="length"))
    assert client(httpserver).complete(ask("?")).answers[0].finish == "length"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_tried_again(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_oneshot_request("/v1/chat/completions").respond_with_data("wrong", status=status)
    with pytest.raises(LanguageModelError, match=f"status {status}") as caught:
        client(httpserver).complete(ask("?"))
    assert caught.value.problems[0].code == "llm-refused" and "'wrong'" in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_with_growing_pauses(httpserver: HTTPServer, status: int) -> None:
    for _ in range(2):
        httpserver.expect_ordered_request("/v1/chat/completions").respond_with_data("", status=status)
    httpserver.expect_ordered_request("/v1/chat/completions").respond_with_json(reply("yes"))
    pauses = Pauses()
    assert client(httpserver, pauses).complete(ask("?")).text == "yes"
    assert pauses == [1.0, 2.0]


def test_tries_are_bounded(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/chat/completions").respond_with_data("", status=500)
    assert code_of(lambda: client(httpserver).complete(ask("?"))) == "llm-unreachable"
    assert len(httpserver.log) == 3
    httpserver.clear()
    httpserver.expect_request("/v1/chat/completions").respond_with_data("", status=429)
    assert code_of(lambda: client(httpserver).complete(ask("?"))) == "llm-overloaded"


def test_retry_after_is_kept_to(httpserver: HTTPServer) -> None:
    path = "/v1/chat/completions"
    httpserver.expect_ordered_request(path).respond_with_data("", status=429, headers={"Retry-After": "7"})
    httpserver.expect_ordered_request(path).respond_with_json(reply("yes"))
    pauses = Pauses()
    assert client(httpserver, pauses).complete(ask("?")).text == "yes"
    assert pauses == [7.0]


def test_a_pause_of_an_hour_is_not_made(httpserver: HTTPServer) -> None:
    headers = {"Retry-After": "3600"}
    httpserver.expect_request("/v1/chat/completions").respond_with_data("", status=429, headers=headers)
    pauses = Pauses()
    with pytest.raises(LanguageModelError, match="asked to wait 3600 s"):
        client(httpserver, pauses).complete(ask("?"))
    assert pauses == [] and len(httpserver.log) == 1


def test_retry_after_may_be_a_date() -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)
    said = retry_after(email.utils.format_datetime(soon))
    assert said is not None and 25 < said <= 30
    assert retry_after("Wed, 01 Jan 2020 00:00:00 GMT") == 0.0


def test_a_slow_server_is_given_up(httpserver: HTTPServer) -> None:
    released = threading.Event()

    def handle(request: Seen) -> Response:
        released.wait(5.0)
        return Response(json.dumps(reply("late")))

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(handle)
    patience = Patience(timeout=0.1, tries=1)
    with pytest.raises(LanguageModelError, match="no answer in time") as caught:
        client(httpserver, patience=patience).complete(ask("?"))
    released.set()
    assert caught.value.problems[0].code == "llm-unreachable"


Talk = Callable[[socket.socket], None]


@pytest.fixture
def raw_server() -> Iterator[Callable[[Talk], str]]:
    """Serve by hand: what no web framework would send."""
    sockets: list[socket.socket] = []

    def start(talk: Talk) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    with contextlib.suppress(OSError):
                        talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

    yield start
    for listener in sockets:
        listener.close()


def head(length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()


WHOLE = json.dumps(reply("yes")).encode()


def test_a_closed_socket_is_a_failure_that_may_pass(raw_server: Callable[[Talk], str]) -> None:
    calls: list[int] = []

    def talk(connection: socket.socket) -> None:
        calls.append(1)
        if len(calls) == 3:
            connection.sendall(head(len(WHOLE)) + WHOLE)

    server = ChatServer(raw_server(talk), "small", patience=Patience(tries=3, jitter=0.0), sleep=Pauses())
    assert server.complete(ask("?")).text == "yes" and len(calls) == 3


def test_a_response_that_breaks_off_is_tried_again_and_never_read(raw_server: Callable[[Talk], str]) -> None:
    url = raw_server(lambda connection: connection.sendall(head(len(WHOLE)) + WHOLE[:-20]))
    server = ChatServer(url, "small", patience=Patience(tries=2), sleep=Pauses())
    with pytest.raises(LanguageModelError, match="broke"):
        server.complete(ask("?"))


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(raw_server: Callable[[Talk], str]) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(head(1000))
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.02)

    server = ChatServer(raw_server(talk), "small", patience=Patience(timeout=0.2, tries=1))
    began = time.monotonic()
    with pytest.raises(LanguageModelError, match="in time"):
        server.complete(ask("?"))
    assert time.monotonic() - began < 1.5  # of the two seconds that it would take


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    server = ChatServer(f"http://127.0.0.1:{port}/v1", "small", patience=Patience(tries=2), sleep=Pauses())
    with pytest.raises(LanguageModelError, match=r"cannot be reached.*llm-unreachable"):
        server.complete(ask("?"))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(reply("yes"))[:40],
        "<html>",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices": [{}]}',
        '{"choices": [{"message": {"content": null}}]}',
        '{"choices": [{"message": "yes"}]}',
        "\xff",
    ],
)
def test_what_is_no_answer_is_said_to_be_none(httpserver: HTTPServer, body: str) -> None:
    httpserver.expect_request("/v1/chat/completions").respond_with_data(body.encode("latin-1"))
    assert code_of(lambda: client(httpserver).complete(ask("?"))) == "llm-bad-response"


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": "many"}, {"prompt_tokens": -3}])
def test_a_server_that_does_not_count_tokens_is_taken_for_zero(httpserver: HTTPServer, usage: Any) -> None:
    body = {**reply("yes"), "usage": usage}
    httpserver.expect_request("/v1/chat/completions").respond_with_json(body)
    assert client(httpserver).complete(ask("?")).prompt_tokens == 0


def test_an_endless_response_is_not_kept(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewardspec.llm.chat_server.MAX_RESPONSE", 1000)
    httpserver.expect_request("/v1/chat/completions").respond_with_json(reply("yes " * 1000))
    assert code_of(lambda: client(httpserver).complete(ask("?"))) == "llm-bad-response"


def test_a_redirect_is_not_followed(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    elsewhere = httpserver.url_for("/elsewhere")
    httpserver.expect_request("/v1/chat/completions").respond_with_data(
        "", status=307, headers={"Location": elsewhere}
    )
    assert code_of(lambda: client(httpserver, key_variable="MODEL_KEY").complete(ask("?"))) == "llm-refused"
    assert [request.path for request, _ in httpserver.log] == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    "url",
    [
        "https://models.example.org/v1",
        "http://10.0.0.7:8080/v1",
        "http://127.0.0.1.example.org/v1",
        "http://0.0.0.0:8080/v1",
        "http://[::ffff:10.0.0.7]/v1",
        "http://2130706433/v1",
    ],
)
def test_another_machine_is_asked_only_when_that_is_said(url: str) -> None:
    assert code_of(lambda: ChatServer(url, "large")) == "remote-llm"
    ChatServer(url, "large", allow_remote=True)  # makes no call


def test_a_key_goes_to_another_machine_over_tls_alone() -> None:
    url = "http://models.example.org/v1"
    assert code_of(lambda: ChatServer(url, "large", allow_remote=True, key_variable="K")) == "remote-llm"
    ChatServer("https://models.example.org/v1", "large", allow_remote=True, key_variable="K")


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8080", "ftp://127.0.0.1/v1", "file:///etc/hostname", "http://", "http://127.0.0.1:99999/v1",
     "http://user:secret@127.0.0.1/v1", "http://127.0.0.1/v1?key=secret", "http://[::1/v1", ""],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_a_secret(url: str) -> None:
    with pytest.raises(LanguageModelError) as caught:
        ChatServer(url, "small")
    assert caught.value.problems[0].code == "bad-llm-address"
    assert "user:secret" not in str(caught.value)


def test_the_proxy_of_the_machine_is_not_asked_for_loopback(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    httpserver.expect_request("/v1/chat/completions").respond_with_json(reply("yes"))
    assert client(httpserver).complete(ask("?")).text == "yes"
