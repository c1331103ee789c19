"""Where training pictures come from: named sources with weights, and the dataset that mixes them.

A configuration names each source, what kind it is and how often it is drawn:

    [sources.real]
    kind = "pairs"          # hazy/ and clear/, paired by the leading token of their names
    folder = "real"
    weight = 0.4

Kinds: ``pairs`` (as they are, with the haze now and then thinned or thickened), ``depth`` (clear/ and depth/: haze by
the scattering model), ``synthetic_pairs`` (pairs made by the scattering model: their transmission is recovered and
hazed anew), ``clear`` (haze over invented depth), ``aerial`` (haze between a drone and the ground), ``transfer`` (the
haze of real pairs over other scenes), ``identity`` (no haze: the answer is the picture itself) and ``unlabelled``
(hazy photographs without a clear one, which is NaN then; for quantization.distill only).

What each can be told is in `training.source_settings`.

A sample also tells the haze where it was made here, so that a loss can ask for it: optical thickness and airlight.

Pictures are reduced once and kept in memory as 8-bit. Sample number i is a pure function of the seed and i, so a run
resumes exactly, whatever the number of workers or ranks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from edge import command, haze
from edge.errors import EdgeError, PictureError
from edge.measure.accuracy import read_pair
from edge.pictures import read_picture
from training import source_settings as settings
from training import synthesis
from training.config import read_source
from training.places import kept_pairs, kept_pictures
from training.synthesis import Generator, HazeMap

KEPT = 2  # longest side of a picture in memory, as a multiple of that of the samples: windows are half of it or more
DEPTH_UNIT = 20.0  # grey levels of a depth picture for one unit of depth
SCENE_NOISE = 0.02  # most standard deviation of a scene's noise before the haze
ENDLESS = 2**40


class Sample(NamedTuple):
    """Hazy and clear picture, float32 (H, W, 3) in [0, 1]; where the haze is known, its optical thickness (H, W) and
    its airlight (3,)."""

    hazy: np.ndarray
    clear: np.ndarray
    thickness: np.ndarray | None = None
    airlight: np.ndarray | None = None


class Stock(NamedTuple):
    """What a source has to draw from, on which hangs what picture a number that was drawn means.

    Attributes:
        pictures: how many, or how many pairs.
        sha256: of the names and sizes of all files, in their order.
    """

    pictures: int
    sha256: str


Kept = TypeVar("Kept")
Read = list[tuple[Path, ...]]  # the files that a source has read, row by row
Draw = Callable[[Generator], Sample]
Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class View:
    """A window of a picture, in shares of its sides, and whether it is mirrored; size of the result in pixels."""

    left: float
    top: float
    right: float
    bottom: float
    mirrored: bool
    width: int
    height: int

    @staticmethod
    def draw(rng: Generator, width: int, height: int, whole: float = 0.0, smallest: float = 0.55) -> View:
        """A window of `smallest` to all of the picture with a somewhat other aspect, anywhere in it; or, with
        probability `whole`, all of it, as a model sees it that is used."""
        if rng.random() < whole:
            return View(0.0, 0.0, 1.0, 1.0, bool(rng.random() < 0.5), width, height)
        scale = rng.uniform(smallest, 1.0)
        wide, tall = scale * rng.uniform(0.8, 1.0), scale * rng.uniform(0.8, 1.0)
        left, top = rng.uniform(0, 1 - wide), rng.uniform(0, 1 - tall)
        return View(left, top, left + wide, top + tall, bool(rng.random() < 0.5), width, height)

    def of(self, picture: np.ndarray) -> np.ndarray:
        """The window of a picture, resized by area averaging, in the picture's own dtype."""
        rows, columns = picture.shape[:2]
        top, bottom = int(self.top * rows), max(int(self.bottom * rows), int(self.top * rows) + 1)
        left, right = int(self.left * columns), max(int(self.right * columns), int(self.left * columns) + 1)
        cut = cv2.resize(picture[top:bottom, left:right], (self.width, self.height), interpolation=cv2.INTER_AREA)
        return cut[:, ::-1] if self.mirrored else cut


class HazeDataset(Dataset[Tensors]):
    """Samples drawn from weighted sources; practically endless.

    Each is hazy and clear picture, float32 (3, H, W) in [0, 1], and the haze, float32 (4, H, W): optical thickness and
    the airlight's three channels, NaN where nobody knows.

    Attributes:
        stocks: by the name of the source.
    """

    def __init__(
        self, draws: Sequence[Draw], weights: Sequence[float], seed: int, stocks: Mapping[str, Stock] | None = None
    ) -> None:
        self.stocks = dict(stocks or {})
        self._draws = list(draws)
        self._share = np.cumsum(weights) / np.sum(weights)
        self._seed = seed

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensors:
        cv2.setNumThreads(0)
        rng = np.random.default_rng((self._seed, index))
        which = int(np.searchsorted(self._share, rng.random(), side="right"))
        sample = self._draws[min(which, len(self._draws) - 1)](rng)
        return _tensor(sample.hazy), _tensor(sample.clear), _haze(sample)


def build(
    sources: Mapping[str, Mapping[str, Any]], size: tuple[int, int], seed: int, root: Path | str = "."
) -> HazeDataset:
    """The dataset of a configuration's ``[sources.*]`` tables.

    Args:
        sources: name to table: kind, weight, folder (or folders), and the kind's own settings.
        size: width and height of the samples, in pixels.
        seed: samples are a pure function of it and their number.
        root: what relative folders are relative to.

    Raises:
        ConfigError: an unknown kind or setting, or a value of the wrong type or out of range.
        EdgeError: a source without pictures that can be read.
    """
    draws, weights, stocks = [], [], {}
    for name, table in sources.items():
        source = read_source(name, table)
        if source.weight:
            rows: Read = []
            draw = KINDS[source.kind](Path(root), size, source, rows)
            stocks[name] = _stock(rows)
            if isinstance(source, settings.Synthesized) and source.jpeg:
                draw = _stored_as_jpeg(draw, source.jpeg)
            draws.append(draw)
            weights.append(source.weight)
    if not draws:
        raise EdgeError("the configuration has no source with a weight above 0")
    return HazeDataset(draws, weights, seed, stocks)


# kinds of sources -----------------------------------------------------------------------------------------------------


def _pairs(root: Path, size: tuple[int, int], to: settings.Pairs, read: Read) -> Draw:
    """Pairs as they are; with probability `vary` the haze between the two is thinned or thickened."""
    pictures = _readable(kept_pairs(root / to.folder, to.leave_out, to.only, to.limit), partial(_read_pair, size), read)

    def draw(rng: Generator) -> Sample:
        hazy, clear = pictures[rng.integers(len(pictures))]
        view = View.draw(rng, *size, to.whole, to.smallest)
        hazy, clear = _float(view.of(hazy)), _float(view.of(clear))
        if rng.random() < to.vary:  # along the line from clear to hazy only the transmission changes, not the airlight
            hazy = np.clip(clear + np.float32(rng.uniform(0.4, 1.15)) * (hazy - clear), 0, 1)
        return Sample(*_recoloured(rng, hazy, clear, much=to.recolour))

    return draw


def _depth(root: Path, size: tuple[int, int], to: settings.Depth, read: Read) -> Draw:
    """Clear pictures with depth."""
    folder = root / to.folder
    files = [(path, folder / "depth" / f"{path.stem}.png") for path in kept_pictures(folder / "clear", to.leave_out)]
    scenes = _readable(files, partial(_read_with_depth, size), read)

    def draw(rng: Generator) -> Sample:
        clear, depth = scenes[rng.integers(len(scenes))]
        view = View.draw(rng, *size, to.whole, to.smallest)
        (scene,) = _recoloured(rng, _float(view.of(clear)), much=to.recolour)
        return _hazed_by_depth(rng, scene, view.of(depth).astype(np.float32) / DEPTH_UNIT, to.exact, to.dark, to.noise)

    return draw


def _synthetic_pairs(root: Path, size: tuple[int, int], to: settings.SyntheticPairs, read: Read) -> Draw:
    """Pairs made by the scattering model, hazed anew through their own depth."""
    scenes = [
        (clear, synthesis.benchmark_depth(_float(hazy), _float(clear)))
        for hazy, clear in _readable(kept_pairs(root / to.folder, to.leave_out), partial(_read_pair, size), read)
    ]

    def draw(rng: Generator) -> Sample:
        clear, depth = scenes[rng.integers(len(scenes))]
        view = View.draw(rng, *size, to.whole, to.smallest)
        scene, depth = _recoloured(rng, _float(view.of(clear)), much=to.recolour)[0], view.of(depth)
        seen = _noisy(rng, scene, to.noise)
        if rng.random() < to.exact:
            thickness, airlight = synthesis.indoor_benchmark_haze(rng, depth)
            return Sample(np.clip(haze.hazed(seen, thickness, airlight), 0, 1), scene, thickness, airlight)
        thickness = np.exp(rng.uniform(np.log(0.25), np.log(2.0))) * (depth / max(float(depth.mean()), 1e-3))
        airlight = haze.random_airlight(rng, 0.65, tint=0.03 if rng.random() < 0.3 else 0.0)
        return Sample(synthesis.sensor(rng, haze.hazed(seen, thickness, airlight), 0.004), scene, thickness, airlight)

    return draw


def _clear(root: Path, size: tuple[int, int], to: settings.Clear, read: Read) -> Draw:
    """Clear pictures under haze over invented depth."""
    pictures = _many(root, to.folders, to, size, read)

    def draw(rng: Generator) -> Sample:
        clear = _float(View.draw(rng, *size).of(pictures[rng.integers(len(pictures))]))
        return _hazed_by_depth(rng, clear, synthesis.invented_depth(rng, *clear.shape[:2]), 0.3, 0.3, to.noise)

    return draw


def _aerial(root: Path, size: tuple[int, int], to: settings.Aerial, read: Read) -> Draw:
    """Clear pictures under the haze that lies between a drone and the ground."""
    pictures = _many(root, to.folders, to, size, read)

    def draw(rng: Generator) -> Sample:
        view, ground = View.draw(rng, *size, smallest=to.smallest), pictures[rng.integers(len(pictures))]
        if to.turned and rng.random() < to.turned:  # seen from above nothing is upright
            ground = np.rot90(ground, rng.integers(1, 4))
        clear = _float(view.of(ground))
        clear = _recoloured(rng, clear, much=to.recolour)[0] if rng.random() < 0.5 else clear
        seen = _noisy(rng, clear, to.noise)
        thickness = synthesis.aerial_thickness(rng, *clear.shape[:2])
        if rng.random() < to.exact:
            light = haze.random_airlight(rng, 0.75, tint=0.0)
            return Sample(np.clip(haze.hazed(seen, thickness, light), 0, 1), clear, thickness, light)
        light = haze.random_airlight(rng, 0.65, tint=0.03 if rng.random() < 0.4 else 0.0)
        return Sample(synthesis.sensor(rng, haze.hazed(seen, thickness, light), 0.006), clear, thickness, light)

    return draw


def _transfer(root: Path, size: tuple[int, int], to: settings.Transfer, read: Read) -> Draw:
    """The haze of real pairs, fitted to them, over other clear scenes."""
    maps = []
    for hazy, clear in _readable(kept_pairs(root / to.pairs, to.leave_out), partial(_read_pair, size), read):
        fitted = synthesis.fitted_haze(_float(hazy), _float(clear))
        maps.append((_eight_bit(fitted.transmission), _eight_bit(fitted.glow)))
    scenes = _many(root, to.onto, to, size, read)

    def draw(rng: Generator) -> Sample:
        transmission, glow = maps[rng.integers(len(maps))]
        view = View.draw(rng, *size)
        veil = HazeMap(_float(view.of(transmission)), _float(view.of(glow)))
        clear = _recoloured(rng, _float(View.draw(rng, *size).of(scenes[rng.integers(len(scenes))])))[0]
        if rng.random() < 0.5:
            clear = synthesis.aged(rng, clear)
        seen = _noisy(rng, clear, to.noise)
        return Sample(synthesis.sensor(rng, veil.over(seen, np.exp(rng.normal(0, 0.4))), 0.006), clear)

    return draw


def _identity(root: Path, size: tuple[int, int], to: settings.Pictures, read: Read) -> Draw:
    """Clear pictures, whose answer is the picture itself."""
    pictures = _many(root, to.folders, to, size, read)

    def draw(rng: Generator) -> Sample:
        clear = _float(View.draw(rng, *size).of(pictures[rng.integers(len(pictures))]))
        if rng.random() < 0.5:
            clear = clear ** np.float32(rng.uniform(0.7, 1.8))
        return Sample(clear, clear, np.zeros(clear.shape[:2], np.float32), np.ones(3, np.float32))

    return draw


def _unlabelled(root: Path, size: tuple[int, int], to: settings.Pictures, read: Read) -> Draw:
    """Hazy photographs alone."""
    pictures = _many(root, to.folders, to, size, read)

    def draw(rng: Generator) -> Sample:
        hazy = _recoloured(rng, _float(View.draw(rng, *size).of(pictures[rng.integers(len(pictures))])))[0]
        return Sample(hazy, np.full_like(hazy, np.nan))

    return draw


def _stock(rows: Read) -> Stock:
    """Names and sizes: they tell pictures that came or went, and do not change when the folder is copied elsewhere."""
    said = [f"{path.parent.name}/{path.name}\0{path.stat().st_size}\0" for row in rows for path in row]
    return Stock(len(rows), hashlib.sha256("".join(said).encode(errors="surrogateescape")).hexdigest())


KINDS: Mapping[str, Callable[..., Draw]] = {
    "pairs": _pairs,
    "depth": _depth,
    "synthetic_pairs": _synthetic_pairs,
    "clear": _clear,
    "aerial": _aerial,
    "transfer": _transfer,
    "identity": _identity,
    "unlabelled": _unlabelled,
}


def _hazed_by_depth(
    rng: Generator, clear: np.ndarray, depth: np.ndarray, exact: float, dark: float, noise: float
) -> Sample:
    if rng.random() < exact:
        thickness, light = synthesis.outdoor_benchmark_haze(rng, depth)
        seen = _noisy(rng, clear, noise)
        return Sample(np.clip(haze.hazed(seen, thickness, light), 0, 1), clear, thickness, light)
    if rng.random() < dark:
        clear = synthesis.aged(rng, clear)
    depth = depth - rng.uniform(0, 1) * depth.min()
    thickness = (
        synthesis.even_thickness,
        synthesis.patchy_thickness,
        synthesis.dense_thickness,
    )[rng.choice(3, p=(0.4, 0.35, 0.25))](rng, depth)
    light = haze.random_airlight(rng, 0.55)
    seen = _noisy(rng, clear, noise)
    return Sample(synthesis.sensor(rng, haze.hazed(seen, thickness, light)), clear, thickness, light)


def _noisy(rng: Generator, scene: np.ndarray, share: float) -> np.ndarray:
    """The scene as a camera would have taken it without haze, for a share of samples; of 0 nothing is drawn."""
    return synthesis.sensor(rng, scene, SCENE_NOISE) if share and rng.random() < share else scene


def _stored_as_jpeg(draw: Draw, share: float) -> Draw:
    def stored(rng: Generator) -> Sample:
        sample = draw(rng)
        return sample._replace(hazy=synthesis.jpeg(rng, sample.hazy)) if rng.random() < share else sample

    return stored


def _recoloured(rng: Generator, *pictures: np.ndarray, much: float = 1.0) -> tuple[np.ndarray, ...]:
    """The same change of contrast, brightness, colour and, above 1, saturation to all of them."""
    if not much:
        return pictures
    gamma = np.float32(np.exp(rng.normal(0, 0.14 * much)))
    gain = np.exp(rng.normal(0, 0.05 * much, 3)).astype(np.float32)
    if much > 1:
        saturation = np.float32(np.exp(rng.normal(0, 0.2 * (much - 1))))
        grey = [picture.mean(2, keepdims=True) for picture in pictures]
        pictures = tuple(np.maximum(g + saturation * (p - g), 0) for p, g in zip(pictures, grey, strict=True))
    return tuple(np.minimum(picture**gamma * gain, 1) for picture in pictures)


def _many(
    root: Path, folders: Sequence[str], to: settings.Pictures | settings.Transfer, size: tuple[int, int], read: Read
) -> list[np.ndarray]:
    if not folders:
        raise EdgeError("a source has an empty list of folders; name one")
    kept = [path for folder in folders for path in kept_pictures(root / folder, to.leave_out)]
    paths = [path for path in kept if not path.name.startswith(to.without)]
    if not paths:
        raise EdgeError(
            f"no picture in {', '.join(folders)} under {root} is left: all names begin with the source's `without`, or "
            "all places are in the fold of its `leave_out`"
        )
    return _readable([(path,) for path in paths], partial(_read, size), read)


def _readable(rows: Iterable[tuple[Path, ...]], reader: Callable[..., Kept], read: Read) -> list[Kept]:
    """What is kept in memory of each row of files; a row that cannot be read, or does not fit, is named and left out.

    Args:
        read: each row that is kept is added to it.

    Raises:
        PictureError: nothing is left; the message is that of the last one that could not be read.
    """
    kept, wrong = [], PictureError("no picture is left outside the fold of the source's `leave_out`")
    for row in rows:
        try:
            kept.append(reader(*row))
            read.append(row)
        except PictureError as error:
            wrong = error
            command.say(f"left out: {error}")
    if not kept:
        raise wrong
    return kept


def _read(size: tuple[int, int], path: Path) -> np.ndarray:
    return _reduced(read_picture(path)[0], size)


def _read_pair(size: tuple[int, int], hazy: Path, clear: Path) -> tuple[np.ndarray, np.ndarray]:
    pictures = read_pair((hazy, clear))
    return _reduced(pictures[0], size), _reduced(pictures[1], size)


def _read_with_depth(size: tuple[int, int], path: Path, depth_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A clear picture, uint8 (H, W, 3), and its depth in `DEPTH_UNIT`, uint8 (H, W), whose file may be smaller."""
    clear, depth = read_picture(path)[0], cv2.cvtColor(read_picture(depth_path)[0], cv2.COLOR_RGB2GRAY)
    (height, width), (rows, columns) = clear.shape[:2], depth.shape
    if min(abs(columns * height / width - rows), abs(rows * width / height - columns)) > 1:
        raise PictureError(
            f"{depth_path} has {columns}x{rows} pixels and {path} {width}x{height}: a depth picture has the "
            "proportions of its scene"
        )
    clear = _reduced(clear, size)
    return clear, cv2.resize(cv2.medianBlur(depth, 5), clear.shape[1::-1], interpolation=cv2.INTER_AREA)


def _reduced(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    scale = max(KEPT * max(size) / max(picture.shape[:2]), 1 / min(picture.shape[:2]))
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def _float(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255


def _eight_bit(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)


def _tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32)).permute(2, 0, 1)


def _haze(sample: Sample) -> torch.Tensor:
    planes = np.full((4, *sample.hazy.shape[:2]), np.nan, np.float32)
    if sample.thickness is not None and sample.airlight is not None:
        planes[0] = sample.thickness
        planes[1:] = sample.airlight[:, None, None]
    return torch.from_numpy(planes)
