"""Values of options: what a text on the command line means, and what is told where it means nothing.

Each is a `type` for argparse, which ends with exit status 2 where it refuses the text.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

LARGEST_SIDE = 16384


def frame_size(text: str) -> tuple[int, int]:
    """Width and height, in pixels, from 1 to 16384 each: ``640x480``.

    Raises:
        ArgumentTypeError: the text is no such size.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII | re.IGNORECASE)
    if not match or not all(1 <= int(side) <= LARGEST_SIDE for side in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 640x480")
    return int(match[1]), int(match[2])


def whole_from(least: int, most: int = 10**18) -> Callable[[str], int]:
    """Whole numbers from `least` to `most`, as a type of argument, which raises `ArgumentTypeError` for others."""
    told = f"from {least}" if most >= 10**18 else f"from {least} to {most}"

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,19}", text, re.ASCII) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {told}")
        return int(text)

    return read


def number_from(least: float, most: float = math.inf) -> Callable[[str], float]:
    """The finite numbers from `least` to `most`, as a type of argument, which raises `ArgumentTypeError` for others."""
    told = f"from {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
    return _accepting(lambda value: least <= value <= most, told)


def number_above(bound: float, most: float = math.inf) -> Callable[[str], float]:
    """The finite numbers above `bound` and up to `most`, as `number_from`."""
    told = f"above {bound:g}" if math.isinf(most) else f"above {bound:g} and up to {most:g}"
    return _accepting(lambda value: bound < value <= most, told)


def _accepting(holds: Callable[[float], bool], told: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not holds(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {told}")
        return value

    return read
