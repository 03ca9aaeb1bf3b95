"""What is shown must be what is meant: text of expressions reads back, pages say every part of a program."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.compiler import compile_spec
from rewardspec.ir import expr as ir
from rewardspec.ir.passes import simplify
from rewardspec.ir.program import Edge, Machine, Program, Term
from rewardspec.ir.show import ELIDED, MAX_ENTRIES, show_expr, show_name
from rewardspec.ir.show_machine import MAX_STATES, arrows, can_stay, show_machine
from rewardspec.ir.show_program import show_program
from rewardspec.ir.text import parse_expression
from rewardspec.logic.guards import guard_holds, parse_guard
from rewardspec.vocabulary import loads

NAMES = {"a": ir.Holds("a"), "broken": ir.Holds("broken")}

# -- expressions that text can write ----------------------------------------------------------------

keys = st.sampled_from(
    ["image", "x1", "two words", "class", 'say "no"', "naïve", "\ufb01t", "\U000e0001", "a\tb", "back\\slash"]
)
indices = st.integers(-3, 9)
bounds = st.none() | indices
items = st.lists(
    indices | st.builds(ir.Span, bounds, bounds, bounds.filter(lambda step: step != 0)), max_size=3
).map(tuple)
paths = st.lists(keys | items, max_size=3).map(tuple)
info_paths = st.builds(lambda key, rest: (key, *rest), keys, paths)
values = st.sampled_from(["obs", "next_obs", "action"])
numbers = st.one_of(
    st.floats(-1e300, 1e300),
    st.integers(-3, 20).map(float),
    st.sampled_from([0.1, 1e-7, 1e22, 3.141592653589793]),
)
flags = st.sampled_from(["terminated", "truncated"]).map(ir.Field)
leaves = st.one_of(
    numbers.map(ir.Const),
    st.builds(ir.Field, values, paths),
    st.just(ir.Field("reward")),
    st.builds(ir.Field, st.just("label"), st.tuples(keys)),
    st.builds(ir.Field, st.just("info"), info_paths),
    st.builds(ir.Field, st.just("info"), info_paths, numbers),
)
truths = st.one_of(st.sampled_from([ir.TRUE, ir.FALSE, *NAMES.values()]), flags)


ARITHMETIC = st.sampled_from(["add", "sub", "mul", "div", "floordiv", "mod", "pow"])
COMPARISONS = st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"])
REDUCTIONS = st.sampled_from(["sum", "mean", "min", "max", "any", "all", "count"])


def is_number(expr: ir.Expr) -> bool:
    return isinstance(expr, ir.Const) and not isinstance(expr.value, bool)


@st.composite
def grown(draw: st.DrawFn, children: st.SearchStrategy[ir.Expr]) -> ir.Expr:
    """Draw an operation over the given expressions, such as the parser makes one."""
    one, other, third = (draw(children) for _ in range(3))
    condition = one if ir.is_boolean(one) else draw(truths)
    alternative = other if ir.is_boolean(other) else draw(truths)
    match draw(st.integers(0, 10)):
        case 0 | 1:
            return ir.Binary(draw(ARITHMETIC), one, other)
        case 2:
            return ir.Compare(draw(COMPARISONS), one, other)
        case 3:  # a minus before a number is part of the number
            return ir.Const(-one.value) if is_number(one) else ir.Unary("neg", one)
        case 4:
            return ir.Unary("not", condition)
        case 5:
            return ir.Logic(draw(st.sampled_from(["and", "or"])), (condition, alternative, draw(truths)))
        case 6:
            return ir.Where(condition, other, third)
        case 7:
            return ir.Combine(draw(st.sampled_from(["min", "max"])), (one, other))
        case 8:
            return ir.Reduce(draw(REDUCTIONS), one)
        case 9:
            return ir.Call(draw(st.sampled_from(sorted(ir.FUNCTIONS))), (one,))
    vector = ir.Vector((one, other)) if isinstance(one, ir.Field) else one
    return ir.Index(vector, draw(items))


expressions = st.recursive(leaves | truths, grown, max_leaves=12)


@settings(max_examples=500)
@given(expressions)
def test_text_of_an_expression_reads_back_to_the_same_expression(expr: ir.Expr) -> None:
    # As text, since 1 == True and -0.0 == 0.0 in Python.
    assert repr(parse_expression(show_expr(expr), NAMES)) == repr(expr)


@pytest.mark.parametrize(
    "text",
    [
        "-0.01 * abs(action)",
        "next_obs.image[:, :, 0]",
        "obs[0] - obs[1] - obs[2]",
        "obs[0] - (obs[1] - obs[2])",
        "(obs[0] - obs[1]) * 2 / obs[2]",
        "2 ** obs[0] ** 2",
        "(2 ** obs[0]) ** 2",
        "-obs[0] ** 2",
        "(-obs[0]) ** 2",
        "(-2) ** obs[0]",
        "2 ** -obs[0]",
        "-(-obs[0])",
        "not not a",
        "not (a and not broken) and (a or broken)",
        "(a and broken) and a",
        "obs[0] > 2 and obs[0] + 1 <= pi",
        "(obs[0] > 1) == (obs[1] > 1)",
        "clip(reward, -1, 1)",
        "norm(obs[0:2])",
        "distance(obs[0:2], [3, 4])",
        "where(a, 1, -1)",
        "max(obs) - min(0, reward)",
        'default(info["two words"].success, 0)',
        "[obs[0], 2][1]",
        "tolerance(obs[0], 0, 1)",
        "tolerance(obs[0], -1, 1, 0.5)",
        'tolerance(obs[0], 0, 0, 2, sigmoid="long_tail")',
    ],
)
def test_no_parentheses_are_added_to_text_that_has_as_few_as_it_needs(text: str) -> None:
    assert show_expr(parse_expression(text, NAMES)) == text


def test_one_is_a_number_and_true_is_not_whatever_was_asked_before() -> None:
    for _ in range(2):  # 1 == True in Python, so a cache would confuse them
        assert ir.is_boolean(ir.Const(True)) and not ir.is_boolean(ir.Const(1.0))


def test_needless_parentheses_go() -> None:
    assert show_expr(parse_expression("((1) + ((obs[0]) * (2)))", {})) == "1 + obs[0] * 2"


def test_tolerance_is_known_after_constants_are_folded() -> None:
    text = "tolerance(obs[0], 0, 0, 2)"
    assert show_expr(ir.rewrite(parse_expression(text, {}), simplify)) == text


def test_tolerance_with_another_value_at_the_margin_is_not_passed_off_as_the_usual_one() -> None:
    read = parse_expression("tolerance(obs[0], 0, 1, 2, value_at_margin=0.3)", {})
    assert "tolerance" not in show_expr(read)
    assert parse_expression(show_expr(read), {}) == read


# -- what only the compiler makes ---------------------------------------------------------------------

DOOR = Machine(
    name="door",
    propositions=("key", "push"),
    states=("shut", "ajar door", "open"),
    start=0,
    edges=((Edge(0b01, 0b01, 1, 1),), (Edge(0b11, 0b11, 2, 2), Edge(0b11, 0b10, 0)), ()),
    payments=(ir.ZERO, ir.Const(0.5), ir.Field("reward")),
    terminal=frozenset({2}),
)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (ir.StateTable("door", (False, False, True)), "door' == open"),
        (ir.StateTable("door", (True, True, False), after=False), "door != open"),
        (ir.StateTable("door", (False, True, False)), 'door\' == "ajar door"'),
        (ir.StateTable("door", (0.0, 0.5, 1.0)), '{shut: 0, "ajar door": 0.5, open: 1}[door\']'),
        (ir.StateTable("door", (-1.0, -0.0, -1.0)), '{shut: -1, "ajar door": 0, open: -1}[door\']'),
        (ir.OutputTable("door", (False, True, True)), "door.output != 0"),
        (ir.OutputTable("door", (0.0, 2.0, 0.0)), "{0: 0, 1: 2, 2: 0}[door.output]"),
        (ir.StateTable("gate", (True, True, False, False)), "gate' in {u0, u1}"),
        (ir.StateTable("gate", (0.0, 0.0, 0.0, 1.0)), "{u3: 1, else: 0}[gate']"),
        (ir.Memory("held"), "held"),
        (ir.Memory("held", after=True), "held'"),
        (ir.Ended("last"), "step.last"),
        (ir.Param("effort.weight"), "effort.weight"),
        (ir.Field("future", ("late.open",)), "at_end(late.open)"),
        (ir.Reduce("sum", ir.ONE, "B"), "batch.sum(1)"),
        (ir.Combine("sum", (ir.ONE, ir.Binary("sub", ir.ONE, ir.ZERO))), "1 + (1 - 0)"),
        (ir.Combine("product", (ir.Const(2.0), ir.Const(-3.0))), "2 * -3"),
        (ir.Unary("not", ir.StateTable("door", (False, False, True))), "not door' == open"),
        (ir.Unary("neg", ir.Const(2.0)), "-(2)"),
        (ir.Const(float("inf")), "inf"),
    ],
)
def test_nodes_that_only_the_compiler_makes_read_like_the_others(expr: ir.Expr, text: str) -> None:
    assert show_expr(expr, [DOOR]) == text


def test_what_a_machine_pays_is_one_word() -> None:
    spec = """
rewardspec: 1
name: doors
propositions: {key: label.key}
reward:
  - reward_machine:
      start: shut
      edges:
        - {from: shut, to: open, when: key, reward: 1}
        - {from: open, to: shut, when: not key, reward: 2 * reward}
    weight: 0.5
"""
    program = compile_spec(loads(spec))
    assert show_expr(program.terms[0].expr, program.machines) == "reward_machine.weight * reward_machine.pays"


def test_long_tables_are_counted() -> None:
    values = tuple(float(i) for i in range(1000))
    text = show_expr(ir.StateTable("m", values))
    assert f"{ELIDED} {1000 - MAX_ENTRIES} more" in text and len(text) < 200
    text = show_expr(ir.StateTable("m", tuple(i % 2 == 0 for i in range(1000))))
    assert f"{ELIDED} {500 - MAX_ENTRIES} more" in text and len(text) < 200


def test_no_expression_gives_a_text_without_bounds() -> None:
    doubled: ir.Expr = ir.Field("reward")
    for _ in range(24):  # 2 ** 24 leaves, were they all shown
        doubled = ir.Combine("max", (doubled, doubled))
    assert len(show_expr(doubled)) < 120_000
    deep: ir.Expr = ir.Field("reward")
    for _ in range(240):
        deep = ir.Unary("neg", deep)
    assert ELIDED in show_expr(deep)


# -- machines and programs ----------------------------------------------------------------------------


def test_a_machine_is_a_table_of_its_edges() -> None:
    assert show_machine(DOOR) == (
        "shut  (start)\n"
        "  -> ajar door  when key  pays 0.5\n"
        "  stays otherwise\n"
        "ajar door\n"
        "  -> open  when key and push  pays reward\n"
        "  -> shut  when not key and push\n"
        "  stays otherwise\n"
        "open  (terminal)"
    )


cubes = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=5)


@settings(max_examples=200)
@given(cubes)
def test_joined_guards_hold_on_the_labels_that_take_the_edges(drawn: list[tuple[int, int]]) -> None:
    names = ("a", "b", "c")
    edges: list[Edge] = []
    for mask, value in drawn:  # edges of a state are disjoint
        value &= mask
        if all((value ^ edge.value) & mask & edge.mask for edge in edges):
            edges.append(Edge(mask, value, len(edges) % 2))
    machine = Machine("m", names, ("s", "t"), 0, (tuple(edges), ()), (ir.ZERO,))
    for label in range(8):
        true_names = [name for bit, name in enumerate(names) if label >> bit & 1]
        taken = {a.target for a in arrows(machine, 0) if guard_holds(parse_guard(a.guard), true_names)}
        assert taken == {e.target for e in edges if label & e.mask == e.value}
    covered = {label for label in range(8) for e in edges if label & e.mask == e.value}
    assert can_stay(edges) == (len(covered) < 8)


def test_a_gap_of_one_label_in_2_to_the_60_is_a_gap() -> None:
    bits = [1 << i for i in range(60)]
    below = itertools.accumulate(bits)  # not p0; p0 and not p1; p0 and p1 and not p2; ...
    edges = [Edge(mask, mask ^ bit, 1) for mask, bit in zip(below, bits, strict=True)]
    assert can_stay(edges)
    assert not can_stay([*edges, Edge((1 << 60) - 1, (1 << 60) - 1, 1)])


def test_long_names_and_large_machines_are_cut() -> None:
    assert show_name("a\nb\x1b[31m") == "a?b?[31m"
    assert len(show_name("q" * 10_000)) <= 60
    count = MAX_STATES + 50
    machine = Machine("m", (), tuple(f"u{i}" for i in range(count)), 0, ((),) * count, (ir.ZERO,))
    assert show_machine(machine).splitlines()[-1] == "... 50 more states"


OFFICE = """
rewardspec: 1
name: office-coffee
discount: 0.95
propositions:
  coffee: next_obs.cell == 3
  office: next_obs.cell == 7
  broken: info.decoration
reward:
  - ltl: F(coffee & X F office) & G !broken
    accept: 1
    reject: -1
  - reward_machine:
      start: want
      counters: {tries: 0}
      propositions: {many: tries >= 3}
      edges:
        - {from: want, to: have, when: coffee and not broken, reward: 0.1}
        - {from: want, when: not coffee and not broken, count: {tries: tries + 1}}
        - {from: [want, have], to: lost, when: broken}
        - {from: have, to: lost, when: many and not broken}
      terminal: [lost]
  - markov: -0.01 * abs(action)
    name: effort
    weight: 2
  - gate: {markov: reward}
    name: late
    when: office
    known: end
    timing: relabel
"""


def test_a_page_says_every_part_of_a_program() -> None:
    program = compile_spec(loads(OFFICE))
    page = show_program(program)
    lines = [" ".join(line.split()) for line in page.splitlines()]
    for line in (
        "office-coffee",
        "  discount  0.95",
        f"  digest    {program.digest()}",
        "  scope     episode",
        "  observe   auto",
        "  coffee = next_obs.cell == 3",
        "  broken = info.decoration != 0",
        "machine reward_machine",
        "  want  (start)",
        "    -> have  when coffee and not broken  pays 0.1  (output 1)",
        "    -> want  when not coffee and not broken  (output 2)",
        "    stays otherwise",
        "  lost  (terminal)",
        "  reward_machine.tries  = 0 at the start of the episode",
        "  reward_machine.tries' = "
        "where(reward_machine.output == 2, reward_machine.tries + 1, reward_machine.tries)",
        "  effort.weight = 2",
        "  at_end(late.open) = where(office, 1, 0)",
        "  reward_machine  = reward_machine.pays",
        "  effort (markov) = effort.weight * (-0.01 * abs(action))",
        "  late (gate)     = where(at_end(late.open) != 0, reward, 0)",
        "  terminated when reward_machine' == lost",
        "  ltl, by the state of ltl",
        "    satisfied so far    q3",
        "    violated for good   q1",
    ):
        assert " ".join(line.split()) in lines, f"{line!r} is missing from\n{page}"


def test_a_page_leaves_out_what_a_program_does_not_have() -> None:
    page = show_program(Program("still", None, (), (), (), (), (Term("nothing", "markov", ir.ZERO),), ()))
    assert "machine" not in page and "memory" not in page and "discount" not in page
    assert page.endswith("reward\n  nothing (markov) = 0")
