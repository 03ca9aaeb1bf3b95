"""From an environment id to environments that pay by a spec, are seeded by episode and keep the score.

The order, from the inside out: the environment; `OwnScore`, which keeps the task's own return apart from the
spec's; the spec's wrapper; `Encoded`, which makes the observation a vector; `Episodes`, which seeds and
sums up episodes.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, SupportsFloat

import gymnasium as gym
import numpy as np

from rewardspec.compiler import compile_spec
from rewardspec.environments import make_environment, make_seen_environment
from rewardspec.ir.program import Program
from rewardspec.kinds.feedback import Feedback, message_field
from rewardspec.llm.judges import judge_for, views_of
from rewardspec.spec.model import Spec
from rewardspec.training.observations import Encoded
from rewardspec.wrappers.counterfactual import CounterfactualWrapper
from rewardspec.wrappers.single import RewardSpecWrapper, wrap

if TYPE_CHECKING:
    from rewardspec.learning.learner import RewardLearner

NETHACK = ("MiniHack-", "NetHack")
"""How the ids begin whose observations are chosen when the environment is made."""

MINIHACK_KEYS = ("chars_crop", "blstats")
"""What an agent sees of MiniHack, besides what the spec reads."""

JUDGED_KEYS = {"chars": ("chars", "message"), "tty": ("tty_chars",)}
"""What a judge is shown of it, by the view; the crop and the message otherwise."""

PAID_WHEN_SOLVED = ("MiniGrid-", "BabyAI-", "MiniHack-")
"""How the ids begin whose tasks pay a positive reward on the last step exactly when they are solved."""

Success = Callable[["OwnScore", Mapping[str, Any]], bool | None]
"""Whether an episode that has just ended was a success; None where nobody can say."""


class OwnScore(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Keeps the environment's own return of the episode, which the spec's wrapper around it hides.

    Attributes:
        total: Sum of the environment's own rewards in the episode so far.
        last: Its own reward on the last step.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Begin with nothing."""
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self.total = self.last = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; the score begins anew."""
        self.total = self.last = 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step; the score is kept."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.last = float(reward)
        self.total += self.last
        return obs, reward, terminated, truncated, info


class Episodes(gym.Wrapper[Any, Any, Any, Any]):
    """Seeds every episode from (stream, number of the episode), notes its actions, and sums it up at its end.

    An environment whose episodes depend on their seed and actions alone can therefore be brought back to
    the middle of an episode, in another process, from a few numbers: `where` gives them, `go_back_to` takes
    them. Nothing of the environment itself is stored.

    The last step's `info["episode"]` has what `Monitor` puts there (`r`, the spec's return, `l`, `t`), and
    besides `task_return`, `success` and `terms`, the return of each term of the spec.
    """

    def __init__(
        self, env: gym.Env[Any, Any], paid: RewardSpecWrapper, own: OwnScore, success: Success
    ) -> None:
        """Watch `env`, of which `paid` and `own` are inner wrappers."""
        gym.Wrapper.__init__(self, env)
        self.paid, self.own, self._success = paid, own, success
        self._stream, self._number = 0, -1
        self._actions: list[Any] = []
        self._run_state: dict[str, float] = {}
        self._total = 0.0
        self._began = time.monotonic()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode; `seed` begins another stream of episodes."""
        if seed is not None:
            self._stream, self._number = seed, -1
        self._number += 1
        self._actions, self._total = [], 0.0
        self._run_state = self.paid.run_state()
        drawn = np.random.SeedSequence((self._stream, self._number)).generate_state(1)[0]
        return self.env.reset(seed=int(drawn >> 1), options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step; sum the episode up when it ends."""
        self._actions.append(action)
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._total += float(reward)
        if terminated or truncated:
            success = self._success(self.own, info)
            info["episode"] = {
                "r": self._total,
                "l": len(self._actions),
                "t": round(time.monotonic() - self._began, 3),
                "task_return": self.own.total,
                "success": success,
                "terms": dict(info["rewardspec"]["return"]),
                "measures": dict(info["rewardspec"].get("measures", {})),
            }
            if success is not None:
                info["is_success"] = success
        return obs, reward, terminated, truncated, info

    def where(self) -> dict[str, Any]:
        """Return where the environment is, as plain data."""
        return {
            "stream": self._stream,
            "number": self._number,
            "actions": [np.asarray(action).tolist() for action in self._actions],
            "run_state": self._run_state,
            "paid": [self._total, self.paid.tally()],
        }

    def go_back_to(self, where: Mapping[str, Any]) -> None:
        """Play the episode that `where` describes again, up to the step at which it was taken."""
        self.paid.load_run_state(where["run_state"])
        self._stream, self._number = int(where["stream"]), int(where["number"]) - 1
        self.reset()
        dtype = getattr(self.action_space, "dtype", None)
        for action in where["actions"]:
            self.step(np.asarray(action, dtype))
        if "paid" in where:  # learned rewards were paid by the models of then
            self._total = float(where["paid"][0])
            self.paid.take_tally(where["paid"][1])


def make_env(
    spec: Spec | Program,
    env_id: str,
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    horizon: int | None = None,
    seen: bool = False,
    detail: bool = False,
    counterfactual: bool = False,
    learner: RewardLearner | None = None,
) -> Episodes:
    """Return one environment to train on.

    Args:
        spec: The spec, or its program.
        env_id: Gymnasium id.
        env_kwargs: Arguments of `gymnasium.make`.
        horizon: Steps after which an environment that has no time limit of its own is truncated.
        seen: Whether it is to be watched: it renders pictures, and every step's `info["rewardspec"]` tells
            the details.
        detail: Whether every step tells the details, without being watched.
        counterfactual: Whether every step's info tells its counterfactual experience; not where it is seen.
        learner: Who pays what is learned, where the spec leaves something to be.

    Raises:
        MissingExtraError: The environment's package is not installed.
        MismatchError: `no-environment`, or the environment lacks what the spec reads.
        LanguageModelError: Where a judge is a model that cannot be asked.
        UnsupportedError: `unreadable-observation`; `needs-machine` and the like for counterfactual experience.
    """
    program = compile_spec(spec) if isinstance(spec, Spec) else spec
    if isinstance(spec, Spec) and horizon is None and spec.env is not None:
        horizon = spec.env.horizon
    kwargs = dict(env_kwargs or {})
    if env_id.startswith(NETHACK):
        kwargs.setdefault("observation_keys", _minihack_keys(program, seen))
    sees = seen and not env_id.startswith(NETHACK)
    env = make_seen_environment(env_id, **kwargs) if sees else make_environment(env_id, **kwargs)
    if horizon is not None and (env.spec is None or env.spec.max_episode_steps is None):
        env = gym.wrappers.TimeLimit(env, horizon)
    own = OwnScore(env)
    judge = judge_for(program, env.observation_space) if program.judged else None
    paid: RewardSpecWrapper
    if learner is not None:
        paid = learner.wrap(own, detail=seen or detail)
    elif counterfactual and not (seen or detail):
        paid = CounterfactualWrapper(own, program)
    else:
        paid = wrap(own, program, judge=judge, detail=seen or detail)
    return Episodes(Encoded(paid), paid, own, success_of(env))


def _minihack_keys(program: Program, seen: bool) -> tuple[str, ...]:
    """Return the observation keys that the agent, the spec and whoever watches need."""
    read = [
        str(field.path[0]) for field in program.fields() if field.root in ("obs", "next_obs") and field.path
    ]
    read += [
        str(field.path[0])
        for each in program.learned
        if isinstance(each.settings, Feedback)
        and (field := message_field(each.settings)) is not None
        and field.root == "next_obs"
    ]
    shown = [JUDGED_KEYS.get(view, ("message",)) for view in views_of(program)]
    return tuple(dict.fromkeys((*MINIHACK_KEYS, *chain(*shown), *read, *(("pixel",) if seen else ()))))


def success_of(env: gym.Env[Any, Any]) -> Success:
    """Return how success is told in an environment; never from the spec's reward.

    In this order: the environment says so itself in its last step's info (`is_success` or `success`); its
    own reward on the last step is positive (MiniGrid and MiniHack, and every environment that pays at the
    goal only); its own return reaches the threshold that its authors registered with it.
    """
    if env.spec is None:
        return functools.partial(_told_success, False, None)
    return functools.partial(
        _told_success, env.spec.id.startswith(PAID_WHEN_SOLVED), env.spec.reward_threshold
    )


def _told_success(
    by_reward: bool, threshold: float | None, own: OwnScore, info: Mapping[str, Any]
) -> bool | None:
    said = info.get("is_success", info.get("success"))
    if said is not None:
        return bool(said)
    if by_reward:
        return own.last > 0
    return None if threshold is None else own.total >= threshold
