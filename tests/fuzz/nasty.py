"""Inputs that would cost a careless reader its memory or its time; `test_reading_is_bounded` runs each."""

from __future__ import annotations

from collections.abc import Iterator


def inputs() -> Iterator[tuple[str, str]]:
    """Yield a name and a text for each."""
    yield from documents()
    yield from lists()
    yield from machines()
    yield from numbers()
    yield from expressions()
    yield from operators()
    yield from formulas()
    yield from guards()


def documents() -> Iterator[tuple[str, str]]:
    levels = "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
    )
    yield "billion laughs", f"a: &a [x,x,x,x,x,x,x,x,x]\n{levels}reward: 1\n"
    yield "8 MiB of brackets", "[" * (8 * 2**20 - 10)
    yield "8 MiB of parentheses", "reward: " + "(" * (8 * 2**20 - 10)
    yield "more than 8 MiB", "reward: 1\n" + "#" * (8 * 2**20)
    yield "a deep document", "reward:\n" + "".join("  " * i + "- clip:\n" for i in range(1, 200))
    yield "a long line", "reward: 1\ndescription: " + "x" * (7 * 2**20) + "\nnmae: 1\n"
    yield "a long key", "reward: 1\n" + "k" * 100_000 + ": 1\n"
    yield "many anchors", "reward: 1\n" + "".join(f"k{i}: &a{i} x\n" for i in range(50_000))
    yield "many bad keys", "reward: 1\n" + "".join(f"k{i}: 1\n" for i in range(100_000))
    yield "many open lists", "reward: 1\n" + "description: [\n" * 4000


def lists() -> Iterator[tuple[str, str]]:
    items = ",".join(["1"] * 300_000)
    yield "many bad edges", f"reward:\n  - reward_machine:\n      start: s0\n      edges: [{items}]\n"
    yield "many bad steps", f"reward: 1\ntests: [{{name: x, return: 1, trace: [{items}]}}]\n"
    yield "many bad names", f"reward: 1\npropositions: [{items}]\n"
    yield (
        "many steps",
        f"reward: 1\ntests: [{{name: x, return: 1, trace: [{','.join(['[a]'] * 200_000)}]}}]\n",
    )
    yield "100,000 terms", "reward:\n" + "- reward\n" * 100_000
    inner = ",".join(["{sum: [" + ",".join(["reward"] * 100) + "]}"] * 100)
    yield "30,000 nested terms", "reward:\n" + f"- sum: [{inner}]\n" * 3
    yield "5000 propositions", "reward: 1\npropositions: [" + ",".join(f"p{i}" for i in range(5000)) + "]\n"
    names = "".join(f"  p{i}: reward > {i}\n" for i in range(4000))
    yield "4000 propositions", f"reward:\n  - ltl: F p3\npropositions:\n{names}"
    signals = "".join(f"  s{i}: {'reward+obs*' * 50}1\n" for i in range(4000))
    yield "4000 long signals", f"reward: 1\nsignals:\n{signals}"
    yield "many ends", "reward: 1\nend: [" + ",".join(["{when: reward > 1}"] * 50_000) + "]\n"
    yield (
        "many points",
        (
            "reward: [{markov: 1, weight: {piecewise: ["
            + ",".join(f"[{i}, {i}]" for i in range(50_000))
            + "]}}]\n"
        ),
    )


def machines() -> Iterator[tuple[str, str]]:
    head = "propositions: [p, q]\nreward:\n  reward_machine:\n    start: s0\n    counters: {n: 0}\n"
    head += "    edges:\n"

    def edges(count: int, more: str, states: int = 10**9) -> str:
        lines = (
            f"    - {{from: s{i % states}, to: s{(i + 1) % states}, when: p and not q, {more.format(i=i)}}}\n"
            for i in range(count)
        )
        return head + "".join(lines)

    yield "10,000 states", edges(10_000, "reward: {i}")
    yield "30,000 edges", edges(30_000, "reward: {i}", 300)
    yield "10,000 overlapping edges", edges(10_000, "reward: {i}", 3)
    yield "3000 counter changes", edges(3000, "count: {{n: n + {i}}}")
    yield "900 counter changes", edges(900, "count: {{n: n + {i}}}")
    yield "900 computed rewards", edges(900, "reward: reward + {i}")
    yield "3000 computed rewards", edges(3000, "reward: reward + {i}")


def numbers() -> Iterator[tuple[str, str]]:
    yield "an infinite reward", "reward: 1e400\n"
    yield "an infinite number in an expression", "reward: -1e400 * reward\n"
    yield "10,000 digits", "reward: " + "9" * 10_000 + "\n"
    yield "9000 digits in an expression", "reward: '" + "9" * 9000 + "'\n"
    yield "4000 digits in an expression", "reward: '" + "9" * 4000 + "'\n"
    nines = "9" * 300
    yield "a large discount", f"reward: 1\ndiscount: {nines}\n"
    yield "a large horizon", f"reward: 1\nenv: {{horizon: {nines}}}\n"
    yield (
        "a long schedule",
        f"reward: [{{markov: 1, weight: {{linear: {{from: 0, to: 1, over: {nines}}}}}}}]\n",
    )
    yield (
        "a steep schedule",
        "reward: [{markov: 1, weight: {exponential: {from: 1e308, to: -1e308, half_life: 1}}}]\n",
    )
    yield "a power of powers", "reward: 9**9**9**9\n"
    yield "a tower of powers", "reward: '" + "9**" * 50 + "9'\n"
    yield "a product of large numbers", "reward: 1e308 * 1e308 * reward\n"
    yield "a large map", "reward: [{affine: 1e308, scale: 1e308, shift: 1e308}]\n"


def expressions() -> Iterator[tuple[str, str]]:
    doubled = "".join(f"  s{i}: s{i - 1} + s{i - 1}\n" for i in range(1, 60))
    yield "a signal doubled 60 times", f"reward: s59\nsignals:\n  s0: reward\n{doubled}"
    for count in (145, 1000):
        chain = "".join(f"  s{i}: s{i - 1} + 1\n" for i in range(1, count))
        maps = "{normalise: " * 18 + f"s{count - 1}" + "}" * 18
        yield f"a chain of {count} signals", f"reward: {maps}\nsignals:\n  s0: reward\n{chain}"
    chain = "".join(f"  p{i}: not p{i - 1}\n" for i in range(1, 2000))
    yield "a chain of propositions", f"reward: [{{ltl: F p1999}}]\npropositions:\n  p0: reward > 0\n{chain}"
    yield "nested norms", "reward: " + "norm(" * 50 + "obs" + ")" * 50 + "\n"
    yield "nested tolerances", "reward: '" + "tolerance(" * 50 + "reward" + ", 0, 1, 1)" * 50 + "'\n"
    yield "10,000 minus signs", "reward: '" + "-" * 9990 + "1'\n"
    yield "2000 nots", "reward: '" + "not " * 2000 + "1'\n"
    yield "5000 ones", "reward: '" + "1+" * 4990 + "1'\n"
    yield "5000 comparisons", "reward: '" + "1<" * 4990 + "1'\n"
    yield "900 conditions", "reward: '" + "reward and " * 900 + "reward'\n"
    yield "5000 attributes", "reward: 'obs" + ".a" * 4900 + "'\n"
    yield "3000 subscripts", "reward: 'obs" + "[0]" * 3000 + "'\n"
    yield "500 choices", "reward: '" + "1 if reward else " * 550 + "1'\n"
    yield "1400 lambdas", "reward: '" + "lambda:" * 1400 + "1'\n"
    yield "5000 entries", "reward: '[" + ",".join(["1"] * 4900) + "]'\n"
    yield "999 arguments", "reward: 'max(" + ",".join(["reward"] * 999) + ")'\n"


def operators() -> Iterator[tuple[str, str]]:
    for count, name in ((60, "60"), (18, "18")):
        clips = "{clip: " * count + "1" + ", low: 0}" * count
        yield f"{name} nested clips", f"reward: {clips}\n"
    counts = "{discount_by_count: " * 18 + "reward" + ", factor: 0.5}" * 18
    yield "18 nested counts", f"reward: {counts}\n"
    yield "18 nested running statistics", "reward: " + "{normalise: " * 18 + "reward" + "}" * 18 + "\n"
    gates = "{gate: " * 18 + "reward" + ", when: reward > 0, known: ever, timing: escrow}" * 18
    yield "18 nested gates", f"reward: {gates}\n"
    points = ",".join(f"[{i}, {i}]" for i in range(100))
    pieces = "{clip: " * 18 + "reward" + f", low: 0, weight: {{piecewise: [{points}]}}}}" * 18
    yield "18 nested schedules", f"reward: {pieces}\n"


def formulas() -> Iterator[tuple[str, str]]:
    names = ", ".join(f"p{i}" for i in range(300))

    def spec(formula: str, more: str = "") -> str:
        return f"propositions: [a, b, {names}]\nreward: [{{ltl: '{formula}'{more}}}]\n"

    yield "1000 nested operators", spec("F(" * 1000 + "a" + ")" * 1000)
    yield "190 nested operators", spec("X(" * 190 + "a" + ")" * 190)
    yield "X[1000] thrice", spec("X[1000] X[1000] X[1000] a")
    yield "a window of 1000 steps", spec("G(a -> F[0:1000] b)")
    yield "an exponential window", spec("F(a & X[30] b)")
    yield "a nested window", spec("G(a -> F[0:40] b) & F(b & X[20] a)")
    yield (
        "a conjunction again and again",
        spec("G(F p0 -> " + " & ".join(f"F p{i}" for i in range(1, 16)) + ")"),
    )
    yield "a parity of eventualities", spec(" xor ".join(f"F p{i}" for i in range(13)))
    yield "300 eventualities", spec(" & ".join(f"F p{i}" for i in range(300)))
    yield "60 propositions at once", spec("F(" + " & ".join(f"p{i}" for i in range(60)) + ")")


def guards() -> Iterator[tuple[str, str]]:
    names = ", ".join(f"p{i}" for i in range(60))

    def spec(*guards: str) -> str:
        edges = ", ".join(f"{{from: u, to: v{i}, when: '{guard}'}}" for i, guard in enumerate(guards))
        return f"propositions: [{names}]\nreward: [{{reward_machine: {{start: u, edges: [{edges}]}}}}]\n"

    yield "a parity", spec(" xor ".join(f"p{i}" for i in range(40)))
    yield "crossed pairs", spec(" or ".join(f"(p{i} and p{59 - i})" for i in range(30)))
    yield "equal pairs", spec(" and ".join(f"(p{i} iff p{i + 30})" for i in range(15)), "otherwise")
    yield "500 times otherwise", spec(*["otherwise"] * 500)
    yield (
        "1500 overlapping guards",
        spec(*(" and ".join(f"p{(i * 7 + k * 3) % 60}" for k in range(5)) for i in range(1500))),
    )
    yield (
        "1024 disjoint guards",
        spec(
            *(" and ".join(("" if i >> k & 1 else "not ") + f"p{k}" for k in range(10)) for i in range(1024))
        ),
    )
