"""Intel processors, graphics and NPUs, through OpenVINO: an IR file with uint8 RGB at its border."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets import Artefact, BuildOptions, Check, Device, Network, Target, found_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from edge.bundle import Bundle
    from targets.source import SourceModel


class OpenVINOTarget(Target):
    """See `targets.Target`."""

    name = "openvino"
    precisions = ("fp32", "fp16", "int8")
    distributions = ("openvino",)
    mixes_precisions = True
    quantizers = ("inc",)
    ranges = ("minmax", "percentile")  # by NNCF

    def check(self) -> Check:
        versions, missing = found_versions({"openvino": "openvino", "nncf": "export", "onnx": "export"})
        devices: tuple[Device, ...] = ()
        if "openvino" in versions:
            from targets.openvino.runtime import own_core

            core = own_core()
            devices = tuple(Device(n, str(core.get_property(n, "FULL_DEVICE_NAME"))) for n in core.available_devices)
        return Check(self.name, len(versions) == 3, bool(devices), versions, devices, missing)

    def refuse(self, model: SourceModel, options: BuildOptions) -> None:
        """See `targets.Target`."""
        if options.quantizer == "inc":
            from quantization import inc

            inc.refuse(model, options)

    def build(self, model: SourceModel, options: BuildOptions) -> Artefact:
        from targets.openvino.build import build

        return build(model, options)

    def ahead_of_time(self, device: str) -> Callable[[Bundle], Bundle]:
        """See `targets.Target`; for Intel's NPUs."""
        from targets.openvino.ahead import compiler

        return compiler(device)

    def open(self, bundle: Bundle, device: str, threads: int | None) -> Network:
        from targets.openvino.network import OpenVINONetwork

        return OpenVINONetwork(bundle, device, threads)

    def layer_times(
        self, bundle: Bundle, device: str, threads: int | None, picture: np.ndarray
    ) -> list[tuple[str, str, str, float]]:
        """See `targets.Target`."""
        from targets.openvino.profile import layer_times

        return layer_times(bundle, device, threads, picture)

    def kernels(self, bundle: Bundle, device: str) -> dict[str, dict[str, int]]:
        """See `targets.Target`."""
        from targets.openvino.profile import kernels

        return kernels(bundle, device)


TARGET = OpenVINOTarget()
