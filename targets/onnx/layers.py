"""What each operator of an ONNX model takes in ONNX Runtime, by its own profiler."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np

from edge import command
from edge.bundle import Bundle
from targets.onnx.build import FILE
from targets.onnx.network import _place

RUNS = 30
SUFFIX = "_kernel_time"


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
    ort = command.require("onnxruntime", "onnx")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    options.enable_profiling = True
    times: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder, "profile"))
        session = ort.InferenceSession(bundle.files[FILE], options, providers=[_place(device)[1]])
        name = session.get_inputs()[0].name
        for _ in range(RUNS + 3):
            session.run(None, {name: picture[None]})
        events = json.loads(Path(session.end_profiling()).read_text())
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(SUFFIX):
            outputs = event["args"].get("output_type_shape") or [{"": []}]
            key = (event["name"].removesuffix(SUFFIX), event["args"]["op_name"], next(iter(outputs[0])))
            times[key].append(event["dur"] / 1e3)
    return [(*key, median(values[3:] or values)) for key, values in times.items()]
