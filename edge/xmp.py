"""What a picture file says of its picture in XMP: a drone's angles and its height, a camera's own data, captions.

Packets are XML in UTF-8, as in an APP1 segment of a JPEG file (ISO 16684-1, and Adobe's XMP specification, part 3).
What holds no more of a picture that was turned upright and cleared is taken out, and all else stays byte for byte.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

# A search begins only where a name begins, and ends soon: a hostile packet of megabytes must not take hours.
ORIENTATION = re.compile(rb"""(?<![\w.-])([\w.-]+)(:Orientation(?:\s*=\s*["']|(?:\s[^<>]{0,80})?>)\s*)\d+""")
TIFF_NAMES = re.compile(rb"""xmlns:([\w.-]+)\s*=\s*["']http://ns\.adobe\.com/tiff/1\.0/["']""")
PREVIEWS = re.compile(rb"<([\w.-]+):Thumbnails(?=[\s/>])[^<>]*>")
CONTINUED = re.compile(
    rb"""\s[\w.-]+:HasExtendedXMP\s*=\s*(?:"[^"<]*"|'[^'<]*')|<([\w.-]+):HasExtendedXMP>[^<]*</\1:HasExtendedXMP>"""
)


def packet_of(image: Image.Image) -> bytes | None:
    """The packet of a file that was read, which says that the picture is upright and holds no preview of it; None
    where there is none.

    Raises:
        ValueError: it is ``damaged``, or ``not in UTF-8``.
    """
    packet = image.info.get("xmp")
    if not packet:
        return None
    if not isinstance(packet, bytes) or b"\0" in packet.rstrip(b"\0"):
        raise ValueError("not in UTF-8")
    return _said_upright(_without_previews(packet))


def without_continuation(packet: bytes) -> tuple[bytes, bool]:
    """The packet by itself, and whether there is more of it: what does not fit into the first 64 kB of a JPEG file's
    XMP lies in further segments, which Pillow does not read.
    """
    alone, found = CONTINUED.subn(b"", packet)
    return alone, found > 0


def _said_upright(packet: bytes) -> bytes:
    names = {b"tiff", *TIFF_NAMES.findall(packet)}
    return ORIENTATION.sub(lambda found: found[1] + found[2] + b"1" if found[1] in names else found[0], packet)


def _without_previews(packet: bytes) -> bytes:
    kept, at = [], 0
    for found in PREVIEWS.finditer(packet):
        if found.start() < at:
            continue
        kept.append(packet[at : found.start()])
        at = found.end()
        if not found[0].endswith(b"/>"):
            closing = b"</" + found[1] + b":Thumbnails>"
            if (end := packet.find(closing, at)) < 0:
                raise ValueError("damaged")
            at = end + len(closing)
    return b"".join([*kept, packet[at:]])
