"""Accuracy control: which layers to leave in float so that INT8 loses no more than a given number of decibels.

Layers are ranked by what quantizing each alone changes, on a copy whose ranges are taken once. Then the artefact
itself is built with the worst 1, 2, 4, ... layers in float until the loss is small enough, the number is narrowed
down by bisection, and what turns out not to be needed goes back to INT8. Every step is measured on the artefact by
its own runtime.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge import command
from edge.dehazer import Dehazer
from edge.errors import EdgeError
from edge.measure.quality import ALIKE_PSNR_DB, psnr_db
from quantization.layers import Layer, layers

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from targets import BuildOptions, Target
    from targets.source import SourceModel

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
Build = Callable[["SourceModel", "Target", "BuildOptions"], "Bundle"]
LEAST_SQUARE = 1e-9  # of a difference in grey levels: frames that are alike bit for bit agree by 138 dB
LARGEST_SIDE = 640
MOST_PAIRS = 24
TRIED_BACK = 6
KEPT_ALLOWANCE_DB = 0.5  # that clear pictures may lose more than hazy ones: at 40 dB and above nobody sees it


@dataclass(frozen=True)
class LayerLoss:
    """What INT8 in one layer alone does.

    Attributes:
        layer: its name, see `quantization.layers`.
        operator, parameters, macs: of the layer.
        agreement_db: PSNR between the frames with this layer in INT8 and all in float; the lower, the worse. 138 where
            they are the same.
        drop_db: loss of PSNR to the clear pictures, mean over pairs; may be negative by chance.
        kept_drop_db: the same for clear pictures that should stay as they are.
    """

    layer: str
    operator: str
    parameters: int
    macs: int
    agreement_db: float
    drop_db: float
    kept_drop_db: float


@dataclass(frozen=True)
class Controlled:
    """An artefact that loses no more than was asked for.

    Attributes:
        bundle: not yet written, without golden frames.
        drop_db: what it loses on the pairs: on hazy pictures, or on clear ones less `KEPT_ALLOWANCE_DB` where that is
            more.
        float_layers: what stayed float for it, with what each costs alone; empty where plain INT8 is good enough.
        builds: how many artefacts were tried.
    """

    bundle: Bundle
    drop_db: float
    float_layers: tuple[LayerLoss, ...]
    builds: int

    def to_json(self) -> dict[str, Any]:
        return {
            "drop_db": round(self.drop_db, 4),
            "builds": self.builds,
            "float_layers": [asdict(loss) for loss in self.float_layers],
        }


class Loss:
    """Measures bundles against a float one on the same pairs, whose answers are taken once.

    Args:
        reference: the float32 bundle, and the device to run it on.
        pairs: hazy and clear pictures; at most 24 of them are used, reduced to 640 pixels, so that many builds can
            be compared in little time and memory.
    """

    def __init__(self, reference: Bundle, device: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        self._pairs = _few(pairs)
        with Dehazer(reference, device) as dehazer:
            self._frames = [(dehazer(hazy), dehazer(clear)) for hazy, clear in self._pairs]
        self._haze, self._kept = self._psnrs(self._frames)

    def of(self, bundle: Bundle, device: str) -> tuple[float, float, float]:
        """Agreement with the reference's frames, drop on hazy pictures and on clear ones, in decibels."""
        with Dehazer(bundle, device) as dehazer:
            frames = [(dehazer(hazy), dehazer(clear)) for hazy, clear in self._pairs]
        squares = [
            np.square(a.astype(np.float32) - b).mean()
            for ours, theirs in zip(frames, self._frames, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        ]
        agreement = 10 * np.log10(255**2 / max(float(np.mean(squares)), LEAST_SQUARE))  # not capped: it ranks layers
        haze, kept = self._psnrs(frames)
        return float(agreement), self._haze - haze, self._kept - kept

    def _psnrs(self, frames: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
        rows = [
            (min(psnr_db(dehazed, clear), ALIKE_PSNR_DB), min(psnr_db(kept, clear), ALIKE_PSNR_DB))
            for (dehazed, kept), (_, clear) in zip(frames, self._pairs, strict=True)
        ]
        haze, kept = np.mean(rows, axis=0)
        return float(haze), float(kept)


def ranked(
    model: SourceModel, target: Target, options: BuildOptions, loss: Loss, build: Build, device: str = "auto"
) -> list[LayerLoss]:
    """Every layer that the target puts into INT8, the one that hurts most first: each alone, all others in float."""
    import onnx

    every = layers(onnx.load(model.onnx))
    kept = _float_layers(build(model, target, replace(options, say=lambda line: None)))
    found = [layer for layer in every if layer.name not in kept]
    names = [layer.name for layer in every]
    losses = []
    for layer in command.progress(found, len(found), "layer"):
        others = tuple(name for name in names if name != layer.name)
        alone = build(model, target, replace(options, float_layers=others, say=lambda line: None))
        losses.append(_loss(layer, *loss.of(alone, device)))
    return sorted(losses, key=lambda loss: loss.agreement_db)


def controlled(
    model: SourceModel,
    target: Target,
    options: BuildOptions,
    max_drop_db: float,
    loss: Loss,
    build: Build,
    rank: Callable[[], list[LayerLoss]],
    device: str = "auto",
) -> Controlled:
    """The target's INT8 artefact with the fewest layers in float that lets it lose no more than `max_drop_db`.

    Args:
        max_drop_db: the most PSNR to lose to float32, on hazy pictures or, beyond `KEPT_ALLOWANCE_DB`, on clear ones.
        rank: gives the layers, the worst first; called only if plain INT8 loses too much.

    Raises:
        EdgeError: it cannot be met; the message says the best that was found.
    """
    tried = _Tried(model, target, options, loss, build, device)
    if tried.drop(()) <= max_drop_db:
        return tried.result((), ())
    if not target.mixes_precisions:
        raise EdgeError(
            f"INT8 loses {tried.drop(()):.3f} dB to float32, more than --max-drop {max_drop_db}, and the {target.name} "
            "target leaves no layer in float; nothing written. Fine-tune the model (python -m quantization.finetune), "
            "or take --precision fp16"
        )
    options.say(f"INT8 loses {tried.drop(()):.3f} dB, more than {max_drop_db}: looking for the layers that hurt")
    kept_anyway = _float_layers(tried.bundle(()))
    losses = [loss for loss in rank() if loss.layer not in kept_anyway]
    names = tuple(loss.layer for loss in losses)
    count = 1
    while count < len(names) and tried.drop(names[:count]) > max_drop_db:
        count *= 2
    enough, too_few = min(count, len(names)), count // 2
    if tried.drop(names[:enough]) > max_drop_db:
        best, drop = tried.best()
        raise EdgeError(
            f"no choice of layers loses at most --max-drop {max_drop_db} dB: the best found loses {drop:.3f} dB with "
            f"{len(best)} of {len(names)} layers in float; nothing written. Allow more, or take --precision fp16"
        )
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if tried.drop(names[:middle]) <= max_drop_db:
            enough = middle
        else:
            too_few = middle
    kept = names[:enough]
    for name in kept[::-1][:TRIED_BACK]:
        without = tuple(other for other in kept if other != name)
        if without and tried.drop(without) <= max_drop_db:
            kept = without
    return tried.result(kept, tuple(loss for loss in losses if loss.layer in kept))


class _Tried:
    """Artefacts by the layers that stayed float, each built and measured once."""

    def __init__(
        self, model: SourceModel, target: Target, options: BuildOptions, loss: Loss, build: Build, device: str
    ) -> None:
        self._make = lambda kept: build(model, target, replace(options, float_layers=(*options.float_layers, *kept)))
        self._loss, self._device, self._say = loss, device, options.say
        self._drops: dict[tuple[str, ...], float] = {}
        self._bundles: dict[tuple[str, ...], Bundle] = {}

    def drop(self, kept: tuple[str, ...]) -> float:
        if kept not in self._drops:
            self._bundles[kept] = self._make(kept)
            _, haze, clear = self._loss.of(self._bundles[kept], self._device)
            self._drops[kept] = max(haze, clear - KEPT_ALLOWANCE_DB)
            if kept:
                self._say(f"{len(kept)} layers in float: {self._drops[kept]:+.3f} dB lost")
        return self._drops[kept]

    def bundle(self, kept: tuple[str, ...]) -> Bundle:
        return self._bundles[kept]

    def best(self) -> tuple[tuple[str, ...], float]:
        kept = min(self._drops, key=self._drops.__getitem__)
        return kept, self._drops[kept]

    def result(self, kept: tuple[str, ...], losses: tuple[LayerLoss, ...]) -> Controlled:
        return Controlled(self._bundles[kept], self.drop(kept), losses, len(self._drops))


def _float_layers(bundle: Bundle) -> set[str]:
    """Names of the layers that an artefact's target left in float."""
    return set(bundle.manifest.notes.get("float_layers", ()))


def _loss(layer: Layer, agreement: float, drop: float, kept: float) -> LayerLoss:
    figures = (round(agreement, 2), round(drop, 4), round(kept, 4))
    return LayerLoss(layer.name, layer.operator, layer.parameters, layer.macs, *figures)


def _few(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    few = [tuple(map(_reduced, pair)) for pair in itertools.islice(pairs, MOST_PAIRS)]
    if not few:
        raise EdgeError("accuracy needs at least one pair of pictures")
    return few  # type: ignore[return-value]


def _reduced(picture: np.ndarray) -> np.ndarray:
    scale = LARGEST_SIDE / max(picture.shape[:2])
    return picture if scale >= 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
