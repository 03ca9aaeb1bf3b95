"""Lints of declarations: what is declared and never read, always true, or missing for the other checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rewardspec.analysis.economy import economy
from rewardspec.analysis.subject import Subject, is_learned
from rewardspec.errors import Problem, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.kinds.ltl import Ltl
from rewardspec.logic.formula import parse_formula

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_MANY = 200
"""Names in a section from which on none is compared with all others for a likeness."""


def lint_unread(subject: Subject) -> Iterator[Problem]:
    """Yield signals and propositions that nothing reads."""
    words = set(_words(subject.spec.to_data()["reward"]))
    words |= set(_words([end.when for end in subject.spec.end]))
    for _, _, body in subject.of_kind(Ltl):
        words |= set(parse_formula(body.formula, subject.spec.propositions, body.semantics).propositions)
    # What is read by something that is read itself: propositions and signals may read each other.
    texts = {name: signal.value for name, signal in subject.spec.signals.items()}
    texts.update({name: text for name, text in subject.spec.propositions.items() if text is not None})
    read, queue = set(words), list(words)
    for name in queue:  # grows while we read it
        for word in _words(texts.get(name, "")):
            if word not in read:
                read.add(word)
                queue.append(word)
    for section, names in (("propositions", subject.spec.propositions), ("signals", subject.spec.signals)):
        for name in names:
            if name not in read:
                yield subject.finding(
                    f"unread-{section[:-1]}",
                    "warning",
                    f"the {section[:-1]} '{name}' is declared and never read",
                    (section, name),
                    (
                        _suggest(subject, name, section),
                        "Use it in a term, a guard or a formula, or remove it.",
                    ),
                )


def _suggest(subject: Subject, name: str, section: str) -> str:
    names = getattr(subject.spec, section)
    return near_miss(name, [n for n in names if n != name]).strip() if len(names) <= _MANY else ""


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _WORD.findall(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)


def lint_constant_propositions(subject: Subject) -> Iterator[Problem]:
    """Yield propositions that the declared ranges make always true or always false."""
    for proposition in subject.program.propositions:
        if isinstance(proposition.expr, ir.Const) or proposition.name not in subject.spec.propositions:
            continue
        truth = subject.ranges.of(proposition.expr)
        if truth.is_constant:
            always = "true" if truth.low else "false"
            yield subject.finding(
                "constant-proposition",
                "warning",
                f"'{proposition.name}' is always {always} on the declared ranges",
                ("propositions", proposition.name),
                ("Correct the bound, or the `range` of the signal that it reads.",),
            )


def lint_memory(subject: Subject) -> Iterator[Problem]:
    """Yield memory that the agent cannot see."""
    program = subject.program
    if subject.spec.observe != "none" or not program.has_memory:
        return
    memory = [m.name for m in program.machines if len(m.states) > 1]
    memory += [f.name for f in program.folds if f.observed]
    memory += [s.name for s in program.sets if s.observed]
    yield subject.finding(
        "memory-not-observed",
        "warning",
        f"the reward depends on what the agent does not see: {list_names(memory)}",
        ("observe",),
        (
            "Without it the task is not Markov. Use `observe: auto`, or a recurrent policy and ignore this "
            "finding.",
        ),
    )


def lint_missing(subject: Subject) -> Iterator[Problem]:
    """Yield, in one finding, the declarations without which some checks could not be made."""
    env, spec = subject.spec.env, subject.spec
    wealth = economy(subject)
    missing: dict[str, str] = {}
    if wealth.best_goal is not None:
        if env is None or env.horizon is None:
            missing["env.horizon"] = "whether waiting or failing beats the goal"
        if spec.discount is None:
            missing["discount"] = "what the goal is worth when it is far away"
    known = [dense for dense in wealth.dense if not is_learned(subject.paid[dense.path])]
    if wealth.best_goal is None and known and (env is None or env.ends_early is None):
        missing["env.ends_early"] = "whether a reward on every step is an incentive to live on or to end"
    unbounded = [dense.term for dense in known if not dense.each.is_bounded]
    reads_reward = any(
        isinstance(node, ir.Field) and node.root == "reward"
        for root in subject.paid.values()
        for node in ir.walk(root)
    )
    if reads_reward and (env is None or env.base_reward is None):
        missing["env.base_reward"] = "how much the environment's own reward weighs"
    elif unbounded:
        missing["signals.<name>.range"] = f"how much {list_names(unbounded, 4)} can pay"
    if missing:
        yield subject.finding(
            "missing-declarations",
            "info",
            "not everything could be checked: "
            + "; ".join(f"{what} needs `{key}`" for key, what in missing.items()),
            ("env",) if env is not None else (),
            (),
        )


def lint_tests(subject: Subject) -> Iterator[Problem]:
    """Yield a spec without tests; of one that is learned as a whole there is nothing to test."""
    if not subject.spec.tests and not all(is_learned(term.expr) for term in subject.program.terms):
        yield subject.finding(
            "no-tests",
            "info",
            "the spec has no `tests`: nothing shows that it pays what it should",
            (),
            ("Add a trace or two with the return they must earn; `rewardspec test` runs them.",),
        )
