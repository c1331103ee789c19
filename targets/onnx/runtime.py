"""ONNX Runtime, imported without the usage events that it sends over the network."""

from __future__ import annotations

import os
from types import ModuleType

from edge import command

PACKAGE = "onnxruntime"
SWITCH = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime(part: str = "", extra: str = "onnx") -> ModuleType:
    """The `onnxruntime` package or a part of it; the only way in which this project imports it.

    Args:
        part: a module inside of it, such as ``quantization.calibrate``; none for the package itself.
        extra: of this project, which brings it.

    Raises:
        MissingPackage: it is not installed.
    """
    no_telemetry()
    return command.require(f"{PACKAGE}.{part}" if part else PACKAGE, extra)


def no_telemetry() -> None:
    """Hold its usage events back, also where another library is what imports it; whoever has set the switch decides.

    It has to be set before the import: the library reads it once, when it is loaded.
    """
    os.environ.setdefault(SWITCH, "1")
