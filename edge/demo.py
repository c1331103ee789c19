"""`python -m edge.demo`: the whole way once, on this machine: model, bundle, clear picture, figures, report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.errors import EdgeError

if TYPE_CHECKING:
    import numpy as np

SIGHT_M = 12.0  # the distance at which a twentieth of the contrast is left
AIRLIGHT = (0.84, 0.86, 0.88)
PICTURE = "motorcycle.png"

EXAMPLES = """examples:
  python -m edge.demo                     everything in out/demo; what is there and still right is not made again
  python -m edge.demo --out /tmp/look     somewhere else
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.demo",
        description="Export the edge model for OpenVINO, haze a photograph by its own depth, clear it, measure how "
        "long that takes and how near it comes, and write the report. Needs no download.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="(default: out/demo)")
    return p


def main(argv: list[str] | None = None) -> int:
    out: Path = parser().parse_args(argv).out
    from edge import bench, export, report, run

    pairs, measurements = out / "pairs", out / "measurements"
    bundles = {precision: out / f"edge-m-openvino-{precision}" for precision in ("int8", "fp32")}
    hazy = _hazy_pair(pairs)
    for precision, bundle in bundles.items():
        if not _is_current(bundle):
            _step(export, "--target", "openvino", "--precision", precision, "--out", bundle)
    _step(run, bundles["int8"], "--source", hazy, "--sink", out / "clear")
    if not _are_measured(bundles.values(), measurements):
        _step(bench, *bundles.values(), "--compare", "--quick", "--data", pairs, "--out", measurements)
    _step(report, measurements, "--out", out / "report")
    before_after = _before_after(hazy, out / "clear" / PICTURE, out / "before-after.jpg")
    print(f"\nbefore and after  {before_after}\nthe clear picture {out / 'clear' / PICTURE}\nthe report:")
    print(out / "report" / "report.html")
    return 0


def hazed_motorcycle() -> tuple[np.ndarray, np.ndarray]:
    """The demo's picture: hazed, and clear; uint8 RGB (500, 741, 3) each."""
    import numpy as np

    from edge.haze import hazed
    from edge.scenes import motorcycle

    scene = motorcycle()
    thickness = -np.log(0.05) / SIGHT_M * scene.depth  # Koschmieder's definition of visibility
    hazy = hazed(scene.picture.astype(np.float32) / 255, thickness, np.array(AIRLIGHT, np.float32))
    return np.rint(hazy * 255).astype(np.uint8), scene.picture


def _hazy_pair(pairs: Path) -> Path:
    from edge.pictures import write_picture

    for kind, picture in zip(("hazy", "clear"), hazed_motorcycle(), strict=True):
        try:
            (pairs / kind).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EdgeError(f"cannot make the folder {pairs / kind}: {error.strerror}") from error
        write_picture(pairs / kind / PICTURE, picture)
    return pairs / "hazy" / PICTURE


def _step(module: object, *arguments: str | Path) -> None:
    """Run another command in this process, after showing it as one would type it."""
    words = [str(a) for a in arguments]
    main: Callable[[list[str]], int] = module.main  # type: ignore[attr-defined]
    print(f"\n$ python -m {main.__module__} {' '.join(words)}", flush=True)
    if status := main(words):
        raise EdgeError(f"{main.__module__} ended with exit status {status}")


def _is_current(path: Path) -> bool:
    """A bundle of that name is whole, and was made by this version from the model that is shipped now."""
    from edge import __version__
    from edge.bundle import Bundle
    from edge.errors import BundleError
    from edge.exporting.models import SHIPPED
    from targets.source import SourceModel

    try:
        manifest = Bundle.read(path).manifest
    except BundleError:
        return False
    card = SourceModel.read(SHIPPED["edge"]).card
    return (
        manifest.tools.get("draco-edge") == __version__
        and manifest.model.get("checkpoint_sha256") == card.checkpoint_sha256
    )


def _are_measured(bundles: Iterable[Path], measurements: Path) -> bool:
    from edge.bundle import Bundle

    measured = set()
    for file in measurements.glob("*.json"):
        try:
            measured.add(json.loads(file.read_text(encoding="utf-8"))["subject"]["digest"])
        except (ValueError, LookupError, TypeError, OSError):
            continue  # a measurement that was cut off is made again
    return {Bundle.read(bundle).digest for bundle in bundles} <= measured


def _before_after(hazy: Path, clear: Path, path: Path) -> Path:
    import numpy as np

    from edge.pictures import read_picture, write_picture

    return write_picture(path, np.hstack([read_picture(hazy)[0], read_picture(clear)[0]]))


if __name__ == "__main__":
    sys.exit(command.run(main))
