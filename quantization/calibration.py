"""The pictures that INT8 ranges are taken from: streamed, repeatable, and named by their digest."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from edge import haze
from edge.apply import GridApply
from edge.scenes import Scene, landscape, motorcycle

PICTURES = 150
CLEAR_SHARE = 3  # every third picture is clear: around gain 1 every step of an INT8 range shows
BAND_ROWS = 32  # haze is computed so many rows at a time: memory is to depend little on a picture's size


@dataclass(frozen=True)
class CalibrationSet:
    """Pictures at the size of a network's input. Iterating makes or reads them anew, one at a time.

    Attributes:
        source: where they come from, in words.
        width, height: in pixels.
        kind: ``grid`` for whole pictures, reduced as a frame is on the board; ``frame`` for crops.
        pictures: how many there are.
        make: gives the n-th picture, uint8 RGB of any size.
    """

    source: str
    width: int
    height: int
    kind: str
    pictures: int
    make: Callable[[int], np.ndarray]

    def __len__(self) -> int:
        return self.pictures

    def __iter__(self) -> Iterator[np.ndarray]:
        """uint8 RGB (height, width, 3), always the same in the same order."""
        grid = GridApply(self.width, self.height)
        for number in range(self.pictures):
            picture = self.make(number)
            yield grid.reduce(picture).copy() if self.kind == "grid" else self._crop(picture, number)

    def digest(self) -> str:
        """SHA-256 over all pictures."""
        digest = hashlib.sha256()
        for picture in self:
            digest.update(picture.tobytes())
        return digest.hexdigest()

    def _crop(self, picture: np.ndarray, number: int) -> np.ndarray:
        height, width = picture.shape[:2]
        if height < self.height or width < self.width:
            scale = max(self.height / height, self.width / width)
            size = max(self.width, round(width * scale)), max(self.height, round(height * scale))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
            height, width = picture.shape[:2]
        rng = np.random.default_rng(number)
        top, left = rng.integers(0, height - self.height + 1), rng.integers(0, width - self.width + 1)
        return np.ascontiguousarray(picture[top : top + self.height, left : left + self.width])


def made_set(width: int, height: int, kind: str, pictures: int = PICTURES, seed: int = 0) -> CalibrationSet:
    """Haze of every kind over scenes that need no download, and clear scenes between them.

    Raises:
        MissingPackage: scikit-image is not installed.
    """
    _motorcycle()  # tell what is missing now rather than in mid-way

    def make(number: int) -> np.ndarray:
        return synthetic_pair(number, seed)[0]

    return CalibrationSet(f"made by haze synthesis, seed {seed}", width, height, kind, pictures, make)


def folder_set(folder: str | Path, width: int, height: int, kind: str, pictures: int = PICTURES) -> CalibrationSet:
    """The pictures of a folder, evenly picked where there are more than `pictures`.

    Of a folder of pairs (`edge.measure.pairs`) they are hazy ones and, every third, clear ones.

    Raises:
        PictureError: there is no picture in it; when iterating, a picture cannot be read.
    """
    from edge.measure.pairs import find_pairs, holds_pairs
    from edge.pictures import picture_files, read_picture

    folder = Path(folder)
    if holds_pairs(folder):
        hazy, clear = zip(*find_pairs(folder), strict=True)
        picked = _evenly(hazy, pictures - pictures // CLEAR_SHARE)
        picked += _evenly(tuple(dict.fromkeys(clear)), max(1, len(picked) // (CLEAR_SHARE - 1)))
    else:
        picked = _evenly(picture_files(folder), pictures)
    return CalibrationSet(
        f"folder {folder.name}", width, height, kind, len(picked), lambda n: read_picture(picked[n])[0]
    )


def _evenly(paths: Sequence[Path], most: int) -> list[Path]:
    count = min(len(paths), most)
    return [paths[i * len(paths) // count] for i in range(count)]


def hazy_pairs(count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Hazy pictures with their clear scenes, as `made_set` makes them, without its clear ones."""
    numbers = (n for n in itertools.count() if n % CLEAR_SHARE)
    for number in itertools.islice(numbers, count):
        yield synthetic_pair(number, seed)


def synthetic_pair(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The n-th picture of a made set and its clear scene, uint8 RGB of the same size; every third pair is clear."""
    rng = np.random.default_rng([seed, number])
    scene = _cropped(rng, _motorcycle()) if rng.random() < 0.4 else landscape(int(rng.integers(2**32)))
    tones = np.linspace(0, 1, 256, dtype=np.float32) ** np.float32(rng.uniform(0.7, 1.6))
    light = haze.random_airlight(rng)
    clear = _grey_levels(tones.copy())[scene.picture]
    if number % CLEAR_SHARE == 0:
        return clear, clear
    thickness = haze.random_thickness(rng, scene.depth)
    hazy = np.empty_like(clear)
    for top in range(0, len(hazy), BAND_ROWS):
        rows = np.s_[top : top + BAND_ROWS]
        band = haze.hazed(tones[scene.picture[rows]], thickness[rows], light)
        noise = rng.standard_normal(band.shape, np.float32)
        noise *= np.float32(0.005)
        band += noise
        hazy[rows] = _grey_levels(band)
    return hazy, clear


def _grey_levels(picture: np.ndarray) -> np.ndarray:
    """uint8 of [0, 1]; `picture` is used up."""
    picture *= 255
    return np.clip(np.rint(picture, out=picture), 0, 255, out=picture).astype(np.uint8)


@cache
def _motorcycle() -> Scene:
    return motorcycle()


def _cropped(rng: np.random.Generator, scene: Scene) -> Scene:
    height, width = scene.depth.shape
    size = rng.uniform(0.5, 1.0)
    rows, columns = int(height * size), int(width * size)
    top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    here = np.s_[top : top + rows, left : left + columns]
    picture, depth = scene.picture[here], scene.depth[here]
    if rng.random() < 0.5:
        picture, depth = picture[:, ::-1], depth[:, ::-1]
    return Scene(np.ascontiguousarray(picture), np.ascontiguousarray(depth))
