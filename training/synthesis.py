"""Haze to train on: how thick it is where, and what a pair of pictures says about it; `edge.haze` lays it over a scene.

Every function draws from the generator that it is given and from nothing else. Pictures are float32 (H, W, 3) RGB
in [0, 1]; thickness is optical thickness (depth times scattering coefficient), float32 (H, W), 0 where there is no
haze.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge.haze import smooth_field

Generator = np.random.Generator


@dataclass(frozen=True)
class HazeMap:
    """What haze does to each pixel of a picture: I = transmission * J + glow; both float32 (H, W, 3)."""

    transmission: np.ndarray
    glow: np.ndarray

    def over(self, clear: np.ndarray, density: float = 1.0) -> np.ndarray:
        """The clear picture seen through this haze, `density` times as thick; the airlight stays the same."""
        thicker = self.transmission**density
        light = self.glow / np.maximum(1 - self.transmission, 1e-3)
        return clear * thicker + light * (1 - thicker)


def plane(rng: Generator, height: int, width: int) -> np.ndarray:
    """Relative distance of flat ground seen from above at a random tilt, float32 (height, width), mean about 1."""
    tilt, angle = rng.uniform(0, 0.8), rng.uniform(-0.6, 0.6)
    rows, columns = np.linspace(1, -1, height), np.linspace(-1, 1, width)
    slope = np.cos(angle) * rows[:, None] + np.sin(angle) * columns[None, :]
    return (1 / (1.6 - tilt * slope) * 1.6).astype(np.float32)


def benchmark_thickness(rng: Generator, depth: np.ndarray) -> np.ndarray:
    """Homogeneous haze as the RESIDE benchmark makes it outdoors (Li et al. 2019): coefficients of 0.04 to 0.2."""
    return np.exp(rng.uniform(np.log(0.06), np.log(0.22))) * depth


def even_thickness(rng: Generator, depth: np.ndarray) -> np.ndarray:
    """Homogeneous haze, from hardly visible to the benchmark's thickest: depth times a coefficient."""
    return np.exp(rng.uniform(np.log(0.03), np.log(0.22))) * depth


def patchy_thickness(rng: Generator, depth: np.ndarray) -> np.ndarray:
    """Thin even haze with drifting clouds in it, as a haze machine makes them."""
    height, width = depth.shape
    clouds = smooth_field(rng, height, width) ** rng.uniform(0.7, 2)
    return rng.uniform(0.02, 0.2) * depth + rng.uniform(0.3, 2.2) * clouds


def dense_thickness(rng: Generator, depth: np.ndarray) -> np.ndarray:
    """Haze so thick that even what is near is veiled."""
    return rng.uniform(0.1, 0.3) * depth + rng.uniform(0.3, 1.8)


def aerial_thickness(rng: Generator, height: int, width: int) -> np.ndarray:
    """Haze between a drone and the ground: nearly even, growing with the distance along a tilted plane."""
    thickness = np.exp(rng.uniform(np.log(0.15), np.log(2.2))) * plane(rng, height, width)
    if rng.random() < 0.4:
        thickness = thickness + rng.uniform(0, 0.8) * smooth_field(rng, height, width)
    return thickness


def invented_depth(rng: Generator, height: int, width: int) -> np.ndarray:
    """Depth for a scene whose depth nobody knows: a smooth field over a plane, in the unit of the benchmark's."""
    return rng.uniform(0, 4) * smooth_field(rng, height, width) + rng.uniform(0.5, 3) * plane(rng, height, width)


def aged(rng: Generator, clear: np.ndarray) -> np.ndarray:
    """The scene in another light: darker and of another contrast."""
    return clear ** rng.uniform(1, 2.2) * np.float32(rng.uniform(0.6, 1))


def sensor(rng: Generator, picture: np.ndarray, most_noise: float = 0.01) -> np.ndarray:
    """The picture with sensor noise, in [0, 1]."""
    sigma = np.float32(rng.uniform(0, most_noise))
    return np.clip(picture + sigma * rng.standard_normal(picture.shape, np.float32), 0, 1)


def true_transmission(hazy: np.ndarray, clear: np.ndarray) -> HazeMap:
    """The haze of a pair that the scattering model made: one grey airlight, one transmission for each pixel.

    The airlight is the one, of a fine scan, that leaves the smallest residual; where a pixel is as bright as the
    airlight its transmission is unknown and taken from its surroundings (median of 5x5).
    """
    best: tuple[float, float, np.ndarray] | None = None
    for light in np.arange(0.7, 1.001, 0.02, dtype=np.float32):
        scene, seen = clear - light, hazy - light
        energy = (scene * scene).sum(-1)
        transmission = np.clip((scene * seen).sum(-1) / np.maximum(energy, 1e-3), 0.02, 1)
        residual = float(np.square(scene * transmission[..., None] - seen).mean())
        if best is None or residual < best[0]:
            best = residual, float(light), transmission.astype(np.float32)
    assert best is not None
    transmission = np.repeat(cv2.medianBlur(best[2], 5)[..., None], 3, axis=2)
    return HazeMap(transmission, best[1] * (1 - transmission))


def fitted_haze(hazy: np.ndarray, clear: np.ndarray, radius: int = 8) -> HazeMap:
    """The haze of a real pair, whose two pictures may be some pixels apart.

    Alternating least squares for one airlight a channel and a transmission for each window of `radius` pixels; the
    glow is what is left, smoothed, so that an airlight that differs from place to place is kept.
    """
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.blur(picture, window, borderType=cv2.BORDER_REFLECT)

    light = np.full(3, 0.8, np.float32)
    for _ in range(6):
        scene, seen = clear - light, hazy - light
        transmission = mean((scene * seen).sum(-1)) / np.maximum(mean((scene * scene).sum(-1)), 1e-3)
        transmission = np.clip(transmission, 0.02, 1)[..., None]
        veil = 1 - transmission
        numerator = (veil * (hazy - transmission * clear)).sum((0, 1))
        light = np.clip(numerator / np.maximum((veil * veil).sum((0, 1)), 1e-3), 0.3, 1.1).astype(np.float32)
    transmission = np.repeat(transmission, 3, axis=2).astype(np.float32)
    return HazeMap(transmission, np.maximum(mean(hazy - transmission * clear), 0))
