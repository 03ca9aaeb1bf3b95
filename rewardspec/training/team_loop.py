"""Train agents together on a spec: PPO with one policy for all, one per entry of the spec, or one each.

The loop is stable-baselines3's own for PPO, over several learners at once: every learner acts for its rows, all games
step, every learner updates on its own rollout (Schulman et al., arXiv 1707.06347). One policy for all is parameter
sharing (Gupta et al., AAMAS 2017), one each is independent PPO (de Witt et al., arXiv 2011.09533). Steps of agents that
do not act are left out of the updates.

The progress rows, TensorBoard, checkpoints and results are those of a run of one agent. A run that was stopped goes on
as if it had never been, on the same machine with the same versions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import time
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import gymnasium as gym
import numpy as np

from rewardspec.errors import LearningError, Problem, UnsupportedError, list_names, missing_extra, near_miss
from rewardspec.parallel_environments import make_parallel_environment
from rewardspec.spec.model import Spec
from rewardspec.team.compile import TeamProgram, compile_team
from rewardspec.training import checkpoint, display, unchanged
from rewardspec.training.folder import Row, RunFolder, write_whole
from rewardspec.training.loop import CHECKPOINT_SECONDS, Show, make_logger, one_thread
from rewardspec.training.settings import EXPLORING, WINDOW, choose, refused
from rewardspec.training.versions import versions
from rewardspec.vocabulary import load

if TYPE_CHECKING:
    from stable_baselines3 import PPO

    from rewardspec.wrappers.parallel_sb3 import Rows

Policies = Literal["shared", "entry", "independent"]
"""Who has a policy: all agents one, those of an entry of the spec one, or each its own."""

POLICIES: tuple[str, ...] = ("shared", "entry", "independent")

N_ENVS = 8
"""Games side by side, where nothing is said."""


@dataclass(frozen=True)
class TeamSettings:
    """All that decides what a run does, besides the spec.

    Attributes:
        env_id: Name of the environment.
        policies: Who has a policy.
        steps: Environment steps, over all games; a step of all agents is one.
        seed: Seed of everything random.
        n_envs: Games side by side.
        indicator: Whether agents that share a policy see which of them they are.
        env_kwargs: Arguments of the environment.
        agent: Arguments of PPO, `gamma` included.
    """

    env_id: str
    policies: str
    steps: int
    seed: int
    n_envs: int
    indicator: bool
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    agent: Mapping[str, Any] = field(default_factory=dict)


def train_team(
    spec: Spec | str | Path,
    folder: str | Path,
    *,
    env_id: str | None = None,
    policies: str = "shared",
    steps: int = 100_000,
    seed: int = 0,
    n_envs: int | None = None,
    indicator: bool = True,
    agent: Mapping[str, Any] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    show: Show | bool = True,
    by: str | None = None,
) -> RunFolder:
    """Train agents together on a spec; everything it writes goes into a new run folder.

    Args:
        spec: The spec, or the path of its YAML file.
        folder: The run folder; it must be new or empty.
        env_id: Name of the environment; the spec's own where it is not given.
        policies: `shared`: one policy for all; `entry`: one for the agents of each entry of `agents:`; `independent`:
            one each.
        steps: Environment steps over all games, rounded up to whole rollouts; a step of all agents is one.
        seed: Seed of everything random.
        n_envs: Games side by side.
        indicator: Whether agents that share a policy see which of them they are.
        agent: Arguments of SB3's PPO that differ from `settings.AGENT`. Its `gamma` is the spec's discount.
        checkpoint_seconds: Seconds between two checkpoints.
        show: Whether to show progress, or what to call with every row of it.
        by: Name of the module of `agents/` that asks for it.

    Raises:
        SpecError: The spec is wrong.
        MismatchError: The environment or an agent lacks what the spec reads.
        UnsupportedError: `wrong-setting`, `unfit-spaces`, `discount-mismatch`, `run-folder-taken`, `no-environment`.
    """
    file = None if isinstance(spec, Spec) else Path(spec)
    spec = spec if isinstance(spec, Spec) else load(spec)
    if policies not in POLICIES:
        hint = f"One of: {list_names(POLICIES)}.{near_miss(policies, POLICIES)}"
        raise UnsupportedError(Problem("wrong-setting", f"policies cannot be '{policies}'", hints=(hint,)))
    sides = N_ENVS if n_envs is None else n_envs
    chosen = choose(spec, env_id=env_id, algo="ppo", steps=steps, seed=seed, n_envs=sides, agent=agent)
    settings = TeamSettings(
        chosen.env_id, policies, steps, seed, sides, indicator, chosen.env_kwargs, chosen.agent
    )
    team = compile_team(spec)
    built = _Team(team, settings, trusted=env_id is not None)
    run = RunFolder(folder)
    text = spec.to_yaml() if file is None else file.read_text(encoding="utf-8")
    facts = {
        "settings": dataclasses.asdict(settings),
        **unchanged.facts_of(spec, team.digest()),
        "versions": versions(),
    }
    run.create(text, facts if by is None else {"agent": by, **facts})
    return _run(run, spec, built, checkpoint_seconds, show)


def resume_team(
    folder: str | Path,
    *,
    spec: Spec | str | Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    show: Show | bool = True,
) -> RunFolder:
    """Go on with a run that was stopped at any moment; one that is finished stays as it is.

    Raises:
        UnsupportedError: `not-a-run-folder`, `run-in-use`, `spec-changed`.
        LearningError: `broken-checkpoint`.
    """
    run = RunFolder(folder)
    team, settings = read_team_run(run)
    if spec is not None:
        given = spec if isinstance(spec, Spec) else load(spec)
        unchanged.refuse_other(run, given, compile_team(given).digest())
    if run.is_finished:
        return run
    return _run(run, load(run.spec), _Team(team, settings, trusted=True), checkpoint_seconds, show)


def is_team_run(run: RunFolder) -> bool:
    """Return whether a folder holds a run of several agents."""
    return run.is_run and "policies" in run.read_facts().get("settings", {})


def read_team_run(run: RunFolder) -> tuple[TeamProgram, TeamSettings]:
    """Return the compiled spec and the settings of a run.

    Raises:
        UnsupportedError: `not-a-run-folder`; `spec-changed` when spec.yaml no longer means what was trained on.
    """
    facts = run.read_facts()
    try:
        settings = TeamSettings(**facts["settings"])
    except (KeyError, TypeError) as error:
        message = f"{run.facts} is not what training several agents writes: {error}"
        raise UnsupportedError(Problem("not-a-run-folder", message)) from error
    spec = load(run.spec)
    team = compile_team(spec)
    unchanged.refuse_other(run, spec, team.digest())
    return team, settings


def play_team(
    folder: str | Path, episodes: int = 1, *, seed: int = 10_000, deterministic: bool = True
) -> list[dict[str, Any]]:
    """Return the sums of episodes that a run's newest policies play: `r`, `l`, `terms`, `measures`, ....

    Raises:
        UnsupportedError: `not-a-run-folder`, `spec-changed`, `nothing-trained`.
    """
    built = load_policies(RunFolder(folder)).built
    rows, played = built.rows, list[dict[str, Any]]()
    seen = rows.reset(seed)
    while len(played) < episodes:
        actions = {
            g: learner.model.predict(seen[g], deterministic=deterministic)[0]
            for g, learner in built.learners.items()
        }
        given = rows.step(actions)
        seen = {group: step[0] for group, step in given.items()}
        played += [info["game"] for info in given[next(iter(given))][3] if "game" in info]
    return played


class Playing:
    """The newest policies of a run.

    Attributes:
        team: The compiled spec.
        settings: Of the run.
        built: A game of its own, and the learners.
    """

    def __init__(self, built: _Team) -> None:
        self.built, self.team, self.settings = built, built.team, built.settings
        groups = built.rows.groups
        self._places = {name: (group, k) for group, names in groups.items() for k, name in enumerate(names)}

    def act(self, agent: str, observation: Any, deterministic: bool) -> Any:
        """Return what an agent does when it sees something."""
        group, k = self._places[agent]
        seen = self.built.rows.encode(group, k, observation)
        return self.built.learners[group].model.predict(seen, deterministic=deterministic)[0]


def load_policies(run: RunFolder) -> Playing:
    """Return a run's newest policies.

    Raises:
        UnsupportedError: `not-a-run-folder`, `spec-changed`, `nothing-trained`.
    """
    team, settings = read_team_run(run)
    latest = run.latest()
    if latest is None:
        raise UnsupportedError(Problem("nothing-trained", f"the run in {run.path} has no checkpoint yet"))
    built = _Team(team, dataclasses.replace(settings, n_envs=1), trusted=True)
    for group, learner in built.learners.items():
        checkpoint.load_weights(learner.model, latest / f"{built.file(group)}.zip")
    return Playing(built)


# -- learners ----------------------------------------------------------------------------------------------


class _Learner:
    """One policy with its rollout; it acts for the rows of a group."""

    def __init__(self, model: PPO, rows: int) -> None:
        self.model = model
        self.starts = np.ones(rows, np.float32)

    def act(self, seen: Any) -> tuple[Any, Any, Any, Any]:
        """Return actions as the policy gave them, as the environment takes them, values and log-probabilities."""
        import torch
        from stable_baselines3.common.utils import obs_as_tensor

        with torch.no_grad():
            actions, values, log_probs = self.model.policy(obs_as_tensor(seen, self.model.device))
        drawn = actions.cpu().numpy()
        space = self.model.action_space
        taken = np.clip(drawn, space.low, space.high) if isinstance(space, gym.spaces.Box) else drawn
        return drawn, taken, values, log_probs

    def value(self, seen: Any) -> Any:
        """Return the values of observations."""
        import torch
        from stable_baselines3.common.utils import obs_as_tensor

        with torch.no_grad():
            return self.model.policy.predict_values(obs_as_tensor(seen, self.model.device))


class _Team:
    """Games and learners of a run."""

    def __init__(self, team: TeamProgram, settings: TeamSettings, *, trusted: bool) -> None:
        from rewardspec.wrappers.parallel_sb3 import Rows, make_games

        self.team, self.settings = team, settings
        games = make_games(
            settings.env_id, team, settings.n_envs, env_kwargs=settings.env_kwargs, trusted=trusted
        )
        env = games[0].env
        self.rows: Rows = Rows(games, groups_of(env.entries, settings.policies), indicator=settings.indicator)
        with one_thread(), warnings.catch_warnings():
            # A policy that only plays has rollouts that no batch fits.
            warnings.filterwarnings("ignore", message="You have specified a mini-batch")
            self.learners = {
                group: _Learner(_make_ppo(self.rows, group, i, settings), self.rows.rows(group))
                for i, group in enumerate(self.rows.groups)
            }

    def file(self, group: str) -> str:
        """Return the name of a group's files: its number, since names may hold any characters."""
        return f"policy-{list(self.rows.groups).index(group)}"


def groups_of(entries: Mapping[str, str], policies: str) -> dict[str, list[str]]:
    """Return the agents of each policy.

    Example:
        >>> groups_of({"a_0": "a_*", "a_1": "a_*", "b": "default"}, "entry")
        {'a_*': ['a_0', 'a_1'], 'default': ['b']}
    """
    if policies == "shared":
        return {"all": list(entries)}
    groups: dict[str, list[str]] = {}
    for agent, entry in entries.items():
        groups.setdefault(entry if policies == "entry" else agent, []).append(agent)
    return groups


def _make_ppo(rows: Rows, group: str, number: int, settings: TeamSettings) -> PPO:
    try:
        from stable_baselines3 import PPO

        from rewardspec.training.masked_rollouts import GroupSpaces, MaskedRolloutBuffer
    except ImportError as error:
        raise missing_extra("stable-baselines3", "sb3", "training") from error
    arguments = dict(settings.agent)
    if not isinstance(rows.action_space[group], gym.spaces.Box):
        arguments.setdefault("ent_coef", EXPLORING)
    policy = "MlpPolicy" if len(rows.observation_space[group].shape or ()) == 1 else "CnnPolicy"
    spaces = GroupSpaces(rows.rows(group), rows.observation_space[group], rows.action_space[group])
    size = rows.rows(group) * int(arguments["n_steps"])
    arguments["batch_size"] = min(int(arguments["batch_size"]), size)
    try:
        return PPO(
            policy, spaces, seed=settings.seed + number, device="cpu",
            rollout_buffer_class=MaskedRolloutBuffer, **arguments,
        )  # fmt: skip
    except (TypeError, ValueError, AssertionError) as error:
        raise refused(PPO, settings.agent, error) from error


# -- the run -----------------------------------------------------------------------------------------------


def _run(run: RunFolder, spec: Spec, built: _Team, checkpoint_seconds: float, show: Show | bool) -> RunFolder:
    """Train to the end, from the newest checkpoint where there is one."""
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.utils import set_random_seed

    settings = built.settings
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.lock())
        stack.enter_context(one_thread())
        latest = run.latest()
        done = int(latest.name) if latest is not None else 0
        run.cut(done)
        if show is True:
            show = stack.enter_context(display.shown(built.team.name, settings.steps, done=done))
        for learner in built.learners.values():
            learner.model.set_logger(Logger(None, []))
            learner.model.ep_info_buffer = deque(maxlen=WINDOW)
        progress = _Progress(run, built, checkpoint_seconds, show or None, make_logger(run, done))
        if latest is None:
            set_random_seed(settings.seed)
            built.rows.reset(settings.seed)
        else:
            progress.take_up(latest)
        while progress.steps < settings.steps:
            progress.save_if_due()
            _rollout(built, progress)
            left = 1.0 - progress.steps / settings.steps
            for learner in built.learners.values():
                learner.model._current_progress_remaining = max(left, 0.0)
                learner.model.train()
            progress.write_row()
        progress.save()
        progress.logger.close()
        rows = run.rows()
        last = rows[-1] if rows else {}
        run.write_result({"algo": "ppo", "policies": settings.policies, "seed": settings.seed, **last})
        _look_back(run, spec, built)
        write_whole(run.model, lambda file: _write_models(cast(io.BufferedIOBase, file), built))
    return run


def _look_back(run: RunFolder, spec: Spec, built: _Team) -> None:
    """Look for signs that the agents farm their rewards, in a game of its own that tells every step's details."""
    from rewardspec.training import team_farming
    from rewardspec.wrappers.parallel import wrap_parallel

    settings = built.settings
    env = wrap_parallel(
        make_parallel_environment(settings.env_id, trusted=True, **settings.env_kwargs),
        built.team,
        detail=True,
    )
    env.load_run_state(built.rows.games[0].env.run_state())
    playing = Playing(built)
    try:
        played = team_farming.sample_team(
            env,
            lambda name, seen: playing.act(name, seen, False),
            trained=settings.steps,
            seed=settings.seed,
        )
    finally:
        env.close()
    team_farming.look_back(run, spec, played, run.rows())


def _write_models(file: Any, built: _Team) -> None:
    """Write every policy, as stable-baselines3 saves it, into one archive."""
    with zipfile.ZipFile(file, "w") as archive:
        for group, learner in built.learners.items():
            held = io.BytesIO()
            learner.model.save(held)
            archive.writestr(f"{built.file(group)}.zip", held.getvalue())
        names = {built.file(group): list(names) for group, names in built.rows.groups.items()}
        archive.writestr("policies.json", json.dumps(names))


def _rollout(built: _Team, progress: _Progress) -> None:
    """Play one rollout and hand each learner its part of it."""
    rows, learners = built.rows, built.learners
    for learner in learners.values():
        learner.model.policy.set_training_mode(False)
        learner.model.rollout_buffer.reset()
    seen = rows.now()
    for _ in range(next(iter(learners.values())).model.n_steps):
        acted = {group: here.copy() for group, here in rows.alive.items()}
        chosen = {group: learner.act(seen[group]) for group, learner in learners.items()}
        given = rows.step({group: choice[1] for group, choice in chosen.items()})
        for group, learner in learners.items():
            following, rewards, over, infos = given[group]
            paid = rewards.copy()
            for row, info in enumerate(infos):
                if info.get("TimeLimit.truncated"):
                    last = learner.value(info["terminal_observation"][None])
                    paid[row] += learner.model.gamma * float(last[0, 0])
            drawn, _, values, log_probs = chosen[group]
            buffer: Any = learner.model.rollout_buffer
            buffer.add_masked(seen[group], drawn, paid, learner.starts, values, log_probs, acted[group])
            learner.starts = over.astype(np.float32)
            seen[group] = following
            progress.count(infos)
        progress.steps += len(rows.games)
    for group, learner in learners.items():
        learner.model.rollout_buffer.compute_returns_and_advantage(
            learner.value(seen[group]), learner.starts.astype(bool)
        )


class _Progress:
    """What is written down while agents train."""

    def __init__(
        self,
        run: RunFolder,
        built: _Team,
        every: float,
        show: Callable[[Row], None] | None,
        logger: Any,
    ) -> None:
        from rewardspec.training.recorder import Tally

        self.run, self.built, self.every, self.show, self.logger = run, built, every, show, logger
        self.steps, self.before = 0, 0.0
        self.tally = Tally()
        self.began = self.saved = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds that the run has taken, earlier processes' included."""
        return self.before + time.monotonic() - self.began

    def count(self, infos: list[dict[str, Any]]) -> None:
        """Count the games that are over."""
        for info in infos:
            if "game" in info:
                self.tally.add(info["game"])

    def write_row(self) -> None:
        """Write a row of progress, and the same for TensorBoard with what the learners say of their updates."""
        row = self.tally.row(self.steps, self.seconds())
        self.run.append(row)
        recent = row["recent"]
        for name in ("task_return", "spec_return", "length", "success"):
            if recent[name] is not None:
                self.logger.record(f"rollout/{name}", recent[name])
        for term, paid in recent["terms"].items():
            self.logger.record(f"rollout/return/{term}", paid)
        for name, mean in recent.get("measures", {}).items():
            self.logger.record(f"rollout/{name}", mean)
        for group, learner in self.built.learners.items():
            said = learner.model.logger
            for name, value in said.name_to_value.items():
                self.logger.record(f"{name}/{group}", value)
            said.name_to_value.clear()
        self.logger.dump(self.steps)
        if self.show is not None:
            self.show(row)

    def save_if_due(self) -> None:
        """Save at the beginning, and when it is time."""
        if self.steps == 0 or time.monotonic() - self.saved >= self.every:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of the run as it is between two rollouts."""
        built, tally = self.built, self.tally
        state = {
            "steps": self.steps,
            "seconds": self.seconds(),
            "games": [game.where() for game in built.rows.games],
            "starts": {group: learner.starts.tolist() for group, learner in built.learners.items()},
            "updates": {group: learner.model._n_updates for group, learner in built.learners.items()},
            "random": checkpoint.random_state(next(iter(built.learners.values())).model),
            "tally": {"fresh": tally.fresh, "window": list(tally.window), "finished": tally.finished},
        }

        def write(place: Path) -> None:
            for group, learner in built.learners.items():
                checkpoint.save_weights(learner.model, place / f"{built.file(group)}.zip")
            (place / "state.json").write_text(json.dumps(state))

        self.run.save_checkpoint(self.steps, write)
        self.saved = time.monotonic()

    def take_up(self, place: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            LearningError: `broken-checkpoint`.
        """
        built = self.built
        try:
            state = json.loads((place / "state.json").read_text())
            for group, learner in built.learners.items():
                checkpoint.load_weights(learner.model, place / f"{built.file(group)}.zip")
                learner.starts = np.array(state["starts"][group], np.float32)
                learner.model._n_updates = int(state["updates"][group])
            for game, where in zip(built.rows.games, state["games"], strict=True):
                game.go_back_to(where)
            self.steps, self.before = int(state["steps"]), float(state["seconds"])
            held = state["tally"]
            self.tally.fresh, self.tally.finished = list(held["fresh"]), int(held["finished"])
            self.tally.window.extend(held["window"])
            checkpoint.restore_random_state(next(iter(built.learners.values())).model, state["random"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise LearningError(Problem("broken-checkpoint", f"{place} cannot be read: {reason}")) from error
