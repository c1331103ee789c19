"""Time in a stream: backing off, thinning to a rate, playing a file at its own speed, and time stamps in order."""

from __future__ import annotations

import threading
from fractions import Fraction

from edge.errors import EdgeError
from edge.streams.limits import FASTEST_FPS, SLOWEST_FPS

JITTER = Fraction(1, 200)


def check_rate(fps: float | None, slowest: float = SLOWEST_FPS) -> None:
    """
    Raises:
        EdgeError: not a number of frames a second between `slowest` and 1000, nor None.
    """
    if fps is not None and not slowest <= fps <= FASTEST_FPS:
        raise EdgeError(f"fps must lie between {slowest:g} and {FASTEST_FPS:g}, not {fps:g}")


class Backoff:
    """Waits between attempts, twice as long each time: 0.25 s up to 10 s."""

    FIRST_S, LONGEST_S = 0.25, 10.0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """It worked: begin anew."""
        self._next_s = self.FIRST_S

    def next_s(self) -> float:
        """How long to wait now, in seconds."""
        now_s, self._next_s = self._next_s, min(2 * self._next_s, self.LONGEST_S)
        return now_s

    def wait(self, stopping: threading.Event) -> None:
        """Wait, or return at once when `stopping` is set."""
        stopping.wait(self.next_s())


class Thinning:
    """Keeps at most so many frames per second of a stream's own time.

    Raises:
        EdgeError: as `check_rate`.
    """

    def __init__(self, fps: float | None) -> None:
        check_rate(fps)
        self._step = None if fps is None else 1 / Fraction(fps).limit_denominator(100_000)
        self._due: Fraction | None = None

    def keeps(self, time: Fraction) -> bool:
        """Whether the frame of that time stamp is kept."""
        if self._step is None:
            return True
        if self._due is None or time - self._due > 2 * self._step or self._due - time > 2 * self._step:
            self._due = time  # the first, or after a gap
        # Cameras jitter: a frame a little early is the one that was due.
        if time < self._due - min(self._step / 4, JITTER):
            return False
        self._due += self._step
        return True


class Timeline:
    """Puts the time stamps of a source in order, across reconnections and clocks that jump.

    Stamps that rise by less than `largest_step` seconds are kept exactly. One that repeats, falls or leaps is placed
    by the time that really went by since the frame before.

    Args:
        keep_origin: the first stamp stays what it is (files) rather than becoming 0.
    """

    def __init__(self, keep_origin: bool = False, largest_step: float = 10.0) -> None:
        self._keep_origin = keep_origin
        self._largest_step = Fraction(largest_step)
        self._offset: Fraction | None = None
        self._begun = False
        self._last = Fraction(0)
        self._last_captured_at = 0.0
        self.jumps = 0

    def reopened(self) -> None:
        """The next stamp counts from an origin of its own."""
        if self._begun:
            self._offset = None

    def place(self, stamp: Fraction, captured_at: float) -> Fraction:
        """The frame's time in the stream, in seconds; always later than the one before."""
        if not self._begun:
            self._begun = True
            self._offset = Fraction(0) if self._keep_origin else -stamp
            self._last = stamp + self._offset
        else:
            time = None if self._offset is None else stamp + self._offset
            if time is None or not 0 < time - self._last <= self._largest_step:
                self.jumps += self._offset is not None
                went_by = Fraction(max(captured_at - self._last_captured_at, 0)).limit_denominator(1_000_000)
                time = self._last + min(max(went_by, Fraction(1, 1000)), self._largest_step)
                self._offset = time - stamp
            self._last = time
        self._last_captured_at = captured_at
        return self._last
