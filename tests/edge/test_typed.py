"""JSON becomes what annotations say, or one sentence says which key is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pytest

from edge import typed


class Size(TypedDict):
    width: Annotated[int, range(1, 101)]


class Named(Size, total=False):
    name: str


@dataclass(frozen=True)
class Part:
    weight: float
    exact: bool = True


@dataclass(frozen=True)
class Whole:
    kind: Literal["one", "other"]
    size: Named
    parts: tuple[Part, ...]
    tools: Mapping[str, str]
    more: Mapping[str, Any] | None = None


SOUND = {"kind": "one", "size": {"width": 3, "new": 1}, "parts": [{"weight": 2}], "tools": {"a.b": "1"}, "more": None}


def test_what_fits_is_built():
    found = typed.build(Whole, SOUND, "")

    assert found == Whole("one", {"width": 3, "new": 1}, (Part(2),), {"a.b": "1"})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "blob"}, "kind is 'blob', not one or other"),
        ({"kind": ["one"]}, "kind is ['one'], not one or other"),
        ({"size": {}}, "size.width is missing"),
        ({"size": []}, "size is [], not an object with keys"),
        ({"size": {"width": 0}}, "size.width is 0, not 1 to 100"),
        ({"size": {"width": True}}, "size.width is True, not a whole number"),
        ({"size": {"width": 3, "name": 1}}, "size.name is 1, not text"),
        ({"parts": {}}, "parts is {}, not a list"),
        ({"parts": [{"weight": 1.5}, {"weight": "x"}]}, "parts[1].weight is 'x', not a number"),
        ({"parts": [{"weight": 1, "exact": 1}]}, "parts[0].exact is 1, not true or false"),
        ({"parts": [{"weight": 1, "new": 1}]}, "parts[0].'new' is not known"),
        ({"tools": {"a.b": None}}, "tools['a.b'] is None, not text"),
        ({"more": 1}, "more is 1, not an object with keys"),
    ],
)
def test_what_does_not_fit_is_told_by_its_key(change, told):
    with pytest.raises(ValueError) as error:
        typed.build(Whole, SOUND | change, "")

    assert str(error.value) == told


@pytest.mark.parametrize("data", [b"NaN", b"[1e999]", b"1" * 30, rb'"\ud800"', b"{"])
def test_numbers_and_text_that_could_not_be_written_again_are_refused(data):
    with pytest.raises(ValueError):
        typed.parse(data)
