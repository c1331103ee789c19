"""Raw frame times, compact enough to keep all of them in a JSON file.

Times are whole numbers of 0.1 microseconds; bytes of the same weight lie together (which compresses well), then
zlib, then base64: about two bytes a frame.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np

TICKS_PER_MS = 10_000
LONGEST_TEXT = 64 * 2**20


def pack(samples_ms: np.ndarray) -> str:
    """Frame times in milliseconds, (n,), each below 429 seconds, as text."""
    ticks = np.rint(np.asarray(samples_ms, np.float64) * TICKS_PER_MS).astype("<u4")
    planes = ticks.view(np.uint8).reshape(-1, 4).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode()


def unpack(text: str) -> np.ndarray:
    """What `pack` was given, float64 (n,), to 0.05 microseconds.

    Raises:
        ValueError: the text is not what `pack` made.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError("frame times: too long")
    try:
        decompress = zlib.decompressobj()
        planes = decompress.decompress(base64.b64decode(text, validate=True), LONGEST_TEXT)
    except zlib.error as error:
        raise ValueError(f"frame times: {error}") from None
    if len(planes) % 4 or decompress.unconsumed_tail or not decompress.eof:
        raise ValueError("frame times: cut short")
    ticks = np.frombuffer(planes, np.uint8).reshape(4, -1).T.copy().view("<u4").ravel()
    return ticks / TICKS_PER_MS
