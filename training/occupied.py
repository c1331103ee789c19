"""A run's folder belongs to one process at a time: two that write into it would mix two runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from edge.errors import EdgeError


@contextlib.contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Hold a run's folder, which is made where it is not there; let go of by the block's end or the process's.

    Of the processes that torchrun starts, the first one holds it for all.

    Raises:
        EdgeError: another process holds it, or it cannot be made.
    """
    if int(os.environ.get("RANK", "0")):
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise EdgeError(f"cannot write into {folder}: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise EdgeError(f"another process trains in {folder}; wait for its end, or choose another --out") from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # only of a run that did not begin is it empty
        os.close(handle)
