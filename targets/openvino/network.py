"""An OpenVINO IR from a bundle, compiled and ready."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.errors import BundleError, DeviceUnavailable
from targets.openvino.build import WEIGHTS, XML
from targets.openvino.runtime import import_openvino

INTEGER = ("i8", "u8")
SHORT_NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


class OpenVINONetwork:
    """See `targets.Network`."""

    def __init__(self, bundle: Bundle, device: str, threads: int | None) -> None:
        ov = import_openvino()
        core = ov.Core()
        place = _place(core, device)
        start = time.perf_counter()
        try:
            model = core.read_model(bundle.files[XML], bundle.files[WEIGHTS])
        except (KeyError, RuntimeError) as error:
            raise BundleError(f"{bundle.path}: OpenVINO cannot read its model ({_first_line(error)})") from error
        self.load_ms = (time.perf_counter() - start) * 1e3
        start = time.perf_counter()
        try:
            compiled = core.compile_model(model, place, _settings(bundle.manifest.precision, place, threads))
        except RuntimeError as error:
            raise DeviceUnavailable(f"{place} does not take {bundle.path}: {_first_line(error)}") from error
        self.compile_ms = (time.perf_counter() - start) * 1e3
        # What AUTO chose, as the runtime says it: it falls back without a word.
        self.device = ",".join(name.strip("()") for name in compiled.get_property("EXECUTION_DEVICES"))
        self.precision = _precision(compiled, bundle.manifest.precision)
        self._request = compiled.create_infer_request()
        self._picture = self._request.get_input_tensor().data[0]
        self._answers = tuple(self._request.get_output_tensor(i).data[0] for i in range(len(compiled.outputs)))

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        np.copyto(self._picture, picture)
        self._request.infer()
        return self._answers

    def close(self) -> None:
        """Let go of the compiled model and its threads."""
        del self._request, self._picture, self._answers


def _place(core: Any, device: str) -> str:
    """The device to ask OpenVINO for; only one that is here."""
    here = core.available_devices
    wanted = device.upper()
    if wanted == "AUTO":
        return "AUTO:" + ",".join(here) if len(here) > 1 else here[0]
    if wanted not in here and not any(name.startswith(wanted + ".") for name in here):
        raise DeviceUnavailable(
            f"OpenVINO finds no {device} on this machine, only {', '.join(here)}: choose one of these with --device, "
            f"or install the driver of the {device} (python -m edge.doctor says which)"
        )
    return wanted


def _settings(precision: str, place: str, threads: int | None) -> dict[str, Any]:
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if place.startswith("AUTO"):
        settings["ENABLE_STARTUP_FALLBACK"] = False  # the first frames on another device would have other latencies
    if place == "CPU":
        # By default some processors compute "fp32" in bfloat16. The float layers of an INT8 model are few, and are
        # float because they need it.
        settings["INFERENCE_PRECISION_HINT"] = "f16" if precision == "fp16" else "f32"
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
    return settings


def _precision(compiled: Any, built: str) -> str:
    """What it computes in: the compiled model's own word for it."""
    if built == "int8":
        kernels = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
        work = [k["runtimePrecision"].astype(str) for k in kernels if "Convolution" in k["layerType"].astype(str)]
        if any(name in INTEGER for name in work):
            return "int8"
    hint = compiled.get_property("INFERENCE_PRECISION_HINT")
    name = hint.get_type_name() if hasattr(hint, "get_type_name") else str(hint)
    return SHORT_NAMES.get(name, name)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
