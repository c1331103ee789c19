"""The one syntax for sources and sinks: `[KIND:]PLACE[?OPTION=VALUE&...]`, or `URL[#OPTION=VALUE&...]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from edge.errors import EdgeError
from edge.pictures import FORMATS

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
    | {".ogv", ".h264", ".264", ".h265", ".hevc", ".mjpeg", ".mjpg", ".y4m"}
)
RECORDED_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".ts")
URL_SCHEMES = ("rtsp", "rtsps", "udp", "srt", "rtp", "tcp", "http", "https")
SOURCE_KINDS = ("v4l2", "picamera2", "argus", "gst", "raw", "test")
SINK_KINDS = ("v4l2", "shm", "window", "raw", "none")


@dataclass(frozen=True)
class Spec:
    """A source or sink as the user named it.

    Attributes:
        kind: ``pictures``, ``video``, ``network``, or one of SOURCE_KINDS and SINK_KINDS.
        place: path, address, device, pipeline or name.
        options: what follows the question mark.
    """

    text: str
    kind: str
    place: str
    options: Mapping[str, str] = field(default_factory=dict)

    def size(self) -> tuple[int, int] | None:
        """The option ``size=WIDTHxHEIGHT``.

        Raises:
            EdgeError: it is not of that form.
        """
        if "size" not in self.options:
            return None
        try:
            width, height = (int(number) for number in self.options["size"].lower().split("x"))
        except ValueError:
            width = height = 0
        if not (1 <= width <= 16384 and 1 <= height <= 16384):
            raise EdgeError(f"{self.text}: size is WIDTHxHEIGHT in pixels, for example size=640x480")
        return width, height

    def number(self, name: str, default: float, smallest: float = 0.0) -> float:
        """A numeric option.

        Raises:
            EdgeError: not a number, or below `smallest`.
        """
        try:
            value = float(self.options.get(name, default))
        except ValueError:
            value = float("nan")
        if not smallest <= value <= 1e9:
            raise EdgeError(f"{self.text}: {name} is a number from {smallest:g}, not {self.options.get(name)!r}")
        return value

    def camera(self) -> int:
        """The place as the number of a camera, 0 where it is empty.

        Raises:
            EdgeError: it is none.
        """
        if self.place and not (self.place.isascii() and self.place.isdigit()):
            raise EdgeError(f"{self.text}: a camera goes by its number, for example {self.kind}:0")
        return int(self.place or 0)

    def check_options(self, known: tuple[str, ...]) -> None:
        """
        Raises:
            EdgeError: an option that this kind does not have.
        """
        if unknown := sorted(set(self.options) - set(known)):
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise EdgeError(f"{self.text}: there is no option {unknown[0]!r} here; {has}")


def parse_source(text: str) -> Spec:
    """
    Raises:
        EdgeError: neither a kind of source, nor an address, nor something on this machine.
    """
    if text == "-":
        return Spec(text, "raw", "-")
    if spec := _url_or_kind(text, SOURCE_KINDS):
        return spec
    if text.startswith("/dev/video"):
        place, options = _split(text)
        return Spec(text, "v4l2", place, options)
    path, place, options = Path(text), text, {}
    if not path.exists() and "?" in text:
        place, options = _split(text)
        path = Path(place)
    if not place:
        raise EdgeError("the source is empty; --source . means this folder")
    if not path.exists():
        raise EdgeError(f"{path} does not exist")
    if path.is_dir() or path.suffix.lower() in FORMATS:
        return Spec(text, "pictures", str(path), options)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return Spec(text, "video", str(path), options)
    if path.is_char_device() or path.is_fifo():
        raise EdgeError(f"{path} is not a file: raw frames come from standard input with --source -")
    return Spec(text, "pictures", str(path), options)


def parse_sink(text: str) -> Spec:
    """
    Raises:
        EdgeError: neither a kind of sink, nor an address, nor a place to write to.
    """
    if text == "-":
        return Spec(text, "raw", "-")
    if spec := _url_or_kind(text, SINK_KINDS):
        if spec.kind == "network" and spec.place.split(":", 1)[0] in ("http", "https"):
            raise EdgeError(
                f"{text}: streams go out as rtsp://, udp:// (MPEG-TS), srt:// or tcp://; see also --preview"
            )
        return spec
    place, options = _split(text)
    if place.startswith("/dev/video"):
        return Spec(text, "v4l2", place, options)
    if not place:
        raise EdgeError("the sink is empty; --sink . means this folder")
    path = Path(place)
    if path.suffix.lower() in RECORDED_SUFFIXES and not path.is_dir():
        return Spec(text, "video", place, options)
    if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
        raise EdgeError(f"{text}: video is written to {', '.join(RECORDED_SUFFIXES)} (.mkv takes every kind of audio)")
    if path.suffix.lower() in FORMATS and not path.is_dir():
        raise EdgeError(f"{text}: --sink takes a folder for pictures; they keep their names in it")
    if path.exists() and not path.is_dir():
        raise EdgeError(f"{text} is a file; pictures go to a folder, video to {', '.join(RECORDED_SUFFIXES)}")
    return Spec(text, "pictures", place, options)


def _url_or_kind(text: str, kinds: tuple[str, ...]) -> Spec | None:
    head, _, rest = text.partition(":")
    if head in URL_SCHEMES and rest.startswith("//"):
        # An address may have a query of its own, so options follow a number sign, which is never sent.
        address, _, fragment = text.partition("#")
        return Spec(text, "network", address, dict(parse_qsl(fragment, keep_blank_values=True)))
    kind, question, _ = head.partition("?")
    if kind not in kinds:
        return None
    if question:  # none?rate=30, test?size=...
        return Spec(text, kind, "", _split(text)[1])
    if kind == "gst":  # a pipeline may hold question marks of its own
        return Spec(text, kind, rest)
    place, options = _split(rest)
    return Spec(text, kind, place, options)


def _split(text: str) -> tuple[str, dict[str, str]]:
    place, _, query = text.partition("?")
    return place, dict(parse_qsl(query, keep_blank_values=True))
