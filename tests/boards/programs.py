"""Tests of the project that need programs which few workstations have: an SSH server, systemd, GStreamer.

`make test` leaves them out where the programs are missing; here they are installed, and none may be left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.boards.ground import REPOSITORY, Bundles, ProofFailed, need_programs, run

PLUGINS = "usr/lib/x86_64-linux-gnu/gstreamer-1.0"
PROGRAMS = {
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "systemd-analyze": "systemd",
    "gst-launch-1.0": "gstreamer1.0-tools",
    f"{PLUGINS}/libgstvideotestsrc.so": "gstreamer1.0-plugins-base",
    f"{PLUGINS}/libgsty4menc.so": "gstreamer1.0-plugins-good",
}
TESTS = {
    "edge.deploy with its cuts, and the hardened unit": ["tests/edge/test_deploy.py"],
    "frames of videotestsrc through edge.stream": ["tests/edge/streams/test_sinks.py", "-k", "gstreamer"],
}
LIMIT_S = 900


def set_up() -> Path:
    need_programs(PROGRAMS)
    return REPOSITORY


def prove(repository: Path, bundles: Bundles) -> Iterator[str]:
    programs = (f"{_line('ssh', '-V')}, {_line('systemd-analyze', '--version')}", _line("gst-launch-1.0", "--version"))
    for (what, words), program in zip(TESTS.items(), programs, strict=True):
        call = ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *words]
        last = run(sys.executable, *call, cwd=repository, limit_s=LIMIT_S).splitlines()[-1]
        counted = re.search(r"(\d+) passed", last)
        if not counted or "skipped" in last:
            raise ProofFailed(f"{what}: some tests were left out: {last}")
        yield f"{program}: {what}: {counted[1]} tests passed"


def _line(*words: str) -> str:
    """What a program says of its version; some say it on standard error."""
    return run("sh", "-c", '"$@" 2>&1', "sh", *words).splitlines()[0]
