"""Memory for frames that is taken once and does not grow over weeks.

Frames are large and pass from thread to thread. The C library by itself gives each thread a heap of its own, and every
large block back to the kernel as soon as it is free: heaps grow beside each other without anything leaking, and at each
frame the kernel has to clear thousands of pages anew, a sixth of all processor time of a 640x480 video.
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np

# glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGEST_IN_HEAP = 32 * 2**20  # the most that glibc takes; a frame of 3840x2160 has 24 MiB
KEPT_FREE = 64 * 2**20
MOST_KEPT = 8


def keep_heap() -> None:
    """Let all threads share one heap that keeps its free blocks for the next frame.

    For a process that does nothing but stream; to be called before it starts threads. Without effect where the C
    library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGEST_IN_HEAP)
        mallopt(M_TRIM_THRESHOLD, KEPT_FREE)


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
