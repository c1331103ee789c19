"""Writes the measurement's JSON Schema from its classes: ``python -m edge.measure.schema``."""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from edge.files import write_whole
from edge.measure import record

FILE = Path(__file__).parent / "measurement.schema.json"
SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
NEVER_NEGATIVE = ("_ms", "_mb", "_s", "_share", "seconds", "runs", "fps", "bytes", "width", "height", "cores")

PICTURES = ("hazy", "dehazed", "clear", "picture")


def derive() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `edge.measure.record.Measurement`."""
    definitions: dict[str, Any] = {}
    top = _object(record.Measurement, definitions)
    top["properties"] = {"kind": {"const": record.KIND}, "schema": {"const": record.SCHEMA}, **top["properties"]}
    top["required"] = ["kind", "schema", *top["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Measurement of edge.bench, version {record.SCHEMA}",
        **top,
        "$defs": definitions,
    }


def to_text() -> str:
    return json.dumps(derive(), indent=2) + "\n"


def _object(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip().splitlines()[0],
        "properties": {f.name: _of(hints[f.name], definitions, f.name) for f in fields(kind)},
        "required": [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING],
        "additionalProperties": False,
    }


def _of(kind: Any, definitions: dict[str, Any], name: str) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_of(a, definitions, name) for a in arguments]}
    if kind is type(None):
        return {"type": "null"}
    if origin is tuple:
        return {"type": "array", "items": _of(arguments[0], definitions, name)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions, name)}
    if isinstance(kind, type) and is_dataclass(kind):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if kind is Any:
        return {}
    rule: dict[str, Any] = {"type": SCALARS[kind]}
    if kind in (int, float) and name.endswith(NEVER_NEGATIVE):
        rule["minimum"] = 0
    if name in PICTURES:
        rule["pattern"] = "^(data:image/(jpeg|png);base64,[A-Za-z0-9+/=]*)?$"
    return rule


if __name__ == "__main__":
    write_whole(FILE, to_text().encode())
    print(FILE)
    sys.exit(0)
