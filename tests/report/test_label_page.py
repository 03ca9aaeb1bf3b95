"""`rewardspec label`: the server over a real socket, the clips, and the page in a real browser."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest

from rewardspec.environments import make_environment
from rewardspec.errors import LearningError, RewardSpecError, UnsupportedError
from rewardspec.learning.answers import add_answer, read_answers, read_questions, read_recipes
from rewardspec.report.clips import frame_url
from rewardspec.report.label_desk import Desk, UnknownQuestionError
from rewardspec.report.label_page import label_page
from rewardspec.report.label_server import LabelServer, serve
from tests.learning.people import UPRIGHT, Run
from tests.report.browser import Browser, chromium

pytestmark = pytest.mark.filterwarnings("ignore:.*pays 0 until its questions are answered")

needs_browser = pytest.mark.skipif(chromium() is None, reason="needs chromium")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a run that has asked four questions, and itself later, when these were answered and four more asked."""
    place = tmp_path_factory.mktemp("asked")
    made = Run(place / "run")
    made.play(50)
    shutil.copytree(place / "run", place / "early")
    for number in range(4):
        add_answer(place / "run" / "answers.jsonl", "comfort", number, "left")
    made.play(50)
    return place / "early", place / "run"


@pytest.fixture
def folder(asked: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a run that has asked four questions."""
    for what in ("SDL_AUDIODRIVER", "SDL_VIDEODRIVER"):
        monkeypatch.setenv(what, "dummy")
    return Path(shutil.copytree(asked[0], tmp_path / "run"))


def ask_more(folder: Path, asked: tuple[Path, Path]) -> None:
    """Write four more questions, as training does: what plays them first, then their lines."""
    shutil.copytree(asked[1] / "comfort.questions", folder / "comfort.questions", dirs_exist_ok=True)
    shutil.copy(asked[1] / "comfort.questions.jsonl", folder)


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    made = Desk(folder)
    yield made
    made.close()


@pytest.fixture
def server(desk: Desk) -> Iterator[LabelServer]:
    with LabelServer(desk, "127.0.0.1", 0) as made:
        thread = serve(made)
        yield made
        made.shutdown()
        thread.join(10)


def answers(folder: Path) -> dict[int, str]:
    file = folder / "answers.jsonl"
    asked = len(read_questions(folder, "comfort"))
    return read_answers(file, asked, "comfort") if file.exists() else {}


def ask(
    server: LabelServer, method: str, path: str, body: Any = None, **headers: str | None
) -> tuple[int, Any, http.client.HTTPMessage]:
    """Speak to the server as its own page does, but for the headers given; None leaves one out."""
    host = server.url.removeprefix("http://").rstrip("/")
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    sent: dict[str, str | None] = {"Host": host}
    if method == "POST":
        sent |= {
            "Origin": f"http://{host}",
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
        }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(data)
        response = connection.getresponse()
        content = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return response.status, json.loads(content) if is_json else content.decode(), response.headers
    finally:
        connection.close()


GOOD = {"term": "comfort", "id": 2, "answer": "right"}


# -- the protocol ----------------------------------------------------------------------------------------


def test_a_round_of_questions_over_a_socket(server: LabelServer, folder: Path) -> None:
    status, state, _ = ask(server, "GET", "/state")
    assert status == 200
    assert (state["asked"], state["answered"], state["can_undo"]) == (4, 0, False)
    assert state["next"] == [{"term": "comfort", "id": number} for number in range(3)]
    for number, answer in enumerate(["left", "right", "equal", "skip"]):
        status, state, _ = ask(server, "POST", "/answer", {"term": "comfort", "id": number, "answer": answer})
        assert (status, state["answered"]) == (200, number + 1)
        assert answers(folder)[number] == answer  # on the disk before it is confirmed
    assert state["next"] == []
    assert state["counts"] == {"left": 1, "right": 1, "equal": 1, "skip": 1}
    status, state, _ = ask(server, "POST", "/undo", {})
    assert state["undone"] == state["next"][0] == {"term": "comfort", "id": 3}
    assert answers(folder) == {0: "left", 1: "right", 2: "equal"}


def test_undo_goes_back_over_earlier_sittings_and_ends(server: LabelServer, folder: Path) -> None:
    for number in (3, 1):
        ask(server, "POST", "/answer", {"term": "comfort", "id": number, "answer": "left"})
    desk = Desk(folder)
    undone = [desk.undo(), desk.undo(), desk.undo()]
    desk.close()
    assert undone == [("comfort", 1), ("comfort", 3), None]
    assert answers(folder) == {}


def test_questions_that_training_asks_meanwhile_appear(
    server: LabelServer, folder: Path, asked: tuple[Path, Path]
) -> None:
    for number in range(4):
        ask(server, "POST", "/answer", {"term": "comfort", "id": number, "answer": "left"})
    ask_more(folder, asked)
    assert ask(server, "GET", "/state")[1]["next"][0] == {"term": "comfort", "id": 4}
    assert len(ask(server, "GET", "/clips/comfort/7")[1]["left"]) == 9


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**GOOD, "id": 4}, 404),
        ({**GOOD, "id": -1}, 404),
        ({**GOOD, "id": True}, 404),
        ({**GOOD, "term": "../comfort"}, 404),
        ({**GOOD, "term": "answers.jsonl"}, 404),
        ({**GOOD, "answer": "best"}, 409),
        ({**GOOD, "id": "2"}, 400),
        ({**GOOD, "answer": None}, 400),
        ({}, 400),
        ([GOOD], 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 900, 400),
        (b" " * 2000, 413),
    ],
)
def test_what_is_no_answer_is_not_written(server: LabelServer, folder: Path, body: Any, status: int) -> None:
    told, reason, _ = ask(server, "POST", "/answer", body)
    assert told == status
    assert reason["error"]
    assert answers(folder) == {}
    assert ask(server, "POST", "/answer", GOOD)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": "http://localhost:1"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "", "Origin": "http://"},
        {"Host": "[::1", "Origin": "http://[::1"},
        {"Content_Type": "text/plain"},
        {"Content_Length": "-1"},
        {"Content_Length": None},
        {"Content_Length": "9" * 30},
    ],
    ids=str,
)
def test_no_other_page_writes_answers(
    server: LabelServer, folder: Path, headers: dict[str, str | None]
) -> None:
    assert ask(server, "POST", "/answer", GOOD, **headers)[0] in (403, 413, 415)
    assert answers(folder) == {}


@pytest.mark.parametrize("path", ["/", "/state", "/clips/comfort/0"])
def test_no_other_page_reads(server: LabelServer, path: str) -> None:
    assert ask(server, "GET", path, Host="evil.example")[0] == 403
    status, _, headers = ask(server, "GET", path, Origin="http://evil.example")
    assert status == 200
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_a_tunnel_from_another_port_is_let_through(server: LabelServer) -> None:
    there = {"Host": "localhost:9000", "Origin": "http://localhost:9000"}
    assert ask(server, "POST", "/answer", GOOD, **there)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/clips/comfort/9", "/clips/comfort/-1", "/clips/comfort/0x0", "/clips/comfort/" + "0" * 400, "/clips/comfort",
        "/clips/..%2F..%2Fcomfort/0", "/clips/../../spec.yaml", "/spec.yaml", "/answers.jsonl", "//etc/passwd",
        "/clips/%00/0", "/state/", "/clips/comfort.questions/0",
    ],
)  # fmt: skip
def test_nothing_but_questions_is_served(server: LabelServer, path: str) -> None:
    status, told, _ = ask(server, "GET", path)
    assert status == 404
    assert set(told) == {"error"}


def test_other_methods_are_refused(server: LabelServer, folder: Path) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        assert ask(server, method, "/answer")[0] == 501
    assert answers(folder) == {}


def test_rubbish_and_silence_keep_nobody_else_waiting(server: LabelServer) -> None:
    silent, rude = (socket.create_connection(server.server_address[:2], 10) for _ in range(2))
    with silent, rude:
        rude.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert ask(server, "GET", "/state")[0] == 200


def test_a_broken_file_of_answers_is_told_and_left_alone(server: LabelServer, folder: Path) -> None:
    file = folder / "answers.jsonl"
    file.write_text('{"id": 99, "answer": "left"}\n')
    status, told, _ = ask(server, "GET", "/state")
    assert status == 409
    assert "answers.jsonl, line 1: there is no question 99" in told["error"]


def test_the_page_says_what_is_asked_for_and_loads_nothing_else(server: LabelServer) -> None:
    status, page, _ = ask(server, "GET", "/")
    assert status == 200
    assert "The pole should stand still, in the middle." in page
    assert "<script>alert(1)" not in page
    assert "upright &lt;/pre&gt;" in page
    assert "connect-src 'self'" in page
    assert 'src="http' not in page


# -- what is shown ---------------------------------------------------------------------------------------


def test_clips_show_the_steps_that_were_stored(desk: Desk, folder: Path) -> None:
    question = read_questions(folder, "comfort")[1]
    found = read_recipes(folder, "comfort", question)
    assert found is not None
    shown = desk.show("comfort", 1)
    env = make_environment("CartPole-v1", render_mode="rgb_array")
    for urls, clip, recipe in zip(
        (shown.left, shown.right), (question.left, question.right), found, strict=True
    ):
        env.reset(seed=recipe.seed)
        pictures = [env.render()]
        for action in recipe.actions:
            env.step(int(action[0]))
            pictures.append(env.render())
        assert len(urls) == clip.steps + 1
        first, last = (frame_url(pictures[i]) for i in (clip.start, -1))
        assert (urls[0], urls[-1]) == (first, last)
    env.close()  # type: ignore[no-untyped-call]


class Moody(gym.Env[Any, Any]):
    """Episodes whose length depends on how often the class was reset, not on their seed."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    life = 30

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.left = self.life
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        return np.zeros(2, np.float32), 0.0, self.left <= 0, False, {}

    def render(self) -> Any:
        return np.full((40, 60, 3), 255, np.uint8)


class Blind(Moody):
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human"]}


class Torn(Moody):
    def render(self) -> Any:
        raise RuntimeError("no screen\nat all")


@pytest.fixture
def worlds() -> Iterator[None]:
    for world in (Moody, Blind, Torn):
        gym.register(f"Test{world.__name__}-v1", world)
    yield
    for world in (Moody, Blind, Torn):
        gym.registry.pop(f"Test{world.__name__}-v1")


@pytest.mark.usefixtures("worlds")
def test_an_environment_that_plays_differently_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run", UPRIGHT.replace("CartPole", "TestMoody"))
    run.play(100)
    desk = Desk(run.folder.path)
    last = max(read_questions(run.folder.path, "comfort"), key=lambda q: q.left.start + q.left.steps)
    assert len(desk.show("comfort", last.id).left) == 9
    desk.close()
    monkeypatch.setattr(Moody, "life", 3)
    desk = Desk(run.folder.path)
    with pytest.raises(LearningError, match=r"ended after 3 steps.*\[not-playable\]"):
        desk.show("comfort", last.id)
    desk.close()


@pytest.mark.usefixtures("worlds")
@pytest.mark.parametrize(
    ("world", "reason"),
    [("Blind", "does not render as 'rgb_array'"), ("Torn", "cannot be rendered: no screen")],
)
def test_an_environment_without_pictures_is_refused(tmp_path: Path, world: str, reason: str) -> None:
    run = Run(tmp_path / "run", UPRIGHT.replace("CartPole", f"Test{world}"))
    run.play(50)
    with pytest.raises(UnsupportedError, match="no-pictures") as raised:
        Desk(run.folder.path)
    assert reason in str(raised.value)


def test_a_run_without_questions_says_when_they_come(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with pytest.raises(UnsupportedError, match="no-questions") as raised:
        Desk(run.folder.path)
    assert "after 100 steps" in str(raised.value)


def test_a_run_that_asks_nobody_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", UPRIGHT.replace("labels: {file: answers.jsonl}", "labels: {teacher: reward}"))
    with pytest.raises(UnsupportedError, match="asks-nobody"):
        Desk(run.folder.path)


def test_a_taken_port_is_told(server: LabelServer, desk: Desk) -> None:
    with pytest.raises(RewardSpecError, match="port-taken"):
        LabelServer(desk, "127.0.0.1", server.server_address[1])


# -- in a browser ----------------------------------------------------------------------------------------

SHOWN = (
    "document.querySelector('.pair').dataset.question === 'comfort/%d' && !document.querySelector('.waiting')"
)
FRAME = "Number(document.querySelector('#left').dataset.frame)"


def counts(browser: Browser, text: str) -> None:
    browser.wait(f"document.querySelector('#counts').textContent.startsWith({json.dumps(text)})")


@needs_browser
def test_in_a_browser_keys_answer(server: LabelServer, folder: Path, asked: tuple[Path, Path]) -> None:
    with Browser() as browser:
        browser.go(server.url)
        browser.wait(SHOWN % 0)
        browser.wait(f"{FRAME} > 4")
        assert browser.run("[left.width, left.height, left.dataset.frame === right.dataset.frame]") == [
            480,
            320,
            True,
        ]
        browser.press(" ")
        assert browser.run("document.querySelector('#pause-word').textContent") == "Play"
        for number, (key, answer) in enumerate(
            [("ArrowLeft", "left"), ("ArrowDown", "equal"), ("s", "skip")]
        ):
            browser.wait(SHOWN % number)
            browser.press(key)
            counts(browser, f"{number + 1} of 4 questions answered")
            assert answers(folder)[number] == answer
        browser.wait(SHOWN % 3)
        browser.press("Backspace")
        browser.wait(SHOWN % 2)
        assert 2 not in answers(folder)
        browser.press("ArrowRight")
        browser.wait(SHOWN % 3)
        browser.press("ArrowRight", repeat=True)  # held down: it answers no second question
        browser.click("#choose-left")
        counts(browser, "4 of 4 questions answered (left 2, right 1, equal 1)")
        assert answers(folder) == {0: "left", 1: "equal", 2: "right", 3: "left"}
        assert browser.run("document.querySelector('#choose-left').disabled")
        ask_more(folder, asked)  # training asks more, and the page shows it without being loaded anew
        browser.wait(SHOWN % 4)


@needs_browser
def test_in_a_browser_what_cannot_be_shown_can_be_skipped(server: LabelServer, folder: Path) -> None:
    (folder / "comfort.questions" / "0.npz").write_bytes(b"rubbish")
    with Browser(dark=True) as browser:
        browser.go(server.url)
        browser.wait(
            "document.querySelector('#message').textContent.includes('question 0 again, 0.npz, cannot be read')"
        )
        browser.press("ArrowLeft")
        browser.press("s")
        browser.wait(SHOWN % 1)
        assert answers(folder) == {0: "skip"}
        assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 27)"


@needs_browser
def test_in_a_browser_an_answer_that_is_not_recorded_says_so(server: LabelServer, folder: Path) -> None:
    with Browser() as browser:
        browser.go(server.url)
        browser.wait(SHOWN % 0)
        (folder / "answers.jsonl").write_text("rubbish\n")
        browser.press("ArrowLeft")
        browser.wait(
            "document.querySelector('#message').textContent.startsWith('Not recorded: answers.jsonl, line 1')"
        )
        assert browser.run("document.querySelector('#message').className") == "wrong"
        (folder / "answers.jsonl").write_text("")
        browser.press("ArrowRight")
        browser.wait(SHOWN % 1)
        assert answers(folder) == {0: "right"}


@needs_browser
def test_in_a_browser_no_other_page_can_answer(server: LabelServer, folder: Path, tmp_path: Path) -> None:
    """A page from elsewhere posts what a form may, and what a script may; the browser sends both."""
    page = tmp_path / "evil.html"
    page.write_text("<!doctype html><title>elsewhere</title>")
    script = """Promise.all([["no-cors", "text/plain"], ["cors", "application/json"]].map(([mode, type]) =>
      fetch("%sanswer", {method: "POST", mode, headers: {"Content-Type": type}, body: '%s'})
        .then((answer) => answer.type, () => "failed")))"""
    with Browser() as browser:
        browser.go(page.as_uri())
        browser.wait("document.title === 'elsewhere'")
        assert browser.run(script % (server.url, json.dumps(GOOD))) == ["failed", "failed"]
        assert answers(folder) == {}
        browser.go(server.url)
        browser.wait(SHOWN % 0)
        assert browser.run(script % (server.url, json.dumps(GOOD))) == [
            "basic",
            "basic",
        ]  # the first as refused
    assert answers(folder) == {2: "right"}


def test_answers_by_hand_and_by_page_go_together(server: LabelServer, folder: Path) -> None:
    (folder / "answers.jsonl").write_text('{"id": 0, "answer": "left"}')  # no line end: an editor's habit
    assert ask(server, "POST", "/answer", GOOD)[1]["answered"] == 2
    add_answer(folder / "answers.jsonl", "comfort", 0, "equal")
    assert answers(folder) == {2: "right", 0: "equal"}


def test_two_terms_that_ask_share_a_sitting(tmp_path: Path) -> None:
    second = UPRIGHT.partition("reward:\n")[2].replace("comfort", "safety")
    run = Run(tmp_path / "run", UPRIGHT + second)
    run.play(50)
    desk = Desk(run.folder.path)
    assert 'data-terms="2"' in label_page(desk)
    assert desk.state()["asked"] == 8
    for term, answer in (("comfort", "left"), ("safety", "right")):
        desk.answer(term, 0, answer)
    assert desk.state()["next"][0] == {"term": "comfort", "id": 1}
    assert desk.undo() == ("safety", 0)
    for term, found in (("comfort", {0: "left"}), ("safety", {})):
        assert read_answers(run.folder.path / "answers.jsonl", 4, term) == found
    with pytest.raises(UnknownQuestionError):
        desk.answer("speed", 0, "left")
    desk.close()
