"""One model out of several that were trained from the same start: the mean of their weights.

Runs that part from one trained checkpoint stay in one basin of the loss, and the mean of their weights is better than
each: what they learnt of the pictures agrees, what they learnt of the order of these does not (Wortsman et al. 2022,
"Model soups").
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.errors import EdgeError, WrongCall

if TYPE_CHECKING:
    import torch

    from training.checkpoint import Checkpoint

EXAMPLES = """\
examples:
  python -m training.soup runs/a/last.safetensors runs/b/last.safetensors --out runs/ab.safetensors
  python -m training.soup long.safetensors short.safetensors --shares 2 1 --out both.safetensors
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.soup",
        description="Average the weights of checkpoints of one model that were trained from the same start.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("checkpoints", nargs="+", type=Path, metavar="FILE", help="two or more .safetensors checkpoints")
    made.add_argument(
        "--shares", nargs="+", type=float, metavar="N", help="how much each counts (default: all the same)"
    )
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="the checkpoint to write")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    command.require("torch", "train")
    from training.checkpoint import read_checkpoint, save_checkpoint
    from training.inputs import keep_inputs

    shares = arguments.shares or [1.0] * len(arguments.checkpoints)
    if len(arguments.checkpoints) < 2:
        raise WrongCall("an average is of two checkpoints or more; name another")
    if len(shares) != len(arguments.checkpoints) or min(shares) < 0 or not 0 < sum(shares) < math.inf:
        raise WrongCall(f"--shares takes {len(arguments.checkpoints)} numbers, none below 0 and not all of them 0")
    keep_inputs(arguments.out, arguments.checkpoints)
    held = [read_checkpoint(path) for path in arguments.checkpoints]
    model, *_ = [one.build() for one in held]  # each is told by its own name where it does not fit its model
    model.load_state_dict(mean_weights(held, shares))
    provenance = {"mean_of": [dict(one.provenance) for one in held], "shares": shares}
    print(save_checkpoint(arguments.out, model, held[0].model, held[0].configuration, provenance))
    return 0


def mean_weights(held: Sequence[Checkpoint], shares: Sequence[float]) -> dict[str, torch.Tensor]:
    """The weighted mean of every tensor, in float32 whatever they are stored in; counters, which are whole numbers, are
    the first's.

    Raises:
        EdgeError: the checkpoints are not of one model and configuration.
    """
    import torch

    for one in held[1:]:
        if (one.model, dict(one.configuration)) != (held[0].model, dict(held[0].configuration)):
            raise EdgeError(
                f"these are different models: {held[0].model} {dict(held[0].configuration)} and {one.model} "
                f"{dict(one.configuration)}; only checkpoints of one can be averaged"
            )
    parts = torch.tensor(shares, dtype=torch.float64) / sum(shares)

    def mean(name: str, first: torch.Tensor) -> torch.Tensor:
        if not first.is_floating_point():
            return first
        stacked = torch.stack([one.weights[name].double() for one in held])
        return torch.tensordot(parts, stacked, 1).float()

    return {name: mean(name, first) for name, first in held[0].weights.items()}


if __name__ == "__main__":
    sys.exit(command.run(main))
