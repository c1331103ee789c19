"""What becomes of models when a process forks, and when its interpreter ends.

A forked child has the memory of its parent's models, without the threads that work in it. There, a runtime waits for
ever for threads that stayed with the parent: in its next answer, when it is closed, or when the interpreter ends and
takes down what is left. So a child uses nothing of this, and frees nothing of it.

A daemon thread that is inside of a runtime when the interpreter ends takes the whole process with it (SIGABRT). So
streams are closed before, calls that are under way are waited for, and no other thread begins a new one.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from edge.errors import EdgeError

LONGEST_CALL_S = 10.0  # how long the end waits for a call of a runtime that is under way


class OfOneProcess:
    """Something whose threads stay where it was made; see `watch`.

    Attributes:
        ends: whose turn it is when the interpreter ends; streams come first, what they use later.
    """

    ends = 1

    def forked(self) -> None:
        """Called in a child, which has a copy of it: nothing of the parent's may be waited for or freed."""

    def ending(self) -> None:
        """Called when the interpreter ends, by the thread that ends it; functions of `atexit` may still follow."""


_live: weakref.WeakSet[OfOneProcess] = weakref.WeakSet()


def watch(owner: OfOneProcess) -> None:
    """Have `owner` told of every child that is forked, and of the interpreter's end, while it lives."""
    _live.add(owner)


def never_free(thing: object) -> None:
    """Keep it until the process has ended, past the end of the interpreter too."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


class Turn(OfOneProcess):
    """Who may call a runtime: one thread at a time, which may come again, and at the interpreter's end only its last.

    In a forked child it is free, whichever thread of the parent had it.
    """

    def __init__(self) -> None:
        self._since = 0.0
        self._ender: int | None = None
        self.forked()
        watch(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """
        Raises:
            EdgeError: the interpreter ends, by another thread than this one.
        """
        with self._lock:
            self._since = time.monotonic()
            if self._ender not in (None, threading.get_ident()):
                raise EdgeError("the program ends: this thread cannot use the model any more")
            yield

    def forked(self) -> None:
        """See `OfOneProcess`."""
        self._lock = threading.RLock()

    def ending(self) -> None:
        """See `OfOneProcess`."""
        self._ender = threading.get_ident()  # first: a thread that comes again at once would keep the lock
        left_s = max(0.0, self._since + LONGEST_CALL_S - time.monotonic())
        if self._lock.acquire(blocking=False) or self._lock.acquire(timeout=left_s):
            self._lock.release()


def _in_child() -> None:
    for owner in list(_live):
        owner.forked()


def _at_exit() -> None:
    for owner in sorted(_live, key=lambda owner: owner.ends):
        owner.ending()


os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
