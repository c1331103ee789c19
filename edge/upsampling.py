"""Coefficients on a grid of twice the size, along the edges of the picture that they belong to.

Where depth jumps, so does the haze, and mostly the picture's brightness with it. Joint bilateral upsampling (Kopf,
Cohen, Lischinski and Uyttendaele 2007, eq. 3) takes each fine cell from those of the coarse cells around it whose
brightness is like its own, so that coefficients do not leak over such an edge. Here it goes along the rows first and
then along the columns, between two cells each time, which costs half as much as between four.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge import native

SIGMA = 3.0  # grey levels by which brightness may differ until a cell counts exp(-1/2) of a like one
LEAST = 1e-3  # of a like cell's weight that the least like one has: where no cell is like, distance alone decides
NEAR, FAR = 0.75, 0.25  # a fine cell lies a quarter of a coarse one from the nearer centre: bilinear weights
REACH = 15  # grey levels: further apart, cells are the least like in any case
SCALE = 1e4  # of all weights, against the small constant that the library adds to their sum


class JointBilateral:
    """Doubles the grid of planes; buffers are kept from frame to frame.

    Args:
        width, height: of the coarse grid, in cells.
        loops: `edge.native.loops`; None has the image library do it.
    """

    def __init__(self, width: int, height: int, loops: native.Loops | None = native.loops) -> None:
        self._loops, self._shape = loops, (2 * height, 2 * width)
        self._doubled: list[np.ndarray] = []
        if loops is None:
            self._library = _Library(width, height)
        else:
            self._likeness = _likeness(np.arange(REACH + 1)).astype(np.float32)[None]

    def __call__(self, planes: Sequence[np.ndarray], coarse: np.ndarray, fine: np.ndarray) -> list[np.ndarray]:
        """The planes with twice as many cells each way.

        Args:
            planes: float32 (h, w) each, whole in memory; up to four.
            coarse: the picture on the grid, uint8 RGB (h, w, 3).
            fine: the picture on the grid of twice the size, uint8 RGB (2h, 2w, 3).

        Returns:
            float32 (2h, 2w) each; the next call writes to the same arrays.
        """
        while len(self._doubled) < len(planes):
            self._doubled.append(np.empty(self._shape, np.float32))
        doubled = self._doubled[: len(planes)]
        if self._loops is None:
            self._library.double(planes, coarse, fine, doubled)
        else:
            self._loops.twice(tuple(planes), coarse, fine, self._likeness, tuple(doubled))
        return doubled


def _likeness(differences: np.ndarray) -> np.ndarray:
    """Of cells whose brightness differs by so many grey levels."""
    return np.maximum(np.exp(-(differences.astype(np.float64) ** 2) / (2 * SIGMA**2)), LEAST)


class _Library:
    """The same by the image library, in some sixty calls."""

    def __init__(self, width: int, height: int) -> None:
        h, w = height, width
        self._grey, self._fine_grey = np.empty((h, w), np.uint8), np.empty((2 * h, 2 * w), np.uint8)
        self._padded_grey, self._guides = np.empty((h, w + 2), np.uint8), np.empty((h, 2 * w + 4), np.uint8)
        self._wide_grey, self._tall_grey = np.empty((h, 2 * w), np.uint8), np.empty((h + 2, 2 * w), np.uint8)
        self._difference = np.empty((h, 2 * w), np.uint8)
        self._across = np.empty((2, h, 2 * w), np.float32)
        self._down = np.empty((2, 2, h, 2 * w), np.float32)
        self._padded, self._nearest = np.empty((h, w + 2), np.float32), np.empty((h, 2 * w + 4), np.float32)
        self._wide, self._tall = np.empty((h, 2 * w), np.float32), np.empty((h + 2, 2 * w), np.float32)
        likeness = _likeness(np.arange(256))
        self._near, self._far = (
            (NEAR * SCALE * likeness).astype(np.float32),
            (FAR * SCALE * likeness).astype(np.float32),
        )
        self._left = np.tile(np.array([FAR, NEAR], np.float32) * SCALE, (h, w))
        self._right = np.tile(np.array([NEAR, FAR], np.float32) * SCALE, (h, w))
        self._likeness = likeness.astype(np.float32)

    def double(
        self, planes: Sequence[np.ndarray], coarse: np.ndarray, fine: np.ndarray, doubled: Sequence[np.ndarray]
    ) -> None:
        self._weigh(coarse, fine)
        for plane, out in zip(planes, doubled, strict=True):
            self._double(plane, out)

    def _weigh(self, coarse: np.ndarray, fine: np.ndarray) -> None:
        """Weights of each fine cell's left and right neighbour, then of its upper and lower one."""
        cv2.cvtColor(coarse, cv2.COLOR_RGB2GRAY, self._grey)
        cv2.cvtColor(fine, cv2.COLOR_RGB2GRAY, self._fine_grey)
        wide = cv2.addWeighted(self._fine_grey[::2], 0.5, self._fine_grey[1::2], 0.5, 0, self._wide_grey)
        cv2.copyMakeBorder(self._grey, 0, 0, 1, 1, cv2.BORDER_REPLICATE, self._padded_grey)
        cv2.resize(self._padded_grey, self._guides.shape[::-1], self._guides, interpolation=cv2.INTER_NEAREST)
        for tap, near, weight in zip(_sides(self._guides), (self._left, self._right), self._across, strict=True):
            cv2.absdiff(wide, tap, self._difference)
            cv2.LUT(self._difference, self._likeness, weight)
            cv2.multiply(weight, near, weight)
        tall = cv2.copyMakeBorder(wide, 1, 1, 0, 0, cv2.BORDER_REPLICATE, self._tall_grey)
        for parity, weights in enumerate(self._down):
            likeness = (self._far, self._near) if parity == 0 else (self._near, self._far)
            for below, weight in enumerate(weights):
                cv2.absdiff(self._fine_grey[parity::2], _rows(tall, parity + below), self._difference)
                cv2.LUT(self._difference, likeness[below], weight)

    def _double(self, plane: np.ndarray, out: np.ndarray) -> None:
        cv2.copyMakeBorder(plane, 0, 0, 1, 1, cv2.BORDER_REPLICATE, self._padded)
        cv2.resize(self._padded, self._nearest.shape[::-1], self._nearest, interpolation=cv2.INTER_NEAREST)
        left, right = _sides(self._nearest)
        cv2.blendLinear(left, right, self._across[0], self._across[1], self._wide)
        tall = cv2.copyMakeBorder(self._wide, 1, 1, 0, 0, cv2.BORDER_REPLICATE, self._tall)
        for parity, (above, below) in enumerate(self._down):
            cv2.blendLinear(_rows(tall, parity), _rows(tall, parity + 1), above, below, out[parity::2])


def _sides(nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cells left and right of each fine cell, of padded rows in which each cell stands twice."""
    width = nearest.shape[1] - 4
    return nearest[:, 1 : 1 + width], nearest[:, 3 : 3 + width]


def _rows(tall: np.ndarray, first: int) -> np.ndarray:
    return tall[first : first + tall.shape[0] - 2]
