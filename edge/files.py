"""Files that are there whole or not at all: written beside their place, brought to the disk, and renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge.errors import EdgeError


@contextmanager
def whole_file(path: Path, beside: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file to write, which appears at `path` only when the block ends well, in place of an older one.

    Whatever else ends the block, Ctrl-C too, leaves nothing behind. Permissions are those of any new file.

    Args:
        beside: folder on the same file system for the unfinished file; None for that of `path`.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    # A short name: names have 255 bytes, and that of path may need them all.
    unfinished = (path.parent if beside is None else beside) / f".{secrets.token_hex(8)}.part"
    try:
        with open(unfinished, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_whole(path: str | Path, content: bytes, failure: type[EdgeError] = EdgeError) -> None:
    """Write a file whole or not at all, in place of an older one; its folder is made.

    Args:
        failure: kind of the error.

    Raises:
        EdgeError: of that kind: it cannot be written, or a folder, device or pipe is there; what was there before
            still is.
    """
    path = Path(path)
    if os.path.exists(path) and not path.is_file():
        raise failure(f"cannot write {path}: it is {'a folder' if path.is_dir() else 'no plain file'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        kept = "; the file that was there before is untouched" if os.path.exists(path) else ""
        raise failure(f"cannot write {path}: {error.strerror or error}{kept}") from error


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, so that what was renamed in it stays so after a power cut.

    Raises:
        OSError: it is no folder, or cannot be read.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
