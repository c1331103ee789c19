"""An ONNX file from a bundle, in an ONNX Runtime session."""

from __future__ import annotations

import time

import numpy as np

from edge.bundle import Bundle
from edge.errors import BundleError, DeviceUnavailable
from targets.onnx.build import FILE
from targets.onnx.runtime import import_onnxruntime

SUFFIX = "ExecutionProvider"
# Not places to run on: one sends the work to a service on the network.
NOT_DEVICES = ("AzureExecutionProvider",)


class ONNXNetwork:
    """See `targets.Network`. The precision is that of the file; ONNX Runtime does not tell what its kernels use."""

    def __init__(self, bundle: Bundle, device: str, threads: int | None) -> None:
        ort = import_onnxruntime()
        name, provider = _place(device)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or 0
        options.inter_op_num_threads = 1
        if name != "CPU":  # otherwise what the provider cannot run goes to the processor without a word
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        start = time.perf_counter()
        try:
            self._session = ort.InferenceSession(bundle.files[FILE], options, providers=[provider])
        except KeyError:
            raise BundleError(f"{bundle.path}: {FILE} is missing; it was not made for the onnx target") from None
        except Exception as error:  # ONNX Runtime's errors have no public base
            raise DeviceUnavailable(f"{name} does not take {bundle.path}: {str(error).splitlines()[0]}") from error
        ran = self._session.get_providers()
        if ran[0] != provider:
            raise DeviceUnavailable(f"{name} does not start here (ONNX Runtime offers {ran[0]} instead)")
        # A session reads and compiles in one step.
        self.load_ms, self.compile_ms = 0.0, (time.perf_counter() - start) * 1e3
        self.device, self.precision = name, bundle.manifest.precision
        self._input = self._session.get_inputs()[0].name

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(answer[0] for answer in self._session.run(None, {self._input: picture[None]}))

    def close(self) -> None:
        """Let go of the session and its threads."""
        del self._session


def available_devices() -> dict[str, str]:
    """Name as `--device` takes it (``CPU``, ``CUDA``) to provider, the fastest first."""
    ort = import_onnxruntime()
    return {p.removesuffix(SUFFIX): p for p in ort.get_available_providers() if p not in NOT_DEVICES}


def _place(device: str) -> tuple[str, str]:
    here = available_devices()
    if device.lower() == "auto":
        return next(iter(here.items()))
    for name, provider in here.items():
        if device.lower() == name.lower():
            return name, provider
    raise DeviceUnavailable(
        f"ONNX Runtime has no {device} on this machine, only {', '.join(here)}: choose one of these with --device, or "
        f"install the onnxruntime package that brings {device}"
    )
