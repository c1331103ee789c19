"""A bundle's ONNX file in ONNX Runtime, with one of NVIDIA's providers or on the processor."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.errors import DeviceUnavailable
from targets.cache import cache_folder
from targets.jetson.cache import FOLDER, key
from targets.jetson.devices import FILE
from targets.onnx.runtime import import_onnxruntime


class OnnxRuntimeNetwork:
    """See `targets.Network`."""

    def __init__(self, bundle: Bundle, name: str, provider: str, threads: int | None) -> None:
        ort = import_onnxruntime(extra="jetson")
        model, self.precision = bundle.files[FILE], bundle.manifest.precision
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or 0
        options.inter_op_num_threads = 1
        settings: dict[str, Any] = {}
        providers: list[Any] = [provider]
        if provider != "CPUExecutionProvider":
            # Otherwise what the provider cannot run goes to the processor without a word.
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        if provider == "TensorrtExecutionProvider":
            settings = _engine_settings(model, ort.__version__, self.precision)
            providers = [(provider, settings)]
        start = time.perf_counter()
        try:
            self._session = ort.InferenceSession(model, options, providers=providers)
        except Exception as error:  # ONNX Runtime's errors have no public base
            raise DeviceUnavailable(f"{name} does not take {bundle.path}: {str(error).splitlines()[0]}") from error
        ran = self._session.get_providers()[0]
        if ran != provider:
            raise DeviceUnavailable(f"{name} does not start here (ONNX Runtime offers {ran} instead)")
        if provider != "TensorrtExecutionProvider" and self.precision == "fp16":
            self.precision = "fp32"  # it computes in the file's own type
        self.load_ms, self.compile_ms = 0.0, (time.perf_counter() - start) * 1e3
        self.device = name
        self._input = self._session.get_inputs()[0].name

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(answer[0] for answer in self._session.run(None, {self._input: picture[None]}))

    def close(self) -> None:
        """Let go of the session and its threads."""
        del self._session


def _engine_settings(model: bytes, version: str, precision: str) -> dict[str, Any]:
    """The provider keeps its engines itself; it checks GPU and TensorRT, the folder stands for model and precision."""
    folder = cache_folder(FOLDER) / key(model, "", f"onnxruntime {version}", precision)
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_fp16_enable": precision in ("fp16", "int8"),
        "trt_int8_enable": precision == "int8",
    }
