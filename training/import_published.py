"""The authors' published Keras weights (a Keras 3 ``.weights.h5`` file) to a checkpoint of the ``released`` form."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import command
from edge.errors import EdgeError

if TYPE_CHECKING:
    import numpy as np

PARAMETERS = 235_566
CHANNELS = 32
EXAMPLES = """\
example:
  python -m training.import_published --weights draco_nh_haze.weights.h5 --out draco_released.safetensors

The weights are those of https://github.com/GreedYLearner1146/DRACO-DehazeNet (MIT licence), trained on NH-HAZE. The
contrastive heads, which only training uses, are left out; the O-HAZE file of that repository holds an earlier network
and is refused.
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.import_published",
        description="Turn the authors' published Keras weights of DRACO-DehazeNet into a checkpoint.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--weights", type=Path, required=True, metavar="FILE", help="a Keras 3 .weights.h5 file")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors checkpoint to write")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    command.require("torch", "train")
    print(import_published(arguments.weights, arguments.out))
    return 0


def import_published(weights: str | Path, out: str | Path) -> Path:
    """Write the checkpoint of a published weights file.

    Raises:
        EdgeError: the file is missing, not HDF5, or does not hold this network.
    """
    import hashlib

    from training.checkpoint import parameter_count, save_checkpoint
    from training.models.draco import Draco

    weights = Path(weights)
    if weights.resolve() == Path(out).resolve():
        raise EdgeError(f"{out} is the weights file itself; give the checkpoint another name")
    model = Draco(form="released", channels=CHANNELS)
    with _opened(weights) as file:
        for name, tensor in _tensors(file, weights):
            parameter = model.get_parameter(name)
            if tuple(tensor.shape) != tuple(parameter.shape):
                raise EdgeError(
                    f"{weights}: {name} has shape {tuple(tensor.shape)}, not {tuple(parameter.shape)}; it is not the "
                    "published NH-HAZE network"
                )
            parameter.data.copy_(tensor)
    assert parameter_count(model) == PARAMETERS
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    provenance = {
        "name": "draco-released",
        "source": "https://github.com/GreedYLearner1146/DRACO-DehazeNet (MIT), trained on NH-HAZE by its authors",
        "file": weights.name,
        "file_sha256": digest,
        "parameters": PARAMETERS,
    }
    return save_checkpoint(out, model, "draco-paper", {"form": "released", "channels": CHANNELS}, provenance)


def _opened(path: Path) -> Any:
    h5py = command.require("h5py", "train")
    if not path.is_file():
        raise EdgeError(f"{path} does not exist; the published weights are in the authors' repository (see --help)")
    try:
        return h5py.File(path, "r")
    except OSError:
        raise EdgeError(f"{path} is not a whole HDF5 file; a Keras 3 .weights.h5 file is wanted") from None


def _tensors(file: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """Name and tensor of every parameter, from Keras's numbering of its layers."""
    import torch

    layouts: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "conv2d": lambda kernel: kernel.transpose(3, 2, 0, 1),  # (h, w, in, out)
        "depthwise_conv2d": lambda kernel: kernel.transpose(2, 3, 0, 1),  # (h, w, channel, 1)
        "dense": lambda kernel: kernel.T[:, :, None, None],  # (in, out), here a 1x1 convolution
    }
    for layer, name in _layers():
        kind, _, number = layer.rpartition(":")
        keras = kind if number == "0" else f"{kind}_{number}"
        try:
            kernel, bias = file[f"layers/{keras}/vars/0"][()], file[f"layers/{keras}/vars/1"][()]
        except (KeyError, OSError) as error:
            raise EdgeError(f"{path} has no whole layer {keras} ({error}); it is not the published network") from None
        if kernel.ndim != (2 if kind == "dense" else 4):
            raise EdgeError(f"{path}: the kernel of {keras} is {kernel.shape}; it is not the published network")
        yield f"{name}.weight", torch.from_numpy(layouts[kind](kernel).copy())
        yield f"{name}.bias", torch.from_numpy(bias)


def _layers() -> Iterator[tuple[str, str]]:
    """Keras's layer (class and number, in the order of the authors' graph) and the module that it is here."""
    convolutions = ["ddirb.stem"]
    for block in range(3):
        convolutions += [f"ddirb.blocks.{block}.expand", f"ddirb.blocks.{block}.project"]
        yield f"depthwise_conv2d:{block}", f"ddirb.blocks.{block}.depthwise"
        yield f"dense:{2 * block}", f"ddirb.blocks.{block}.attention.squeeze"
        yield f"dense:{2 * block + 1}", f"ddirb.blocks.{block}.attention.excite"
    convolutions += [f"attdrn.branches.{branch}" for branch in range(3)]
    convolutions += [f"attdrn.{part}.{layer}" for part in ("add", "gate") for layer in ("enter", "squeeze", "excite")]
    convolutions += ["attdrn.leave", "ddirb.map", "attdrn.map"]
    for number, name in enumerate(convolutions):
        yield f"conv2d:{number}", name


if __name__ == "__main__":
    sys.exit(command.run(main))
