"""Accuracy of what was timed: the same object, on pairs of hazy and clear pictures."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge import command
from edge.errors import PictureError
from edge.measure.pairs import find_pairs
from edge.measure.quality import EQUAL_PSNR_DB, psnr_db, ssim
from edge.measure.record import AgainstFloat, ErrorMap, PictureScore, Quality, Shown, Subject
from edge.measure.statistics import mean_interval
from edge.pictures import read_picture, refuse_special

SHOWN_WIDTH = 560
ENLARGED = 16  # times, of error maps
Dehaze = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class PairedData:
    """A folder of pairs, and the digest of all that is in it."""

    name: str
    digest: str
    pairs: tuple[tuple[Path, Path], ...]


@dataclass(frozen=True)
class Before:
    """A picture before and after, uint8 RGB of one size; clear is None where there is no ground truth."""

    name: str
    why: str
    hazy: np.ndarray
    dehazed: np.ndarray
    clear: np.ndarray | None = None


def open_pairs(folder: str | Path) -> PairedData:
    """Find a folder's pairs (see `edge.measure.pairs`) and take their digest.

    Raises:
        PictureError: it does not hold pairs, or the pictures of a pair differ in size.
    """
    pairs = find_pairs(folder)
    for pair in pairs:
        _check_sizes(pair)
    digest = hashlib.sha256()
    for path in (path for pair in pairs for path in pair):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PictureError(f"cannot read {path}: {error.strerror}") from error
        digest.update(f"{path.parent.name}/{path.name}\0{len(content)}\0".encode() + content)
    return PairedData(Path(folder).resolve().name, digest.hexdigest(), tuple(pairs))


def _check_sizes(pair: tuple[Path, Path]) -> None:
    """From the headers alone, so that a pair that does not fit is told before minutes of measuring."""
    from PIL import Image

    sizes = []
    for path in pair:
        refuse_special(path)
        try:
            with Image.open(path) as image:
                sizes.append(sorted(image.size))  # a header does not say yet which way is up
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            read_picture(path)  # says what is wrong with it
            return
    if sizes[0] != sizes[1]:
        read_pair(pair)


def read_pair(pair: tuple[Path, Path]) -> tuple[np.ndarray, np.ndarray]:
    """The hazy and the clear picture, uint8 RGB of one size.

    Raises:
        PictureError: one cannot be read, or they differ in size.
    """
    (hazy, _), (clear, _) = map(read_picture, pair)
    if hazy.shape != clear.shape:
        raise PictureError(
            f"{pair[0]} has {hazy.shape[1]}x{hazy.shape[0]} pixels and {pair[1]} {clear.shape[1]}x{clear.shape[0]}: "
            "a pair has one size"
        )
    return hazy, clear


def score(dehaze: Dehaze, data: PairedData, label: str) -> Quality:
    """Whole pictures through a model, scored one by one.

    Raises:
        PictureError: a pair cannot be read, or its pictures differ in size.
    """
    scores = []
    for pair in command.progress(data.pairs, len(data.pairs), f"{label}: picture"):
        hazy, clear = read_pair(pair)
        dehazed = dehaze(hazy)
        scores.append(
            PictureScore(
                name=pair[0].name,
                psnr_db=_finite(psnr_db(dehazed, clear)),
                ssim=ssim(dehazed, clear),
                hazy_psnr_db=_finite(psnr_db(hazy, clear)),
                hazy_ssim=ssim(hazy, clear),
                scene=pair[1].name,
            )
        )
    psnrs = np.array([s.psnr_db for s in scores])
    return Quality(
        data=data.name,
        digest=data.digest,
        psnr_db=float(psnrs.mean()),
        ssim=float(np.mean([s.ssim for s in scores])),
        psnr_interval_db=mean_interval(psnrs, [s.scene for s in scores]),
        hazy_psnr_db=float(np.mean([s.hazy_psnr_db for s in scores])),
        hazy_ssim=float(np.mean([s.hazy_ssim for s in scores])),
        pictures=tuple(scores),
    )


def choose(scores: Sequence[Quality]) -> list[tuple[str, str]]:
    """Which pictures to show, the same for all bundles of a run: the two worst, the middle one and the best.

    Args:
        scores: of each bundle, on the same pairs.

    Returns:
        (picture's name, why) each, worst first.
    """
    mean = np.mean([[p.psnr_db for p in q.pictures] for q in scores], axis=0)
    order = [scores[0].pictures[i].name for i in np.argsort(mean, kind="stable")]
    why = {order[-1]: "best", order[len(order) // 2]: "middle", order[:2][-1]: "second worst", order[0]: "worst"}
    return [(name, why[name]) for name in order if name in why]


def dehaze_chosen(dehaze: Dehaze, data: PairedData, chosen: Sequence[tuple[str, str]]) -> list[Before]:
    """The chosen pictures before and after, at full size."""
    by_name = {pair[0].name: pair for pair in data.pairs}
    pictures = []
    for name, why in chosen:
        hazy, clear = read_pair(by_name[name])
        pictures.append(Before(name, why, hazy, dehaze(hazy), clear))
    return pictures


def show(pictures: Sequence[Before]) -> tuple[Shown, ...]:
    """Small enough for a report."""
    return tuple(
        Shown(p.name, p.why, data_uri(p.hazy), data_uri(p.dehazed), "" if p.clear is None else data_uri(p.clear))
        for p in pictures
    )


def against_float(mine: Sequence[Before], floats: Sequence[Before], subject: Subject) -> AgainstFloat:
    """How and where pictures differ from those of a float32 bundle of the same checkpoint.

    Args:
        mine, floats: the same pictures in the same order.
        subject: the float32 bundle.
    """
    agreement, maps = [], []
    for a, b in zip(mine, floats, strict=True):
        agreement.append(_finite(psnr_db(a.dehazed, b.dehazed)))
        difference = a.dehazed.astype(np.int16) - b.dehazed
        picture = np.clip(128 + ENLARGED * difference, 0, 255).astype(np.uint8)
        maps.append(ErrorMap(a.name, data_uri(picture), int(np.abs(difference).max())))
    return AgainstFloat(subject.name, subject.digest, float(np.mean(agreement)), tuple(maps))


def data_uri(picture: np.ndarray) -> str:
    """A JPEG of a uint8 RGB picture, at most 560 pixels wide, as a data URI."""
    height, width = picture.shape[:2]
    if width > SHOWN_WIDTH:
        size = (SHOWN_WIDTH, max(1, round(height * SHOWN_WIDTH / width)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert done
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()


def _finite(decibels: float) -> float:
    return min(decibels, EQUAL_PSNR_DB)
