"""Whether a built artefact computes what its model computes: the ways in which an export breaks, tried one by one.

An honest artefact is nearest to its model when both see the same picture. One whose colour channels were swapped, or
whose convolutions were padded on the wrong side, is nearer when that is undone; so no threshold has to know how much
rounding a precision brings.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from edge import haze
from edge.errors import EdgeError
from edge.scenes import landscape
from targets import Network

PICTURES = 2
SHARE_OF_SPREAD = 0.02  # answers that vary by less than this share of the model's do not follow the picture
BETTER = 0.8  # undoing what was done right makes the distance larger, never smaller

Change = Callable[[np.ndarray], np.ndarray]


def refuse_broken(model: Network, artefact: Network, width: int, height: int) -> None:
    """Run a float model and its artefact on the same pictures and compare their raw answers.

    Args:
        model: the float32 model.
        artefact: what was built from it, giving outputs of the same shapes.
        width, height: of their input, in pixels.

    Raises:
        EdgeError: answers are not finite, have another shape, do not follow the picture, or fit better with colour
            channels exchanged or the picture moved by a pixel.
    """
    pictures = list(probes(width, height))
    expected = [_answers(model, picture) for picture in pictures]
    found = [_answers(artefact, picture) for picture in pictures]
    for ours, theirs in zip(found, expected, strict=True):
        if [a.shape for a in ours] != [a.shape for a in theirs]:
            shapes = [[list(a.shape) for a in answers] for answers in (ours, theirs)]
            raise _broken(f"its answers have the shapes {shapes[0]}, the model's {shapes[1]}")
        if not all(np.isfinite(answer).all() for answer in ours):
            raise _broken("its answers are not finite numbers")
    for number, answers in enumerate(zip(*expected, strict=True)):
        spread, wanted_spread = _varies(np.stack([f[number] for f in found])), _varies(np.stack(answers))
        if wanted_spread > 0 and spread < SHARE_OF_SPREAD * wanted_spread:
            raise _broken("its answers do not follow the picture")
    maps, wanted = [f[0] for f in found], [e[0] for e in expected]
    scale = np.maximum(np.stack(wanted).std((0, 1, 2)), 1e-3)
    distance = _distance(maps, wanted, scale)
    if distance == 0:
        return
    undone = {}
    for what, undo in _changes_of_input():
        undone[f"takes its input {what}"] = [_answers(artefact, undo(picture))[0] for picture in pictures]
    for what, undo in _changes_of_output(wanted[0].shape[-1]):
        undone[f"gives its output {what}"] = [undo(answer) for answer in maps]
    distances = {what: _distance(answers, wanted, scale) for what, answers in undone.items()}
    likeliest = min(distances, key=distances.__getitem__)
    if distances[likeliest] < BETTER * distance:
        raise _broken(f"it {likeliest}")


def probes(width: int, height: int) -> Iterator[np.ndarray]:
    """Hazy drawn scenes with colour and edges, uint8 RGB (height, width, 3)."""
    for number in range(PICTURES):
        scene = landscape(100 + number, width, height)
        light = np.array([0.75, 0.8, 0.9], np.float32)
        hazy = haze.hazed(scene.picture.astype(np.float32) / 255, (1 + number) * scene.depth / 200, light)
        yield np.rint(hazy * 255).astype(np.uint8)


def _changes_of_input() -> Iterator[tuple[str, Change]]:
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            yield _colours(order), partial(_reordered, order=order)
    yield from _moves()


def _changes_of_output(channels: int) -> Iterator[tuple[str, Change]]:
    first = channels % 3  # a grid model's cells hold other things before their triples of colours
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            whole = [*range(first), *(first + 3 * group + c for group in range(channels // 3) for c in order)]
            yield _colours(order), partial(_reordered, order=whole)
    yield from _moves()


def _moves() -> Iterator[tuple[str, Change]]:
    for axis, way, step in ((0, "down", -1), (0, "up", 1), (1, "right", -1), (1, "left", 1)):
        yield f"moved {way} by a pixel", partial(np.roll, shift=step, axis=axis)


def _reordered(picture: np.ndarray, order: Sequence[int]) -> np.ndarray:
    return np.ascontiguousarray(picture[..., list(order)])


def _colours(order: Iterable[int]) -> str:
    return f"in the order {''.join('RGB'[c] for c in order)} instead of RGB"


def _answers(network: Network, picture: np.ndarray) -> list[np.ndarray]:
    return [np.array(answer, np.float32) for answer in network(picture)]


def _varies(answers: np.ndarray) -> float:
    """Spread over pictures and places, within channels."""
    return float(answers.reshape(-1, answers.shape[-1]).std(0).mean())


def _distance(a: list[np.ndarray], b: list[np.ndarray], scale: np.ndarray) -> float:
    """Mean absolute difference in units of each channel's spread, without the border that a move would wrap."""
    return float(np.mean([np.abs((x - y) / scale)[2:-2, 2:-2].mean() for x, y in zip(a, b, strict=True)]))


def _broken(how: str) -> EdgeError:
    return EdgeError(
        f"the artefact is broken: {how}; nothing was written. In INT8 calibration pictures that are few or unlike real "
        "ones do this too: take others. Where --precision fp32 does it as well, report this"
    )
