"""What a bundle takes in a process that does nothing else: ``python -m edge.measure.fresh BUNDLE DEVICE THREADS WxH``.

A library that was imported stays in memory: in a process that measures several bundles, the first would pay for all.
So each is opened in a process of its own, which tells its memory. Nothing is imported at the top of this file, so that
the process's memory before is that of Python, numpy and the image library alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.measure.record import Memory

FRAMES = 10
LONGEST_S = 600


def memory(path: str | Path, device: str, threads: int | None, size: tuple[int, int]) -> Memory | None:
    """Of a process that opens the bundle and dehazes some frames; None where that fails, or the kernel does not tell.

    Compiled models that a cache holds are taken from it, as at every start but the first.

    Args:
        path: of the bundle.
        device, threads: as `edge.dehazer.Dehazer`.
        size: width and height of the frames, in pixels.
    """
    from edge.measure.record import Memory

    told = _ask(path, device, threads, size)
    before, peak = told.get("before_mb"), told.get("peak_mb")
    return Memory(before, peak) if before and peak else None


def _ask(path: str | Path, device: str, threads: int | None, size: tuple[int, int]) -> dict[str, float | None]:
    command = [sys.executable, "-m", "edge.measure.fresh", str(path), device, str(threads or 0), "{}x{}".format(*size)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LONGEST_S)
        return json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return {}


def main(argv: list[str]) -> int:
    path, device, threads, size = argv
    width, height = map(int, size.split("x"))

    import numpy as np

    from edge.dehazer import Dehazer
    from edge.measure import sysfs

    frame = np.full((height, width, 3), 128, np.uint8)
    sysfs.forget_peak()
    before_mb = sysfs.resident_mb()
    dehazer = Dehazer(path, device=device, threads=int(threads) or None)
    for _ in range(FRAMES):
        dehazer(frame)
    print(json.dumps({"before_mb": before_mb, "peak_mb": sysfs.peak_resident_mb()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
