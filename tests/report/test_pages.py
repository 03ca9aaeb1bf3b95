"""The pages: one file each, which loads nothing, shows what happened, and takes text for text."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rewardspec.errors import UnsupportedError
from rewardspec.report.charts import mean_of, short, ticks
from rewardspec.report.comparison import Arm, comparison_page, time_to_success, verdict
from rewardspec.report.page import data, picture_url
from rewardspec.report.recording import Episode, Step, record
from rewardspec.report.watch import watch, watch_page
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import load_agent, train
from rewardspec.vocabulary import loads

DOOR = """\
name: "doorkey </pre><script>alert(1)</script>"
discount: 0.99
env: {id: MiniGrid-DoorKey-5x5-v0, labels: minigrid}
propositions: {key: label.carrying_key, door: label.door_open, goal: label.at_goal}
reward:
  - name: progress
    reward_machine:
      start: find the key
      edges:
        - {from: find the key, to: open the door, when: key, reward: 0.2}
        - {from: open the door, to: reach the goal, when: door, reward: 0.3}
        - {from: reach the goal, to: done, when: goal, reward: 1}
      terminal: done
  - {name: haste, markov: -0.01}
"""

TINY: dict[str, Any] = {
    "steps": 512,
    "n_envs": 4,
    "agent": {"n_steps": 64, "batch_size": 64, "n_epochs": 1},
    "show": False,
}


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.words.append(data)

    def by_id(self, name: str) -> dict[str, str | None]:
        return next(attrs for _, attrs in self.tags if attrs.get("id") == name)

    @property
    def text(self) -> str:
        return "".join(self.words)


def loads_of(text: str) -> list[str]:
    """Return what a page would load from elsewhere."""
    page = Page(text)
    named = ("src", "href", "xlink:href", "data", "action", "poster", "srcset")
    found = [
        value
        for _, attrs in page.tags
        for name, value in attrs.items()
        if name in named and value is not None
    ]
    found += re.findall(r"url\(([^)]*)\)|@import", text)
    found += re.findall(r"\b(?:fetch|import|XMLHttpRequest|WebSocket|sendBeacon)\s*\(", "".join(page.scripts))
    return [value for value in found if not value.startswith(("data:", "#"))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(loads(DOOR), tmp_path_factory.mktemp("runs") / "door", **TINY)


@pytest.fixture(scope="module")
def watched(run: RunFolder) -> str:
    return watch(run.path, seed=4).read_text()


def facts(page: str) -> dict[str, Any]:
    """Return the data that the page's script works on."""
    (script,) = [script for script in Page(page).scripts if "EPISODE" in script]
    line = script.strip().splitlines()[0]
    found: dict[str, Any] = json.loads(line.removeprefix("const EPISODE = ").removesuffix(";"))
    return found


def test_a_watched_episode_is_on_the_page_step_by_step(run: RunFolder, watched: str) -> None:
    model, env = load_agent(run.path, seen=True)
    episode, _ = record(model, env, seed=4)
    shown = facts(watched)
    assert len(shown["steps"]) == len(episode.steps) > 10
    assert Page(watched).by_id("slider")["max"] == str(len(episode.steps) - 1)
    assert shown["terms"] == ["progress", "haste"]
    paid = np.array([step["paid"] for step in shown["steps"]])
    assert paid.sum() == pytest.approx(episode.spec_return)
    assert paid[1:, 1].tolist() == [-0.01] * (len(episode.steps) - 1)
    assert shown["machines"][0]["states"] == ["find the key", "open the door", "reach the goal", "done"]
    assert {step["action"] for step in shown["steps"][1:]} <= {
        "left", "right", "forward", "pickup", "drop", "toggle", "done"
    }  # fmt: skip


def test_states_propositions_and_payments_agree(watched: str) -> None:
    """The machine moves exactly where its proposition is true, and that is where it pays."""
    steps = facts(watched)["steps"]
    assert steps[0]["states"] == [0]
    for before, after in itertools.pairwise(steps):
        moved = before["states"] != after["states"]
        wanted = ["key", "door", "goal"][min(2, before["states"][0])]
        assert moved == (wanted in after["true"])
        assert moved == (after["paid"][0] > 0)


def test_the_page_has_all_it_needs_and_loads_nothing(watched: str) -> None:
    page = Page(watched)
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {"frame", "play", "back", "on", "slider", "timeline", "cursor", "now", "chips"} <= ids
    assert {f"played-m0-u{u}" for u in range(4)} | {"played-m0-u0-u1"} <= ids
    assert len([attrs["id"] for _, attrs in page.tags if "id" in attrs]) == len(ids)
    assert loads_of(watched) == []
    policy = next(attrs for tag, attrs in page.tags if tag == "meta" and "http-equiv" in attrs)["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "prefers-color-scheme: dark" in watched
    pictures = facts(watched)["pictures"]
    assert len(pictures) > 1
    assert all(url.startswith("data:image/png;base64,iVBOR") for url in pictures)


def test_a_load_from_elsewhere_would_be_seen() -> None:
    assert loads_of('<img src="https://x.org/a.png">') == ["https://x.org/a.png"]
    assert loads_of("<style>a { background: url(//x.org/a.png) }</style>") == ["//x.org/a.png"]
    assert loads_of("<script>fetch('x')</script>") == ["fetch("]


def test_text_from_a_spec_stays_text(watched: str) -> None:
    assert "<script>alert(1)" not in watched
    assert "alert(1)" in Page(watched).text
    assert data({"a": "</script><!--"}) == '{"a":"\\u003c/script\\u003e\\u003c!--"}'


def test_the_same_seed_shows_the_same_episode(run: RunFolder, watched: str, tmp_path: Path) -> None:
    again = watch(run.path, tmp_path / "again.html", seed=4).read_text()
    other = watch(run.path, tmp_path / "other.html", seed=5).read_text()
    assert facts(again) == facts(watched) != facts(other)


def test_a_run_that_was_stopped_can_be_watched_and_an_empty_one_cannot(tmp_path: Path) -> None:
    def stop(row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    text = "env: {id: CartPole-v1}\nreward: 1 - abs(next_obs[0])\n"
    settings = {**TINY, "steps": 4000, "show": stop}
    with pytest.raises(KeyboardInterrupt):
        train(loads(text), tmp_path / "run", **settings)
    run = RunFolder(tmp_path / "run")
    assert not run.is_finished
    page = watch(run.path).read_text()
    assert "0 of 4,000 steps" in page
    assert "drawing" not in {attrs.get("class") for _, attrs in Page(page).tags}
    shutil.rmtree(run.checkpoints)
    with pytest.raises(UnsupportedError, match="nothing-trained"):
        watch(run.path)


def test_an_environment_that_shows_nothing_says_so(run: RunFolder) -> None:
    model, env = load_agent(run.path, seen=True)
    episode, _ = record(model, env, seed=0)
    blind = Episode(episode.program, episode.env_id, episode.steps, (None,) * len(episode.steps), True, None)
    page = watch_page(run, blind, played=1, seed=0)
    assert facts(page)["pictures"] == []
    assert {step["picture"] for step in facts(page)["steps"]} == {-1}


def test_an_environment_that_cannot_be_drawn_here_says_why(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MuJoCo's without OpenGL: the episode is told without pictures, and the renderer is not asked at each step."""
    model, env = load_agent(run.path, seen=True)
    asked: list[int] = []

    def render() -> Any:
        asked.append(1)
        raise RuntimeError("no <OpenGL> here\nand more")

    monkeypatch.setattr(env, "render", render)
    episode, _ = record(model, env, seed=0)
    page = watch_page(run, episode, played=1, seed=0)
    assert len(asked) == 1 and facts(page)["pictures"] == []
    assert "This environment could not be drawn here: no &lt;OpenGL&gt; here<" in page


class Blind(gymnasium.Env[np.ndarray, int]):
    """Takes no render mode, as environments of one's own often do."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> Any:
        return np.ones(1, np.float32), 1.0, bool(action), False, {}


def test_an_environment_that_takes_no_render_mode_can_be_watched(tmp_path: Path) -> None:
    gymnasium.register("Blind-v0", entry_point=f"{__name__}:Blind", max_episode_steps=5)
    try:
        run = train(
            loads("env: {id: Blind-v0}\ndiscount: 0.9\nreward: reward"), tmp_path / "run", steps=64, n_envs=1,
            agent={"n_steps": 64, "n_epochs": 1}, show=False,
        )  # fmt: skip
        assert facts(watch(run.path).read_text())["pictures"] == []
    finally:
        del gymnasium.registry["Blind-v0"]


def test_a_large_picture_is_stored_as_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    assert picture_url(noise).startswith("data:image/jpeg")
    assert picture_url(np.zeros((300, 300, 3), np.uint8)).startswith("data:image/png")


def test_attempts_stop_at_the_first_success(run: RunFolder) -> None:
    class Expert:
        """Takes random actions, then succeeds."""

        def __init__(self) -> None:
            self.rng = np.random.default_rng(0)

        def predict(self, obs: Any, deterministic: bool) -> tuple[Any, None]:
            return self.rng.integers(0, 6), None

    _, env = load_agent(run.path, seen=True)
    agent: Any = Expert()
    episode, played = record(agent, env, seed=3, attempts=30)
    assert episode.success
    assert played > 1
    assert episode.steps[-1].states == {"progress": "done"}
    assert isinstance(episode.steps[-1], Step)


# -- several runs ---------------------------------------------------------------------------------


def row(steps: int, count: int, success: float) -> dict[str, Any]:
    recent = {"count": count, "success": success, "task_return": success, "length": 50.0, "terms": {}}
    return {"steps": steps, "episodes": count, "recent": recent, "seconds": 1.0}


def test_time_to_success_waits_for_a_full_window() -> None:
    rows = [row(1000, 50, 1.0), row(2000, 100, 0.89), row(3000, 100, 0.9), row(4000, 100, 0.5)]
    assert time_to_success(rows) == 3000
    assert time_to_success(rows, 0.5) == 2000
    assert time_to_success(rows[:2]) is None


@pytest.fixture
def arms(run: RunFolder, tmp_path: Path) -> list[Arm]:
    """Two rewards with made-up progress: one learns in all seeds, one in none."""
    made: list[Arm] = []
    for name, level in (("declared", 1.0), ("sparse", 0.1)):
        runs = []
        for seed in range(2):
            folder = RunFolder(tmp_path / f"{name}-{seed}")
            shutil.copytree(run.path, folder.path)
            rows = [row(1000 * i, 100, level * min(1.0, i / (4 + seed))) for i in range(1, 7)]
            folder.progress.write_text("".join(json.dumps(r) + "\n" for r in rows))
            runs.append(folder)
        made.append(Arm(name, runs))
    return made


def test_the_verdict_counts_seeds_as_they_are(arms: list[Arm]) -> None:
    assert arms[0].times() == [4000, 5000]
    assert arms[1].times() == [None, None]
    told = verdict(arms)
    assert "declared: 2 of 2 seeds (median of those: 4,500 steps)" in told
    assert told.endswith("sparse: 0 of 2 seeds.")


def test_a_comparison_shows_every_seed_and_loads_nothing(run: RunFolder, arms: list[Arm]) -> None:
    model, env = load_agent(run.path, seen=True)
    episode, _ = record(model, env, seed=4)
    text = comparison_page("A < B", "lead", arms, episode, ["a note"], [("a test", True), ("another", False)])
    page = Page(text)
    assert loads_of(text) == []
    curves = [
        attrs["class"] for tag, attrs in page.tags if tag == "polyline" and "seed" in (attrs["class"] or "")
    ]
    assert curves == ["seed tone0"] * 2 + ["seed tone1"] * 2
    assert page.text.count("not reached") >= 4
    for words in ("A < B", "a note", "holds", "fails", "4,000", "5,000", "stable-baselines3", "find the key"):
        assert words in page.text, words
    assert "timeline" in {attrs.get("id") for _, attrs in page.tags}


def test_charts_are_round() -> None:
    assert mean_of([]) == []
    assert ticks(7)[-1] == 6.0
    assert short(999) == "999"


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def in_browser(page: Path, fragment: str = "") -> Page:
    """Return a page as it is after its script has run for a while."""
    browser = chromium()
    assert browser is not None
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom",
            page.resolve().as_uri() + fragment,
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return Page(done.stdout)


@pytest.mark.skipif(chromium() is None, reason="needs chromium")
def test_in_a_browser_the_script_lights_what_is_current(run: RunFolder, watched: str) -> None:
    steps = facts(watched)["steps"]
    moved = next((t for t in range(1, len(steps)) if steps[t]["states"] != steps[t - 1]["states"]), 3)
    page = in_browser(run.path / "watch.html", f"#step={moved}")
    lit = {attrs.get("id") for _, attrs in page.tags if "lit" in (attrs.get("class") or "").split()}
    assert f"played-m0-u{steps[moved]['states'][0]}" in lit
    assert f"{moved} of {len(steps) - 1}: {steps[moved]['action']}" in page.text
    assert (page.by_id("frame")["src"] or "").startswith("data:image/png")
    true = {attrs["data-name"] for _, attrs in page.tags if (attrs.get("class") or "") == "chip lit"}
    assert true == set(steps[moved]["true"])


KEYS = """
<script>
const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key, cancelable: true}));
const seen = [], note = () => seen.push(document.getElementById("slider").value);
for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home"]) { press(key); note(); }
press(" ");
setTimeout(() => { seen.push(document.getElementById("slider").value > 0 ? "plays" : "stands"); press(" ");
  document.getElementById("player").dataset.seen = seen.join(" "); }, 1500);
</script>
</body>
"""


@pytest.mark.skipif(chromium() is None, reason="needs chromium")
def test_in_a_browser_keys_step_and_space_plays(watched: str, tmp_path: Path) -> None:
    page = tmp_path / "keys.html"
    page.write_text(watched.replace("</body>", KEYS))
    last = len(facts(watched)["steps"]) - 1
    assert in_browser(page).by_id("player")["data-seen"] == f"1 2 1 {last} {last} 0 plays"


def test_the_demo_runs(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "examples" / "demo.py"
    done = subprocess.run(
        [sys.executable, str(demo), "--smoke", "--out", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=280, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = tmp_path / "out" / "report.html"
    assert str(report) in done.stdout
    assert loads_of(report.read_text()) == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"declared-0", "sparse-0", "report.html"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert "declared: " in done.stdout
