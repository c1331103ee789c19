"""Paired pictures: a folder with ``hazy/`` and ``clear/`` (or ``gt/``, ``GT/``).

A hazy picture belongs to the clear one with which its name shares the most leading tokens, at least the first:
``0013_0.8_0.1.png`` and ``0013.png``, ``01_outdoor_hazy.jpg`` and ``01_outdoor_GT.jpg``, ``51.png`` and ``51.png``.
Several hazy pictures may belong to one clear picture. Names that go on with different numbers (``img_002.png`` and
``img_001.png``) are of different pictures.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from edge import command
from edge.errors import PictureError
from edge.pictures import picture_files

CLEAR_NAMES = ("clear", "gt")
NAMES_SHOWN = 5


def find_pairs(folder: str | Path) -> list[tuple[Path, Path]]:
    """The pairs of a folder, in the order of the hazy pictures' names.

    A clear picture without a hazy one is left out, and said so on standard error.

    Returns:
        (hazy, clear) paths; at least one.

    Raises:
        PictureError: the folder does not hold pairs, or a hazy picture has no clear one, or more than one.
    """
    folder = Path(folder)
    hazy_folder, clear_folder = _folders(folder)
    hazy, clear = picture_files(hazy_folder), picture_files(clear_folder)
    by_first_token: dict[str, list[Path]] = defaultdict(list)
    for path in clear:
        by_first_token[_tokens(path)[0]].append(path)
    pairs, unpaired = [], []
    for path in hazy:
        matches = _nearest(path, [c for c in by_first_token[_tokens(path)[0]] if not _numbered_apart(path, c)])
        if len(matches) > 1:
            raise PictureError(
                f"{path} could belong to {_listed(matches)}: give the pair the same name up to the first underscore"
            )
        if matches:
            pairs.append((path, matches[0]))
        else:
            unpaired.append(path)
    if unpaired:
        raise PictureError(
            f"{folder}: no picture in {clear_folder.name}/ belongs to {_listed(unpaired)}; "
            "a pair has the same name up to the first underscore, and no different numbers after it"
        )
    if alone := sorted(set(clear) - {path for _, path in pairs}):
        command.say(f"left out, no hazy picture belongs to it: {_listed(alone)}")
    return pairs


def holds_pairs(folder: str | Path) -> bool:
    """Whether the folder has a ``hazy/``: then `find_pairs` is what reads it, or says what is wrong with it."""
    folder = Path(folder)
    return folder.is_dir() and any(path.name.lower() == "hazy" and path.is_dir() for path in folder.iterdir())


def _folders(folder: Path) -> tuple[Path, Path]:
    layout = "pairs are a folder with hazy/ and clear/ (or gt/) in it"
    if not folder.is_dir():
        raise PictureError(f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}; {layout}")
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    hazy = [path for path in inside if path.name.lower() == "hazy"]
    clear = [path for path in inside if path.name.lower() in CLEAR_NAMES]
    for found, what in ((hazy, "hazy/"), (clear, "clear/ or gt/")):
        if not found:
            raise PictureError(f"{folder} has no {what}; {layout}")
        if len(found) > 1:
            raise PictureError(f"{folder} has both {found[0].name}/ and {found[1].name}/; leave one of them")
    return hazy[0], clear[0]


def _tokens(path: Path) -> list[str]:
    return [token.lower() for token in re.split(r"[_\s-]+", path.stem.strip("_- ")) or [path.stem]]


def _nearest(hazy: Path, candidates: list[Path]) -> list[Path]:
    """The candidates that share the most leading tokens with a hazy picture, and of these the same name first."""
    if not candidates:
        return []
    tokens = _tokens(hazy)
    shared = {path: _shared(tokens, _tokens(path)) for path in candidates}
    nearest = [path for path in candidates if shared[path] == max(shared.values())]
    return [path for path in nearest if path.stem == hazy.stem] or nearest


def _numbered_apart(hazy: Path, clear: Path) -> bool:
    """Whether both names go on with numbers after what they share, and with none that is in both."""
    a, b = _tokens(hazy), _tokens(clear)
    shared = _shared(a, b)
    rest, other = ({t for t in tokens[shared:] if any(c.isdigit() for c in t)} for tokens in (a, b))
    return bool(rest and other) and {_number(t) for t in rest}.isdisjoint(map(_number, other))


def _number(token: str) -> str:
    """``im0`` and ``f0`` are no other picture than ``0``."""
    return re.sub(r"[^\d.]+", "", token).lstrip("0") or "0"


def _shared(a: list[str], b: list[str]) -> int:
    for count, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return count
    return min(len(a), len(b))


def _listed(paths: list[Path]) -> str:
    names = ", ".join(path.name for path in paths[:NAMES_SHOWN])
    return f"{names} and {len(paths) - NAMES_SHOWN} more" if len(paths) > NAMES_SHOWN else names
