"""A .tflite file from a bundle, in whichever interpreter this board has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge import command
from edge.bundle import MANIFEST, Bundle
from edge.errors import BundleError, DeviceUnavailable, MissingPackage
from targets.fit import refuse_misfit
from targets.rpi.quiet import without_greeting
from targets.rpi.scales import NOTE, OutputScale

FILE = "model.tflite"
KERNELS = {"xnnpack": "AUTO", "reference": "BUILTIN_REF"}


class LiteRTNetwork:
    """See `targets.Network`.

    Args:
        kernels: a key of `KERNELS`; anything but ``xnnpack`` is slower and there to compare answers.
    """

    def __init__(self, bundle: Bundle, device: str, threads: int | None, kernels: str = "xnnpack") -> None:
        if device.lower() not in ("auto", "cpu"):
            raise DeviceUnavailable(f"the rpi target runs on the processor only: leave --device {device} out")
        if FILE not in bundle.files:
            raise BundleError(f"{bundle.path}: {FILE} is missing; it was not made for the rpi target")
        runtime, module = interpreter_module()
        start = time.perf_counter()
        try:
            with without_greeting():
                self._interpreter = module.Interpreter(
                    model_content=bundle.files[FILE],
                    num_threads=threads or os.cpu_count(),
                    experimental_op_resolver_type=getattr(module.OpResolverType, KERNELS[kernels]),
                )
                loaded = time.perf_counter()
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"{bundle.path}: {runtime} cannot open its model ({_first_line(error)})") from error
        self.load_ms, self.compile_ms = (loaded - start) * 1e3, (time.perf_counter() - loaded) * 1e3
        self.device = f"CPU ({runtime})"
        (self._input,) = self._interpreter.get_input_details()
        # Signature order is lost in the file; the converter numbers the outputs in their names.
        details = sorted(self._interpreter.get_output_details(), key=lambda d: d["name"])
        self._outputs = [d["index"] for d in details]
        integer = self._input["dtype"] is np.int8
        self.precision = "int8" if integer else "fp32"  # float16 weights are widened; the arithmetic is float32
        self._convert = _as_int8 if integer else _as_float
        scales = _scales(bundle, details)
        refuse_misfit(bundle, self._input["shape"], map(_values, details, scales))
        as_picture = bundle.manifest.kind == "frame"
        self._restore = [_restorer(d, s, as_picture) for d, s in zip(details, scales, strict=True)]

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(restore(raw) for restore, raw in zip(self._restore, self.raw(picture), strict=True))

    def raw(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        """The output tensors as they are, without the batch axis; int8 for an INT8 model."""
        self._interpreter.set_tensor(self._input["index"], self._convert(picture)[None])
        self._interpreter.invoke()
        return tuple(self._interpreter.get_tensor(index)[0] for index in self._outputs)

    def close(self) -> None:
        """Let go of the interpreter and its threads."""
        del self._interpreter


def interpreter_module() -> tuple[str, Any]:
    """Name and `interpreter` module of LiteRT, or of the older tflite-runtime where only that is installed.

    Raises:
        MissingPackage: neither is there.
    """
    try:
        return "LiteRT", command.require("ai_edge_litert.interpreter", "rpi")
    except MissingPackage as missing:
        try:
            return "tflite-runtime", command.require("tflite_runtime.interpreter", "rpi")
        except MissingPackage:
            raise missing from None


def _as_int8(picture: np.ndarray) -> np.ndarray:
    """uint8 to the model's int8, which counts the same levels from -128: the top bit flips."""
    return (picture ^ np.uint8(0x80)).view(np.int8)


def _as_float(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) * np.float32(1 / 255)


def _scales(bundle: Bundle, details: list[dict[str, Any]]) -> list[OutputScale | None]:
    """What the manifest says of each output; None where it says nothing, as of a model in float."""
    told = bundle.note(NOTE, tuple[OutputScale, ...], ())
    if not told:
        return [None] * len(details)
    shapes = [tuple(d["shape"])[1:] for d in details]
    if len(told) != len(shapes) or not all(s.suits(shape) for s, shape in zip(told, shapes, strict=True)):
        raise BundleError(
            f"{bundle.path}: notes.{NOTE} of {MANIFEST} does not fit the outputs of {FILE}; export the bundle again"
        )
    return list(told)


def _values(details: dict[str, Any], told: OutputScale | None) -> tuple[int, ...]:
    """Shape of one output, batch axis first, once the parts of its values are added up."""
    *outer, channels = details["shape"]
    return *outer, channels // (told.parts if told else 1)


def _restorer(
    details: dict[str, Any], told: OutputScale | None, as_picture: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """How to get from one raw output to what `targets.Network` promises."""
    if as_picture:
        if details["dtype"] is np.int8:  # range [0, 1], zero point -128: the answer is a picture already
            return lambda raw: raw.view(np.uint8) ^ np.uint8(0x80)
        return lambda raw: np.clip(np.rint(raw * 255), 0, 255).astype(np.uint8)
    if details["dtype"] is not np.int8:
        return lambda raw: raw
    step, zero = details["quantization"]
    told = told or OutputScale((1.0,), (0.0,))
    parts = told.parts
    scale = np.float32(step) * np.array(told.scale, np.float32)
    offset = np.array(told.offset, np.float32) - parts * zero * scale
    if parts == 1:
        return lambda raw: raw * scale + offset
    return lambda raw: raw.reshape(parts, -1).sum(0, dtype=np.float32) * scale + offset


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
