"""Why an Intel GPU or NPU cannot be used: hardware, kernel driver, permission, driver packages, plugin, in that order.

OpenVINO itself only says that there is no device. What is missing is told apart here by what Linux shows.
"""

from __future__ import annotations

import ctypes.util
from dataclasses import dataclass
from pathlib import Path

from edge.diagnosis.machine import ROOT, Machine, may_open

INTEL = "0x8086"
LIBRARY_FOLDERS = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/lib",
    "snap/intel-npu-driver/current/usr/lib/x86_64-linux-gnu",
)
NPU_DRIVERS = "https://github.com/intel/linux-npu-driver/releases"


@dataclass(frozen=True)
class Obstacle:
    """The first thing that stands between OpenVINO and a device.

    Attributes:
        hardware: the device itself is in this machine.
        kind: ``hardware``, ``kernel``, ``permission``, ``driver``, ``plugin`` or ``unknown``.
    """

    hardware: bool
    kind: str
    detail: str
    remedy: str


def npu_obstacle(machine: Machine, plugins: list[str], said: str, root: Path = ROOT) -> Obstacle:
    """What keeps OpenVINO from the NPU.

    Args:
        plugins: the plugin files of the installed OpenVINO.
        said: what OpenVINO answered.
    """
    if not _pci_devices(root, "0x1200"):
        return Obstacle(False, "hardware", "no Intel NPU in this machine", "")
    node = next(iter(sorted((root / "dev/accel").glob("accel*"))), None)
    if node is None:
        return Obstacle(
            True,
            "kernel",
            "the NPU is there, but the kernel driver intel_vpu made no /dev/accel node",
            "use Linux 6.8 or newer, install the firmware (intel-fw-npu) from "
            f"{NPU_DRIVERS}, then: sudo modprobe intel_vpu",
        )
    if not may_open(node):
        return _no_permission(node, root)
    if not _library("ze_intel_vpu", root):
        return Obstacle(
            True,
            "driver",
            "the NPU's user-mode driver (libze_intel_vpu) is not installed",
            f"install intel-level-zero-npu and intel-driver-compiler-npu from {NPU_DRIVERS}"
            + (" (Ubuntu: sudo snap install intel-npu-driver)" if "Ubuntu" in machine.system else ""),
        )
    if not _library("ze_loader", root):
        loader = {"apt-get": "sudo apt install libze1", "dnf": "sudo dnf install oneapi-level-zero"}
        return Obstacle(
            True,
            "driver",
            "the Level Zero loader (libze_loader) is not installed",
            loader.get(machine.manager, "install the Level Zero loader"),
        )
    if "libopenvino_intel_npu_plugin.so" not in plugins:
        return _no_plugin("NPU", machine)
    if "compiler" in said.lower():
        return Obstacle(
            True,
            "driver",
            f"the NPU's compiler does not load: {said}",
            f"install intel-driver-compiler-npu of the same release as intel-level-zero-npu from {NPU_DRIVERS}",
        )
    return Obstacle(True, "unknown", f"OpenVINO says: {said}", f"install the newest NPU driver from {NPU_DRIVERS}")


def gpu_obstacle(machine: Machine, plugins: list[str], said: str, root: Path = ROOT) -> Obstacle:
    """What keeps OpenVINO from the GPU; arguments as for `npu_obstacle`."""
    if not _pci_devices(root, "0x03"):
        return Obstacle(False, "hardware", "no Intel GPU in this machine", "")
    node = next(iter(sorted((root / "dev/dri").glob("renderD*"))), None)
    if node is None:
        return Obstacle(
            True,
            "kernel",
            "the GPU is there, but the kernel driver (i915 or xe) made no /dev/dri/renderD node",
            "use the newest kernel of your distribution, then: sudo modprobe i915 || sudo modprobe xe",
        )
    if not may_open(node):
        return _no_permission(node, root)
    if not any((root / "etc/OpenCL/vendors").glob("*intel*.icd")):
        return Obstacle(
            True,
            "driver",
            "the GPU's OpenCL driver is not installed",
            machine.system_install("opencl", "install Intel's compute runtime (OpenCL)"),
        )
    if "libopenvino_intel_gpu_plugin.so" not in plugins:
        return _no_plugin("GPU", machine)
    return Obstacle(
        True,
        "unknown",
        f"OpenVINO says: {said}",
        "update the compute runtime: " + machine.system_install("opencl", "install Intel's compute runtime (OpenCL)"),
    )


def _no_permission(node: Path, root: Path) -> Obstacle:
    shown = "/" + node.relative_to(root).as_posix()
    return Obstacle(
        True,
        "permission",
        f"this user may not open {shown}",
        "sudo usermod -aG render $USER, then log out and in again",
    )


def _no_plugin(device: str, machine: Machine) -> Obstacle:
    return Obstacle(
        True,
        "plugin",
        f"this OpenVINO has no {device} plugin, though the driver is there",
        machine.pip_install("draco-edge[openvino]") + " (pip's wheel has it)",
    )


def _pci_devices(root: Path, class_prefix: str) -> list[Path]:
    """Intel's PCI devices of a class: 0x1200 processing accelerators, 0x03 displays."""
    found = []
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        try:
            vendor, kind = ((device / name).read_text(encoding="utf-8").strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor == INTEL and kind.startswith(class_prefix):
            found.append(device)
    return found


def _library(name: str, root: Path) -> bool:
    if root == ROOT and ctypes.util.find_library(name):
        return True
    return any(True for folder in LIBRARY_FOLDERS for _ in (root / folder).glob(f"lib{name}.so*"))
