"""OpenVINO and NNCF, imported without the usage event that both send over the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from edge import command
from targets.onnx.runtime import no_telemetry

TELEMETRY = "openvino_telemetry"


def import_openvino() -> ModuleType:
    """The `openvino` package; the only way in which this project imports it.

    Raises:
        MissingPackage: it is not installed.
    """
    with _no_telemetry():
        return command.require("openvino", "openvino")


def plugins() -> list[str]:
    """File names of the device plugins that the installed OpenVINO has."""
    libraries = Path(str(import_openvino().__file__)).parent / "libs"
    return sorted(place.name for place in libraries.glob("*_plugin.so"))


def last_line(error: Exception) -> str:
    """What OpenVINO says went wrong, without where in its source that was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def import_nncf() -> ModuleType:
    """The `nncf` package; the only way in which this project imports it.

    Raises:
        MissingPackage: it is not installed.
    """
    import_openvino()
    no_telemetry()  # of ONNX Runtime, which it imports for models of that kind
    with _no_telemetry():
        return command.require("nncf", "export")


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Hide the telemetry package while something is imported: both packages then bind their own silent stand-in.

    Neither has a switch of its own, and the opt-out that they share is a file in the user's home, which is the
    user's and not ours to write.
    """
    before = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # makes `import openvino_telemetry` an ImportError
    try:
        yield
    finally:
        if before is None:
            del sys.modules[TELEMETRY]
        else:
            sys.modules[TELEMETRY] = before
