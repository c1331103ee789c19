"""Train an edge model from one or several teachers.

The student learns from the clear picture where there is one, and everywhere from what the teachers make of the hazy
one: as pictures, and as coefficients. Of a grid model's answer, clear = gain * hazy + bias, the least-squares line
through the surroundings of a pixel gives gain and bias back; the same line fitted from the hazy to the wanted picture
is what the model should have said there. Photographs without a clear counterpart (source kind ``unlabelled``) are
learnt from the teachers alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.errors import EdgeError
from edge.files import write_whole
from training import train

if TYPE_CHECKING:
    from training.config import RunConfig
    from training.losses import Objective

EXAMPLES = """\
examples:
  python -m quantization.distill --teacher runs/full/best.safetensors --config training/configs/second.toml --data DATA
  python -m quantization.distill --teacher A.safetensors --teacher B.safetensors --config C.toml   # their mean
  python -m quantization.distill --resume runs/second

The configuration is that of training.train; its table [distillation] says how much the teachers count:
  picture = 0.5          mean absolute difference to the teachers' picture
  coefficients = 0.25    difference of the least-squares gain and bias to those of the clear picture, or of the
                         teachers' picture where there is no clear one
"""
NAME = "quantization.distill"
TEACHERS = "teachers.txt"  # in the run's folder: digest and path of each, so that a run goes on with the same ones


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=f"python -m {NAME}",
        description="Train an edge model from a teacher, or from the mean of several.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--teacher", type=Path, metavar="FILE", action="append", default=[], help="a checkpoint; give it again for more"
    )
    train.add_run_options(made)
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    train.check(parser(), arguments)
    if not arguments.resume and not arguments.teacher:
        parser().error("give --teacher FILE, a checkpoint to learn from")
    teachers = arguments.teacher
    return train.run(arguments, lambda config, folder: _objective(config, folder, teachers), NAME, teachers)


def _objective(config: RunConfig, folder: Path, teachers: Sequence[Path]) -> Objective:
    from quantization.objective import DistillationObjective
    from training.checkpoint import read_checkpoint
    from training.trainer import RESUME

    note, goes_on = folder / TEACHERS, (folder / RESUME).is_file()
    lines = os.fsdecode(note.read_bytes()).splitlines() if goes_on and note.is_file() else []
    noted = [parts for line in lines if len(parts := line.split(maxsplit=1)) == 2]
    paths = teachers or [Path(path) for _, path in noted]
    if not paths:
        raise EdgeError(f"{folder} does not say what the teachers were; give them with --teacher")
    held = [read_checkpoint(path) for path in paths]
    if noted and [one.sha256 for one in held] != [digest for digest, _ in noted]:
        raise EdgeError(
            f"the run in {folder} learns from other teachers, see {TEACHERS} there; go on with the same ones, or start "
            "a new run with another --out"
        )
    objective = DistillationObjective(config, [one.build() for one in held])
    said = [f"{one.sha256}  {path.resolve()}\n" for one, path in zip(held, paths, strict=True)]
    write_whole(note, os.fsencode("".join(said)))
    return objective


if __name__ == "__main__":
    train.keep_memory()
    sys.exit(command.run(main))
