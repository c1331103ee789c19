"""Values of options: what a text on the command line means, and what it is told that means nothing (exit status 2)."""

from __future__ import annotations

import argparse
import re


def frame_size(text: str) -> tuple[int, int]:
    """Width and height from a text such as 640x480."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match or not all(1 <= int(n) <= 16384 for n in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 640x480")
    return int(match[1]), int(match[2])
