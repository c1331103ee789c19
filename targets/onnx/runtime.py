"""ONNX Runtime: imported without the usage events that it sends over the network, and a session of it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from edge import command
from edge.errors import DeviceUnavailable

PACKAGE = "onnxruntime"
SWITCH = "ORT_DISABLE_TELEMETRY"
PROCESSOR = "CPUExecutionProvider"


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


def open_session(
    model: bytes, path: str | Path, name: str, provider: str, threads: int | None, profile: str = "", **settings: Any
) -> tuple[Any, float]:
    """A session that runs all of a model with one provider.

    Args:
        path: of its bundle, and
        name: of the device: both for messages.
        profile: what the profiler's file begins with; none for no profiler.
        settings: the provider's own.

    Returns:
        The session, and the milliseconds that it took to read and compile the model.

    Raises:
        DeviceUnavailable: the provider does not start here, or not with this model.
    """
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # x86 processors without VNNI clip sums of uint8 by int8 products; this has them multiply uint8 by uint8 instead,
    # which takes a third longer there. On others it changes nothing.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    if provider != PROCESSOR:  # otherwise what the provider cannot run goes to the processor without a word
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    start = time.perf_counter()
    try:
        # Left to itself it would try another provider, and say so on standard output, where frames may go.
        session = ort.InferenceSession(model, options, providers=[(provider, settings)], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors have no public base
        raise DeviceUnavailable(
            f"{name} does not start here with {path}: {str(error).splitlines()[0]} (python -m edge.doctor says "
            "what runs here)"
        ) from error
    ran = session.get_providers()[0]
    if ran != provider:
        raise DeviceUnavailable(f"{name} does not start here (ONNX Runtime offers {ran} instead)")
    return session, (time.perf_counter() - start) * 1e3


def border(session: Any) -> tuple[list[Any], list[list[Any]]]:
    """The shapes of a session's input and of its outputs; a size that is left open is a name or None."""
    return session.get_inputs()[0].shape, [output.shape for output in session.get_outputs()]
