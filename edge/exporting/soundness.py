"""Whether a built artefact computes what its model computes.

An honest artefact is nearest to its model when both see the same picture. One whose colour channels were swapped, or
whose convolutions were padded on the wrong side, is nearer when that is undone, so no threshold has to know how much
rounding a precision brings. Whatever else went wrong shows in how far each channel of each answer is off, in shares of
what the model's varies by.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from edge import haze
from edge.coefficients import CHANNELS, within_limits
from edge.errors import EdgeError
from edge.scenes import landscape

if TYPE_CHECKING:
    from edge.bundle import Manifest
    from targets import Network

# Haze under light of every colour, so that all that an answer tells differs from picture to picture; none in clear air,
# where the airlight is a guess and a density near nothing may be off by much without being seen.
THICKNESS = (1.5, 2.0, 2.5, 1.5, 1.0, 3.0)
LIGHT = (
    (0.75, 0.8, 0.9),
    (0.9, 0.85, 0.75),
    (0.95, 0.95, 0.95),
    (0.6, 0.65, 0.75),
    (0.85, 0.75, 0.65),
    (0.7, 0.85, 0.8),
)
# By how much of its model's spread a channel may be off (`_errors`). Honest INT8 of the shipped models, calibrated on
# as few as 16 pictures, came to 0.15 to 0.37 in the worst channel (openvino, rpi and jetson on x86 without VNNI; onnx,
# with other pictures, to 0.13 without that processor's saturation and to 1 with it). A channel that does not follow the
# picture is 1 off, mirrored pictures make 1.2, a range of 16 to 235 0.8, an answer two cells aside and a gamma of 0.8
# 0.66. Float16 gave 0.004, bfloat16 0.05, float32 nothing.
LARGEST_ERROR = {"fp32": 0.03, "fp16": 0.1, "int8": 0.5}
LEAST_SPREAD = 0.1  # of raw answers; where the model's vary by less, what the artefact's are off by is small too
BETTER = 0.8  # undoing what was done right makes the distance larger, never smaller

Change = Callable[[np.ndarray], np.ndarray]
Answers = list[np.ndarray]


def refuse_broken(model: Network, artefact: Network, manifest: Manifest) -> None:
    """Run a float model and its artefact on the same pictures and compare their raw answers.

    Args:
        model: the float32 model.
        artefact: what was built from it, giving outputs of the same shapes.
        manifest: the artefact's; says the size of their input, the precision and what the outputs are called.

    Raises:
        EdgeError: answers are not finite, have another shape, fit better with colour channels exchanged or the picture
            moved by a pixel, or one of their channels is farther from the model's than its precision explains.
    """
    pictures = list(probes(manifest.input["width"], manifest.input["height"]))
    wanted = [_answers(model, picture) for picture in pictures]
    found = [_answers(artefact, picture) for picture in pictures]
    for ours, theirs in zip(found, wanted, strict=True):
        if [a.shape for a in ours] != [a.shape for a in theirs]:
            shapes = [[list(a.shape) for a in answers] for answers in (ours, theirs)]
            raise _broken(f"its answers have the shapes {shapes[0]}, the model's {shapes[1]}")
        if not all(np.isfinite(answer).all() for answer in ours):
            raise _broken("its answers are not finite numbers")
    names = [output["name"] for output in manifest.outputs]
    _refuse_exchanged(names, artefact, pictures, found, wanted)
    error, name, channel = max(
        (error, name, channel)
        for name, ours, theirs in zip(names, zip(*found, strict=True), zip(*wanted, strict=True), strict=True)
        for channel, error in enumerate(_errors(ours, theirs))
    )
    largest = LARGEST_ERROR[manifest.precision]
    if error > largest:
        raise _broken(
            f"channel {channel} of its {name} does not follow the model's: it is off by {error:.0%} of what that "
            f"varies by ({manifest.precision}: {largest:.0%} at most)"
        )


def _refuse_exchanged(
    names: Sequence[str],
    artefact: Network,
    pictures: Sequence[np.ndarray],
    found: Sequence[Answers],
    wanted: Sequence[Answers],
) -> None:
    """Say what was exchanged or moved, where undoing that brings an output nearer to the model's."""
    for number, name in enumerate(names):
        ours, theirs = [f[number] for f in found], [w[number] for w in wanted]
        scale = np.maximum(np.stack(theirs).reshape(-1, theirs[0].shape[-1]).std(0), LEAST_SPREAD)
        distance = _distance(ours, theirs, scale)
        if distance == 0:
            continue
        undone = {}
        if number == 0:
            for what, undo in _changes_of_input():
                undone[f"takes its input {what}"] = [_answers(artefact, undo(picture))[0] for picture in pictures]
        for what, undo in _changes_of_output(theirs[0]):
            undone[f"gives its {name} {what}"] = [undo(answer) for answer in ours]
        distances = {what: _distance(answers, theirs, scale) for what, answers in undone.items()}
        likeliest = min(distances, key=distances.__getitem__)
        if distances[likeliest] < BETTER * distance:
            raise _broken(f"it {likeliest}")


def probes(width: int, height: int) -> Iterator[np.ndarray]:
    """Hazy drawn scenes with colour and edges, uint8 RGB (height, width, 3)."""
    for number, (thickness, light) in enumerate(zip(THICKNESS, LIGHT, strict=True)):
        scene = landscape(100 + number, width, height)
        clear = scene.picture.astype(np.float32) / 255
        hazy = haze.hazed(clear, thickness * scene.depth / 200, np.array(light, np.float32))
        yield np.rint(hazy * 255).astype(np.uint8)


def _changes_of_input() -> Iterator[tuple[str, Change]]:
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            yield _colours(order), partial(_reordered, order=order)
    yield from _moves()


def _changes_of_output(answer: np.ndarray) -> Iterator[tuple[str, Change]]:
    channels = answer.shape[-1]
    # A grid model's cells hold other things before their triples of colours, its airlight after them.
    triples = range(channels % 3, channels, 3) if answer.ndim == 3 else (0,)
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            for exchanged in dict.fromkeys((tuple(triples), *((first,) for first in triples))):
                whole = list(range(channels))
                for first in exchanged:
                    whole[first : first + 3] = [first + c for c in order]
                which = "" if len(exchanged) == len(triples) else f"(channels {exchanged[0]} to {exchanged[0] + 2}) "
                yield which + _colours(order), partial(_reordered, order=whole)
    if answer.ndim == 3:
        yield from _moves()


def _moves() -> Iterator[tuple[str, Change]]:
    for axis, way, step in ((0, "down", -1), (0, "up", 1), (1, "right", -1), (1, "left", 1)):
        yield f"moved {way} by a pixel", partial(np.roll, shift=step, axis=axis)


def _reordered(picture: np.ndarray, order: Sequence[int]) -> np.ndarray:
    return np.ascontiguousarray(picture[..., list(order)])


def _colours(order: Iterable[int]) -> str:
    return f"in the order {''.join('RGB'[c] for c in order)} instead of RGB"


def _answers(network: Network, picture: np.ndarray) -> Answers:
    """Copies, float32; those that are pictures in [0, 1], and of a grid's cells what is used of them."""
    answers = [np.array(a, np.float32) / (255 if a.dtype == np.uint8 else 1) for a in network(picture)]
    return [within_limits(a) if a.ndim == 3 and a.shape[-1] == CHANNELS else a for a in answers]


def _errors(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> np.ndarray:
    """By channel, how far off answers are (root mean square) in shares of what the wanted ones vary by.

    The larger of two: over all places and pictures, and within each picture, its mean taken away. Density differs more
    from picture to picture than from place to place: the first alone would not miss its pattern.
    """
    ours, theirs = (np.stack([a.reshape(-1, a.shape[-1]) for a in answers]) for answers in (found, wanted))
    off = ours - theirs
    everywhere = np.sqrt(np.square(off).mean((0, 1))) / np.maximum(theirs.std((0, 1)), LEAST_SPREAD)
    within = np.sqrt(off.var(1).mean(0)) / np.maximum(np.sqrt(theirs.var(1).mean(0)), LEAST_SPREAD)
    return np.maximum(everywhere, within)


def _distance(a: Answers, b: Answers, scale: np.ndarray) -> float:
    """Mean absolute difference in units of each channel's spread, without the border that a move would wrap."""
    inner = np.s_[2:-2, 2:-2] if a[0].ndim == 3 else np.s_[:]
    return float(np.mean([np.abs((x - y) / scale)[inner].mean() for x, y in zip(a, b, strict=True)]))


def _broken(how: str) -> EdgeError:
    return EdgeError(
        f"the artefact is broken: {how}; nothing was written. In INT8 calibration pictures that are few or unlike real "
        "ones do this too: take others; so do processors whose INT8 sums saturate (x86 without VNNI). Where "
        "--precision fp32 does it as well, report this"
    )
