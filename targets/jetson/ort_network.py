"""A bundle's ONNX file in ONNX Runtime, with one of NVIDIA's providers or on the processor."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.bundle import Bundle
from targets.fit import refuse_misfit
from targets.jetson.cache import engine_folder, key
from targets.jetson.files import MODEL
from targets.onnx.runtime import border, import_onnxruntime, open_session


class OnnxRuntimeNetwork:
    """See `targets.Network`."""

    def __init__(self, bundle: Bundle, name: str, provider: str, threads: int | None) -> None:
        model, self.precision = bundle.files[MODEL], bundle.manifest.precision
        settings: dict[str, Any] = {}
        if provider == "TensorrtExecutionProvider":
            settings = _engine_settings(model, import_onnxruntime(extra="jetson").__version__, self.precision)
        self.load_ms = 0.0
        self._session, self.compile_ms = open_session(model, bundle.path, name, provider, threads, **settings)
        if provider != "TensorrtExecutionProvider" and self.precision == "fp16":
            self.precision = "fp32"  # it computes in the file's own type
        self.device = name
        refuse_misfit(bundle, *border(self._session))
        self._input = self._session.get_inputs()[0].name

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(answer[0] for answer in self._session.run(None, {self._input: picture[None]}))

    def close(self) -> None:
        """Let go of the session and its threads."""
        del self._session


def _engine_settings(model: bytes, version: str, precision: str) -> dict[str, Any]:
    """The provider keeps its engines itself; it checks GPU and TensorRT, the folder stands for model and precision."""
    folder = engine_folder(key(model, "", f"onnxruntime {version}", precision))
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_fp16_enable": precision in ("fp16", "int8"),
        "trt_int8_enable": precision == "int8",
    }
