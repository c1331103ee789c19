"""What a stream costs beside the model: `python -m benchmarks.stream --bundle BUNDLE`.

Every figure is a ratio to a baseline, taken in turns in the same run, or a time from a clock inside the pictures:

- memory to nowhere: rate of the whole stream over that of the bare model (promised: at least 0.9);
- H.264 file to H.264 file: rate with the model over the rate of the same pipeline without it (at least 0.8). Without
  it the same clear pictures are encoded, kept from a first pass: pictures without haze hold more detail, and an
  encoder works longer on them. For comparison the rate when the hazy pictures are encoded again. Once of what a camera
  gives: a pan over a hazy scene with noise of 3 grey levels, 640x480 at 4 Mbit a second; and once of the drawn test
  pattern, which is the worst case: without any noise coding takes half the time, and the model's weighs twice as much;
- live at 30 frames a second: from capture to sink, by a time code in the picture, against one frame time plus the
  model's (at most 1);
- a process from its start to its first frame (under 1.5 s), and from SIGTERM to its end with a whole file (under 1 s);
- preview that nobody looks at: rate with it over the rate without (at least 0.95).
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edge
from edge import command
from edge.arguments import whole_from
from edge.dehazer import Dehazer
from edge.errors import EdgeError
from edge.files import write_whole
from edge.haze import hazed
from edge.scenes import landscape
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.frame import Frame
from edge.streams.intake import IntakeOptions
from edge.streams.memory import keep_heap
from edge.streams.preview import Address, Preview
from edge.streams.sinks import make_sink
from edge.streams.sinks.none import NoSink
from edge.streams.sources import make_source
from edge.streams.sources.iterable import IterableSource
from edge.streams.sources.pattern import read_time_code
from edge.streams.spec import parse_sink, parse_source
from edge.streams.status import Status
from edge.streams.stream import Stream, StreamOptions, running

WIDTH, HEIGHT = 640, 480
SMOOTH_S = 0.2  # as edge.run does with video


class Untouched:
    """In place of a Dehazer: gives frames back as they are."""

    device, precision, cell, smoother, strength = "none", "none", None, None, 1.0

    def __call__(self, frame: np.ndarray, *more: np.ndarray | None) -> np.ndarray:  # noqa: ARG002
        return frame

    def close(self) -> None:
        pass


class Remembered(Untouched):
    """In place of a Dehazer: gives the pictures that a Dehazer made of these frames before."""

    def __init__(self, pictures: list[np.ndarray]) -> None:
        self._pictures = iter(pictures)

    def __call__(self, frame: np.ndarray, *more: np.ndarray | None) -> np.ndarray:  # noqa: ARG002
        return next(self._pictures)


def frames_per_second(source: Any, sink: str, model: Any, preview: bool = False, smooth_s: float = 0.0) -> float:
    """The rate of a whole stream, from the first frame captured to the last one put out."""
    controls = Controls(smooth_s=smooth_s)
    stream = Stream(
        lambda: source,
        lambda: model,
        [("sink", make_sink(parse_sink(sink), live=False, overwrite=True))],
        StreamOptions(IntakeOptions(live=False)),
        controls=controls,
        events=Events(lambda event: None),
    )
    page = Preview(Address("127.0.0.1", 0), controls, Status(stream, controls, "benchmark")) if preview else None
    stream.onlooker = page
    began = time.perf_counter()
    with running(stream):
        for _ in stream.watch():
            pass
    seconds = time.perf_counter() - began
    if page is not None:
        page.close()
    if faulty := stream.faulty_frames():
        raise EdgeError(faulty[0])
    return stream.figures.sinks[0].delivered / seconds


class Bare(Dehazer):
    """A Dehazer that a stream may close and the benchmark uses again."""

    def close(self) -> None:
        pass


def overhead(bundle: Path, frames: int, rounds: int) -> dict[str, float]:
    """Rates of the bare model, of the whole stream, and of the stream with a preview, and their ratios."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (480, 640, 3), np.uint8) for _ in range(8)]
    dehazer = Bare(bundle, threads=1)
    for picture in pictures:
        dehazer(picture)
    bare, whole, watched = [], [], []
    for _ in range(rounds):
        began = time.perf_counter()
        for number in range(frames):
            dehazer(pictures[number % 8])
        bare.append(frames / (time.perf_counter() - began))
        source = lambda: IterableSource(pictures[number % 8] for number in range(frames))  # noqa: E731
        whole.append(frames_per_second(source(), "none:", dehazer))
        watched.append(frames_per_second(source(), "none:", dehazer, preview=True))
    return {
        "bare_fps": statistics.median(bare),
        "stream_fps": statistics.median(whole),
        "stream_over_bare": statistics.median(w / b for w, b in zip(whole, bare, strict=True)),
        "preview_over_none": statistics.median(p / w for p, w in zip(watched, whole, strict=True)),
    }


def camera_video(path: Path, frames: int) -> None:
    """A pan over a drawn scene in haze, 640x480, with a camera's noise and at its usual 4 Mbit a second."""
    scene = landscape(0, WIDTH + 2 * frames, HEIGHT)
    thickness = np.minimum(0.9 * scene.depth / np.median(scene.depth), 4)
    hazy = 255 * hazed(scene.picture.astype(np.float32) / 255, thickness, np.array([0.88, 0.9, 0.92], np.float32))
    rng = np.random.default_rng(0)

    def frame(number: int) -> np.ndarray:
        seen = hazy[:, 2 * number : 2 * number + WIDTH]
        return np.clip(np.rint(seen + 3 * rng.standard_normal(seen.shape, np.float32)), 0, 255).astype(np.uint8)

    frames_per_second(IterableSource(frame(n) for n in range(frames)), f"{path}?bitrate=4M", Untouched())


def pattern_video(path: Path, frames: int) -> None:
    """The stream's own test pattern, as clean as it is drawn."""
    frames_per_second(make_source(parse_source(f"test:?frames={frames}&live=0")), str(path), Untouched())


def file_to_file(bundle: Path, rounds: int, video: Path) -> dict[str, float]:
    """Rates and processor time of decoding and encoding H.264, with the model and without.

    Args:
        video: H.264; its clear pictures are held in memory.
    """
    dehazer = Bare(bundle, threads=1)
    rates: dict[str, list[float]] = {"with_model": [], "without": [], "hazy": []}
    busy_ms: dict[str, list[float]] = {name: [] for name in rates}
    with tempfile.TemporaryDirectory() as folder:
        clear = [frame.picture for frame in edge.stream(video, bundle, threads=1, smooth=SMOOTH_S)]
        for _ in range(rounds):
            for name, model in (("with_model", dehazer), ("without", Remembered(clear)), ("hazy", Untouched())):
                source, began = make_source(parse_source(str(video))), time.process_time()
                rates[name].append(frames_per_second(source, str(Path(folder, "out.mp4")), model, smooth_s=SMOOTH_S))
                busy_ms[name].append(1e3 * (time.process_time() - began) / len(clear))
    return {
        **{f"{name}_fps": statistics.median(values) for name, values in rates.items()},
        **{f"{name}_processor_ms": statistics.median(values) for name, values in busy_ms.items()},
        "with_over_without": statistics.median(
            a / b for a, b in zip(rates["with_model"], rates["without"], strict=True)
        ),
    }


class TimeCodeSink(NoSink):
    """Reads from each picture when it was made."""

    def __init__(self) -> None:
        super().__init__(parse_sink("none:"), live=True, overwrite=False)
        self.latency_ms: list[float] = []

    def write(self, frame: Frame) -> None:
        self.latency_ms.append(1e3 * (time.monotonic() - read_time_code(frame.picture)))


def live_latency(bundle: Path, seconds: float) -> dict[str, float]:
    """From capture to sink of a live source at 30 frames a second, in milliseconds."""
    sink = TimeCodeSink()
    spec = parse_source("test:?size=640x480")
    stream = Stream(
        lambda: make_source(spec, 30),
        lambda: Dehazer(bundle, threads=1),
        [("time code", sink)],
        StreamOptions(IntakeOptions(live=True)),
        events=Events(lambda event: None),
    )
    with running(stream):
        ends_at = time.monotonic() + seconds
        for _ in stream.watch():
            if time.monotonic() > ends_at:
                break
    settled = sink.latency_ms[10:]
    model_ms = stream.figures.model_ms.percentile(50)[0] or 0.0
    p50, p95 = (float(value) for value in np.percentile(settled, (50, 95)))
    return {
        "latency_p50_ms": p50,
        "latency_p95_ms": p95,
        "model_ms": model_ms,
        "p95_over_promise": p95 / (1e3 / 30 + model_ms),
    }


def start_and_stop(bundle: Path, rounds: int) -> dict[str, float]:
    """Of a process that records: seconds to its first frame, and from SIGTERM to its end."""
    first, stop = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            call = [sys.executable, "-m", "edge.run", str(bundle), "--source", "test:", "--threads", "1"]
            call += ["--sink", str(Path(folder, f"{number}.mp4")), "--log-format", "json"]
            began = time.perf_counter()
            process = subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            assert process.stderr is not None
            for line in process.stderr:
                if json.loads(line)["name"] == "started":
                    first.append(time.perf_counter() - began)
                    break
            time.sleep(1.5)
            began = time.perf_counter()
            process.send_signal(signal.SIGTERM)
            process.communicate()
            stop.append(time.perf_counter() - began)
    return {"first_frame_s": statistics.median(first), "stop_s": statistics.median(stop)}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.stream", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--bundle", type=Path, required=True, help="what edge.export made")
    p.add_argument("--frames", type=whole_from(1), default=600, help="of each round (default: 600)")
    p.add_argument("--rounds", type=whole_from(1), default=5, help="that are taken in turns (default: 5)")
    p.add_argument(
        "--video", type=Path, help="for file to file, a video of yours (default: a made one, as of a camera)"
    )
    p.add_argument("--out", type=Path, default=Path("out/benchmarks/stream.json"), help="where the figures go")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    keep_heap()  # as edge.run does
    result: dict[str, Any] = {}

    def recoded(video: Path) -> dict[str, float]:
        return file_to_file(args.bundle, args.rounds, video)

    def of_made(make: Callable[[Path, int], None]) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder, "in.mp4"), args.frames // 2)
            return recoded(Path(folder, "in.mp4"))

    for name, measure in (
        ("memory to nowhere", lambda: overhead(args.bundle, args.frames, args.rounds)),
        ("file to file", lambda: of_made(camera_video) if args.video is None else recoded(args.video)),
        ("test pattern to file", lambda: of_made(pattern_video)),
        ("live", lambda: live_latency(args.bundle, 10)),
        ("process", lambda: start_and_stop(args.bundle, min(args.rounds, 3))),
    ):
        result[name] = figures = measure()
        command.say(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))
    write_whole(args.out, json.dumps(result, indent=1).encode())
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
