"""What all sources that libav decodes share: packets to RGB frames, colours as the stream declares them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from edge import command
from edge.errors import SourceError
from edge.streams.faults import BrokenFrame, SourceLost, SourceStalled
from edge.streams.frame import SWS_MATRIX, Colour, Frame, StreamInfo

FULL, LIMITED = 2, 1


class LibavSource:
    """Frames of the best video stream of anything that libav opens.

    Args:
        name: for messages.
        place: path, address or file object.
        container: libav's name of the format; None to find out.
        options: of libav's demuxer and protocol.
        timeouts_s: for opening and for reading, None for never.
    """

    live = False

    def __init__(
        self,
        name: str,
        place: Any,
        *,
        container: str | None = None,
        options: Mapping[str, str] | None = None,
        timeouts_s: tuple[float, float] | None = None,
    ) -> None:
        self.name = name
        self._place = place
        self._format = container
        self._options = dict(options or {})
        self._timeouts_s = timeouts_s
        self._av: Any = None
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())
        self._audio: list[Any] = []
        self._seen = 0
        self._next_stamp = Fraction(0)
        self._turn_key: tuple[int, int] = (0, 0)
        self._quarter_turns = 0

    def open(self) -> StreamInfo:
        av = self._av = command.require("av", "stream")
        av.logging.set_level(None)  # what goes wrong arrives as an exception; libav's own lines would flood the log
        try:
            self._container = av.open(
                self._place,
                format=self._format,
                options=self._options,
                timeout=self._timeouts_s,
                metadata_errors="ignore",
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._cannot_open(error) from error
        if not self._container.streams.video:
            raise SourceError(f"{self.name} holds no video")
        video = self._container.streams.best("video") or self._container.streams.video[0]
        # Frame threads decode faster, slice threads without delay.
        video.thread_type = "SLICE" if self.live else "AUTO"
        audio = self._container.streams.best("audio")
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._rate = video.average_rate or video.guessed_rate
        self._expected = video.frames if not self.live else 0
        self._frames = self._decoded(video, audio)
        if audio is not None and not self.live:
            self._frames = _one_behind(self._frames)
        context = video.codec_context  # whose `pix_fmt` ends the process before PyAV 18 where libav found none
        pixels = context.format.name if context.format else ""
        return StreamInfo(
            context.width,
            context.height,
            Fraction(self._rate) if self._rate else None,
            Fraction(video.time_base or Fraction(1, 90000)),
            colour_of(context, pixels).with_matrix_for(context.width, context.height),
            None if audio is None else _description_of(av, audio),
            video.frames or None,
        )

    def read(self) -> Frame | None:
        av = self._av
        try:
            frame = next(self._frames, None)
        except av.error.ExitError as error:
            raise SourceStalled(
                f"{self.name} gave nothing for {self._timeouts_s[1] if self._timeouts_s else 0:g} s"
            ) from error
        except av.error.InvalidDataError as error:
            if self.live:
                raise SourceLost(f"{self.name} sends what cannot be read ({_reason(error)})") from error
            raise SourceError(f"{self.name} is damaged after frame {self._seen} ({_reason(error)})") from error
        except (av.error.FFmpegError, OSError) as error:
            raise SourceLost(f"{self.name} was lost ({_reason(error)})") from error
        if frame is None:
            self._ended()
            return None
        if isinstance(frame, Exception):
            raise BrokenFrame(f"{self.name}: a frame after number {self._seen} is broken ({_reason(frame)})") from frame
        self._seen += 1
        return self._converted(frame)

    def close(self) -> None:
        container, self._container = self._container, None
        self._frames, self._audio = iter(()), []
        if container is not None:
            container.close()

    def _cannot_open(self, error: Exception) -> SourceError:
        if isinstance(error, self._av.error.InvalidDataError):
            return SourceError(f"{self.name} is damaged or not a video")
        return SourceError(f"cannot open {self.name}: {_reason(error)}")

    def _ended(self) -> None:
        if self.live:
            raise SourceLost(f"{self.name} has ended")
        if not self._seen:
            raise SourceError(f"{self.name} holds no frame that can be decoded")
        if self._seen < self._expected:
            expected, self._expected = self._expected, 0
            raise BrokenFrame(f"{self.name} ends after {self._seen} of {expected} frames; the file is cut short")

    def _decoded(self, video: Any, audio: Any) -> Iterator[Any]:
        """Frames, and the error in place of each packet that cannot be decoded."""
        for packet in self._container.demux([s for s in (video, audio) if s is not None]):
            if audio is not None and packet.stream_index == audio.index:
                if packet.dts is not None:
                    self._audio.append(packet)
                    del self._audio[:-2000]  # a stream of sound without pictures
                continue
            try:
                yield from packet.decode()
            except self._av.error.EOFError:
                return
            except self._av.error.FFmpegError as error:
                yield error

    def _converted(self, frame: Any) -> Frame:
        captured_at = time.monotonic()
        if frame.pts is None or frame.time_base is None:
            stamp = self._next_stamp
        else:
            stamp = frame.pts * Fraction(frame.time_base)
        self._next_stamp = stamp + (1 / Fraction(self._rate) if self._rate else Fraction(1, 30))
        picture, owned = to_rgb(frame, self._reformatter)
        if turns := self._turns(frame):
            picture, owned = np.ascontiguousarray(np.rot90(picture, turns)), True
        audio, self._audio = tuple(self._audio), []
        return Frame(picture, stamp, captured_at, owned=owned, audio=audio)

    def _turns(self, frame: Any) -> int:
        """Quarter turns that the file asks its player for; telephones film so."""
        key = (frame.width, frame.height)
        if key != self._turn_key:
            self._turn_key, self._quarter_turns = key, round(frame.rotation / 90) % 4
        return self._quarter_turns


def _description_of(av: Any, audio: Any) -> Any:
    """What a sink needs to know of a stream of sound, kept apart from the container: a sink may open after the source
    was closed, and libav frees a stream with its container.
    """
    return av.open(os.devnull, "w", "null").add_stream_from_template(audio)


def _one_behind(frames: Iterator[Any]) -> Iterator[Any]:
    """The same, each only when the next is there: so the last frame takes along the sound that comes after it."""
    held = next(frames, None)
    while held is not None:
        fault: Exception | None = None
        try:
            following = next(frames, None)
        except Exception as error:  # comes after the frame that is held
            following, fault = None, error
        yield held
        if fault is not None:
            raise fault
        held = following


def to_rgb(frame: Any, reformatter: Any) -> tuple[np.ndarray, bool]:
    """RGB values of a libav frame, uint8 (H, W, 3), and whether the array is nobody else's."""
    name = frame.format.name
    colour = colour_of(frame, name).with_matrix_for(frame.width, frame.height)
    rgb = reformatter.reformat(
        frame,
        format="rgb24",
        interpolation="FAST_BILINEAR",
        src_colorspace=SWS_MATRIX.get(colour.matrix, 5),
        src_color_range=FULL if colour.full_range else LIMITED,
        dst_color_range=FULL,
    )
    plane = rgb.planes[0]
    picture: np.ndarray = np.ndarray(
        (rgb.height, rgb.width, 3), np.uint8, memoryview(plane), 0, (plane.line_size, 3, 1)
    )
    return picture, name != "rgb24"


def colour_of(described: Any, pixel_format: str) -> Colour:
    """Colour coding of a libav frame or codec context."""
    is_yuv = pixel_format.startswith(("yuv", "nv", "p0", "y2", "uyvy", "gray"))
    return Colour(
        int(described.colorspace),
        int(described.color_primaries),
        int(described.color_trc),
        int(described.color_range) == FULL or pixel_format.startswith("yuvj") or not is_yuv,
    )


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.splitlines()[0][:120] if text else type(error).__name__
