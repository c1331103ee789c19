"""What the settings of models have in common: whole numbers from 1, true or false, ranges."""

from __future__ import annotations

import math


def whole_numbers(**settings: object) -> None:
    """Raises `ValueError` for the first that is not a whole number from 1, by its name."""
    for name, value in settings.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} is {value!r}; it is a whole number from 1")


def switches(**settings: object) -> None:
    """Raises `ValueError` for the first that is neither true nor false, by its name."""
    for name, value in settings.items():
        if type(value) is not bool:
            raise ValueError(f"{name} is {value!r}; it is true or false")


def ranges(**settings: object) -> None:
    """Raises `ValueError` for the first that is not two finite numbers, the lower first, by its name."""
    for name, value in settings.items():
        ends = list(value) if isinstance(value, (list, tuple)) else []
        if not all(type(end) in (int, float) and math.isfinite(end) for end in ends) or len(ends) != 2:
            raise ValueError(f"{name} is {value!r}; it is two numbers")
        if ends[0] >= ends[1]:
            raise ValueError(f"{name} is {value!r}; the lower number comes first")
