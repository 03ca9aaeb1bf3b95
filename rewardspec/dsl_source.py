"""A spec as the text of a Python program that builds it."""

from __future__ import annotations

import inspect
import itertools
import keyword
import textwrap
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from rewardspec.kinds.reward_machine import RewardMachine
from rewardspec.spec.agents import AgentSpec, JointSpec, ShareSpec
from rewardspec.spec.declarations import EndSpec, SignalSpec
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Schedule, Term
from rewardspec.spec.writing import given_fields, main_field, write_field, write_model
from rewardspec.vocabulary import VOCABULARY

WIDTH = 96


def to_python(spec: Spec) -> str:
    """Return a Python program that builds a spec with `rewardspec.dsl`, under the name `spec`.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> print(to_python(loads("reward: [{clip: action, high: 1, weight: 2}, ltl: F a]")), end="")
        from rewardspec import dsl as rs
        <BLANKLINE>
        spec = rs.spec("reward", reward=[rs.markov("action").clip(high=1, weight=2), rs.ltl("F a")])
    """
    arguments = [_literal(spec.name)]
    for name, info, value in given_fields(spec):
        if name in ("rewardspec", "name"):
            continue
        if name == "reward":
            if not value:
                continue
            text = _list(_term(term) for term in value)
        elif name == "agents":
            text = _mapping((key, _part("rs.agent", entry)) for key, entry in value.items())
        elif name == "joint":
            text = _part("rs.joint", value)
        elif name == "env":
            text = _call("rs.env", _positional(write_model(value), "id"))
        elif name == "signals":
            text = _mapping((key, _signal(signal)) for key, signal in value.items())
        elif name == "end":
            text = _list(_end(end) for end in value)
        elif name == "tests":
            text = _list(_call("rs.test", _positional(write_model(test), "name")) for test in value)
        else:
            text = _literal(write_field(info, value))
        arguments.append(f"{name}={text}")
    return f"from rewardspec import dsl as rs\n\nspec = {_call('rs.spec', arguments)}\n"


def _part(builder: str, entry: AgentSpec | JointSpec) -> str:
    """Return what some agents want, or what all get."""
    arguments = []
    for name, info, value in given_fields(entry):
        if name == "reward":
            text = _list(_term(term) for term in value)
        elif name == "end":
            text = _list(_end(end) for end in value)
        elif name == "tests":
            text = _list(_call("rs.test", _positional(write_model(test), "name")) for test in value)
        elif name == "share":
            text = _share(value)
        else:
            text = _literal(write_field(info, value))
        arguments.append(f"{name}={text}")
    return _call(builder, arguments)


def _share(share: ShareSpec) -> str:
    fields = write_model(share)
    inner = fields.pop("inequity", None)
    arguments = _keywords(fields)
    if inner is not None:
        arguments.append(f"inequity={_call('rs.inequity', _keywords(inner))}")
    return _call("rs.share", arguments)


def _term(term: Term) -> str:
    options = {"name": term.name} if term.name is not None else {}
    tail = _keywords(options)
    if term.weight is not None:
        tail.append(f"weight={_weight(term.weight)}")
    inner = VOCABULARY[term.kind].terms
    main = main_field(type(term.body))
    if inner and main in inner:
        fields = _keywords(_written(term.body, leave_out=main))
        held = getattr(term.body, main)
        if isinstance(held, Term):
            return _call(f"{_term(held)}.{term.kind}", fields + tail)
        return _call(f"rs.{term.kind}", [_term(item) for item in held] + fields + tail)
    if isinstance(term.body, RewardMachine):
        edges = _list(
            _call("rs.edge", _positional(write_model(edge), "from", "to")) for edge in term.body.edges
        )
        fields = _keywords(_written(term.body, leave_out=main))
        return _call("rs.reward_machine", [fields[0], f"edges={edges}", *fields[1:], *tail])
    first = () if _by_name(term.kind, main) else (main,)
    return _call(f"rs.{term.kind}", _positional(_written(term.body), *first) + tail)


def _by_name(kind: str, main: str) -> bool:
    """Say whether the kind's builder takes its main field by name only."""
    from rewardspec import dsl  # which imports this module

    parameter = inspect.signature(getattr(dsl, kind)).parameters.get(main)
    return parameter is not None and parameter.kind is inspect.Parameter.KEYWORD_ONLY


def _written(body: BaseModel, leave_out: str = "") -> dict[str, Any]:
    return {name: write_field(info, value) for name, info, value in given_fields(body) if name != leave_out}


def _end(end: EndSpec) -> str:
    return _call("rs.end", _positional(write_model(end), "when"))


def _signal(signal: SignalSpec) -> str:
    return _call("rs.signal", _positional(write_model(signal), "value"))


def _weight(weight: float | Schedule) -> str:
    if not isinstance(weight, Schedule):
        return _literal(int(weight) if weight.is_integer() and abs(weight) < 1e15 else weight)
    ((form, value),) = write_model(weight).items()
    return _call(f"rs.{form}", _keywords(value) if isinstance(value, dict) else [_literal(value)])


def _keywords(fields: dict[str, Any]) -> list[str]:
    """Return arguments by name; a name that Python keeps for itself has an underscore after it."""
    return [f"{name}{'_' * keyword.iskeyword(name)}={_literal(value)}" for name, value in fields.items()]


def _positional(fields: dict[str, Any], *first: str) -> list[str]:
    """Return arguments, the first ones without their names as long as they are given."""
    names = list(itertools.takewhile(fields.__contains__, first))
    return [_literal(fields[name]) for name in names] + _keywords(
        {name: value for name, value in fields.items() if name not in names}
    )


def _literal(value: Any) -> str:
    """Return plain data as Python, with double quotes where they need no escapes."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, dict):
        return _mapping((key, _literal(item)) for key, item in value.items())
    return _list(_literal(item) for item in value) if isinstance(value, list) else repr(value)


def _call(head: str, arguments: Iterable[str]) -> str:
    return _bracketed(f"{head}(", list(arguments), ")")


def _list(items: Iterable[str]) -> str:
    return _bracketed("[", list(items), "]")


def _mapping(items: Iterable[tuple[str, str]]) -> str:
    return _bracketed("{", [f"{_literal(key)}: {text}" for key, text in items], "}")


def _bracketed(opening: str, items: list[str], closing: str) -> str:
    """Return items in brackets, on one line where they fit and on one line each where not."""
    line = f"{', '.join(items)}{closing}"
    head = opening.rsplit("\n", 1)[-1]  # a method's head holds the whole term that it is called on
    if not items or ("\n" not in line and len(head) + len(line) <= WIDTH):
        return opening + line
    # Line breaks inside texts are escaped, so indenting changes no value.
    inner = textwrap.indent(",\n".join(items), "    ")
    return f"{opening}\n{inner},\n{closing}"
