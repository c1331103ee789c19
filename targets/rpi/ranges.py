"""The range of every tensor of a float .tflite, as a calibration set shows it.

The quantizer's own calibration keeps a moving average over pictures, which forgets the few that reach furthest: clear
pictures among hazy ones drive the network to other values, and were clipped (28 dB to the float model where the
ranges taken here give 58). The outermost thousandth of each picture's values may be clipped in a large map: that costs
less than the coarser steps that it would take to keep it. In a small map nothing is clipped: of the coarsest ones the
maximum over the whole picture is taken, one value of each channel, and the outermost thousandth is just those.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from targets.rpi.flatbuffer import Weighed

OUTERMOST = 0.001
LARGEST_WHOLE = 1 << 15  # values of a map of which nothing is clipped
LARGEST_SAMPLE = 1 << 16
# A range of nothing (a ReLU that never fires) would ask for an endless multiplier, which XNNPACK refuses.
LEAST_SPAN = 1 / 64
REACH = 0.6  # of the outermost values of weighed maps: the rest, of few places of few pictures, may be clipped

Range = tuple[float, float]


@dataclass(frozen=True)
class Inputs:
    """Pictures as a float model takes them: float32 (1, H, W, 3) from `black` to `white`.

    Attributes:
        pictures: uint8 RGB (H, W, 3).
    """

    pictures: Iterable[np.ndarray]
    black: float
    white: float

    def __iter__(self) -> Iterator[np.ndarray]:
        for picture in self.pictures:
            yield (picture[None] * ((self.white - self.black) / 255) + self.black).astype(np.float32)


def tensor_ranges(
    interpreters: Sequence[Any], names: Collection[str], inputs: Iterable[np.ndarray]
) -> dict[str, Range]:
    """Lowest and highest value of each tensor over all pictures, without each picture's outermost in large maps.

    Args:
        interpreters: of float models with the same tensors, with `experimental_preserve_all_tensors`.
        names: of the tensors; one that an interpreter does not have, or that is constant, is left out.
        inputs: float32, as the models take them.
    """
    opened = [_Opened(interpreter, names) for interpreter in interpreters]
    found: dict[str, Range] = {}
    for given in inputs:
        for model in opened:
            for name, values in model(given):
                low, high = _inner_range(values)
                before = found.get(name, (low, high))
                found[name] = (min(low, before[0]), max(high, before[1]))
    return found


class _Opened:
    """A float model that is asked for its tensors."""

    def __init__(self, interpreter: Any, names: Collection[str]) -> None:
        interpreter.allocate_tensors()
        (source,) = interpreter.get_input_details()
        index = {details["name"]: details["index"] for details in interpreter.get_tensor_details() if details["name"]}
        self.interpreter, self.source = interpreter, source["index"]
        self.wanted = {name: index[name] for name in names if name in index}

    def __call__(self, given: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        self.interpreter.set_tensor(self.source, given)
        self.interpreter.invoke()
        for name, number in self.wanted.items():
            yield name, self.interpreter.get_tensor(number)


def where_weighed(ranges: Mapping[str, Range], weighed: Weighed) -> dict[str, Range]:
    """The ranges of such tensors with which a product by the largest number has the map's own steps.

    A picture whose kind of haze is certain is rounded once then, and not a second time by steps that do not fit the
    first. Nothing comes after these maps that would even out what they round, so that their steps are to be fine.
    """
    top = max(ranges[name][1] for name in weighed.numbers)
    low, high = (REACH * end(ranges[name][side] for name in weighed.maps) for side, end in enumerate((min, max)))
    return {
        **dict.fromkeys(weighed.numbers, (0.0, top)),
        **dict.fromkeys(weighed.maps, (low, high)),
        **dict.fromkeys(weighed.results, (top * low, top * high)),
    }


def with_zero(low: float, high: float) -> Range:
    """The range as a quantizer can take it: 0 has to be one of its values, and it has to have a width."""
    low = min(low, 0.0)
    return low, max(high, 0.0, low + LEAST_SPAN)


def _inner_range(values: np.ndarray) -> Range:
    if values.size <= LARGEST_WHOLE:
        return float(values.min()), float(values.max())
    flat = values.ravel()
    flat = flat[:: max(1, flat.size // LARGEST_SAMPLE)]
    low, high = np.quantile(flat, (OUTERMOST, 1 - OUTERMOST))
    return float(low), float(high)
