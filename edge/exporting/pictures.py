"""The pictures that an export needs: to take INT8 ranges from, and to measure the artefact on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command

if TYPE_CHECKING:
    import numpy as np

    from quantization.calibration import CalibrationSet
    from targets.source import SourceModel

HELD_OUT_PAIRS = 24
HELD_OUT_SEED = 1  # calibration draws with seed 0


def calibration_set(model: SourceModel, folder: Path | None, pictures: int | None = None) -> CalibrationSet:
    """Pictures of the model's input size to take INT8 ranges from.

    Args:
        folder: of pictures, or of pairs in hazy/ and clear/; None for pictures that are made.
        pictures: at most so many; None for as many as export takes.

    Raises:
        EdgeError: the folder holds none.
    """
    from quantization.calibration import PICTURES, folder_set, made_set

    size = model.card.width, model.card.height, model.card.kind, PICTURES if pictures is None else pictures
    return made_set(*size) if folder is None else folder_set(folder, *size)


def measured_pairs(folder: Path | None, few: bool = False) -> tuple[Iterator[tuple[np.ndarray, np.ndarray]], str]:
    """Pairs to measure an artefact on.

    Args:
        folder: holds hazy/ and clear/; None for pairs that are made.
        few: 24 of them at most, evenly spread.

    Returns:
        (hazy, clear) each, uint8 RGB (H, W, 3), read one after the other; and what they are, in words.

    Raises:
        EdgeError: the folder holds no pairs; where one cannot be read, when it is its turn.
    """
    if folder is None:
        from quantization.calibration import hazy_pairs

        return hazy_pairs(HELD_OUT_PAIRS, HELD_OUT_SEED), f"{HELD_OUT_PAIRS} made pairs"
    from edge.measure.accuracy import read_pair
    from edge.measure.pairs import find_pairs

    found = find_pairs(folder)
    if few and len(found) > HELD_OUT_PAIRS:
        found = [found[i * len(found) // HELD_OUT_PAIRS] for i in range(HELD_OUT_PAIRS)]
    shown = command.progress(found, len(found), "pair")
    return map(read_pair, shown), f"{len(found)} pairs of {folder.resolve().name}"
