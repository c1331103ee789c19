"""An OpenVINO IR from a bundle, compiled and ready."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.errors import BundleError, DeviceUnavailable
from targets.cache import cache_folder
from targets.openvino.ahead import imported, last_line
from targets.openvino.build import WEIGHTS, XML
from targets.openvino.processor import reform
from targets.openvino.runtime import import_openvino, plugins

INTEGER = ("i8", "u8")
SHORT_NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


class OpenVINONetwork:
    """See `targets.Network`."""

    def __init__(self, bundle: Bundle, device: str, threads: int | None) -> None:
        ov = import_openvino()
        core = ov.Core()
        place = _place(core, device)
        settings = _settings(bundle.manifest.precision, place, threads)
        start = time.perf_counter()
        compiled = imported(core, bundle, place, settings)
        if compiled is None:
            try:
                model = core.read_model(bundle.files[XML], bundle.files[WEIGHTS])
            except (KeyError, RuntimeError) as error:
                raise BundleError(f"{bundle.path}: OpenVINO cannot read its model ({last_line(error)})") from error
            reform(model, place)
        self.load_ms = (time.perf_counter() - start) * 1e3
        start = time.perf_counter()
        if compiled is None:
            try:
                compiled = core.compile_model(model, place, {**settings, **_cache()})
            except RuntimeError as error:
                raise DeviceUnavailable(f"{place} does not take {bundle.path}: {last_line(error)}") from error
            self.from_cache = _from_cache(compiled)
        self.compile_ms = (time.perf_counter() - start) * 1e3
        # What AUTO chose, as the runtime says it: it falls back without a word.
        self.device = ",".join(name.strip("()") for name in compiled.get_property("EXECUTION_DEVICES"))
        self.precision = _precision(compiled, bundle.manifest.precision)
        self._request = compiled.create_infer_request()
        self._picture = self._request.get_input_tensor().data[0]
        self._answers = tuple(self._request.get_output_tensor(i).data[0] for i in range(len(compiled.outputs)))

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        np.copyto(self._picture, picture)
        self._request.infer(share_outputs=True)  # else it copies its answers, to return them
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
            f"OpenVINO finds no {device} on this machine, only {', '.join(here)}: {_what_is_missing(core, wanted)}"
            "choose one that is here with --device, or leave it out"
        )
    return wanted


def _what_is_missing(core: Any, wanted: str) -> str:
    """Why an Intel GPU or NPU is not there, and what to do; empty for devices of which nothing is known."""
    from edge.diagnosis.intel import gpu_obstacle, npu_obstacle
    from edge.diagnosis.machine import this_machine

    look = {"GPU": gpu_obstacle, "NPU": npu_obstacle}.get(wanted.split(".", maxsplit=1)[0])
    if look is None:
        return ""
    try:
        core.get_property(wanted, "FULL_DEVICE_NAME")
        said = ""
    except RuntimeError as error:
        said = last_line(error)
    obstacle = look(this_machine(), plugins(), said)
    return f"{obstacle.detail}; {obstacle.remedy + ', or ' if obstacle.remedy else ''}"


def _cache() -> dict[str, Any]:
    """Where OpenVINO keeps compiled models; it checks itself that they fit, and are whole."""
    folder = cache_folder("openvino")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home, or one that cannot be written: it compiles at every start then
        return {}
    return {"CACHE_DIR": str(folder)}


def _from_cache(compiled: Any) -> bool | None:
    """Whether it was compiled at an earlier start; None where the device does not tell."""
    try:
        return bool(compiled.get_property("LOADED_FROM_CACHE"))
    except RuntimeError:
        return None


def _settings(precision: str, place: str, threads: int | None) -> dict[str, Any]:
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if place.startswith("AUTO"):
        settings["ENABLE_STARTUP_FALLBACK"] = False  # the first frames on another device would have other latencies
    if place == "CPU":
        # By default some processors compute "fp32" in bfloat16. The float layers of an INT8 model are few, and are
        # float because they need it.
        settings["INFERENCE_PRECISION_HINT"] = "f16" if precision == "fp16" else "f32"
        settings["ENABLE_CPU_PINNING"] = True
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
    return settings


def _precision(compiled: Any, built: str) -> str:
    """What it computes in: the compiled model's own word for it. An NPU does not tell; it computes in what it was
    given, float in half precision."""
    try:
        kernels = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    except RuntimeError:
        kernels = []
    work = [
        k["runtimePrecision"].astype(str)
        for k in kernels
        if "layerType" in k and "runtimePrecision" in k and "Convolution" in k["layerType"].astype(str)
    ]
    if built == "int8" and (not work or any(name in INTEGER for name in work)):
        return "int8"
    try:
        hint = compiled.get_property("INFERENCE_PRECISION_HINT")
    except RuntimeError:
        return "fp16"
    name = hint.get_type_name() if hasattr(hint, "get_type_name") else str(hint)
    return SHORT_NAMES.get(name, name)
