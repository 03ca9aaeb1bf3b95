"""Running commands as a user does, and the specs that they are run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rewardspec.cli import app

Run = Callable[..., Result]

OFFICE = """\
rewardspec: 1
name: office
discount: 0.95
propositions:
  coffee: next_obs.cell == 3
  office: next_obs.cell == 7
reward:
  - reward_machine:
      start: want
      edges:
        - {from: want, to: have, when: coffee, reward: 0.1}
        - {from: want, when: otherwise}
        - {from: have, to: done, when: office, reward: 1}
        - {from: have, when: otherwise}
      terminal: done
    name: task
  - markov: -0.01 * abs(action)
    name: effort
tests:
  - name: coffee first, then the office
    trace: [[], [coffee], [office]]
    return: {task: 1.1}
    state: done
"""

EPISODE = """\
{"next_obs": {"cell": 0}, "action": 1}
{"next_obs": {"cell": 3}, "action": 1}
{"next_obs": {"cell": 4}, "action": 0}
{"next_obs": {"cell": 4}, "action": 0}
{"next_obs": {"cell": 7}, "action": 1}
{"next_obs": {"cell": 8}, "action": 1}
"""

CARTPOLE = """\
name: balance
env: {id: CartPole-v1, horizon: 500, base_reward: [0, 1], ends_early: true}
signals:
  position: {value: 'next_obs[0]', range: [-4.8, 4.8]}
reward:
  - markov: 1 - abs(position) / 4.8
tests:
  - {name: centre, transitions: [{next_obs: [0, 0, 0, 0]}], return: 1}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder; its result has `exit_code`, `stdout` and `stderr`."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object, text: str | None = None) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """Return a spec with a machine and an effort, in the working folder, by its bare name."""
    (tmp_path / "office.yaml").write_text(OFFICE)
    (tmp_path / "episode.jsonl").write_text(EPISODE)
    return Path("office.yaml")


@pytest.fixture
def cartpole(tmp_path: Path) -> Path:
    """Return a spec that names its environment."""
    (tmp_path / "cartpole.yaml").write_text(CARTPOLE)
    return Path("cartpole.yaml")
