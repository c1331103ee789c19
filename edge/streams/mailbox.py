"""What stands between two threads of a stream: a short queue that waits, or lets the newest frame win."""

from __future__ import annotations

import threading
from collections import deque

from edge.streams.frame import Frame

LIMIT_BYTES = 8 * 2**20


class Closed(Exception):
    """The other side is done."""


class Mailbox:
    """A queue of frames between one writer and one reader.

    Args:
        depth: how many frames may wait; never more than 8 MiB of them, but always one.
        newest_wins: a full mailbox gives up its oldest frame rather than make the writer wait. Audio that came
            with a frame given up goes to the next.
    """

    def __init__(self, depth: int, newest_wins: bool) -> None:
        self._depth = depth
        self._newest_wins = newest_wins
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, frame: Frame) -> int:
        """Hand over a frame.

        Returns:
            How many frames were given up for it.

        Raises:
            Closed: nobody takes frames any more.
        """
        size = frame.picture.nbytes
        given_up = 0
        with self._changed:
            while not self._closed and self._full(size):
                if not self._newest_wins:
                    self._changed.wait()
                    continue
                old = self._frames.popleft()
                self._bytes -= old.picture.nbytes
                given_up += 1
                if old.audio:
                    heir = self._frames[0] if self._frames else frame
                    heir.audio = old.audio + heir.audio
            if self._closed:
                raise Closed
            self._frames.append(frame)
            self._bytes += size
            self._changed.notify_all()
        return given_up

    def get(self, timeout: float | None = None) -> Frame | None:
        """The oldest frame; None when `timeout` seconds went by without one.

        Raises:
            Closed: no frame is left and none will come.
        """
        with self._changed:
            if not self._frames and not self._closed:
                self._changed.wait(timeout)
            if not self._frames:
                if self._closed:
                    raise Closed
                return None
            frame = self._frames.popleft()
            self._bytes -= frame.picture.nbytes
            if not self._newest_wins:
                self._changed.notify_all()
            return frame

    def close(self) -> None:
        """No more frames come; the reader still gets what waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> int:
        """Nobody reads any more. Returns how many frames were waiting."""
        with self._changed:
            self._closed = True
            waiting = len(self._frames)
            self._frames.clear()
            self._bytes = 0
            self._changed.notify_all()
            return waiting

    def _full(self, size: int) -> bool:
        return bool(self._frames) and (len(self._frames) >= self._depth or self._bytes + size > LIMIT_BYTES)
