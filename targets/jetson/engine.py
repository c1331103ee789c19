"""A TensorRT engine from an ONNX file; it fits one GPU and one TensorRT version only, so a board builds its own."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from edge.errors import DeviceUnavailable


def build_engine(trt: ModuleType, onnx: bytes, precision: str, prepare: Any = None) -> bytes:
    """Parse an ONNX file and build an engine.

    Args:
        trt: the `tensorrt` module (8.6 or newer), or another with its interface, such as `tensorrt_rtx_bindings`.
        precision: ``fp32``, ``fp16`` or ``int8``; what INT8 leaves in float may become half.
        prepare: called with the builder's configuration, to set what is particular to `trt`.

    Raises:
        DeviceUnavailable: TensorRT refuses the model; the message is its own.
    """
    log = _log(trt)
    builder = trt.Builder(log)
    explicit = getattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)  # the only way there is, since 10.0
    network = builder.create_network(0 if explicit is None else 1 << int(explicit))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(onnx):
        reasons = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise DeviceUnavailable(
            f"TensorRT {trt.__version__} cannot read the model: {(reasons or log.lines or ['?'])[0]}"
        )
    config = builder.create_builder_config()
    for flag in {"fp32": (), "fp16": ("FP16",), "int8": ("FP16", "INT8")}[precision]:
        if hasattr(trt.BuilderFlag, flag):  # gone where networks are always strongly typed
            config.set_flag(getattr(trt.BuilderFlag, flag))
    if prepare is not None:
        prepare(config)
    log.lines.clear()
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise DeviceUnavailable(f"TensorRT {trt.__version__} cannot build the model: {(log.lines or ['no reason'])[0]}")
    return bytes(engine)


def _log(trt: ModuleType) -> Any:
    class Log(trt.ILogger):  # type: ignore[name-defined, misc]
        """Keeps errors for the message; TensorRT prints pages otherwise."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.ERROR and "cudaError" not in message:
                self.lines.append(message)

    return Log()
