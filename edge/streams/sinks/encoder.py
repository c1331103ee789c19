"""H.264 (or another codec) into a container: what recorded files and network streams share."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from edge import command
from edge.errors import EdgeError, SinkError
from edge.streams.faults import DiskFull, SinkLost
from edge.streams.frame import SWS_MATRIX, Frame, StreamInfo
from edge.streams.sinks.fit import fit
from edge.streams.spec import Spec

OPTIONS = ("codec", "crf", "bitrate", "preset")
WORST_CRF, MOST_BITS = 51, 1e9
CODECS = {"h264": "libx264", "hevc": "libx265"}
PRESET, PRESETS_LOOKAHEAD = "veryfast", 10
PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"),
    "placebo",
)
LOOKAHEAD_BYTES = 24 * 2**20  # what x264 may hold to look ahead at; it keeps 3 bytes for each pixel of a waiting frame
FULL, LIMITED = 2, 1
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_coding(spec: Spec) -> None:
    """
    Raises:
        EdgeError: `crf`, `bitrate` or `preset` is none, or there is an encoder by no such name as `codec`.
    """
    crf = spec.number("crf", 20)
    if crf > WORST_CRF:
        raise EdgeError(f"{spec.text}: crf is a number from 0, the best, to {WORST_CRF}, not {crf:g}")
    if "bitrate" in spec.options:
        _bits(spec.options["bitrate"])
    if (preset := spec.options.get("preset", PRESET)) not in PRESETS:
        raise EdgeError(f"{spec.text}: preset is one of {', '.join(PRESETS)}, not {preset!r}")
    if (name := spec.options.get("codec", "h264")) not in CODECS:
        av = command.require("av", "stream")
        try:
            known = av.Codec(name, "w").type == "video"
        except ValueError:  # av.codec.codec.UnknownCodecError is one
            known = False
        if not known:
            raise EdgeError(f"{spec.text}: codec is h264, hevc or libav's name of a video encoder, not {name!r}")


class Encoder:
    """One video and at most one copied audio track into one libav container.

    Args:
        name: for messages.
        place: path or address.
        container: libav's name of the format.
        options: the user's: `codec` (h264, hevc, or libav's name of an encoder), `crf` (quality, 0 best, default
            20), `bitrate` (as 4M; instead of crf), `preset` (default veryfast).
        container_options: libav's, of muxer and protocol.
        live: no delay in the encoder.
        timeouts_s: for opening and writing, None for never.

    Attributes:
        remark: what people should know of the file or stream that was opened; empty for nothing.
    """

    def __init__(
        self,
        name: str,
        place: str,
        *,
        container: str,
        options: Mapping[str, str],
        container_options: Mapping[str, str],
        live: bool,
        timeouts_s: tuple[float, float] | None = None,
    ) -> None:
        self.name = name
        self._place = place
        self._format = container
        self._options = options
        self._container_options = dict(container_options)
        self._live = live
        self._timeouts_s = timeouts_s
        self._container: Any = None
        self.remark = ""
        self._audio: Any = None
        self._size = (0, 0)
        self._last_pts = -1
        self._reformatter: Any = None

    def open(self, info: StreamInfo) -> None:
        """Begin the file or stream; without sound where the container cannot hold it.

        Raises:
            SinkError: it cannot be begun.
        """
        av = self._av = command.require("av", "stream")
        av.logging.set_level(None)
        self.remark = ""
        try:
            try:
                self._begin(info)
            except (av.error.FFmpegError, ValueError) as error:
                if info.audio is None or isinstance(error, OSError):
                    raise
                self._begin(replace(info, audio=None))
                self.remark = f"{self.name} cannot hold {info.audio.codec_context.name} sound, it is left out; .mkv can"
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._fault(error, "cannot write") from error
        self._reformatter = av.video.reformatter.VideoReformatter()

    def _begin(self, info: StreamInfo) -> None:
        container = self._av.open(
            self._place, "w", self._format, container_options=self._container_options, timeout=self._timeouts_s
        )
        try:
            self._add_video(container, info)
            self._audio = None if info.audio is None else container.add_stream_from_template(info.audio)
            container.start_encoding()
        except BaseException:
            _close_quietly(container)
            raise
        self._container = container

    def write(self, frame: Frame) -> None:
        """
        Raises:
            SinkLost: the place takes no more.
        """
        picture = np.ascontiguousarray(fit(frame.picture, *self._size))
        rgb = self._av.VideoFrame.from_numpy_buffer(picture, "rgb24")
        coded = self._reformatter.reformat(
            rgb,
            format=self._video.codec_context.pix_fmt,
            interpolation="FAST_BILINEAR",  # the default's rounding tints grey in full range
            src_color_range=FULL,
            dst_colorspace=SWS_MATRIX[self._colour.matrix],
            dst_color_range=FULL if self._colour.full_range else LIMITED,
        )
        coded.time_base = self._time_base
        coded.pts = self._last_pts = max(round(frame.time / self._time_base), self._last_pts + 1)
        try:
            self._copy_audio(frame)
            self._container.mux(self._video.encode(coded))
        except (self._av.error.FFmpegError, OSError) as error:
            raise self._fault(error, "lost") from error

    def close(self) -> None:
        """Finish what was begun; what is in the encoder goes out first.

        Raises:
            SinkError: the end could not be written.
        """
        container, self._container = self._container, None
        if container is None:
            return
        try:
            try:
                container.mux(self._video.encode(None))
            finally:
                container.close()
        except (self._av.error.FFmpegError, OSError) as error:
            raise self._fault(error, "could not finish") from error

    def _add_video(self, container: Any, info: StreamInfo) -> None:
        codec = CODECS.get(self._options.get("codec", "h264"), self._options.get("codec", "h264"))
        software = codec.startswith("libx26")
        video = container.add_stream(codec, rate=info.rate or Fraction(30))
        context = video.codec_context
        context.width, context.height = self._size = info.width, info.height
        # 4:2:0 has even sizes; odd ones keep every pixel in 4:4:4.
        context.pix_fmt = "yuv420p" if info.width % 2 == info.height % 2 == 0 else "yuv444p"
        context.time_base = self._time_base = info.time_base
        context.thread_count = _processors()  # x264 by itself takes half as many again, which only take turns
        context.max_b_frames = 0  # so that time stamps begin where the first frame's does
        context.gop_size = max(1, round(2 * float(info.rate or 30)))
        if "bitrate" in self._options:
            context.bit_rate = _bits(self._options["bitrate"])
        elif software:
            context.options = {"crf": self._options.get("crf", "20")}
        else:
            context.bit_rate = 8 * info.width * info.height
        if software:
            context.options = {**context.options, **self._pace(codec, info.width * info.height)}
        self._colour = info.colour.with_matrix_for(info.width, info.height)
        context.colorspace = self._colour.matrix
        context.color_primaries = self._colour.primaries
        context.color_trc = self._colour.transfer
        context.color_range = FULL if self._colour.full_range else LIMITED
        self._video = video
        self._last_pts = -1

    def _pace(self, codec: str, pixels: int) -> dict[str, str]:
        """How long the encoder thinks, and how many frames it holds meanwhile."""
        options = {"preset": self._options.get("preset", PRESET)}
        if codec == "libx265":
            options["x265-params"] = "log-level=none"  # it writes to standard error by itself
        if self._live:
            options["tune"] = "zerolatency"
        elif codec == "libx264" and options["preset"] == PRESET:
            options["rc-lookahead"] = str(min(PRESETS_LOOKAHEAD, max(1, LOOKAHEAD_BYTES // (3 * pixels))))
        return options

    def _copy_audio(self, frame: Frame) -> None:
        if self._audio is None:
            return
        for packet in frame.audio:
            shift = round(frame.shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts += shift
            packet.stream = self._audio
            self._container.mux(packet)

    def _fault(self, error: Exception, what: str) -> SinkError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        message = f"{what} {self.name}: {reason.splitlines()[0][:160]}"
        if getattr(error, "errno", None) in FULL_DISK:
            return DiskFull(message)
        if what == "cannot write" and not self._timeouts_s:
            return SinkError(message)
        return SinkLost(message)


def _processors() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bits(text: str) -> int:
    """Bits per second from `4M`, `800k` or `2500000`.

    Raises:
        SinkError: it is none of these.
    """
    factor = {"k": 1e3, "m": 1e6}.get(text[-1:].lower(), 1)
    try:
        bits = float(text[:-1] if factor > 1 else text) * factor
    except ValueError:
        bits = float("nan")
    if not 1 <= bits <= MOST_BITS:
        raise SinkError(f"bitrate is a number of bits a second such as 4M or 800k, not {text!r}")
    return int(bits)


def _close_quietly(container: Any) -> None:
    if container is not None:
        with contextlib.suppress(Exception):  # the error that led here says more
            container.close()
