"""An OpenVINO IR from a bundle, compiled and ready."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.errors import BundleError, DeviceUnavailable, EdgeError
from targets.cache import cache_folder
from targets.fit import refuse_misfit
from targets.openvino.ahead import imported
from targets.openvino.device import chosen_place, compile_settings, precision_of
from targets.openvino.files import WEIGHTS, XML
from targets.openvino.processor import reform
from targets.openvino.runtime import last_line, own_core


class OpenVINONetwork:
    """See `targets.Network`."""

    def __init__(self, bundle: Bundle, device: str, threads: int | None) -> None:
        core = own_core()
        place = chosen_place(core, device)
        settings = compile_settings(bundle.manifest.precision, place, threads)
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
        outputs = [self._request.get_output_tensor(i) for i in range(len(compiled.outputs))]
        refuse_misfit(bundle, self._request.get_input_tensor().shape, [output.shape for output in outputs])
        self._picture = self._request.get_input_tensor().data[0]
        self._answers = tuple(output.data[0] for output in outputs)

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        np.copyto(self._picture, picture)
        self._request.infer(share_outputs=True)  # else it copies its answers, to return them
        return self._answers

    def close(self) -> None:
        """Let go of the compiled model and its threads."""
        del self._request, self._picture, self._answers


def _cache() -> dict[str, Any]:
    """Where OpenVINO keeps compiled models; it checks itself that they fit, and are whole."""
    try:
        folder = cache_folder("openvino")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, EdgeError):  # no home, or one that cannot be written: it compiles at every start then
        return {}
    return {"CACHE_DIR": str(folder)}


def _from_cache(compiled: Any) -> bool | None:
    """Whether it was compiled at an earlier start; None where the device does not tell."""
    try:
        return bool(compiled.get_property("LOADED_FROM_CACHE"))
    except RuntimeError:
        return None


def _precision(compiled: Any, built: str) -> str:
    """What it computes in: the compiled model's own word for it. An NPU does not tell; it computes in what it was
    given, float in half precision."""
    try:
        kernels = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    except RuntimeError:
        kernels = []
    work = [
        precision_of(k["runtimePrecision"].astype(str))
        for k in kernels
        if "layerType" in k and "runtimePrecision" in k and "Convolution" in k["layerType"].astype(str)
    ]
    if built == "int8" and (not work or "int8" in work):
        return "int8"
    try:
        hint = compiled.get_property("INFERENCE_PRECISION_HINT")
    except RuntimeError:
        return "fp16"
    return precision_of(hint.get_type_name() if hasattr(hint, "get_type_name") else str(hint))
