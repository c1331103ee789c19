"""picamera2 and libcamera as a Raspberry Pi has them, on libcamera's virtual camera.

Shows that frames come through unmodified picamera2 with its own formats and padding, and that every request is given
back. Says nothing of a real sensor: its exposure, its rate, its lens.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.boards.ground import REPOSITORY, Bundles, ProofFailed, made, mirror, need_programs, run

FRAMES = 300
HERE = Path(__file__).parent
DEBIAN = "python3 python3-venv python3-dev python3-libcamera libcamera-ipa libcap-dev gcc libc6-dev ca-certificates"
WHEELS = "picamera2==0.3.34 opencv-python-headless==4.12.0.88 ai-edge-litert==2.3.0 pillow==13.0.0"
VIRTUAL_CAMERA = """\
"Virtual0":
  supported_formats:
  - width: 640
    height: 480
    frame_rates:
    - 30
    - 30
  - width: 320
    height: 240
    frame_rates:
    - 30
    - 30
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "Virtual camera of libcamera"
"""
# The mounts live in a namespace of their own and are gone with the program.
INSIDE = """
root=$1
shift
mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind "$REPOSITORY" "$root/opt/project"
test -z "$BUNDLES" || mount --bind "$BUNDLES" "$root/opt/bundles"
exec chroot "$root" "$@"
"""


def set_up() -> Path:
    if os.geteuid() != 0:
        raise ProofFailed("needs root, for debootstrap and chroot: sudo make test-targets, or --skip camera")
    need_programs({"debootstrap": "debootstrap", "unshare": "util-linux", "chroot": "coreutils"})

    def make(folder: Path) -> None:
        packages = ",".join(DEBIAN.split())
        run("debootstrap", "--variant=minbase", f"--include={packages}", "trixie", folder, mirror())
        shutil.copy("/etc/resolv.conf", folder / "etc")
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "etc/ssl/certs")
        for name in ("project", "bundles", "stand-ins"):
            (folder / "opt" / name).mkdir()
        _chroot(folder, "python3", "-m", "venv", "--system-site-packages", "/opt/venv")
        _chroot(folder, "/opt/venv/bin/pip", "install", "--quiet", *WHEELS.split())
        configuration = folder / "usr/share/libcamera/pipeline/virtual"
        configuration.mkdir(parents=True)
        (configuration / "virtual.yaml").write_text(VIRTUAL_CAMERA)
        shutil.copy(HERE / "pykms.py", folder / "opt/stand-ins")
        shutil.copy(HERE / "dma_heap.c", folder / "opt/stand-ins")
        _chroot(folder, "gcc", "-shared", "-fPIC", "-O2", "-o", "/opt/stand-ins/dma_heap.so",
                "/opt/stand-ins/dma_heap.c", "-ldl")  # fmt: skip

    stand_ins = "".join((HERE / name).read_text() for name in ("dma_heap.c", "pykms.py"))
    return made("camera", f"trixie {DEBIAN} {WHEELS} {VIRTUAL_CAMERA} {stand_ins}", make)


def prove(folder: Path, bundles: Bundles) -> Iterator[str]:
    bundle = bundles.get("rpi")
    out = _chroot(
        folder, "env", "LD_PRELOAD=/opt/stand-ins/dma_heap.so", "PYTHONPATH=/opt/stand-ins:/opt/project",
        "PYTHONDONTWRITEBYTECODE=1", "LIBCAMERA_LOG_LEVELS=*:ERROR", "/opt/venv/bin/python",
        "/opt/project/tests/boards/camera_run.py", f"/opt/bundles/{bundle.name}", str(FRAMES),
        bundles=bundles.folder,
    )  # fmt: skip
    seen = json.loads(out.splitlines()[-1])
    counted = re.search(r"(\d+) of (\d+) frames", seen["said"])
    if seen["status"] or not counted or int(counted[2]) != FRAMES or not int(counted[1]):
        raise ProofFailed(f"not {FRAMES} frames came through: {seen}")
    if seen["still_open"] or seen["files_left"] > 0:
        raise ProofFailed(f"{seen['still_open']} requests and {seen['files_left']} files were not given back")
    if seen["small"] != [320, 240]:
        raise ProofFailed(f"the network did not see the camera's own small picture, but {seen['small']}")
    yield (
        f"picamera2 {seen['picamera2']} on libcamera's virtual camera (Debian trixie), {bundle.name}: {FRAMES} frames "
        f"into edge.run, {counted[1]} cleared and the others dropped for newer ones, {seen['requests']} requests, at "
        f"most {seen['most_open']} at once, all given back; the network saw the camera's own 320x240 picture (lores)"
    )


def _chroot(folder: Path, *words: str, bundles: Path | None = None) -> str:
    environment = {
        "REPOSITORY": str(REPOSITORY), "BUNDLES": str(bundles or ""), "HOME": "/root",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PIP_FIND_LINKS": "",
    }  # fmt: skip
    return run("unshare", "--mount", "sh", "-euc", INSIDE, "sh", folder, *words, env=environment)
