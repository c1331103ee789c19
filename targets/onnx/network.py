"""An ONNX file from a bundle, in an ONNX Runtime session."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.errors import BundleError, DeviceUnavailable
from targets.fit import refuse_misfit
from targets.onnx.files import MODEL
from targets.onnx.runtime import border, import_onnxruntime, open_session

SUFFIX = "ExecutionProvider"
# Not places to run on: one sends the work to a service on the network.
NOT_DEVICES = ("AzureExecutionProvider",)


class ONNXNetwork:
    """See `targets.Network`. The precision is that of the file; ONNX Runtime does not tell what its kernels use."""

    def __init__(self, bundle: Bundle, device: str, threads: int | None) -> None:
        # A session reads and compiles in one step.
        name, self._session, self.compile_ms = opened(bundle, device, threads)
        self.load_ms = 0.0
        self.device, self.precision = name, bundle.manifest.precision
        refuse_misfit(bundle, *border(self._session))
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


def opened(bundle: Bundle, device: str, threads: int | None, profile: str = "") -> tuple[str, Any, float]:
    """The device's name, and what `targets.onnx.runtime.open_session` gives for it.

    Args:
        device: ``auto`` for the fastest that starts: a build of ONNX Runtime names all providers that it was built
            with, whatever this machine has.

    Raises:
        BundleError: the bundle has no such file.
        DeviceUnavailable: the device, or with ``auto`` any, is not here or does not start.
    """
    if MODEL not in bundle.files:
        raise BundleError(f"{bundle.path}: {MODEL} is missing; it was not made for the onnx target")
    *others, (last, provider) = _places(device)
    for name, fast in others:
        with contextlib.suppress(DeviceUnavailable):
            return (name, *open_session(bundle.files[MODEL], bundle.path, name, fast, threads, profile))
    return (last, *open_session(bundle.files[MODEL], bundle.path, last, provider, threads, profile))


def _places(device: str) -> list[tuple[str, str]]:
    here = available_devices()
    places = [place for place in here.items() if device.lower() in ("auto", place[0].lower())]
    if places:
        return places
    raise DeviceUnavailable(
        f"ONNX Runtime has no {device} on this machine, only {', '.join(here)}: choose one of these with --device, or "
        f"install the onnxruntime package that brings {device}"
    )
