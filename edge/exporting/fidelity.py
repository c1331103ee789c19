"""How far a built artefact is from the float model that it was built from, and frames to notice it by later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from edge import haze
from edge.bundle import Golden, Manifest
from edge.dehazer import Dehazer
from edge.errors import EdgeError
from edge.measure.quality import ALIKE_PSNR_DB, psnr_db, ssim
from edge.scenes import landscape

# Below these an artefact is broken. An honest one in float agrees with its model to 55 dB or more. In INT8, with as few
# as 16 calibration pictures, grid models came to 37 dB on made pairs and on real haze (the worst of openvino, jetson
# and rpi), and the published frame model, which has no layer in float, to 36 and 34.
WORST_AGREEMENT_DB = {"fp32": 45.0, "fp16": 35.0, "int8": 30.0}
WORST_FRAME_AGREEMENT_DB = {**WORST_AGREEMENT_DB, "int8": 25.0}
# Other processors have other kernels, which round otherwise; a gain of up to 33 enlarges the difference. These are the
# least that is allowed: two roundings of one float model may lie on opposite sides of it, both as far away.
TOLERANCE = {"fp32": 2, "fp16": 6, "int8": 10}


@dataclass(frozen=True)
class Fidelity:
    """An artefact against the float32 model on the same pictures.

    Attributes:
        data: which pictures, in words.
        pictures: how many pairs.
        psnr_db, ssim: of the artefact's clear frames to the true ones, mean over pictures.
        psnr_drop_db, ssim_drop: the float model's less the artefact's.
        kept_psnr_db, kept_psnr_drop_db: the same for clear pictures that should stay as they are; above 60 dB
            (a quarter of a grey level) counts as 60.
        agreement_db: PSNR between the artefact's and the float model's frames, mean over pictures.
        largest_error: largest difference between the two, in grey levels.
    """

    data: str
    pictures: int
    psnr_db: float
    ssim: float
    psnr_drop_db: float
    ssim_drop: float
    kept_psnr_db: float
    kept_psnr_drop_db: float
    agreement_db: float
    largest_error: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    reference: Dehazer, artefact: Dehazer, pairs: Iterable[tuple[np.ndarray, np.ndarray]], data: str
) -> Fidelity:
    """Run both on pairs of hazy and clear pictures.

    Raises:
        EdgeError: the artefact's answers have nothing to do with the float model's.
    """
    return compare_all(reference, [artefact], pairs, data)[0]


def compare_all(
    reference: Dehazer, artefacts: Sequence[Dehazer], pairs: Iterable[tuple[np.ndarray, np.ndarray]], data: str
) -> list[Fidelity]:
    """As `compare`, for several artefacts of one model, whose float answers are taken once."""
    rows: list[list[tuple[float, ...]]] = [[] for _ in artefacts]
    for hazy, clear in pairs:
        wanted = reference(hazy)
        theirs = (_psnr(wanted, clear), ssim(wanted, clear), _psnr(reference(clear), clear))
        for artefact, its_rows in zip(artefacts, rows, strict=True):
            frame = artefact(hazy)
            ours = (_psnr(frame, clear), ssim(frame, clear), _psnr(artefact(clear), clear))
            its_rows.append((*ours, *theirs, _psnr(frame, wanted), int(cv2.absdiff(frame, wanted).max())))
    return [
        _fidelity(its_rows, data, artefact.bundle.manifest) for artefact, its_rows in zip(artefacts, rows, strict=True)
    ]


def _fidelity(rows: list[tuple[float, ...]], data: str, manifest: Manifest) -> Fidelity:
    ours_db, ours_ssim, ours_kept, theirs_db, theirs_ssim, theirs_kept, agreement, _ = np.mean(rows, axis=0)
    worst = WORST_AGREEMENT_DB if manifest.kind == "grid" else WORST_FRAME_AGREEMENT_DB
    least = worst[manifest.precision]
    if agreement < least:
        raise EdgeError(
            f"the artefact is broken: its frames agree with the float32 model's to {agreement:.1f} dB only "
            f"({manifest.precision} reaches {least:.0f} at least); it may be of another model, or calibrated on "
            "pictures that are few or unlike real ones. Where neither is so, report this"
        )
    return Fidelity(
        data,
        len(rows),
        round(ours_db, 3),
        round(ours_ssim, 4),
        round(theirs_db - ours_db, 3),
        round(theirs_ssim - ours_ssim, 4),
        round(ours_kept, 3),
        round(theirs_kept - ours_kept, 3),
        round(agreement, 2),
        int(max(row[-1] for row in rows)),
    )


def golden_frames(
    dehazer: Dehazer, precision: str, reference: Dehazer
) -> tuple[tuple[Golden, ...], dict[str, bytes], dict[str, float]]:
    """Two small hazy frames of different size, with this machine's answers.

    Returns:
        What the manifest says of them, the PNG files by their name in the bundle, and how far the answers are from the
        float model's: ``golden_agreement_db``, the mean PSNR, and ``golden_largest_error`` in grey levels.
    """
    goldens, files, agreements, errors = [], {}, [], []
    for number, (width, height) in enumerate(((160, 120), (211, 157))):
        scene = landscape(number, width, height)
        clear, thickness = scene.picture.astype(np.float32) / 255, (1 + number) * scene.depth / 100
        frame = haze.hazed(clear, thickness, np.array([0.85, 0.88, 0.9], np.float32))
        frame = np.rint(frame * 255).astype(np.uint8)
        answer, wanted = dehazer(frame), reference(frame)
        error = int(cv2.absdiff(answer, wanted).max())
        tolerance = max(TOLERANCE[precision], 2 * error)
        golden = Golden(f"golden/{number}-frame.png", f"golden/{number}-clear.png", tolerance)
        files[golden.frame], files[golden.clear] = _png(frame), _png(answer)
        goldens.append(golden)
        agreements.append(_psnr(answer, wanted))
        errors.append(error)
    facts = {"golden_agreement_db": round(float(np.mean(agreements)), 2), "golden_largest_error": max(errors)}
    return tuple(goldens), files, facts


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    return min(psnr_db(a, b), ALIKE_PSNR_DB)


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
