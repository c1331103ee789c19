"""Raspberry Pi and other small ARM boards, through LiteRT: a .tflite file that is INT8 from end to end."""

from __future__ import annotations

import contextlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from targets import Artefact, BuildOptions, Check, Device, Network, Target, found_versions

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from targets.source import SourceModel


class RaspberryPiTarget(Target):
    """See `targets.Target`."""

    name = "rpi"
    precisions = ("fp32", "fp16", "int8")
    distributions = ("ai-edge-litert", "tflite-runtime")
    ranges = ()

    def check(self) -> Check:
        builders, missing_builders = found_versions({"litert-torch": "export-rpi", "ai-edge-quantizer": "export-rpi"})
        runtimes, missing_runtimes = found_versions({"ai-edge-litert": "rpi"})
        with contextlib.suppress(PackageNotFoundError):
            runtimes["tflite-runtime"] = version("tflite-runtime")
        devices = (Device("CPU", "LiteRT or TensorFlow Lite with XNNPACK"),) if runtimes else ()
        missing = missing_builders + (() if runtimes else missing_runtimes)
        return Check(self.name, len(builders) == 2, bool(runtimes), builders | runtimes, devices, missing)

    def refuse(self, model: SourceModel, options: BuildOptions) -> None:
        """See `targets.Target`."""
        from targets.rpi.build import refuse

        refuse(model, options)

    def build(self, model: SourceModel, options: BuildOptions) -> Artefact:
        from targets.rpi.build import build

        return build(model, options)

    def open(self, bundle: Bundle, device: str, threads: int | None) -> Network:
        from targets.rpi.network import LiteRTNetwork

        return LiteRTNetwork(bundle, device, threads)

    def kernels(self, bundle: Bundle, device: str) -> dict[str, dict[str, int]]:
        """See `targets.Target`; what LiteRT runs is what stands in the file."""
        from targets.rpi.flatbuffer import kernels
        from targets.rpi.network import FILE

        return kernels(bundle.files[FILE])


TARGET = RaspberryPiTarget()
