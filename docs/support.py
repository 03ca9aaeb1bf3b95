"""What works where: one table, which makes docs/support.md and the strict xfails of tests/test_support.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rewardspec.kinds import KINDS
from rewardspec.operators import OPERATORS

ROOT = Path(__file__).parents[1]

ENDS = "end: [{when: b}]"

FORMS: dict[str, str] = {
    "markov": "reward: {markov: 'abs(x) + 0.1 * action'}",
    "potential of an expression": "discount: 0.9\nreward: {potential: 'obs[0]'}",
    "potential of a machine": (
        "discount: 0.9\nreward: [{reward_machine: {start: u, edges: [{from: u, to: v, when: a, reward: 1}]}, name: m},"
        " {potential: {machine: m}}]"
    ),
    "reward_machine": "reward: {reward_machine: {start: u, edges: [{from: u, to: v, when: a, reward: x}]}}",
    "reward_machine with counters": (
        "reward: {reward_machine: {start: u, counters: {n: 0}, propositions: {many: n >= 2}, "
        "edges: [{from: u, when: a and not many, count: {n: n + 1}}, {from: u, to: v, when: many, reward: 1}]}}"
    ),
    "reward_machine with terminal states": (
        "reward: {reward_machine: {start: u, edges: [{from: u, to: v, when: b, reward: 1}], terminal: v}}"
    ),
    "ltl, finite": "reward: {ltl: F(a & X F b), reject: -1}",
    "ltl, finite, with progress": "discount: 0.9\nreward: {ltl: F(a & X F b), progress: 0.5}",
    "ltl, infinite": "discount: 0.9\nreward: {ltl: G F a & G F b, semantics: infinite}",
    "stl": "reward: {stl: 'G[0, 2](x > 0 or F[1, 2](a)) and U[0, 2](not b, x < 1)'}",
    "heron": "reward: {heron: {factors: [{name: high, value: x}, {name: thrift, value: -action}]}}",
    "preferences": "reward: {preferences: {labels: {teacher: x}}}",
    "latent": "reward: {latent: {factors: [x, action]}}",
    "feedback": "reward: {feedback: {task: rise, message: info.message, judge: {oracle: [up]}}}",
    "submodular": "reward: {submodular: {coverage: {}, cells: {of: x, counts: [4], low: [-2]}}}",
    "barfi": "reward: {barfi: {primary: x, auxiliary: {thrift: -action}}}",
    "difference": "reward: {difference: 'max(team.next_obs[0])'}",
    "sum": "reward: {sum: [x, 1]}",
    "product": "reward: {product: [x, 2]}",
    "min": "reward: {min: [x, 0.1]}",
    "max": "reward: {max: [x, 0.1]}",
    "lexicographic": "reward: {lexicographic: [x, 'x ** 2'], range: [-2, 2]}",
    "affine": "reward: {affine: x, scale: 2, shift: 1}",
    "clip": "reward: {clip: x, low: 0, high: 1}",
    "sigmoid": "reward: {sigmoid: x}",
    "tanh": "reward: {tanh: x}",
    "log_sigmoid": "reward: {log_sigmoid: x}",
    "threshold": "reward: {threshold: x, at: 0.2}",
    "diff": "reward: {diff: x, start: 0}",
    "once": "reward: {once: a, value: x}",
    "discount_by_count": "reward: {discount_by_count: x, factor: 0.5}",
    "gate, known on its step": "reward: {gate: x, when: a}",
    "gate in escrow": "reward: {gate: x, when: a, known: ever, timing: escrow}",
    "gate by increments": "reward: {gate: x, when: a, known: end, timing: increment}",
    "gate over whole episodes (`timing: relabel`)": "reward: {gate: x, when: a, known: end, timing: relabel}",
    "normalise, constant": "reward: {normalise: x, mean: 1, std: 2}",
    "normalise, running": "reward: {normalise: x, freeze_after: 5}",
    "end, terminated": f"reward: x\n{ENDS}",
    "end, truncated": "reward: x\nend: [{when: b, how: truncated}]",
    "end as a term": "reward: [x, {end: b, value: -1}]",
    "a weight by schedule": "reward: {markov: x, weight: {linear: {from: 1, to: 0, over: 4}}}",
    "a weight by performance": (
        "reward: {markov: x, weight: {performance: {from: 1, to: 0, measure: x, low: -1, high: 1}}}"
    ),
    "subgoals, told by conditions": (
        "discount: 0.9\nreward: {subgoals: {subgoals: [rise, climb], judge: {oracle: [a, b]}, shaping: potential}}"
    ),
    "subgoals, told by a judge": "reward: {subgoals: {task: rise, subgoals: [rise], bonus: 0.5}}",
    "a labelling function of your own": "propositions: {given: null}\nreward: {once: given}",
}
"""Row of the table -> the spec that stands for it, over x = next_obs[0], a = x > 0 and b = x > 1."""

HOSTS: dict[str, str] = {
    "wrap": "scalar",
    "make_vec": "scalar",
    "relabel": "scalar",
    "wrap_vector, resets by itself": "array (NumPy)",
    "wrap_vector, DISABLED": "array (NumPy)",
    "wrap_tensor": "array (torch)",
    "wrap_parallel": "scalar",
    "make_parallel_vec": "scalar",
}
"""Column of the table -> the backend that computes there."""

CANNOT_END = "vector-cannot-end"
NEEDS_EPISODES = "needs-whole-episodes"
NEEDS_LEARNER = "needs-learner"
NEEDS_AGENTS = "needs-agents"
NEEDS_JUDGE = "needs-judge"

OF_AGENTS = ("wrap_parallel", "make_parallel_vec")
"""Columns of hosts that take several agents."""

LEARNED = ("heron", "preferences", "latent", "feedback", "barfi")
"""Rows that no host pays by itself: a learner stands by, and has the host pay what it learns."""

GAPS: dict[tuple[str, str], str] = {
    **{
        (form, "wrap_vector, resets by itself"): CANNOT_END
        for form in (
            "reward_machine with terminal states",
            "ltl, finite",
            "ltl, finite, with progress",
            "end, terminated",
            "end, truncated",
            "end as a term",
        )
    },
    **{
        ("gate over whole episodes (`timing: relabel`)", host): NEEDS_EPISODES
        for host in HOSTS
        if host != "relabel"
    },
    **{(form, host): NEEDS_LEARNER for form in LEARNED for host in HOSTS},
    **{("difference", host): NEEDS_AGENTS for host in HOSTS if host not in OF_AGENTS},
    **{
        ("subgoals, told by a judge", host): NEEDS_JUDGE
        for host in HOSTS
        if host not in ("wrap", "make_vec", "relabel")
    },
}
"""(row, column) -> the code of the error that refuses it. A closed gap fails its test until it is taken out here."""

DECLARED = (
    "Past operators of LTL are not in the language: write a reward machine. Spot's PSL and SERE are, with"
    " `semantics: infinite`.",
    "Ready-made labellers (`labels: minigrid`, `labels: minihack`) read live environments: they work under `wrap`"
    " and `make_vec`, not above a vector environment (`vector-labeller`), on a device, or on stored data without"
    " labels (`offline-labeller`).",
    "A judge (`subgoals`) is asked under one environment, or of stored data: never in batches or on a device"
    " (`needs-judge`). What it said, stored under `label`, is relabelled without it; conditions"
    " (`judge: {oracle: ...}`) work everywhere.",
    "`observe: onehot` needs a flat vector or a Discrete observation, `index` a program whose memory is machine states"
    " alone (`observe-mode`).",
    "`wrap(..., backend='native')` leaves to generated Python what machine code cannot read: labels of"
    " a labelling function (ready-made labellers are called from it), `info`, parts of"
    " Dict and Tuple spaces, and every step under `detail=True`. It needs CPython with 64 bits and the global"
    " interpreter lock; elsewhere all steps are generated Python.",
    "A finite-trace automaton may have 2,000 states and a machine 62 propositions; beyond that the error names the"
    " subformula. A label has no limit.",
    "Messages (`feedback`) are read under one environment, `learner.wrap`: never on a device (`needs-messages`).",
    "Learned rewards are paid to one agent: `wrap_parallel` refuses them (`needs-learner`), and joint terms cannot hold"
    " them. Ready-made labellers read environments of one agent (`parallel-labeller`).",
    "A projection (`local`) takes reward machines without counters, at most eight local propositions each"
    " (`unfit-projection`).",
    "NLE and MiniHack are tried on Linux with CPython 3.11 alone; `SteadyNLE` mends what they break.",
)


def support_text() -> str:
    """Return docs/support.md."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# What works where"
    yield ""
    yield (
        "Every ✓ is a test: the spec of the row, run under the host of the column, pays what the oracle pays, step by"
        " step, to the end of an episode. Every other cell is a test too: it is refused, when wrapping, with the code"
        " that stands there. The page and the tests come from one table, `docs/support.py`."
    )
    yield ""
    yield "## Words and hosts"
    yield ""
    yield f"| | {' | '.join(f'`{host}`' if ',' not in host else _code_first(host) for host in HOSTS)} |"
    yield f"| --- |{' --- |' * len(HOSTS)}"
    yield f"| *backend* | {' | '.join(f'*{backend}*' for backend in HOSTS.values())} |"
    for form in FORMS:
        cells = (_cell(GAPS.get((form, host))) for host in HOSTS)
        yield f"| {form} | {' | '.join(cells)} |"
    yield ""
    yield (
        "“Resets by itself” are gymnasium's autoreset modes NEXT_STEP and SAME_STEP. The backends (oracle, scalar,"
        " array on NumPy and on torch, native by numba) have no gaps: `tests/agreement` holds them to the oracle on"
        ' drawn specs. `wrap` and `wrap_vector` compute by the native one with `backend="native"`, and refuse what'
        " they refuse without."
    )
    yield ""
    yield "## Declared gaps"
    yield ""
    yield from (f"- {gap}" for gap in DECLARED)
    yield ""
    yield "## Environments"
    yield ""
    yield (
        "Any gymnasium environment can be wrapped, and any of PettingZoo's with the parallel API. Those of the"
        " [gallery](../examples/specs) are tried in every test run: random steps, the checker of the environment's"
        " library, and the spec's own tests."
    )
    yield ""
    yield "| environment | spec | tests |"
    yield "| --- | --- | --- |"
    for folder in ("specs", "teams"):
        for path in sorted((ROOT / "examples" / folder).glob("*.yaml")):
            name = f"[{path.stem}](../examples/{folder}/{path.name})"
            yield f"| {_environment(path)} | {name} | {_tests(path)} |"
    yield ""
    yield "## Versions"
    yield ""
    yield (
        "CPython 3.11 on Linux is what is tried, with exactly these versions"
        " ([requirements/pinned.txt](../requirements/pinned.txt)); `pyproject.toml` has the lower bounds."
    )
    yield ""
    yield "| package | version |"
    yield "| --- | --- |"
    yield from (f"| {name} | {version} |" for name, version in _versions())


def _code_first(host: str) -> str:
    name, rest = host.split(",", 1)
    return f"`{name}`,{rest}"


def _cell(gap: str | None) -> str:
    return "✓" if gap is None else f"[{gap}](errors.md#{gap})"


def _environment(path: Path) -> str:
    found = re.search(r"id: ([\w/-]+)", path.read_text(encoding="utf-8"))
    assert found, f"{path} names no environment"
    return found[1]


def _tests(path: Path) -> str:
    from rewardspec.analysis.spec_tests import run_tests
    from rewardspec.vocabulary import load

    return str(len(run_tests(load(path))))


def _versions() -> Iterator[tuple[str, str]]:
    """Yield what rewardspec and its extras need: the first part of the pinned set, and torch."""
    wanted = (ROOT / "requirements" / "pinned.txt").read_text(encoding="utf-8").split("# Development.")[0]
    yield from re.findall(r"^([\w.-]+)==(\S+)", wanted, flags=re.MULTILINE)
    torch = re.search(r"torch==(\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert torch, "the Makefile pins torch"
    yield "torch", torch[1]


def missing_words() -> set[str]:
    """Return the words of the language that no row shows."""
    shown = " ".join(FORMS.values())
    return {word for word in (*KINDS, *OPERATORS) if not re.search(rf"\b{word}:", shown)}
