"""From what a grid network puts out to the gain and bias of every cell.

The atmospheric scattering model `I = J t + A (1 - t)` (Koschmieder 1924; Narasimhan and Nayar 2002) solved for the
clear picture gives `J = I / t + A (1 - 1 / t)`: a gain of 1 / t and a bias of A (1 - gain). The network says for
each cell how dense the haze is and what colour the light through it takes, and for the whole picture the airlight A.
Where haze hides the scene altogether no gain brings it back, so each cell may also shift its brightness and colour
by a bounded amount.

The functions here are the arithmetic that stays out of the graph: no quantizer has to carry an exponential, and it
runs on a small grid only.
"""

from __future__ import annotations

import cv2
import numpy as np

FORM = "transmission-airlight-shift/1"
CHANNELS = 7  # density, colour of the transmission (3), shift (3)
DENSITY_SLOPE, DENSITY_OFFSET = 2.0, -3.0
COLOUR_SCALE = 0.5
SHIFT_SCALE = 0.25
AIRLIGHT_SCALE = 1.1
SMALLEST_LOG_GAIN, LARGEST_LOG_GAIN = -1.0, 3.5


def decode(cell: np.ndarray, airlight: np.ndarray, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Gain and bias of every cell, for pictures in [0, 1].

    Args:
        cell: float32 (h, w, 7), the network's raw answer: density, colour (R, G, B), shift (R, G, B).
        airlight: float32 (3,), raw.
        strength: how much of the haze to remove, in [0, 1.5]: the transmission taken is t ** strength. At 0 the
            gain is exactly 1 and the bias exactly 0.

    Returns:
        gain and bias, float32 (h, w, 3) each: clear = gain * hazy + bias.
    """
    # Plane by plane: the image library's arithmetic on contiguous planes is several times as fast as numpy's on
    # interleaved channels.
    density, *rest = cv2.split(np.ascontiguousarray(cell, np.float32))
    density = cv2.exp(DENSITY_SLOPE * density + DENSITY_OFFSET)
    density = cv2.log(density + 1)  # softplus
    light = (AIRLIGHT_SCALE / (1 + np.exp(-airlight.astype(np.float64)))).tolist()
    gains, biases = [], []
    for colour, shift, of_light in zip(rest[:3], rest[3:], light, strict=True):
        log_gain = cv2.scaleAdd(colour, COLOUR_SCALE, density)
        np.clip(log_gain, SMALLEST_LOG_GAIN, LARGEST_LOG_GAIN, out=log_gain)
        log_gain *= strength
        gain = cv2.exp(log_gain)
        np.clip(shift, -1, 1, out=shift)
        bias = cv2.addWeighted(gain, -of_light, shift, strength * SHIFT_SCALE, of_light)
        gains.append(gain)
        biases.append(bias)
    return cv2.merge(gains), cv2.merge(biases)
