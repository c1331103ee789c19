"""Tags that are added to a TIFF file when it is written.

Pillow puts directories within a file's own, those of exposure and position, only into files that it does not compress:
the library that compresses for it knows how to write none.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

HEAD = 8  # bytes: byte order, 42, where the first directory lies


def add_tags(file: BinaryIO, tags: Image.Exif) -> None:
    """Write tags behind a file of one picture, and a directory that has both the file's own and these (TIFF 6.0,
    section 2).
    """
    file.seek(0)
    head = file.read(HEAD)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    file.seek(struct.unpack(f"{order}4xI", head)[0])
    entries = _entries(file.read(2 + 12 * 0xFFFF), order)
    end = file.seek(0, 2)
    start = file.seek(end + end % 2)  # on a word's beginning
    tags.endian = order
    block = tags.tobytes(start)[len(b"Exif\0\0") + HEAD :]  # a directory, and behind it what it points to
    file.write(block.ljust(len(block) + len(block) % 2, b"\0"))
    entries |= _entries(block, order)
    place = file.tell()
    file.write(struct.pack(f"{order}H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4))
    file.seek(4)
    file.write(struct.pack(f"{order}I", place))


def _entries(directory: bytes, order: str) -> dict[int, bytes]:
    """The entries of a directory by their tags."""
    (count,) = struct.unpack_from(f"{order}H", directory)
    entries = [directory[at : at + 12] for at in range(2, 2 + 12 * count, 12)]
    return {struct.unpack_from(f"{order}H", entry)[0]: entry for entry in entries}
