"""A callback of stable-baselines3 that makes learned rewards work with any of its algorithms.

On-policy algorithms are paid anew at the end of each rollout, before their advantages count: every reward is moved by
what the learned terms pay now minus what they paid when the step was taken. Where they are only the target of the
critic (`goes_into: value_target`), rewards and advantages stay, and the returns that the critic is fitted to become
what the models say, as in the script for robots that HERON's authors released; until the first refresh they stay, too.
Off-policy algorithms have their whole replay buffer paid anew whenever a model has been fitted (`relabel: true`), which
is the same as paying each batch when it is drawn, since models change at refreshes only.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.learning.aims import no_value_target, settings_of
from rewardspec.learning.models import write_models
from rewardspec.learning.playing import pack
from rewardspec.learning.refreshing import has_fitted

if TYPE_CHECKING:
    from rewardspec.learning.learner import RewardLearner

Floats = npt.NDArray[np.float32]

STORED = "stored_features.npz"
"""Name of the file, in a checkpoint, of the features of what an off-policy agent has stored."""


class LearnedRewardCallback(BaseCallback):
    """Feeds a `RewardLearner`, refreshes its models, and keeps the agent's rewards in step with them.

    What every refresh came to is logged under `learned/<name>/...`. The environments must be wrapped by the learner;
    `Monitor`, `DummyVecEnv`, `SubprocVecEnv` and observation wrappers may stand around them.
    """

    def __init__(self, learner: RewardLearner, reports: Path | None = None) -> None:
        """See `RewardLearner.callback`."""
        super().__init__()
        self.learner, self._reports = learner, reports
        self._relabels = any(settings_of(each.settings).relabel for each in learner.program.learned)
        self._features: npt.NDArray[np.float64] | None = None
        self._paid: npt.NDArray[np.float64] | None = None
        self._row = 0
        self._restored: dict[str, npt.NDArray[Any]] = {}

    # -- what stable-baselines3 calls -------------------------------------------------------------------

    def _init_callback(self) -> None:
        self._refuse_unfit()
        self.learner.start()
        if self._features is None:
            rows = self._rows
            self._features = np.zeros((rows, self.training_env.num_envs, self._width), np.float64)
            self._paid = np.zeros((rows, self.training_env.num_envs), np.float64)
            for name, array in self._restored.items():
                getattr(self, f"_{name}")[: len(array)] = array
        self._share_models()

    def _on_step(self) -> bool:
        infos, dones = self.locals["infos"], self.locals["dones"]
        steps = [info["learned"] for info in infos]
        features = np.stack([step.features for step in steps])
        row = self._row if isinstance(self.model, OnPolicyAlgorithm) else self._buffer.pos
        assert self._features is not None and self._paid is not None
        self._features[row] = features
        self._paid[row] = [step.paid for step in steps]
        self._row += 1
        ends = self._ends(infos, dones) if self.learner.needs_values else None
        played = None
        if self.learner.asks_people:
            actions = self.locals.get("clipped_actions", self.locals["actions"])
            played = pack([step.seed for step in steps], actions)
        messages = [step.messages for step in steps] if self.learner.reads_messages else None
        self.learner.observe(features, dones, ends, played, messages)
        if isinstance(self.model, OffPolicyAlgorithm):
            self._refresh(row)
        return True

    def _on_training_end(self) -> None:
        self.learner.close()

    def _on_rollout_start(self) -> None:
        self._row = 0

    def _on_rollout_end(self) -> None:
        if not isinstance(self.model, OnPolicyAlgorithm):
            return
        self._refresh(None)
        buffer = self.model.rollout_buffer
        number = buffer.buffer_size
        if self.learner.targets_value:
            if all(model.is_fitted for model in self.learner.models.values()):
                buffer.returns = self._said(slice(0, number)).astype(np.float32)
            return
        buffer.rewards += self._change(slice(0, number)).astype(np.float32)
        buffer.compute_returns_and_advantage(last_values=self.locals["values"], dones=self.locals["dones"])

    # -- paying anew ------------------------------------------------------------------------------------

    def _refresh(self, taken: int | None) -> None:
        """Refresh what is due; pay what an off-policy agent has stored anew, but for the step being taken."""
        if not self.learner.is_due(self.num_timesteps):
            return
        with torch.enable_grad():
            reports = self.learner.refresh(
                self.num_timesteps, self._values if self.learner.needs_values else None
            )
        for report in reports:
            self._log(report)
        if self._reports is not None:
            with self._reports.open("a", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(report)}\n" for report in reports)
        if not any(map(has_fitted, reports)):
            return
        self._share_models()
        if taken is not None and self._relabels:
            buffer = self._buffer
            rows = (
                buffer.buffer_size if buffer.full else buffer.pos + 1
            )  # with the step that is about to be stored
            change = self._change(slice(0, rows)).astype(buffer.rewards.dtype)
            buffer.rewards[:rows] += change
            self.locals["rewards"] += change[taken]

    def _change(self, rows: slice) -> npt.NDArray[np.float64]:
        """Return `[n, B]` by how much the learned terms pay more now; from now on they have paid it."""
        assert self._paid is not None
        now = self._said(rows)
        change: npt.NDArray[np.float64] = now - self._paid[rows]
        self._paid[rows] = now
        return change

    def _said(self, rows: slice) -> npt.NDArray[np.float64]:
        """Return `[n, B]` what the learned terms say now of the steps of some rows."""
        assert self._features is not None
        features = self._features[rows]
        shape = features.shape[:2]
        return self.learner.pay(features.reshape(-1, features.shape[2]), self._params()).reshape(shape)

    def _params(self) -> Mapping[str, float]:
        params: Mapping[str, float] = self.training_env.get_attr("params", indices=[0])[0]
        return params

    def _share_models(self) -> None:
        """Give the models to environments in other processes; those in this one share the learner's."""
        innermost: Any = self.training_env
        while hasattr(innermost, "venv"):
            innermost = innermost.venv
        if not isinstance(innermost, DummyVecEnv):
            file = io.BytesIO()
            write_models(self.learner.models, self.learner.program.digest(), file)
            self.training_env.env_method("take_models", file.getvalue())

    # -- the agent's own values --------------------------------------------------------------------------

    def _ends(self, infos: list[dict[str, Any]], dones: npt.NDArray[np.bool_]) -> Floats:
        """Return `[B, 2 O + 1]`: the observation before the step, after it, and whether the step terminated."""
        before, after = np.asarray(self.model._last_obs), np.array(self.locals["new_obs"])
        over = np.zeros(len(infos), np.float32)
        for i, (info, done) in enumerate(zip(infos, dones, strict=True)):
            if done:
                after[i] = info["terminal_observation"]
                over[i] = not info.get("TimeLimit.truncated", False)
        flat = (before.reshape(len(infos), -1), after.reshape(len(infos), -1), over[:, None])
        return np.concatenate(flat, axis=1, dtype=np.float32)

    def _values(self, observations: Floats) -> Floats:
        """Return `[N]` the agent's values of `[N, O]` flat observations."""
        space = self.model.observation_space
        obs = torch.as_tensor(observations.reshape(-1, *(space.shape or ())), device=self.model.device)
        policy: Any = self.model.policy
        with torch.no_grad():
            if isinstance(self.model, OnPolicyAlgorithm):
                found = policy.predict_values(obs)
            elif hasattr(policy, "q_net"):
                found = policy.q_net(obs).max(1).values
            else:
                found = torch.cat(policy.critic_target(obs, policy.actor(obs)), 1).min(1).values
        values: Floats = found.flatten().cpu().numpy()
        return values

    # -- small things --------------------------------------------------------------------------------------

    @property
    def _buffer(self) -> ReplayBuffer:
        assert isinstance(self.model, OffPolicyAlgorithm)
        assert self.model.replay_buffer is not None
        return self.model.replay_buffer

    @property
    def _rows(self) -> int:
        if isinstance(self.model, OnPolicyAlgorithm):
            return int(self.model.n_steps)
        return int(self._buffer.buffer_size)

    @property
    def _width(self) -> int:
        return self.learner.split.width

    def _log(self, report: Mapping[str, Any]) -> None:
        for key, value in report.items():
            if key not in ("steps", "name") and value is not None:
                self.logger.record(f"learned/{report['name']}/{key}", value)

    def _refuse_unfit(self) -> None:
        """Raise when rewards that are paid anew would come out wrong.

        Raises:
            UnsupportedError: `other-environment`, `normalised-reward`, `discount-mismatch`, `needs-vector`,
                `value-target`.
        """
        env = self.training_env
        try:
            env.get_attr("learner", indices=[0])
        except AttributeError:
            hint = "Train on `learner.wrap(env)`."
            problem = Problem(
                "other-environment", "the agent's environments are not the learner's", hints=(hint,)
            )
            raise UnsupportedError(problem) from None
        if self.learner.targets_value and not isinstance(self.model, OnPolicyAlgorithm):
            raise no_value_target(type(self.model).__name__)
        inner: Any = env
        while hasattr(inner, "venv"):
            if isinstance(inner, VecNormalize) and inner.norm_reward:
                message = "VecNormalize scales rewards by what they were, and learned rewards are paid anew"
                hint = "VecNormalize(env, norm_reward=False); the model's own `standardise` does the like."
                raise UnsupportedError(Problem("normalised-reward", message, hints=(hint,)))
            inner = inner.venv
        gamma, discount = float(self.model.gamma), self.learner.program.discount  # type: ignore[attr-defined]
        if discount is not None and gamma != discount:
            message = f"the spec's discount is {discount} and the agent's gamma is {gamma}"
            hint = f"{type(self.model).__name__}(..., gamma={discount})"
            raise UnsupportedError(Problem("discount-mismatch", message, hints=(hint,)))
        if self.learner.needs_values and self.model.observation_space.shape is None:
            message = (
                "regrets need the agent's values, and these are asked for observations that are one array"
            )
            raise UnsupportedError(Problem("needs-vector", message, hints=("Flatten the observation.",)))
        if getattr(getattr(self.model, "replay_buffer", None), "stored", ()):
            message = "counterfactual experience does not go with learned rewards: a step is recorded for its own state"
            raise UnsupportedError(
                Problem("learned-counterfactuals", message, hints=("Train without `crm`.",))
            )

    # -- checkpoints ---------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write the learner, and what belongs to the rewards that the agent has stored, for a checkpoint."""
        self.learner.save(folder)
        assert self._features is not None and self._paid is not None
        if isinstance(self.model, OffPolicyAlgorithm):
            filled = self._buffer.buffer_size if self._buffer.full else self._buffer.pos
            stored = {"features": self._features[:filled], "paid": self._paid[:filled]}
            np.savez(folder / STORED, allow_pickle=False, **stored)

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote; before training begins.

        Raises:
            LearningError: `broken-checkpoint` and the like.
        """
        self.learner.load(folder)
        if (folder / STORED).exists():
            with np.load(folder / STORED, allow_pickle=False) as file:
                self._restored = {key: file[key] for key in file.files}
        if self._reports is not None:
            self._reports.write_text("".join(f"{json.dumps(report)}\n" for report in self.learner.reports))
