"""One model out of networks that were trained on one kind of haze each: laid over clear pictures, or real."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import command
from training.committee import to_write, together

if TYPE_CHECKING:
    from torch import Tensor, nn

SEEN = "tell.0.0.weight"  # of the layer that reads what the networks for laid haze see of the whole picture
EXAMPLES = """\
examples:
  python -m training.experts --laid runs/laid/last.safetensors --real runs/real/last.safetensors --out x.safetensors
  python -m training.experts --laid a.safetensors b.safetensors --real c.safetensors --mirrored --out y.safetensors

  python -m training.experts --laid x.safetensors --real d.safetensors --out z.safetensors
  python -m training.experts --laid x.safetensors --real x.safetensors --decide -2 1 --out w.safetensors

The layers that tell one kind of haze from the other are new: until they are trained, both networks are asked by halves.
Train the model on both kinds with model.initial = "x.safetensors" and model.frozen = ["real"]: what tells the kinds
apart is what the first network sees, so it learns with them. Once it is trained it can be named itself, as in the last
two: its network for the kind asked for is taken, for laid haze together with the layers that tell, which know
nothing of the other network, so that this may be another. --decide lets one network answer alone where the other would
have a share, in use and not in training (the setting `decide`): of real haze at a new place they are less sure than of
haze that was laid.
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
            help=f"checkpoints that know {what}, or of experts; the mean of what several say",
        )
    made.add_argument(
        "--decide",
        nargs=2,
        type=float,
        metavar=("LAID", "REAL"),
        help="log odds of real haze up to which the network for laid haze answers alone, and from which the one for "
        "real haze does; if not given, as the first of --laid that is of experts has it, else -3 and 3 as in training",
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
    found = {kind: together(getattr(arguments, kind), "experts are", kind) for kind in ("laid", "real")}
    configuration: dict[str, Any] = {kind: one.settings for kind, one in found.items()}
    configuration |= {"mirrored": arguments.mirrored}
    decide = arguments.decide or _decide(arguments.laid)
    if decide:
        configuration["decide"] = list(decide)
    torch.manual_seed(0)  # what tells the kinds apart starts from nothing, the same each time
    model = models.build("experts", configuration)
    weights = {f"{kind}.{name}": tensor for kind, one in found.items() for name, tensor in one.weights.items()}
    model.load_state_dict({**model.state_dict(), **weights, **_telling(arguments.laid, model)})
    provenance = {"experts": {kind: one.provenance for kind, one in found.items()}}
    print(save_checkpoint(arguments.out, model, "experts", configuration, provenance))
    return 0


def _decide(checkpoints: list[Path]) -> Sequence[float] | None:
    """The setting `decide` of the first of the checkpoints that tells the kinds apart; None where it has none."""
    from training.checkpoint import read_checkpoint

    held = (read_checkpoint(path) for path in checkpoints)
    return next((one.configuration.get("decide") for one in held if one.model == "experts"), None)


def _telling(checkpoints: list[Path], model: nn.Module) -> dict[str, Tensor]:
    """Weights of the layers that tell the kinds apart, as the first of the checkpoints that has such knows them.

    They go on seeing that one's network for laid haze alone; empty where no checkpoint has them.
    """
    from training.checkpoint import read_checkpoint

    start = 0
    for path in checkpoints:
        held = read_checkpoint(path)
        network = held.build()
        if held.model == "experts":
            command.say(f"what tells the kinds of haze apart is taken from {path}")
            found = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("tell.")}
            seen = found[SEEN]
            found[SEEN] = model.state_dict()[SEEN].zero_()
            found[SEEN][:, start : start + seen.shape[1]] = seen
            return found
        start += int(network.seen_of_all)
    return {}


if __name__ == "__main__":
    sys.exit(command.run(main))
