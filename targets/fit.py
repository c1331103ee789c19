"""Whether an artefact takes and gives what the manifest of its bundle says: told when it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

from edge.bundle import MANIFEST, Bundle
from edge.coefficients import CHANNELS
from edge.errors import BundleError

Shape = tuple[int | None, ...]  # None where the artefact leaves a size open


def refuse_misfit(bundle: Bundle, taken: Sequence[Any], given: Iterable[Sequence[Any]]) -> None:
    """Hold an artefact against its manifest: input size, kind of answers, and their shapes where these are told.

    Args:
        taken: shape of the artefact's input, batch axis first, as its runtime tells it: what is no whole number above
            0 is a size that it leaves open.
        given: likewise of each output, in the manifest's order.

    Raises:
        BundleError: the two do not go together.
    """
    manifest = bundle.manifest
    width, height = manifest.input["width"], manifest.input["height"]
    takes, gives = _shape(taken), [_shape(shape) for shape in given]
    if not _agree(takes, (height, width, 3)):
        raise _misfit(bundle, f"an input of {width}x{height} pixels, its model takes the shape {_said(takes)}")
    told = [output.get("shape") for output in manifest.outputs]
    if len(told) != len(gives):
        raise _misfit(bundle, f"{len(told)} outputs, its model has {len(gives)}")
    if not _is_of_kind(manifest.kind, gives, height, width):
        shapes = " and ".join(map(_said, gives))
        raise _misfit(bundle, f"a {manifest.kind} model, which does not give answers of the shape {shapes}")
    for wanted, found in zip(told, gives, strict=True):
        if wanted is not None and not (isinstance(wanted, (list, tuple)) and _agree(found, _sizes(wanted))):
            raise _misfit(bundle, f"an answer of the shape {_said(wanted)}, its model gives {_said(found)}")


def _is_of_kind(kind: str, gives: Sequence[Shape], height: int, width: int) -> bool:
    if kind == "frame":
        return len(gives) == 1 and _agree(gives[0], (height, width, 3))
    if len(gives) != 2:
        return False
    return _agree(gives[0], (None, None, CHANNELS)) and any(_agree(gives[1], (n,)) for n in (3, 4))


def _shape(raw: Sequence[Any]) -> Shape:
    return _sizes(raw)[1:]


def _sizes(raw: Sequence[Any]) -> Shape:
    """Sizes as runtimes and manifests tell them: whole numbers, or -1, 0 or a name for one that is left open."""
    return tuple(int(n) if isinstance(n, Integral) and int(n) > 0 else None for n in raw)


def _agree(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(a == b or None in (a, b) for a, b in zip(one, other, strict=True))


def _said(shape: Any) -> str:
    return str([*shape]).replace("None", "?") if isinstance(shape, (list, tuple)) else repr(shape)


def _misfit(bundle: Bundle, what: str) -> BundleError:
    return BundleError(f"{bundle.path}: {MANIFEST} tells of {what}; export the bundle again")
