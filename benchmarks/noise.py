"""`python -m benchmarks.noise BUNDLE`: does --baseline know noise from a true slow-down, on this machine?

Three short runs at a time, each as a call of edge.bench would make it, with a file of its own: one that is the
baseline, one of the same, and one whose every frame takes a tenth longer (it waits, processor busy). edge.report's
comparison then judges the two against the baseline: the one should raise no alarm, the other should.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge import command
from edge.arguments import number_above, whole_from
from edge.files import write_whole
from edge.measure import loop, session, store
from edge.measure.machine import this_machine
from edge.measure.record import Measurement
from edge.method import FrameTiming
from edge.reporting import rows
from edge.reporting.regressions import Comparison, compare

SLOWER = {"baseline": 1.0, "same": 1.0, "slowed": 1.1}


class Slowed:
    """A dehazer whose every frame takes some times as long."""

    def __init__(self, dehazer: loop.Timed, times: float) -> None:
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
    p.add_argument("--pairs", type=whole_from(1), default=50, metavar="N", help="of each kind (default: 50)")
    p.add_argument("--seconds", type=number_above(0), default=2.0, metavar="S", help="of each run (default: 2)")
    p.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR", help="(default: out/benchmarks)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    settings = session.Settings(
        machine=this_machine(),
        command=shlex.join(["python", "-m", "benchmarks.noise", *(sys.argv[1:] if argv is None else argv)]),
        device="CPU",
        threads=1,
        plan=loop.Plan(warmup_runs=10, warmup_s=0.2, runs=50, seconds=args.seconds),
        quick=False,
        frames=session.frames_of([args.bundle], None, (640, 480)),
        data=None,
    )
    for number in command.progress(range(args.pairs), args.pairs, "pair"):
        kinds = list(SLOWER)
        for kind in kinds[number % 3 :] + kinds[: number % 3]:
            store.write(_run(args.bundle, SLOWER[kind], settings), args.out / "noise" / kind / f"{number:03}.json")
    result = {}
    for kind in ("same", "slowed"):
        found = [_judged(args.out / "noise", kind, number) for number in range(args.pairs)]
        result[kind] = [
            {"ratio": c.ratio, "low": c.interval.low, "slower": c.slower, "alarm": c.regressed, "doubt": c.doubt}
            for c in found
        ]
        print(f"{kind}: {_told(found)}", flush=True)
    path = args.out / "noise.json"
    write_whole(path, (json.dumps(result, indent=1) + "\n").encode())
    print(path)
    return 0


def _run(bundle: Path, times: float, settings: session.Settings) -> Measurement:
    """Opens the bundle anew, as every call of edge.bench does."""
    opened = session.open_bundle(bundle, settings)
    slowed = replace(opened, dehaze=Slowed(opened.dehaze, times)) if times > 1 else opened
    try:
        return session.run([slowed], settings, lambda share: None)[0]
    finally:
        opened.close()


def _judged(folder: Path, kind: str, number: int) -> Comparison:
    new, old = (rows.collect([folder / k / f"{number:03}.json"])[0] for k in (kind, "baseline"))
    return compare(new, old)[0][0]


def _told(found: list[Comparison]) -> str:
    """What the comparisons come to, in words."""
    proved = [c for c in found if not c.doubt]
    ratios = np.array([c.ratio for c in found])
    words = f"{sum(c.regressed for c in found)} alarms in {len(proved)} pairs; ratios {ratios.min():.3f} to "
    words += f"{ratios.max():.3f}, standard deviation {ratios.std():.3f}"
    if doubted := [c for c in found if c.doubt]:
        slower = sum(c.slower for c in doubted)
        words += f"; {len(doubted)} pairs more prove nothing, {doubted[0].doubt} (without that {slower} alarms)"
    return words


if __name__ == "__main__":
    sys.exit(command.run(main))
