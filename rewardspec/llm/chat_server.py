"""A model behind an OpenAI-compatible server, over the standard library's HTTP.

A server on this machine is the default. Another one is asked only with `allow_remote`, and then over TLS where a key
goes along. The key comes from an environment variable at each call; it is in no attribute, record or message.
"""

from __future__ import annotations

import email.utils
import http.client
import ipaddress
import json
import os
import random
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rewardspec.errors import LanguageModelError, Problem
from rewardspec.llm.chat import NotAnAnswerError, answers_of, body_of
from rewardspec.llm.provider import Completion, ModelCard, Request

MAX_RESPONSE = 8 * 2**20
"""Bytes of a response that are read."""

RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
"""Statuses that may be different the next time."""


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        timeout: Seconds for one try, from connecting to the last byte.
        tries: Tries, at least one.
        pause: Seconds before the second try; doubled for each further one.
        jitter: Share of a pause that is drawn at random, so that many clients do not come back together.
        longest: Seconds of one pause at most, also where the server asks for a longer one.
    """

    timeout: float = 120.0
    tries: int = 4
    pause: float = 1.0
    jitter: float = 0.25
    longest: float = 60.0


class _TryAgainError(Exception):
    """A failure that may pass; `after` is what the server asked to wait, in seconds."""

    def __init__(self, code: str, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.code, self.after = code, after


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could lead from this machine to another one, key and all: it is an answer like any other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""
        return


class ChatServer:
    """A model behind `POST {base_url}/chat/completions`.

    A schema is sent as `response_format`, a grammar as `grammar`, which llama.cpp's server reads. Both are wishes: what
    comes back is checked by whoever asked.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key_variable: str | None = None,
        allow_remote: bool = False,
        patience: Patience | None = None,
        extra: Mapping[str, Any] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take a server; nothing is sent yet.

        Args:
            base_url: Such as `http://127.0.0.1:8080/v1`.
            model: Name of the model, as the server knows it.
            key_variable: Environment variable that holds the key; None where the server asks for none.
            allow_remote: Whether the server may be another machine: prompts, with what the agent saw, go there then.
            patience: Timeouts and retries.
            extra: Further fields of the body, for what only this server knows.
            sleep: What waits between two tries.

        Raises:
            LanguageModelError: `remote-llm` for another machine without `allow_remote`, or with a key and without TLS;
                `bad-llm-address` for what is no such URL.
        """
        self.base_url = _checked(base_url, allow_remote, key_variable is not None)
        self.card = ModelCard(model, "http")
        self.patience = patience or Patience()
        self._key_variable, self._extra, self._sleep = key_variable, dict(extra or {}), sleep
        self._rng = random.Random(0)
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if is_loopback(urllib.parse.urlsplit(base_url).hostname or ""):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def complete(self, request: Request) -> Completion:
        """Return the server's answers; where it gives fewer than were asked for, ask for the others one by one.

        Raises:
            LanguageModelError: `llm-unreachable`, `llm-overloaded`, `llm-refused`, `llm-bad-response`, `llm-no-key`.
        """
        began = time.monotonic()
        found = self._once(request)
        for i in range(len(found.answers), request.n):
            more = self._once(replace(request, n=1, seed=request.seed + i))
            found = replace(
                found,
                answers=(*found.answers, more.answers[0]),
                prompt_tokens=found.prompt_tokens + more.prompt_tokens,
                answer_tokens=found.answer_tokens + more.answer_tokens,
            )
        return replace(found, answers=found.answers[: request.n], seconds=time.monotonic() - began)

    def body_of(self, request: Request) -> dict[str, Any]:
        """Return the body that is sent for a request."""
        return body_of(request, self.card.name) | self._extra

    def _once(self, request: Request) -> Completion:
        """Return the answers of one call, tried as often as patience allows."""
        patience, body = self.patience, json.dumps(self.body_of(request)).encode()
        for number in range(1, patience.tries + 1):
            try:
                return self._read(self._send(body))
            except _TryAgainError as failure:
                pause = patience.pause * 2.0 ** (number - 1)
                pause *= 1 + patience.jitter * self._rng.random()
                pause = min(failure.after if failure.after is not None else pause, patience.longest)
                asked_for = failure.after or 0.0
                if number == patience.tries or asked_for > patience.longest:
                    raise self._gave_up(failure, number) from None
            self._sleep(pause)
        raise AssertionError("tries are at least one")

    def _gave_up(self, failure: _TryAgainError, tries: int) -> LanguageModelError:
        hints = [f"Tried {tries} time{'s' * (tries != 1)}; {self.patience.timeout:g} s for each try."]
        if failure.after is not None:
            hints.append(
                f"It asked to wait {failure.after:g} s; a pause is {self.patience.longest:g} s at most."
            )
        if failure.code == "llm-unreachable":
            hints.append("Is it running, and at that address? Any OpenAI-compatible server will do.")
        return LanguageModelError(Problem(failure.code, f"{self.base_url}: {failure}", hints=tuple(hints)))

    def _send(self, body: bytes) -> bytes:
        """Return the bytes of one response with status 200."""
        deadline = time.monotonic() + self.patience.timeout
        headers = {"Content-Type": "application/json", "User-Agent": "rewardspec"}
        if self._key_variable is not None:
            headers["Authorization"] = f"Bearer {_key(self._key_variable)}"
        call = urllib.request.Request(f"{self.base_url}/chat/completions", body, headers, method="POST")
        try:
            with self._opener.open(call, timeout=self.patience.timeout) as response:
                return self._drain(response, deadline)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error, deadline) from None
        except TimeoutError:
            raise _TryAgainError("llm-unreachable", "no answer in time") from None
        except urllib.error.URLError as error:
            late = isinstance(error.reason, TimeoutError)
            reason = "no answer in time" if late else f"cannot be reached ({_named(error.reason)})"
            raise _TryAgainError("llm-unreachable", reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise _TryAgainError("llm-unreachable", f"the connection broke ({_named(error)})") from None

    def _drain(self, response: Any, deadline: float) -> bytes:
        """Return a response's bytes; a server that sends a byte now and then does not hold us for ever."""
        parts: list[bytes] = []
        size = 0
        while part := response.read1(65536):
            parts.append(part)
            size += len(part)
            if size > MAX_RESPONSE:
                raise self._bad(f"the response has more than {MAX_RESPONSE} bytes")
            if time.monotonic() > deadline:
                raise _TryAgainError("llm-unreachable", "no whole answer in time")
        declared = response.headers.get("Content-Length")
        if declared is not None and declared.isdecimal() and int(declared) > size:
            raise _TryAgainError("llm-unreachable", f"the connection broke after {size} of {declared} bytes")
        return b"".join(parts)

    def _refused(self, error: urllib.error.HTTPError, deadline: float) -> Exception:
        """Return what a status other than 200 comes to."""
        if error.code in RETRIED:
            code = "llm-overloaded" if error.code in (429, 503) else "llm-unreachable"
            after = retry_after(error.headers.get("Retry-After"))
            return _TryAgainError(code, f"status {error.code} ({error.reason})", after)
        try:
            said = self._drain(error, deadline)[:300].decode(errors="replace")
        except Exception:
            said = ""
        hints = [f"It said: {self._without_key(said)!r}"] if said else []
        if error.code in (401, 403):
            variable = self._key_variable
            hints.append(f"The key is in {variable}." if variable else "It may want a key: `key_variable`.")
        if error.code == 404:
            hints.append("The address ends before /chat/completions, as in http://127.0.0.1:8080/v1.")
        if 300 <= error.code < 400:
            hints.append("Redirects are not followed: give the address itself.")
        message = f"{self.base_url}: the request was refused with status {error.code} ({error.reason})"
        return LanguageModelError(Problem("llm-refused", message, hints=tuple(hints)))

    def _without_key(self, text: str) -> str:
        """Return a text with the key struck out: some servers repeat it when they refuse it."""
        key = os.environ.get(self._key_variable or "", "").strip()
        return text.replace(key, "<key>") if key else text

    def _bad(self, why: str) -> LanguageModelError:
        hint = "Expected the answer of OpenAI's /chat/completions: {choices: [{message: {content: ...}}], usage: ...}."
        return LanguageModelError(Problem("llm-bad-response", f"{self.base_url}: {why}", hints=(hint,)))

    def _read(self, data: bytes) -> Completion:
        """Return the answers in a response."""
        try:
            response = json.loads(data)
        except ValueError:
            raise self._bad(
                f"the response is no JSON: {self._without_key(data[:60].decode(errors='replace'))!r}"
            ) from None
        try:
            answers, read, written = answers_of(response)
        except NotAnAnswerError as error:
            raise self._bad(str(error)) from None
        return Completion(answers, self.card, read, written)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its address and not by what it is called.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("127.0.0.1.example.org")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    if host != "localhost":
        return False
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(address[4][0]).is_loopback for address in found)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header, which holds seconds or a date; None for none.

    Example:
        >>> retry_after("7"), retry_after("soon"), retry_after(None)
        (7.0, None, None)
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
        return max(0.0, when.timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _checked(url: str, allow_remote: bool, sends_key: bool) -> str:
    """Return a base URL that may be asked."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urllib.parse.urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        hint = "For example http://127.0.0.1:8080/v1."
        raise LanguageModelError(
            Problem("bad-llm-address", f"{url!r} is no address of a server", hints=(hint,))
        )
    if parts.username or parts.password:
        hint = "Put the key into an environment variable and name it: `key_variable`."
        raise LanguageModelError(
            Problem("bad-llm-address", "the address holds a user or password", hints=(hint,))
        )
    if not is_loopback(host):
        if not allow_remote:
            hints = ("What the agent sees is sent there: say `allow_remote` if it may be.",)
            raise LanguageModelError(Problem("remote-llm", f"'{host}' is another machine", hints=hints))
        if sends_key and parts.scheme != "https":
            hints = ("Use https there, or a tunnel to this machine.",)
            raise LanguageModelError(
                Problem("remote-llm", f"the key would go to '{host}' unencrypted", hints=hints)
            )
    return url.rstrip("/")


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key or not key.isprintable() or not key.isascii():
        what = "holds no key" if not key else "holds what cannot be a key"
        hint = f"Set it in the shell: read -rs {variable} && export {variable}"
        raise LanguageModelError(
            Problem("llm-no-key", f"the environment variable {variable} {what}", hints=(hint,))
        )
    return key


def _named(error: object) -> str:
    """Return a failure in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
