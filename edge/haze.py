"""Haze over a clear picture, by the atmospheric scattering model (Koschmieder 1924; Narasimhan and Nayar 2002).

Random parts are drawn from the generator that is given, and from nothing else.
"""

from __future__ import annotations

import cv2
import numpy as np


def hazed(clear: np.ndarray, thickness: np.ndarray, airlight: np.ndarray) -> np.ndarray:
    """`I = J t + A (1 - t)` with `t = exp(-thickness)`.

    Args:
        clear: float32 RGB (H, W, 3) in [0, 1].
        thickness: optical thickness of the air in front of each pixel (depth times scattering coefficient),
            float32 (H, W), 0 where there is no haze.
        airlight: float32 RGB (3,) in [0, 1].

    Returns:
        float32 RGB (H, W, 3) in [0, 1].
    """
    transmission = np.exp(-thickness)[..., None].astype(np.float32)
    return clear * transmission + airlight * (1 - transmission)


def smooth_field(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random smooth field that spans [0, 1], float32 (height, width), of two to six bumps a side.

    Drifting fog and haze machines make haze that is not even; such fields stand for it.
    """
    cells = rng.integers(2, 7)
    coarse = rng.random((cells, cells + 1)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return (field - field.min()) / (np.ptp(field) + 1e-6)


def random_airlight(rng: np.random.Generator, low: float = 0.6, tint: float = 0.03) -> np.ndarray:
    """A not quite white airlight, float32 (3,)."""
    return np.clip(rng.uniform(low, 1.0) * np.exp(rng.normal(0, tint, 3)), 0.3, 1).astype(np.float32)


def random_thickness(rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
    """Optical thickness of even, patchy or dense haze over a scene.

    Args:
        depth: float32 (H, W), positive; only its proportions count.

    Returns:
        float32 (H, W).
    """
    height, width = depth.shape
    depth = depth / max(float(np.median(depth)), 1e-6)
    kind = rng.random()
    if kind < 0.5:
        thickness = rng.uniform(0.2, 1.6) * depth
    elif kind < 0.8:
        clouds = smooth_field(rng, height, width) ** rng.uniform(0.7, 2)
        thickness = rng.uniform(0.1, 0.6) * depth + rng.uniform(0.3, 2.0) * clouds
    else:
        thickness = rng.uniform(0.2, 0.6) * depth + rng.uniform(0.3, 1.6)
    return np.minimum(thickness, 6.0).astype(np.float32)
