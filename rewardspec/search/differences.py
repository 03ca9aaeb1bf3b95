"""What tells two specs apart, in lines. It is read from the specs themselves, so it is never wrong.

Source: ICPL's reward differences, which a language model is asked for in a second call; here nobody is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rewardspec.compiler import term_names
from rewardspec.ir.show import show_number
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Schedule
from rewardspec.spec.writing import write_model, write_term

LONGEST = 160
"""Characters of a term or an expression that are shown."""


def differences(before: Spec, after: Spec) -> tuple[str, ...]:
    """Return what `after` does differently, one line for each term, signal and proposition.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> one = loads("reward: [{markov: reward, weight: 2}, {markov: 1, name: alive}]")
        >>> two = loads("reward: [{markov: reward, weight: 3}]")
        >>> differences(one, two)
        ("weight of 'markov': 2 -> 3", "without 'alive': {markov: 1, name: alive}")
    """
    lines: list[str] = []
    old, new = _terms(before), _terms(after)
    for name, (weight, body, shown) in new.items():
        if name not in old:
            lines.append(f"new '{name}': {shown}")
            continue
        was, was_body, was_shown = old[name]
        if body != was_body:
            lines.append(f"'{name}': {was_shown} -> {shown}")
        elif weight != was:
            lines.append(f"weight of '{name}': {was} -> {weight}")
    lines += [f"without '{name}': {shown}" for name, (_, _, shown) in old.items() if name not in new]
    for what in ("signals", "propositions"):
        lines += _named(what, getattr(before, what), getattr(after, what))
    return tuple(lines)


def _terms(spec: Spec) -> dict[str, tuple[str, Any, str]]:
    """Return by name a term's weight, its body, and the whole as text."""
    found = {}
    for name, term in zip(term_names(spec), spec.reward, strict=True):
        weight = term.weight
        told = (
            "schedule"
            if isinstance(weight, Schedule)
            else show_number(1.0 if weight is None else float(weight))
        )
        body = (term.kind, write_model(term.body), weight if isinstance(weight, Schedule) else None)
        found[name] = (told, body, _flow(write_term(term)))
    return found


def _named(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in after.items():
        if name not in before:
            lines.append(f"new {what[:-1]} '{name}': {_text(value)}")
        elif _text(value) != _text(before[name]):
            lines.append(f"{what[:-1]} '{name}': {_text(before[name])} -> {_text(value)}")
    return lines + [f"without {what[:-1]} '{name}'" for name in before if name not in after]


def _text(value: Any) -> str:
    told = getattr(value, "value", value)
    return "given by the labels" if told is None else _short(str(told))


def _flow(value: Any) -> str:
    """Return plain data in YAML's flow form, as people write it."""

    def show(part: Any) -> str:
        if isinstance(part, Mapping):
            return "{" + ", ".join(f"{key}: {show(item)}" for key, item in part.items()) + "}"
        if isinstance(part, list | tuple):
            return "[" + ", ".join(map(show, part)) + "]"
        return show_number(part) if isinstance(part, float) else str(part)

    return _short(show(value))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
