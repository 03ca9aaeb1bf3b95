"""Plain data to `Spec`: finds each term's kind, validates by pydantic, and words every complaint itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rewardspec.errors import Place, Problem, SpecError, list_names, near_miss
from rewardspec.spec.model import Kind, Spec, Term, show_path
from rewardspec.spec.text import Document

Path = tuple["str | int", ...]

TERM_OPTIONS = ("name", "weight")
"""Keys of every term, beside the kind's own."""

MAX_TERM_DEPTH = 20


class SpecReader:
    """Reads one document in a vocabulary; collects problems and raises them once."""

    def __init__(self, document: Document, vocabulary: Mapping[str, Kind]) -> None:
        self.document, self.vocabulary = document, vocabulary
        self.problems: list[Problem] = []
        self.places: dict[Path, Place] = dict(document.places)

    def read(self) -> Spec:
        """Return the spec.

        Raises:
            SpecError: With every problem found.
        """
        data = dict(self.document.value)
        if "reward" in data:
            terms = self.read_terms(data["reward"], ("reward",), 0)
            data["reward"] = terms or (Term(kind="markov", body=Spec.model_construct()),)
        if isinstance(data.get("propositions"), list):
            data["propositions"] = self.read_label_names(data["propositions"])
        if isinstance(data.get("env"), str):
            data["env"] = {"id": data["env"]}
        if isinstance(data.get("signals"), dict):
            data["signals"] = {
                key: value if isinstance(value, dict) else {"value": value}
                for key, value in data["signals"].items()
            }
        spec: Spec | None = None
        try:
            spec = Spec.model_validate(data)
        except ValidationError as error:
            self.explain(error, (), Spec)
        if self.problems:
            raise SpecError(sorted(self.problems, key=lambda p: (p.place.line, p.place.column)))
        assert spec is not None  # no ValidationError, or there would be problems
        spec._places.update(self.places)
        return spec

    def fail(self, code: str, message: str, path: Path, *hints: str, key: bool = False) -> None:
        """Note a problem at a value, or at the key that leads to it."""
        place = (self.document.key_places.get(path) if key else None) or self.place(path)
        self.problems.append(Problem(code, message, place, hints))

    def place(self, path: Path) -> Place:
        """Return where the value at a path stands, or the nearest that encloses it."""
        for length in range(len(path), -1, -1):
            if found := self.places.get(path[:length]):
                return Place(
                    found.file, found.line, found.column, show_path(path), found.excerpt, found.length
                )
        return Place(path=show_path(path))

    def read_label_names(self, names: list[Any]) -> dict[str, None]:
        """Read `propositions: [a, b]`: names that the labelling function gives."""
        found: dict[str, None] = {}
        for i, name in enumerate(names):
            path: Path = ("propositions", i)
            if not isinstance(name, str):
                self.fail("wrong-type", f"a proposition's name must be text, not {_kind_of(name)}", path)
            elif name in found:
                self.fail("duplicate-name", f"the proposition '{name}' is listed twice", path)
            else:
                found[name] = None
                self.places[("propositions", name)] = self.place(path)
        return found

    def read_terms(self, value: Any, path: Path, depth: int) -> tuple[Term, ...]:
        """Read a list of terms, or a single one."""
        if not isinstance(value, list):
            term = self.read_term(value, path, depth)
            return () if term is None else (term,)
        if not value:
            self.fail("missing-term", "the list of terms is empty", path, "A reward has at least one term.")
        terms = (self.read_term(item, (*path, i), depth) for i, item in enumerate(value))
        return tuple(term for term in terms if term is not None)

    def read_term(self, value: Any, path: Path, depth: int) -> Term | None:
        """Read one term: text or a number is a `markov` term, a mapping names its kind."""
        if depth > MAX_TERM_DEPTH:
            self.fail("document-too-deep", f"terms are nested more than {MAX_TERM_DEPTH} levels deep", path)
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            value = {"markov": value}
            self.places[(*path, "markov")] = self.place(path)
        if not isinstance(value, dict):
            self.fail("wrong-type", f"a term is a mapping or an expression, not {_kind_of(value)}", path)
            return None
        kinds = [key for key in value if key in self.vocabulary]
        if len(kinds) != 1:
            self.fail_kind(value, kinds, path)
            return None
        word = kinds[0]
        kind = self.vocabulary[word]
        fields = self.gather_fields(value, word, kind, path)
        before = len(self.problems)
        for name in kind.terms:
            if name in fields:
                field_path, inner = fields[name]
                terms = self.read_terms(inner, field_path, depth + 1)
                fields[name] = (field_path, terms if isinstance(inner, list) else terms[0] if terms else None)
        if len(self.problems) > before:
            return None
        where = {name: field_path for name, (field_path, _) in fields.items()}
        # Lowering looks fields up as path + field; note where each one was really written.
        for name, field_path in where.items():
            self.note_place((*path, name), field_path)
        body = self.validate(kind.model, {name: item for name, (_, item) in fields.items()}, path, where)
        if body is None:
            return None
        options = {name: value[name] for name in TERM_OPTIONS if name in value}
        try:
            return Term.model_validate({"kind": word, "body": body, **options})
        except ValidationError as error:
            self.explain(error, path, Term)
            return None

    def note_place(self, path: Path, written: Path) -> None:
        """Let a canonical path find the places of a value that was written elsewhere."""
        if path == written:
            return
        for known, place in list(self.document.places.items()):
            if known[: len(written)] == written:
                self.places.setdefault((*path, *known[len(written) :]), place)
        if written in self.places:
            self.places.setdefault(path, self.places[written])

    def gather_fields(
        self, value: dict[str, Any], word: str, kind: Kind, path: Path
    ) -> dict[str, tuple[Path, Any]]:
        """Return the kind's fields with their paths, from under its key and from beside it."""
        inner = value[word]
        fields: dict[str, tuple[Path, Any]] = {}
        holds_fields = isinstance(inner, dict) and not (
            kind.main in kind.terms and any(key in self.vocabulary for key in inner)
        )
        if holds_fields:
            fields = {key: ((*path, word, key), item) for key, item in inner.items()}
        elif inner is not None:
            fields[kind.main] = ((*path, word), inner)
        for key, item in value.items():
            if key == word or key in TERM_OPTIONS:
                continue
            if key in fields:
                self.fail("duplicate-key", f"'{key}' is given twice", (*path, key), key=True)
            fields[key] = ((*path, key), item)
        return fields

    def fail_kind(self, value: dict[str, Any], kinds: list[str], path: Path) -> None:
        if kinds:
            self.fail("several-kinds", f"a term has one kind, not {len(kinds)}: {list_names(kinds)}", path)
            return
        if not value:
            self.fail(
                "unknown-kind",
                "the term is empty",
                path,
                f"A term is one of: {list_names(self.vocabulary, 60)}.",
            )
            return
        candidates = [key for key in value if key not in TERM_OPTIONS] or list(value)
        guess = next(
            (near_miss(key, self.vocabulary) for key in candidates if near_miss(key, self.vocabulary)), ""
        )
        first = candidates[0]
        self.fail(
            "unknown-kind",
            f"'{first}' is not a kind of reward",
            (*path, first),
            f"A term is one of: {list_names(self.vocabulary, 60)}.{guess}",
            key=True,
        )

    def validate(
        self, model: type[BaseModel], data: dict[str, Any], path: Path, where: Mapping[str, Path]
    ) -> BaseModel | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            self.explain(error, path, model, where)
            return None

    def explain(
        self,
        error: ValidationError,
        base: Path,
        model: type[BaseModel],
        where: Mapping[str, Path] | None = None,
    ) -> None:
        """Turn pydantic's findings into problems with our places and our words."""
        seen: set[Path] = set()
        for detail in error.errors(include_url=False):
            location = tuple(part for part in detail["loc"] if not _is_branch(part))
            first = location[0] if location else None
            if where and first in where:
                path = (*where[str(first)], *location[1:])
            else:
                path = (*base, *location)
            if path in seen:  # one complaint a place: unions report each branch
                continue
            seen.add(path)
            code, message, hints = _word(detail, location, model)
            self.fail(code, message, path, *hints, key=code == "unknown-key")


def _is_branch(part: str | int) -> bool:
    """Tell whether a part of pydantic's location names a branch of a union or a validator, not a key."""
    return isinstance(part, str) and (
        part in ("float", "int", "str", "bool", "Schedule", "[key]", "constrained-str", "none")
        or part.startswith(
            ("tuple[", "dict[", "list[", "function-", "literal[", "nullable[", "constrained-", "lax-or")
        )
    )


def _kind_of(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value[:40]}'"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def _model_at(model: type[BaseModel], location: Path) -> type[BaseModel] | None:
    """Return the model whose field the last part of a location names."""
    import typing

    current: Any = model
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return None
        info = next(
            (field for name, field in current.model_fields.items() if part in (name, field.alias)), None
        )
        if info is None:
            continue
        stack = [info.annotation]
        current = None
        while stack:
            annotation = stack.pop()
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                current = annotation
                break
            stack.extend(typing.get_args(annotation))
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _word(detail: ErrorDetails, location: Path, model: type[BaseModel]) -> tuple[str, str, tuple[str, ...]]:
    """Return code, message and hints for one of pydantic's findings."""
    kind, value = detail["type"], detail.get("input")
    context = detail.get("ctx", {})
    name = str(location[-1]) if location else "the document"
    if kind == "extra_forbidden":
        owner = _model_at(model, location)
        known = [field.alias or key for key, field in owner.model_fields.items()] if owner else []
        if owner is Term:
            known = []
        hint = (f"Keys here: {list_names(known, 30)}.{near_miss(name, known)}",) if known else ()
        return "unknown-key", f"unknown key '{name}'", hint
    if kind == "missing":
        return "missing-key", f"the key '{name}' is missing", ()
    if kind == "value_error":
        return "wrong-value", str(context.get("error", detail["msg"])), ()
    if kind in ("literal_error", "enum"):
        allowed = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        hint = f"One of: {allowed}."
        return (
            "wrong-value",
            f"{_kind_of(value)} is not allowed here",
            (hint + near_miss(str(value), allowed.split(", ")),),
        )
    bounds = {
        "greater_than": ("gt", "above"),
        "greater_than_equal": ("ge", "at least"),
        "less_than": ("lt", "below"),
        "less_than_equal": ("le", "at most"),
    }
    if kind in bounds:
        key, word = bounds[kind]
        return "wrong-value", f"'{name}' must be {word} {context[key]:g}, not {value}", ()
    if kind in ("too_short", "string_too_short"):
        return "wrong-value", f"'{name}' must not be empty", ()
    if kind in ("too_long", "string_too_long"):
        return "document-too-large", f"'{name}' is too long; the limit is {context.get('max_length')}", ()
    if kind == "finite_number":
        return "wrong-value", f"'{name}' must be a finite number", ()
    wanted = {
        "string_type": "text",
        "float_type": "a number",
        "float_parsing": "a number",
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_from_float": "a whole number",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "dict_type": "a mapping",
        "tuple_type": "a list",
        "list_type": "a list",
        "model_type": "a mapping",
        "model_attributes_type": "a mapping",
        "frozen_set_type": "a list",
    }.get(kind)
    if wanted:
        return "wrong-type", f"'{name}' must be {wanted}, not {_kind_of(value)}", ()
    return "wrong-value", f"'{name}' does not fit: {_kind_of(value)}", ()


def read_spec(document: Document, vocabulary: Mapping[str, Kind]) -> Spec:
    """Return the spec that a document holds, read in a vocabulary of kinds and operators.

    Raises:
        SpecError: With every problem found, each with its place.
    """
    return SpecReader(document, vocabulary).read()
