"""One model out of several that were trained apart from each other: it asks all of them and takes the mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edge import command
from edge.errors import EdgeError, WrongCall

if TYPE_CHECKING:
    from torch import Tensor

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
    to_write(made)
    return made


def to_write(made: argparse.ArgumentParser) -> None:
    """The options that a command has which joins checkpoints."""
    made.add_argument(
        "--mirrored", action="store_true", help="let it look at each frame's mirror image too, which doubles its time"
    )
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="the checkpoint to write")


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    command.require("torch", "train")
    from training import models
    from training.checkpoint import save_checkpoint
    from training.inputs import keep_inputs

    if len(arguments.checkpoints) < 2:
        raise WrongCall("a committee is of two checkpoints or more; name another")
    keep_inputs(arguments.out, arguments.checkpoints)
    found = together(arguments.checkpoints, "a committee is of")
    configuration = {**found.settings, "mirrored": arguments.mirrored}
    model = models.build("committee", configuration)
    model.load_state_dict(found.weights)
    provenance = {"committee_of": found.provenance}
    print(save_checkpoint(arguments.out, model, "committee", configuration, provenance))
    return 0


class Together(NamedTuple):
    """Networks out of checkpoints.

    Attributes:
        settings, weights: of the one network, or of all as members of a `Committee`.
        provenance: of each.
    """

    settings: dict[str, Any]
    weights: dict[str, Tensor]
    provenance: list[dict[str, Any]]


def together(checkpoints: Sequence[Path], who: str, part: str = "") -> Together:
    """The network of a checkpoint, or those of several.

    Args:
        who: how a message goes on with "edge models".
        part: of experts, which network is meant ("laid" or "real"); empty where these do not go.

    Raises:
        EdgeError: a checkpoint is not an edge model's.
    """
    from training.checkpoint import read_checkpoint

    members: list[dict[str, Tensor]] = []
    settings: list[dict[str, Any]] = []
    provenance = []
    for path in checkpoints:
        held = read_checkpoint(path)
        model, configuration, start = held.build(), held.configuration, ""
        if part and held.model == "experts":
            configuration, start = configuration[part], f"{part}."
        if (held.model != "grid" and not start) or ("members" in configuration and len(checkpoints) > 1):
            what = f"a {held.model!r}" if not start else f"several networks of one kind ({part!r})"
            raise EdgeError(f"{path} holds {what}; {who} edge models ('grid')")
        own = model.state_dict().items()
        members.append({name.removeprefix(start): t for name, t in own if name.startswith(start)})
        settings.append({k: v for k, v in configuration.items() if k != "mirrored"})
        provenance.append(dict(held.provenance))
    if len(members) == 1:
        return Together(settings[0], members[0], provenance)
    weights = {f"members.{number}.{name}": t for number, one in enumerate(members) for name, t in one.items()}
    return Together({"members": settings}, weights, provenance)


if __name__ == "__main__":
    sys.exit(command.run(main))
