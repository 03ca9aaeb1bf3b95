"""Strategies for whole specs as plain data: every kind, operator and schedule, in all ways of writing.

What is drawn can be read (`from_data`); it need not compile, since texts are drawn for their characters.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rewardspec.spec.values import RESERVED
from rewardspec.vocabulary import VOCABULARY

NAMES = st.sampled_from(
    ["coffee", "office", "broken", "last_door", "falsehood", "tt_x", "_x1"]
) | st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True).filter(lambda name: name not in RESERVED)
TERM_NAMES = NAMES | st.sampled_from(["the door", "a.b-c", "on", "no"])

# Everything that YAML could stumble over: quotes, colons, line breaks, other scripts, numbers as text.
TEXTS = st.sampled_from(
    [
        "-0.01 * abs(action)",
        "coffee and not broken",
        "max(a, b) > 2",
        "{a: 1}",
        "[x]",
        "yes",
        "null",
        "1",
        "1e-3",
        "010",
        "1:30",
        "true",
        "- x",
        "a # b",
        "a: b",
        "'",
        '"',
        "*x",
        "&x",
        "!x",
        "0.1",
        "1.0",
        "1e+22",
        "-0.0",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SENTENCES = TEXTS.filter(str.isprintable)
EXPRESSIONS = TEXTS | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = (
    st.integers(-3, 3) | st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False, width=32)
)
POSITIVE = st.integers(1, 5) | st.floats(1e-3, 1e3)
COUNTS = st.integers(1, 10**9)
STATES = st.sampled_from(["want", "have", "lost", "u0", "7", "on", "a b"])


def some(required: dict[str, Any] | None = None, **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a mapping with all of the required keys and some of the optional ones."""
    return st.fixed_dictionaries(required or {}, optional=optional)


def ranges() -> st.SearchStrategy[list[float]]:
    return st.tuples(NUMBERS, NUMBERS).map(sorted)


SCHEDULES = st.one_of(
    st.fixed_dictionaries({"linear": some({"from": NUMBERS, "to": NUMBERS, "over": COUNTS}, after=COUNTS)}),
    st.fixed_dictionaries({"exponential": some({"from": NUMBERS, "half_life": COUNTS}, to=NUMBERS)}),
    st.fixed_dictionaries(
        {
            "piecewise": st.lists(
                st.tuples(COUNTS, NUMBERS).map(list), min_size=1, max_size=4, unique_by=lambda p: p[0]
            ).map(sorted)
        }
    ),
    st.fixed_dictionaries(
        {
            "performance": some(
                {"from": NUMBERS, "to": NUMBERS, "low": st.just(0), "high": POSITIVE},
                measure=EXPRESSIONS,
                window=COUNTS,
            )
        }
    ),
)

EDGES = some(
    {"from": STATES | st.lists(STATES, min_size=1, max_size=3)},
    to=STATES,
    when=TEXTS | st.booleans(),
    reward=EXPRESSIONS,
    count=st.dictionaries(NAMES, EXPRESSIONS, max_size=2),
)


FACTORS = st.lists(
    some({"name": NAMES, "value": EXPRESSIONS}, margin=POSITIVE | st.fixed_dictionaries({"std": POSITIVE})),
    min_size=1,
    max_size=3,
    unique_by=lambda factor: factor["name"],
)
SHARES = st.floats(0, 0.49)
REFRESHING: dict[str, Any] = {
    "segment": st.integers(1, 50),
    "inputs": st.lists(EXPRESSIONS, min_size=1, max_size=2),
    "model": some(
        hidden=st.lists(st.integers(1, 64), max_size=2),
        activation=st.sampled_from(["relu", "tanh"]),
        ensemble=st.integers(1, 5),
        combine=st.sampled_from(["mean", "median", "wco"])
        | some({"uwo": POSITIVE}, ddof=st.sampled_from([0, 1]))
        | some({"nominal_worst": SHARES}, worst_over=st.sampled_from(["step", "batch"])),
        standardise=st.booleans(),
    ),
    "fit": some(learning_rate=POSITIVE, epochs=COUNTS, held_out=SHARES, adaptive_margin=st.booleans()),
    "after": COUNTS,
    "every": COUNTS,
    "store": st.integers(100, 10**6),
    "relabel": st.booleans(),
    "when_tied": st.sampled_from(["keep", "stop"]),
}


def one_of_two(
    left: dict[str, Any], right: dict[str, Any], **optional: Any
) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a mapping with the one key or with the other."""
    return some(left, **optional) | some(right, **optional)


COVERAGES = some({}, radius=st.integers(0, 3), metric=st.sampled_from(["square", "disc"]), weight=EXPRESSIONS)
PROCESSES = some({"lengthscale": POSITIVE, "noise": POSITIVE}, known=st.lists(st.integers(0, 5), max_size=2))
CELLS = some(
    {"counts": st.lists(st.integers(1, 9), min_size=1, max_size=3)},
    of=EXPRESSIONS,
    size=POSITIVE,
    start=st.booleans(),
)


def fields_of(word: str, term: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw the fields of a kind or operator."""
    terms = st.lists(term, min_size=1, max_size=3)
    curve = some({"of": term}, slope=POSITIVE, centre=NUMBERS)
    table: dict[str, st.SearchStrategy[dict[str, Any]]] = {
        "markov": some({"value": EXPRESSIONS}),
        "potential": one_of_two(
            {"of": EXPRESSIONS},
            {"machine": TEXTS},
            method=st.sampled_from(["distance", "value", "value_iteration"]),
            scale=NUMBERS,
            machine_discount=st.floats(0.01, 0.99),
        ),
        "reward_machine": some(
            {"edges": st.lists(EDGES, min_size=1, max_size=4), "start": STATES},
            terminal=STATES | st.lists(STATES, max_size=2),
            counters=st.dictionaries(NAMES, NUMBERS, max_size=2),
            propositions=st.dictionaries(NAMES, EXPRESSIONS, max_size=2),
        ),
        "ltl": some(
            {"formula": TEXTS},
            accept=NUMBERS,
            reject=NUMBERS,
            progress=POSITIVE,
            pay=st.sampled_from(["first", "for_good", "end"]),
        )
        | some(
            {"formula": TEXTS, "semantics": st.just("infinite")},
            scheme=st.sampled_from(["frontier", "every_visit", "parity"]),
        ),
        "stl": some({"formula": TEXTS}),
        "heron": some(
            {"factors": FACTORS},
            spread_over=st.sampled_from(["store", "draw"]),
            emphasis=POSITIVE,
            goes_into=st.sampled_from(["reward", "value_target"]),
            **REFRESHING,
        ),
        "preferences": some(
            {
                "labels": some({"ranking": FACTORS})
                | some(
                    {"teacher": EXPRESSIONS}, myopia=st.floats(0.1, 1), mistakes=SHARES, skip_below=NUMBERS
                )
                | some({"file": TEXTS})
            },
            statistic=st.sampled_from(["partial_return", "regret"]),
            budget=COUNTS,
            **REFRESHING,
        ),
        "latent": some(
            {
                "factors": st.just("all")
                | st.lists(EXPRESSIONS | some({"name": NAMES, "value": EXPRESSIONS}), min_size=1, max_size=2)
                | some(
                    {"source": TEXTS, "observation": st.integers(1, 9)},
                    action=st.integers(1, 9),
                    written_by=TEXTS,
                )
            },
            task=TEXTS,
            target=EXPRESSIONS,
            decoder=some(hidden=st.lists(st.integers(1, 64), max_size=2), ensemble=st.integers(1, 5)),
            loss=st.sampled_from(["rd", "rrd", "rrd_unbiased"]),
            subsample=st.integers(2, 100),
            phase=st.sampled_from(["state", "next_state"]),
            fit=some(
                learning_rate=POSITIVE,
                episodes=st.integers(1, 99),
                updates=st.integers(1, 99),
                held_out=SHARES,
            ),
            after=COUNTS,
            store=st.integers(100, 10**6),
        ),
        "feedback": some(
            {
                "task": SENTENCES.filter(bool),
                "model": st.sampled_from(["classification", "ranking"]),
            },
            message=st.sampled_from(["next_obs.message", "info.message", "next_obs[1]"]),
            judge=some({"oracle": st.lists(TEXTS.filter(bool), min_size=1, max_size=3)})
            | some({"llm": TEXTS.filter(bool)}, note=SENTENCES, batch=st.integers(1, 99)),
            power=st.floats(0, 9),
            cutoff=NUMBERS,
            empty=st.sampled_from(["ignore", "ask"]),
            longest=st.integers(123, 999),
            queue=st.integers(1, 99),
            network=some(embedding=st.integers(1, 64), hidden=st.lists(st.integers(1, 64), max_size=2)),
            fit=some(learning_rate=POSITIVE, updates=st.integers(1, 99)),
            after=COUNTS,
            relabel=st.booleans(),
        ),
        "submodular": one_of_two(
            {"coverage": COVERAGES, "cells": CELLS},
            {"information": PROCESSES, "cells": CELLS},
            pay=st.sampled_from(["gain", "alone"]),
        ),
        "subgoals": some(
            {
                "subgoals": st.just("discover")
                | st.lists(SENTENCES, min_size=1, max_size=3, unique_by=str.casefold)
            },
            task=SENTENCES,
            judge=some({"oracle": st.lists(EXPRESSIONS, min_size=1, max_size=3)})
            | some({"distilled": TEXTS})
            | some(
                {"llm": TEXTS},
                observation=st.sampled_from(["auto", "crop9", "chars", "tty", "grid", "numbers"]),
                actions=st.lists(SENTENCES, max_size=2),
                cache=st.booleans(),
            ),
            bonus=NUMBERS,
            repeat=st.just("never"),
            shaping=st.sampled_from(["bonus", "potential"]),
        ),
        "barfi": some(
            {
                "primary": EXPRESSIONS,
                "auxiliary": st.dictionaries(
                    NAMES.filter(lambda n: n not in ("primary", "bias")), EXPRESSIONS, min_size=1, max_size=2
                ),
            },
            blend=some(
                {"features": st.sampled_from(["fourier(3)", "tiles(5, 4)", "constant"])},
                terms=st.lists(st.sampled_from(["bias", "primary", "auxiliary"]), min_size=1, unique=True),
            ),
            discount=st.sampled_from(["learned", "fixed"]),
        ),
        "difference": some({"value": EXPRESSIONS}),
        "sum": some({"terms": terms}),
        "product": some({"terms": terms}),
        "min": some({"terms": terms}),
        "max": some({"terms": terms}),
        "lexicographic": some({"terms": terms}, range=st.just([-1, 2.5]), levels=st.integers(2, 100)),
        "affine": some({"of": term}, scale=NUMBERS, shift=NUMBERS),
        "clip": some({"of": term, "low": st.floats(-10, 0)}, high=POSITIVE),
        "sigmoid": curve,
        "tanh": curve,
        "log_sigmoid": curve,
        "threshold": some({"of": term, "at": NUMBERS}, above=NUMBERS, below=NUMBERS),
        "diff": some({"of": term}, discounted=st.booleans(), start=NUMBERS),
        "once": some({"when": EXPRESSIONS}, value=EXPRESSIONS),
        "discount_by_count": one_of_two(
            {"of": term, "factor": st.floats(0.1, 1)}, {"of": term, "power": POSITIVE}, when=EXPRESSIONS
        ),
        "gate": some({"of": term, "when": EXPRESSIONS}, fallback=NUMBERS)
        | some(
            {
                "of": term,
                "when": EXPRESSIONS,
                "known": st.sampled_from(["ever", "end"]),
                "timing": st.sampled_from(["escrow", "increment", "relabel"]),
            }
        ),
        "normalise": some({"of": term}, mean=NUMBERS, std=POSITIVE, epsilon=POSITIVE)
        | some({"of": term}, centre=st.booleans(), freeze_after=COUNTS),
        "end": some({"when": EXPRESSIONS}, how=st.sampled_from(["terminated", "truncated"]), value=NUMBERS),
    }
    assert set(table) == set(VOCABULARY), "every word of the language is drawn"
    return table[word]


@st.composite
def terms(draw: st.DrawFn, depth: int = 2) -> Any:
    """Draw a term, in one of the ways to write it."""
    words = [word for word, kind in VOCABULARY.items() if depth > 0 or not kind.terms]
    word = draw(st.sampled_from(words))
    kind = VOCABULARY[word]
    fields = draw(fields_of(word, terms(depth - 1)))
    options = draw(some(name=TERM_NAMES, weight=NUMBERS | SCHEDULES))
    if word == "markov" and not options and draw(st.booleans()) and not isinstance(fields["value"], bool):
        return fields["value"]
    main_only = {key: value for key, value in fields.items() if key == kind.main}
    beside = set(draw(st.lists(st.sampled_from(sorted(set(fields) - {kind.main}) or [""]))))
    holds_fields = isinstance(fields.get(kind.main), dict) and kind.main not in kind.terms
    if main_only and not holds_fields and draw(st.booleans()):  # `clip: {...}` with everything else beside it
        return {word: fields[kind.main], **{k: v for k, v in fields.items() if k != kind.main}, **options}
    under = {key: value for key, value in fields.items() if key not in beside}
    return {word: under, **{key: fields[key] for key in beside if key in fields}, **options}


FREE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-100, 100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)

TESTS = some(
    {"name": TEXTS, "trace": st.lists(st.lists(NAMES, max_size=2), max_size=3)},
    end=st.sampled_from(["terminated", "truncated"]),
    rewards=st.lists(NUMBERS, max_size=2),
    state=STATES | st.dictionaries(NAMES, STATES, max_size=2),
    terminated=st.booleans(),
    ends_at=COUNTS,
).flatmap(
    lambda test: some({"return": NUMBERS | st.dictionaries(NAMES, NUMBERS, max_size=2)}).map(
        lambda r: {**test, **r}
    )
) | some(
    {
        "name": TEXTS,
        "transitions": st.lists(
            st.dictionaries(st.sampled_from(["obs", "info"]), FREE, max_size=2), max_size=2
        ),
    }
).map(lambda test: {**test, "rewards": []})

ENVIRONMENTS = TEXTS | some(
    id=TEXTS,
    kwargs=st.dictionaries(NAMES, FREE, max_size=2),
    labels=st.sampled_from(["minigrid", "minihack"]),
    horizon=COUNTS,
    base_reward=ranges(),
    ends_early=st.booleans(),
)


WITH_OTHERS = some(
    team=st.floats(0, 1),
    inequity=some(
        disadvantageous=POSITIVE,
        advantageous=POSITIVE,
        smoothing=st.floats(0, 0.99),
        among=st.sampled_from(["others", "team"]),
    ),
)

RISKS = some({"gamma": POSITIVE}, measure=st.sampled_from(["variance", "realised_variance", "cvar"]))

END = some({"when": EXPRESSIONS}, how=st.sampled_from(["terminated", "truncated"]), value=NUMBERS)
ENDS = END | st.lists(END, max_size=2)

PATTERNS = st.sampled_from(["scout", "adversary_*", "default", "a.b", "agent?0", "*"])


def team_specs() -> st.SearchStrategy[dict[str, Any]]:
    """Draw a whole spec for several agents as plain data."""
    rewards = terms() | st.lists(terms(), min_size=1, max_size=3)
    tests = st.lists(TESTS, max_size=2)
    entry = some(
        reward=rewards,
        team=NAMES,
        share=WITH_OTHERS,
        risk=RISKS,
        local=st.lists(NAMES, max_size=2),
        end=ENDS,
        tests=tests,
    )
    return some(
        {"agents": st.dictionaries(PATTERNS, entry, min_size=1, max_size=2)},
        joint=some({"reward": rewards}, team=NAMES, end=ENDS, tests=tests),
        name=TEXTS,
        propositions=st.lists(NAMES, max_size=3, unique=True),
    )


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """Draw a whole spec as plain data."""
    return some(
        {"reward": terms() | st.lists(terms(), min_size=1, max_size=3)},
        rewardspec=st.just(1),
        name=TEXTS,
        description=TEXTS,
        discount=st.floats(0.01, 1),
        objective=st.sampled_from(["discounted", "limit_average", {"kind": "limit_average"}])
        | st.builds(lambda weight: {"kind": "regularised", "weight": weight}, st.floats(0.01, 9))
        | st.builds(
            lambda kind, of: {"kind": kind, "of": of}, st.sampled_from(["outer", "inner"]), EXPRESSIONS
        ),
        env=ENVIRONMENTS,
        signals=st.dictionaries(
            NAMES, EXPRESSIONS | some({"value": EXPRESSIONS}, range=ranges()), max_size=2
        ),
        propositions=st.lists(NAMES, max_size=3, unique=True)
        | st.dictionaries(NAMES, st.none() | EXPRESSIONS, max_size=3),
        end=ENDS,
        observe=st.sampled_from(["auto", "onehot", "index", "dict", "none"]),
        tests=st.lists(TESTS, max_size=2),
        provenance=st.dictionaries(TEXTS, FREE, max_size=2),
    )
