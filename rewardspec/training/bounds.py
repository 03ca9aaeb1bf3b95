"""What numbers a learner's arguments can be: the same name means the same everywhere."""

from __future__ import annotations

import math

FROM_ONE = ("steps", "n_envs", "n_steps", "n_epochs", "compiled_steps", "train_freq", "gradient_steps", "batch_size",
            "buffer_size", "hidden", "target_update_interval", "eval_every", "eval_episodes", "window", "log_every",
            "rows")  # fmt: skip
FROM_ZERO = ("seed", "learning_starts", "checkpoint_seconds")
ABOVE_ZERO = ("learning_rate", "max_grad_norm", "clip_range")
SHARES = ("gamma", "epsilon", "gae_lambda", "tau", "ratio", "machine_discount", "exploration_fraction",
          "exploration_initial_eps", "exploration_final_eps")  # fmt: skip


def wrong(name: str, number: float) -> str | None:
    """Return what an argument can be, where this number is not it; None for names that are not above.

    Example:
        >>> wrong("n_envs", 0)
        'the least is 1'
        >>> wrong("learning_rate", float("nan")), wrong("learning_rate", float("inf"))
        ('it must be above 0', 'it must be finite')
        >>> wrong("gamma", 1.0)
    """
    # Each comparison is the one that holds for what is right: none holds for what is not a number.
    if number == math.inf and name in (*FROM_ONE, *FROM_ZERO, *ABOVE_ZERO):
        return "it must be finite"
    if name in FROM_ONE:
        return None if number >= 1 else "the least is 1"
    if name in FROM_ZERO:
        return None if number >= 0 else "the least is 0"
    if name in ABOVE_ZERO:
        return None if number > 0 else "it must be above 0"
    if name in SHARES:
        return None if 0 <= number <= 1 else "it lies between 0 and 1"
    return None
