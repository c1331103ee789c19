"""One model out of networks that were trained on one kind of haze each: laid over clear pictures, or real."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge import command
from training.committee import to_write, together

EXAMPLES = """\
examples:
  python -m training.experts --laid runs/laid/last.safetensors --real runs/real/last.safetensors --out x.safetensors
  python -m training.experts --laid a.safetensors b.safetensors --real c.safetensors --mirrored --out y.safetensors

The layers that tell one kind of haze from the other are new: until they are trained, both networks are asked by halves.
Train the model on both kinds with model.initial = "x.safetensors" and model.frozen = ["real"]: what tells the kinds
apart is what the first network sees, so it learns with them.
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.experts",
        description="Join edge models that know one kind of haze each into one model that asks each about its own.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for kind, what in (("laid", "haze laid over clear pictures, and clear air"), ("real", "real haze")):
        made.add_argument(
            f"--{kind}",
            nargs="+",
            type=Path,
            required=True,
            metavar="FILE",
            help=f"checkpoints that know {what}; the mean of what several say",
        )
    to_write(made)
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    command.require("torch", "train")
    import torch

    from training import models
    from training.checkpoint import save_checkpoint
    from training.inputs import keep_inputs

    keep_inputs(arguments.out, [*arguments.laid, *arguments.real])
    found = {kind: together(getattr(arguments, kind), "experts are") for kind in ("laid", "real")}
    configuration = {kind: one.settings for kind, one in found.items()} | {"mirrored": arguments.mirrored}
    torch.manual_seed(0)  # what tells the kinds apart starts from nothing, the same each time
    model = models.build("experts", configuration)
    weights = {f"{kind}.{name}": tensor for kind, one in found.items() for name, tensor in one.weights.items()}
    model.load_state_dict({**model.state_dict(), **weights})
    provenance = {"experts": {kind: one.provenance for kind, one in found.items()}}
    print(save_checkpoint(arguments.out, model, "experts", configuration, provenance))
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
