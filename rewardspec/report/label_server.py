"""The local web server of `rewardspec label`: a page, clips for it, and answers from it.

It speaks plain HTTP to this machine. What keeps other web pages from writing answers, or from reading clips:

- A request must name this server as its host by an address, or as `localhost`: a name that somebody else's DNS points
  here is refused.
- A request that writes must come from the page itself (`Origin`), as JSON. Nothing allows other origins to read.
- The page cannot be put into a frame of another.

No path and no text from a client is ever the name of a file: questions are looked up by term and number.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from rewardspec.errors import Problem, RewardSpecError, UnsupportedError
from rewardspec.report.label_desk import Asking, UnknownQuestionError
from rewardspec.report.label_page import POLICY, label_page

MOST = 1_000
"""Bytes of a request's body."""

PATIENCE = 30.0
"""Seconds that a client may stay silent."""


class LabelServer(ThreadingHTTPServer):
    """Serves a desk until it is shut down.

    Attributes:
        desk: Whose questions are shown.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, desk: Asking, host: str, port: int) -> None:
        """Listen.

        Args:
            desk: Whose questions are shown.
            host: Address or name to listen at; one of this machine.
            port: 0 for any that is free.

        Raises:
            UnsupportedError: `port-taken` when nobody can listen there.
        """
        self.desk = desk
        self.page = label_page(desk).encode()
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self.address_family = family
            super().__init__((host, port), _Handler)
        except OSError as error:
            hint = "--port 0 takes any port that is free; --host 127.0.0.1 is this machine alone."
            message = f"cannot listen at {host}, port {port}: {error.strerror or error}"
            raise UnsupportedError(Problem("port-taken", message, hints=(hint,))) from error
        self._host = host

    @property
    def url(self) -> str:
        """Where the page is."""
        host = str(self.server_address[0]) if self._host in ("", "0.0.0.0", "::") else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_address[1]}/"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(str(self.server_address[0])).is_loopback

    def knows(self, host: str) -> bool:
        """Return whether a `Host` header names this server."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
            if name and name in ("localhost", self._host.lower()):
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone."""


class _Handler(BaseHTTPRequestHandler):
    server: LabelServer
    protocol_version = "HTTP/1.1"
    server_version = "rewardspec"
    sys_version = ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Answer with the page, the state, or clips."""
        if not self._is_for_us():
            return
        parts = [unquote(part) for part in urlsplit(self.path).path.split("/")[1:]]
        if parts == [""]:
            self._send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif parts == ["state"]:
            self._tell(self.server.desk.state)
        elif len(parts) == 3 and parts[0] == "clips" and _is_count(parts[2]):
            term, number = parts[1], int(parts[2])
            self._tell(lambda: self.server.desk.show(term, number)._asdict())
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        """Take an answer, or take one back."""
        body = self._body()
        if body is None:
            return
        if self.path == "/undo":
            self._tell(self._undone)
            return
        if self.path != "/answer":
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
            return
        term, number, answer = body.get("term"), body.get("id"), body.get("answer")
        if not isinstance(term, str) or not isinstance(number, int) or not isinstance(answer, str):
            self._refuse(
                HTTPStatus.BAD_REQUEST, 'an answer is {"term": "comfort", "id": 3, "answer": "left"}'
            )
            return
        self._tell(lambda: self._answered(term, number, answer))

    def _answered(self, term: str, number: int, answer: str) -> dict[str, Any]:
        self.server.desk.answer(term, number, answer)
        return self.server.desk.state()

    def _undone(self) -> dict[str, Any]:
        key = self.server.desk.undo()
        undone = None if key is None else key._asdict()
        return {**self.server.desk.state(), "undone": undone}

    # -- who asks --------------------------------------------------------------------------------------

    def _is_for_us(self) -> bool:
        if self.server.knows(self.headers.get("Host", "")):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "this is not the server that the request names")
        return False

    def _body(self) -> dict[str, Any] | None:
        """Return the JSON object that the page sent; None where the request was refused."""
        length = self.headers.get("Content-Length", "")
        if not _is_count(length) or int(length) > MOST:
            self.close_connection = True  # what was not read would be taken for the next request
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request holds at most {MOST} bytes, and says so"
            )
            return None
        text = self.rfile.read(int(length))
        if not self._is_for_us():
            return None
        if self.headers.get("Origin") != f"http://{self.headers.get('Host')}":
            self._refuse(HTTPStatus.FORBIDDEN, "only the page itself writes answers")
            return None
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers are application/json")
            return None
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "the body is no JSON object")
            return None
        return body

    # -- answering -------------------------------------------------------------------------------------

    def _tell(self, ask: Callable[[], Any]) -> None:
        """Send what `ask` returns as JSON, or why it could not."""
        try:
            data = ask()
        except UnknownQuestionError:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such question")
        except RewardSpecError as error:
            self._refuse(HTTPStatus.CONFLICT, error.problems[0].message)
        except OSError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"the run folder: {error.strerror or error}")
        else:
            self._send(HTTPStatus.OK, json.dumps(data, allow_nan=False).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._send(status, json.dumps({"error": reason}).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", f"{POLICY}; frame-ancestors 'none'")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "private, no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal shows where the page is and how it ended."""


def _is_count(text: str) -> bool:
    return len(text) < 10 and text.isascii() and text.isdecimal()


def serve(server: LabelServer) -> threading.Thread:
    """Serve in a thread of its own, until `server.shutdown()`."""
    thread = threading.Thread(target=server.serve_forever, name="label", daemon=True)
    thread.start()
    return thread
