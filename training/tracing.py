"""A module as an ONNX model of one fixed input size, the same bytes each time."""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models import GridModel


class Predict(nn.Module):
    """A grid model whose call gives the raw coefficients instead of a picture."""

    def __init__(self, model: GridModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.predict(picture)


class ByPixelShuffle(nn.Module):
    """A transposed convolution whose stride is its kernel's size, as a 1x1 convolution and a pixel shuffle.

    No two places of the input meet in its output, so the sums are the same; graph runtimes have fast kernels for the
    one and slow ones for the other (OpenVINO 2026.4 takes four times as long for the edge model's last layer).
    """

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.factor = layer.stride[0]
        places = self.factor**2
        # (in, out, row, column) to (out and place within the block, in).
        weight = layer.weight.detach().permute(1, 2, 3, 0).reshape(layer.out_channels * places, -1, 1, 1)
        self.weight = nn.Parameter(weight)
        assert layer.bias is not None
        self.bias = nn.Parameter(layer.bias.detach().repeat_interleave(places))

    @staticmethod
    def fits(module: nn.Module) -> bool:
        """Whether a module is such a layer."""
        return (
            isinstance(module, nn.ConvTranspose2d)
            and module.stride == module.kernel_size
            and module.stride[0] == module.stride[1]
            and module.padding == (0, 0)
            and module.bias is not None
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(F.conv2d(x, self.weight, self.bias), self.factor)


def with_pixel_shuffle(network: nn.Module) -> nn.Module:
    """The network with each layer that fits as `ByPixelShuffle`; a copy where there is one, else itself."""
    if not any(ByPixelShuffle.fits(module) for module in network.modules()):
        return network
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if ByPixelShuffle.fits(child):
                setattr(parent, name, ByPixelShuffle(child))  # type: ignore[arg-type]
    return network


def traced(network: nn.Module, picture: Tensor, outputs: list[str]) -> onnx.ModelProto:
    """The network, in eval mode, as ONNX: input ``picture`` of that tensor's shape, the named outputs.

    The exporter's notes are taken out: they hold paths of this machine.
    """
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), contextlib.redirect_stdout(None):
            warnings.simplefilter("ignore")
            path = Path(folder) / "model.onnx"
            torch.onnx.export(
                with_pixel_shuffle(network.eval()),
                (picture,),
                path,
                input_names=["picture"],
                output_names=outputs,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            proto = onnx.load(path)
    finally:
        exporter.setLevel(level)
    graph = proto.graph
    graph.name = "model"
    for item in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    del graph.value_info[:]
    return proto
