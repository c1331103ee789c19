"""Intel's NPU compiler takes the OpenVINO model.

The compiler is in no Linux package that can be had without the driver; the Windows wheel of OpenVINO has it, and Wine
runs it. A blob that comes out shows that the model is accepted for that generation, not how fast it is there.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tests.boards.ground import Bundles, ProofFailed, made, need_programs, run

VERSION = "2026.4.1"
PLATFORMS = {"3720": "Meteor Lake", "4000": "Lunar Lake", "5010": "Panther Lake"}
SOURCE = Path(__file__).parent / "npu_compile.c"
COMPILE_LIMIT_S = 300
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
    wine = run("wine", "--version", env=_wine(folder)).split()[0]
    bundle = bundles.get("openvino")
    work = bundles.folder / "npu"
    work.mkdir(exist_ok=True)
    for name in ("model.xml", "model.bin"):
        shutil.copy(bundle / name, work)
    for platform, generation in PLATFORMS.items():
        blob = work / f"{platform}.blob"
        compile_one = ["wine", "npu_compile.exe", _windows(work / "model.xml"), _windows(blob), platform]
        run(*compile_one, cwd=folder / "openvino" / "libs", env=_wine(folder), limit_s=COMPILE_LIMIT_S)
        if not blob.exists() or blob.stat().st_size < LEAST_BLOB_BYTES:
            raise ProofFailed(f"{bundle.name} for NPU {platform} ({generation}): the compiler made no blob")
        yield (
            f"NPU compiler of OpenVINO {VERSION} under {wine}, {bundle.name}: compiled for {platform} ({generation}), "
            f"blob {blob.stat().st_size / 1e6:.2f} MB"
        )


def _windows(path: Path) -> str:
    return "Z:" + str(path.absolute()).replace("/", "\\")


def _wine(folder: Path) -> dict[str, str]:
    return {
        "WINEPREFIX": str(folder / "wine"),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",  # no questions about .NET and Gecko
        "DISPLAY": "",
    }
