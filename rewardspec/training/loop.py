"""Train an agent on a spec, go on with a run that was stopped, and load what was trained."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import gymnasium as gym

from rewardspec.compiler import compile_spec
from rewardspec.errors import Problem, UnsupportedError, missing_extra
from rewardspec.ir.program import Program
from rewardspec.lowering import STRIDE
from rewardspec.spec.model import Spec
from rewardspec.training import checkpoint, display, farming, unchanged
from rewardspec.training.environments import Episodes, make_env
from rewardspec.training.folder import Row, RunFolder, write_whole
from rewardspec.training.settings import EXPLORING, Settings, choose, refused
from rewardspec.training.versions import versions
from rewardspec.vocabulary import load
from rewardspec.wrappers.counterfactual import CounterfactualWrapper

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from rewardspec.learning.learner import RewardLearner

CHECKPOINT_SECONDS = 30.0
"""Seconds between two checkpoints."""

REPORTS = "learned.jsonl"
"""Name of the file, in a run's folder, that tells what every refresh of a reward model came to."""

Show = Callable[[Row], None]
"""Called with every row of progress."""


def train(
    spec: Spec | str | Path,
    folder: str | Path,
    *,
    env_id: str | None = None,
    algo: str = "ppo",
    steps: int = 100_000,
    seed: int = 0,
    n_envs: int | None = None,
    agent: Mapping[str, Any] | None = None,
    crm: float | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    show: Show | bool = True,
    by: str | None = None,
) -> RunFolder:
    """Train an agent on a spec; everything it writes goes into a new run folder.

    Args:
        spec: The spec, or the path of its YAML file.
        folder: The run folder; it must be new or empty.
        env_id: Gymnasium id; the spec's own where it is not given.
        algo: `ppo`, `dqn`, `sac`, `td3` or `a2c`.
        steps: Environment steps to train for, over all environments side by side; PPO and A2C round up to
            whole rollouts.
        seed: Seed of everything random: the same seed gives the same learning curve.
        n_envs: Environments side by side.
        agent: Arguments of the algorithm that differ from `settings.AGENT`. Its `gamma` is the spec's
            discount.
        crm: Ratio of counterfactual experience for algorithms with a replay buffer, as `CrmReplayBuffer` takes
            it: 1 replays every step from every machine state. None for an ordinary buffer.
        checkpoint_seconds: Seconds between two checkpoints; 0 saves one with every row of progress.
        show: Whether to show progress, or what to call with every row of it.
        by: Name of the module of `agents/` that asks for it, for the command that goes on with the run.

    Returns:
        The run folder.

    Raises:
        SpecError: The spec is wrong.
        MismatchError: The environment lacks what the spec reads.
        UnsupportedError: `unknown-algorithm`, `no-environment`, `wrong-setting`, `unfit-algorithm`,
            `discount-mismatch`, `run-folder-taken`; `needs-machine` and the like with `crm`.
    """
    file = None if isinstance(spec, Spec) else Path(spec)
    spec = spec if isinstance(spec, Spec) else load(spec)
    settings = choose(
        spec, env_id=env_id, algo=algo, steps=steps, seed=seed, n_envs=n_envs, agent=agent, crm=crm
    )
    program = compile_spec(spec)
    run = RunFolder(folder)
    model, envs, learner = build(spec, settings, run.path)  # what cannot be built leaves no folder
    text = spec.to_yaml() if file is None else file.read_text(encoding="utf-8")
    facts = {
        "settings": settings.to_data(),
        **unchanged.facts_of(spec, program.digest()),
        "versions": versions(),
    }
    run.create(text, facts if by is None else {"agent": by, **facts})
    return _run(run, spec, settings, (model, envs, learner), checkpoint_seconds, show)


def resume(
    folder: str | Path,
    *,
    spec: Spec | str | Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    show: Show | bool = True,
) -> RunFolder:
    """Go on with a run that was stopped at any moment; its learning curve is the one of a run never stopped.

    That holds on the same machine with the same versions, and where an environment's episodes depend on
    their seeds and the actions alone. A run that is finished stays as it is.

    Args:
        folder: The run folder.
        spec: The spec that it was trained on; the folder has it, so this is only compared.
        checkpoint_seconds: As for `train`.
        show: As for `train`.

    Raises:
        UnsupportedError: `not-a-run-folder`, `run-in-use`, `spec-changed`.
        LearningError: `broken-checkpoint`.
    """
    run = RunFolder(folder)
    own, settings = read_run(run)
    if spec is not None:
        given = spec if isinstance(spec, Spec) else load(spec)
        unchanged.refuse_other(run, given, compile_spec(given).digest())
    if run.is_finished:
        return run
    return _run(run, own, settings, build(own, settings, run.path), checkpoint_seconds, show)


def load_agent(folder: str | Path, *, seen: bool = False) -> tuple[BaseAlgorithm, Episodes]:
    """Return a run's agent as it is now, and an environment to see it in.

    The finished agent, or the newest checkpoint of a run that is not finished.

    Args:
        folder: The run folder.
        seen: Whether the environment renders and tells details, for watching.

    Raises:
        UnsupportedError: `not-a-run-folder`, `spec-changed`, `nothing-trained`.
    """
    run = RunFolder(folder)
    spec, settings = read_run(run)
    latest = run.latest()
    if latest is None:
        raise UnsupportedError(Problem("nothing-trained", f"the run in {run.path} has no checkpoint yet"))
    learner = _learner(compile_spec(spec), settings, run.path)
    env = make_env(spec, settings.env_id, settings.env_kwargs, seen=seen, learner=learner)
    if learner is not None:
        learner.load_models(latest / learner.models_file)
    env.paid.load_run_state(checkpoint.run_state(latest))  # schedules and statistics as the agent knew them
    with one_thread(), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="You have specified a mini-batch"
        )  # it is not to be trained
        model = _agent(settings, [env])
        checkpoint.load_weights(model, latest / "weights.zip")
    return model, env


def read_run(run: RunFolder) -> tuple[Spec, Settings]:
    """Return the spec and the settings of a run.

    Raises:
        UnsupportedError: `not-a-run-folder`; `spec-changed` when spec.yaml no longer means what was trained
            on, or asks for another objective.
    """
    try:
        settings = Settings(**run.read_facts()["settings"])
    except (KeyError, TypeError) as error:
        text, hints = f"{run.facts} is not what `rewardspec train` wrote: {error}", tuple[str, ...]()
        if run.agent is not None:
            text = f"the run in {run.path} was begun by {run.agent}, not by `rewardspec train`"
            hints = (f"Go on with it: {run.go_on()}",)
        raise UnsupportedError(Problem("not-a-run-folder", text, hints=hints)) from error
    spec = load(run.spec)
    unchanged.refuse_other(run, spec, compile_spec(spec).digest())
    return spec, settings


Built = tuple["BaseAlgorithm", list[Episodes], "RewardLearner | None"]
"""An agent, its environments, and who learns their rewards where something is to be learned."""


def build(spec: Spec, settings: Settings, folder: Path | None = None) -> Built:
    """Return an untrained agent, the environments that it is to train in, and the learner of their rewards."""
    program = compile_spec(spec)
    learner = _learner(program, settings, folder)
    horizon = spec.env.horizon if spec.env is not None else None
    envs = [
        make_env(
            program,
            settings.env_id,
            settings.env_kwargs,
            horizon=horizon,
            counterfactual=settings.crm is not None,
            learner=learner,
        )
        for _ in range(settings.n_envs)
    ]
    for env in envs:
        if STRIDE in env.paid.params:  # schedules go by the steps of all environments together
            env.paid.set_param(STRIDE, settings.n_envs)
    with one_thread():
        return _agent(settings, envs), envs, learner


def _learner(program: Program, settings: Settings, folder: Path | None) -> RewardLearner | None:
    """Return who learns what a program leaves to be learned."""
    if not program.learned:
        return None
    from rewardspec.learning.learner import RewardLearner

    return RewardLearner(program, seed=settings.seed, folder=folder)


def _agent(settings: Settings, envs: list[Episodes]) -> BaseAlgorithm:
    """Return an untrained agent of stable-baselines3 on environments."""
    try:
        import stable_baselines3
    except ImportError as error:
        raise missing_extra("stable-baselines3", "sb3", "training") from error
    from stable_baselines3.common.vec_env import DummyVecEnv

    discrete = not isinstance(envs[0].action_space, gym.spaces.Box)
    _refuse_unfit(settings.algo, envs[0].action_space)
    arguments = copy.deepcopy(dict(settings.agent))  # SB3 writes into `policy_kwargs`
    if settings.algo in ("ppo", "a2c") and discrete:
        arguments.setdefault("ent_coef", EXPLORING)
    encoded: Any = envs[0].env
    if settings.crm is not None and isinstance(envs[0].paid, CounterfactualWrapper):
        arguments |= _counterfactual_buffer(settings.crm, encoded, envs[0].paid)
    vector = DummyVecEnv([lambda env=env: env for env in envs])  # type: ignore[misc]
    algorithm = getattr(stable_baselines3, settings.algo.upper())
    try:
        model: BaseAlgorithm = algorithm(
            encoded.policy, vector, seed=settings.seed, device="cpu", **arguments
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise refused(algorithm, settings.agent, error) from error
    return model


def _counterfactual_buffer(ratio: float, encoded: Any, paid: CounterfactualWrapper) -> dict[str, Any]:
    """Return the arguments that give an algorithm a replay buffer with counterfactual experience."""
    from rewardspec.wrappers.replay_crm import CrmDictReplayBuffer, CrmReplayBuffer

    has_parts = isinstance(encoded.observation_space, gym.spaces.Dict)
    place = encoded.place_of(*paid.place)
    return {
        "replay_buffer_class": CrmDictReplayBuffer if has_parts else CrmReplayBuffer,
        "replay_buffer_kwargs": {"ratio": ratio, "place": place, "states": paid.states},
    }


def _refuse_unfit(algo: str, space: gym.spaces.Space[Any]) -> None:
    """Raise when an algorithm cannot act in a space.

    Raises:
        UnsupportedError: `unfit-algorithm`.
    """
    fitting = {"dqn": gym.spaces.Discrete, "sac": gym.spaces.Box, "td3": gym.spaces.Box}.get(algo)
    if fitting is not None and not isinstance(space, fitting):
        other = "sac" if isinstance(space, gym.spaces.Box) else "dqn"
        raise UnsupportedError(
            Problem(
                "unfit-algorithm",
                f"{algo} needs actions of type {fitting.__name__}; here they are {space}",
                hints=(
                    f"Use ppo, a2c or {other}."
                    if isinstance(space, gym.spaces.Box | gym.spaces.Discrete)
                    else "Use ppo or a2c.",
                ),
            )
        )


def _run(
    run: RunFolder,
    spec: Spec,
    settings: Settings,
    built: Built,
    checkpoint_seconds: float,
    show: Show | bool,
) -> RunFolder:
    """Train to the end, from the newest checkpoint where there is one."""
    from rewardspec.training.recorder import Recorder

    model, envs, learner = built
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.lock())
        stack.enter_context(one_thread())
        latest = run.latest()
        done = int(latest.name) if latest is not None else 0
        run.cut(done)
        if show is True:
            show = stack.enter_context(display.shown(spec.name, settings.steps, done=done))
        learning = learner.callback(run.path / REPORTS) if learner is not None else None
        recorder = Recorder(run, envs, checkpoint_seconds, show or None, learning)
        if latest is not None:
            if learning is not None:  # before the environments play their episodes again
                learning.load(latest)
            recorder.take_up(checkpoint.load(model, envs, latest))
        model.set_logger(make_logger(run, done))
        left = settings.steps - model.num_timesteps
        if left > 0:
            learn: Any = model.learn  # SB3 declares log_interval as int, and takes None for "never"
            callbacks = [recorder] if learning is None else [learning, recorder]
            learn(left, callback=callbacks, log_interval=None, reset_num_timesteps=latest is None)
            recorder.save()
        model.logger.close()
        rows = run.rows()
        run.write_result({"algo": settings.algo, "seed": settings.seed, **(rows[-1] if rows else {})})
        if learner is not None:
            write_whole(run.path / learner.models_file, learner.save_models)
        _look_back(run, spec, settings, model, envs[0])
        write_whole(run.model, lambda file: model.save(cast(io.BufferedIOBase, file)))
    return run


def _look_back(
    run: RunFolder, spec: Spec, settings: Settings, model: BaseAlgorithm, trained_in: Episodes
) -> None:
    """Look for signs that the agent farms its reward; what is asked of a judge is not asked again for that."""
    program = compile_spec(spec)
    played = []
    if not program.judged:
        learner = _learner(program, settings, run.path)
        if learner is not None:
            learner.load_models(run.path / learner.models_file)
        horizon = spec.env.horizon if spec.env is not None else None
        env = make_env(
            program, settings.env_id, settings.env_kwargs, horizon=horizon, detail=True, learner=learner
        )
        env.paid.load_run_state(trained_in.paid.run_state())
        chance = settings.algo in DRAWING
        played = farming.sample(model, env, trained=settings.steps, seed=settings.seed, chance=chance)
        env.close()  # type: ignore[no-untyped-call]
    farming.look_back(run, spec, played, run.rows())


DRAWING = ("ppo", "a2c")
"""Algorithms whose agent acts by chance when it is trained."""


def make_logger(run: RunFolder, done: int) -> Any:
    """Return SB3's logger, writing to TensorBoard only; from `done` on, what a killed run wrote gives way."""
    from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
    from torch.utils.tensorboard import SummaryWriter

    output = TensorBoardOutputFormat(str(run.tensorboard))
    if done:
        output.writer.close()
        output.writer = SummaryWriter(str(run.tensorboard), purge_step=done + 1)
    return Logger(str(run.tensorboard), [output])


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Give torch one thread: on small networks more of them only wait for each other."""
    try:
        import torch
    except ImportError as error:
        raise missing_extra("torch", "sb3", "training") from error
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
