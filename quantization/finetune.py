"""Quantization-aware fine-tuning: `python -m quantization.finetune --model best.safetensors --data DATA`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.arguments import number_above, whole_from
from edge.errors import EdgeError
from edge.files import write_whole
from training import train

if TYPE_CHECKING:
    from training.config import RunConfig
    from training.losses import Objective

EXAMPLES = """examples:
  python -m quantization.finetune --model runs/edge-m/best.safetensors --data DATA
  python -m quantization.finetune --model full.safetensors --data DATA --steps 2000 --learning-rate 5e-5
  python -m quantization.finetune --resume runs/edge-m-int8

The model goes on learning from the pictures of the run that made it, with its layers rounded as INT8 rounds them, and
is drawn to what the float model makes of each picture. The result is an ordinary checkpoint: edge.export quantizes it
like any other. Validation during the run is that of the float model; whether INT8 has gained, edge.export --data says
for both checkpoints. Most models do not need this: see what edge.export says that INT8 loses first.
"""
NAME = "quantization.finetune"
NOTE = "float-model.txt"  # in the run's folder: digest and path, so that it goes on with the same one
CALIBRATION_PICTURES = 100
STEPS, LEARNING_RATE = 1000, 1e-4


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=f"python -m {NAME}",
        description="Fine-tune a trained model with INT8 rounding, drawn to its own float answers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--model", type=Path, metavar="FILE", help="the float checkpoint (.safetensors)")
    made.add_argument("--config", type=Path, metavar="FILE", help="another configuration than the checkpoint's own run")
    made.add_argument("--data", type=Path, metavar="DIR", help="what its folders are relative to (default: here)")
    made.add_argument("--steps", type=whole_from(1), metavar="N", help="(default: 1000)")
    made.add_argument("--learning-rate", type=number_above(0, 1), metavar="R", help="(default: 1e-4)")
    made.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/NAME-int8)")
    made.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    if not arguments.model and not arguments.resume:
        parser().error("give --model FILE, the checkpoint to fine-tune, or --resume DIR to go on")
    if arguments.resume and (arguments.model or arguments.config or arguments.out not in (None, arguments.resume)):
        parser().error("--resume goes on in the run's own folder with its own model; leave the others away")
    if arguments.resume and (arguments.steps, arguments.learning_rate) != (None, None):
        parser().error("--resume goes on with the run's own --steps and --learning-rate; leave them away")
    steps = STEPS if arguments.steps is None else arguments.steps
    learning_rate = LEARNING_RATE if arguments.learning_rate is None else arguments.learning_rate
    for module in ("torch", "onnx", "onnxscript"):
        command.require(module, "train")
    from training.inputs import keep_inputs_of_run
    from training.occupied import occupied
    from training.trainer import RESUME, Trainer, resumed

    if arguments.resume:
        resume, folder = resumed(arguments.resume, None, NAME), arguments.resume
        config = resume.config
        model = noted(folder)
    else:
        resume, model = None, arguments.model.resolve()
        config = finetuning(model, arguments.config, steps, learning_rate)
        folder = arguments.out or Path("runs") / config.name
    with occupied(folder):
        if resume is None and (folder / RESUME).exists():
            raise EdgeError(f"{folder} holds a run already; go on with --resume {folder}, or choose another --out")
        if resume is None:
            keep_inputs_of_run(folder, [model, *([arguments.config] if arguments.config else [])])
        data = train.data_folder(arguments.data, folder, resume is not None)
        trainer = Trainer(config, folder, data, objective=objective(config, model), command=NAME, resume=resume)
        if trainer.fabric.is_global_zero:
            from training.checkpoint import read_checkpoint

            command.say(f"fine-tuning {model.name} for INT8: {trainer.describe()}")
            write_whole(folder / NOTE, os.fsencode(f"{read_checkpoint(model).sha256}  {model}\n"))
            train.remember_data(folder, data)
        return train.fit(trainer, folder, NAME)


def noted(folder: Path) -> Path:
    """The float model that a run was started from.

    Raises:
        EdgeError: the run does not say which, or there is another one in its place.
    """
    from training.checkpoint import read_checkpoint

    note = folder / NOTE
    if not note.is_file():
        raise EdgeError(f"{folder} is not a run of {NAME}: {NOTE} is missing")
    text = os.fsdecode(note.read_bytes()).strip()
    found = re.fullmatch("([0-9a-f]{64})  (.+)", text)  # notes of older runs have the path alone
    path = found[2] if found else text
    if found and read_checkpoint(path).sha256 != found[1]:
        raise EdgeError(
            f"{path} is not what it was when the run in {folder} began; bring the checkpoint of then back, or start a "
            "new run with another --out"
        )
    return Path(path)


def finetuning(model: Path, configuration: Path | None, steps: int, learning_rate: float) -> RunConfig:
    """The configuration of the run that made a checkpoint, shortened and starting from it.

    Raises:
        EdgeError: the checkpoint does not say what run made it, and no configuration is given.
    """
    from training.checkpoint import read_checkpoint
    from training.config import RunConfig, read_config

    held = read_checkpoint(model)
    if configuration is not None:
        config = read_config(configuration)
    elif held.provenance.get("run"):
        config = RunConfig.from_json(json.dumps(held.provenance["run"]))
    else:
        raise EdgeError(f"{model} does not say which run made it; give a configuration with --config")
    every = max(1, steps // 4)
    return replace(
        config,
        name=f"{config.name}-int8",
        model=replace(
            config.model,
            name=held.model,
            configuration=dict(held.configuration),
            initial=str(model),
            initial_part="",
            initial_lacks=[],
        ),
        training=replace(
            config.training,
            steps=steps,
            learning_rate=learning_rate,
            warmup=min(50, steps // 10),
            save_every=min(config.training.save_every, every),
            precision="fp32",
        ),
        validation=replace(config.validation, every=every),
    )


def objective(config: RunConfig, model: Path) -> Objective:
    """The run's losses and the distance to the float model's answers, taken with the layers rounded."""
    from quantization.calibration import made_set
    from quantization.objective import DistillationObjective
    from quantization.rounding import RoundedObjective, input_ranges
    from training.checkpoint import load_model

    teacher = load_model(model)
    grid = hasattr(teacher, "predict")
    width, height = (teacher.size[1], teacher.size[0]) if grid else config.training.size
    pictures = made_set(width, height, "grid" if grid else "frame", CALIBRATION_PICTURES)
    ranges = input_ranges(teacher, pictures)
    return RoundedObjective(DistillationObjective(config, [teacher]), ranges)


if __name__ == "__main__":
    train.keep_memory()
    sys.exit(command.run(main))
