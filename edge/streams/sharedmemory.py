"""Frames in shared memory: one process writes, any number of others look at the newest without copying.

A file of /dev/shm, little-endian, so that a detector in any language can read it:

    0     8 bytes   magic "DRACOFR1"
    8     uint64    how many slots
    16    uint64    bytes from one slot to the next
    24    uint64    sequence number of the newest frame; 0 before the first
    32    uint64    1 when the writer has closed it
    40    uint64    process id of the writer
    4096  slots, each:
        0   uint64  sequence number of the frame in it, from 1; 0 while it is being written
        8   uint64  number of the frame in its stream
        16  int64   time stamp in the stream, in nanoseconds
        24  int64   time of capture, CLOCK_MONOTONIC, in nanoseconds
        32  uint64  width
        40  uint64  height
        64  the frame, uint8 RGB, rows without padding

Frame n lies in slot n % slots. A reader takes the newest sequence number, looks at the frame, and then looks whether
the slot still holds that number: if not, the writer has come round and the frame was overwritten meanwhile. With four
slots that takes three frame times.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from edge.errors import SinkError, SourceError

FOLDER = Path("/dev/shm")
MAGIC = b"DRACOFR1"
HEADER_BYTES, SLOT_HEADER_BYTES = 4096, 64
SLOTS = 4
NEWEST, CLOSED, WRITER = 3, 4, 5  # which uint64 of the header


@dataclass(frozen=True)
class SharedFrame:
    """A frame that lies in shared memory.

    Attributes:
        picture: uint8 RGB (H, W, 3), read-only, valid while `whole()` is true. Copy it to keep it.
        sequence: counts the frames written, from 1.
        number: of the frame in its stream.
        time_s: its time stamp in the stream.
        captured_at: when it was captured, in seconds of `time.monotonic`, on this machine.
    """

    picture: np.ndarray
    sequence: int
    number: int
    time_s: float
    captured_at: float
    _slot: np.ndarray

    def whole(self) -> bool:
        """Whether the frame is still there as it was written. Ask after you have used it."""
        return int(self._slot[0]) == self.sequence


class FrameWriter:
    """Puts frames into shared memory.

    Args:
        name: of the file in /dev/shm. One that is left over from a process that died is replaced.
        width, height: of the largest frame.

    Raises:
        SinkError: no such name is possible, there is no room, or a running process writes there.
    """

    def __init__(self, name: str, width: int, height: int) -> None:
        if not name or "/" in name or name.startswith("."):
            raise SinkError(f"shared memory has a plain name such as shm:frames, not {name!r}")
        self._path = FOLDER / name
        self._refuse_running_writer()
        self.capacity = width * height * 3
        self._slot_bytes = -(-(SLOT_HEADER_BYTES + self.capacity) // 4096) * 4096
        size = HEADER_BYTES + SLOTS * self._slot_bytes
        beside = FOLDER / f".{name}.{os.getpid()}"
        try:
            handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.posix_fallocate(handle, 0, size)  # now rather than as a bus error later
                self._map = mmap.mmap(handle, size)
            finally:
                os.close(handle)
            self._map[:8] = MAGIC
            self._header = np.frombuffer(self._map, np.uint64, HEADER_BYTES // 8)
            self._header[1:3] = SLOTS, self._slot_bytes
            self._header[WRITER] = os.getpid()
            os.replace(beside, self._path)  # readers never see one that is half set up
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise SinkError(f"cannot make shared memory {name}: {error.strerror}") from error
        self._inode = self._path.stat().st_ino
        self._sequence = 0

    def write(self, picture: np.ndarray, number: int, time_s: float, captured_at: float) -> None:
        """Put a frame, uint8 RGB (H, W, 3), where readers find it."""
        self._sequence += 1
        start = HEADER_BYTES + self._sequence % SLOTS * self._slot_bytes
        slot = np.frombuffer(self._map, np.uint64, SLOT_HEADER_BYTES // 8, start)
        pixels = np.frombuffer(self._map, np.uint8, picture.size, start + SLOT_HEADER_BYTES)
        slot[0] = 0
        # Copying lets go of the interpreter's lock and takes it again, which orders the stores on every processor.
        np.copyto(pixels.reshape(picture.shape), picture)
        slot[1] = number
        slot[2:4].view(np.int64)[:] = int(time_s * 1e9), int(captured_at * 1e9)
        slot[4:6] = picture.shape[1], picture.shape[0]
        slot[0] = self._sequence
        self._header[NEWEST] = self._sequence

    def close(self) -> None:
        """Tell readers that no more comes, and take the name away."""
        self._header[CLOSED] = 1
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        del self._header
        with contextlib.suppress(BufferError):  # a view of it is still in use in this process
            self._map.close()

    def _refuse_running_writer(self) -> None:
        try:
            with open(self._path, "rb") as file:
                header = file.read(48)
        except OSError:
            return
        if header[:8] != MAGIC:
            raise SinkError(f"{self._path} exists and is not ours; choose another name")
        closed, writer = (int.from_bytes(header[8 * k : 8 * k + 8], "little") for k in (CLOSED, WRITER))
        if not closed and writer != os.getpid() and Path(f"/proc/{writer}").exists():
            raise SinkError(f"process {writer} writes to shared memory {self._path.name} already; choose another name")


class SharedFrames:
    """Reads the newest frame of a `FrameWriter` in another process.

    >>> with SharedFrames("frames") as frames:      # doctest: +SKIP
    ...     for frame in frames:
    ...         detect(frame.picture)

    Raises:
        SourceError: there is no such shared memory, or it is something else.
    """

    def __init__(self, name: str) -> None:
        path = FOLDER / name
        try:
            with open(path, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise SourceError(
                f"there are no shared frames named {name!r}; does edge.run write to shm:{name}?"
            ) from error
        if self._map[:8] != MAGIC:
            raise SourceError(f"{path} holds no shared frames")
        self._header = np.frombuffer(self._map, np.uint64, HEADER_BYTES // 8)
        self._slots, self._slot_bytes = (int(value) for value in self._header[1:3])
        self._last = 0

    def newest(self, timeout_s: float = 1.0) -> SharedFrame | None:
        """The newest frame that this reader has not had; None when none came for `timeout_s` seconds or the writer
        has closed.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            sequence = int(self._header[NEWEST])
            if sequence > self._last:
                frame = self._frame(sequence)
                if frame is not None:
                    self._last = sequence
                    return frame
                continue
            if self.closed or time.monotonic() >= deadline:
                return None
            time.sleep(0.0005)

    @property
    def closed(self) -> bool:
        """Whether the writer has ended, in order or not."""
        return bool(self._header[CLOSED]) or not Path(f"/proc/{int(self._header[WRITER])}").exists()

    def __iter__(self) -> Iterator[SharedFrame]:
        while True:
            frame = self.newest()
            if frame is not None:
                yield frame
            elif self.closed:
                return

    def close(self) -> None:
        """Let go of the memory; frames that are still held keep it until they go."""
        del self._header
        with contextlib.suppress(BufferError):
            self._map.close()

    def __enter__(self) -> SharedFrames:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _frame(self, sequence: int) -> SharedFrame | None:
        start = HEADER_BYTES + sequence % self._slots * self._slot_bytes
        slot = np.frombuffer(self._map, np.uint64, SLOT_HEADER_BYTES // 8, start)
        number, width, height = int(slot[1]), int(slot[4]), int(slot[5])
        time_ns, captured_ns = (int(value) for value in slot[2:4].view(np.int64))
        if int(slot[0]) != sequence or not 0 < width * height * 3 <= self._slot_bytes - SLOT_HEADER_BYTES:
            return None
        pixels = np.frombuffer(self._map, np.uint8, width * height * 3, start + SLOT_HEADER_BYTES)
        return SharedFrame(pixels.reshape(height, width, 3), sequence, number, time_ns / 1e9, captured_ns / 1e9, slot)
