"""A GStreamer pipeline, run by gst-launch-1.0 in a process of its own.

Its frames come through a pipe as YUV4MPEG, which carries size and rate. A process that hangs or crashes takes
nothing with it, and no Python bindings of GStreamer have to match this Python.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from typing import IO, Any

from edge.errors import SourceError
from edge.streams.faults import SourceLost
from edge.streams.frame import Frame, StreamInfo
from edge.streams.sources.libav import LibavSource
from edge.streams.spec import Spec


class GStreamerSource(LibavSource):
    """The place is a pipeline without its sink, for example `gst:v4l2src ! video/x-raw,width=640,height=480`."""

    live = True

    def __init__(self, spec: Spec, fps: float | None) -> None:  # noqa: ARG002
        self._pipeline = spec.place
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        super().__init__("the GStreamer pipeline", None, container="yuv4mpegpipe")

    def open(self) -> StreamInfo:
        if not self._pipeline.strip():
            raise SourceError("gst: needs a pipeline, for example --source 'gst:videotestsrc ! video/x-raw,width=640'")
        program = shutil.which("gst-launch-1.0")
        if program is None:
            raise SourceError(
                "gst-launch-1.0 is not installed: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-good"
            )
        try:
            elements = shlex.split(self._pipeline)
        except ValueError as error:
            raise SourceError(f"the GStreamer pipeline cannot be read ({error})") from error
        reading, writing = os.pipe()
        tail = f"! videoconvert ! video/x-raw,format=I420 ! y4menc ! fdsink sync=false fd={writing}".split()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._process = subprocess.Popen(
            [program, "-q", *elements, *tail],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        self._place = os.fdopen(reading, "rb", buffering=0)
        try:
            return super().open()
        except SourceError as error:
            raise SourceError(f"the GStreamer pipeline gives no video: {self._why() or error}") from None

    def read(self) -> Frame | None:
        try:
            return super().read()
        except SourceLost as error:
            raise SourceLost(f"the GStreamer pipeline ended: {self._why() or error}") from None

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        super().close()
        for file in (self._place, self._complaints):
            _close(file)
        self._process = self._place = self._complaints = None

    def _why(self) -> str:
        """The first complaint of gst-launch."""
        if self._process is None or self._complaints is None:
            return ""
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            return ""
        self._complaints.seek(0)
        lines = self._complaints.read(10_000).decode(errors="replace").splitlines()
        return next((line.strip() for line in lines if line.startswith(("ERROR", "WARNING"))), "")


def _close(file: Any) -> None:
    if file is not None:
        file.close()
