"""What a picture file says of its picture (EXIF): where and when it was taken, with what, and how it is to be turned.

Blocks are bytes from the byte order on, as in the eXIf chunk of a PNG file. They are data about a picture, not the
picture: a damaged one does not keep the picture from being read.
"""

from __future__ import annotations

import struct
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION = 0x0112
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# Description, make, model, software, date and time, artist, copyright: the words among a TIFF file's own tags.
WORDS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
EXPOSURE, POSITION, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
PREFIX = b"Exif\0\0"


def upright(image: Image.Image) -> Image.Image:
    """The picture as it is to be looked at."""
    from PIL import Image

    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged blocks make the reader raise struct.error, SyntaxError, TypeError and more
        return image
    return image.transpose(Image.Transpose[turn]) if turn else image


def block_of(image: Image.Image) -> bytes | None:
    """The block of a file that was read, without its orientation and its preview; None where it says no more.

    Raises:
        ValueError: it is damaged.
    """
    try:
        if stored := (image.info.get("exif") or b"").removeprefix(PREFIX).removeprefix(PREFIX):
            return _without_orientation(stored)
        described = _described(image.getexif())
        return described.tobytes().removeprefix(PREFIX) if described else None
    except Exception as error:
        raise ValueError(f"damaged EXIF: {error}") from error


def tags_of(block: bytes) -> Image.Exif:
    """What a block says, for the directory of a TIFF file.

    Raises:
        ValueError: it is damaged.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd tags a user need not know
            exif = Image.Exif()
            exif.load(PREFIX + block)
            described = _described(exif)
            described.tobytes()
        return described
    except Exception as error:
        raise ValueError(f"damaged EXIF: {error}") from error


def _without_orientation(block: bytes) -> bytes | None:
    """All else stays where it is, byte for byte: makers' notes count from the block's beginning.

    The second directory is left out too: it is a small preview of the picture as it was.
    """
    order = {b"II": "<", b"MM": ">"}[block[:2]]
    (start,) = struct.unpack_from(f"{order}4xI", block)
    (count,) = struct.unpack_from(f"{order}H", block, start)
    end = start + 2 + 12 * count
    if end > len(block):
        raise ValueError("the directory is cut off")
    entries = [block[at : at + 12] for at in range(start + 2, end, 12)]
    kept = [entry for entry in entries if struct.unpack_from(f"{order}H", entry) != (ORIENTATION,)]
    if not kept:
        return None
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept)
    return block[:start] + directory.ljust(end + 4 - start, b"\0") + block[end + 4 :]


def _described(exif: Image.Exif) -> Image.Exif:
    """Only what describes the picture; a TIFF file's own tags say how its pixels are stored, too."""
    from PIL import Image

    described = Image.Exif()
    for tag in WORDS:
        if isinstance(text := exif.get(tag), str):
            described[tag] = text
    for tag in (EXPOSURE, POSITION):
        entries = {key: value for key, value in exif.get_ifd(tag).items() if key != INTEROPERABILITY}
        if entries:
            described[tag] = entries
    return described
