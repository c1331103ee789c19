"""What a bundle takes in a process that does nothing else: ``python -m edge.measure.fresh BUNDLE DEVICE THREADS WxH``.

A library is imported once, and stays in memory: in a process that measures several bundles, the first would pay for
all. So each is opened in a process of its own, which tells its memory and how long its imports took. Nothing that takes
time is imported at the top of this file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.measure.record import Memory

FRAMES = 10
LONGEST_S = 600


@dataclass(frozen=True)
class Fresh:
    """What the process told; None where opening the bundle failed, or the kernel does not tell.

    Attributes:
        memory: with a compiled model that a cache holds, as at every start but the first.
        import_ms: of numpy, the image library, this program and the runtime.
    """

    memory: Memory | None = None
    import_ms: float | None = None


def start(path: str | Path, device: str, threads: int | None, size: tuple[int, int]) -> Fresh:
    """Open a bundle in a process of its own, and dehaze some frames there.

    Args:
        path: of the bundle.
        device, threads: as `edge.dehazer.Dehazer`.
        size: width and height of the frames, in pixels.
    """
    from edge.measure.record import Memory

    command = [sys.executable, "-m", "edge.measure.fresh", str(path), device, str(threads or 0), "{}x{}".format(*size)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LONGEST_S)
        told = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return Fresh()
    before, peak = told["before_mb"], told["peak_mb"]
    return Fresh(Memory(before, peak) if before and peak else None, told["import_ms"])


def main(argv: list[str]) -> int:
    path, device, threads, size = argv
    width, height = map(int, size.split("x"))

    begin = time.perf_counter()
    import numpy as np

    from edge.bundle import Bundle
    from edge.dehazer import Dehazer
    from edge.measure import sysfs

    import_ms = (time.perf_counter() - begin) * 1e3
    frame = np.full((height, width, 3), 128, np.uint8)
    sysfs.forget_peak()
    before_mb = sysfs.resident_mb()
    bundle = Bundle.read(path)
    begin = time.perf_counter()
    dehazer = Dehazer(bundle, device=device, threads=int(threads) or None)
    # What opening takes beside reading and compiling the model is importing the runtime.
    import_ms += (time.perf_counter() - begin) * 1e3 - dehazer.load_ms - dehazer.compile_ms
    for _ in range(FRAMES):
        dehazer(frame)
    print(json.dumps({"before_mb": before_mb, "peak_mb": sysfs.peak_resident_mb(), "import_ms": max(0.0, import_ms)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
