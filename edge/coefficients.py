"""From what a grid network puts out to the gain and bias of every cell.

The atmospheric scattering model `I = J t + A (1 - t)` (Koschmieder 1924; Narasimhan and Nayar 2002) solved for the
clear picture gives `J = I / t + A (1 - 1 / t)`: a gain of 1 / t and a bias of A (1 - gain). The network says for
each cell how dense the haze is (d, its optical thickness), by how much each colour is thinned more or less than that
(tint), and for the whole picture the airlight A:

    gain = exp(d (1 + tint)),    bias = A (1 - gain) + shift (1 - exp(-d))

Where haze hides the scene no gain brings it back; there each cell may shift its brightness and colour by a bounded
amount, in proportion to the veil 1 - exp(-d). Without haze, d = 0, the answer is the frame itself, whatever the
other coefficients say.

The functions here are the arithmetic that stays out of the graph: no quantizer has to carry an exponential, and it
runs on a small grid only.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

FORM = "density-tint-shift-airlight/2"
CHANNELS = 7  # density, tint (3), shift (3)
DENSITY_SLOPE, DENSITY_OFFSET = 2.0, -3.0
TINT_SCALE = 0.5
SHIFT_SCALE = 0.35
AIRLIGHT_SCALE = 1.1
LARGEST_LOG_GAIN = 3.5


def decode(cell: np.ndarray, airlight: np.ndarray, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Gain and bias of every cell, for pictures in [0, 1].

    Args:
        cell: float32 (h, w, 7), the network's raw answer: density, tint (R, G, B), shift (R, G, B).
        airlight: float32 (3,), raw.
        strength: how much of the haze to remove, in [0, 1.5]: the density taken is d * strength. At 0 the gain is
            exactly 1 and the bias exactly 0.

    Returns:
        gain and bias, float32 (h, w, 3) each: clear = gain * hazy + bias.
    """
    # Plane by plane: the image library's arithmetic on contiguous planes is several times as fast as numpy's on
    # interleaved channels.
    planes: Sequence[np.ndarray] = cv2.split(np.ascontiguousarray(cell, np.float32))
    density, *rest = planes
    density = cv2.exp(DENSITY_SLOPE * density + DENSITY_OFFSET)
    density = strength * cv2.log(density + 1)  # softplus
    veil: np.ndarray = 1 - cv2.exp(-density)
    veil *= SHIFT_SCALE
    light = (AIRLIGHT_SCALE / (1 + np.exp(-airlight.astype(np.float64)))).tolist()
    gains, biases = [], []
    for tint, shift, of_light in zip(rest[:3], rest[3:], light, strict=True):
        tint *= TINT_SCALE
        np.clip(tint, -1, 1, out=tint)
        tint += 1
        log_gain = cv2.min(cv2.multiply(tint, density), LARGEST_LOG_GAIN)  # type: ignore[call-overload]
        gain = cv2.exp(log_gain)
        np.clip(shift, -1, 1, out=shift)
        shift = cv2.multiply(shift, veil)
        gains.append(gain)
        biases.append(cv2.addWeighted(gain, -of_light, shift, 1, of_light))
    return cv2.merge(gains), cv2.merge(biases)
