"""The models, by name. A new one is a file here and a line in `MODELS`."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from edge.errors import EdgeError
from training.models.committee import Committee
from training.models.draco import Draco
from training.models.draco_grid import DracoGrid
from training.models.experts import Experts
from training.models.grid import GridNet

MODELS: dict[str, type[nn.Module]] = {
    "committee": Committee,
    "draco": DracoGrid,
    "draco-paper": Draco,
    "experts": Experts,
    "grid": GridNet,
}


@runtime_checkable
class GridModel(Protocol):
    """A module that can give the coefficients of a picture instead of the picture.

    Attributes:
        size: rows and columns of the small picture that `predict` takes.
        mirrored: whether its answer is to be averaged with that to the mirror image.
    """

    size: tuple[int, int]
    mirrored: bool

    def predict(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Raw ``cell`` (N, 7, h, w) and ``airlight`` (N, 3 or 4) of small pictures (N, 3, *size) in [0, 1]."""
        ...

    def fuse(self) -> object:
        """Fold every normalisation into its convolution, in eval mode."""
        ...


def build(name: str, configuration: Mapping[str, Any]) -> nn.Module:
    """A new module with fresh weights.

    Args:
        name: a key of `MODELS`.
        configuration: keyword arguments of that model.

    Raises:
        EdgeError: an unknown model or a key that the model does not have; the message names the nearest right one.
    """
    if name not in MODELS:
        raise EdgeError(f"there is no model {name!r}{nearest(name, MODELS)}")
    keys = list(inspect.signature(MODELS[name]).parameters)
    for key in configuration:
        if key not in keys:
            raise EdgeError(f"model {name!r} has no setting {key!r}{nearest(key, keys)}")
    try:
        return MODELS[name](**configuration)
    except (TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
        raise EdgeError(f"model {name!r} cannot be built as configured: {error}") from error


def nearest(wrong: str, right: Any) -> str:
    """How a message about a mistyped name goes on: the nearest right one, or all of them."""
    right = list(right)
    close = difflib.get_close_matches(wrong, right, 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; choose one of {', '.join(right)}"
