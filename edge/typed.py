"""JSON that was written elsewhere: read, and held against the annotations of what it is to become."""

from __future__ import annotations

import json
import math
import reprlib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal

PLAIN: dict[type, tuple[str, tuple[type, ...]]] = {
    str: ("text", (str,)),
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),  # and not true, which Python takes for 1
    float: ("a number", (int, float)),
}


def parse(data: bytes) -> Any:
    """JSON, with numbers and text that can be computed with and written again.

    Raises:
        ValueError, RecursionError: it is not that.
    """
    raw = json.loads(data, parse_constant=_refused, parse_float=_finite, parse_int=_short)
    if rb"\ud" in data.lower():  # surrogates, which are text in pairs only
        json.dumps(raw, ensure_ascii=False).encode()
    return raw


def build(kind: Any, value: Any, key: str) -> Any:
    """What JSON says, as an annotation has it.

    Args:
        kind: a dataclass or a `TypedDict` (which may hold more than it names), or what their fields are annotated with:
            ``tuple[X, ...]``, ``list[X]``, ``Mapping[str, X]``, ``X | None``, ``Literal``, ``Annotated[int, range]``,
            ``Any``, text and numbers.
        key: where in its file the value stands, for example ``golden[0].tolerance``; empty for all of it.

    Raises:
        ValueError: it is something else, or a key is missing or, in a dataclass, unknown; the message names the key.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or (value is None and type(None) in arguments):
        return value
    if origin in (typing.Union, types.UnionType):
        return build(next(a for a in arguments if a is not type(None)), value, key)
    if origin is Annotated:
        allowed: range = arguments[1]
        if build(arguments[0], value, key) not in allowed:
            raise _wrong(key, value, f"{allowed.start} to {allowed.stop - 1}")
        return value
    if origin is Literal:
        if value not in arguments:
            raise _wrong(key, value, " or ".join(arguments))
        return value
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple)):
            raise _wrong(key, value, "a list")
        return origin(build(arguments[0], item, f"{key}[{n}]") for n, item in enumerate(value))
    if kind in PLAIN:
        what, accepted = PLAIN[kind]
        if type(value) not in accepted:
            raise _wrong(key, value, what)
        return value
    if not isinstance(value, Mapping):
        raise _wrong(key, value, "an object with keys")
    if origin is not None:
        return {name: build(arguments[1], item, f"{key}[{name!r}]") for name, item in value.items()}
    return _with_keys(kind, value, key)


def _with_keys(kind: Any, value: Mapping[str, Any], key: str) -> Any:
    hints, required = _hints(kind)
    if missing := sorted(required - set(value)):
        raise ValueError(f"{_under(key, missing[0])} is missing")
    built = {name: build(hints[name], value[name], _under(key, name)) for name in hints if name in value}
    unknown = {name: item for name, item in value.items() if name not in hints}
    if not is_dataclass(kind):
        return built | unknown
    if unknown:
        raise ValueError(f"{_under(key, repr(min(unknown)))} is not known")
    return typing.cast(type, kind)(**built)


@cache
def _hints(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The annotations of a dataclass or `TypedDict`, and the keys that it cannot be without."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if not is_dataclass(kind):
        return hints, kind.__required_keys__
    return hints, frozenset(f.name for f in fields(kind) if f.default is f.default_factory is MISSING)


def _under(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _wrong(key: str, value: Any, wanted: str) -> ValueError:
    return ValueError(f"{key} is {reprlib.repr(value)}, not {wanted}")


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is beyond what a number holds")
    return value


def _short(text: str) -> int:
    if len(text) > 18:
        raise ValueError(f"{text[:20]}... has {len(text)} digits")
    return int(text)
