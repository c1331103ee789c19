"""What each operator of an ONNX model takes in ONNX Runtime and computes in, by its own profiler."""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from edge.bundle import Bundle
from targets.onnx.network import opened

RUNS = 30
SUFFIX = "_kernel_time"
SHORT_NAMES = {"float": "fp32", "float16": "fp16"}
NO_WORK = ("QuantizeLinear", "DequantizeLinear", "Cast", "Reshape", "Transpose", "ReorderInput", "ReorderOutput")


def layer_times(
    bundle: Bundle, device: str, threads: int | None, picture: np.ndarray
) -> list[tuple[str, str, str, float]]:
    """Median milliseconds of each operator, in the order of execution.

    A session of its own, because the profiler costs time itself.

    Args:
        picture: uint8 RGB (H, W, 3) of the model's input size.

    Returns:
        (name, operator, type of its first output, milliseconds) each.
    """
    times: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for name, operator, kind, ms in _executed(bundle, device, threads, picture, RUNS + 3):
        times[name, operator, kind].append(ms)
    return [(*key, median(values[3:] or values)) for key, values in times.items()]


def kernels(bundle: Bundle, device: str) -> dict[str, dict[str, int]]:
    """Precision to operator to how many of them, as one run executed them; what only converts or moves data is not
    counted."""
    size = bundle.manifest.input
    found: dict[str, Counter[str]] = {}
    for _, operator, kind, _ in _executed(bundle, device, 1, np.zeros((size["height"], size["width"], 3), np.uint8), 1):
        if operator not in NO_WORK:
            precision = "int8" if kind in ("uint8", "int8") else SHORT_NAMES.get(kind, kind)
            found.setdefault(precision, Counter())[operator] += 1
    return {precision: dict(sorted(counts.items())) for precision, counts in sorted(found.items())}


def _executed(
    bundle: Bundle, device: str, threads: int | None, picture: np.ndarray, runs: int
) -> Iterator[tuple[str, str, str, float]]:
    """Name, operator, type of the first output and milliseconds of every kernel that was executed."""
    with tempfile.TemporaryDirectory() as folder:
        _, session, _ = opened(bundle, device, threads, str(Path(folder, "profile")))
        name = session.get_inputs()[0].name
        for _ in range(runs):
            session.run(None, {name: picture[None]})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(SUFFIX):
            outputs = event["args"].get("output_type_shape") or [{"": []}]
            kind = next(iter(outputs[0]))
            yield event["name"].removesuffix(SUFFIX), event["args"]["op_name"], kind, event["dur"] / 1e3
