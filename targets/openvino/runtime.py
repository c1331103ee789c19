"""OpenVINO and NNCF, imported without the usage event that both send over the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from edge import command, forks
from targets.onnx.runtime import no_telemetry

TELEMETRY = "openvino_telemetry"


def import_openvino() -> ModuleType:
    """The `openvino` package; the only way in which this project imports it.

    Raises:
        MissingPackage: it is not installed.
    """
    with _no_telemetry():
        return command.require("openvino", "openvino")


class _OwnCore(forks.OfOneProcess):
    """The process's own `openvino.Core`, made when it is first asked for."""

    def __init__(self) -> None:
        self._core: Any = None
        self._turn = forks.Turn()
        forks.watch(self)

    def __call__(self) -> Any:
        openvino = import_openvino()
        with self._turn.held():
            if self._core is None:
                self._core = openvino.Core()
            return self._core

    def forked(self) -> None:
        """See `edge.forks`."""
        if self._core is not None:
            forks.never_free(self._core)
            self._core = None


_own_core = _OwnCore()


def own_core() -> Any:
    """The one `openvino.Core` of this process, which every model here is opened with; kept to the process's end.

    On a processor with AMX each Core brings a stack of its own for the handlers of signals, and on its end puts back
    the one that it found. Where two of them end in the order in which they were made, the second puts back what the
    first has freed already, and the next signal ends the process (SIGSEGV).

    Raises:
        MissingPackage: OpenVINO is not installed.
    """
    return _own_core()


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
