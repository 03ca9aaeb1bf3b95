"""What a run is made of: its settings, and what is chosen where nothing is said."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from rewardspec.analysis.optimisers import check_discount, check_objective
from rewardspec.environments import choose_environment
from rewardspec.errors import Problem, UnsupportedError, list_names, near_miss
from rewardspec.spec.model import Spec
from rewardspec.training.bounds import wrong

Algo = Literal["ppo", "dqn", "sac", "td3", "a2c"]

ALGOS: tuple[str, ...] = get_args(Algo)
"""The algorithms of stable-baselines3 that `train` knows."""

N_ENVS: dict[str, int] = {"ppo": 16, "a2c": 16, "dqn": 4, "sac": 1, "td3": 1}
"""Environments side by side, where nothing is said."""

AGENT: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "learning_rate": 1e-3, "gae_lambda": 0.95},
    "a2c": {"n_steps": 16, "learning_rate": 7e-4},
    "dqn": {
        "buffer_size": 50_000,
        "learning_starts": 1_000,
        "train_freq": 1,
        "gradient_steps": 1,
        "batch_size": 64,
        "learning_rate": 5e-4,
        "target_update_interval": 1_000,
        "exploration_fraction": 0.3,
    },
    "sac": {"buffer_size": 100_000, "learning_starts": 1_000},
    "td3": {"buffer_size": 100_000, "learning_starts": 1_000},
}
"""Arguments of the algorithm, where nothing is said; those left out here have SB3's own values."""

REPLAYING = ("dqn", "sac", "td3")
"""Algorithms with a replay buffer: those that can learn from counterfactual experience."""

EXPLORING = 0.01
"""Entropy coefficient of PPO and A2C with discrete actions, where nothing is said."""

GAMMA = 0.99
"""The agent's discount where neither the spec nor the user says one."""

WINDOW = 100
"""Episodes over which success rate and returns are averaged."""

ALIASES = {"lr": "learning_rate", "entropy": "ent_coef", "clip": "clip_range", "epochs": "n_epochs"}
"""What other libraries call an argument -> what stable-baselines3 calls it."""

FIXED = ("env", "policy", "seed", "verbose", "tensorboard_log", "device", "_init_setup_model", "use_sde")
"""Arguments of the algorithm that are not for `agent`: `train` gives them, or a resumed run could not keep
to them."""


@dataclass(frozen=True)
class Settings:
    """All that decides what a run does, besides the spec: equal settings give equal learning curves.

    Attributes:
        env_id: Gymnasium id.
        env_kwargs: Arguments of `gymnasium.make`.
        algo: One of `ALGOS`.
        steps: Environment steps to train for, over all environments side by side.
        seed: Seed of everything random.
        n_envs: Environments side by side.
        agent: Arguments of the algorithm, `gamma` included.
        crm: Ratio of counterfactual experience, as `CrmReplayBuffer` takes it; None for an ordinary buffer.
    """

    env_id: str
    algo: str
    steps: int
    seed: int
    n_envs: int
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    agent: Mapping[str, Any] = field(default_factory=dict)
    crm: float | None = None

    def to_data(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)


def choose(
    spec: Spec,
    *,
    env_id: str | None = None,
    algo: str = "ppo",
    steps: int = 100_000,
    seed: int = 0,
    n_envs: int | None = None,
    agent: Mapping[str, Any] | None = None,
    crm: float | None = None,
) -> Settings:
    r"""Return the settings of a run, with everything chosen that is not said.

    Args:
        spec: The spec; it names the environment where `env_id` does not, and the discount.
        env_id: Gymnasium id.
        algo: One of `ALGOS`.
        steps: Environment steps to train for.
        seed: Seed of everything random.
        n_envs: Environments side by side.
        agent: Arguments of the algorithm that differ from the chosen ones. Plain data only.
        crm: Ratio of counterfactual experience; None for none.

    Raises:
        MismatchError: `no-environment`: the spec's names a module, or is given a path, and nobody else names it.
        UnsupportedError: `unknown-algorithm`, `no-environment`, `wrong-setting`, or
            `discount-mismatch` when `agent` holds a `gamma` that is not the spec's discount.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> spec = loads("discount: 0.9\nenv: {id: CartPole-v1}\nreward: 1")
        >>> choose(spec, steps=1000).agent["gamma"]
        0.9
    """
    if algo not in ALGOS:
        hint = f"There are: {list_names(ALGOS)}.{near_miss(algo, ALGOS)}"
        raise UnsupportedError(Problem("unknown-algorithm", f"unknown algorithm '{algo}'", hints=(hint,)))
    chosen, kwargs = choose_environment(env_id, spec.env)
    if chosen is None:
        hint = (
            "Name one in the spec, as in `env: {id: CartPole-v1}`, or say `rewardspec train SPEC --env ID`."
        )
        raise UnsupportedError(Problem("no-environment", "the spec names no environment", hints=(hint,)))
    given = {**(agent or {})}
    _refuse_numbers(given)
    for name in FIXED:
        if name in given:
            raise UnsupportedError(
                Problem("wrong-setting", f"'{name}' cannot be set among the agent's arguments")
            )
    sides = N_ENVS[algo] if n_envs is None else n_envs
    for word, number, least in (("steps", steps, 1), ("n_envs", sides, 1), ("seed", seed, 0)):
        if number < least:
            raise UnsupportedError(Problem("wrong-setting", f"{word} is {number}; the least is {least}"))
    if crm is not None:
        _refuse_counterfactuals(algo, crm)
    return Settings(chosen, algo, steps, seed, sides, kwargs, _arguments(spec, algo, sides, given), crm)


def refused(algorithm: type[Any], given: Mapping[str, Any], error: Exception) -> UnsupportedError:
    """Return the error for arguments that an algorithm does not take, with those that were meant.

    Args:
        algorithm: Of stable-baselines3.
        given: What it was given besides what `train` itself gives.
        error: What it raised.
    """
    known = [name for name in inspect.signature(algorithm).parameters if name not in FIXED]
    unknown = [name for name in given if name not in known]
    message = f"{algorithm.__name__} refuses: {error}"
    hints = [f"{name}: Did you mean '{ALIASES[name]}'?" for name in unknown if ALIASES.get(name) in known]
    if unknown:
        message = f"{algorithm.__name__} has no argument '{unknown[0]}'"
        hints += [f"{name}:{guess}" for name in unknown if (guess := near_miss(name, known))]
        hints.append(f"It has: {list_names(known, 40)}.")
    return UnsupportedError(Problem("wrong-setting", message, hints=tuple(hints)))


def _refuse_numbers(given: Mapping[str, Any]) -> None:
    """Raise when an argument is a number that nothing could be learnt with; what is no number is SB3's to judge."""
    problems = []
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or name == "gamma":
            continue
        if name == "gradient_steps" and value == -1:
            continue  # as many as there were steps
        reason = wrong(name, value)
        if reason is not None:
            problems.append(Problem("wrong-setting", f"{name} is {value}; {reason}"))
    if problems:
        raise UnsupportedError(problems)


def _refuse_counterfactuals(algo: str, ratio: float) -> None:
    """Raise when an algorithm cannot learn from such a ratio of counterfactuals."""
    if algo not in REPLAYING:
        raise UnsupportedError(
            Problem(
                "wrong-setting",
                f"{algo} has no replay buffer that counterfactual experience could enter",
                hints=(f"One of these has: {list_names(REPLAYING)}.",),
            )
        )
    if not 0 <= ratio <= 1:
        raise UnsupportedError(
            Problem("wrong-setting", f"the ratio of counterfactuals is {ratio}; it lies between 0 and 1")
        )


def _arguments(spec: Spec, algo: str, sides: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the algorithm's arguments; the discount is the spec's and nobody else's."""
    gamma = given.get("gamma", GAMMA if spec.discount is None else spec.discount)
    if isinstance(gamma, bool) or not isinstance(gamma, int | float):
        raise UnsupportedError(Problem("wrong-setting", f"gamma is {gamma!r}, not a number"))
    served = ("discounted", "regularised") if algo == "sac" else ("discounted",)
    problems = check_discount(spec, gamma) + check_objective(spec, algo, served)
    if problems:
        raise UnsupportedError(problems)
    arguments = {**AGENT[algo], **given, "gamma": float(gamma)}
    if spec.objective.weight is not None:  # what SAC calls its temperature: a nat's worth
        if given.get("ent_coef", spec.objective.weight) != spec.objective.weight:
            text = f"ent_coef is {given['ent_coef']}, and the objective's weight {spec.objective.weight:g}"
            raise UnsupportedError(Problem("wrong-setting", text))
        arguments["ent_coef"] = float(spec.objective.weight)
    if algo == "ppo" and "batch_size" not in given:
        arguments["batch_size"] = min(arguments["batch_size"], arguments["n_steps"] * sides)
    return arguments
