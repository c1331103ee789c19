"""Memory for frames that does not grow over weeks.

Frames are large and pass from thread to thread. Taken from the heap and given back by other threads, they leave it
in pieces, and a process grows by tens of megabytes an hour though it leaks nothing.
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BYTES = 256 * 1024
MOST_KEPT = 8


def keep_heap_whole() -> None:
    """Let the C library map every large block by itself and unmap it when it is freed, rather than adapt to them.

    For a process that does nothing but stream; without effect where the C library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


class FramePool:
    """Gives arrays for frames, again and again the same ones.

    An array is free when nobody but the pool refers to it, nor to a view of it, which CPython's reference count
    tells; so nobody has to give one back, and whoever keeps a frame keeps it unchanged.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """A uint8 array of that shape, its content undefined."""
        if self._arrays and self._arrays[0].shape != shape:
            self._arrays.clear()
        for index in range(len(self._arrays)):
            # Two: the list's reference, and the call's own.
            if sys.getrefcount(self._arrays[index]) == 2:
                return self._arrays[index]
        fresh = np.empty(shape, np.uint8)
        if len(self._arrays) < MOST_KEPT:
            self._arrays.append(fresh)
        return fresh
