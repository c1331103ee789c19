"""What each layer of a compiled OpenVINO model takes, and what it computes in."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import median

import numpy as np

from edge.bundle import Bundle
from targets.openvino.device import chosen_place, compile_settings, precision_of
from targets.openvino.files import WEIGHTS, XML
from targets.openvino.processor import reform
from targets.openvino.runtime import own_core

RUNS = 30
NO_WORK = ("Input", "Output", "Const", "Reorder", "Reshape", "Transpose", "Convert")


def layer_times(
    bundle: Bundle, device: str, threads: int | None, picture: np.ndarray
) -> list[tuple[str, str, str, float]]:
    """Median milliseconds of each layer that was executed, in the order of the network.

    A compilation of its own, because the counters that tell this cost time themselves.

    Args:
        picture: uint8 RGB (H, W, 3) of the model's input size.

    Returns:
        (name, kind of layer, precision that it ran in, milliseconds) each.
    """
    core = own_core()
    place = chosen_place(core, device)
    model = core.read_model(bundle.files[XML], bundle.files[WEIGHTS])
    reform(model, place)
    settings = {**compile_settings(bundle.manifest.precision, place, threads), "PERF_COUNT": True}
    request = core.compile_model(model, place, settings).create_infer_request()
    times: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for _ in range(RUNS + 3):
        request.infer({0: picture[None]})
        for step in request.profiling_info:
            if step.status == step.Status.EXECUTED:
                times[step.node_name, step.node_type, step.exec_type.rpartition("_")[2].lower()].append(
                    step.real_time.total_seconds() * 1e3
                )
    return [(*key, median(values[3:] or values)) for key, values in times.items()]


def kernels(bundle: Bundle, device: str) -> dict[str, dict[str, int]]:
    """Precision to kind of layer to how many of them, from the compiled model; what only moves data is not counted."""
    core = own_core()
    place = chosen_place(core, device)
    model = core.read_model(bundle.files[XML], bundle.files[WEIGHTS])
    reform(model, place)
    compiled = core.compile_model(model, place, compile_settings(bundle.manifest.precision, place, 1))
    found: dict[str, Counter[str]] = {}
    for operation in compiled.get_runtime_model().get_ops():
        told = operation.get_rt_info()
        kind = told["layerType"].astype(str) if "layerType" in told else operation.get_type_name()
        if kind not in NO_WORK and "runtimePrecision" in told:
            precision = precision_of(told["runtimePrecision"].astype(str))
            found.setdefault(precision, Counter())[kind] += 1
    return {precision: dict(sorted(counts.items())) for precision, counts in sorted(found.items())}
