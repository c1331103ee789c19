"""A Raspberry Pi's userland without a Raspberry Pi: real aarch64 programs and wheels under qemu.

Shows that the artefact and the runner work there, and that INT8 answers are byte for byte those of x86 for the same
kernels. Says nothing about speed: emulated time is not a Pi's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.boards.ground import REPOSITORY, Bundles, ProofFailed, made, mirror, need_programs, run

PROCESSORS = {"cortex-a72": "Raspberry Pi 4", "cortex-a76": "Raspberry Pi 5"}
SCRIPT = Path(__file__).parent / "pi_userland.sh"
PROBE = Path(__file__).parent / "pi_probe.py"
LOOPS = Path(__file__).parent / "native_loops.py"
DEBIAN = [
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "zlib1g",
    "libexpat1",
    "libffi8",
    "libssl3",
    "libbz2-1.0",
    "liblzma5",
    "libsqlite3-0",
    "libuuid1",
    "libcrypt1",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3.11-minimal",
]
COMMON = ["numpy==1.26.4", "opencv-python-headless==4.10.0.84"]
# The kernels whose answers are the same on both architectures. What tflite-runtime 2.14 uses by default is not: its x86
# wheel does not hand INT8 to XNNPACK.
RUNTIMES = {
    "LiteRT": (["ai-edge-litert==2.3.0", "flatbuffers==25.2.10"], ["xnnpack", "reference"]),
    "tflite-runtime": (["tflite-runtime==2.14.0"], ["reference"]),
}
ARM = [word for tag in ("manylinux2014", "manylinux_2_27", "manylinux_2_28", "manylinux_2_34", "manylinux_2_35")
       for word in ("--platform", f"{tag}_aarch64")]  # fmt: skip
X86 = [word.replace("aarch64", "x86_64") for word in ARM]


def set_up() -> Path:
    need_programs(
        {
            "qemu-aarch64-static": "qemu-user-static",
            "dpkg": "dpkg",
            "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
            "usr/aarch64-linux-gnu/include/stdio.h": "libc6-dev-arm64-cross",  # recommended only, and needed
        }
    )

    def make(folder: Path) -> None:
        run(SCRIPT, folder, mirror(), *DEBIAN)
        for machine, platforms in (("aarch64", ARM), ("x86_64", X86)):
            _pip(folder / machine / "common", platforms, COMMON)
            for name, (packages, _) in RUNTIMES.items():
                _pip(folder / machine / name, platforms, packages)

    wheels = [packages for packages, _ in RUNTIMES.values()]
    return made("pi", f"{DEBIAN} {COMMON} {wheels} {SCRIPT.read_text()}", make)


def _pip(place: Path, platforms: list[str], packages: list[str]) -> None:
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, *platforms,
        "--python-version", "311", "--implementation", "cp", "--only-binary=:all:", *packages,
    )  # fmt: skip


def prove(folder: Path, bundles: Bundles) -> Iterator[str]:
    yield from _loops(folder, bundles.folder)
    bundle = bundles.get("rpi")
    for name, (_, families) in RUNTIMES.items():
        theirs = _answers(folder, bundles, bundle, name, "x86_64", None)
        for processor, board in PROCESSORS.items():
            ours = _answers(folder, bundles, bundle, name, "aarch64", processor)
            yield _compared(bundle.name, name, f"{processor} ({board})", families, ours, theirs)


def _loops(folder: Path, place: Path) -> Iterator[str]:
    """The loops in C, built for aarch64 and run there, within a grey level of float64."""
    include = run(_python311(), "-c", "import sysconfig; print(sysconfig.get_paths()['include'])").strip()
    source = REPOSITORY / "edge" / "native" / "loops.c"
    built = place / "loops-aarch64"
    built.mkdir()
    run(
        "aarch64-linux-gnu-gcc", "-O3", "-fno-trapping-math", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror",
        f"-I{include}", source, "-o", built / "loops.so",
    )  # fmt: skip
    for processor, board in PROCESSORS.items():
        environment = {
            "PYTHONPATH": str(folder / "aarch64" / "common"),
            "QEMU_LD_PREFIX": str(folder / "sys"),
            "QEMU_CPU": processor,
        }
        python = ["qemu-aarch64-static", str(folder / "sys/usr/bin/python3.11")]
        said = json.loads(run(*python, LOOPS, built, env=environment, limit_s=300).splitlines()[-1])
        if said["machine"] != "aarch64" or said["largest"] > 1 or said["apart"] > 1e-4:
            raise ProofFailed(f"loops in C on {processor}: {said}, which is too far from float64")
        yield (
            f"loops in C on {processor} ({board}): frames within {said['largest']:.2f} grey levels of float64, "
            f"grids within {said['apart']:.0e}"
        )


def _answers(
    folder: Path, bundles: Bundles, bundle: Path, name: str, machine: str, processor: str | None
) -> tuple[dict, dict[str, bytes]]:
    """What one runtime says on one machine, and its raw answers by file name."""
    place = bundles.folder / f"{name}-{machine}-{processor}"
    place.mkdir()
    path = f"{folder / machine / name}:{folder / machine / 'common'}:{REPOSITORY}"
    environment = {"PYTHONPATH": path, "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    python = [_python311(), "-S"]  # nothing of this environment but what is named
    if processor:
        environment |= {"QEMU_LD_PREFIX": str(folder / "sys"), "QEMU_CPU": processor}
        python = ["qemu-aarch64-static", str(folder / "sys/usr/bin/python3.11")]
    out = run(*python, PROBE, bundle, place, *RUNTIMES[name][1], env=environment, limit_s=600)
    return json.loads(out.splitlines()[-1]), {p.name: p.read_bytes() for p in sorted(place.glob("*.npy"))}


def _compared(bundle: str, name: str, where: str, families: list[str], ours: tuple, theirs: tuple) -> str:
    said, raw = ours
    if said["machine"] != "aarch64" or said["runtime"] != name:
        raise ProofFailed(f"ran {said['runtime']} on {said['machine']}, not {name} on aarch64")
    if different := [file for file, content in raw.items() if content != theirs[1].get(file)]:
        raise ProofFailed(f"{name} on {where}, {bundle}: {', '.join(different)} differ from x86")
    if said["families"] != {family: family for family in families}:
        raise ProofFailed(f"{name} on {where}, {bundle}: its answers are not those that the bundle names")
    return (
        f"{name} {said['version']} on {where}, {bundle}: {len(raw)} raw answers to golden frames byte-equal to x86 "
        f"({', '.join(families)}); clear frames by its default kernels within {said['largest']} grey levels"
    )


def _python311() -> str:
    """A Python 3.11 of this machine; the wheels are for that one."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    return run("sh", "-c", "command -v python3.11 || ls ~/.pyenv/versions/3.11*/bin/python | tail -1").strip()
