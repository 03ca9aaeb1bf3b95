"""The gallery: every spec passes its own tests, pays its environment, and would pass a review by the linter."""

from __future__ import annotations

import collections
import itertools
import math
import statistics
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from rewardspec.analysis.check import check
from rewardspec.analysis.spec_tests import run_tests, show_result
from rewardspec.analysis.subject import is_learned
from rewardspec.compiler import compile_spec
from rewardspec.environments import make_environment
from rewardspec.learning.learner import RewardLearner
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import VOCABULARY, load, loads
from rewardspec.wrappers.single import RewardSpecWrapper, wrap

GALLERY = Path(__file__).parents[1] / "examples" / "specs"
PATHS = sorted(GALLERY.glob("*.yaml"))
TASKS = sorted(GALLERY.parent.glob("tasks/*/*.yaml"))
BUILD_UP = {  # words that the gallery shows in other words' places, or that stand better in docs/language.md
    "max",
    "sum",
    "log_sigmoid",
    "threshold",
    "end",
    "difference",  # of several agents: examples/teams
    "barfi",  # learned together with the policy, by an agent of its own: tests/agents/test_barfi.py
}

PUBLISHED_DISCOUNT = ("office_", "craft_", "water_")
"""How the tasks of the literature begin, whose discount is its own, 0.9: from the horizon a goal is worth nothing."""

every_spec = pytest.mark.parametrize(
    "path", [*PATHS, *TASKS], ids=lambda path: f"{path.parent.name}/{path.stem}"
)


def environment_of(spec: Spec, **arguments: Any) -> gym.Env[Any, Any]:
    assert spec.env is not None and spec.env.id is not None
    return make_environment(spec.env.id, **spec.env.kwargs, **arguments)


def paid(env: gym.Env[Any, Any], spec: Spec, **options: Any) -> RewardSpecWrapper:
    """Return the wrapped environment; what is learned is paid by a learner that has seen nothing yet."""
    if compile_spec(spec).learned:
        return RewardLearner(spec).wrap(env, **options)
    return wrap(env, spec, **options)


def play(
    path: Path, seed: int = 0, actions: list[int] | None = None, steps: int = 200
) -> tuple[list[float], bool]:
    """Return the rewards of an episode, random where no actions are given, and whether it terminated."""
    spec = load(path)
    env = wrap(environment_of(spec), spec)
    env.reset(seed=seed)
    env.action_space.seed(seed)
    rewards: list[float] = []
    terminated = truncated = False
    for action in actions if actions is not None else itertools.repeat(None, steps):
        if terminated or truncated:
            break
        _, reward, terminated, truncated, _ = env.step(
            env.action_space.sample() if action is None else action
        )
        rewards.append(float(reward))
    env.close()
    return rewards, bool(terminated)


def shortest_way(path: Path, seed: int) -> list[int]:
    """Return the fewest actions that end an episode of a toy-text environment, by breadth-first search."""
    spec = load(path)
    env = environment_of(spec)
    start, _ = env.reset(seed=seed)
    model: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = env.unwrapped.P  # type: ignore[attr-defined]
    ways: dict[int, list[int]] = {int(start): []}
    queue = collections.deque(ways)
    while queue:
        state = queue.popleft()
        for action, ((_, following, _, ends),) in model[state].items():
            if ends:
                return [*ways[state], action]
            if following not in ways:
                ways[following] = [*ways[state], action]
                queue.append(following)
    raise AssertionError(f"{path.stem} cannot be solved")


def test_the_gallery_is_broad() -> None:
    assert len(PATHS) >= 16

    def words(data: Any) -> set[str]:
        if isinstance(data, dict):
            return set(data) & set(VOCABULARY) | set().union(*map(words, data.values()))
        return set().union(*map(words, data)) if isinstance(data, list) else set()

    used = set().union(*(words(load(path).to_data()["reward"]) for path in PATHS))
    assert set(VOCABULARY) - used <= BUILD_UP, "a word that no spec of the gallery shows"


@every_spec
def test_spec_says_what_it_wants_and_where(path: Path) -> None:
    spec = load(path)
    assert spec.env is not None and spec.env.id and spec.env.horizon
    assert spec.tests or all(is_learned(term.expr) for term in compile_spec(spec).terms)
    assert len(spec.description) > 40 or path.read_text().startswith("# "), "say what the spec wants"


@every_spec
def test_spec_passes_its_tests(path: Path) -> None:
    for result in run_tests(load(path)):
        assert result.passed, "\n".join([result.name, *show_result(result)])


@every_spec
def test_linter_has_nothing_against_it(path: Path) -> None:
    allowed = "goal-worth-nothing" if path.stem.startswith(PUBLISHED_DISCOUNT) else ""
    findings = [problem for problem in check(load(path)) if problem.code != allowed]
    grave = [problem.render() for problem in findings if problem.severity != "info"]
    assert not grave, "\n".join(grave)


@every_spec
def test_spec_survives_being_written_and_read(path: Path) -> None:
    assert loads(load(path).to_yaml()) == load(path)


@every_spec
def test_random_steps_are_paid_finitely(path: Path) -> None:
    spec = load(path)
    env = paid(environment_of(spec), spec, detail=True)
    obs, _ = env.reset(seed=0)
    env.action_space.seed(0)
    assert env.observation_space.contains(obs)
    for _ in range(200):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(obs)
        assert math.isfinite(reward)
        assert reward == pytest.approx(sum(info["rewardspec"]["terms"].values()))
        if terminated or truncated:
            assert set(info["rewardspec"]["return"]) == {term.name for term in env.program.terms}
            obs, _ = env.reset()
    env.close()


@every_spec
@pytest.mark.filterwarnings("ignore")
def test_wrapped_environment_passes_gymnasiums_check(path: Path) -> None:
    """Whatever gymnasium finds in the wrapped environment, it finds in the bare one."""
    spec = load(path)

    def complaint(env: gym.Env[Any, Any]) -> str:
        try:
            check_env(env, skip_render_check=True)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            env.close()
        return ""

    bare = complaint(environment_of(spec))
    assert complaint(paid(environment_of(spec), spec)) in ("", bare)


@pytest.mark.parametrize(
    ("name", "actions"),
    [
        ("unlock_pickup", [1, 3, 1, 2, 0, 2, 5, 2, 2, 4, 0, 2, 2, 2, 1, 2, 3]),
        ("lava_crossing", [1, *[2] * 6, 0, *[2] * 6]),
        ("memory", [0, 0, 0, 0, 2, 1, 2]),
        ("taxi", None),
        ("cliff_walking", None),
    ],
)
def test_an_episode_that_solves_the_task_is_worth_more(name: str, actions: list[int] | None) -> None:
    path = GALLERY / f"{name}.yaml"
    solved, terminated = play(path, actions=actions or shortest_way(path, seed=0))
    assert terminated, solved
    by_luck = [sum(play(path, seed=seed)[0]) for seed in range(6)]
    assert sum(solved) > max(by_luck)
    assert sum(solved) > statistics.mean(by_luck) + 0.5


def test_a_wrong_number_in_a_spec_fails_its_tests() -> None:
    text = (GALLERY / "frozen_lake.yaml").read_text().replace("reject: -1", "reject: -2")
    assert [result.passed for result in run_tests(loads(text))] == [True, False, True]


def test_machine_state_is_the_memory_that_the_task_needs() -> None:
    """After the cue is out of sight, the observation still says which one it was."""
    spec = load(GALLERY / "memory.yaml")
    env = wrap(environment_of(spec), spec)
    obs, _ = env.reset(seed=0)
    unknown = obs["rewardspec"]
    for _ in range(4):  # once around, and the eyes are on the hallway's end again
        obs, *_ = env.step(0)
    assert isinstance(env, RewardSpecWrapper)
    assert env.machine_states == {"recall": "ball"}
    assert not (obs["rewardspec"] == unknown).all()
