"""What each part of the recipe is worth: short trainings that differ in one thing, each with several seeds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import command
from edge.arguments import whole_from
from edge.errors import EdgeError, WrongCall
from edge.files import write_whole
from training import train

if TYPE_CHECKING:
    from training.config import RunConfig
    from training.losses import Objective

SEEDS = 3
Results = dict[str, dict[str, list[dict[str, float]]]]
"""Scores by variant and test, one for each seed."""
EXAMPLES = """\
examples:
  python -m training.ablation --data pictures                              # all of it, three seeds
  python -m training.ablation --data pictures --only full no-quadruplet --seeds 2 --out out/two.md
  python -m training.ablation --data pictures --steps 50 --out out/quick.md      # a quick look

Each run goes on where it stopped; with other --steps or another --config give other --runs too. What is measured: the
configuration's validation pairs, whole pictures.
"""


@dataclass(frozen=True)
class Variant:
    """One row of a table: the recipe with one thing changed.

    Attributes:
        title: what it says in the table.
        change: makes its configuration from the recipe's.
        objective: makes what it minimises from that configuration and the folder of the runs with the same seed; None
            takes the configuration's losses.
    """

    title: str
    change: Callable[[RunConfig], RunConfig]
    objective: Callable[[RunConfig, Path], Objective] | None = None


@dataclass(frozen=True)
class Study:
    """A table of variants: the command that makes it, its recipe, and where it goes."""

    name: str
    heading: str
    recipe: Path
    out: Path
    variants: Mapping[str, Variant]


def parser(study: Study, description: str, examples: str) -> argparse.ArgumentParser:
    """The options of a command that makes such a table."""
    made = argparse.ArgumentParser(
        prog=f"python -m {study.name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    runs = Path("runs") / study.recipe.stem
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="what the configuration's folders lie in")
    made.add_argument(
        "--config", type=Path, default=study.recipe, metavar="FILE", help=f"(default: {_shown(study.recipe)})"
    )
    made.add_argument("--only", nargs="+", metavar="NAME", help=f"some of: {', '.join(study.variants)}")
    made.add_argument("--seeds", type=whole_from(1), default=SEEDS, metavar="N", help=f"(default: {SEEDS})")
    made.add_argument(
        "--steps", type=whole_from(1), metavar="N", help="of each training, instead of the configuration's"
    )
    made.add_argument("--runs", type=Path, default=runs, metavar="DIR", help=f"(default: {runs})")
    made.add_argument("--out", type=Path, metavar="FILE", help=f"(default for the whole table: {study.out})")
    return made


def main(argv: list[str] | None = None) -> int:
    description = "Train variants of the full model's recipe, each with several seeds, and write what each is worth."
    return run(STUDY, parser(STUDY, description, EXAMPLES), argv)


def run(study: Study, made: argparse.ArgumentParser, argv: list[str] | None) -> int:
    """Train what is not trained yet, seed by seed, and write the table after each variant.

    Args:
        made: the command's `parser`.
    """
    arguments = made.parse_args(argv)
    command.require("torch", "train")
    from training.config import read_config
    from training.models import nearest
    from training.places import kept_pairs
    from training.runs import scores, trained
    from training.trainer import COMMAND

    for name in arguments.only or ():
        if name not in study.variants:
            raise WrongCall(f"there is no variant {name!r}{nearest(name, study.variants)}")
    whole = (arguments.only, arguments.steps, arguments.seeds, arguments.config) == (None, None, SEEDS, study.recipe)
    if arguments.out is None and not whole:
        made.error(f"{study.out} holds the whole table; say with --out where this other one goes")
    out = arguments.out or study.out
    chosen = [name for name in study.variants if name in (arguments.only or study.variants)]
    config = read_config(arguments.config)
    if arguments.steps:
        config = replace(config, training=replace(config.training, steps=arguments.steps))
    tests = {
        name: (kept_pairs(arguments.data / pairs.folder, pairs.fold, pairs.only, pairs.limit), pairs.longest)
        for name, pairs in config.validation.pairs.items()
    }
    if not tests:
        raise EdgeError(f"{arguments.config} names no pairs to measure on; give it a table [validation.pairs.NAME]")
    quiet = replace(config, validation=replace(config.validation, pairs={}))
    results: Results = {name: {test: [] for test in tests} for name in chosen}
    for seed in range(arguments.seeds):
        for name in chosen:
            variant, folder = study.variants[name], arguments.runs / f"seed-{seed}"
            changed = replace(variant.change(quiet), name=name, seed=seed)
            objective = variant.objective(changed, folder) if variant.objective else None
            made_by = study.name if objective else COMMAND
            checkpoint = trained(changed, folder / name, arguments.data, objective, made_by)
            for test, (pairs, longest) in tests.items():
                results[name][test].append(scores(checkpoint, pairs, "full", longest))
            write_whole(out, page(study, results, config).encode())  # what there is so far
            write_whole(arguments.runs / "results.json", (json.dumps(results, indent=2) + "\n").encode())
    print(out)
    return 0


def page(study: Study, results: Results, config: RunConfig) -> str:
    """The table: mean over the seeds, with the lowest and highest seed."""
    import numpy as np

    training = config.training
    tests = list(next(iter(results.values())))
    seeds = {len(of_tests[tests[0]]) for of_tests in results.values()} - {0}
    count = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else f"{max(seeds)}"
    lines = [
        f"# {study.heading}",
        "",
        f"Made by `python -m {study.name}`: {training.steps} steps of {training.batch} pictures of "
        f"{training.size[0]}x{training.size[1]}, seeds each: {count}. PSNR in dB / SSIM on whole pictures, mean over "
        "the seeds [lowest, highest PSNR of a seed]. A difference smaller than the spread of the seeds says nothing.",
        "",
        "| | " + " | ".join(tests) + " |",
        "|---" * (len(tests) + 1) + "|",
    ]
    for name, of_tests in results.items():
        cells = []
        for test in tests:
            if not of_tests[test]:
                break
            psnr_db = np.array([one["psnr_db"] for one in of_tests[test]])
            ssim = np.mean([one["ssim"] for one in of_tests[test]])
            cells.append(f"{psnr_db.mean():.2f} / {ssim:.3f} [{psnr_db.min():.2f}, {psnr_db.max():.2f}]")
        if cells:
            lines.append(f"| {study.variants[name].title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def without(config: RunConfig, *kinds: str) -> RunConfig:
    """The recipe without the sources of these kinds."""
    sources = {name: table for name, table in config.sources.items() if table.get("kind") not in kinds}
    return replace(config, sources=sources)


def changed(config: RunConfig, part: str, **changes: Any) -> RunConfig:
    """The recipe with other values in one of its tables."""
    return replace(config, **{part: replace(getattr(config, part), **changes)})


def _shown(recipe: Path) -> Path:
    return recipe.relative_to(recipe.parents[2])


def _setting(config: RunConfig, **changes: Any) -> RunConfig:
    return changed(config, "model", configuration={**config.model.configuration, **changes})


def _pairs(config: RunConfig, limit: int) -> RunConfig:
    config = without(config, "transfer")  # takes its haze from the real pairs, all of them
    sources = {
        name: {**table, "limit": limit} if table.get("kind") == "pairs" else table
        for name, table in config.sources.items()
    }
    return replace(config, sources=sources)


STUDY = Study(
    name="training.ablation",
    heading="What each part of the full model's recipe is worth",
    recipe=Path(__file__).parent / "configs" / "ablation.toml",
    out=Path("out/ablation.md"),
    variants={
        "full": Variant("the whole recipe", lambda config: config),
        "no-quadruplet": Variant("without the quadruplet term", lambda c: changed(c, "losses", quadruplet=0.0)),
        "structure-features": Variant(
            "quadruplet over hand-written structure instead of random features",
            lambda config: changed(config, "losses", features="structure"),
        ),
        "no-attdrn": Variant("without ATTDRN", lambda config: _setting(config, detail=False)),
        "no-dilation": Variant("without dilation", lambda config: _setting(config, dilated=False)),
        "8-pairs": Variant("8 real pairs, no haze transferred from others", lambda config: _pairs(config, 8)),
        "30-pairs": Variant("30 real pairs, likewise", lambda config: _pairs(config, 30)),
        "all-pairs": Variant("all real pairs, likewise", lambda config: _pairs(config, 0)),
    },
)


if __name__ == "__main__":
    train.keep_memory()
    sys.exit(command.run(main))
