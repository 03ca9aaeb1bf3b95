"""Kind `ltl`: a temporal formula, on finite traces (LTLf) or on infinite words (LTL)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rewardspec.errors import FormulaError
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import MAX_MACHINE_PROPOSITIONS, Machine, Verdict
from rewardspec.kinds.ltl_machines import from_automaton, progress
from rewardspec.logic import automaton as automata
from rewardspec.logic.finite import compile_finite
from rewardspec.logic.formula import Formula, parse_formula
from rewardspec.lowering import Scope
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import Model, Number

Scheme = Literal["frontier", "every_visit", "parity"]

_VERDICT = {
    automata.Verdict.VIOLATED_FOR_GOOD: 0,
    automata.Verdict.VIOLATED_SO_FAR: 1,
    automata.Verdict.SATISFIED_SO_FAR: 2,
    automata.Verdict.SATISFIED_FOR_GOOD: 3,
}


class Ltl(Model):
    """Pays for a trace that satisfies a temporal formula over propositions.

    `semantics: finite` (LTLf: the episode is the whole trace; X is the strong next, WX the weak one). `pay` says when:

    - `first`: the first step at which the trace so far satisfies the formula pays `accept` and ends the episode.
    - `for_good`: the step at which no continuation can undo the satisfaction pays `accept` and ends the episode.
    - `end`: the last step of the episode pays `accept` or `reject`, by the verdict on the whole trace.

    In all three, the step at which no continuation can satisfy the formula any more pays `reject` and ends the
    episode. A conjunction or disjunction at the top is kept as several small machines.

    `semantics: infinite` (LTL and PSL: omega-regular; needs the spec's `discount`). Visits of an automaton's acceptance
    sets pay `accept` by a `scheme`; violation for good pays `reject` and ends the episode; there is no other end.
    `frontier` and `every_visit` need a deterministic (generalised) Buechi automaton; `parity` pays for every formula,
    and is what a formula without such an automaton (`F G a`) gets where no scheme is named. Each is right when the
    discount is close enough to 1, how close depends on the world: a policy of greatest return then satisfies the
    formula with the greatest probability (`every_visit` may differ, as said there).

    - `frontier` (default): on each edge that visits an acceptance set for the first time in a round; a round is over
      when all sets have been visited. `G F a & G F b` pays for a and b in turn, never for a alone again and again.
      Source: the accepting frontier of Hasanbeig et al. (CDC 2019).
    - `every_visit`: only on the edge that completes a round; with one acceptance set, on every accepting edge.
      Source: the reward on acceptance of Sadigh et al. (CDC 2014). Hahn et al. (TACAS 2019) show that it may prefer
      frequent visits at some risk to certain ones.
    - `parity`: out of a stake, a memory that is 1 at the start. Each step has a priority, and a word is accepted when
      the greatest that recurs is even. A visit takes a share of what is left of the stake, and pays it as `accept`
      (even) or `reject` (odd); the share grows with the priority, d^((n - i) / (n + 1)) for the i-th lowest of n, d
      being 1 - discount. What is decided for good pays the rest at once, so that an episode adds up to a number
      between `reject` and `accept`. Discount 0.999 or more is advised: it separates two priorities by a factor of 10.
      Source: after Hahn et al. (CONCUR 2020) and Bozkurt et al. (ICRA 2020); the argument is in `ltl_parity.py`.

    A conjunction at the top is kept as several small machines where one would be large (`G F a0 & ... & G F a29`).

    `progress` adds shaping by the distance to acceptance on the automaton: discount * Phi(u') - Phi(u) with
    Phi(u) = -progress * distance(u) / (largest distance + 1), shared equally over the conjuncts (or disjuncts) that
    have a way to go: with `F a & F b & G !c`, each of a and b is worth half.
    """

    formula: str = Field(
        description="The formula.",
        examples=["F(coffee & X F office) & G !broken", "G F a & G F b"],
        min_length=1,
    )
    semantics: Literal["finite", "infinite"] = Field("finite", description="Finite traces or infinite words.")
    pay: Literal["first", "for_good", "end"] = Field("first", description="When a finite trace is paid.")
    accept: Number = Field(1.0, description="Paid for satisfaction.")
    reject: Number = Field(0.0, description="Paid for violation for good.")
    progress: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="Scale of the shaping by distance; 0 for none."
    )
    scheme: Scheme | None = Field(
        None,
        description="How visits of acceptance sets are paid (infinite semantics); by default `frontier`, or `parity` "
        "where the formula needs it.",
    )

    @model_validator(mode="after")
    def _check_semantics(self) -> Ltl:
        if self.semantics == "finite" and self.scheme is not None:
            raise ValueError("a 'scheme' goes with 'semantics: infinite'")
        if self.semantics == "infinite" and self.pay != "first":
            raise ValueError("'pay' goes with 'semantics: finite'; an infinite word has no end")
        return self


def lower(term: Ltl, scope: Scope) -> Expr:
    """Return the payment of a formula; declares its machines, verdict and ends."""
    try:
        formula = parse_formula(term.formula, scope.draft.propositions, term.semantics)
        if len(formula.propositions) > MAX_MACHINE_PROPOSITIONS * 4:
            raise FormulaError("too-many-propositions", "the formula reads too many propositions")
        if term.semantics == "infinite":
            from rewardspec.kinds.ltl_infinite import lower_infinite

            return lower_infinite(term, formula, scope)
        return lower_finite(term, formula, scope)
    except FormulaError as error:
        scope.formula_problem(error, "formula")
        return ir.ZERO


def lower_finite(term: Ltl, formula: Formula, scope: Scope) -> Expr:
    """Return the payment on finite traces."""
    monitor = compile_finite(formula)
    machines: list[Machine] = []
    tables: list[tuple[int, ...]] = []
    for i, factor in enumerate(monitor.factors):
        name = scope.unique(f"factor_{i + 1}" if len(monitor.factors) > 1 else "", scope.draft.machines)
        machine = from_automaton(name, factor, scope)
        scope.machine(machine)
        machines.append(machine)
        tables.append(tuple(_VERDICT[verdict] for verdict in automata.verdicts(factor)))
    names = tuple(machine.name for machine in machines)
    combine: Literal["and", "or"] = "and" if monitor.combine == "and" else "or"
    scope.verdict(Verdict(scope.owner, names, combine, tuple(tables)))

    def joint(least: int) -> Expr:
        """Return whether the joint verdict is at least `least`."""
        flags = tuple(
            ir.StateTable(name, tuple(v >= least for v in table))
            for name, table in zip(names, tables, strict=True)
        )
        return ir.conjunction(flags) if combine == "and" else ir.disjunction(flags)

    violated = ir.Unary("not", joint(1))
    accept, reject = ir.Const(term.accept), ir.Const(term.reject)
    scope.end(violated)
    if term.pay == "end":
        verdict = ir.Where(joint(2), accept, reject)
        paid: Expr = ir.Where(violated, reject, ir.Where(ir.Ended("last"), verdict, ir.ZERO))
    else:
        satisfied = joint(2 if term.pay == "first" else 3)
        scope.end(satisfied)
        paid = ir.Where(satisfied, accept, ir.Where(violated, reject, ir.ZERO))
    return ir.total((paid, *progress(term, machines, monitor.far, scope)))


KIND = Kind(Ltl, "formula", lower)
