"""A board over the user's own ssh: their configuration, their keys, their known hosts."""

from __future__ import annotations

import contextlib
import io
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from edge.errors import EdgeError, WrongCall

CONNECTION_LOST = 255  # ssh's own exit status for anything that is not the remote command's


class DeployError(EdgeError):
    """Something on the way to the board, or on it, that could not be done."""


@dataclass(frozen=True)
class Destination:
    """HOST:DIR, as scp and rsync write it."""

    host: str
    folder: str

    @staticmethod
    def parse(text: str) -> Destination:
        """
        Raises:
            WrongCall: it is not HOST:DIR.
        """
        host, colon, folder = text.partition(":")
        if not colon or not host or not folder or host.startswith("-") or "\n" in text or "\0" in text:
            raise WrongCall(f"{text!r} is not HOST:DIR; for example pi@drone.local:~/bundles")
        return Destination(host, folder.rstrip("/") or "/")


class Board:
    """Runs shell scripts on a board, all over one connection, so that a password is asked for once.

    Args:
        ssh: the ssh program with options of the user's own, as a shell would split it.

    Raises:
        WrongCall: `ssh` cannot be split, or is empty.
    """

    def __init__(self, host: str, ssh: str = "ssh") -> None:
        try:
            command = shlex.split(ssh)
        except ValueError as error:
            raise WrongCall(f"--ssh {ssh!r} cannot be read ({error}); quote it as for a shell") from None
        if not command:
            raise WrongCall("--ssh is empty: name the ssh program, or leave it out")
        self.host = host
        self._sockets = tempfile.TemporaryDirectory(prefix="draco-")
        share = ["-o", "ControlMaster=auto", "-o", f"ControlPath={self._sockets.name}/%C", "-o", "ControlPersist=30"]
        self._ssh = [*command, *share]

    def run(self, script: str, *arguments: str, send: bytes = b"") -> str:
        """Run a POSIX shell script with arguments $1, $2, ... and give its standard output.

        Raises:
            DeployError: the connection failed, or the script did; the message holds what it said.
        """
        remote = shlex.join(["sh", "-euc", script, "sh", *arguments])
        try:
            done = subprocess.run([*self._ssh, self.host, remote], input=send, capture_output=True, check=False)
        except OSError as error:
            raise DeployError(f"cannot start {self._ssh[0]}: {error.strerror}; install the OpenSSH client") from error
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode == CONNECTION_LOST:
            raise DeployError(f"no connection to {self.host}: {_last(said) or 'ssh gave no reason'}")
        if done.returncode:
            raise DeployError(f"{self.host}: {_last(said) or f'ended with status {done.returncode}'}")
        return done.stdout.decode(errors="replace")

    def __enter__(self) -> Board:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):  # no ssh to start: no connection either, and `run` has said so
            subprocess.run([*self._ssh, "-O", "exit", self.host], capture_output=True, check=False)
        self._sockets.cleanup()


def as_tar(files: Mapping[str, bytes]) -> bytes:
    """Files as an uncompressed tar archive, readable by all, owned by whoever unpacks it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def read_key(path: Path) -> bytes:
    """
    Raises:
        EdgeError: there is no such file.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise EdgeError(f"cannot read the public key {path}: {error.strerror}") from error


def _last(text: str) -> str:
    """The last line that says something; the connection's own farewell does not."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Shared connection to")]
    return lines[-1].removeprefix("edge.deployment.board: ") if lines else ""
