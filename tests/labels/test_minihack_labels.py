"""MiniHack's labels on its own levels, and the wrapper that makes NetHack reproducible."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import minihack  # noqa: F401 (registers its environments)
import numpy as np
import pytest
from nle import nethack
from nle.env.tasks import NetHackStaircase

from rewardspec.errors import MismatchError, SpecError
from rewardspec.labels import minihack as labeller
from rewardspec.labels.steady_nle import SteadyNLE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

NETHACKS_CONDITIONS = ("STONE", "SLIME", "STRNGL", "FOODPOIS", "TERMILL", "BLIND", "DEAF", "STUN", "CONF",
                       "HALLU", "LEV", "FLY", "RIDE")  # fmt: skip

KEYROOM = ["N", "NW", "PICKUP", "APPLY", "W", "W", "W"]
"""The way through KeyRoom-S5 with both of NetHack's seeds 2."""


def begin(env: Any, seed: int) -> None:
    """Reset with NetHack's own seeds, past the wrapper that would draw them."""
    env.unwrapped.seed(seed, seed, reseed=False)
    (env.env if isinstance(env, SteadyNLE) else env).reset()


def walk(env: Any, labels: Any, names: tuple[str, ...], moves: list[str]) -> list[set[str]]:
    """Play moves by name and return the labels that hold after each of them."""
    index = {action.name: number for number, action in enumerate(env.unwrapped.actions)}
    trace = []
    for move in moves:
        next_obs, _, _, _, info = env.step(index[move])
        truth = labels.read(index[move], next_obs, info)
        assert all(type(value) is bool for value in truth)
        trace.append({name for name, holds in zip(names, truth, strict=True) if holds})
    return trace


def raw(env: Any, key: str) -> Any:
    """Return NLE's live buffer of an observation key."""
    return env.unwrapped.last_observation[env.unwrapped._observation_keys.index(key)]


# --- the lists ---------------------------------------------------------------------------------------------


def test_the_map_symbols_are_nethacks_own() -> None:
    words = {"stairs_down": "staircase down", "stairs_up": "staircase up", "door": "door", "throne": "throne",
             "lava": "molten lava", "ladder_down": "ladder down", "ladder_up": "ladder up"}  # fmt: skip
    for feature, symbols in labeller.DUNGEON.items():
        said = words.get(feature, feature.replace("_", " "))
        texts = [nethack.symdef.from_idx(symbol).explanation for symbol in symbols]
        if feature == "trap":
            assert texts[0] == "arrow trap" and texts[-1] == "vibrating square" and all(texts)
        else:
            assert all(said in text for text in texts), (feature, texts)
            others = set(range(65)) - set(symbols)
            left_out = [nethack.symdef.from_idx(symbol).explanation for symbol in others]
            assert feature == "door" or said not in left_out


def test_classes_conditions_and_indices_are_nethacks_own() -> None:
    spelled = {"spellbook": "SPBOOK"}
    for name, number in labeller.OBJECT_CLASSES.items():
        assert getattr(nethack, f"{spelled.get(name, name.upper())}_CLASS") == number
    masks = {name: getattr(nethack, name) for name in dir(nethack) if name.startswith("BL_MASK_")}
    del masks["BL_MASK_BITS"]
    assert sorted(masks.values()) == list(labeller.CONDITIONS.values())
    for name, mask in zip(
        labeller.CONDITIONS,
        NETHACKS_CONDITIONS,
        strict=True,
    ):
        assert masks[f"BL_MASK_{mask}"] == labeller.CONDITIONS[name]
    blstats = [nethack.NLE_BL_X, nethack.NLE_BL_Y, nethack.NLE_BL_DEPTH, nethack.NLE_BL_HUNGER]
    assert [*blstats, nethack.NLE_BL_CONDITION] == [
        labeller.X, labeller.Y, labeller.DEPTH, labeller.HUNGER, labeller.CONDITION]  # fmt: skip
    assert NetHackStaircase.StepStatus.DEATH == labeller.DIED
    assert NetHackStaircase.StepStatus.TASK_SUCCESSFUL == labeller.SOLVED


def test_every_feature_is_shown_by_some_glyph() -> None:
    tables = {feature: labeller._glyphs_of(feature) for feature in labeller.FEATURES}
    assert all(table.any() for table in tables.values())
    classes = sum(tables[name].astype(int) for name in labeller.OBJECT_CLASSES)
    assert classes.max() == 1  # an object is of one class
    assert not (tables["monster"] & tables["object"]).any()
    assert (tables["door"] == (tables["open_door"] | tables["closed_door"])).all()
    assert (tables["boulder"] <= tables["rock"]).all() and (tables["pet"] <= tables["monster"]).all()


# --- walks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steady", [True, False])
def test_reaching_the_stairs_of_a_room(steady: bool) -> None:
    """With and without the wrapper that keeps the last screen."""
    names = ("on_stairs_down", "on_stairs_up", "beside_stairs_down", "sees_stairs_down", "sees_stairs_up",
             "solved", "dead", "sees_monster", "has_weapon", "has_dagger", "has_wand",
             "depth_at_least_1", "depth_at_least_2")  # fmt: skip
    env = gym.make("MiniHack-Room-5x5-v0")
    env = SteadyNLE(env) if steady else env
    labels = labeller.bind(env, names)
    for _ in range(2):  # the second episode finds nothing left over from the first
        begin(env, 1)
        trace = walk(env, labels, names, ["SE"] * 4)
        always = {"has_weapon", "has_dagger", "depth_at_least_1", "sees_stairs_up"}
        assert trace[0] == trace[1] == always | {"sees_stairs_down"}
        assert trace[2] == always | {"sees_stairs_down", "beside_stairs_down"}
        # Without the wrapper the map is that of the step before: NLE has wiped the last one.
        stale = set() if steady else {"sees_stairs_down", "beside_stairs_down"}
        assert trace[3] == always | {"on_stairs_down", "solved"} | stale
    env.close()


def test_the_key_and_the_door_of_keyroom() -> None:
    names = ("has_key", "has_master_key", "on_tool", "on_object", "beside_tool", "beside_closed_door",
             "sees_closed_door", "sees_open_door", "on_open_door", "on_door", "door_opened",
             "beside_described_key", "beside_described_floor", "message_contains_you_see_here",
             "message_contains_see", "message_contains_here_see", "solved", "on_stairs_up",
             "beside_described_rogue")  # fmt: skip
    env = SteadyNLE(gym.make("MiniHack-KeyRoom-S5-v0"))
    labels = labeller.bind(env, names)
    begin(env, 2)
    trace = walk(env, labels, names, KEYROOM)
    floor, having = {"beside_described_floor"}, {"has_key", "has_master_key"}
    shut = {"sees_closed_door", "beside_closed_door"}
    assert trace[0] == floor | {"beside_tool", "beside_described_key", "sees_closed_door"}
    assert trace[1] == floor | shut | {
        "on_tool", "on_object", "message_contains_you_see_here", "message_contains_see"}  # fmt: skip
    assert trace[2] == floor | shut | having | {"on_tool", "on_object"}  # where the key lay
    assert trace[3] == floor | having | {"on_tool", "on_object", "door_opened", "sees_open_door"}
    assert trace[4] == floor | having | {"on_open_door", "on_door"}
    assert trace[5] == floor | having | {"sees_open_door"}
    assert "solved" in trace[6]
    begin(env, 2)
    walk(env, labels, names, ["N"])
    begin(env, 1)  # another level, without a door where the map of the last one showed a closed one
    assert not {"door_opened", "on_open_door", "on_tool", "has_key"} & walk(env, labels, names, ["N"])[0]
    env.close()


def test_death_in_lava_is_told_and_the_last_map_is_read() -> None:
    names = ("dead", "solved", "beside_lava", "sees_lava", "sees_boulder", "has_weapon", "on_lava")
    env = SteadyNLE(gym.make("MiniHack-River-Lava-v0"))
    labels = labeller.bind(env, names)
    begin(env, 0)
    trace = walk(env, labels, names, ["E"] * 5)
    assert trace[-1] == {"dead", "beside_lava", "sees_lava", "sees_boulder", "has_weapon"}
    assert not any("dead" in labels for labels in trace[:-1])
    env.close()


def test_features_agree_with_the_words_of_nethack() -> None:
    """Glyph tables against descriptions, place by place, on three levels."""
    said = {"stairs_down": "staircase down", "stairs_up": "staircase up", "closed_door": "closed door",
            "open_door": "open door", "water": "water", "boulder": "a boulder",
            "door": ("open door", "closed door")}  # fmt: skip
    names = tuple(f"{relation}_{feature}" for relation in ("beside", "sees") for feature in said)
    seen: set[str] = set()
    rng = np.random.default_rng(0)
    wander = [str(rng.choice(["N", "E", "S", "W", "NE", "SE", "SW", "NW"])) for _ in range(60)]
    games = [("MiniHack-River-v0", 0, wander), ("MiniHack-KeyRoom-S5-v0", 2, KEYROOM)]
    games += [("MiniHack-Room-5x5-v0", 1, ["SE"] * 3)]
    for env_id, seed, moves in games:
        env = gym.make(env_id)
        labels = labeller.bind(env, names)
        begin(env, seed)
        index = {action.name: number for number, action in enumerate(env.unwrapped.actions)}
        for move in moves:
            next_obs, _, terminated, truncated, info = env.step(index[move])
            if terminated or truncated:
                break
            truth = dict(zip(names, labels.read(0, next_obs, info), strict=True))
            inner: Any = env.unwrapped
            x, y = (int(value) for value in raw(env, "blstats")[:2])
            texts = {(j, i): inner.get_screen_description(i, j) for j in range(21) for i in range(79)
                     if (j, i) != (y, x)}  # fmt: skip
            for feature, words in said.items():
                exact = {words} if isinstance(words, str) else set(words)
                places = [place for place, text in texts.items() if text in exact]
                assert truth[f"sees_{feature}"] == bool(places), (env_id, feature, set(texts.values()))
                near = [place for place in places if abs(place[0] - y) <= 1 and abs(place[1] - x) <= 1]
                assert truth[f"beside_{feature}"] == bool(near)
            seen |= {name for name, holds in truth.items() if holds}
        env.close()
    assert seen == set(names)


def test_the_status_line_and_planted_glyphs() -> None:
    """Every condition, hunger, the depth, and every feature in every relation, written into NLE's buffers."""
    conditions = tuple(f"is_{name}" for name in labeller.CONDITIONS)
    env = gym.make("MiniHack-Room-5x5-v0")
    begin(env, 1)
    _, _, _, _, info = env.step(0)
    status, glyphs = raw(env, "blstats"), raw(env, "glyphs")
    labels = labeller.bind(env, conditions)
    for bit, name in enumerate(conditions):
        status[labeller.CONDITION] = 1 << bit
        assert [n for n, t in zip(conditions, labels.read(0, None, info), strict=True) if t] == [name]
    status[labeller.CONDITION], status[labeller.HUNGER], status[labeller.DEPTH] = 0, 2, 7
    labels = labeller.bind(env, ("hungry", "depth_at_least_7", "depth_at_least_8"))
    assert labels.read(0, None, info) == (True, True, False)
    x, y = int(status[labeller.X]), int(status[labeller.Y])
    for feature in labeller.FEATURES:
        names = (f"beside_{feature}", f"sees_{feature}")
        labels = labeller.bind(env, names)
        glyph = int(np.flatnonzero(labeller._glyphs_of(feature))[0])
        for place, expected in (((y + 1, x + 1), (True, True)), ((y + 2, x), (False, True))):
            map_before = glyphs.copy()
            glyphs[:] = nethack.GLYPH_CMAP_OFF  # bare stone
            glyphs[y, x] = 337  # the agent, which is no monster to itself
            assert labels.read(0, None, info) == (False, False)
            glyphs[place] = glyph
            assert labels.read(0, None, info) == expected, feature
            glyphs[:] = map_before
    for feature in set(labeller.FEATURES) - set(labeller.NEVER_UNDER) - {"stairs_down"}:
        labels = labeller.bind(env, (f"on_{feature}",))
        glyph = int(np.flatnonzero(labeller._glyphs_of(feature))[0])
        labels.read(0, None, info)
        labels.glyphs_before[y + 1, x] = glyph  # type: ignore[attr-defined]
        status[labeller.Y] = y + 1
        assert labels.read(0, None, info) == (True,), feature
        status[labeller.Y] = y
    env.close()


# --- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("beside_dor", "'beside_dor' names no feature of MiniHack. Did you mean 'beside_door'?"),
        ("is_levitated", "'is_levitated' names no condition of MiniHack. Did you mean 'is_levitating'?"),
        ("on_pet", "'on_pet' can never hold: the agent cannot stand there. Did you mean 'beside_pet'?"),
        ("depth_at_least_0", "'depth_at_least_0': the dungeon level is a number from 1 to 60."),
        ("depth_at_least_deep", "'depth_at_least_deep': the dungeon level is a number from 1 to 60."),
        ("solve", "'solve' is not a label of minihack. Did you mean 'solved'?"),
        ("has_", "'has_' is no label: words of lower-case letters and digits, joined by '_'."),
        ("has_Key", "'has_Key' is no label: words of lower-case letters and digits, joined by '_'."),
        ("has_" + "x" * 99, f"'has_{'x' * 16}...' has 103 characters; a label of minihack has at most 64."),
    ],
)  # fmt: skip
def test_reasons(name: str, reason: str) -> None:
    assert labeller.check(name) == reason


def test_the_described_patterns_are_labels() -> None:
    for pattern, meaning in labeller.describe():
        assert meaning
        filled = {"<feature>": "altar", "<words>": "long_sword", "<condition>": "blind", "<number>": "12"}
        for slot, word in filled.items():
            pattern = pattern.replace(slot, word)
        assert labeller.check(pattern) is None


def test_refusals() -> None:
    with pytest.raises(MismatchError, match="labels 'minihack' need a MiniHack environment") as caught:
        labeller.bind(gym.make("CartPole-v1"), ("solved",))
    assert caught.value.problems[0].code == "labeller-mismatch"
    with pytest.raises(SpecError) as refused:
        labeller.bind(gym.make("CartPole-v1"), ("beside_dor",))
    assert refused.value.problems[0].code == "unknown-label"


# --- SteadyNLE ---------------------------------------------------------------------------------------------


def play(env: Any, seed: int, episodes: int = 2, steps: int = 12) -> list[Any]:
    """Return the observations of some episodes of which only the first is seeded."""
    rng, shown = np.random.default_rng(0), []
    for episode in range(episodes):
        obs, _ = env.reset(seed=seed if episode == 0 else None)
        shown.append(obs)
        for _ in range(steps):
            obs, _, terminated, truncated, _ = env.step(int(rng.integers(8)))
            shown.append(obs)
            if terminated or truncated:
                break
    return shown


def same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        all(np.array_equal(a[key], b[key]) for key in a) for a, b in zip(one, other, strict=True)
    )


def test_a_seed_fixes_this_and_later_episodes() -> None:
    env = SteadyNLE(gym.make("MiniHack-Room-Random-5x5-v0"))
    first = play(env, 7)
    assert same(first, play(env, 7))
    twin = SteadyNLE(gym.make("MiniHack-Room-Random-5x5-v0"))
    assert same(first, play(twin, 7))
    assert not same(first, play(env, 8))
    env.close()
    twin.close()


def test_level_seeds_are_drawn_from_the_wrappers_generator() -> None:
    env = SteadyNLE(gym.make("MiniHack-Room-Random-5x5-v0", seeds=[1, 2, 3, 4]))
    assert same(play(env, 5, episodes=4, steps=1), play(env, 5, episodes=4, steps=1))
    env.close()


def test_observations_are_copies_and_options_may_be_empty() -> None:
    env = SteadyNLE(gym.make("MiniHack-Room-5x5-v0"))
    obs, _ = env.reset(seed=0, options={})
    kept = {key: value.copy() for key, value in obs.items()}
    for _ in range(3):
        next_obs, *_ = env.step(1)
    assert all(np.array_equal(obs[key], kept[key]) for key in obs)
    assert not np.shares_memory(obs["glyphs"], next_obs["glyphs"])
    assert env.observation_space.contains(obs)
    env.close()


def test_the_last_observation_shows_the_solved_task() -> None:
    env = SteadyNLE(gym.make("MiniHack-Room-5x5-v0"))
    begin(env, 1)
    for _ in range(4):
        obs, reward, terminated, truncated, _ = env.step(5)  # south-east
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert (obs["chars"] == ord("@")).sum() == 1
    assert env.reset(seed=1)[0]["blstats"].any()  # and a new game starts
    env.close()


def test_the_step_limit_truncates() -> None:
    env = SteadyNLE(gym.make("MiniHack-Room-5x5-v0"))
    begin(env, 1)
    for step in range(1, 101):
        _, _, terminated, truncated, _ = env.step(0)  # against the wall
        assert (terminated, truncated) == (False, step == 100)
    env.close()


def test_it_can_be_made_again_from_its_spec() -> None:
    env = SteadyNLE(gym.make("MiniHack-Room-5x5-v0"))
    spec = env.spec
    assert spec is not None and spec.additional_wrappers[-1].name == "SteadyNLE"
    again = gym.make(spec)
    assert isinstance(again, SteadyNLE)
    env.close()
    again.close()
