"""What each source and each way of teaching brings to the edge model: short trainings that differ in one thing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.errors import EdgeError
from training import ablation, train
from training.ablation import Study, Variant, changed, without

if TYPE_CHECKING:
    from training.config import RunConfig
    from training.losses import Objective

EXAMPLES = """\
examples:
  python -m quantization.ablation --data pictures                              # all of it, three seeds
  python -m quantization.ablation --data pictures --only recipe no-real --seeds 2 --out out/two.md
  python -m quantization.ablation --data pictures --steps 50 --out out/quick.md      # a quick look

Each run goes on where it stopped; with other --steps or another --config give other --runs too. The teacher is the
first of them, trained on the same pictures, so that it has not seen the places that are kept for measuring either.
"""
TEACHER, TEACHERS_WIDTH = "teacher", 36
SYNTHESIS = ("transfer", "depth", "synthetic_pairs", "clear", "aerial")


def main(argv: list[str] | None = None) -> int:
    description = "Train variants of the edge model's recipe, each with several seeds, and write what each is worth."
    return ablation.run(STUDY, ablation.parser(STUDY, description, EXAMPLES), argv)


def _wide(config: RunConfig) -> RunConfig:
    laid = {**config.model.configuration["laid"], "width": TEACHERS_WIDTH}
    return changed(config, "model", configuration={**config.model.configuration, "laid": laid})


def _one_network(config: RunConfig) -> RunConfig:
    return changed(config, "model", name="grid", configuration=config.model.configuration["laid"])


def _taught(config: RunConfig, picture: float, coefficients: float) -> RunConfig:
    return changed(config, "distillation", picture=picture, coefficients=coefficients)


def _photographs(config: RunConfig) -> RunConfig:
    unlabelled = {"kind": "unlabelled", "folders": ["real_hazy"], "weight": 0.2}
    return replace(_taught(config, 0.5, 0.25), sources={**config.sources, "photographs": unlabelled})


def _objective(config: RunConfig, runs: Path) -> Objective:
    from quantization.objective import DistillationObjective
    from training.checkpoint import read_checkpoint
    from training.trainer import LAST

    teacher = runs / TEACHER / LAST
    if not teacher.is_file():
        raise EdgeError(f"{teacher} does not exist; run {TEACHER} first: name it in --only too")
    held = read_checkpoint(teacher)
    step, steps = held.provenance.get("step", 0), config.training.steps
    if step != steps:
        raise EdgeError(f"{teacher} is of step {step} of {steps}; train {TEACHER} to its end: name it in --only too")
    return DistillationObjective(config, [held.build()])


STUDY = Study(
    name="quantization.ablation",
    heading="What each part of the edge model's recipe is worth",
    recipe=Path(ablation.__file__).parent / "configs" / "ablation-edge.toml",
    out=Path("out/ablation-edge.md"),
    variants={
        TEACHER: Variant(f"the recipe at width {TEACHERS_WIDTH}: the teacher below", _wide),
        "recipe": Variant("the recipe", lambda config: config),
        "no-known-haze": Variant(
            "without asking for the haze that the synthesis laid",
            lambda config: changed(config, "losses", density=0.0, airlight=0.0),
        ),
        "one-network": Variant("with one network for laid haze and real", _one_network),
        "no-decibels": Variant("without decibels in the loss", lambda config: changed(config, "losses", mse_db=0.0)),
        "no-real": Variant("without real pairs and their haze", lambda config: without(config, "pairs", "transfer")),
        "no-transfer": Variant("without real haze over other scenes", lambda config: without(config, "transfer")),
        "no-synthesis": Variant("without synthesis", lambda config: without(config, *SYNTHESIS)),
        "coefficients": Variant(
            "with least-squares coefficients as targets", lambda config: _taught(config, 0.0, 0.25), _objective
        ),
        "distilled": Variant(
            "with the teacher's pictures and coefficients", lambda config: _taught(config, 0.5, 0.25), _objective
        ),
        "photographs": Variant("with the teacher, and photographs without a clear one", _photographs, _objective),
    },
)


if __name__ == "__main__":
    train.keep_memory()
    sys.exit(command.run(main))
