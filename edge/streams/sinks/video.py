"""Video files that stay playable to the last second, whatever ends the process.

MP4 is written in fragments of a second and Matroska in clusters of a second, each flushed as it is complete, and the
file is synced to disk every two seconds.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from edge.streams.faults import DiskFull
from edge.streams.frame import Frame, StreamInfo
from edge.streams.sinks.encoder import OPTIONS, Encoder, check_coding
from edge.streams.sinks.recording import Recording
from edge.streams.spec import Spec

SYNC_S = 2.0
SPARE_BYTES = 32 * 2**20  # what stays free on the disk, so that the file can be ended and the machine goes on
# delay_moov: the header is written with the first fragment, when it is known where picture and sound begin.
MP4 = {
    "movflags": "frag_keyframe+delay_moov+default_base_moof+frag_discont",
    "frag_duration": "1000000",
    "movie_timescale": "90000",
}
FORMATS = {
    ".mp4": ("mp4", MP4),
    ".m4v": ("mp4", MP4),
    ".mov": ("mov", MP4),
    ".mkv": ("matroska", {"cluster_time_limit": "1000"}),
    ".ts": ("mpegts", {}),
}


class VideoSink:
    """The place may hold {n}, the next free number, and {time}, the UTC time. Options: see `Encoder`."""

    drain_s = 5.0
    remark = ""

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:
        spec.check_options(OPTIONS)
        check_coding(spec)
        self._spec = spec
        self._live = live
        self._recording = Recording(spec.place, live, overwrite)
        self._encoder: Encoder | None = None
        self._path = Path(spec.place)
        self._handle = -1
        self._sync_at = 0.0
        self.made = ""

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        self._path = self._recording.begin()
        container, options = FORMATS[self._path.suffix.lower()]
        self._check_room()
        self._encoder = Encoder(
            str(self._path),
            f"file:{self._path}",
            container=container,
            options=self._spec.options,
            container_options={**options, "flush_packets": "1"},
            live=self._live,
        )
        self._encoder.open(info)
        self.remark = self._encoder.remark
        self._recording.begun()
        self.made = str(self._path)
        self._handle = os.open(self._path, os.O_RDONLY)
        self._sync_at = time.monotonic() + SYNC_S

    def write(self, frame: Frame) -> None:
        assert self._encoder is not None
        self._encoder.write(frame)
        if time.monotonic() >= self._sync_at:
            self._sync()
            self._check_room()
            self._sync_at = time.monotonic() + SYNC_S

    def close(self) -> None:
        encoder, self._encoder = self._encoder, None
        try:
            if encoder is not None:
                encoder.close()
        finally:
            if self._handle >= 0:
                self._sync()
                os.close(self._handle)
                self._handle = -1

    def _sync(self) -> None:
        try:
            os.fdatasync(self._handle)
        except OSError as error:
            raise DiskFull(f"cannot write {self._path}: {error.strerror}") from error

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._path.parent).free
        if free < SPARE_BYTES:
            raise DiskFull(f"the disk of {self._path} is full ({free >> 20} MiB left)")
