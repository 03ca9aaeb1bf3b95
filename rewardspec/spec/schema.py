"""The JSON Schema of the language, for editors: completion, hover texts, and a first check while typing.

It is generated from the models, so it cannot say what they do not. It accepts every way of writing a term
(fields under the kind's word, beside it, or both) and leaves to the reader what a schema cannot say: declared
names, the grammar of expressions, values that exclude each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from rewardspec.spec.examples import EXAMPLES
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Kind
from rewardspec.spec.text import read_text

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

TERM: Schema = {"$ref": "#/$defs/Term"}


def json_schema(vocabulary: Mapping[str, Kind]) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a spec whose terms may use the words of a vocabulary.

    Example:
        >>> from rewardspec.vocabulary import VOCABULARY
        >>> schema = json_schema(VOCABULARY)
        >>> schema["properties"]["observe"]["enum"]
        ['auto', 'onehot', 'index', 'dict', 'none']
        >>> schema["$defs"]["clip"]["properties"]["low"]
        {'description': 'Least payment.', 'type': ['number', 'null']}
    """
    models: list[type[BaseModel]] = [Spec, *(kind.model for kind in vocabulary.values())]
    _, generated = models_json_schema([(model, "validation") for model in models], by_alias=True)
    parts: dict[str, Schema] = {name: _tidy(part) for name, part in generated["$defs"].items()}
    spec = _with_short_forms(parts.pop("Spec"))
    for name in ("AgentSpec", "JointSpec"):
        properties = parts[name]["properties"]
        properties["reward"], properties["end"] = _terms(properties["reward"]), _ends(properties["end"])
    fields = {word: parts[kind.model.__name__] for word, kind in vocabulary.items()}
    parts["Term"] = _term(vocabulary, fields, parts["Term"])
    # What is required of a term may stand under its word or beside it: `_demands` says so.
    parts |= {word: {k: v for k, v in schema.items() if k != "required"} for word, schema in fields.items()}
    used = _reachable(spec, parts)
    return {"$schema": DIALECT, "title": "rewardspec", **spec, "$defs": {name: parts[name] for name in used}}


def _term(vocabulary: Mapping[str, Kind], fields: Mapping[str, Schema], term: Schema) -> Schema:
    """Return the schema of a term: an expression, or a mapping with exactly one word of the vocabulary."""
    options = {name: term["properties"][name] for name in ("name", "weight")}
    options["name"]["description"] = "What reports call the term; its kind's word when not given."
    options["weight"]["description"] = "Factor on what the term pays: a number or a schedule."
    words = {word: _word(word, kind, fields[word]) for word, kind in vocabulary.items()}
    return {
        "description": "One part of a reward: an expression, or a kind or operator with its options.",
        "anyOf": [
            {"type": ["string", "number"], "description": "An expression; the same as `markov: ...`."},
            {
                "type": "object",
                "properties": {**words, **options},
                "oneOf": [{"required": [word]} for word in words],
                "allOf": [
                    {"if": {"required": [word]}, "then": _demands(word, kind, fields[word], options)}
                    for word, kind in vocabulary.items()
                ],
            },
        ],
    }


def _field(word: str, name: str) -> Schema:
    return {"$ref": f"#/$defs/{word}/properties/{name}"}


def _word(word: str, kind: Kind, fields: Schema) -> Schema:
    """Return what may stand after a kind's word: its main value, or its fields, or nothing."""
    forms = [_field(word, kind.main), {"$ref": f"#/$defs/{word}"}, {"type": "null"}]
    main = fields["properties"][kind.main]
    if kind.main not in kind.terms and all("$ref" in branch for branch in main.get("anyOf", [main])):
        del forms[0]  # a mapping after the word holds the fields
    schema: Schema = {"description": fields["description"], "anyOf": forms}
    if word in EXAMPLES:
        schema["examples"] = [read_text(EXAMPLES[word]).value[word]]
    return schema


def _demands(word: str, kind: Kind, fields: Schema, options: Schema) -> Schema:
    """Return what a term of one kind needs: no other keys, each required field in one of its places."""
    beside = {name: _field(word, name) for name in fields["properties"]}
    needed: list[Schema] = []
    for name in fields.get("required", ()):
        places: list[Schema] = [{"properties": {word: {"type": "object", "required": [name]}}}]
        if name != word:  # beside the word, a field of its own name cannot stand
            places.append({"required": [name]})
        if name == kind.main:
            places.append({"properties": {word: _field(word, name)}})
        needed.append({"anyOf": places})
    allowed = {**beside, word: True, **dict.fromkeys(options, True)}
    demands: Schema = {"properties": allowed, "additionalProperties": False}
    return {**demands, "allOf": needed} if needed else demands


def _terms(field: Schema) -> Schema:
    """Return the schema of a field that holds terms: one of them, or a list."""
    return {
        "description": "One term, or a list of terms, which are added up.",
        "anyOf": [{**TERM}, {"type": "array", "items": TERM, "minItems": 1, "maxItems": field["maxItems"]}],
    }


def _ends(field: Schema) -> Schema:
    """Return the schema of a field that holds ends: one of them, or a list."""
    many = {key: field[key] for key in ("type", "items", "maxItems") if key in field}
    rest = {key: value for key, value in field.items() if key not in many}
    return {**rest, "anyOf": [{**field["items"]}, many]}


def _with_short_forms(spec: Schema) -> Schema:
    """Return the document's schema with the short forms that the reader knows."""
    properties = spec["properties"]
    properties["reward"], properties["end"] = _terms(properties["reward"]), _ends(properties["end"])
    spec["required"] = [name for name in spec["required"] if name != "reward"]
    spec["anyOf"] = [{"required": [name]} for name in ("reward", "agents", "joint")]
    expression = {"type": ["string", "number", "boolean"]}
    signals = properties["signals"]
    signals["additionalProperties"] = {"anyOf": [expression, signals["additionalProperties"]]}
    propositions = properties["propositions"]
    names = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    properties["propositions"] = {
        "description": f"{propositions.pop('description')} A list of names gives them all so.",
        "anyOf": [propositions, names],
    }
    environment = properties["env"]
    identifier = {"type": "string", "description": "Gymnasium id.", "examples": ["MiniGrid-DoorKey-8x8-v0"]}
    properties["env"] = {
        "description": environment.get("description", ""),
        "anyOf": [identifier, {"$ref": "#/$defs/EnvSpec"}, {"type": "null"}],
    }
    return spec


# -- tidying what pydantic writes --------------------------------------------------------------------------


def _tidy(schema: Schema) -> Schema:
    """Return a generated schema without titles made of names, with flat unions and no `default: null`."""
    tidy: Schema = {}
    for key, value in schema.items():
        if key == "title" or (key == "default" and value is None):
            continue
        if key in ("properties", "$defs"):
            tidy[key] = {name: _tidy(part) for name, part in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            tidy[key] = _tidy(value)
        elif key == "prefixItems":
            tidy[key] = [_tidy(part) for part in value]
        elif key != "anyOf":
            tidy[key] = value
    if "anyOf" in schema:
        tidy.update(_union([_tidy(part) for part in schema["anyOf"]]))
    if "maxLength" in tidy and tidy.get("type") == "array":
        tidy["maxItems"] = tidy.pop("maxLength")
    return tidy


def _union(branches: list[Schema]) -> Schema:
    """Return a union: plain types as one list of types, nested unions flat."""
    flat: list[Schema] = []
    shared: Schema = {}
    for branch in branches:
        if set(branch) <= {"type", "examples"} and isinstance(branch.get("type"), list):
            shared.update({key: value for key, value in branch.items() if key == "examples"})
            flat.extend({"type": name} for name in branch["type"])
        elif set(branch) == {"anyOf"}:
            flat.extend(branch["anyOf"])
        else:
            flat.append(branch)
    if all(set(branch) == {"type"} for branch in flat):
        names = list(dict.fromkeys(branch["type"] for branch in flat))
        if "number" in names:
            names = [name for name in names if name != "integer"]
        return {"type": names, **shared}
    return {"anyOf": flat, **shared}


def _reachable(schema: Schema, parts: Mapping[str, Schema]) -> list[str]:
    """Return the names of the definitions that a schema leads to, in alphabetical order."""
    found: set[str] = set()
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(parts[name]))
    return sorted(found)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].split("/")[2]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)
