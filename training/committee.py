"""One model out of several that were trained apart from each other: it asks all of them and takes the mean."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge import command
from edge.errors import EdgeError, WrongCall

EXAMPLES = """\
examples:
  python -m training.committee runs/a/last.safetensors runs/b/last.safetensors --out runs/committee.safetensors
  python -m edge.export --model runs/committee.safetensors --target openvino
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.committee",
        description="Join checkpoints of edge models into one model whose answer is the mean of theirs. It is the "
        "clearer the less they have in common: train them apart, with other seeds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("checkpoints", nargs="+", type=Path, metavar="FILE", help="two or more .safetensors checkpoints")
    made.add_argument(
        "--mirrored", action="store_true", help="let it look at each frame's mirror image too, which doubles its time"
    )
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="the checkpoint to write")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    command.require("torch", "train")
    from training import models
    from training.checkpoint import read_checkpoint, save_checkpoint
    from training.inputs import keep_inputs

    if len(arguments.checkpoints) < 2:
        raise WrongCall("a committee is of two checkpoints or more; name another")
    keep_inputs(arguments.out, arguments.checkpoints)
    held = [read_checkpoint(path) for path in arguments.checkpoints]
    for path, one in zip(arguments.checkpoints, held, strict=True):
        if one.model != "grid":
            raise EdgeError(f"{path} holds a {one.model!r}; a committee is of edge models ('grid')")
    members = [one.build() for one in held]
    settings = [{k: v for k, v in one.configuration.items() if k != "mirrored"} for one in held]
    configuration = {"members": settings, "mirrored": arguments.mirrored}
    model = models.build("committee", configuration)
    model.load_state_dict(
        {f"members.{number}.{name}": t for number, one in enumerate(members) for name, t in one.state_dict().items()}
    )
    provenance = {"committee_of": [dict(one.provenance) for one in held]}
    print(save_checkpoint(arguments.out, model, "committee", configuration, provenance))
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
