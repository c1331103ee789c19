"""Engines on the disk, so that a board builds each of them once."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import EdgeError
from edge.files import whole_file
from targets.cache import VARIABLE, cache_folder

FOLDER = "engines"


def key(model: bytes, gpu: str, tensorrt_version: str, precision: str) -> str:
    """Name of an engine: it changes when the model, the GPU, TensorRT or the precision does."""
    digest = hashlib.sha256()
    for part in (hashlib.sha256(model).digest(), gpu.encode(), tensorrt_version.encode(), precision.encode()):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:32]


def cached_engine(name: str, build: Callable[[], bytes], folder: Path | None = None) -> tuple[bytes, bool]:
    """The engine of that name; built under a lock if it is not there, and written whole.

    Two processes that start together build once: the second waits and reads what the first wrote.

    Returns:
        The engine, and whether it came from the disk.

    Raises:
        EdgeError: the folder cannot be written.
    """
    folder = cache_folder(FOLDER) if folder is None else folder
    place = folder / f"{name}.engine"
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go of when the file is closed, even by a crash
            content = _read(place)
            if content is not None:
                return content, True
            content = build()
            _write(place, content)
            return content, False


def engine_folder(name: str) -> Path:
    """A folder for a runtime that keeps engines itself.

    Raises:
        EdgeError: it cannot be made.
    """
    folder = cache_folder(FOLDER) / name
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def forget(name: str, folder: Path | None = None) -> None:
    """Remove an engine that TensorRT does not take after all."""
    folder = cache_folder(FOLDER) if folder is None else folder
    (folder / f"{name}.engine").unlink(missing_ok=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what goes wrong with the disk into what to do about it."""
    try:
        yield
    except OSError as error:
        raise EdgeError(
            f"cannot keep the engine in {folder} ({error.strerror or error}); set {VARIABLE} to a folder that can be "
            "written"
        ) from error


def _read(place: Path) -> bytes | None:
    """The engine, if it is there and whole: its first 32 bytes are the digest of the rest."""
    try:
        content = place.read_bytes()
    except FileNotFoundError:
        return None
    return content[32:] if hashlib.sha256(content[32:]).digest() == content[:32] else None


def _write(place: Path, content: bytes) -> None:
    with whole_file(place) as file:
        file.write(hashlib.sha256(content).digest() + content)
