"""Clear scenes with exact depth that need no download: a photograph that scikit-image ships, and a drawn landscape."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge import command

# Of the Middlebury 2014 "Motorcycle" scene at the size that scikit-image ships (skimage.data.stereo_motorcycle).
FOCAL_PX, BASELINE_M, OFFSET_PX = 994.978, 0.193001, 31.086


@dataclass(frozen=True)
class Scene:
    """A picture and how far away each of its pixels is.

    Attributes:
        picture: uint8 RGB (H, W, 3).
        depth: metres, float32 (H, W), positive and finite.
        measured: bool (H, W), where that is more than a guess; None where it is everywhere.
    """

    picture: np.ndarray
    depth: np.ndarray
    measured: np.ndarray | None = None


def motorcycle() -> Scene:
    """The left picture of a stereo pair (Scharstein et al. 2014), 741x500, with its measured depth.

    Raises:
        MissingPackage: scikit-image is not installed.
    """
    data = command.require("skimage.data", "export")
    picture, _, disparity = data.stereo_motorcycle()
    known = np.isfinite(disparity) & (disparity > 0)
    depth = np.where(known, FOCAL_PX * BASELINE_M / (np.where(known, disparity, 1) + OFFSET_PX), 0).astype(np.float32)
    return Scene(np.ascontiguousarray(picture[..., :3]), _filled(depth), known)


def landscape(seed: int, width: int = 320, height: int = 240) -> Scene:
    """Drawn ground, sky and buildings, 2 to 400 metres away. The same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    horizon = rng.uniform(0.3, 0.5) * height
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.arange(width, dtype=np.float32)[None, :]
    camera_m, focal_px = rng.uniform(1.5, 12), 0.9 * width
    below = np.maximum(rows - horizon, 1e-3)
    depth = np.minimum(camera_m * focal_px / below, 400) * np.ones_like(columns)

    blue = rng.uniform([0.3, 0.5, 0.7], [0.6, 0.75, 1.0]).astype(np.float32)
    sky = blue + (1 - blue) * np.minimum(rows / np.float32(horizon), 1)[..., None]
    ground_x = (columns - width / 2) * depth / focal_px
    texture = _noise(rng, height, width) * 0.35 + 0.65
    across, along = np.sin(ground_x * rng.uniform(0.3, 1.5)), np.sin(depth * rng.uniform(0.1, 0.6))
    stripes = np.float32(0.5) * (across * along > 0)
    dark, light = _colour(rng, 0.05, 0.6), _colour(rng, 0.2, 0.75)
    ground = (dark + (light - dark) * stripes[..., None]) * texture[..., None]
    picture = np.where((rows < horizon)[..., None], sky, ground).astype(np.float32)

    for distance in sorted(rng.uniform(6, 250, rng.integers(5, 14)), reverse=True):
        _stand(rng, picture, depth, distance, horizon, camera_m, focal_px)
    picture += 0.004 * rng.standard_normal(picture.shape, np.float32)
    return Scene(np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8), depth.astype(np.float32))


def _stand(
    rng: np.random.Generator,
    picture: np.ndarray,
    depth: np.ndarray,
    distance: float,
    horizon: float,
    camera_m: float,
    focal_px: float,
) -> None:
    """A building, with windows, upright on the ground at that distance."""
    height, width = depth.shape
    foot = int(min(height, horizon + camera_m * focal_px / distance))
    top = int(max(0, foot - rng.uniform(2, 20) * focal_px / distance))
    left = int(rng.uniform(-0.1, 1) * width)
    right = int(left + rng.uniform(3, 18) * focal_px / distance)
    left, right = max(0, left), min(width, right)
    if foot - top < 2 or right - left < 2:
        return
    pitch = max(2.0, rng.uniform(0.8, 2.5) * focal_px / distance)
    y, x = np.arange(foot - top)[:, None], np.arange(right - left)[None, :]
    window = ((y % pitch) > 0.5 * pitch) & ((x % pitch) > 0.5 * pitch)
    wall, pane = _colour(rng, 0.1, 0.95), _colour(rng, 0.02, 0.3)
    shade = 1 - 0.3 * x / max(1, right - left)
    grain = 0.85 + 0.3 * _noise(rng, foot - top, right - left)
    picture[top:foot, left:right] = np.where(window[..., None], pane, np.minimum(wall * (shade * grain)[..., None], 1))
    depth[top:foot, left:right] = distance


def _colour(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """A brightness with a tint, as most walls and fields have; float32 (3,)."""
    return np.clip(rng.uniform(low, high) * np.exp(rng.normal(0, 0.25, 3)), 0, 1).astype(np.float32)


def _noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Texture of several sizes, float32 (height, width), in [0, 1]."""
    total = np.zeros((height, width), np.float32)
    for cell, share in ((2, 0.4), (6, 0.35), (24, 0.25)):
        coarse = rng.random((height // cell + 2, width // cell + 2)).astype(np.float32)
        total += share * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return total


def _filled(depth: np.ndarray) -> np.ndarray:
    """Holes (0) filled from the side: what a stereo pair does not see lies behind, so the farther neighbour counts."""
    depth = depth.copy()
    kernel = np.ones((5, 5), np.uint8)
    while (holes := depth <= 0).any():
        depth[holes] = cv2.dilate(depth, kernel)[holes]
    return depth
