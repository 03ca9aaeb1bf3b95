"""The agreement test can fail: each planted error in a backend is found by it within a few drawn specs."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from rewardspec.backends import array, native, scalar
from tests.agreement.agreement import Backends, check_agreement
from tests.agreement.worlds import specs

SCALAR = "rewardspec.backends.scalar"
ARITHMETIC = "rewardspec.backends.arithmetic"
TEXT = "rewardspec.backends.python_text"
DECISIONS = "rewardspec.backends.decisions"
ARRAY = "rewardspec.backends.array"
NUMPY = "rewardspec.backends.numpy_ops"
TORCH = "rewardspec.backends.torch_ops"
NATIVE = "rewardspec.backends.native"
NATIVE_TEXT = "rewardspec.backends.native_text"
NATIVE_INPUTS = "rewardspec.backends.native_inputs"

MUTANTS = [
    (
        DECISIONS,
        "bool(edge.value & flag) == truth",
        "bool(edge.value & flag) != truth",
        "a tree takes the other branch",
    ),
    (
        DECISIONS,
        "{name} < {starts[middle]}",
        "{name} <= {starts[middle]}",
        "a state is taken for its neighbour",
    ),
    (TEXT, '"lt": "<"', '"lt": "<="', "a strict comparison lets equality through"),
    (TEXT, '"ge": ">="', '"ge": ">"', "a comparison leaves equality out"),
    (TEXT, '"sub": "-"', '"sub": "+"', "subtraction adds"),
    (ARITHMETIC, "return math.floor(x) + 0.0 if", "return int(x) + 0.0 if", "floor cuts towards zero"),
    (
        ARITHMETIC,
        "return a - b * _floor(_div(a, b))",
        "return math.fmod(a, b) if b else math.nan",
        "mod takes the dividend's sign",
    ),
    (
        ARITHMETIC,
        "if x > 0 else (-math.inf if x == 0 else math.nan)",
        "if x > 0 else -math.inf",
        "log of a negative number is infinite",
    ),
    (
        SCALAR,
        "fold.start for i, fold",
        "state[machines + i] for i, fold",
        "memory of the episode outlives it",
    ),
    (
        SCALAR,
        'if fold.scope == "run" else fold.start',
        "if False else fold.start",
        "run statistics start anew each episode",
    ),
    (ARITHMETIC, "return 1.0 / (1.0 + math.exp(-x))", "return 1.0 / (1.0 + math.exp(x))", "a sigmoid falls"),
    (
        ARITHMETIC,
        '"_mean_array": lambda x: float(np.mean(x))',
        '"_mean_array": lambda x: float(np.sum(x))',
        "a mean is a sum",
    ),
    (
        ARITHMETIC,
        '"_count_array": lambda x: float(np.count_nonzero(x))',
        '"_count_array": lambda x: float(np.size(x))',
        "count counts all",
    ),
    (
        ARITHMETIC,
        "return math.sqrt(x) if x >= 0 else math.nan",
        "return math.sqrt(abs(x))",
        "a square root of a negative number",
    ),
    (
        ARRAY,
        "regs[register] = value\n        for register, value in zip(self.outputs.state_inputs, state",
        "regs[register] = value\n        for register, value in zip(self.outputs.state_inputs, self.init()",
        "the state before the step is forgotten",
    ),
    (
        ARRAY,
        'if fold.scope == "run"}\n        return tuple(',
        'if fold.scope != "run"}\n        return tuple(',
        "reset keeps the wrong memories",
    ),
    (
        ARRAY,
        "old if i in kept else lib.where(_spread(mask, old), new, old)",
        "old if i in kept else lib.where(_spread(mask, old), old, new)",
        "reset takes the wrong environments",
    ),
    (
        ARRAY,
        "reward = lib.where(active, reward, lib.zeros(self.batch))",
        "reward = reward",
        "an environment that is not active is paid",
    ),
    (
        ARRAY,
        "new if i in run_scope else lib.where(_spread(active, new), new, old)",
        "new",
        "an environment that is not active moves on",
    ),
    (ARRAY, "if end.how == how:", "if True:", "an end that truncates terminates"),
    (ARRAY, "if grown.first is not None:", "if False:", "what is there before the first step is new"),
    (
        ARRAY,
        "state[len(state) - len(sets) :]",
        "self.init()[len(state) - len(sets) :]",
        "a set forgets its items",
    ),
    (ARRAY, '"after" if after else "before"', '"before"', "tables read the state before the step"),
    (ARRAY, "hit, columns[2], target", "hit, columns[3], target", "an edge leads to its output's number"),
    (NUMPY, '"le": np.less_equal', '"le": np.less', "a comparison leaves equality out"),
    (
        NUMPY,
        "np.copyto(out, b)\n    np.copyto(out, a, where=condition)",
        "np.copyto(out, a)\n    np.copyto(out, b, where=condition)",
        "where takes the other branch",
    ),
    (
        NUMPY,
        "np.broadcast_to(values, (batch,))[active]",
        "np.broadcast_to(values, (batch,))",
        "batch statistics count inactive environments",
    ),
    (NUMPY, "np.where(x >= 0, 1.0, e) / (1.0 + e)", "1.0 / (1.0 + e)", "a sigmoid is symmetric"),
    (NUMPY, "integer(1 << bit)", "integer(1 << (bit ^ 1))", "label bits are swapped"),
    (NUMPY, '"arctanh": np.arctanh', '"arctanh": np.tanh', "a function is another"),
    (
        TORCH,
        '"max": trailing(lambda x: x.amax(1))',
        '"max": trailing(lambda x: x[:, 0])',
        "max is the first entry",
    ),
    (
        TORCH,
        "torch.where(active, spread, torch.zeros_like(spread))",
        "spread",
        "batch sums count inactive environments",
    ),
    (TORCH, "part.flip(flipped) if flipped else part", "part", "a slice that runs backwards runs forwards"),
    (TORCH, "torch.where(torch.isnan(x), x, torch.sign(x))", "torch.sign(x)", "the sign of NaN is 0"),
    (
        TORCH,
        '"div": both(torch.div)',
        '"div": both(lambda a, b: torch.nan_to_num(a / b))',
        "division by zero is finite",
    ),
    (
        TORCH,
        "weights = [1 << bit for bit in range(bits)]",
        "weights = [bit for bit in range(bits)]",
        "labels are packed wrongly",
    ),
    (NATIVE_TEXT, "if taken.start == 0 else", "if True else", "a slice starts at 0"),
    (NATIVE_TEXT, "* {1 << bit}", "* {1 << (bit ^ 1)}", "label bits of a machine are swapped"),
    (
        NATIVE_TEXT,
        "{columns[2]}[e], {columns[3]}[e]",
        "{columns[3]}[e], {columns[2]}[e]",
        "an edge pays its target",
    ),
    (NATIVE_TEXT, 'index = f"v{i}"', 'index = f"u{i}"', "tables after the step read the state before it"),
    (
        NATIVE_TEXT,
        '"mean": ("0.0", f"{name} += {x}", f"{name} / count")',
        '"mean": ("0.0", f"{name} += {x}", name)',
        "a mean over environments is a sum",
    ),
    (
        NATIVE_TEXT,
        'return f"{array}[i * {math.prod(shape)} + {flat}]"',
        'return f"{array}[{flat}]"',
        "every environment reads the first one's values",
    ),
    (NATIVE_TEXT, ">> {position} & 1 != 0", ">> {position} & 1 == 0", "labels say the opposite"),
    (
        NATIVE,
        "value if i in lasting else",
        "value if True else",
        "an environment that is not active moves on, compiled",
    ),
    (
        NATIVE,
        '"    paid_out[i] = paid if here else 0.0"',
        '"    paid_out[i] = paid"',
        "an environment that is not active is paid, compiled",
    ),
    (NATIVE, 'if f.scope == "episode"),', "if False),", "memory of the episode outlives it, compiled"),
    (
        NATIVE,
        'f"{place} = {new}" for place, new in zip(places, news',
        'f"{place} = {new}" for place, new in zip(places[:-1], news[:-1]',
        "a total is not kept",
    ),
    (
        NATIVE_INPUTS,
        'return order, flat.get("obs", 0)',
        'return order, flat.get("next_obs", 0)',
        "the observation before the step is that after it",
    ),
]


def mutated(module: str, old: str, new: str) -> types.ModuleType:
    """Return a copy of a module with one piece of its text replaced."""
    original = importlib.import_module(module)
    assert original.__file__ is not None
    with open(original.__file__, encoding="utf-8") as file:
        text = file.read()
    assert text.count(old) >= 1, f"the mutant no longer applies: {old!r} is not in {module}"
    copy = types.ModuleType(module + "_mutant")
    copy.__file__ = original.__file__
    sys.modules[copy.__name__] = copy  # dataclasses look their module up
    exec(compile(text.replace(old, new, 1), original.__file__, "exec"), copy.__dict__)
    return copy


def plant(module: str, mutant: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a mutant's functions in place of the original's, also where they were imported by name."""
    original = importlib.import_module(module)
    for name, value in list(vars(original).items()):
        if name.startswith("__") or isinstance(value, types.ModuleType) or not hasattr(mutant, name):
            continue
        for user in (u for key, u in list(sys.modules.items()) if key.startswith("rewardspec.backends")):
            if vars(user).get(name) is value and user is not mutant:
                monkeypatch.setattr(user, name, getattr(mutant, name))


@pytest.mark.parametrize(("module", "old", "new"), [m[:3] for m in MUTANTS], ids=[m[3] for m in MUTANTS])
def test_the_agreement_test_finds(module: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = mutated(module, old, new)
    plant(module, mutant, monkeypatch)
    compiled = mutant if module == NATIVE else native
    backends = Backends(scalar.compile_scalar, scalar.fuse, array.compile_array, compiled)
    torch = module in (TORCH, ARRAY)

    @seed(1)
    @settings(
        max_examples=2000, deadline=None, database=None, derandomize=False, phases=[Phase.generate],
        report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(specs(), st.integers(0, 10**6))
    def agree(data: dict[str, Any], trace: int) -> None:
        check_agreement(data, trace, backends, torch=torch)

    with pytest.raises(Exception):  # noqa: B017 - a mutant may differ, or break outright
        agree()


def test_without_a_mutant_the_same_specs_agree() -> None:
    @seed(1)
    @settings(max_examples=40, deadline=None, database=None, derandomize=False, phases=[Phase.generate])
    @given(specs(), st.integers(0, 10**6))
    def agree(data: dict[str, Any], trace: int) -> None:
        check_agreement(data, trace)

    agree()
