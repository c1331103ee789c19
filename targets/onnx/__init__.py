"""Any machine that ONNX Runtime knows: an ONNX file with uint8 RGB at its border."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets import Artefact, BuildOptions, Check, Device, Network, found_versions

if TYPE_CHECKING:
    import numpy as np

    from edge.bundle import Bundle
    from targets.source import SourceModel


class ONNXTarget:
    """See `targets.Target`."""

    name = "onnx"
    precisions = ("fp32", "fp16", "int8")
    mixes_precisions = True
    quantizers = ("inc",)

    def check(self) -> Check:
        versions, missing = found_versions({"onnxruntime": "onnx", "onnx": "export"})
        devices: tuple[Device, ...] = ()
        if "onnxruntime" in versions:
            from targets.onnx.network import available_devices

            devices = tuple(Device(name, provider) for name, provider in available_devices().items())
        return Check(self.name, len(versions) == 2, bool(devices), versions, devices, missing)

    def build(self, model: SourceModel, options: BuildOptions) -> Artefact:
        from targets.onnx.build import build

        return build(model, options)

    def open(self, bundle: Bundle, device: str, threads: int | None) -> Network:
        from targets.onnx.network import ONNXNetwork

        return ONNXNetwork(bundle, device, threads)

    def layer_times(
        self, bundle: Bundle, device: str, threads: int | None, picture: np.ndarray
    ) -> list[tuple[str, str, str, float]]:
        """What each operator takes; `edge.bench` asks a target for it that has this method."""
        from targets.onnx.layers import layer_times

        return layer_times(bundle, device, threads, picture)

    def kernels(self, bundle: Bundle, device: str) -> dict[str, dict[str, int]]:
        """See `targets.Target`."""
        from targets.onnx.layers import kernels

        return kernels(bundle, device)


TARGET = ONNXTarget()
