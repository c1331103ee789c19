"""A device as OpenVINO is asked for it, how it is to compile there, and its names for what it computes in."""

from __future__ import annotations

from typing import Any

from edge.errors import DeviceUnavailable
from targets.openvino.runtime import last_line, plugins

PRECISIONS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}


def chosen_place(core: Any, device: str) -> str:
    """The device to ask OpenVINO for; only one that is here.

    Args:
        core: `openvino.Core`.
        device: as `--device`.

    Raises:
        DeviceUnavailable: it is not; the message says what is missing, as far as that is known.
    """
    here = core.available_devices
    wanted = device.upper()
    if wanted == "AUTO":
        return "AUTO:" + ",".join(here) if len(here) > 1 else here[0]
    if wanted not in here and not any(name.startswith(wanted + ".") for name in here):
        raise DeviceUnavailable(
            f"OpenVINO finds no {device} on this machine, only {', '.join(here)}: {_what_is_missing(core, wanted)}"
            "choose one that is here with --device, or leave it out"
        )
    return wanted


def compile_settings(precision: str, place: str, threads: int | None) -> dict[str, Any]:
    """What `openvino.Core.compile_model` is told.

    Args:
        precision: of the bundle.
        place: as `chosen_place` gives it.
        threads: of the processor; None for OpenVINO's own choice.
    """
    told: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if place.startswith("AUTO"):
        told["ENABLE_STARTUP_FALLBACK"] = False  # the first frames on another device would have other latencies
    if place == "CPU":
        # By default some processors compute "fp32" in bfloat16. The float layers of an INT8 model are few, and are
        # float because they need it.
        told["INFERENCE_PRECISION_HINT"] = "f16" if precision == "fp16" else "f32"
        told["ENABLE_CPU_PINNING"] = True
        if threads is not None:
            told["INFERENCE_NUM_THREADS"] = threads
    return told


def precision_of(name: str) -> str:
    """This project's word for a type as OpenVINO names it."""
    return PRECISIONS.get(name, name)


def _what_is_missing(core: Any, wanted: str) -> str:
    """Why an Intel GPU or NPU is not there, and what to do; empty for devices of which nothing is known."""
    from edge.diagnosis.intel import gpu_obstacle, npu_obstacle
    from edge.diagnosis.machine import this_machine

    look = {"GPU": gpu_obstacle, "NPU": npu_obstacle}.get(wanted.split(".", maxsplit=1)[0])
    if look is None:
        return ""
    try:
        core.get_property(wanted, "FULL_DEVICE_NAME")
        said = ""
    except RuntimeError as error:
        said = last_line(error)
    obstacle = look(this_machine(), plugins(), said)
    return f"{obstacle.detail}; {obstacle.remedy + ', or ' if obstacle.remedy else ''}"
