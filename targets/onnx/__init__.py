"""Any machine that ONNX Runtime knows: an ONNX file with uint8 RGB at its border."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets import Artefact, BuildOptions, Check, Device, Network, Target, found_versions

if TYPE_CHECKING:
    import numpy as np

    from edge.bundle import Bundle
    from targets.source import SourceModel


class ONNXTarget(Target):
    """See `targets.Target`."""

    name = "onnx"
    precisions = ("fp32", "fp16", "int8")
    distributions = ("onnxruntime", "onnxruntime-gpu")
    mixes_precisions = True
    keeps_ranges = True
    quantizers = ("inc",)

    def check(self) -> Check:
        versions, missing = found_versions({"onnxruntime": "onnx", "onnx": "export"})
        devices: tuple[Device, ...] = ()
        if "onnxruntime" in versions:
            from targets.onnx.network import available_devices

            devices = tuple(Device(name, provider) for name, provider in available_devices().items())
        return Check(self.name, len(versions) == 2, bool(devices), versions, devices, missing)

    def refuse(self, model: SourceModel, options: BuildOptions) -> None:
        """See `targets.Target`."""
        if options.quantizer == "inc":
            from quantization import inc

            inc.refuse(model, options)

    def build(self, model: SourceModel, options: BuildOptions) -> Artefact:
        from targets.onnx.build import build

        return build(model, options)

    def open(self, bundle: Bundle, device: str, threads: int | None) -> Network:
        from targets.onnx.network import ONNXNetwork

        return ONNXNetwork(bundle, device, threads)

    def layer_times(
        self, bundle: Bundle, device: str, threads: int | None, picture: np.ndarray
    ) -> list[tuple[str, str, str, float]]:
        """See `targets.Target`; operators, by ONNX Runtime's profiler."""
        from targets.onnx.profile import layer_times

        return layer_times(bundle, device, threads, picture)

    def kernels(self, bundle: Bundle, device: str) -> dict[str, dict[str, int]]:
        """See `targets.Target`."""
        from targets.onnx.profile import kernels

        return kernels(bundle, device)


TARGET = ONNXTarget()
