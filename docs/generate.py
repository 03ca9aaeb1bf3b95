"""Write the generated pages anew: `python -m docs.generate`, or `make docs`.

`docs/language.md` is written by hand except for the parts between `<!-- generated: NAME -->` and `<!-- end -->`;
`docs/semantics.md` and `README.md` except for what stands below an example; the pages of `docs/terms` except for both.
`docs/rewardspec.schema.json`, `docs/errors.md`, `docs/support.md` and `docs/terms/README.md` are generated whole. Tests
fail when one is stale. With `--check` nothing is written and the exit status says whether something would be.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from docs.support import support_text
from docs.worked import worked_text
from rewardspec.ir.functions import FUNCTION_NAMES
from rewardspec.ir.text import ROOTS
from rewardspec.kinds import KINDS
from rewardspec.labels import LABELLERS, load_labeller
from rewardspec.operators import OPERATORS
from rewardspec.spec.declarations import EndSpec, EnvSpec, SignalSpec, TestSpec
from rewardspec.spec.examples import EXAMPLES
from rewardspec.spec.model import Spec
from rewardspec.spec.schema import json_schema
from rewardspec.spec.terms import Exponential, Kind, Linear, Performance, Schedule, Term
from rewardspec.spec.unions import first_key, models_in
from rewardspec.spec.values import number_to_text, one_or_many
from rewardspec.spec.writing import takes
from rewardspec.vocabulary import VOCABULARY

DOCS = Path(__file__).parent
LANGUAGE = DOCS / "language.md"
SCHEMA = DOCS / "rewardspec.schema.json"
ERRORS = DOCS / "errors.md"
SEMANTICS = DOCS / "semantics.md"
SUPPORT = DOCS / "support.md"
README = DOCS.parent / "README.md"
TERMS = DOCS / "terms"
WORDS = {**KINDS, **OPERATORS}

FUNCTIONS: dict[str, str] = {
    "abs(x)": "absolute value",
    "sign(x)": "-1, 0 or 1",
    "floor(x)": "greatest whole number that is not above x",
    "ceil(x)": "least whole number that is not below x",
    "exp(x)": "e to the power of x",
    "log(x)": "natural logarithm",
    "sqrt(x)": "square root",
    "sin(x)": "sine of an angle in radians",
    "cos(x)": "cosine of an angle in radians",
    "tanh(x)": "hyperbolic tangent",
    "arctanh(x)": "inverse hyperbolic tangent",
    "sigmoid(x)": "1 / (1 + exp(-x))",
    "log_sigmoid(x)": "logarithm of the sigmoid, exact for large negative x",
    "min(x)`, `min(a, b, ...)": "least element of a vector; least of several values, elementwise",
    "max(x)`, `max(a, b, ...)": "greatest element of a vector; greatest of several values, elementwise",
    "clip(x, low, high)": "x held between two bounds",
    "where(condition, a, b)": "a where the condition holds, else b; `a if condition else b` means the same",
    "sum(x)": "sum of the elements of a vector",
    "mean(x)": "mean of the elements",
    "count(x)": "how many elements are true, or not 0",
    "any(x)": "whether an element is true",
    "all(x)": "whether all elements are true",
    "norm(x)": "Euclidean length of a vector",
    "distance(a, b)": "Euclidean length of a - b",
    'tolerance(x, lower=0, upper=0, margin=0, sigmoid="gaussian", value_at_margin=0.1)': (
        "1 between the bounds, falling outside to `value_at_margin` at a distance of `margin`, as in "
        "dm_control; sigmoids: gaussian, hyperbolic, long_tail, reciprocal, cosine, linear, quadratic, "
        "tanh_squared"
    ),
    "default(info.key, number)": "the value of a key of info, or the number on steps that lack it",
}
"""Signature -> meaning, of every function that an expression may call."""

SHORT_FORMS: dict[tuple[type[BaseModel], str], str] = {
    (Spec, "env"): "text or mapping",
    (Spec, "signals"): "names and expressions",
    (Spec, "propositions"): "names and expressions, or list of names",
    (Spec, "reward"): "term or list of terms",
    (Spec, "end"): "mapping or list of mappings",
}
"""What the reader takes where the model holds something else."""


def main(arguments: list[str]) -> int:
    """Write the pages; return 1 if `--check` was given and one of them is stale."""
    stale = False
    for path, text in PAGES.items():
        new = text()
        if path.exists() and path.read_text(encoding="utf-8") == new:
            continue
        stale = True
        if "--check" in arguments:
            print(f"{path} is stale: run `make docs`")
        else:
            path.write_text(new, encoding="utf-8")
            print(f"wrote {path}")
    return int(stale and "--check" in arguments)


def schema_text() -> str:
    """Return the JSON Schema as text."""
    return json.dumps(json_schema(VOCABULARY), indent=1, ensure_ascii=False) + "\n"


def errors_text() -> str:
    """Return the pages of the codes; the examples of the table are run for their messages."""
    from rewardspec.analysis.pages import document

    return document()


def language_text() -> str:
    """Return the page of the language with its generated parts anew."""
    text = LANGUAGE.read_text(encoding="utf-8")
    found = re.findall(r"<!-- generated: (\w+) -->", text)
    assert sorted(found) == sorted(PARTS), f"language.md has the parts {found}"

    def fill(match: re.Match[str]) -> str:
        body = "\n".join(PARTS[match[1]]())
        return f"<!-- generated: {match[1]} -->\n\n{body}\n\n<!-- end -->"

    return re.sub(r"<!-- generated: (\w+) -->.*?<!-- end -->", fill, text, flags=re.DOTALL)


def term_text(page: Path) -> str:
    """Return the page of a kind or operator with its example done and its meaning written anew."""
    word = page.stem
    kind = WORDS[word]
    lines = "\n".join(meaning(word, kind, {})).rstrip()
    home = Path(inspect.getsourcefile(kind.lower) or "").relative_to(DOCS.parent)
    source = f"Lowered to arithmetic in [{home}](../../{home})."
    part = f"<!-- generated: {word} -->\n\n{lines}\n\n{source}\n\n<!-- end -->"
    return re.sub(
        r"<!-- generated: \w+ -->.*<!-- end -->", lambda _: part, worked_text(page), flags=re.DOTALL
    )


def terms_text() -> str:
    """Return the list of the pages of kinds and operators: each word, and the first line of what it means."""
    lines = [
        "# A page for each term",
        "",
        "When to use it, what it pays on a trace, its keys and its source.",
    ]
    for title, words in (("Kinds", KINDS), ("Operators", OPERATORS)):
        lines += ["", f"## {title}", ""]
        rows = (
            (f"[`{word}`]({word}.md)", (inspect.getdoc(kind.model) or "").partition("\n")[0])
            for word, kind in words.items()
        )
        lines += table(("word", "meaning"), rows)
    return "\n".join(lines) + "\n"


# -- parts ---------------------------------------------------------------------------------------------------


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield a Markdown table; `|` inside code is escaped as Markdown wants it."""
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"


def fields_of(model: type[BaseModel], first: str = "") -> Iterator[str]:
    """Yield the table of the fields of a model."""
    rows = []
    for name, info in sorted(model.model_fields.items(), key=lambda field: field[0] != first):
        default = "required" if info.is_required() else _default(info.get_default(call_default_factory=True))
        sort = SHORT_FORMS.get((model, name)) or _sort(info)
        rows.append((f"`{info.alias or name}`", sort, default, info.description or ""))
    return table(("key", "value", "default", "meaning"), rows)


def _default(value: Any) -> str:
    if value is None or value in ((), {}, "") or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return (
        f"`{value:g}`"
        if isinstance(value, float)
        else f"`{list(value) if isinstance(value, tuple) else value}`"
    )


def _sort(info: Any) -> str:
    if takes(info, one_or_many):
        return "text or list of texts"
    if takes(info, number_to_text):
        origins = [typing.get_origin(part) for part in (info.annotation, *typing.get_args(info.annotation))]
        if dict in origins:
            return "names and expressions"
        return "list of expressions" if tuple in origins else "expression"
    return _sort_of(info.annotation)


def _sort_of(annotation: Any) -> str:
    """Return what a user writes for a type."""
    names = {
        str: "text",
        float: "number",
        int: "whole number",
        bool: "true or false",
        Term: "term",
        Any: "anything",
    }
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in names:
        return names[annotation]
    if origin is typing.Annotated:
        return _sort_of(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_sort_of_branch(part) for part in arguments if part is not type(None))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"[{', '.join(_sort_of(part) for part in arguments)}]"
    if origin is tuple:
        inner = _sort_of(arguments[0])
        return f"list of {'lists' if inner.startswith(('[', 'list')) else inner + 's'}"
    if origin is dict:
        return "mapping"
    return "mapping" if isinstance(annotation, type) and issubclass(annotation, BaseModel) else "value"


def _sort_of_branch(annotation: Any) -> str:
    """Return what a user writes for one branch of a union; a mapping goes by its first key."""
    is_mapping = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    if not is_mapping or annotation in (Term, Schedule):
        return _sort_of(annotation)
    return f"mapping with `{first_key(annotation)}`"


def words(kinds: dict[str, Kind]) -> Iterator[str]:
    """Yield a section for every word: what it means, an example, its keys, those of the mappings in it."""
    shown: dict[type[BaseModel], str] = {}
    for word, kind in kinds.items():
        yield f"### `{word}`"
        yield ""
        yield from meaning(word, kind, shown)


def meaning(word: str, kind: Kind, shown: dict[type[BaseModel], str]) -> Iterator[str]:
    """Yield what a word means, an example, its keys and those of the mappings in it that were not shown yet."""
    yield _paragraphs(inspect.getdoc(kind.model) or "")
    yield ""
    yield "```yaml"
    yield from EXAMPLES[word].rstrip().splitlines()
    yield "```"
    yield ""
    yield f"Main key: `{kind.main}`."
    yield ""
    yield from fields_of(kind.model, first=kind.main)
    yield ""
    yield from _keys_inside(kind.model, "", word, shown)


def _keys_inside(
    model: type[BaseModel], path: str, word: str, shown: dict[type[BaseModel], str]
) -> Iterator[str]:
    """Yield a table for each mapping that a model's fields hold, terms and schedules apart, and each only once."""
    for name, info in model.model_fields.items():
        held = [inner for inner in models_in(info.annotation) if inner not in (Term, Schedule)]
        for inner in held:
            what = f"Keys of `{path}{name}`" + (f" with `{first_key(inner)}`" if _is_union(info) else "")
            if inner in shown:
                yield f"{what}: as under `{shown[inner]}`."
                yield ""
                continue
            shown[inner] = word
            yield f"{what}. {_paragraphs(inspect.getdoc(inner) or '')}"
            yield ""
            yield from fields_of(inner)
            yield ""
            yield from _keys_inside(inner, f"{path}{name}.", word, shown)


def _is_union(info: Any) -> bool:
    return typing.get_origin(info.annotation) in (typing.Union, types.UnionType)


def _paragraphs(text: str) -> str:
    """Return a docstring with its lines joined, lists and paragraphs kept, formulas as code."""
    blocks: list[str] = []
    for line in text.splitlines():
        starts = not blocks or not line.strip() or blocks[-1] == "" or line.lstrip().startswith("- ")
        if starts:
            blocks.append(line.strip())
        else:
            blocks[-1] += " " + line.strip()
    return "\n".join(_formula(block) for block in blocks)


def _formula(block: str) -> str:
    label, separator, text = block.partition("Formula: ")
    return block if label or not separator else f"Formula: `{text.replace('`', '')}`"


def roots() -> Iterator[str]:
    return table(("name", "meaning"), ((f"`{name}`", meaning) for name, meaning in ROOTS.items()))


def functions() -> Iterator[str]:
    known = {re.match(r"\w+", signature)[0] for signature in FUNCTIONS}  # type: ignore[index]
    assert known == set(FUNCTION_NAMES), known ^ set(FUNCTION_NAMES)
    return table(
        ("function", "value"), ((f"`{signature}`", meaning) for signature, meaning in FUNCTIONS.items())
    )


def schedules() -> Iterator[str]:
    for word, model in (("linear", Linear), ("exponential", Exponential), ("performance", Performance)):
        yield f"`{word}`: {_paragraphs(inspect.getdoc(model) or '')}"
        yield ""
        yield from fields_of(model)
        yield ""
    yield "`piecewise`: a list of points `[environment steps, value]`, linear between them."


def labels() -> Iterator[str]:
    for name in LABELLERS:
        yield f"### `labels: {name}`"
        yield ""
        rows = ((f"`{pattern}`", meaning) for pattern, meaning in load_labeller(name).describe())
        yield from table(("label", "true when"), rows)
        yield ""


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "document": lambda: fields_of(Spec),
    "environment": lambda: fields_of(EnvSpec),
    "signals": lambda: fields_of(SignalSpec),
    "end": lambda: fields_of(EndSpec),
    "tests": lambda: fields_of(TestSpec),
    "roots": roots,
    "functions": functions,
    "kinds": lambda: words(KINDS),
    "operators": lambda: words(OPERATORS),
    "schedules": schedules,
    "labels": labels,
}

PAGES: dict[Path, Callable[[], str]] = {
    SCHEMA: schema_text,
    LANGUAGE: language_text,
    ERRORS: errors_text,
    SEMANTICS: lambda: worked_text(SEMANTICS),
    SUPPORT: support_text,
    README: lambda: worked_text(README),
    TERMS / "README.md": terms_text,
    **{page: functools.partial(term_text, page) for page in (TERMS / f"{word}.md" for word in WORDS)},
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
