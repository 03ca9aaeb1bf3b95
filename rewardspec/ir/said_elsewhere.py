"""What people bring along from Python, NumPy and other tools, and how an expression says it here."""

from __future__ import annotations

import ast

from rewardspec.spec.scalars import short

MODULES = ("np", "numpy", "math", "torch", "jnp", "jax")
"""Names of modules in front of a function."""

_OBS = "An observation is `obs` before the step and `next_obs` after it."
_END = "An episode's end is `terminated` (the task's own) or `truncated` (out of time): `terminated or truncated`."
_ONE_STEP = (
    "An expression reads one step and has no count of steps. A machine counts (`counters:`), a schedule changes a "
    "`weight` while training runs, and gymnasium's TimeAwareObservation puts the time into `obs`."
)
_INSIDE = (
    "An expression reads the transition and nothing inside the environment: what it does not tell in `info` comes from "
    "a labelling function, wrap(env, spec, label=fn)."
)

NAMES: dict[str, str] = {
    **dict.fromkeys(("state", "s", "observation", "ob"), _OBS),
    **dict.fromkeys(
        ("next_state", "s_next", "next_observation", "new_obs", "obs_next", "state_", "s_", "obs_"), _OBS
    ),
    **dict.fromkeys(("done", "dones", "d", "is_terminal", "terminal", "terminations", "terminateds"), _END),
    **dict.fromkeys(("rew", "r", "rewards", "env_reward", "base_reward"), "It is called `reward`."),
    **dict.fromkeys(("a", "act", "actions", "u"), "It is called `action`."),
    **dict.fromkeys(("infos",), "It is called `info`."),
    **dict.fromkeys(("t", "step", "steps", "n_steps", "timestep", "time", "step_count"), _ONE_STEP),
    **dict.fromkeys(("self", "env", "envs", "sim"), _INSIDE),
    **dict.fromkeys(MODULES, "Functions and constants stand without a module: abs(x), pi."),
}
"""Name that is unknown here -> what is meant by it."""

_AS_NUMBER = "Truth values count as 0 and 1 in arithmetic, and numbers are floats: leave it out."

FUNCTIONS: dict[str, str] = {
    "float": _AS_NUMBER,
    "bool": "Compare, as in (x != 0).",
    "int": "Write floor(x); truth values count as 0 and 1 as they are.",
    "round": "Write floor(x + 0.5).",
    "pow": "Write x ** y.",
    "square": "Write x ** 2.",
    "maximum": "Write max(x, y).",
    "minimum": "Write min(x, y).",
    "fmax": "Write max(x, y).",
    "fmin": "Write min(x, y).",
    "average": "Write mean(x).",
    "hypot": "Write norm([x, y]).",
    "dot": "Write sum(x * y).",
    "isclose": "Write abs(x - y) < 0.001.",
    "equal": "Write x == y.",
    "len": "The length of an observation does not change: write the number.",
    "tan": "Write sin(x) / cos(x).",
    "log10": "Write log(x) / log(10).",
    "log2": "Write log(x) / log(2).",
    "isin": "Write x == 1 or x == 2.",
    "logical_and": "Write a and b.",
    "logical_or": "Write a or b.",
    "logical_not": "Write not a.",
    "random": "A reward is a function of the transition: nothing in it is random.",
}
"""Function that is unknown here -> what to write."""


def member_hint(left: str, items: list[str]) -> str:
    """Return what to write for `left in [items]`.

    Example:
        >>> member_hint("action", ["1", "2"])
        'Write action == 1 or action == 2.'
    """
    if not 1 <= len(items) <= 6:
        return "Compare with ==."
    return f"Write {' or '.join(f'{short(left)} == {short(item)}' for item in items)}."


def method_hint(func: ast.expr, given: list[str], source: str) -> str | None:
    """Return what to write for `info.get(...)`; None for another method.

    Args:
        func: What is called.
        given: The arguments as they are written.
        source: What the method is called on.

    Example:
        >>> method_hint(ast.parse("info.get", mode="eval").body, ["'hit'", "0"], "info")
        'Write default(info.hit, 0).'
    """
    if not (isinstance(func, ast.Attribute) and func.attr == "get" and given):
        return None
    key = given[0].strip("'\"")
    read = f"{source}.{key}" if key.isidentifier() else f"{source}[{given[0]}]"
    if source != "info":
        return f"Write {read}."
    return f"Write default({short(read)}, {short(given[1]) if len(given) > 1 else 0})."


def is_module(node: ast.expr) -> bool:
    """Return whether a node names a module, such as `np` or `np.linalg`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in MODULES
