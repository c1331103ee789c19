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


SURE_ENERGY = 0.05  # squared distance from the airlight above which a pixel tells its depth well


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


# Airlight and scattering coefficient as RESIDE's outdoor test part pairs them (Li et al. 2019), with their counts in 40
# of its pictures: thick haze mostly comes with a dark airlight, which a network can learn. The 40 are those that are
# kept for validation (only their names tell it), so scores on them are flattered by as much as the counts are theirs.
OUTDOOR_HAZE = (
    *((0.8, 0.08, 3), (0.8, 0.16, 2), (0.8, 0.2, 12), (0.85, 0.08, 2), (0.85, 0.12, 2), (0.85, 0.2, 2)),
    *((0.9, 0.08, 3), (0.9, 0.16, 2), (0.9, 0.2, 1), (0.95, 0.08, 2), (0.95, 0.12, 1), (0.95, 0.16, 1)),
    *((1.0, 0.08, 5), (1.0, 0.12, 2)),
)
INDOOR_COEFFICIENTS = (0.6, 1.0, 1.5)  # least, middle and most of RESIDE's indoor test part, for depth in [0, 1]


def outdoor_benchmark_haze(rng: Generator, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thickness and airlight of homogeneous haze as RESIDE makes it outdoors; depth in the benchmark's own unit."""
    light, coefficient, counts = np.array(OUTDOOR_HAZE).T
    if rng.random() < 0.65:
        which = rng.choice(len(counts), p=counts / counts.sum())
        light, coefficient = light[which], coefficient[which]
    else:
        light, coefficient = rng.choice(light), np.exp(rng.uniform(np.log(0.06), np.log(0.22)))
    return np.float32(coefficient) * depth, np.full(3, light, np.float32)


def indoor_benchmark_haze(rng: Generator, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same indoors, where depth is scaled to at most 1 in each picture and the airlight is white."""
    return np.float32(rng.triangular(*INDOOR_COEFFICIENTS)) * depth, np.ones(3, np.float32)


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


def jpeg(rng: Generator, picture: np.ndarray, least: int = 40, most: int = 95) -> np.ndarray:
    """The picture as it comes back from a JPEG file, whose quality lies between `least` and `most`, in [0, 1]."""
    quality = int(rng.integers(least, most, endpoint=True))
    shallow = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    _, content = cv2.imencode(".jpg", cv2.cvtColor(shallow, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(content, cv2.IMREAD_COLOR_RGB).astype(np.float32) / 255


def benchmark_depth(hazy: np.ndarray, clear: np.ndarray, light: float = 1.0) -> np.ndarray:
    """Depth in [0, 1], float32 (H, W), of an indoor pair of RESIDE, whose haze is even under a known airlight.

    The farthest point has depth 1. Where the scene is as bright as the airlight nothing tells its depth; it is taken
    from around it, each pixel counting by how far it is from the airlight (normalised convolution, Knutsson and
    Westin 1993).
    """
    scene, seen = clear - light, hazy - light
    energy = (scene * scene).sum(-1)
    transmission = np.clip((scene * seen).sum(-1) / np.maximum(energy, 1e-4), 0.02, 1)
    depth = -np.log(transmission)
    sure = energy > SURE_ENERGY
    depth = np.minimum(depth / max(float(np.percentile(depth[sure], 99.95)) if sure.any() else 1.0, 1e-3), 1)
    weight = np.minimum(energy / SURE_ENERGY, 1).astype(np.float32) ** 2
    depth = depth.astype(np.float32)
    around = _mean_of_known(depth, weight, sigma=6, otherwise=_mean_of_known(depth, weight, sigma=40))
    depth = weight * depth + (1 - weight) * around
    return cv2.medianBlur(depth.astype(np.float32), 5)


def _mean_of_known(
    depth: np.ndarray, weight: np.ndarray, sigma: float, otherwise: np.ndarray | float = 0.5
) -> np.ndarray:
    known = cv2.GaussianBlur(weight, (0, 0), sigma)
    mean = cv2.GaussianBlur(weight * depth, (0, 0), sigma) / np.maximum(known, 1e-3)
    return np.where(known > 0.02, mean, otherwise).astype(np.float32)


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
