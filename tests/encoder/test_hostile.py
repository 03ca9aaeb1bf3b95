"""Sources that must be refused, each with its reason: what could reach beyond the arrays, bombs, and honest mistakes.

Nothing here is ever run: a source is text, and text is all that `read_encoder` looks at.
"""

from __future__ import annotations

import pytest

from rewardspec.encoder.language import read_encoder
from rewardspec.encoder.refusal import EncoderError

HEAD = "def evaluation_func(observation, action):\n    "


def body(*lines: str) -> str:
    return HEAD + "\n    ".join(lines)


def returning(text: str) -> str:
    return body(f"return [{text}]")


X = "observation[:, 0:1]"

REACHING_OUT = {
    "an import of os": (body("import os", f"return [{X}]"), "an import is not allowed"),
    "an import at the top": ("import os\n" + returning(X), "an import is not allowed"),
    "an import of a part of NumPy": (body("from numpy import loadtxt", f"return [{X}]"), "an import"),
    "an import beside NumPy's": (body("import numpy, os", f"return [{X}]"), "an import"),
    "another module under NumPy's name": (body("import os as np", f"return [{X}]"), "an import"),
    "__import__": (returning("__import__('os').system('id')"), "'__import__' cannot be called"),
    "the class of an array": (returning("observation.__class__"), "has no '.__class__'"),
    "the subclasses of object": (
        returning("().__class__.__bases__[0].__subclasses__()"),
        "has no '.__class__'",
    ),
    "the globals of a function": (returning("np.sum.__globals__['os']"), "np.sum.__globals__|has no|np.sum"),
    "NumPy's own os": (returning("np.os.system('id')"), "np.os.system is not in the table"),
    "NumPy's sys": (returning("np.sys.modules"), "np.sys is not allowed"),
    "NumPy's loader of files": (returning("np.loadtxt('/etc/passwd')"), "np.loadtxt is not in the table"),
    "NumPy's genfromtxt": (returning("np.genfromtxt('/etc/passwd')"), "np.genfromtxt is not in the table"),
    "NumPy's fromfile": (returning("np.fromfile('/etc/passwd')"), "np.fromfile is not in the table"),
    "NumPy's load, which unpickles": (returning("np.load('x.npy', allow_pickle=True)"), "np.load is not in"),
    "NumPy's save": (body("np.save('x', observation)", f"return [{X}]"), "this statement is not allowed"),
    "NumPy's compiler": (returning("np.f2py.compile('')"), "np.f2py.compile is not in the table"),
    "a method that writes a file": (returning("observation.tofile('/tmp/x')"), "no method 'tofile'"),
    "a method that pickles": (returning("observation.dump('/tmp/x')"), "no method 'dump'"),
    "the memory of an array": (returning("observation.ctypes"), "has no '.ctypes'"),
    "NumPy's foreign functions": (
        returning("np.ctypeslib.load_library('c', '/')"),
        "np.ctypeslib.load_library is",
    ),
    "NumPy's random numbers": (returning("np.random.rand(1)"), "np.random.rand is not in the table"),
    "vectorize of Python": (
        returning("np.vectorize(abs)(observation)"),
        "only functions of np can be called",
    ),
    "apply_along_axis": (returning("np.apply_along_axis(abs, 1, observation)"), "is not in the table"),
    "open": (returning("open('/etc/passwd').read()"), "'open' cannot be called"),
    "eval": (returning("eval('1')"), "'eval' cannot be called"),
    "exec": (body("exec('import os')", f"return [{X}]"), "this statement is not allowed"),
    "getattr": (returning("getattr(np, 'load')('x')"), "only functions of np can be called"),
    "getattr by name alone": (returning("getattr(observation, 'tofile')"), "'getattr' cannot be called"),
    "globals": (returning("globals()['np']"), "'globals' cannot be called"),
    "vars": (returning("vars(np)"), "'vars' cannot be called"),
    "print": (body("print(observation)", f"return [{X}]"), "this statement is not allowed"),
    "input": (returning("input()"), "'input' cannot be called"),
    "the builtins by name": (returning("__builtins__"), "there is no '__builtins__' here"),
    "a function given a new name": (body("f = np.load", f"return [{X}]"), "np.load is not allowed"),
    "a function of the table as a value": (body("f = np.exp", f"return [f({X})]"), "np.exp is a function"),
    "np overwritten": (body("np = observation", f"return [{X}]"), "'np' is not a name that can be given"),
    "abs overwritten": (body("abs = 3", f"return [{X}]"), "'abs' is not a name that can be given"),
    "an attribute written": (
        body("observation.flags = 0", f"return [{X}]"),
        "only a name can be given a value",
    ),
    "an array written": (body("observation[:, 0] = 0", f"return [{X}]"), "only a name can be given a value"),
    "an array changed in place": (body("x = observation[:, 0]", "x += 1", "return [x]"), "in place"),
    "an array given out to be written": (returning(f"np.exp({X}, out=observation)"), "no argument 'out'"),
    "a text that is formatted": (returning("'{0.__class__}'.format(observation)"), "a text has no value"),
    "an f-string": (returning("f'{observation}'"), "a text is not allowed"),
    "a lambda": (returning(f"(lambda x: x)({X})"), "only functions of np can be called"),
    "a comprehension": (
        body("return [observation[:, i:i+1] for i in range(2)]"),
        "a comprehension is not allowed",
    ),
    "a generator": (returning("sum(x for x in observation)"), "'sum' cannot be called"),
    "a loop": (body("for i in range(3):", "    pass", f"return [{X}]"), "a loop is not allowed"),
    "an endless loop": (body("while True:", "    pass"), "a loop is not allowed"),
    "recursion": (returning("evaluation_func(observation, action)"), "'evaluation_func' cannot be called"),
    "an if": (body("if observation[0, 0] > 0:", f"    return [{X}]"), "an if is not allowed"),
    "a try": (body("try:", f"    return [{X}]", "except Exception:", "    pass"), "a try is not allowed"),
    "a with": (body("with open('x') as f:", f"    return [{X}]"), "a with is not allowed"),
    "a class": (body("class A: pass", f"return [{X}]"), "a class is not allowed"),
    "a function inside": (body("def g(x): return x", f"return [{X}]"), "a function inside is not allowed"),
    "a global": (body("global x", f"return [{X}]"), "a global is not allowed"),
    "an assert": (body("assert __import__('os')", f"return [{X}]"), "an assert is not allowed"),
    "a del": (body("del observation", f"return [{X}]"), "a del is not allowed"),
    "a yield": (returning("(yield observation)"), "a yield is not allowed"),
    "a walrus": (returning(f"(x := {X})"), "an assignment in an expression is not allowed"),
    "a star": (returning(f"np.maximum(*[{X}, {X}])"), "a star is not allowed"),
    "two stars": (returning(f"np.exp(**{{'x': {X}}})"), "a star is not allowed"),
    "a mapping": (body(f"return {{'a': {X}}}"), "a mapping is not allowed"),
    "a decorator": ("@np.vectorize\n" + returning(X), "without defaults and decorators"),
    "a default that is run": (
        f"def evaluation_func(observation, action=open('x')):\n    return [{X}]",
        "without defaults",
    ),
    "a second function": (returning(X) + "\ndef g(): pass", "one function"),
    "a statement outside": (returning(X) + "\nprint(1)", "this statement is not allowed"),
    "async": ("async " + returning(X), "this statement is not allowed"),
    "a complex number": (returning(f"1j * {X}"), "a complex number is not allowed"),
    "a coding line": ("# -*- coding: rot13 -*-\n" + returning("open('x')"), "'open' cannot be called"),
}

BOMBS = {
    "nine to the nine to the nine": (returning(f"{X} * 9**9**9"), "the exponent of a power"),
    "a power of an array": (returning(f"{X} ** 1000000"), "the exponent of a power"),
    "a power that the data chooses": (returning(f"{X} ** (1000 * {X})"), "the exponent of a power"),
    "np.power likewise": (returning(f"np.power({X}, 99)"), "the exponent of a power"),
    "a number with too many digits": (returning(f"{X} * {'9' * 5000}"), "this is not Python|infinite"),
    "an infinite number": (returning(f"{X} * 1e999"), "a constant is infinite"),
    "np.inf": (returning(f"np.minimum({X}, np.inf)"), "np.inf is not allowed"),
    "np.nan": (returning(f"{X} * np.nan"), "np.nan is not allowed"),
    "a constant over 0": (returning(f"{X} * (1 / 0)"), "a constant is infinite or not a number"),
    "infinity by arithmetic": (returning(f"{X} * (1e308 * 10)"), "a constant is infinite"),
    "the logarithm of 0": (returning(f"{X} * np.log(0)"), "a constant is infinite or not a number"),
    "doubling sixty times": (body(f"x = {X}", *["x = x + x"] * 60, "return [x]"), "more than 4000 parts"),
    "a tower of functions": (body(f"x = {X}", *["x = np.exp(x)"] * 200, "return [x]"), "more than 120 levels"),
    "too deep an expression": (returning("(" * 150 + X + ")" * 150 + "+1" * 200), "levels|too deeply|not Python"),
    "more brackets than the parser takes": (returning("[" * 5000 + "]" * 5000), "deep|not Python"),
    "minus upon minus": (returning("-" * 2000 + X), "deep|levels"),
    "a source too long": (returning(X + " " * 30_000), "30"),
    "too many parts": (body(*[f"x{i} = {X}" for i in range(900)], "return [x1]"), "more than 4000 parts|characters"),
    "a huge array": (returning("np.zeros((len(observation), 1000000000))[:, 0]"), "the limit is 2000"),
    "a huge constant": (returning(f"{X} * np.ones(1000000000000)"), "the limit is 2000"),
    "broadcasting into a cube": (
        body(
            "n = observation.shape[0]",
            "x = np.zeros((n, 100, 1)) + np.zeros((n, 1, 100))",
            f"return [{X}]",
        ),
        "the limit is 2000",
    ),
    "np.tile": (returning(f"np.tile({X}, (1, 10**9))"), "np.tile is not in the table"),
    "np.repeat": (returning(f"np.repeat({X}, 10**9, axis=1)"), "np.repeat is not in the table"),
    "a repeated list": (body("x = [1] * 10**9", f"return [{X}]"), "a list is not an array|exponent"),
    "a list that grows": (body("x = [1]", *["x = x + x"] * 40, f"return [{X}]"), "more than 200 items"),
    "a list in itself": (body("x = [1]", "x.append(x)", f"return [{X}]"), "a list holds a list"),
    "a reshape into many axes": (returning("np.zeros((len(observation), 1, 1, 1, 1, 1))"), "more than 4 axes"),
    "33 factors": (body("return [" + ", ".join([X] * 33) + "]"), "there may be 1 to 32"),
    "a wide matrix product": (
        returning("(np.zeros((len(observation), 40, 50)) @ np.ones((50, 40)))[:, 0, 0]"),
        "too many parts",
    ),
}  # fmt: skip

MISTAKES = {
    "rows picked": (returning("observation[0]"), "a subscript picks rows of the batch"),
    "rows sliced": (returning("observation[1:]"), "a subscript picks rows"),
    "rows masked": (returning("observation[observation[:, 0] > 0]"), "a subscript picks rows"),
    "the norm of a whole batch": (returning("np.linalg.norm(observation)"), "joins rows of the batch"),
    "a sum over the batch": (returning(f"{X} - np.sum(observation, axis=0)"), "axis 0 joins rows"),
    "a batch-normalised factor": (returning(f"({X} - np.mean({X})) / np.std({X})"), "joins rows of the batch"),
    "a mean of rows": (body("d = observation[:, 0]", "return [d / d.max()]"), "joins rows of the batch"),
    "an outer product by broadcasting": (returning(f"observation[:, 0] * {X}"), "paired across rows"),
    "(batch,) beside a table": (returning("observation[:, 0] + observation[:, 0:3]"), "paired across rows"),
    "a list of arrays as an array": (returning("np.array([action[:, 0], action[:, 1]])"), "batch on its"),
    "stacked along the batch": (returning("np.stack([observation[:, 0]])"), "axis 0 puts rows"),
    "concatenated along the batch": (returning("np.concatenate([observation, observation])"), "axis 0 puts rows"),
    "the transpose": (returning("observation.T"), "moves the batch"),
    "a product of batches": (returning("observation @ action"), "joins rows of the batch"),
    "flattened": (returning("observation.flatten()"), "does not fit"),
    "a reshape across rows": (returning("observation.reshape(-1, 3)"), "does not fit"),
    "a reshape to fixed rows": (returning("observation.reshape(2, 5)"), "must keep the batch"),
    "the size of the batch as a number": (returning(f"{X} / observation.shape[0]"), "number of rows"),
    "a slice of nothing": (returning("observation[:, 4:4]"), "is empty"),
    "an index out of range": (returning("observation[:, 12]"), "out of range"),
    "a table as a factor": (returning("observation[:, 0:3]"), "has the shape (batch, 3)"),
    "one array and no list": (body("return observation[:, 0:1]"), "returns an array"),
    "no factor at all": (body("return []"), "returns 0 factors"),
    "nothing returned": (body("x = 1"), "returns nothing"),
    "a bare return": (body("return"), "returns nothing"),
    "a constant": (returning("1.0"), "is a constant"),
    "a constant array": (returning("np.ones((observation.shape[0], 1))"), "reads nothing of the step"),
    "a constant in disguise": (returning("np.array([1.0, 2.0])"), "has the shape (2,)"),
    "shapes that do not go together": (returning("observation[:, 0:2] + observation[:, 0:3]"), "do not go together"),
    "truth of arrays": (returning(f"({X} > 0) and ({X} < 1)"), "'and' or 'or' between arrays"),
    "a conditional expression": (returning(f"{X} if 1 else {X}"), "an if is not allowed"),
    "a chained comparison": (returning(f"0 < {X} < 1"), "this comparison is not allowed"),
    "an unknown name": (returning("obs[:, 0:1]"), "there is no 'obs' here"),
    "arctan2": (returning("np.arctan2(observation[:, 0], observation[:, 1])"), "sine and cosine"),
    "another name": ("def reward(observation):\n    return [observation[:, 0:1]]", "holds reward"),
    "no function": ("x = 1", "this statement is not allowed"),
    "no Python": ("def evaluation_func(observation):\n  return [", "this is not Python"),
    "an answer in words": ("Sure! Here is the function you asked for.", "this is not Python"),
    "nothing": ("", "holds nothing"),
    "a character that is none": (returning("'\0'"), "character that is none|not Python"),
    "half of a pair": (returning("'\ud800'"), "character that is none|not Python|no value"),
    "too many parameters": ("def evaluation_func(o, a, b):\n    return [o[:, 0:1]]", "takes (observation, action)"),
}  # fmt: skip

HOSTILE = {**REACHING_OUT, **BOMBS, **MISTAKES}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_with_a_reason(name: str) -> None:
    source, reason = HOSTILE[name]
    with pytest.raises(EncoderError) as caught:
        read_encoder(source, 10, 2)
    assert any(part in str(caught.value) for part in reason.split("|")), str(caught.value)


def test_there_are_enough_of_them() -> None:
    assert len(REACHING_OUT) >= 60
    assert len(HOSTILE) >= 120


def test_a_function_that_may_not_read_the_action_is_told_so() -> None:
    with pytest.raises(EncoderError, match="the function cannot read it"):
        read_encoder(returning(X), 10, None)


def test_a_reason_names_the_line() -> None:
    with pytest.raises(EncoderError, match="line 3, `y = open"):
        read_encoder(body("x = 1", "y = open('f')", f"return [{X}]"), 10, 2)
