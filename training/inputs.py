"""What a command reads is never what it writes: told before any work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge.errors import EdgeError


def keep_inputs(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write over a file that is read, whatever links lead there.

    Raises:
        EdgeError: `out` is one of the inputs.
    """
    for path in inputs:
        if _same(out, path):
            raise EdgeError(f"{out} is {path.name}, which is read; choose another --out")


def keep_inputs_of_run(folder: Path, inputs: Iterable[Path]) -> None:
    """Refuse a run's folder where the run would write its checkpoints over a file that it starts from.

    Raises:
        EdgeError: it would.
    """
    from training.trainer import BEST, LAST, RESUME

    for path in inputs:
        for name in (BEST, LAST, RESUME):
            if _same(folder / name, path):
                raise EdgeError(
                    f"the run in {folder} would write over {path}, which it starts from; choose another --out"
                )


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()
