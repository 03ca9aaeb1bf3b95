"""`new` and `convert`: specs that somebody can start from."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rewardspec.analysis.new import start_spec
from rewardspec.vocabulary import load, loads
from tests.cli.conftest import Run

ENVIRONMENTS = (
    "CartPole-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "Acrobot-v1",
    "FrozenLake-v1",
    "CliffWalking-v1",
    "Taxi-v3",
    "Blackjack-v1",
    "MiniGrid-Empty-5x5-v0",
    "MiniGrid-DoorKey-5x5-v0",
    "MiniGrid-UnlockPickup-v0",
    "BabyAI-GoToRedBall-v0",
    "rewardspec/OfficeWorld-v0",
    "rewardspec/KeyDoorChest-v0",
)

MORE = ("HalfCheetah-v5", "Ant-v5", "Reacher-v5", "MiniHack-Room-5x5-v0", "MiniHack-Corridor-R2-v0")


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_what_new_writes_passes_check_and_test(run: Run, env_id: str) -> None:
    assert run("new", env_id, "-o", "new.yaml").exit_code == 0
    checked = run("check", "new.yaml", "--strict")
    assert checked.exit_code == 0, checked.stdout
    tested = run("test", "new.yaml")
    assert tested.exit_code == 0, tested.stdout
    assert "failed" not in tested.stdout and "0 passed" not in tested.stdout
    shown = run("show", "new.yaml", "--source")
    assert shown.exit_code == 0, shown.stderr


@pytest.mark.parametrize("env_id", MORE)
def test_new_in_bigger_environments(run: Run, env_id: str) -> None:
    pytest.importorskip("minihack" if env_id.startswith("MiniHack") else "mujoco")
    assert run("new", env_id, "-o", "new.yaml").exit_code == 0
    assert run("check", "new.yaml", "--strict").exit_code == 0
    assert run("test", "new.yaml").exit_code == 0


@pytest.mark.parametrize(
    "env_id",
    [
        "mpe2/simple_tag_v3",
        "rewardspec/TwoButtons-v0",
        "classic/rps-v2",
        "mpe2.simple_crypto_v3",
        "envs.two_buttons:TwoButtons",
    ],
)
def test_new_writes_an_entry_for_each_sort_of_agent(run: Run, env_id: str) -> None:
    """What it writes passes check and test, and holds in the environment itself."""
    written = run("new", env_id, "-o", "new.yaml")
    assert written.exit_code == 0, written.stderr
    checked = run("check", "new.yaml", "--strict", "--env", env_id, "--episodes", "1")
    assert checked.exit_code == 0 and "own" in checked.stdout, checked.stdout
    tested = run("test", "new.yaml")
    assert tested.exit_code == 0 and " passed" in tested.stdout and "failed" not in tested.stdout


def test_new_tells_who_there_is_and_what_each_sees_and_does(run: Run) -> None:
    text = run("new", "mpe2/simple_tag_v3").stdout
    assert (
        "  adversary_*:   # adversary_0, adversary_1, adversary_2\n    # next_obs: 16 numbers, next_obs[0] to"
        in text
    )
    assert "  agent_0:\n    # next_obs: 14 numbers" in text and "# action: a whole number from 0 to 4" in text
    assert "horizon: 25   # at which every random episode was cut" in text and "--policies entry" in text
    of_module = run("new", "envs.two_buttons:TwoButtons").stdout
    assert "train FILE --env envs.two_buttons:TwoButtons " in of_module, "a spec alone imports no module"
    assert "# propositions: [a, b, meet, button]" in of_module and "next_obs[1]: from 0 to 4" in of_module


@pytest.mark.parametrize(
    ("env_id", "why"),
    [
        ("mpe2.simple_tags_v3", "No module named 'mpe2.simple_tags_v3'"),
        ("numpy.random", "has no attribute 'parallel_env'"),
        ("nowhere.at_all", "there is no environment 'nowhere.at_all'"),
    ],
)
def test_new_of_a_module_that_makes_none_says_why(run: Run, env_id: str, why: str) -> None:
    result = run("new", env_id)
    assert result.exit_code == 1 and why in result.stderr


@pytest.mark.parametrize(
    "env_id", ["CartPole-v1", "Pendulum-v1", "Taxi-v3", "Blackjack-v1", "MiniGrid-DoorKey-5x5-v0"]
)
def test_the_commented_signals_can_be_used(env_id: str) -> None:
    text = start_spec(env_id)
    lines = []
    for line in text.split("\n"):
        bare = (
            line.removeprefix("# ")
            if line.startswith(("# signals:", "#   "))
            else line.replace("  # ", "  ", 1)
        )
        lines.append(bare if "next_obs" in bare or "action[" in bare or bare == "signals:" else line)
    used = loads("\n".join(lines))
    assert len(used.signals) > len(loads(text).signals)
    from rewardspec.compiler import compile_spec
    from rewardspec.environments import make_environment
    from rewardspec.ir.layout import bind
    from rewardspec.vocabulary import from_data

    data = used.to_data()
    data["reward"] = [{"markov": name} for name in used.signals]
    env = make_environment(env_id)
    bind(compile_spec(from_data(data)), env.observation_space, env.action_space)


def test_new_names_the_entries_of_known_observations(run: Run) -> None:
    text = run("new", "CartPole-v1").stdout
    assert "  position: {value: 'next_obs[0]', range: [-4.8, 4.8]}\n" in text
    assert "  # angular_velocity: next_obs[3]\n" in text
    assert "  horizon: 500\n" in text
    assert "# action: a whole number from 0 to 1: 0 push left, 1 push right\n" in text


def test_new_suggests_labels_by_what_stands_in_the_grid(run: Run) -> None:
    text = run("new", "MiniGrid-DoorKey-5x5-v0").stdout
    assert (
        "  has_key: label.carrying_key\n  door_is_open: label.door_open\n  at_goal: label.at_goal\n" in text
    )
    assert "  has_key:" not in run("new", "MiniGrid-Empty-5x5-v0").stdout


class Odd(gym.Env[object, object]):
    """An environment with every sort of space, names that are words of the language, and prints."""

    observation_space = spaces.Dict(
        {
            "obs": spaces.Discrete(3, start=-1),
            "my key": spaces.Box(-1, 1, (2,)),
            "1st": spaces.MultiDiscrete([3, 4]),
            "image": spaces.Box(0, 255, (4, 4, 3), np.uint8),
            "pair": spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(3))),
            "text": spaces.Text(5),
            "scalar": spaces.Box(-np.inf, np.inf, ()),
            "many": spaces.Box(-1, 1, (500,)),
        }
    )
    action_space = spaces.MultiDiscrete([2, 2])

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[object, dict[str, object]]:
        super().reset(seed=seed)
        print("noise")
        return self.observation_space.sample(), {}

    def step(self, action: object) -> tuple[object, float, bool, bool, dict[str, object]]:
        return self.observation_space.sample(), 1.0, False, False, {}


def test_new_for_an_environment_nobody_knows(run: Run) -> None:
    gym.register("Odd-v0", Odd)
    try:
        result = run("new", "Odd-v0")
        assert result.exit_code == 0
        assert "noise" not in result.stdout
        spec = loads(result.stdout)
        assert spec.env is not None and spec.env.id == "Odd-v0" and spec.env.horizon is None
        for line in (
            "#   obs_: {value: next_obs.obs, range: [-1, 1]}",
            "#   scalar: next_obs.scalar",
            "# next_obs.image: 4x4x3 numbers, read as in next_obs.image[0, 0, 0]",
            "# next_obs.many: 500 numbers, read as in next_obs.many[0]",
            "# next_obs.text: Text, which has no numbers",
        ):
            assert line in result.stdout.split("\n")
        by_module = run(
            "new", "math:Odd-v0"
        ).stdout  # a spec alone imports no module: the command has to name it
        assert "#   rewardspec train FILE --env math:Odd-v0   trains an agent on it" in by_module.split("\n")
    finally:
        del gym.registry["Odd-v0"]


@pytest.mark.parametrize(
    ("env_id", "said"),
    [
        ("CartPol-v1", "Did you mean 'CartPole-v1'?"),
        ("CartPole-v9", "There are: CartPole-v0, CartPole-v1."),
        ("MiniGrid-DorKey-8x8-v0", "Did you mean 'MiniGrid-DoorKey-8x8-v0'?"),
        ("Garden-v0", "If a module of yours registers it, name that too: 'module:Garden-v0'."),
        ("mpe2/simple_tags_v3", "Did you mean 'mpe2/simple_tag_v3'?"),
        ("butterfly/pistonbal-v6", "Did you mean 'butterfly/pistonball-v6'?"),
        ("../x", "cannot be made"),
        ("json:parallel_env", "'json:parallel_env' is no environment of one agent"),
        ("no_such_package:Name-v0", "cannot be made"),
    ],
)
def test_unknown_environment(run: Run, env_id: str, said: str) -> None:
    result = run("new", env_id)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_module_that_lies_in_a_folder_python_does_not_search(run: Run, tmp_path: Path) -> None:
    (tmp_path / "drone_of_mine.py").write_text("")
    result = run("new", "drone_of_mine:Drone-v0")
    assert result.exit_code == 1
    assert (
        "'drone_of_mine' lies in this folder, where Python does not look: put PYTHONPATH=." in result.stderr
    )


def test_new_overwrites_only_when_told(run: Run, office: Path, tmp_path: Path) -> None:
    before = (tmp_path / office).read_text()
    assert run("new", "CartPole-v1", "-o", office).exit_code == 2
    assert (tmp_path / office).read_text() == before
    assert run("new", "CartPole-v1", "-o", office, "--force").exit_code == 0
    assert (tmp_path / office).read_text() != before


TORO = """\
0 # initial state
[2] # terminal state
(0,1,'e&!n',ConstantRewardFunction(0))
(0,0,'!e&!n',ConstantRewardFunction(0))
(1,2,'g&!n',ConstantRewardFunction(1))
(1,1,'!g&!n',ConstantRewardFunction(0))
"""


def test_reward_machines_come_in_from_the_text_format(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t1.txt").write_text(TORO)
    assert run("convert", "t1.txt", "-o", "t1.yaml").exit_code == 0
    spec = load(tmp_path / "t1.yaml")
    assert list(spec.propositions) == ["e", "n", "g"]
    assert run("check", "t1.yaml").exit_code == 0


def test_and_go_out_to_it(run: Run, office: Path, tmp_path: Path) -> None:
    result = run("convert", office, "-o", "office.txt")
    assert result.exit_code == 0
    assert "the text format holds 'task' alone" in result.stderr
    assert "(0,1,'coffee',ConstantRewardFunction(0.1))" in (tmp_path / "office.txt").read_text()
    assert run("convert", "office.txt", "-o", "back.yaml").exit_code == 0


def test_convert_to_yaml_and_python_keeps_the_spec(run: Run, office: Path) -> None:
    assert loads(run("convert", office).stdout) == load(office)
    namespace: dict[str, object] = {}
    exec(run("convert", office, "--to", "python").stdout, namespace)
    assert namespace["spec"] == load(office)


@pytest.mark.parametrize(
    ("file", "content", "arguments", "code", "said"),
    [
        ("x.txt", b"0\n[1]\n(0,1,'a'", [], 1, "x.txt:3:"),
        ("x.txt", b"\xff\xfe", [], 1, "is not UTF-8"),
        ("x.yaml", b"reward: 1", ["--to", "toro-icarte"], 2, "the spec has none"),
        ("x.yaml", b"reward: 1", ["--to", "latex"], 2, "latex"),
    ],
)
def test_convert_says_what_it_cannot(
    run: Run, tmp_path: Path, file: str, content: bytes, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / file).write_bytes(content)
    result = run("convert", file, *arguments)
    assert result.exit_code == code
    assert said in result.stderr


def test_the_machine_to_write_is_chosen_by_name(run: Run, tmp_path: Path) -> None:
    machine = "{{reward_machine: {{start: u, edges: [{{from: u, to: w, when: {0}, reward: 1}}]}}, name: {0}}}"
    terms = ", ".join(["markov: 1", machine.format("a"), machine.format("b")])
    (tmp_path / "two.yaml").write_text(
        f"propositions: {{a: 'next_obs > 0', b: 'next_obs > 1'}}\nreward: [{terms}]\n"
    )
    unclear = run("convert", "two.yaml", "--to", "toro-icarte")
    assert unclear.exit_code == 2
    assert "There are: a, b." in " ".join(unclear.stderr.split())
    assert "'b'" in run("convert", "two.yaml", "--to", "toro-icarte", "--term", "b").stdout


def test_a_class_that_is_not_registered_is_told_how_to_be(run: Run) -> None:
    result = run("new", "tests.cli.test_starting:Odd")
    assert result.exit_code == 1 and "there is no environment" in result.stderr
    assert "gymnasium.register(id='Odd-v0', entry_point='tests.cli.test_starting:Odd')" in result.stderr
    assert "Did you mean" not in run("new", "Garden-v0").stderr, "what is alike is the version"


def test_an_environment_of_several_is_none_of_one() -> None:
    from rewardspec.environments import make_environment
    from rewardspec.errors import MismatchError

    with pytest.raises(
        MismatchError, match="`rewardspec new mpe2/simple_spread_v3` writes one to begin with"
    ):
        make_environment("mpe2/simple_spread_v3")
