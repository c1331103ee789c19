"""The model compiled ahead of time for a generation of NPU, so that a board need not wait for its compiler.

A bundle keeps what was compiled beside the IR, and its manifest's notes name the files by device and architecture as
OpenVINO tells them: ``{"compiled": {"NPU.4000": "npu-4000.blob"}}``. What fits no board is never loaded, and what a
board's driver does not take is compiled there from the IR.
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge import command
from edge.bundle import Bundle
from edge.errors import EdgeError
from targets.openvino.files import WEIGHTS, XML
from targets.openvino.runtime import import_openvino, last_line, own_core

GENERATIONS = {"3720": "Meteor Lake", "4000": "Lunar Lake", "5010": "Panther Lake"}
PROGRAM_VARIABLE = "DRACO_EDGE_NPU_COMPILER"
NOTE = "compiled"
LIMIT_S = 900


def imported(core: Any, bundle: Bundle, place: str, settings: dict[str, Any]) -> Any | None:
    """The compiled model for the device `place`, from the bundle; None where it holds none that this device takes.

    A file that was meant for this device and is refused (by another driver version) is told on standard error.

    Raises:
        BundleError: the manifest's notes name the files in another way.
    """
    names = bundle.note(NOTE, Mapping[str, str], {})
    if not names:
        return None
    try:
        architecture = core.get_property(place, "DEVICE_ARCHITECTURE")
    except RuntimeError:  # AUTO has none
        return None
    name = names.get(f"{place.split('.', maxsplit=1)[0]}.{architecture}")
    if name not in bundle.files:
        return None
    try:
        return core.import_model(io.BytesIO(bundle.files[name]), place, settings)
    except RuntimeError as error:
        command.say(f"{place} does not take {name} ({last_line(error)}); compiling the model here instead")
        return None


def compiler(device: str) -> Callable[[Bundle], Bundle]:
    """What adds the compiled model to a bundle of this target.

    The compiler is OpenVINO's own, where its package or the NPU's driver brings one; or the program that the variable
    $DRACO_EDGE_NPU_COMPILER names, called with MODEL.xml, the file to write, and the generation.

    Args:
        device: ``NPU`` for every generation, ``NPU.4000`` for one.

    Raises:
        EdgeError: another device, or there is no compiler on this machine.
    """
    kind, _, generation = device.upper().partition(".")
    if kind != "NPU" or (generation and generation not in GENERATIONS):
        known = ", ".join(f"NPU.{number} ({name})" for number, name in GENERATIONS.items())
        raise EdgeError(f"there is no compiling ahead of time for {device}: choose NPU, or one of {known}")
    program = shlex.split(os.environ.get(PROGRAM_VARIABLE, ""))
    if not program:
        _look_for_compiler()

    def compiled(bundle: Bundle) -> Bundle:
        files, notes = dict(bundle.files), dict(bundle.manifest.notes)
        notes[NOTE] = {}
        for number in [generation] if generation else GENERATIONS:
            command.say(f"compiling for NPU {number} ({GENERATIONS[number]})")
            name = f"npu-{number}.blob"
            files[name] = _by_program(program, bundle, number) if program else _by_openvino(bundle, number)
            notes[NOTE][f"NPU.{number}"] = name
        return Bundle.assemble(replace(bundle.manifest, notes=notes), files, bundle.path)

    return compiled


def _look_for_compiler() -> None:
    ov = import_openvino()
    from openvino import opset13

    nothing = opset13.parameter([1, 4], ov.Type.f32)
    model = ov.Model([opset13.relu(nothing)], [nothing])
    try:
        own_core().compile_model(model, "NPU", {"NPU_PLATFORM": next(iter(GENERATIONS))})
    except RuntimeError as error:
        raise EdgeError(
            f"there is no NPU compiler on this machine ({last_line(error)}): leave --device out, and the board "
            "compiles the model at its first start; or install intel-driver-compiler-npu; or name a program in "
            f"{PROGRAM_VARIABLE} (see docs/boards/intel.md)"
        ) from error


def _by_openvino(bundle: Bundle, generation: str) -> bytes:
    core = own_core()
    model = core.read_model(bundle.files[XML], bundle.files[WEIGHTS])
    try:
        return core.compile_model(model, "NPU", {"NPU_PLATFORM": generation}).export_model().getvalue()
    except RuntimeError as error:
        raise EdgeError(f"the NPU compiler refuses the model for {generation}: {last_line(error)}") from error


def _by_program(program: list[str], bundle: Bundle, generation: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        for name in (XML, WEIGHTS):
            Path(folder, name).write_bytes(bundle.files[name])
        out = Path(folder, "compiled.blob")
        # Into files, not pipes: a pipe is open as long as any process that the program left behind.
        with open(Path(folder, "said"), "w+b") as said:
            try:
                status = subprocess.run(
                    [*program, str(Path(folder, XML)), str(out), generation],
                    stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=LIMIT_S, check=False,
                ).returncode  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as error:
                raise EdgeError(f"{program[0]}, named in {PROGRAM_VARIABLE}, does not run: {error}") from error
            said.seek(0)
            lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
        if status or not out.is_file() or not out.stat().st_size:
            raise EdgeError(
                f"the NPU compiler refuses the model for {generation}: {(lines or ['no reason given'])[-1]}"
            )
        return out.read_bytes()
