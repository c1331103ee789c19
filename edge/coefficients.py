"""From what a grid network puts out to the gain and bias of every cell.

The atmospheric scattering model `I = J t + A (1 - t)` (Koschmieder 1924; Narasimhan and Nayar 2002) solved for the
clear picture gives `J = I / t + A (1 - 1 / t)`: a gain of 1 / t and a bias of A (1 - gain). The network says for
each cell how dense the haze is (d, its optical thickness), by how much each colour is thinned more or less than that
(tint), and for the whole picture the airlight A:

    gain = exp(d (1 + tint)),    bias = A (1 - gain) + shift v,    v = 1 - exp(-d)

Where haze hides the scene no gain brings it back; there each cell may shift its brightness and colour by a bounded
amount, in proportion to the veil v. Without haze, d = 0, the answer is the frame itself, whatever the other
coefficients say.

Haze takes more from fine detail than from the rest: light that is scattered forward blurs what it carries, and the
denser the haze the more. What is finer than a cell, the frame less its mean m over the cell, is therefore enlarged by
k = 2 sigmoid(s) DETAIL v^2 more than the rest, which is a gain and a bias again:

    gain' = gain (1 + k),    bias' = bias - k gain m

The network says s for the whole picture, after the airlight; one that does not has s = 0.

What jumps where depth does jumps in all colours alike, so only the means over the colours need be known on a finer
grid.

The functions here are the arithmetic that stays out of the graph: no quantizer has to carry an exponential, and it
runs on a small grid only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from edge import native

FORM = "density-tint-shift-airlight/3"
CHANNELS = 7  # density, tint (3), shift (3)
DENSITY_SLOPE, DENSITY_OFFSET = 2.0, -3.0
TINT_SCALE = 0.5
SHIFT_SCALE = 0.35
AIRLIGHT_SCALE = 1.1
LARGEST_LOG_GAIN = 3.5
DETAIL = 1.5  # real pairs would take 2 and more, RESIDE's 1 to 2; noise is enlarged with the detail


def within_limits(cell: np.ndarray) -> np.ndarray:
    """A raw answer (h, w, 7), tint and shift clipped as decoding does: beyond these limits they say nothing more."""
    most = np.array([np.inf, *3 * (1 / TINT_SCALE,), *3 * (1.0,)], np.float32)
    return np.clip(cell, -most, most)


class Planes(NamedTuple):
    """What an answer says of gain and bias: each colour on the coarse grid, their mean on one that may be finer.

    Attributes:
        log_gain, shift: float32 (h, w, 3), what each colour has beside the mean.
        log_gain_mean, shift_mean: float32 (h', w').
        light: the airlight, float64 (3,).
    """

    log_gain: np.ndarray
    log_gain_mean: np.ndarray
    shift: np.ndarray
    shift_mean: np.ndarray
    light: np.ndarray


class Decoder:
    """Decodes the answer to each frame, in buffers that are kept; they are made anew when the grid's size changes.

    Args:
        loops: `edge.native.loops`; None has the image library do it.
    """

    def __init__(self, loops: native.Loops | None = native.loops) -> None:
        self._loops = loops
        self._shape: tuple[int, ...] = ()

    def __call__(
        self,
        cell: np.ndarray,
        airlight: np.ndarray,
        strength: float = 1.0,
        picture: np.ndarray | None = None,
        sharpen: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]] | None = None,
    ) -> Planes:
        """What `GridApply.clear` and `Spread` take.

        Args:
            cell: float32 (h, w, 7), the network's raw answer: density, tint (R, G, B), shift (R, G, B).
            airlight: float32 (3,) or, with what it says of fine detail behind it, (4,), raw.
            strength: how much of the haze to remove, in [0, 1.5]: the density taken is d * strength. At 0 the gain is
                exactly 1 and the bias exactly 0.
            picture: uint8 RGB (h, w, 3), the frame's means over the cells; None where the frame holds nothing finer.
            sharpen: gives planes (h, w) on a finer grid (see `edge.apply.GridApply.sharpen`), for the means; None
                leaves the grid as it is.

        Returns:
            The next call writes to the same arrays.
        """
        if cell.shape != self._shape:
            self._make_buffers(*cell.shape[:2])
        cell = np.ascontiguousarray(cell, np.float32)
        shares = 1 / (1 + np.exp(-airlight.astype(np.float64)))
        light, detail = AIRLIGHT_SCALE * shares[:3], DETAIL * (2 * float(shares[3]) if len(shares) > 3 else 1)
        if self._loops is None:
            self._decode(cell, light, detail, strength, picture)
        else:
            scales = (DENSITY_SLOPE, DENSITY_OFFSET, TINT_SCALE, SHIFT_SCALE, detail * (picture is not None))
            seen = self._nothing if picture is None else np.ascontiguousarray(picture)
            limits = (LARGEST_LOG_GAIN, *light)
            self._loops.decode(cell, seen, scales, limits, strength, *reversed(self._log_gain), *reversed(self._shift))
        means: Sequence[np.ndarray] = (self._log_gain[0], self._shift[0])
        if sharpen is not None:
            means = sharpen(means)
        return Planes(self._log_gain[1], means[0], self._shift[1], means[1], light)

    def _decode(
        self, cell: np.ndarray, light: np.ndarray, detail: float, strength: float, picture: np.ndarray | None
    ) -> None:
        height, width = cell.shape[:2]
        # Plane by plane: arithmetic on whole planes is several times as fast as on interleaved channels.
        cv2.transpose(cell.reshape(-1, CHANNELS), self._planes)
        density, tint, shift = self._planes[0], self._planes[1:4], self._planes[4:]
        density *= DENSITY_SLOPE
        density += DENSITY_OFFSET
        cv2.exp(density, density)
        density += 1
        cv2.log(density, density)  # softplus
        density *= strength

        tint *= TINT_SCALE
        np.clip(tint, -1, 1, out=tint)
        tint += 1
        log_gain = np.multiply(tint, density, out=tint)
        np.clip(shift, -1, 1, out=shift)
        cv2.exp(np.negative(density, out=self._veil), self._veil)
        np.subtract(1, self._veil, out=self._veil)
        shift *= SHIFT_SCALE * self._veil
        if picture is not None:
            more = cv2.multiply(self._veil, self._veil, scale=detail).reshape(-1)
            glow = light[:, None].astype(np.float32) - picture.reshape(-1, 3).T * np.float32(1 / 255)
            shift += more * glow * np.exp(np.minimum(log_gain, LARGEST_LOG_GAIN))
            log_gain += np.log1p(more)

        for planes, mean, apart in ((log_gain, *self._log_gain), (shift, *self._shift)):
            cv2.reduce(planes, 0, cv2.REDUCE_AVG, mean.reshape(1, -1))
            planes -= mean.reshape(-1)
            cv2.merge([plane.reshape(height, width) for plane in planes], apart)

    def _make_buffers(self, height: int, width: int) -> None:
        self._shape = (height, width, CHANNELS)
        if self._loops is None:
            self._planes = np.empty((CHANNELS, height * width), np.float32)
            self._veil = np.empty(height * width, np.float32)
        self._nothing = np.zeros((height, width, 3), np.uint8)
        # Mean over the colours, and what each colour has beside it.
        self._log_gain, self._shift = (
            (np.empty((height, width), np.float32), np.empty((height, width, 3), np.float32)) for _ in range(2)
        )


class Spread:
    """Gain and bias of every cell by the image library, in buffers that are kept."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()

    def __call__(self, planes: Planes) -> tuple[np.ndarray, np.ndarray]:
        """For pictures in [0, 1]: clear = gain * hazy + bias.

        Returns:
            gain and bias, float32 (h', w', 3), of the finer of the two grids; the next call writes to the same arrays.
        """
        log_gain, log_gain_mean, shift, shift_mean, light = planes
        if log_gain_mean.shape != self._shape:
            self._shape = log_gain_mean.shape
            self._gain, self._bias, self._scratch = np.empty((3, *self._shape, 3), np.float32)
        gain = _plus(log_gain, log_gain_mean, self._gain, self._scratch)
        cv2.threshold(gain, LARGEST_LOG_GAIN, 0, cv2.THRESH_TRUNC, gain)
        cv2.exp(gain, gain)
        bias = _plus(shift, shift_mean, self._bias, self._scratch)
        glow = cv2.transform(gain, np.column_stack([np.diag(-light), light]), self._scratch)  # A (1 - gain)
        return gain, cv2.add(bias, glow, bias)


def _plus(apart: np.ndarray, mean: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """The colours (h, w, 3), enlarged to the grid of their mean where that is finer, with the mean added to each."""
    if mean.shape != apart.shape[:2]:
        apart = cv2.resize(apart, mean.shape[::-1], out, interpolation=cv2.INTER_LINEAR)
    return cv2.add(apart, cv2.merge([mean, mean, mean], scratch), out)


def decode(
    cell: np.ndarray, airlight: np.ndarray, strength: float = 1.0, picture: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Gain and bias of every cell for one answer, on its own grid, in arrays of their own; as `Decoder`."""
    return Spread()(Decoder()(cell, airlight, strength, picture))
