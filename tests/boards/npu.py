"""Intel's NPU compiler takes the OpenVINO model.

The compiler is in no Linux package that can be had without the driver; the Windows wheel of OpenVINO has it, and Wine
runs it. A blob that comes out shows that the model is accepted for that generation, not how fast it is there.
"""

from __future__ import annotations

import shlex
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.bundle import Bundle
from targets.openvino.ahead import GENERATIONS, NOTE, PROGRAM_VARIABLE
from tests.boards.ground import Bundles, ProofFailed, made, need_programs, run

VERSION = "2026.4.1"
SOURCE = Path(__file__).parent / "npu_compile.c"
LEAST_BLOB_BYTES = 10_000


def set_up() -> Path:
    need_programs(
        {"usr/lib/wine/wine64": "wine64", "wine": "wine", "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64-posix"}
    )

    def make(folder: Path) -> None:
        run(
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--platform", "win_amd64",
            "--python-version", "311", "--only-binary=:all:", "--dest", folder, f"openvino=={VERSION}",
        )  # fmt: skip
        (wheel,) = folder.glob("openvino-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        wheel.unlink()
        libraries = folder / "openvino" / "libs"
        run(
            "x86_64-w64-mingw32-gcc", "-O2", "-I", folder / "openvino" / "include", SOURCE,
            "-o", libraries / "npu_compile.exe", libraries / "openvino_c.dll",
        )  # fmt: skip
        run("wineboot", "-i", env=_wine(folder))
        run("wineserver", "-w", env=_wine(folder))

    return made("npu", f"openvino {VERSION} {SOURCE.read_text()}", make)


def prove(folder: Path, bundles: Bundles) -> Iterator[str]:
    """`edge.export --device NPU`, with this compiler: the edge model, and the full one."""
    compiler = _program(folder, bundles.folder / "npu-compiler")
    wine = run("wine", "--version", env=_wine(folder)).split()[0]
    for model in (bundles.model, "full"):
        env = {PROGRAM_VARIABLE: str(compiler)}
        with _server(folder):
            place = bundles.get("openvino", model=model, more=("--device", "NPU"), env=env)
        bundle = Bundle.read(place)
        compiled = bundle.manifest.notes[NOTE]
        if list(compiled) != [f"NPU.{generation}" for generation in GENERATIONS]:
            raise ProofFailed(f"{bundle.manifest.name}: compiled for {', '.join(compiled)} only")
        for name in compiled.values():
            if len(bundle.files[name]) < LEAST_BLOB_BYTES:
                raise ProofFailed(f"{bundle.manifest.name}: {name} of {len(bundle.files[name])} bytes is no model")
        sizes = ", ".join(
            f"{generation} ({GENERATIONS[generation]}) {len(bundle.files[compiled[f'NPU.{generation}']]) / 1e6:.2f} MB"
            for generation in GENERATIONS
        )
        total = sum(map(len, bundle.files.values())) / 1e6
        yield (
            f"NPU compiler of OpenVINO {VERSION} under {wine}, {Path(model).stem} model in INT8: compiled for {sizes}; "
            f"the bundle is {total:.2f} MB"
        )


@contextmanager
def _server(folder: Path) -> Iterator[None]:
    """One server for all of Wine's programs meanwhile: who meets one that is just ending is cut off."""
    run("wineserver", "--wait", env=_wine(folder))  # for that of an earlier run
    run("wineserver", "--persistent=60", env=_wine(folder))  # seconds, should this process be killed
    try:
        yield
    finally:
        run("wineserver", "--kill", env=_wine(folder))


def _program(folder: Path, place: Path) -> Path:
    """The compiler as a program that edge.export can call."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in _wine(folder).items())
    executable = shlex.quote(str(folder / "openvino" / "libs" / "npu_compile.exe"))
    # Wine takes Unix paths as they are on its drive Z:, which is the root.
    place.write_text(f'#!/bin/sh\n{exports}exec wine {executable} "$@"\n')
    place.chmod(0o755)
    return place


def _wine(folder: Path) -> dict[str, str]:
    return {
        "WINEPREFIX": str(folder / "wine"),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",  # no questions about .NET and Gecko
        "DISPLAY": "",
    }
