"""What a forked child has of its parent's models: the memory, without the threads that work in it.

There, a runtime waits for ever for threads that stayed with the parent: in its next answer, when it is closed, or when
the interpreter ends and takes down what is left. So a child uses nothing of this, and frees nothing of it.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class OfOneProcess(Protocol):
    """Something whose threads stay where it was made."""

    def forked(self) -> None:
        """Called in a child, which has a copy of it: nothing of the parent's may be waited for or freed."""
        ...


_live: weakref.WeakSet[OfOneProcess] = weakref.WeakSet()


def watch(owner: OfOneProcess) -> None:
    """Have `owner` told in every child that is forked while it lives."""
    _live.add(owner)


def never_free(thing: object) -> None:
    """Keep it until the process has ended, past the end of the interpreter too."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


class Lock:
    """A lock that is free in a forked child, whichever thread of the parent held it."""

    def __init__(self) -> None:
        self.forked()
        watch(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            yield

    def forked(self) -> None:
        """See `OfOneProcess`."""
        self._lock = threading.Lock()


def _in_child() -> None:
    for owner in list(_live):
        owner.forked()


os.register_at_fork(after_in_child=_in_child)
