"""Plain data to `Spec`: finds each term's kind, has pydantic validate, and words every complaint itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from rewardspec.errors import Problem, SpecError, list_names, near_miss
from rewardspec.spec.document import Document, Path
from rewardspec.spec.dump import MAX_DEPTH
from rewardspec.spec.model import Spec
from rewardspec.spec.places import Places
from rewardspec.spec.scalars import short
from rewardspec.spec.terms import Kind, Term
from rewardspec.spec.wording import kind_of, word_findings

TERM_OPTIONS = ("name", "weight")
"""Keys of every term, beside the kind's own."""

MAX_TERM_DEPTH = 20

MAX_TERMS = 1000
"""Terms of one list."""

MAX_NAMES = 4096
"""Signals, and propositions."""

MAX_KEYS = 1000
"""Keys of any other mapping."""

_FREE = (("env", "kwargs"), ("provenance",))
"""Mappings that may hold anything."""

MAX_PROBLEMS = 50
"""Reading stops when so many problems were collected."""


def read_spec(
    data: Mapping[str, Any], vocabulary: Mapping[str, Kind], document: Document | None = None
) -> Spec:
    """Return the spec that plain data holds, read in a vocabulary of kinds and operators.

    Args:
        data: Mappings, lists and scalars, the way a spec is written in YAML.
        vocabulary: The words that may name a term.
        document: The text that the data was read from, for the places of problems.

    Raises:
        SpecError: With every problem found, each with its place.
    """
    return SpecReader(data, vocabulary, document).read()


class SpecReader:
    """Reads one spec in a vocabulary; collects problems and raises them once."""

    def __init__(
        self, data: Mapping[str, Any], vocabulary: Mapping[str, Kind], document: Document | None = None
    ) -> None:
        self.data, self.vocabulary = data, vocabulary
        self.places = Places(document)
        self.problems: list[Problem] = []

    def read(self) -> Spec:
        """Return the spec.

        Raises:
            SpecError: With every problem found.
        """
        self.refuse_odd_mappings()
        data = dict(self.data)
        if "reward" in data:
            terms = self.read_terms(data["reward"], ("reward",), 0)
            # A stand-in, so that the rest of the spec is checked as well.
            data["reward"] = terms or (Term.model_construct(kind="markov", body=Spec.model_construct()),)
        if isinstance(data.get("agents"), dict):
            data["agents"] = {
                name: self.read_part(entry, ("agents", name)) for name, entry in data["agents"].items()
            }
        if "joint" in data:
            data["joint"] = self.read_part(data["joint"], ("joint",))
        if isinstance(data.get("end"), dict):
            data["end"] = self.read_end(data["end"], ("end",))
        if isinstance(data.get("propositions"), list | tuple):
            data["propositions"] = self.read_label_names(data["propositions"])
        if isinstance(data.get("env"), str):
            data["env"] = {"id": data["env"]}
            self.places.move(("env", "id"), ("env",))
        if isinstance(data.get("signals"), dict):
            data["signals"] = {name: self.read_signal(name, value) for name, value in data["signals"].items()}
        spec = Spec.__new__(Spec)
        try:
            BaseModel.__init__(spec, **data)  # and not Spec's own, which words the findings without places
        except ValidationError as error:
            self.explain(error, (), Spec)
        if self.problems:
            raise SpecError(sorted(self.problems, key=lambda p: (p.place.line, p.place.column)))
        spec._places = self.places
        return spec

    def refuse_odd_mappings(self) -> None:
        """Refuse a mapping with more keys than a spec has use for, or with keys that are no texts, before all else."""
        opened: list[tuple[Path, Iterator[tuple[str | int, Any]]]] = [((), iter([("", self.data)]))]
        while opened:
            around, items = opened[-1]
            part, value = next(items, ("", None))
            if value is None:
                opened.pop()
                continue
            path = (*around, part) if len(opened) > 1 else ()
            if path in _FREE or (path[:1] == ("tests",) and path[2:3] == ("transitions",)):
                continue
            if isinstance(value, dict):
                limit = MAX_NAMES if path in (("signals",), ("propositions",)) else MAX_KEYS
                if len(value) > limit:
                    message = f"{len(value)} keys in one mapping; the limit here is {limit}"
                    self.fail("document-too-large", message, path)
                    raise SpecError(self.problems)
                for key in value:
                    if not isinstance(key, str):  # only data from Python has such keys
                        self.fail("non-string-key", f"a key must be a text; this is {kind_of(key)}", path)
                        raise SpecError(self.problems)
            if len(opened) > MAX_DEPTH:  # data from Python can even hold itself
                self.fail(
                    "document-too-deep", f"lists and mappings nest more than {MAX_DEPTH} levels deep", ()
                )
                raise SpecError(self.problems)
            # One iterator a level and no list of what is to come: there may be a million items.
            inside = value.items() if isinstance(value, dict) else enumerate(value)
            opened.append((path, ((p, v) for p, v in inside if isinstance(v, dict | list | tuple))))

    # -- problems ----------------------------------------------------------------------------------------

    def fail(self, code: str, message: str, path: Path, *hints: str, key: bool = False) -> None:
        """Note a problem at a value, or at the key that leads to it."""
        self.fail_written(code, message, self.places.written(path), *hints, key=key)

    def fail_written(self, code: str, message: str, path: Path, *hints: str, key: bool = False) -> None:
        """Note a problem at a path of the document; where a kind has a key of its own name, the model has another."""
        place = self.places.at_key(path) if key else self.places.at(path)
        self.problems.append(Problem(code, message, place, hints))
        if len(self.problems) >= MAX_PROBLEMS:
            raise SpecError(self.problems)

    def explain(self, error: ValidationError, base: Path, model: type[BaseModel], word: str = "") -> None:
        """Turn pydantic's findings about a model's value into problems with our places and our words."""
        options = TERM_OPTIONS if word else ()
        for finding in word_findings(
            error, model, lambda path: self.places.written((*base, *path)), word, options
        ):
            self.fail_written(finding.code, finding.message, finding.path, *finding.hints, key=finding.at_key)

    # -- agents ------------------------------------------------------------------------------------------

    def read_part(self, value: Any, path: Path) -> Any:
        """Read the terms and ends of what some agents want, or of what all of them get."""
        if not isinstance(value, dict):
            return value
        part = dict(value)
        if "reward" in part:
            part["reward"] = self.read_terms(part["reward"], (*path, "reward"), 0)
        if isinstance(part.get("end"), dict):
            part["end"] = self.read_end(part["end"], (*path, "end"))
        return part

    def read_end(self, value: dict[str, Any], path: Path) -> tuple[dict[str, Any]]:
        """Return a list of the one end that is written without a list."""
        self.places.move((*path, 0), path)
        return (value,)

    # -- names -------------------------------------------------------------------------------------------

    def read_signal(self, name: str, value: Any) -> Any:
        """Return a signal as a mapping, also one that is written as a bare expression."""
        if isinstance(value, dict):
            return value
        self.places.move(("signals", name, "value"), ("signals", name))
        return {"value": value}

    def read_label_names(self, names: list[Any] | tuple[Any, ...]) -> dict[str, None]:
        """Read `propositions: [a, b]`: names that the labelling function gives."""
        found: dict[str, None] = {}
        if len(names) > MAX_NAMES:
            self.fail(
                "document-too-large",
                f"{len(names)} propositions; the limit is {MAX_NAMES}",
                ("propositions",),
            )
            return found
        for i, name in enumerate(names):
            path: Path = ("propositions", i)
            if not isinstance(name, str):
                hint = "Names with expressions stand without dashes: propositions: {name: expression, ...}"
                hints = (hint,) if isinstance(name, dict) else ()
                self.fail(
                    "wrong-type", f"a proposition's name must be text, not {kind_of(name)}", path, *hints
                )
            elif name in found:
                self.fail("duplicate-name", f"the proposition '{short(name)}' is listed twice", path)
            else:
                found[name] = None
                self.places.move(("propositions", name), path)
        return found

    # -- terms -------------------------------------------------------------------------------------------

    def read_terms(self, value: Any, path: Path, depth: int) -> tuple[Term, ...]:
        """Read a list of terms, or a single one."""
        if not isinstance(value, list | tuple):
            self.places.move((*path, 0), path)
            term = self.read_term(value, path, depth)
            return () if term is None else (term,)
        if not value:
            self.fail(
                "missing-term", "the list of terms is empty", path, "Add a term, such as `- markov: reward`."
            )
        if len(value) > MAX_TERMS:
            hint = "Write a sum that computes with vectors, or nest sums."
            self.fail(
                "document-too-large", f"{len(value)} terms in one list; the limit is {MAX_TERMS}", path, hint
            )
            return ()
        terms = (self.read_term(item, (*path, i), depth) for i, item in enumerate(value))
        return tuple(term for term in terms if term is not None)

    def read_term(self, value: Any, path: Path, depth: int) -> Term | None:
        """Read one term: text or a number is a `markov` term, a mapping names its kind."""
        if depth > MAX_TERM_DEPTH:
            self.fail("document-too-deep", f"terms are nested more than {MAX_TERM_DEPTH} levels deep", path)
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            self.places.move((*path, "value"), path)
            return self.make_term("markov", {"value": value}, {}, path)
        if not isinstance(value, dict):
            hint = "A term is an expression, or a mapping that names its kind, such as `markov: reward`."
            self.fail("wrong-type", f"{kind_of(value)} cannot be a term", path, hint)
            return None
        words = [key for key in value if key in self.vocabulary]
        if len(words) != 1:
            self.fail_kind(value, words, path)
            return None
        word = words[0]
        before = len(self.problems)
        fields = self.gather_fields(value, word, path)
        kind = self.vocabulary[word]
        for name in kind.terms:
            if name in fields:
                fields[name] = self.read_inner(fields[name], kind, name, word, (*path, name), depth)
        if len(self.problems) > before:
            return None
        return self.make_term(word, fields, {key: value[key] for key in TERM_OPTIONS if key in value}, path)

    def read_inner(self, value: Any, kind: Kind, name: str, word: str, path: Path, depth: int) -> Any:
        """Read the term or the terms that a field of an operator holds."""
        written = self.places.written(path)
        if kind.model.model_fields[name].annotation is not Term:
            return self.read_terms(value, written, depth + 1)
        if isinstance(value, list | tuple):
            hint = f"Join them first, for example {word}: {{sum: [...]}}."
            self.fail("wrong-type", f"{word} takes one term, not a list of them", written, hint)
            return None
        return self.read_term(value, written, depth + 1)

    def make_term(
        self, word: str, fields: Mapping[str, Any], options: Mapping[str, Any], path: Path
    ) -> Term | None:
        """Return the term of a kind, or None after noting what is wrong with its fields."""
        model = self.vocabulary[word].model
        before = len(self.problems)
        body: BaseModel | None = None
        try:
            body = model.model_validate(fields)
        except ValidationError as error:
            main = self.vocabulary[word].main
            if main not in fields and (*path, main) not in self.places.moved:
                self.places.move((*path, main), (*path, word))
            self.explain(error, path, model, word)
        try:  # the options are checked even where the body is wrong
            known = body if body is not None else Spec.model_construct()
            term = Term.model_validate({"kind": word, "body": known, **options})
        except ValidationError as error:
            self.explain(error, path, Term)
            return None
        return term if len(self.problems) == before else None

    def gather_fields(self, value: dict[str, Any], word: str, path: Path) -> dict[str, Any]:
        """Return the kind's fields, from under its key and from beside it; note where each was written."""
        kind, inner = self.vocabulary[word], value[word]
        fields: dict[str, Any] = {}
        holds_fields = isinstance(inner, dict) and not (
            kind.main in kind.terms and any(key in self.vocabulary for key in inner)
        )
        if holds_fields:
            fields.update(inner)
            for key in (
                *inner,
                *((kind.main,) if inner else ()),
            ):  # a main key that is missing was to stand there too
                self.places.move((*path, key), (*path, word, key))
        elif inner is not None:
            fields[kind.main] = inner
            self.places.move((*path, kind.main), (*path, word))
        for key, item in value.items():
            if key == word or key in TERM_OPTIONS:
                continue
            if key in fields:
                hint = f"Keep the one under '{word}' or the one beside it."
                self.problems.append(
                    Problem(
                        "duplicate-key", f"'{short(key)}' is given twice", self.key_beside(path, key), (hint,)
                    )
                )
            fields[key] = item
        return fields

    def key_beside(self, path: Path, key: str) -> Any:
        """Return the place of a key of a term, though the same field is written under the term's kind too."""
        moved = self.places.moved.pop((*path, key), None)
        place = self.places.find_key((*path, key))
        if moved is not None:
            self.places.moved[(*path, key)] = moved
        return place

    def fail_kind(self, value: dict[str, Any], words: list[str], path: Path) -> None:
        """Note a term without a kind, or with several."""
        listed = f"A term is one of: {list_names(self.vocabulary, 60)}."
        if words:
            hint = "Write each as a term of its own, or one inside the other where it is an operator."
            outer = [word for word in words if word not in ("min", "max")]
            if len(outer) == 1 and "low" in self.vocabulary[outer[0]].model.model_fields:  # clip: ..., max: 1
                hint = f"The bounds of '{outer[0]}' are called `low` and `high`."
            message = f"a term has one kind; this one has {len(words)}: {list_names(words)}"
            self.fail("several-kinds", message, path, hint)
            return
        if not value:
            self.fail("unknown-kind", "the term is empty", path, listed)
            return
        candidates = [key for key in value if key not in TERM_OPTIONS]
        if not candidates:
            self.fail("unknown-kind", f"the term has only {list_names(value)}, and no kind", path, listed)
            return
        named = value.get("kind", value.get("type"))
        if isinstance(named, str) and named in self.vocabulary:
            hint = f"The kind is itself the key: `{named}: ...`."
            self.fail("unknown-kind", "the kind of a term is not written as a value", path, hint)
            return
        first = next((key for key in candidates if near_miss(str(key), self.vocabulary)), candidates[0])
        message = f"'{short(str(first))}' is not a kind of reward"
        hint = listed + near_miss(str(first), self.vocabulary)
        self.fail("unknown-kind", message, (*path, first), hint, key=True)
