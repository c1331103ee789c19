"""What proofs stand on: programs, downloads in a cache folder, bundles to prove."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).parents[2]
SETUP_LIMIT_S = 1500
LARGEST_BUNDLE = 3_000_000  # bytes of all its files
PAUSE_S = 10  # before something that needs the network is tried again


class ProofFailed(Exception):
    """Something that was to be proved does not hold, or could not be set up; the message is for people."""


def cache() -> Path:
    """Where downloads and userlands are kept between calls; safe to delete."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "draco-edge" / "boards"


def run(
    *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, limit_s: int = SETUP_LIMIT_S
) -> str:
    """Run a program and give its standard output.

    Raises:
        ProofFailed: it is not there, took too long, or ended with another status than 0; with its last lines.
    """
    command = [str(word) for word in words]
    environment = {**os.environ, **(env or {})}
    # Into files, not pipes: a pipe is open as long as any service that the program left behind (Wine does).
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            status = subprocess.run(
                command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=limit_s,
                check=False,
            ).returncode  # fmt: skip
        except FileNotFoundError:
            raise ProofFailed(f"{command[0]} is not installed") from None
        except subprocess.TimeoutExpired:
            raise ProofFailed(f"{' '.join(command)[:200]} did not end within {limit_s} s") from None
        said, wrong = (_text(file) for file in (out, err))
    if status:
        last = (wrong.strip() or said.strip()).splitlines()[-12:]
        raise ProofFailed(f"{' '.join(command)[:200]} ended with {status}:\n  " + "\n  ".join(last))
    return said


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def need_programs(programs: Mapping[str, str]) -> None:
    """Install what is missing with apt-get, where this user may.

    Args:
        programs: program to the Debian package that brings it.

    Raises:
        ProofFailed: it is missing and cannot be installed from here.
    """
    missing = sorted({package for program, package in programs.items() if not _found(program)})
    if not missing:
        return
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise ProofFailed(f"needs {', '.join(missing)}: sudo {' '.join(install)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    patient = ["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"]

    def bring() -> None:
        run("apt-get", "update", "-q", *patient, env=quiet)
        run(*install, *patient, env=quiet)

    again(bring)


def mirror() -> str:
    """The address that this machine takes Debian's packages from."""
    listed = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    usual = [address for address in listed if "security" not in address and "debian" in address]
    return (usual or ["http://deb.debian.org/debian/"])[0]


def again(bring: Callable[[], None]) -> None:
    """Do something that needs the network; once more where it fails.

    Raises:
        ProofFailed: it failed twice.
    """
    try:
        bring()
    except ProofFailed as error:
        print(f"      trying again: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
        time.sleep(PAUSE_S)
        bring()


def _found(program: str) -> bool:
    return bool(shutil.which(program)) or Path("/", program).exists() or Path("/usr/sbin", program).exists()


def made(name: str, recipe: str, make: Callable[[Path], None]) -> Path:
    """A folder in the cache, made once for each recipe; one that was left half made is made anew.

    A second call at the same time waits for the first.

    Args:
        recipe: text that says all that went into it, versions above all.
        make: fills the folder, which is empty, at its final place (some contents know their own path).
    """
    folder = cache() / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    stamp = folder / ".complete"

    def anew() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(folder)

    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of when the file is closed, even by a crash
        if not stamp.exists():
            again(anew)
            stamp.write_text(recipe)
    return folder


@dataclass
class Bundles:
    """Bundles of the project's models, exported when first asked for.

    Attributes:
        model: as `--model` of edge.export.
    """

    model: str
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="draco-boards-")))

    def get(
        self,
        target: str,
        precision: str = "int8",
        model: str | None = None,
        more: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Path:
        """Path of the bundle; `more` are further words of the call, `env` further variables."""
        model = model or self.model
        name = "-".join([Path(model).stem, target, precision, *(word.strip("-") for word in more)])
        place = self.folder / name
        if not place.exists():
            call = ["--target", target, "--precision", precision, "--model", model, "--out", place, *more]
            # On a busy machine several threads of one operator mostly wait for each other.
            environment = {"OMP_NUM_THREADS": "1", **(env or {})}
            run(sys.executable, "-m", "edge.export", *call, cwd=REPOSITORY, env=environment)
            size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
            if self.model == model == "edge" and not more and size > LARGEST_BUNDLE:
                raise ProofFailed(f"{name} is {size / 1e6:.1f} MB, more than the {LARGEST_BUNDLE / 1e6:g} of a board's")
        return place

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
