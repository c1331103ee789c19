"""Which machine this is, and how things are installed on it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
CLONE = Path(__file__).parents[2]
MANAGERS = {
    "apt-get": "sudo apt install",
    "dnf": "sudo dnf install",
    "pacman": "sudo pacman -S",
    "zypper": "sudo zypper install",
}

# What a system package is called, by package manager; a missing name falls back on words.
PACKAGES = {
    "opencl": {"apt-get": "intel-opencl-icd", "dnf": "intel-compute-runtime", "pacman": "intel-compute-runtime"},
    "picamera2": {"apt-get": "python3-picamera2"},
    "v4l2": {"apt-get": "v4l-utils", "dnf": "v4l-utils", "pacman": "v4l-utils", "zypper": "v4l-utils"},
    "gstreamer": {
        "apt-get": "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good python3-gi "
        "gir1.2-gst-plugins-base-1.0",
        "dnf": "gstreamer1 gstreamer1-plugins-base gstreamer1-plugins-good python3-gobject",
        "pacman": "gstreamer gst-plugins-base gst-plugins-good python-gobject",
    },
    "compiler": {
        "apt-get": "gcc python3-dev",
        "dnf": "gcc python3-devel",
        "pacman": "gcc",
        "zypper": "gcc python3-devel",
    },
    "tensorrt": {"apt-get": "nvidia-jetpack python3-libnvinfer"},
}

# MIDR part numbers of the boards that people have, Raspberry Pi 3 to 5 and Jetson Nano to Orin.
ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd42": "Cortex-A78AE",
}


# Instruction sets that the speed of a network hangs on, by the flags of x86 and ARM processors in /proc/cpuinfo.
INSTRUCTION_SETS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX INT8",
    "asimd": "NEON",
    "asimddp": "dot product",
    "i8mm": "I8MM",
    "sve": "SVE",
}


@dataclass(frozen=True)
class Machine:
    """This machine.

    Attributes:
        board: as it calls itself, for example ``Raspberry Pi 5 Model B Rev 1.0``.
        family: ``raspberry-pi``, ``jetson`` or ``pc``.
        system: operating system, for example ``Debian GNU/Linux 12 (bookworm)``.
        architecture: for example ``aarch64``.
        processor: for example ``Cortex-A76``.
        python: version of this interpreter.
        manager: name of the package manager's program, empty if none is known.
        in_venv: this interpreter belongs to a virtual environment.
        sees_system_packages: this interpreter sees the system's Python packages.
    """

    board: str
    family: str
    system: str
    architecture: str
    processor: str
    python: str
    manager: str
    in_venv: bool
    sees_system_packages: bool

    def system_install(self, key: str, otherwise: str) -> str:
        """The command that installs a system package here, or words where the package manager has none."""
        package = PACKAGES[key].get(self.manager)
        return f"{MANAGERS[self.manager]} {package}" if package else otherwise

    def pip_install(self, requirement: str) -> str:
        """The command that installs a Python package here; outside a virtual environment it makes one first."""
        if self.in_venv:
            return f"{sys.executable} -m pip install '{requirement}'"
        if requirement.startswith("draco-edge[") and (CLONE / "pyproject.toml").is_file():  # a new one does not have it
            requirement = requirement.replace("draco-edge", str(CLONE), 1)
        site = " --system-site-packages" if self.family in ("raspberry-pi", "jetson") else ""
        return f"python3 -m venv{site} ~/draco && ~/draco/bin/pip install '{requirement}'"


def this_machine(root: Path = ROOT) -> Machine:
    """Look at this machine; `root` is where its file system starts."""
    board = _read(root / "proc/device-tree/model").rstrip("\0").strip()
    vendor, product = (_read(root / f"sys/class/dmi/id/{field}").strip() for field in ("sys_vendor", "product_name"))
    family = "pc"
    if "Raspberry Pi" in board:
        family = "raspberry-pi"
    elif (root / "etc/nv_tegra_release").exists() or "Jetson" in board:
        family = "jetson"
    release = dict(line.split("=", 1) for line in _read(root / "etc/os-release").splitlines() if "=" in line)
    in_venv = sys.prefix != sys.base_prefix
    settings = _read(Path(sys.prefix) / "pyvenv.cfg") if in_venv else ""
    return Machine(
        board=board or " ".join(part for part in (vendor, product) if part) or "unknown",
        family=family,
        system=release.get("PRETTY_NAME", platform.platform()).strip('"'),
        architecture=platform.machine(),
        processor=processor_name(root),
        python=platform.python_version(),
        manager=next((name for name in MANAGERS if shutil.which(name)), ""),
        in_venv=in_venv,
        sees_system_packages=not in_venv or "include-system-site-packages = true" in settings.lower(),
    )


def processor_name(root: Path = ROOT) -> str:
    """The processor's name as Linux tells it; on ARM its part number is translated."""
    lines = [line.partition(":") for line in _read(root / "proc/cpuinfo").splitlines()]
    for wanted, translate in (("model name", str), ("CPU part", lambda part: ARM_PARTS.get(part, f"ARM part {part}"))):
        for key, _, value in lines:
            if key.strip() == wanted:
                return translate(value.strip())
    return platform.processor() or "unknown"


def instruction_sets(root: Path = ROOT) -> tuple[str, ...]:
    """Those of `INSTRUCTION_SETS` that the processor says it has."""
    lines = [line.partition(":") for line in _read(root / "proc/cpuinfo").splitlines()]
    flags = {flag for key, _, value in lines if key.strip() in ("flags", "Features") for flag in value.split()}
    return tuple(name for flag, name in INSTRUCTION_SETS.items() if flag in flags)


def may_open(path: Path) -> bool:
    """Whether this user may read and write a device node."""
    return os.access(path, os.R_OK | os.W_OK)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
