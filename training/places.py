"""Which pictures of a folder are taken: by name, by number, and by the places that they show.

Real pairs are filmed at few places. Leaving out pictures one by one says nothing of a place that a model has not seen;
leaving out all pictures of a place does.
"""

from __future__ import annotations

import re
from pathlib import Path

from edge.errors import PictureError
from edge.measure.pairs import CLEAR_NAMES, find_pairs
from edge.pictures import picture_files

PLACES = "places.txt"
PARTS = ("hazy", *CLEAR_NAMES)  # of a folder of pairs


def kept_pairs(folder: Path, leave_out: str = "", only: str = "", limit: int = 0) -> list[tuple[Path, Path]]:
    """The pairs of a folder, all or some of them.

    Args:
        leave_out: ``k/n`` leaves out fold k of n, all pictures of a place in one fold (`places.txt` beside the
            pictures names those that share a place); ``!k/n`` keeps only that fold; empty keeps all.
        only: keeps those whose hazy picture's name begins so.
        limit: keeps so many of these, evenly spread; 0 keeps all.

    Raises:
        PictureError: nothing is left, or `leave_out` is no fold.
    """
    pairs = [pair for pair in find_pairs(folder) if pair[0].name.startswith(only)]
    pairs = _outside_fold(pairs, folder, leave_out) if leave_out else pairs
    if not pairs:
        raise PictureError(f"no pair of {folder} is left with only={only!r} and fold {leave_out!r}")
    if limit and len(pairs) > limit:
        pairs = [pairs[i * len(pairs) // limit] for i in range(limit)]
    return pairs


def _outside_fold(pairs: list[tuple[Path, Path]], folder: Path, leave_out: str) -> list[tuple[Path, Path]]:
    return [pair for pair in pairs if _is_kept(pair[0], folder, leave_out)]


def kept_pictures(folder: Path, leave_out: str = "") -> list[Path]:
    """The pictures of a folder, all or some of them.

    Args:
        leave_out: as of `kept_pairs`. It counts where the folder is part of a folder of pairs (its hazy/, clear/ or
            gt/), or where `places.txt` lies in it or beside it; of other folders all pictures are kept.

    Raises:
        PictureError: there is no picture, or `leave_out` is no fold. That none is left is no error.
    """
    pictures = picture_files(folder)
    about = _told_of_places(folder)
    return [p for p in pictures if _is_kept(p, about, leave_out)] if leave_out and about else pictures


def _told_of_places(folder: Path) -> Path | None:
    """The folder whose `places.txt` speaks of a folder's pictures, or whose pairs they belong to."""
    folder = folder.resolve()
    for one in (folder, folder.parent):
        if (one / PLACES).is_file():
            return one
    beside = {path.name.lower() for path in folder.parent.iterdir() if path.is_dir()}
    return folder.parent if folder.name.lower() in PARTS and "hazy" in beside else None


def _is_kept(picture: Path, folder: Path, leave_out: str) -> bool:
    fold, folds = parsed_fold(leave_out)
    name = re.split(r"[_\s-]+", picture.stem.strip("_- "))[0].lower()  # what both pictures of a pair have in common
    return (fold_of(name, folder, folds) == fold) == leave_out.startswith("!")


def parsed_fold(text: str) -> tuple[int, int]:
    """k and n of ``k/n`` or ``!k/n``.

    Raises:
        PictureError: it is neither, or there is no fold k.
    """
    found = re.fullmatch(r"!?(\d+)/(\d+)", text, re.ASCII)
    if not found or not int(found[1]) < int(found[2]):
        raise PictureError(f"{text!r} is no fold: write k/n with k from 0 to n - 1, or !k/n for that fold alone")
    return int(found[1]), int(found[2])


def fold_of(name: str, folder: Path, folds: int) -> int:
    """Which fold the place of a picture falls in; a hash of the place's first picture, the same everywhere.

    Raises:
        PictureError: `PLACES` is there and cannot be read.
    """
    places = folder / PLACES
    if places.is_file():
        try:
            lines = places.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PictureError(f"cannot read {places}: {error}") from None
        for line in lines:
            members = line.split("#")[0].lower().split()
            if name in members:
                name = members[0]
                break
    return sum(name.encode()) * 2654435761 % 2**32 * folds >> 32
