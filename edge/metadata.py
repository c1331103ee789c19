"""What a picture file says of its picture beside the pixels, EXIF and XMP: out of the file that is read and into the
one that is written. What a file cannot take is named, never dropped in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from edge import exif, tiff, xmp

if TYPE_CHECKING:
    from PIL import Image

LARGEST_IN_JPEG = {"EXIF": 65533 - len(exif.PREFIX), "XMP": 65502}  # bytes of one segment, without its marker
KEEPS = ("JPEG", "PNG", "WEBP", "TIFF")
XMP_IN_PNG, XMP_IN_TIFF = "XML:com.adobe.xmp", 700  # a keyword, a tag
DAMAGED = "that of the original is damaged"


@dataclass(frozen=True)
class Metadata:
    """What is known of a picture.

    Attributes:
        exif: as `edge.exif` gives it; None for nothing.
        xmp: as `edge.xmp` gives it; None for nothing.
        lost: what the original said besides and could not be kept, each with the reason, as in ``EXIF: that of the
            original is damaged``.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    lost: tuple[str, ...] = ()


NO_METADATA = Metadata()


def read_metadata(image: Image.Image) -> Metadata:
    """All that can be kept of what a file says that was read."""
    block = packet = None
    lost = []
    try:
        block = exif.block_of(image)
    except ValueError:
        lost.append(f"EXIF: {DAMAGED}")
    try:
        packet = xmp.packet_of(image)
    except ValueError as error:
        lost.append(f"XMP: that of the original is {error}")
    if packet is not None:
        packet, continued = xmp.without_continuation(packet)
        if continued:
            lost.append("extended XMP: only the first 64 kB of the original's are kept")
    return Metadata(block, packet, tuple(lost))


def fitting(kind: str, known: Metadata) -> Metadata:
    """What a file of that format takes; the rest is lost."""
    obstacles = {}
    for what, content in (("EXIF", known.exif), ("XMP", known.xmp)):
        if content is not None and (why := _obstacle(what, kind, content)):
            obstacles[what] = why
    return Metadata(
        None if "EXIF" in obstacles else known.exif,
        None if "XMP" in obstacles else known.xmp,
        (*known.lost, *(f"{what}: {why}" for what, why in obstacles.items())),
    )


def options(kind: str, known: Metadata) -> dict[str, Any]:
    """Options of `PIL.Image.Image.save` that put into a file what fits it; into a TIFF file, `complete` does."""
    given: dict[str, Any] = {}
    if kind == "TIFF":
        return given
    if known.exif is not None:
        given["exif"] = exif.PREFIX + known.exif
    if known.xmp is not None and kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        given["pnginfo"] = PngInfo()
        given["pnginfo"].add_itxt(XMP_IN_PNG, known.xmp)
    elif known.xmp is not None:
        given["xmp"] = known.xmp
    return given


def complete(file: BinaryIO, kind: str, known: Metadata) -> None:
    """Put into a file that was saved what its `options` did not."""
    if kind != "TIFF":
        return
    from PIL import Image

    tags = Image.Exif() if known.exif is None else exif.tags_of(known.exif)
    if known.xmp is not None:
        tags[XMP_IN_TIFF] = known.xmp
    if tags:
        tiff.add_tags(file, tags)


def _obstacle(what: str, kind: str, content: bytes) -> str:
    """Why a file of that format does not take it; empty where it does."""
    if kind not in KEEPS:
        return f"{kind} takes none; JPEG, PNG, WebP and TIFF do"
    if kind == "JPEG" and len(content) > LARGEST_IN_JPEG[what]:
        return f"{len(content)} bytes are more than JPEG takes ({LARGEST_IN_JPEG[what]}); PNG, WebP and TIFF take them"
    if kind == "TIFF" and what == "EXIF":
        try:
            exif.tags_of(content)
        except ValueError:
            return DAMAGED
    return ""
