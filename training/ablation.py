"""What each part of the recipe is worth: short trainings that differ in one thing, each with several seeds."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import command
from edge.errors import EdgeError

if TYPE_CHECKING:
    from training.config import RunConfig

CONFIG = Path(__file__).parent / "configs" / "ablation.toml"
EXAMPLES = """\
examples:
  python -m training.ablation --data pictures                              # all of it, three seeds
  python -m training.ablation --data pictures --only full no-quadruplet --seeds 2
  python -m training.ablation --data pictures --steps 50 --out out/quick.md      # a quick look

Each run goes on where it stopped. What is measured: the configuration's validation pairs, whole pictures.
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.ablation",
        description="Train variants of one recipe, each with several seeds, and write a table of what each is worth.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="what the configuration's folders lie in")
    made.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help="(default: training/configs/ablation.toml)"
    )
    made.add_argument("--only", nargs="+", metavar="NAME", help=f"some of: {', '.join(VARIANTS)}")
    made.add_argument("--seeds", type=int, default=3, metavar="N", help="(default: 3)")
    made.add_argument("--steps", type=int, metavar="N", help="of each training, instead of the configuration's")
    made.add_argument(
        "--runs", type=Path, default=Path("runs/ablation"), metavar="DIR", help="(default: runs/ablation)"
    )
    made.add_argument(
        "--out", type=Path, default=Path("docs/ablation.md"), metavar="FILE", help="(default: docs/ablation.md)"
    )
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    chosen = arguments.only or list(VARIANTS)
    command.require("torch", "train")
    from training.checkpoint import write_whole
    from training.config import read_config
    from training.models import nearest
    from training.runs import scores, trained
    from training.sources import kept_pairs

    for name in chosen:
        if name not in VARIANTS:
            raise EdgeError(f"there is no variant {name!r}{nearest(name, VARIANTS)}")
    config = read_config(arguments.config)
    if arguments.steps:
        config = replace(config, training=replace(config.training, steps=arguments.steps))
    tests = {
        name: (kept_pairs(arguments.data / pairs.folder, pairs.fold, pairs.only, pairs.limit), pairs.longest)
        for name, pairs in config.validation.pairs.items()
    }
    quiet = replace(config, validation=replace(config.validation, pairs={}))
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    for name in chosen:
        results[name] = {test: [] for test in tests}
        for seed in range(arguments.seeds):
            run = replace(VARIANTS[name](quiet), name=f"{name}-{seed}", seed=seed)
            checkpoint = trained(run, arguments.runs / run.name, arguments.data)
            for test, (pairs, longest) in tests.items():
                results[name][test].append(scores(checkpoint, pairs, "full", longest))
        write_whole(arguments.out, page(results, config, arguments.seeds).encode())  # what there is so far
        write_whole(arguments.runs / "results.json", (json.dumps(results, indent=2) + "\n").encode())
    print(arguments.out)
    return 0


def page(results: dict[str, dict[str, list[dict[str, float]]]], config: RunConfig, seeds: int) -> str:
    """The table: mean over the seeds, with the lowest and highest seed, and the difference to the first variant."""
    import numpy as np

    training = config.training
    tests = list(next(iter(results.values())))
    lines = [
        "# What each part of the recipe is worth",
        "",
        f"Made by `python -m training.ablation`: {training.steps} steps of {training.batch} pictures of "
        f"{training.size[0]}x{training.size[1]}, {seeds} seeds each. PSNR in dB / SSIM on whole pictures, mean over "
        "the seeds [lowest, highest PSNR of a seed]. A difference smaller than the spread of the seeds says nothing.",
        "",
        "| | " + " | ".join(tests) + " |",
        "|---" * (len(tests) + 1) + "|",
    ]
    for name, of_tests in results.items():
        cells = []
        for test in tests:
            psnr_db = np.array([one["psnr_db"] for one in of_tests[test]])
            ssim = np.mean([one["ssim"] for one in of_tests[test]])
            cells.append(f"{psnr_db.mean():.2f} / {ssim:.3f} [{psnr_db.min():.2f}, {psnr_db.max():.2f}]")
        lines.append(f"| {TITLES[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _with(config: RunConfig, part: str, **changes: Any) -> RunConfig:
    return replace(config, **{part: replace(getattr(config, part), **changes)})


def _setting(config: RunConfig, **changes: Any) -> RunConfig:
    return _with(config, "model", configuration={**config.model.configuration, **changes})


def _pairs(config: RunConfig, limit: int) -> RunConfig:
    sources = {
        name: {**table, "limit": limit} if table.get("kind") == "pairs" else table
        for name, table in config.sources.items()
        if table.get("kind") != "transfer"  # takes its haze from the real pairs, all of them
    }
    return dataclasses.replace(config, sources=sources)


VARIANTS = {
    "full": lambda config: config,
    "no-quadruplet": lambda config: _with(config, "losses", quadruplet=0.0),
    "structure-features": lambda config: _with(config, "losses", features="structure"),
    "no-attdrn": lambda config: _setting(config, detail=False),
    "no-dilation": lambda config: _setting(config, dilated=False),
    "8-pairs": lambda config: _pairs(config, 8),
    "30-pairs": lambda config: _pairs(config, 30),
    "all-pairs": lambda config: _pairs(config, 0),
}
TITLES = {
    "full": "the whole recipe",
    "no-quadruplet": "without the quadruplet term",
    "structure-features": "quadruplet over hand-written structure instead of random features",
    "no-attdrn": "without ATTDRN",
    "no-dilation": "without dilation",
    "8-pairs": "8 real pairs, no haze transferred from others",
    "30-pairs": "30 real pairs, likewise",
    "all-pairs": "all real pairs, likewise",
}


if __name__ == "__main__":
    sys.exit(command.run(main))
