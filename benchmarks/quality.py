"""Score a model's bundle on every set that its card names, and write the table into the card.

    python -m benchmarks.quality --model edge --data DATA --card edge/models/edge-m.md

DATA holds pairs in `outdoor_val`, `indoor_val` and `real_test` (NH-HAZE, O-HAZE, I-HAZE and Dense-Haze, told apart by
the letters that their names begin with), and the clear pictures of a flight in `clear_aerial`, over which haze is laid.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import pages
from edge import command, export
from edge.dehazer import Dehazer
from edge.haze import hazed
from edge.pictures import picture_files, read_picture, write_picture
from training.evaluate import evaluate
from training.metrics import mean_of
from training.places import kept_pairs

REAL = {"nhhaze": "NH-HAZE 51-55", "ohaze": "O-HAZE 41-45", "ihaze": "I-HAZE 26-30", "dense": "Dense-Haze 51-55"}
FLIGHT = "snowpeak"  # not trained on
NEAR, FAR = 0.5, 1.6  # optical thickness of the haze that is laid over it: 61 and 20 % of the light comes through
AIRLIGHTS = (0.8, 0.9, 1.0)
Pairs = list[tuple[Path, Path]]


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--model", default="edge", metavar="NAME|PATH", help="as edge.export takes it (default: edge)")
    p.add_argument("--bundle", type=Path, metavar="BUNDLE", help="score this one instead of exporting the model")
    p.add_argument("--data", type=Path, required=True, metavar="DIR", help="holds the sets")
    p.add_argument("--card", type=Path, metavar="FILE", help="write the table into it, between the marks")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        bundle = args.bundle or Path(folder) / "bundle"
        if not args.bundle:
            export.main(["--model", args.model, "--target", "openvino", "--out", str(bundle)])
        dehazer = Dehazer(bundle)
        text = table(dehazer, args.data)
        name = dehazer.bundle.manifest.name
    print(f"{name}\n\n{text}")
    if args.card:
        pages.put(args.card, "scores", "benchmarks.quality", argv, text)
    return 0


def table(dehazer: Callable[[np.ndarray], np.ndarray], data: Path) -> str:
    """PSNR and SSIM of each set, whole pictures, as Markdown; under it the least PSNR of those that are to be kept."""
    real = kept_pairs(data / "real_test")
    sets: dict[str, Pairs] = {
        "`outdoor_val`, SOTS outdoor": kept_pairs(data / "outdoor_val"),
        "`indoor_val`, SOTS indoor": kept_pairs(data / "indoor_val"),
        **{title: [pair for pair in real if pair[0].name.startswith(name)] for name, title in REAL.items()},
    }
    rows, means = [], []
    for title, pairs in sets.items():
        row, mean = _row(title, dehazer, pairs)
        rows.append(row)
        if title in REAL.values():
            means.append(mean)
    psnr_db, ssim, hazy_db = np.mean([(mean.psnr_db, mean.ssim, mean.hazy_db) for mean in means], axis=0)
    rows.append(f"| `real_test`: mean of the four | {len(real)} | {hazy_db:.2f} | **{psnr_db:.2f}** | {ssim:.3f} |")
    flight = [path for path in picture_files(data / "clear_aerial") if path.name.startswith(FLIGHT)]
    with tempfile.TemporaryDirectory() as folder:
        row, _ = _row("haze laid over a drone's flight", dehazer, aerial(flight, Path(folder)))
    rows.append(row)
    least = []
    for title, clear in (
        ("clear pictures of `outdoor_val`", picture_files(data / "outdoor_val" / "clear")),
        ("clear pictures of `indoor_val`", picture_files(data / "indoor_val" / "clear")),
        ("a drone's flight that was not trained on", flight),
    ):
        row, mean = _row(f"{title}, kept", dehazer, [(path, path) for path in clear], kept=True)
        rows.append(row)
        least.append(f"{mean.least_db:.2f} dB ({title})")
    head = ["| pictures | number | hazy input, dB | PSNR, dB [95 %] | SSIM |", "|---|---:|---:|---|---:|"]
    return "\n".join([*head, *rows, "", f"The worst of the pictures to be kept: {', '.join(least)}."])


def aerial(flight: list[Path], folder: Path) -> Pairs:
    """Haze over pictures from a drone: three times each, thin, thick, and growing with the distance to the top.

    Args:
        flight: clear pictures.
        folder: where the hazy ones are written.
    """
    pairs = []
    for number, path in enumerate(flight):
        clear = read_picture(path)[0]
        farther = np.linspace(FAR, NEAR, len(clear), dtype=np.float32)[:, None]
        for kind, thickness in (("thin", NEAR), ("thick", FAR), ("growing", farther)):
            light = np.full(3, AIRLIGHTS[number % len(AIRLIGHTS)], np.float32)
            hazy = hazed(clear.astype(np.float32) / 255, np.full(clear.shape[:2], thickness, np.float32), light)
            written = write_picture(folder / f"{path.stem}_{kind}.png", np.rint(255 * hazy).astype(np.uint8))
            pairs.append((written, path))
    return pairs


class Means(NamedTuple):
    """Of a set's pictures, and the least PSNR of one of them."""

    psnr_db: float
    ssim: float
    hazy_db: float
    least_db: float


def _row(
    title: str, dehazer: Callable[[np.ndarray], np.ndarray], pairs: Pairs, *, kept: bool = False
) -> tuple[str, Means]:
    scores = evaluate(dehazer, pairs)[0]["scores"]
    psnr_db = mean_of([one["psnr_db"] for one in scores], [one["scene"] for one in scores])
    ssim, hazy_db = (float(np.mean([one[key] for one in scores])) for key in ("ssim", "hazy_psnr_db"))
    least_db = min(one["psnr_db"] for one in scores)
    hazy = "–" if kept else f"{hazy_db:.2f}"
    return f"| {title} | {len(pairs)} | {hazy} | {psnr_db} | {ssim:.3f} |", Means(psnr_db.mean, ssim, hazy_db, least_db)


if __name__ == "__main__":
    sys.exit(command.run(main))
