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

import numpy as np

FORM = "transmission-airlight-shift/1"
CHANNELS = 7  # density, colour of the transmission (3), shift (3)
DENSITY_SLOPE, DENSITY_OFFSET = 2.0, -3.0
COLOUR_SCALE = 0.5
SHIFT_SCALE = 0.25
AIRLIGHT_SCALE = 1.1
LARGEST_LOG_GAIN = 3.5


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
    density = np.logaddexp(0.0, DENSITY_SLOPE * cell[..., :1] + DENSITY_OFFSET, dtype=np.float32)
    log_gain = np.clip(density + COLOUR_SCALE * cell[..., 1:4], -1.0, LARGEST_LOG_GAIN)
    gain = np.exp(np.float32(strength) * log_gain)
    light = AIRLIGHT_SCALE / (1.0 + np.exp(-airlight.astype(np.float32)))
    shift = np.float32(strength * SHIFT_SCALE) * np.clip(cell[..., 4:7], -1.0, 1.0)
    return gain, light.astype(np.float32) * (1 - gain) + shift
