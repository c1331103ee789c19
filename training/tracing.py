"""A module as an ONNX model of one fixed input size, the same bytes each time."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from training.models import GridModel


class Predict(nn.Module):
    """A grid model whose call gives the raw coefficients instead of a picture."""

    def __init__(self, model: GridModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.predict(picture)


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
                network.eval(),
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
