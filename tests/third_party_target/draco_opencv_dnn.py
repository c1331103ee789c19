"""A target for OpenCV's dnn module, as another package would add it: one object, one entry point."""

from __future__ import annotations

import time

import cv2
import numpy as np

from edge.bundle import Bundle
from edge.errors import DeviceUnavailable
from targets import Artefact, BuildOptions, Check, Device, Target
from targets.source import SourceModel

FILE = "model.onnx"


class OpenCVTarget(Target):
    name = "opencv-dnn"
    precisions = ("fp32",)
    distributions = ("opencv-python-headless", "opencv-python")

    def check(self) -> Check:
        place = (Device("CPU", "OpenCV's dnn module"),)
        return Check(self.name, True, True, {"opencv": cv2.__version__}, place, ())

    def build(self, model: SourceModel, options: BuildOptions) -> Artefact:
        options.say("OpenCV reads ONNX as it is")
        return Artefact({FILE: model.onnx.read_bytes()}, {"opencv": cv2.__version__})

    def open(self, bundle: Bundle, device: str, threads: int | None) -> OpenCVNetwork:
        if device.lower() not in ("auto", "cpu"):
            raise DeviceUnavailable(f"the opencv-dnn target has no {device}: leave --device out")
        return OpenCVNetwork(bundle)


class OpenCVNetwork:
    device, precision = "CPU", "fp32"

    def __init__(self, bundle: Bundle) -> None:
        start = time.perf_counter()
        self._net = cv2.dnn.readNetFromONNX(np.frombuffer(bundle.files[FILE], np.uint8))
        self._names = [output["name"] for output in bundle.manifest.outputs]
        self.load_ms, self.compile_ms = (time.perf_counter() - start) * 1e3, 0.0

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        self._net.setInput((picture.transpose(2, 0, 1)[None] / 255).astype(np.float32))
        answers = (answer[0] for answer in self._net.forward(self._names))
        return tuple(a.transpose(1, 2, 0) if a.ndim == 3 else a for a in answers)

    def close(self) -> None:
        del self._net


TARGET = OpenCVTarget()
