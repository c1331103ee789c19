"""INT8 by neural-compressor: near the float model, the same bytes each time, and what it cannot do is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import targets
from edge.dehazer import Dehazer
from edge.errors import EdgeError
from edge.exporting.assembly import assembled
from edge.exporting.fidelity import compare
from quantization.calibration import hazy_pairs, made_set
from quantization.layers import layers
from targets.source import SourceModel
from training import models
from training.checkpoint import save_checkpoint
from training.export_onnx import export_onnx

pytest.importorskip("neural_compressor")
SMALL = {"width": 8, "stem": 8, "deep": 1, "height": 48, "columns": 64}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> SourceModel:
    """A small edge model with random weights."""
    folder = tmp_path_factory.mktemp("inc")
    torch.manual_seed(0)
    model = models.build("grid", SMALL)
    with torch.no_grad():
        model.cell.weight.normal_(0, 2.0)
    checkpoint = save_checkpoint(folder / "small.safetensors", model.eval(), "grid", SMALL, {"name": "small"})
    return SourceModel.read(export_onnx(checkpoint, folder / "small.onnx"), checkpoint)


def options(**others) -> targets.BuildOptions:
    return targets.BuildOptions("int8", made_set(64, 48, "grid", 8), quantizer="inc", **others)


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def bundle(request, source):
    return assembled(source, targets.load(request.param), options())


def test_its_frames_are_near_the_float_models(bundle, source):
    plain = assembled(source, targets.load("onnx"), targets.BuildOptions("fp32"))
    with Dehazer(plain, "CPU") as reference, Dehazer(bundle, "CPU") as artefact:
        fidelity = compare(reference, artefact, hazy_pairs(2, seed=3), "two made pairs")

    assert 25 < fidelity.agreement_db < 60  # rounded; random weights, whose gains are large, show every step


def test_weights_are_int8_by_channel_but_those_that_every_pixel_feels(bundle, source):
    if bundle.manifest.target != "onnx":
        pytest.skip("read from the ONNX file")
    import onnx

    graph = onnx.load_from_string(bundle.files["model.onnx"]).graph
    stored = {i.name: i for i in graph.initializer}
    pairs = [
        (stored[node.input[0]], stored[node.input[1]], stored[node.input[2]])
        for node in graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] in stored and len(stored[node.input[0]].dims) == 4
    ]
    kept = bundle.manifest.notes["float_layers"]
    assert kept[:2] == ["cell", "airlight"] and "whole.0.0" in kept
    assert len(pairs) == len(layers(onnx.load(source.onnx))) - len(kept)
    for weight, scale, zero_point in pairs:
        assert zero_point.data_type == onnx.TensorProto.INT8
        assert np.prod(scale.dims) in weight.dims


def test_the_manifest_tells_how_many_of_its_kernels_run_in_int8(bundle):
    kernels = targets.load(bundle.manifest.target).kernels(bundle, "CPU")
    assert sum(count for name, count in kernels["int8"].items() if "Conv" in name) > 10


def test_the_manifest_names_the_quantizer_and_the_node_counts(bundle):
    notes = bundle.manifest.notes
    assert notes["quantizer"] == "neural-compressor"
    assert notes["qdq_nodes"]["cleaned"] < notes["qdq_nodes"]["exported"]
    assert "neural-compressor" in bundle.manifest.tools


def test_the_same_pictures_give_the_same_bytes(bundle, source):
    again = assembled(source, targets.load(bundle.manifest.target), options())
    assert again.files == bundle.files


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"ranges": "minmax"}, "leave --ranges out"),
        ({"ranges": "percentile"}, "leave --ranges out"),
        ({"float_layers": ("cell",)}, "--max-drop"),
    ],
)
def test_what_it_cannot_do_is_told(source, others, says):
    with pytest.raises(EdgeError, match=says):
        targets.load("onnx").build(source, options(**others))


def test_without_a_checkpoint_the_user_is_told_to_give_it(grid_source):
    with pytest.raises(EdgeError, match=r"--model PATH\.safetensors"):
        targets.load("onnx").build(grid_source, options())
