"""Text of the C function that is a step in machine code (`native_step.py`).

It is compiled by numba and calls CPython by address (`native_capi.py`, there `c`). `step` does what touches objects;
`attempt` pays, by `row` of the program, or says that something is not plainly what the spaces promise. Where memory is
appended to observations, `show` does that alone, for a reset.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rewardspec.ir.layout import Layout, Shape

if TYPE_CHECKING:
    from rewardspec.wrappers.memory import Memory

WORDS = ("ARRAY", "TUPLE", "TRUE", "OBS", "ACTION", "SHOWN", "PARAMS", "PAID", "OVER", "CUT", "STEPS")
"""What the words of the cell before the state hold, by position; in the text each name is an offset.

Addresses of the type of arrays, of tuples; of True; of the NumPy types of observation, action and extended observation;
of the parameters. Then room for the reward and the two flags, and the steps of the episode.
"""

HEAD = len(WORDS)

OWNED = (
    "CELL", "ENV_STEP", "SLOW", "LAST", "LOOSELY", "NO_LABELS", "READ_LABELS", "EXTEND", "COPY", "KEPT",
)  # fmt: skip
"""What the callable owns, by position, as its text calls it; two arrays are kept, and behind them stands what must only
live as long."""


def step_text(
    layout: Layout, spaces_: tuple[Any, Any], extends: bool, memory: Memory | None = None, blank: Any = None
) -> str:
    """Return the text of the C function, which stands behind that of `row`.

    Args:
        layout: The program.
        spaces_: The environment's observation and action space.
        extends: Whether memory enters the observation.
        memory: Where it is appended one-hot to a vector, that memory; then `blank` is an extended observation.
        blank: Array `[n + width]`.
    """
    program = layout.program
    machines, floats = len(program.machines), len(program.folds) + len(program.terms)
    observation, action = spaces_
    at = HEAD
    places: dict[str, int] = {}
    for name, size in (("u", machines), ("v", machines), ("f", floats), ("g", floats), ("before", 0)):
        places[name] = at
        at += size
    reads = {field.root for field in layout.shapes}
    looks = blank is not None or "next_obs" in reads or "obs" in reads
    lines = [
        "if c.word(result + c.TYPE) != c.word(cell + TUPLE) or c.tuple_size(result) != 5:",
        "    return False",
        *_read("next_obs", "c.tuple_item(result, 0)", observation, "OBS", looks),
        *_read("action", "acted", action, "ACTION", "action" in reads),
        *(_number("reward", "c.tuple_item(result, 1)") if "reward" in reads else ["reward = 0.0"]),
        "terminated, truncated = c.is_true(c.tuple_item(result, 2)), c.is_true(c.tuple_item(result, 3))",
        "if terminated < 0 or truncated < 0:",
        "    c.clear_error()",
        "    return False",
        *(f"{name} = {_words(place, size, 'int64')}" for name, place, size in (
            ("u", places["u"], machines), ("v", places["v"], machines)
        )),
        *(f"{name} = {_words(place, size, 'float64')}" for name, place, size in (
            ("f", places["f"], floats), ("g", places["g"], floats)
        )),
        f"params = c.carray(c.pointer(c.word(cell + PARAMS), c.float64), ({max(1, len(program.params))},))",
        *(["obs = 0"] if "obs" not in reads else _before(places["before"], observation)),
        *(f"v[{i}] = u[{i}]" for i in range(machines)),
        *(f"g[{i}] = f[{i}]" for i in range(floats)),
        "paid, over, cut = row("
        "v, g, obs, action, next_obs, reward, terminated != 0, truncated != 0, 0, label, params)",
        "if not paid - paid == 0.0:",
        "    return False",
        *(f"u[{i}] = v[{i}]" for i in range(machines)),
        *(f"f[{i}] = g[{i}]" for i in range(floats)),
        *(_keep(places["before"], observation) if "obs" in reads else []),
        "c.put_word(cell + STEPS, c.word(cell + STEPS) + 1)",
        "out = c.carray(c.pointer(cell + PAID, c.float64), (3,))",
        "out[0] = paid",
        "out[1] = (2.0 if not terminated else 1.0) if over else 0.0",
        "out[2] = (2.0 if not truncated else 1.0) if cut else 0.0",
        "return True",
    ]  # fmt: skip
    text = "\nfrom rewardspec.backends import native_capi as c\n"
    text += f"{', '.join(OWNED)} = {', '.join(map(str, range(len(OWNED))))}\n"
    text += f"{', '.join(WORDS)} = {', '.join(str(8 * i) for i in range(HEAD))}\n"
    text += _function("attempt(cell, acted, result, label)", lines)
    append = ""
    if memory is not None:
        text += _function(
            "is_plain(cell, thing)", [*_read("given", "thing", observation, "OBS", True), "return True"]
        )
        text += _function(
            "extended(this, cell, thing)", _append(observation, memory, blank, places, machines)
        )
        text += SHOW
        append = APPEND
    read = READ.format(count=len(layout.labels)) if layout.labels else ""
    end = (
        FINISH
        if extends and memory is None
        else CONCLUDE.format(machines=machines, floats=floats, u=8 * places["u"], f=8 * places["f"])
    )
    return text + STEP.format(read=read, append=append, end=end)


def _append(space: Any, memory: Memory, blank: Any, places: dict[str, int], machines: int) -> list[str]:
    """Return the statements that make an observation with memory of the environment's, which is plain."""
    head = space.shape[0]
    lines = [
        # The last two arrays are kept: one that nobody else holds is filled again, as `zip` does with its tuples. It
        # must be as it was made, for its owner may have changed its shape, type or flags.
        "place = KEPT + (c.word(cell + STEPS) & 1)",
        "made = c.list_item(this, place)",
        "alone = c.word(made) == 1 and c.word(made + c.WATCHERS) == 0",
        "alone = alone and c.word(made + c.DTYPE) == c.word(cell + SHOWN)",
        f"alone = alone and c.small(made + c.FLAGS) == {blank.flags.num}",
        f"if alone and c.small(made + c.AXES) == 1 and c.word(c.word(made + c.SIZES)) == {len(blank)}:",
        "    c.increase(made)",
        "else:",
        "    made = c.call_none(c.list_item(this, COPY))",
        "    if made == 0:",
        "        return 0",
        "    c.increase(made)",
        "    c.list_put(this, place, made)",
        f"given = c.carray(c.pointer(c.word(thing + c.DATA), c.{np.dtype(space.dtype)}), ({head},))",
        f"shown = c.carray(c.pointer(c.word(made + c.DATA), c.{blank.dtype}), ({len(blank)},))",
        f"for k in range({head}):",
        "    shown[k] = given[k]",
        f"for k in range({head}, {len(blank)}):",
        "    shown[k] = 0.0",
    ]
    at = head
    for position, size in memory.machines:
        lines.append(
            f"shown[{at} + min(max(c.word(cell + {8 * (places['u'] + position)}), 0), {size - 1})] = 1.0"
        )
        at += size
    for position, _, _ in memory.folds:
        lines.append(f"shown[{at}] = {_words(places['f'] + position - machines, 1, 'float64')}[0]")
        at += 1
    return [*lines, "return made"]


def _function(head: str, lines: list[str]) -> str:
    """Return the text of a function."""
    return "".join([f"def {head}:\n", *(f"    {line}\n" for line in lines)])


def _words(place: int, size: int, kind: str) -> str:
    return f"c.carray(c.pointer(cell + {8 * place}, c.{kind}), ({max(1, size)},))"


def _before(place: int, space: Any) -> list[str]:
    """Return the statements that give the observation before the step its shape."""
    shape = tuple(space.shape or ())
    size = math.prod(shape)
    if not shape:
        return [f"obs = {_words(place, 1, 'float64')}[0]"]
    return [f"obs = {_words(place, size, 'float64')}" + (f".reshape({shape!r})" if len(shape) > 1 else "")]


def _keep(place: int, space: Any) -> list[str]:
    """Return the statements that keep the observation for the next step."""
    shape: Shape = tuple(space.shape or ())
    if not shape:
        return [f"{_words(place, 1, 'float64')}[0] = next_obs"]
    size = math.prod(shape)
    return [
        f"kept, given = {_words(place, size, 'float64')}, next_obs.ravel()",
        f"for k in range({size}):",
        "    kept[k] = given[k]",
    ]


def _number(name: str, code: str) -> list[str]:
    """Return the statements that read a single number."""
    return [
        f"{name} = c.to_double({code})",
        f"if {name} == -1.0 and c.error_set() != 0:",
        "    c.clear_error()",
        "    return False",
    ]


def _read(name: str, code: str, space: Any, kind: str, is_read: bool) -> list[str]:
    """Return the statements that read an observation or action, or leave where it is not what the space says."""
    if not is_read:
        return [f"{name} = 0"]
    shape = tuple(space.shape or ())
    if not shape:
        return _number(name, code)
    dtype = np.dtype(space.dtype).name
    return [
        f"thing = {code}",
        f"if c.word(thing + c.TYPE) != c.word(cell + ARRAY) or c.word(thing + c.DTYPE) != c.word(cell + {kind}):",
        "    return False",
        f"if c.small(thing + c.AXES) != {len(shape)} or c.small(thing + c.FLAGS) & 0x101 != 0x101:",
        "    return False",  # 0x101: aligned, and C's order
        *(
            line
            for axis, size in enumerate(shape)
            for line in (f"if c.word(c.word(thing + c.SIZES) + {8 * axis}) != {size}:", "    return False")
        ),
        f"{name} = c.carray(c.pointer(c.word(thing + c.DATA), c.{dtype}), {shape!r})",
    ]


SHOW = """
def show(this, arguments, count, names):
    if count == 2 and names == 0:
        cell, thing = c.word(c.list_item(this, CELL) + c.DATA), c.word(arguments)
        if is_plain(cell, thing):
            return extended(this, cell, thing)
    return c.call_with(c.list_item(this, EXTEND), arguments, count, names)
"""

APPEND = """    made = extended(this, cell, c.tuple_item(result, 0))
    if made == 0:
        c.decrease(result)
        return 0
    c.tuple_put(result, 0, made)
"""

READ = """    if c.word(result + c.TYPE) == c.word(cell + TUPLE) and c.tuple_size(result) == 5:
        labels = c.call_three(c.list_item(this, READ_LABELS), action, c.tuple_item(result, 0), c.tuple_item(result, 4))
        if labels == 0:
            c.decrease(result)
            return 0
        for k in range({count}):
            label |= c.is_true(c.tuple_item(labels, k)) << k
"""

STEP = """
def step(this, arguments, count, names):
    if count != 1 or names != 0:
        return c.call_with(c.list_item(this, LOOSELY), arguments, count, names)
    cell = c.word(c.list_item(this, CELL) + c.DATA)
    action = c.word(arguments)
    env_step = c.list_item(this, ENV_STEP)
    c.increase(env_step)
    result = c.call_one(env_step, action)
    c.decrease(env_step)
    if result == 0:
        return 0
    labels, label = 0, 0
{read}    if not attempt(cell, action, result, label):
        told = labels if labels != 0 else c.list_item(this, NO_LABELS)
        final = c.call_three(c.list_item(this, SLOW), action, result, told)
        c.decrease(result)
        if labels != 0:
            c.decrease(labels)
        return final
    if labels != 0:
        c.decrease(labels)
    out = c.carray(c.pointer(cell + PAID, c.float64), (3,))
    over, cut = out[1], out[2]
    paid = c.from_double(out[0])
    if paid == 0:
        c.decrease(result)
        return 0
    if c.word(result) != 1:  # somebody else sees this tuple
        shared, result = result, c.new_tuple(5)
        if result == 0:
            c.decrease(shared)
            c.decrease(paid)
            return 0
        for k in range(5):
            item = c.tuple_item(shared, k)
            c.increase(item)
            c.tuple_put(result, k, item)
        c.decrease(shared)
    c.tuple_put(result, 1, paid)
    if over == 2.0 or cut == 2.0:  # the program's own word
        truth = c.word(cell + TRUE)
        if over == 2.0:
            c.increase(truth)
            c.tuple_put(result, 2, truth)
        if cut == 2.0:
            c.increase(truth)
            c.tuple_put(result, 3, truth)
{append}{end}"""

FINISH = """    final = c.call_one(c.list_item(this, LAST), result)
    c.decrease(result)
    return final
"""

CONCLUDE = """    if over == 0.0 and cut == 0.0:
        return result
    state = c.new_tuple({machines} + {floats})
    if state != 0:
        for k in range({machines}):
            c.tuple_put(state, k, c.from_integer(c.word(cell + {u} + 8 * k)))
        totals = c.carray(c.pointer(cell + {f}, c.float64), ({floats},))
        for k in range({floats}):
            c.tuple_put(state, {machines} + k, c.from_double(totals[k]))
        info = 0
        if c.error_set() == 0:
            info = c.call_two(c.list_item(this, LAST), c.tuple_item(result, 4), state)
        c.decrease(state)
        if info != 0:
            c.tuple_put(result, 4, info)
            return result
    c.decrease(result)
    return 0
"""
