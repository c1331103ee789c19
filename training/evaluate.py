"""Score a checkpoint, a bundle or a baseline on pairs of pictures."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import command
from edge.arguments import whole_from
from edge.errors import EdgeError
from edge.files import write_whole

if TYPE_CHECKING:
    import numpy as np

    from training.metrics import Score

EXAMPLES = """\
examples:
  python -m training.evaluate --checkpoint runs/full/best.safetensors --data pictures/outdoor_val
  python -m training.evaluate --bundle edge-m-openvino-int8 --data pictures/real_test --json scores.json
  python -m training.evaluate --baseline dark-channel --data pictures/real_test --groups
  python -m training.evaluate --checkpoint released.safetensors --data pictures/nh --protocol paper256
  python -m training.evaluate --bundle edge-m-openvino-int8 --data pictures/clear_aerial --kept --only snowpeak

DATA holds hazy/ and clear/ (or gt/), paired by the leading token of their names. Scores are taken per picture on
[0, 1] RGB: PSNR, SSIM (Gaussian window, data range 1) and CIEDE2000; the interval of a mean is Student's, 95 %, over
clear pictures (several hazy ones of one scene count as one), and a single scene has none. --protocol full scores whole
pictures at their own size. --protocol paper256 resizes hazy and clear pictures to 256x256 (bicubic) first, and adds the
paper's own figure: one PSNR of the pooled error.

--kept asks how well clear pictures stay as they are: those of DATA/clear, or of DATA itself, are the input and what
comes out is compared with them. A picture that comes out bit for bit counts as 100 dB.
"""
SHOWN = ("psnr_db", "ssim", "ciede2000", "hazy_psnr_db")
UNITS = {"psnr_db": "PSNR dB", "ssim": "SSIM", "ciede2000": "CIEDE2000", "hazy_psnr_db": "hazy input dB"}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="Score a checkpoint, a bundle or a baseline on pairs of hazy and clear pictures.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", type=Path, metavar="FILE", help="a .safetensors checkpoint")
    what.add_argument("--bundle", type=Path, metavar="BUNDLE", help="a bundle, as edge.export makes it")
    what.add_argument("--baseline", choices=("hazy", "dark-channel"), help="the input itself, or He et al. 2009")
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="pairs: hazy/ and clear/ in it")
    made.add_argument("--kept", action="store_true", help="how well clear pictures are kept (see below)")
    made.add_argument("--protocol", choices=("full", "paper256"), default="full", help="(default: full)")
    made.add_argument(
        "--groups", action="store_true", help="also a row for each set, by the letters that names begin with"
    )
    made.add_argument("--only", metavar="PREFIX", default="", help="only pairs whose hazy picture's name begins so")
    made.add_argument("--threads", type=whole_from(1), metavar="N", help="processor threads")
    made.add_argument("--json", type=Path, metavar="FILE", help="scores and means, to read by machine")
    made.add_argument(
        "--strip", type=Path, metavar="FILE", help="a picture of the worst, median and best (default: beside --json)"
    )
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    pairs = [pair for pair in _pairs(arguments.data, arguments.kept) if pair[0].name.startswith(arguments.only)]
    if not pairs:
        raise EdgeError(f"no picture in {arguments.data} has a name that begins with {arguments.only!r}")
    strip_place = _strip_place(arguments)
    _check_places([place for place in (arguments.json, strip_place) if place], pairs, arguments.checkpoint)
    dehazer, name = _dehazer(arguments)
    outcome, strip = evaluate(dehazer, pairs, arguments.protocol)
    report = {"model": name, "data": str(arguments.data), **outcome}
    print(table(report, arguments.groups))
    made = _write(report, strip, arguments.json, strip_place)
    if made:
        print(made)
    return 0


def _pairs(folder: Path, kept: bool) -> list[tuple[Path, Path]]:
    """Hazy and clear pictures; each clear one twice where it is asked how well they are kept."""
    from edge.measure.pairs import find_pairs
    from edge.pictures import picture_files

    if not kept:
        return find_pairs(folder)
    clear = folder / "clear"
    return [(path, path) for path in picture_files(clear if clear.is_dir() else folder)]


def evaluate(
    dehazer: Callable[[np.ndarray], np.ndarray], pairs: list[tuple[Path, Path]], protocol: str = "full"
) -> tuple[dict[str, Any], np.ndarray]:
    """Score a dehazer (uint8 RGB in and out) on pairs.

    Returns:
        protocol, scores of every picture, means with their intervals and, for ``paper256``, the pooled PSNR; and a
        strip of the worst, median and best picture by PSNR: hazy, dehazed, clear.
    """
    import numpy as np

    from training import metrics
    from training.validation import read_pair, strip

    scores: list[Score] = []
    squared: list[float] = []
    for hazy_path, clear_path in command.progress(pairs, len(pairs), "scoring"):
        pair = metrics.scored_pair(dehazer, *read_pair(hazy_path, clear_path), protocol)
        scores.append(metrics.score(hazy_path.stem, pair, clear_path.stem))
        squared.append(pair.squared_error)
    outcome: dict[str, Any] = {
        "protocol": protocol,
        "pictures": len(scores),
        "mean": means(scores),
        "scores": [one.to_dict() for one in scores],
    }
    if protocol == "paper256":
        outcome["pooled_psnr_db"] = round(metrics.pooled_psnr_db(squared), 4)
    order = np.argsort([one.psnr_db for one in scores])
    rows = []
    for number in dict.fromkeys((order[0], order[len(order) // 2], order[-1])):
        pair = metrics.scored_pair(dehazer, *read_pair(*pairs[number]), protocol)
        rows.append((pair.hazy, pair.dehazed, pair.clear))
    return outcome, strip(rows, 256)


def means(scores: list[Score]) -> dict[str, dict[str, float | None]]:
    """Mean of each figure with its interval, None where it has none."""
    from training.metrics import mean_of

    scenes = [one.scene or one.name for one in scores]
    found = {key: asdict(mean_of([getattr(one, key) for one in scores], scenes)) for key in SHOWN}
    return {key: {k: None if v is None else round(v, 4) for k, v in mean.items()} for key, mean in found.items()}


def table(report: dict[str, Any], groups: bool) -> str:
    """The means as a Markdown table, one row for all pictures and, if asked for, one for each set."""
    rows = [("all", report["pictures"], report["mean"])]
    if groups:
        rows = [*((name, len(some), _means_of(some)) for name, some in _groups(report["scores"]).items()), *rows]
    lines = [f"{report['model']} on {report['data']}, protocol {report['protocol']}", ""]
    lines.append("| set | pictures | " + " | ".join(UNITS[key] for key in SHOWN) + " |")
    lines.append("|---" * (len(SHOWN) + 2) + "|")
    for name, count, figures in rows:
        cells = [_cell(key, figures[key]) for key in SHOWN]
        lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    if "pooled_psnr_db" in report:
        lines += [
            "",
            f"one PSNR of the error pooled over the pictures, as the paper has it: {report['pooled_psnr_db']:.2f} dB",
        ]
    return "\n".join(lines)


def _cell(key: str, mean: dict[str, Any]) -> str:
    from training.metrics import Mean

    return Mean(**mean).written(3 if key == "ssim" else 2)


def _groups(scores: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    import re

    found: dict[str, list[dict[str, Any]]] = {}
    for one in scores:
        found.setdefault((re.match(r"[A-Za-z]*", one["name"]) or [""])[0] or "(no letters)", []).append(one)
    return found


def _means_of(scores: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    from training.metrics import Score

    return means([Score(**one) for one in scores])


def _dehazer(arguments: argparse.Namespace) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    if arguments.bundle:
        from edge.dehazer import Dehazer

        bundle = Dehazer(arguments.bundle, threads=arguments.threads)
        return bundle, bundle.bundle.manifest.name
    if arguments.baseline:
        from training.baselines import BASELINES

        return BASELINES[arguments.baseline], arguments.baseline
    torch = command.require("torch", "train")
    from training.checkpoint import load_model
    from training.dehazing import dehaze

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model = load_model(arguments.checkpoint)
    return lambda picture: dehaze(model, picture), arguments.checkpoint.stem


def _strip_place(arguments: argparse.Namespace) -> Path | None:
    """Where the strip of pictures goes; beside the scores unless it is said otherwise."""
    if arguments.strip or not arguments.json:
        return arguments.strip
    return arguments.json.parent / f"{arguments.json.stem}.png"


def _check_places(places: list[Path], pairs: list[tuple[Path, Path]], checkpoint: Path | None) -> None:
    """Before anything is scored: a result takes the place of nothing that is read, and not of another result."""
    read = {path.resolve() for pair in pairs for path in pair} | ({checkpoint.resolve()} if checkpoint else set())
    for place in places:
        if os.path.isdir(place):
            raise EdgeError(f"cannot write {place}: it is a folder; name a file in it")
        if place.resolve() in read:
            raise EdgeError(f"{place} is read for the scores and would be lost; give --json and --strip other names")
    if len({place.resolve() for place in places}) < len(places):
        raise EdgeError(f"scores and pictures would both be written to {places[0]}; give --strip another name")


def _write(report: dict[str, Any], strip: np.ndarray, scores: Path | None, strip_place: Path | None) -> Path | None:
    import cv2

    made = None
    if strip_place:
        write_whole(strip_place, cv2.imencode(".png", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR))[1].tobytes())
        made = strip_place
    if scores:
        write_whole(scores, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
        made = scores
    return made


if __name__ == "__main__":
    sys.exit(command.run(main))
