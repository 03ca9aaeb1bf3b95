"""What numbers an agent's arguments can be: the same name means the same in all of them."""

from __future__ import annotations

from typing import Any

from rewardspec.errors import Problem, UnsupportedError

FROM_ONE = ("steps", "n_envs", "n_steps", "n_epochs", "compiled_steps", "train_freq",
            "gradient_steps", "batch_size", "buffer_size", "hidden", "target_update_interval", "eval_every",
            "eval_episodes", "window", "log_every", "rows")  # fmt: skip
FROM_ZERO = ("seed", "learning_starts", "checkpoint_seconds")
ABOVE_ZERO = ("learning_rate", "max_grad_norm", "clip_range")
SHARES = ("gamma", "epsilon", "gae_lambda", "tau", "ratio", "machine_discount", "exploration_fraction",
          "exploration_final_eps")  # fmt: skip


def refuse_numbers(args: Any) -> None:
    """Raise when an argument is a number that nothing could be learnt with.

    Args:
        args: Arguments of an agent, a dataclass; what is None, and names that are not above, are left alone.

    Raises:
        UnsupportedError: `wrong-setting`, with every such argument and what it can be.
    """
    problems = []
    for name, value in vars(args).items():
        for number in value if isinstance(value, tuple) else (value,):
            reason = None if number is None else wrong(name, number)
            if reason is not None:
                problems.append(Problem("wrong-setting", f"{name} is {number}; {reason}"))
    if problems:
        raise UnsupportedError(problems)


def wrong(name: str, number: float) -> str | None:
    """Return what an argument can be, where this number is not it.

    Example:
        >>> wrong("n_envs", 0)
        'the least is 1'
        >>> wrong("learning_rate", float("nan"))
        'it must be above 0'
        >>> wrong("gamma", 1.0)
    """
    # Each comparison is the one that holds for what is right: none holds for what is not a number.
    if name in FROM_ONE:
        return None if number >= 1 else "the least is 1"
    if name in FROM_ZERO:
        return None if number >= 0 else "the least is 0"
    if name in ABOVE_ZERO:
        return None if number > 0 else "it must be above 0"
    if name in SHARES:
        return None if 0 <= number <= 1 else "it lies between 0 and 1"
    return None
