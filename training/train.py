"""Train a model: `python -m training.train --config training/configs/second.toml --data PICTURES`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.arguments import whole_from
from edge.errors import EdgeError
from edge.files import write_whole

if TYPE_CHECKING:
    from training.config import RunConfig
    from training.losses import Objective
    from training.trainer import Trainer

EXAMPLES = """\
examples:
  python -m training.train --config training/configs/second.toml --data pictures
  python -m training.train --resume runs/second                   # goes on exactly where it stopped
  torchrun --nproc-per-node 4 -m training.train --config training/configs/second.toml --data pictures

A configuration whose model.initial names a checkpoint starts from it; the head of the file says which commands make it.

The run's folder (runs/NAME, or --out) holds best.safetensors and last.safetensors (averaged weights), log.csv,
validation.csv, validation/ (pictures), tensorboard/ and resume.safetensors. Ctrl-C and SIGTERM save and stop.

Large tensors are given back to the system at every step by the C library's allocator, which takes half of the time
of a training on the processor; so the command starts itself again with MALLOC_MMAP_MAX_=0 and
MALLOC_TRIM_THRESHOLD_=17179869184 where they are not set. Set either yourself to keep your own.
"""
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(16 * 2**30)}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Train a model as a TOML configuration says.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_run_options(made)
    return made


def add_run_options(made: argparse.ArgumentParser) -> None:
    """The options that every command that trains has."""
    made.add_argument("--config", type=Path, metavar="FILE", help="the run's configuration (TOML)")
    made.add_argument(
        "--data", type=Path, metavar="DIR", help="what the configuration's folders are relative to (default: here)"
    )
    made.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/NAME)")
    made.add_argument(
        "--seed",
        type=whole_from(0, 2**32 - 1),
        metavar="N",
        help="of all that is drawn (default: the configuration's)",
    )
    made.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    check(parser(), arguments)
    return run(arguments)


def check(made: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with exit status 2 where --config, --resume and --out do not go together."""
    if not arguments.config and not arguments.resume:
        made.error("give --config FILE to start a run, or --resume DIR to go on with one")
    if arguments.resume and arguments.out and arguments.out != arguments.resume:
        made.error("--resume goes on in the run's own folder; leave --out away")
    if arguments.resume and arguments.seed is not None:
        made.error("--resume goes on with the run's own seed; leave --seed away")


def run(
    arguments: argparse.Namespace,
    objective: Callable[[RunConfig, Path], Objective] | None = None,
    name: str = "training.train",
    read: Sequence[Path] = (),
) -> int:
    """Start or go on with the run that --config, --data, --out and --resume describe.

    Args:
        objective: makes what is minimised from the configuration and the run's folder; None takes its losses.
        name: of the command, for what it says, and because only it goes on with the run.
        read: files that the objective is made from, which a new run must not write over.
    """
    command.require("torch", "train")
    from training.config import read_config
    from training.inputs import keep_inputs_of_run
    from training.occupied import occupied
    from training.trainer import RESUME, Trainer, resumed

    config = read_config(arguments.config) if arguments.config else None
    resume = None
    if arguments.resume:
        resume = resumed(arguments.resume, config, name)
        config, folder = resume.config, arguments.resume
    else:
        assert config is not None
        if arguments.seed is not None:
            config = replace(config, seed=arguments.seed)
        folder = arguments.out or Path("runs") / config.name
    with occupied(folder):
        if resume is None and (folder / RESUME).exists():
            raise EdgeError(f"{folder} holds a run already; go on with --resume {folder}, or choose another --out")
        if resume is None:
            keep_inputs_of_run(folder, [arguments.config, Path(config.model.initial), *read])
        data = data_folder(arguments.data, folder, resume is not None)
        minimised = objective(config, folder) if objective else None
        trainer = Trainer(config, folder, data, objective=minimised, command=name, resume=resume)
        if trainer.fabric.is_global_zero:
            command.say(f"training {config.name}: {trainer.describe()}")
            remember_data(folder, data)
        return fit(trainer, folder, name)


def fit(trainer: Trainer, folder: Path, name: str) -> int:
    """Train to the end and print the checkpoint's path; stopped on the way, say which command goes on."""
    try:
        best = trainer.fit()
    except KeyboardInterrupt:
        if trainer.fabric.is_global_zero:
            command.say(f"stopped at step {trainer.progress.step}; go on with: python -m {name} --resume {folder}")
        raise
    if trainer.fabric.is_global_zero:
        print(best)
    return 0


def data_folder(given: Path | None, folder: Path, resuming: bool) -> Path:
    """Where the pictures are: as given, or where a resumed run had them."""
    note = folder / "data.txt"
    if given is None and resuming and note.is_file():
        given = Path(os.fsdecode(note.read_bytes()).strip())
    data = given or Path()
    if not data.is_dir():
        raise EdgeError(f"{data} is not a folder; say with --data where the pictures are")
    return data


def remember_data(folder: Path, data: Path) -> None:
    write_whole(folder / "data.txt", os.fsencode(f"{data.resolve()}\n"))


def keep_memory() -> None:
    """Start this process again with an allocator that keeps its memory (see the help); Linux only."""
    if sys.platform == "linux" and not any(name in os.environ for name in ALLOCATOR):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **ALLOCATOR})


if __name__ == "__main__":
    keep_memory()
    sys.exit(command.run(main))
