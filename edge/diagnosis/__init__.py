"""What `edge.doctor` looks at: the machine, its runtimes and their devices, its cameras."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One runtime on one device, or one way to a camera.

    Attributes:
        part: ``runtime``, ``camera`` or ``bundle``.
        name: for example ``OpenVINO``.
        device: for example ``NPU``; empty where there is only one.
        found: it is installed (and, for a device, the hardware is here).
        usable: something really ran on it here and gave the right answer.
        version: of the package or the driver; empty if unknown.
        detail: what was seen.
        remedy: what to do where it is not usable; empty where nothing can be done on this machine.
    """

    part: str
    name: str
    device: str
    found: bool
    usable: bool
    version: str = ""
    detail: str = ""
    remedy: str = ""
