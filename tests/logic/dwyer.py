"""The 55 property patterns of Dwyer, Avrunin and Corbett (ICSE 1999): eleven patterns in five scopes.

Written as the pattern system states them: P, S, T, Z are what the pattern speaks of, Q and R bound the scope
(lower case here). Globally; before r; after q; between q and r; after q until r.
"""

from __future__ import annotations

TWICE = "(!p & !r) U (r | ((p & !r) U (r | ((!p & !r) U (r | ((p & !r) U "  # p begins at most twice

PATTERNS: dict[str, tuple[str, str, str, str, str]] = {
    "absence": (
        "G !p",
        "F r -> (!p U r)",
        "G(q -> G !p)",
        "G((q & !r & F r) -> (!p U r))",
        "G(q & !r -> (!p W r))",
    ),
    "existence": (
        "F p",
        "!r W (p & !r)",
        "G !q | F(q & F p)",
        "G(q & !r -> (!r W (p & !r)))",
        "G(q & !r -> (!r U (p & !r)))",
    ),
    "bounded existence": (
        "!p W (p W (!p W (p W G !p)))",
        f"F r -> ({TWICE}(r | (!p U r)))))))))",
        "F q -> (!q U (q & (!p W (p W (!p W (p W G !p))))))",
        f"G((q & F r) -> ({TWICE}(r | (!p U r))))))))))",
        f"G(q -> ({TWICE}(r | (!p W r) | G p)))))))))",
    ),
    "universality": (
        "G p",
        "F r -> (p U r)",
        "G(q -> G p)",
        "G((q & !r & F r) -> (p U r))",
        "G(q & !r -> (p W r))",
    ),
    "precedence": (
        "!p W s",
        "F r -> (!p U (s | r))",
        "G !q | F(q & (!p W s))",
        "G((q & !r & F r) -> (!p U (s | r)))",
        "G(q & !r -> (!p W (s | r)))",
    ),
    "response": (
        "G(p -> F s)",
        "F r -> (p -> (!r U (s & !r))) U r",
        "G(q -> G(p -> F s))",
        "G((q & !r & F r) -> (p -> (!r U (s & !r))) U r)",
        "G(q & !r -> ((p -> (!r U (s & !r))) W r))",
    ),
    "precedence chain, two causes": (
        "F p -> (!p U (s & !p & X(!p U t)))",
        "F r -> (!p U (r | (s & !p & X(!p U t))))",
        "(G !q) | (!q U (q & (F p -> (!p U (s & !p & X(!p U t))))))",
        "G((q & F r) -> (!p U (r | (s & !p & X(!p U t)))))",
        "G(q -> (F p -> (!p U (r | (s & !p & X(!p U t))))))",
    ),
    "precedence chain, two effects": (
        "(F(s & X F t)) -> ((!s) U p)",
        "F r -> ((!(s & (!r) & X(!r U (t & !r)))) U (r | p))",
        "(G !q) | ((!q) U (q & ((F(s & X F t)) -> ((!s) U p))))",
        "G((q & F r) -> ((!(s & (!r) & X(!r U (t & !r)))) U (r | p)))",
        "G(q -> (!(s & (!r) & X(!r U (t & !r))) U (r | p) | G(!(s & X F t))))",
    ),
    "response chain, two effects": (
        "G(p -> F(s & X F t))",
        "F r -> (p -> (!r U (s & !r & X(!r U t)))) U r",
        "G(q -> G(p -> (s & X F t)))",
        "G((q & F r) -> (p -> (!r U (s & !r & X(!r U t)))) U r)",
        "G(q -> (p -> (!r U (s & !r & X(!r U t)))) U (r | G(p -> (s & X F t))))",
    ),
    "response chain, two causes": (
        "G(s & X F t -> X(F(t & F p)))",
        "F r -> (s & X(!r U t) -> X(!r U (t & F p))) U r",
        "G(q -> G(s & X F t -> X(!t U (t & F p))))",
        "G((q & F r) -> (s & X(!r U t) -> X(!r U (t & F p))) U r)",
        "G(q -> (s & X(!r U t) -> X(!r U (t & F p))) U (r | G(s & X(!r U t) -> X(!r U (t & F p)))))",
    ),
    "constrained chain": (
        "G(p -> F(s & !z & X(!z U t)))",
        "F r -> (p -> (!r U (s & !r & !z & X((!r & !z) U t)))) U r",
        "G(q -> G(p -> (s & !z & X(!z U t))))",
        "G((q & F r) -> (p -> (!r U (s & !r & !z & X((!r & !z) U t)))) U r)",
        "G(q -> (p -> (!r U (s & !r & !z & X((!r & !z) U t)))) U (r | G(p -> (s & !z & X(!z U t)))))",
    ),
}

FORMULAS = [(name, scope, text) for name, texts in PATTERNS.items() for scope, text in enumerate(texts)]
