"""`python -m benchmarks.noise BUNDLE`: does --baseline know noise from a true slow-down, on this machine?

Pairs of short runs of the same bundle, one after the other: none should raise an alarm. Then pairs in which the second
run does a tenth more work for each frame (it waits, processor busy, for a tenth of the frame's time): most should.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from edge import command
from edge.dehazer import Dehazer
from edge.measure import conditions, loop
from edge.method import FrameTiming
from edge.reporting.regressions import MARGIN, time_ratio


class Slowed:
    """A dehazer whose every frame takes a tenth longer."""

    def __init__(self, dehazer: Dehazer, times: float) -> None:
        self._dehazer, self._times = dehazer, times

    @property
    def timing(self) -> FrameTiming | None:
        return self._dehazer.timing

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        clear = self._dehazer(frame)
        until = start + self._times * (time.perf_counter() - start)
        while time.perf_counter() < until:
            pass
        return clear


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=__doc__.partition("\n")[0])
    p.add_argument("bundle", type=Path, metavar="BUNDLE")
    p.add_argument("--pairs", type=int, default=50, metavar="N", help="(default: 50)")
    p.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of each run (default: 2)")
    p.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR", help="(default: out/benchmarks)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    plan = loop.Plan(warmup_runs=10, warmup_s=0.2, runs=50, seconds=args.seconds)
    frames = [np.random.default_rng(n).integers(0, 256, (480, 640, 3), np.uint8) for n in range(4)]

    def run(times: float) -> tuple[np.ndarray, bool]:
        """Each run opens the bundle anew, as two calls of edge.bench would; and whether it proves anything."""
        with Dehazer(args.bundle, "CPU", threads=1) as dehazer:
            subject = Slowed(dehazer, times) if times > 1 else dehazer
            loop.warm_up(subject, frames, plan)
            monitor = conditions.Monitor()
            series = loop.measure([subject], frames, plan, lambda share: monitor.sample())[0]
            return series.times_ms(), not conditions.marks(monitor.finish())

    result: dict[str, list[dict[str, float | bool]]] = {"same": [], "slowed": []}
    for kind, times in (("same", 1.0), ("slowed", 1.1)):
        for _ in command.progress(range(args.pairs), args.pairs, kind):
            (old, old_proves), (new, new_proves) = run(1.0), run(times)
            ratio, interval = time_ratio(old, new)
            beyond, proves = interval.low > 1 + MARGIN, old_proves and new_proves
            one = {"ratio": ratio, "low": interval.low, "high": interval.high, "beyond": beyond, "proves": proves}
            result[kind].append(one)
        clean = [one for one in result[kind] if one["proves"]]
        alarms = sum(bool(one["beyond"]) for one in clean)
        ratios = np.array([one["ratio"] for one in result[kind]])
        spread = f"{ratios.min():.3f} to {ratios.max():.3f}, standard deviation {ratios.std():.3f}"
        crowded = (
            f"; {args.pairs - len(clean)} pairs prove nothing, the machine was busy" if len(clean) < args.pairs else ""
        )
        print(f"{kind}: {alarms} alarms in {len(clean)} pairs; ratios {spread}{crowded}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "noise.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
