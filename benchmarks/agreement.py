"""`python -m benchmarks.agreement BUNDLE`: does edge.bench tell what others would measure?

Against a plain loop around `edge.Dehazer`, in turns; and, for an OpenVINO bundle, the network alone, called again and
again, against OpenVINO's own benchmark_app on the same model with the same settings, turn about. (Within a frame the
network takes longer than alone: reducing and applying push its weights out of the caches.)
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge import command
from edge.arguments import whole_from
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.files import write_whole
from edge.measure import loop
from edge.measure.statistics import ratio_of_medians

PLAN = loop.Plan(warmup_runs=10, warmup_s=0.05, runs=20, seconds=0.0)


Timing = Callable[[], np.ndarray]


class Alone:
    """A dehazer's network without what is before and after it."""

    timing = None

    def __init__(self, dehazer: Dehazer) -> None:
        self._network = dehazer._network  # a benchmark may look inside

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        return self._network(frame)[0]


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__.partition("\n")[0])
    p.add_argument("bundle", type=Path, metavar="BUNDLE")
    p.add_argument("--turns", type=whole_from(1), default=15, metavar="N", help="of each (default: 15)")
    p.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR", help="(default: out/benchmarks)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    bundle = Bundle.read(args.bundle)
    frames = [np.random.default_rng(n).integers(0, 256, (480, 640, 3), np.uint8) for n in range(4)]
    result = {}
    with Dehazer(bundle, "CPU", threads=1) as dehazer, tempfile.TemporaryDirectory() as folder:
        pairs: list[tuple[str, Timing, Timing]] = [
            ("a loop around Dehazer", lambda: _plain_loop(dehazer, frames), lambda: _turn(dehazer, frames))
        ]
        if bundle.manifest.target == "openvino":
            alone, small = Alone(dehazer), [np.ascontiguousarray(_reduced(bundle, f)) for f in frames]
            pairs += [("benchmark_app", lambda: _benchmark_app(bundle, Path(folder)), lambda: _turn(alone, small))]
        for name, theirs, ours in pairs:
            told, other = _in_turns(theirs, ours, args.turns)
            ratio, interval = ratio_of_medians(told, other)
            result[name] = {"ratio": ratio, "low": interval.low, "high": interval.high}
            print(f"edge.bench tells {ratio:.3f} of {name} ({interval.low:.3f} to {interval.high:.3f})", flush=True)
    path = args.out / "agreement.json"
    write_whole(path, (json.dumps(result, indent=1) + "\n").encode())
    print(path)
    return 0


def _in_turns(first: Timing, second: Timing, turns: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Frame times of both, as often the one before the other as after it."""
    times: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for turn in command.progress(range(turns), turns, "turn"):
        for index in (0, 1) if turn % 2 else (1, 0):
            times[index].append((first, second)[index]())
    return times


def _reduced(bundle: Bundle, frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, (bundle.manifest.input["width"], bundle.manifest.input["height"]))


def _turn(dehazer: loop.Timed, frames: list[np.ndarray]) -> np.ndarray:
    loop.warm_up(dehazer, frames, PLAN)
    return loop.measure([dehazer], frames, PLAN)[0].times_ms()


def _plain_loop(dehazer: Dehazer, frames: list[np.ndarray]) -> np.ndarray:
    loop.warm_up(dehazer, frames, PLAN)
    times: list[float] = []
    until = time.perf_counter() + loop.ROUND_SECONDS
    while time.perf_counter() < until:
        start = time.perf_counter()
        dehazer(frames[len(times) % len(frames)])
        times.append(1e3 * (time.perf_counter() - start))
    return np.array(times)


def _benchmark_app(bundle: Bundle, folder: Path) -> np.ndarray:
    """Median milliseconds of the network alone, (1,)."""
    for name in ("model.xml", "model.bin"):
        (folder / name).write_bytes(bundle.files[name])
    program = Path(sys.executable).with_name("benchmark_app")
    once = ["-d", "CPU", "-api", "sync", "-nstreams", "1", "-nthreads", "1", "-t", "1", "-hint", "none"]
    options = [*once, "-infer_precision", "f32"]
    done = subprocess.run(
        [program, "-m", folder / "model.xml", *options], capture_output=True, text=True, check=True, timeout=120
    )
    found = re.search(r"Median:\s+([0-9.]+) (us|ms)", done.stdout)  # us below a millisecond
    assert found, done.stdout
    return np.array([float(found[1]) / (1000 if found[2] == "us" else 1)])


if __name__ == "__main__":
    sys.exit(command.run(main))
