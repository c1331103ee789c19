"""Ranges of an ONNX model's tensors over calibration pictures, by ONNX Runtime's calibrators, in constant memory.

The calibrators keep what they are given until they are asked for the ranges: with some hundred pictures that is the
whole network's intermediate results some hundred times. Here they get one picture at a time and merge.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edge.errors import EdgeError
from quantization.levels import prelude
from targets.onnx.runtime import import_onnxruntime

METHODS = ("minmax", "percentile", "entropy")
PERCENTILE = 99.99
# By measurement, see docs/notes/int8.md; a frame model's tensors are too many values to sort.
BEST = {"grid": "percentile", "frame": "minmax"}
# A tensor that is always the same (a ReLU that never fires) has no range; some runtimes refuse a scale of 0.
LEAST_SPAN = 1 / 64
BINS = 1 << 13  # of a percentile's histogram, from one extreme to the other
LARGEST_WHOLE = 1 << 15  # values of a map of which nothing is cut off


def collected(prepared: Path, pictures: Collection[np.ndarray], method: str, symmetric: bool = False) -> Any:
    """Ranges of every activation of an ONNX file, as ONNX Runtime's quantizers take them (`TensorsData`).

    What is known beforehand is not measured: the input's range is [0, 1], what scales and shifts it tells its own, and
    a Clip's lies within its bounds.

    Args:
        prepared: float32 ONNX file with one input (1, 3, H, W) in [0, 1], its shapes inferred.
        pictures: uint8 RGB (H, W, 3).
        method: ``minmax`` takes the extremes; ``percentile`` cuts 0.01 % off them; ``entropy`` picks the cut whose
            INT8 histogram is nearest to the float one (Kullback-Leibler, Migacz 2017). Both cut nothing off a map of
            few values: of the coarsest ones the maximum over the whole picture is taken, which is just what they cut.
        symmetric: ranges of [-x, x].

    Raises:
        EdgeError: another method, or no picture.
    """
    import onnx

    calibrate = import_onnxruntime("quantization.calibrate", "export")
    if method not in METHODS:
        raise EdgeError(f"there is no way {method!r} to take ranges; choose one of {', '.join(METHODS)}")
    name, found = _calibrated(prepared, pictures, "minmax", symmetric)
    if method != "minmax":
        extremes = found
        found = _calibrated(prepared, pictures, method, symmetric, extremes)[1]
        found |= {key: extremes[key] for key in _small(prepared) if key in found and key in extremes}
    bounds = _known(prepared)
    settled = {key: _settled(*span, *bounds.get(key, (-np.inf, np.inf))) for key, span in found.items()}
    settled[name] = (0.0, 1.0)
    first = prelude(onnx.load(prepared))
    settled[first.tensor] = (first.black, first.white)
    if symmetric:
        settled = {k: (-max(abs(low), abs(high)), max(abs(low), abs(high))) for k, (low, high) in settled.items()}
    return calibrate.TensorsData(
        calibrate.CalibrationMethod.MinMax, {k: tuple(map(np.float32, v)) for k, v in settled.items()}
    )


def _calibrated(
    prepared: Path,
    pictures: Iterable[np.ndarray],
    method: str,
    symmetric: bool,
    extremes: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> tuple[str, dict[str, tuple[float, float]]]:
    """Name of the input, and what one of ONNX Runtime's calibrators says of each tensor.

    Args:
        extremes: of each tensor, between which ``percentile`` counts: left alone its bins are as narrow as the first
            picture makes them, and it adds more of them for every picture that reaches further. (So does
            ``entropy``, whose cut was worse with bins of even width.)
    """
    calibrate = import_onnxruntime("quantization.calibrate", "export")
    kind, settings = {
        "minmax": (calibrate.CalibrationMethod.MinMax, {}),
        "percentile": (calibrate.CalibrationMethod.Percentile, {"percentile": PERCENTILE}),
        "entropy": (calibrate.CalibrationMethod.Entropy, {}),
    }[method]
    # They tell what they do on standard output, where our last line is a path.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        calibrator = calibrate.create_calibrator(
            prepared, None, f"{folder}/augmented.onnx", kind, extra_options={**settings, "symmetric": symmetric}
        )
        name = calibrator.infer_session.get_inputs()[0].name
        if method == "percentile":
            calibrator.collector = calibrate.HistogramCollector(
                method=method,
                symmetric=symmetric,
                num_bins=BINS,
                num_quantized_bins=calibrator.num_quantized_bins,
                percentile=PERCENTILE,
                scenario=calibrator.scenario,
            )
            # A symmetric histogram counts absolute values.
            ends = {key: (0.0, max(-low, high)) if symmetric else (low, high) for key, (low, high) in extremes.items()}
            calibrator.collector.collect({key: np.array(pair, np.float32) for key, pair in ends.items()})
        seen = False
        for picture in pictures:
            calibrator.collect_data(_reader(picture, name))
            seen = True
        if not seen:
            raise EdgeError("calibration needs at least one picture")
        found = calibrator.compute_data()
    spans = {}
    for key, data in found.items():
        low, high = (float(value) for value in np.ravel(data.range_value)[:2])  # type: ignore[call-overload]
        spans[key] = (low, high)
    return name, spans


def _small(prepared: Path) -> set[str]:
    """Tensors of few values."""
    import onnx

    graph = onnx.load(prepared).graph
    sizes = {
        v.name: np.prod([d.dim_value for d in v.type.tensor_type.shape.dim], dtype=np.int64)
        for v in (*graph.value_info, *graph.output)
    }
    return {name for name, size in sizes.items() if size <= LARGEST_WHOLE}


def _settled(low: float, high: float, least: float, most: float) -> tuple[float, float]:
    """A range that holds 0, keeps to its bounds and is not empty."""
    low, high = min(max(low, least), 0.0), max(min(high, most), 0.0)
    return low, max(high, low + LEAST_SPAN)


def _known(prepared: Path) -> dict[str, tuple[float, float]]:
    """Bounds of tensors that come out of a Clip."""
    import onnx

    graph = onnx.load(prepared).graph
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    known = {}
    for node in graph.node:
        if node.op_type == "Clip":
            low, high = (
                float(constants[name]) if name in constants else without
                for name, without in itertools.zip_longest([*node.input[1:3], "", ""][:2], (-np.inf, np.inf))
            )
            known[node.output[0]] = (low, high)
    return known


def _reader(picture: np.ndarray, name: str) -> Any:
    calibrate = import_onnxruntime("quantization.calibrate", "export")

    class Reader(calibrate.CalibrationDataReader):  # type: ignore[misc, name-defined]  # it is known only here
        def __init__(self) -> None:
            self._left = iter([picture])

        def get_next(self) -> dict[str, np.ndarray] | None:
            picture = next(self._left, None)
            return None if picture is None else {name: (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)}

    return Reader()
