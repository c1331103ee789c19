"""NVIDIA Jetson, through TensorRT: an ONNX file that becomes an engine on the board, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets import Artefact, BuildOptions, Check, Network, found_versions

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from targets.source import SourceModel


class JetsonTarget:
    """See `targets.Target`.

    Attributes:
        export_device: where `edge.export` runs the artefact to measure it; a workstation rarely has TensorRT.
    """

    name = "jetson"
    precisions = ("fp32", "fp16", "int8")
    mixes_precisions = True
    export_device = "CPU"

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
