"""The step that every grid model shares: reduce the frame, sharpen the coefficients, and lay them over the frame.

Buffers are kept from frame to frame. The image library reduces; the rest is loops in C where these could be built
(`edge.native`). Where they could not, the library does that too, the last step in tiles, so that what is enlarged stays
in the processor's cache and memory stays small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge import native
from edge.coefficients import LARGEST_LOG_GAIN, Planes, Spread
from edge.upsampling import JointBilateral

TILE_BYTES = 512 * 1024  # of one enlarged map: little enough for a usual second-level cache
TILE_WIDTH = 640  # pixels, or less: so that a tile has several rows of the grid in wide frames too
LEAST_CELLS = 4  # of the grid in a tile, each way: each tile enlarges one more row and column than it uses


class GridApply:
    """Reduces frames to the network's input, sharpens planes of the grid along their edges, and clears them.

    Buffers are made anew when the size of the frame or of the grid changes.

    Args:
        width, height: of the network's input, in pixels.
        loops: `edge.native.loops`; None has the image library do all of it.
    """

    def __init__(self, width: int, height: int, loops: native.Loops | None = native.loops) -> None:
        self._loops, self._spread = loops, Spread()
        self._small = np.empty((height, width, 3), np.uint8)
        self._buffer = np.empty((2 * height, 2 * width, 3), np.uint8)
        self._means = np.empty((0, 0, 3), np.uint8)
        self._strip = np.empty((0, 0, 3), np.uint8)
        self._few = self._many = np.empty((0, 0, 3), np.float32)
        self._twice: np.ndarray | None = None
        self._upsampling: JointBilateral | None = None
        self._upsampled: tuple[int, ...] = ()
        self._halves: list[np.ndarray] = []
        self._halved: tuple[int, ...] = ()
        self._plan: _Plan | None = None

    def reduce(self, frame: np.ndarray) -> np.ndarray:
        """The frame as the network sees it, uint8 RGB; averages of areas, within 1 grey level of exact ones.

        A side that has fewer pixels than the network's input is enlarged bilinearly, once the other is averaged.

        By the image library alone they are so near only where it can halve down to them: else a halved pixel that two
        areas share counts in part for each, as if it were of one colour.

        The array is reused by the next call.
        """
        height, width = self._small.shape[:2]
        if self._loops is None:
            frame = self._halve(frame)
        self._twice = None
        if frame.shape[0] >= 2 * height and frame.shape[1] >= 2 * width:
            frame = self._twice = self._average(frame, self._buffer)
        if frame.shape[0] >= height and frame.shape[1] >= width:
            return self._average(frame, self._small)
        rows, columns = min(frame.shape[0], height), min(frame.shape[1], width)
        if frame.shape[:2] != (rows, columns):  # one side shrinks; enlarging would take single pixels along it
            if self._strip.shape[:2] != (rows, columns):
                self._strip = np.empty((rows, columns, 3), np.uint8)
            frame = self._average(frame, self._strip)
        return self._enlarge(frame)

    def _average(self, frame: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Means of areas: halves by the image library, which has vector code for these, others by the loop in C."""
        height, width = out.shape[:2]
        halves = frame.shape[:2] == (2 * height, 2 * width)
        if self._loops is None or halves or not frame.flags.c_contiguous:
            return cv2.resize(frame, (width, height), out, interpolation=cv2.INTER_AREA)
        self._loops.average(frame, out)
        return out

    def _enlarge(self, frame: np.ndarray) -> np.ndarray:
        """To the network's input, bilinearly; in float, since the image library's whole numbers round on the way."""
        if self._few.shape != frame.shape:
            self._few, self._many = np.empty(frame.shape, np.float32), np.empty(self._small.shape, np.float32)
        np.copyto(self._few, frame)
        cv2.resize(self._few, self._many.shape[1::-1], self._many, interpolation=cv2.INTER_LINEAR)
        return cv2.convertScaleAbs(self._many, self._small)

    def _halve(self, frame: np.ndarray) -> np.ndarray:
        """Halved as long as that divides evenly: for the library several times as fast as one large step."""
        height, width = self._small.shape[:2]
        if frame.shape != self._halved:
            self._halves = _halves(frame.shape[0], frame.shape[1], 2 * height, 2 * width)
            self._halved = frame.shape
        for half in self._halves:
            frame = cv2.resize(frame, half.shape[1::-1], half, interpolation=cv2.INTER_AREA)
        return frame

    def on_grid(self, height: int, width: int) -> np.ndarray | None:
        """The frame that was reduced last in as many pixels, uint8 RGB: its means over the cells of a grid.

        None for a grid that is finer than the network's input.
        """
        if (height, width) == self._small.shape[:2]:
            return self._small
        if height > self._small.shape[0] or width > self._small.shape[1]:
            return None
        if self._means.shape[:2] != (height, width):
            self._means = np.empty((height, width, 3), np.uint8)
        return cv2.resize(self._small, (width, height), self._means, interpolation=cv2.INTER_AREA)

    def sharpen(self, planes: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Planes of the grid on a grid of twice the size, along the edges of the frame that was reduced last.

        As they are where that frame has no more pixels than the grid has cells.

        Args:
            planes: float32 (h, w) each, on the grid of the network's input or on one of half its size.

        Returns:
            float32 (2h, 2w) each, which the next call writes to again; or the planes themselves.
        """
        height, width = planes[0].shape
        if (height, width) == self._small.shape[:2]:
            fine: np.ndarray | None = self._twice
        elif (2 * height, 2 * width) == self._small.shape[:2]:
            fine = self._small
        else:
            return planes
        coarse = self.on_grid(height, width)
        if fine is None or coarse is None:
            return planes
        if self._upsampling is None or self._upsampled != (height, width):
            self._upsampling = JointBilateral(width, height, self._loops)
            self._upsampled = (height, width)
        return self._upsampling(planes, coarse, fine)

    def clear(self, frame: np.ndarray, planes: Planes, out: np.ndarray | None = None) -> np.ndarray:
        """The clear frame; within 1 grey level of exact arithmetic.

        Args:
            frame: uint8 RGB (H, W, 3), whole in memory.
            planes: as `edge.coefficients.Decoder` gives them.
            out: uint8 (H, W, 3) to write to, whole in memory; may be `frame` itself.

        Returns:
            uint8 RGB (H, W, 3).
        """
        if self._loops is None:
            return self.apply(frame, *self._spread(planes), out)
        out = np.empty_like(frame) if out is None else out
        self._loops.clear(frame, *planes[:4], tuple(planes.light), LARGEST_LOG_GAIN, out)
        return out

    def apply(self, frame: np.ndarray, gain: np.ndarray, bias: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """`clip(gain * frame + bias)`, gain and bias enlarged bilinearly, by the image library; within 1 grey level.

        Args:
            frame: uint8 RGB (H, W, 3), whole in memory.
            gain, bias: float32 (h, w, 3), for values in [0, 1].
            out: uint8 (H, W, 3) to write to; may be `frame` itself.

        Returns:
            uint8 RGB (H, W, 3).
        """
        out = np.empty_like(frame) if out is None else out
        if self._plan is None or not self._plan.fits(frame, gain):
            self._plan = _Plan(frame.shape[0], frame.shape[1], *gain.shape[:2])
        self._plan.lay_over(frame, gain, bias, out)
        return out


class _Plan:
    """How a frame of one size is worked on: its tiles, and the buffers for one of them.

    Tiles are cut at the centres of cells, where an enlarged tile needs no cell from beyond its edge. Where the frame's
    rows are no multiple of the grid's, the grid is first enlarged to as many rows, on its few columns; where its
    columns are not, tiles are as wide as the frame.
    """

    def __init__(self, height: int, width: int, grid_height: int, grid_width: int) -> None:
        self._key = (height, width, grid_height, grid_width)
        rows = grid_height if height % grid_height == 0 else height
        pitch = (height // rows, width / grid_width)
        across = max(LEAST_CELLS, int(TILE_WIDTH / pitch[1])) if width % grid_width == 0 else grid_width
        columns = list(_spans(grid_width, width, across))
        widest = max(span.enlarged for span in columns)
        down = max(LEAST_CELLS, TILE_BYTES // (12 * widest * pitch[0]))
        self._tiles = [(y, x) for y in _spans(rows, height, down) for x in columns]
        largest = max(y.enlarged * x.enlarged for y, x in self._tiles)
        self._grids = [np.empty((rows, grid_width, 3), np.float32) for _ in range(2)]
        self._maps = [np.empty(3 * largest, np.float32) for _ in range(2)]

    def fits(self, frame: np.ndarray, grid: np.ndarray) -> bool:
        return (*frame.shape[:2], *grid.shape[:2]) == self._key

    def lay_over(self, frame: np.ndarray, gain: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
        for grid, kept in zip((gain, bias), self._grids, strict=True):
            cv2.resize(grid, kept.shape[1::-1], kept, interpolation=cv2.INTER_LINEAR)
        self._grids[1] *= 255
        for y, x in self._tiles:
            here = (y.pixels, x.pixels)
            tile_gain, tile_bias = (
                _enlarged(grid[y.cells, x.cells], flat, y, x)
                for grid, flat in zip(self._grids, self._maps, strict=True)
            )
            cv2.multiply(frame[here], tile_gain, tile_gain, 1, cv2.CV_32F)
            cv2.add(tile_gain, tile_bias, out[here], None, cv2.CV_8U)


@dataclass(frozen=True)
class _Span:
    """A tile's extent along one axis.

    Attributes:
        cells: of the grid that it is enlarged from.
        enlarged: how many pixels these give.
        used: which of these pixels belong to the tile.
        pixels: where the tile lies in the frame.
    """

    cells: slice
    enlarged: int
    used: slice
    pixels: slice


def _spans(cells: int, pixels: int, step: int) -> Iterator[_Span]:
    """Cuts at every `step`-th cell's centre; pixels are a multiple of cells, unless the step is all of these."""
    pitch = pixels // cells
    for first in range(0, max(1, cells - 1), step):
        last = cells - 1 if first + step >= cells - 1 else first + step
        start = first * pitch + pitch // 2 if first else 0
        end = last * pitch + pitch // 2 if last < cells - 1 else pixels
        enlarged = pixels if not first and last == cells - 1 else (last - first + 1) * pitch
        used = slice(start - first * pitch, end - first * pitch)
        yield _Span(slice(first, last + 1), enlarged, used, slice(start, end))


def _enlarged(grid: np.ndarray, flat: np.ndarray, y: _Span, x: _Span) -> np.ndarray:
    """Cells of the grid at the frame's resolution, without what lies beyond the tile."""
    whole = flat[: 3 * y.enlarged * x.enlarged].reshape(y.enlarged, x.enlarged, 3)
    cv2.resize(grid, (x.enlarged, y.enlarged), whole, interpolation=cv2.INTER_LINEAR)
    return whole[y.used, x.used]


def _halves(height: int, width: int, least_height: int, least_width: int) -> list[np.ndarray]:
    """Buffers for halving a frame again and again, down to no less than the given size."""
    buffers = []
    while height % 2 == 0 and width % 2 == 0 and height >= 2 * least_height and width >= 2 * least_width:
        height, width = height // 2, width // 2
        buffers.append(np.empty((height, width, 3), np.uint8))
    return buffers
