"""NVIDIA Jetson, through TensorRT: an ONNX file that becomes an engine on the board, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets import Artefact, BuildOptions, Check, Network, Target, found_versions

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from targets.source import SourceModel


class JetsonTarget(Target):
    """See `targets.Target`."""

    name = "jetson"
    precisions = ("fp32", "fp16", "int8")
    distributions = ("onnxruntime", "onnxruntime-gpu", "tensorrt")
    export_device = "CPU"  # a workstation rarely has TensorRT
    built_on_board = True
    mixes_precisions = True
    keeps_ranges = True

    def check(self) -> Check:
        from targets.jetson.devices import devices

        builders, missing = found_versions({"onnx": "export", "onnxruntime": "export"})
        found, runtimes, missing_runtimes = devices()
        return Check(self.name, len(builders) == 2, bool(found), builders | runtimes, found, missing + missing_runtimes)

    def build(self, model: SourceModel, options: BuildOptions) -> Artefact:
        from targets.jetson.build import build

        return build(model, options)

    def open(self, bundle: Bundle, device: str, threads: int | None) -> Network:
        from targets.jetson.devices import open_network

        return open_network(bundle, device, threads)


TARGET = JetsonTarget()
