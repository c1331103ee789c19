"""What was measured on: board, processor, memory, system, versions. No host name, no address, no user name."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edge import __version__, native
from edge.diagnosis import machine as diagnosis

ALWAYS = ("numpy", "opencv-python-headless", "opencv-python")


@dataclass(frozen=True)
class Machine:
    """A machine.

    Attributes:
        board: what people call it: the board's model, or the processor of a computer; `--board` replaces it.
        processor: its model, as the kernel says; on virtual machines often no more than a family's name.
        instructions: the instruction sets that the speed of a network hangs on (`edge.diagnosis.machine`), which tell
            apart processors that go by one name; empty where they are not known.
        cores: processor threads that this process may use.
        memory_mb: of the machine.
        system, kernel, python: their names and versions.
        id: twelve hexadecimal digits that tell two machines of one model apart, and machines that were started from one
            image on other processors; they say nothing else of them.
        virtual: whether it says that it is a virtual machine.
    """

    board: str
    processor: str
    architecture: str
    cores: int
    memory_mb: int
    system: str
    kernel: str
    python: str
    id: str
    virtual: bool
    instructions: tuple[str, ...]


def this_machine(board: str | None = None, root: Path = Path("/")) -> Machine:
    """The machine that this runs on.

    Args:
        board: a name for it; None for its own.
        root: where its file system starts.
    """
    found, instructions = diagnosis.this_machine(root), diagnosis.instruction_sets(root)
    return Machine(
        board=board or (found.processor if found.family == "pc" else found.board),
        processor=found.processor,
        architecture=found.architecture,
        cores=len(os.sched_getaffinity(0)),
        memory_mb=_memory_mb(_text(root / "proc/meminfo")),
        system=found.system,
        kernel=platform.release(),
        python=found.python,
        id=_id(_text(root / "etc/machine-id"), found.processor, instructions),
        virtual=" hypervisor" in _text(root / "proc/cpuinfo"),
        instructions=instructions,
    )


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Versions of this tool, of the image library, and of other packages, as far as installed.

    ``draco-edge loops`` says whether this tool's loops in C are built here.
    """
    loops = "not built" if native.loops is None else "built"
    found = {"draco-edge": __version__, "draco-edge loops": loops}
    for name in (*ALWAYS, *distributions):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _memory_mb(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def _id(machine_id: str, processor: str, instructions: Iterable[str]) -> str:
    told = f"draco-edge:{machine_id.strip()}:{processor}:{','.join(instructions)}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]
