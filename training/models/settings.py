"""What the settings of models have in common: each is a whole number from 1, or true or false."""

from __future__ import annotations


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
