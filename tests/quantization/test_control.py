"""Accuracy control and sensitivity: the layer that hurts is found, and only that goes back to float."""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import targets
from edge import coefficients, export
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.exporting.assembly import assembled
from edge.exporting.models import SHIPPED
from edge.exporting.pictures import measured_pairs
from quantization import qdq, sensitivity
from quantization.calibration import folder_set, made_set
from quantization.control import LayerLoss, Loss, controlled, ranked
from quantization.layers import entrances, exits, grouped_reductions, heads, layers, left_out
from targets.onnx.runtime import open_session
from targets.source import METADATA_KEY, ModelCard, SourceModel
from training import models
from training.checkpoint import save_checkpoint
from training.export_onnx import export_onnx

WIDTH, HEIGHT = 40, 30


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> SourceModel:
    """Four layers, of which ``bad`` cannot be quantized by tensor: one channel is a thousand times the others."""
    rng = np.random.default_rng(3)
    cells = coefficients.CHANNELS
    tensors = {
        "good.weight": rng.normal(0, 0.3, (8, 3, 3, 3)),
        "bad.weight": rng.normal(0, 0.2, (8, 8, 3, 3)) * np.array([1000.0] + [1.0] * 7)[:, None, None, None],
        "after.weight": rng.normal(0, 0.2, (8, 8, 1, 1)) * np.array([0.001] + [1.0] * 7)[:, None, None],
        "cell.weight": rng.normal(0, 0.2, (cells, 8, 1, 1)),
        "cell.bias": rng.normal(0, 0.2, cells),
        "airlight.weight": rng.normal(0, 0.5, (3, 3, 1, 1)),
        "flat": np.array([1, 3]),
    }
    nodes = [
        helper.make_node("Conv", ["picture", "good.weight"], ["a"], "n1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "n2"),
        helper.make_node("Conv", ["b", "bad.weight"], ["c"], "n3", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "after.weight"], ["d"], "n4"),
        helper.make_node("Add", ["d", "b"], ["e"], "n5"),
        helper.make_node("Conv", ["e", "cell.weight", "cell.bias"], ["cell"], "n6"),
        helper.make_node("GlobalAveragePool", ["picture"], ["mean"], "n7"),
        helper.make_node("Conv", ["mean", "airlight.weight"], ["light"], "n8"),
        helper.make_node("Reshape", ["light", "flat"], ["airlight"], "n9"),
    ]
    float_type = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "four",
        [helper.make_tensor_value_info("picture", float_type, [1, 3, HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info("cell", float_type, [1, cells, HEIGHT, WIDTH]),
            helper.make_tensor_value_info("airlight", float_type, [1, 3]),
        ],
        [numpy_helper.from_array(v.astype(np.int64 if n == "flat" else np.float32), n) for n, v in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    card = ModelCard("four", "grid", WIDTH, HEIGHT, 1000, 1, "0" * 64, coefficients.FORM)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    path = tmp_path_factory.mktemp("four") / "four.onnx"
    onnx.save(model, path)
    return SourceModel.read(path)


@pytest.fixture(scope="module")
def frame(tmp_path_factory) -> SourceModel:
    """Two layers that leave every frame as it is; ``outer`` has weights a thousand times those that matter."""
    inner = np.zeros((4, 3, 3, 3))
    inner[[0, 1, 2, 3], [0, 0, 1, 2], 1, 1] = 1e-6, 1, 1, 1
    outer = np.zeros((3, 4, 3, 3))
    outer[:, 0, 1, 1] = 1000
    outer[[0, 1, 2], [1, 2, 3], 1, 1] = 1
    tensors = {
        "inner.weight": inner, "inner.bias": np.zeros(4), "outer.weight": outer, "outer.bias": np.zeros(3),
        "zero": np.array(0), "one": np.array(1),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["picture", "inner.weight", "inner.bias"], ["a"], "n1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "n2"),
        helper.make_node("Conv", ["b", "outer.weight", "outer.bias"], ["c"], "n3", pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["c", "zero", "one"], ["clear"], "n4"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 48, 64]) for name in ("picture", "clear")]
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "two", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    card = ModelCard("two", "frame", 64, 48, 223, 1, "0" * 64)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    path = tmp_path_factory.mktemp("two") / "two.onnx"
    onnx.save(model, path)
    return SourceModel.read(path)


@pytest.fixture(scope="module")
def setting(source):
    options = targets.BuildOptions("int8", made_set(WIDTH, HEIGHT, "grid", 6))
    plain = assembled(source, targets.load("onnx"), targets.BuildOptions("fp32"))
    return options, Loss(plain, "CPU", measured_pairs(None)[0])


def rank(source, setting):
    options, loss = setting
    return ranked(source, targets.load("onnx"), options, loss, assembled)


def test_layers_are_named_after_their_weights_and_counted(source):
    found = layers(onnx.load(source.onnx))

    assert [layer.name for layer in found] == ["good", "bad", "after", "cell", "airlight"]
    assert found[0].parameters == 8 * 3 * 9
    assert found[0].macs == 8 * 3 * 9 * WIDTH * HEIGHT
    assert heads(onnx.load(source.onnx)) == ("cell", "airlight")
    assert entrances(onnx.load(source.onnx)) == ("good", "airlight")


def test_a_sum_that_comes_out_has_several_heads():
    """The full model's answer is its coarse part's and a correction."""
    found = heads(onnx.load(SHIPPED["full"]))
    assert set(found) == {"cell", "airlight", "coarse.cell", "coarse.airlight"}


def test_where_networks_stand_side_by_side_what_halves_the_resolution_for_all_of_them_is_found():
    """Not the depthwise layers, whose channels do not share a range with each other, and nothing in one network."""
    assert grouped_reductions(onnx.load(SHIPPED["edge-l"])) == ("beside.down4.0",)
    assert grouped_reductions(onnx.load(SHIPPED["edge-m"])) == grouped_reductions(onnx.load(SHIPPED["full"])) == ()


def test_a_model_of_ones_own_may_leave_strides_to_onnx():
    """ONNX takes 1 where a convolution does not say; such a layer does not halve anything."""
    weight = onnx.numpy_helper.from_array(np.ones((4, 2, 1, 1), np.float32), "w")
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], group=2)
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4, 8, 8]) for name in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "own", ends[:1], ends[1:], [weight]))
    assert grouped_reductions(model) == ()


def test_the_last_thin_layers_are_those_after_the_last_enlargement():
    edge, full = (onnx.load(SHIPPED[name]) for name in ("edge", "full"))

    assert set(exits(edge)) == {"fuse2.body.0.0", "fuse2.body.1.0", "cell"}
    assert exits(full) == ()  # after its last enlargement comes most of its work


def test_networks_side_by_side_have_last_thin_layers_each(tmp_path):
    settings = {"laid": {"width": 16, "stem": 8}, "real": {"width": 8, "stem": 8}}
    model = models.build("experts", settings)
    checkpoint = save_checkpoint(tmp_path / "x.safetensors", model, "experts", settings)
    found = set(exits(onnx.load(export_onnx(checkpoint, tmp_path / "x.onnx"))))

    each = {f"{name}.fuse2.body.{number}.0" for name in ("laid", "real") for number in (0, 1)}
    assert found == each | {"cell"}


def test_an_addition_is_float_only_when_all_that_it_adds_is(source):
    model = onnx.load(source.onnx)

    assert "n5" not in left_out(model, ["after"])
    assert "n5" in left_out(model, ["after", "good"])


def test_an_addition_is_float_where_only_float_layers_take_its_sum(source):
    model = onnx.load(source.onnx)

    assert "n5" in left_out(model, ["cell"])
    assert "n7" not in left_out(model, ["cell"])
    assert "n2" not in left_out(model, ["bad"])  # an activation belongs to the layer before it


def test_an_unknown_layer_is_refused_with_the_nearest(source):
    with pytest.raises(EdgeError, match=r"no layer 'god'; near it: good"):
        left_out(onnx.load(source.onnx), ["god"])


def test_the_layer_with_an_outlier_is_ranked_first(source, setting):
    losses = rank(source, setting)

    assert {loss.layer for loss in losses} == {"good", "bad", "after"}
    assert losses[0].layer in ("bad", "after")  # the tensor between the two is what does not fit into INT8
    assert losses[0].agreement_db < losses[-1].agreement_db - 3


def test_layers_of_a_frame_model_are_ranked_too(frame, pairs):
    options = targets.BuildOptions("int8", folder_set(pairs / "clear", 64, 48, "frame"))
    plain = assembled(frame, targets.load("onnx"), targets.BuildOptions("fp32"))
    loss = Loss(plain, "CPU", measured_pairs(pairs)[0])
    losses = ranked(frame, targets.load("onnx"), options, loss, assembled)

    assert [loss.layer for loss in losses] == ["outer", "inner"]
    assert losses[0].kept_drop_db > 10 > abs(losses[1].kept_drop_db)


@pytest.fixture
def imagined():
    """Three layers, a target that keeps ``own`` in float anyway, and a loss that only ``bad`` in INT8 brings."""
    weight = np.zeros((1, 1), np.float32)
    tensors = [numpy_helper.from_array(weight, f"{name}.weight") for name in ("own", "good", "bad")]
    names = ["x", "a", "b", "y"]
    nodes = [helper.make_node("MatMul", [names[i], t.name], [names[i + 1]], t.name) for i, t in enumerate(tensors)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in ("x", "y")]

    def build(model, target, options):
        kept = ("own", *options.float_layers)
        return SimpleNamespace(manifest=SimpleNamespace(notes={"float_layers": kept}), kept=kept)

    def of(bundle, device):
        return 50.0, 0.0 if "bad" in bundle.kept else 1.0, 0.0

    graph = helper.make_graph(nodes, "three", ends[:1], ends[1:], tensors)
    target = SimpleNamespace(name="imagined", mixes_precisions=True)
    return helper.make_model(graph), target, SimpleNamespace(of=of), build


def test_layers_that_the_target_keeps_in_float_are_not_ranked(imagined, tmp_path):
    model, target, loss, build = imagined
    onnx.save(model, tmp_path / "three.onnx")
    source = SimpleNamespace(onnx=tmp_path / "three.onnx")
    losses = ranked(source, target, targets.BuildOptions("int8"), loss, build)
    assert {loss.layer: loss.drop_db for loss in losses} == {"good": 0.0, "bad": 1.0}


def test_control_tries_no_layer_that_the_target_keeps_in_float(imagined):
    _, target, loss, build = imagined
    ranking = [LayerLoss(name, "MatMul", 1, 1, 50.0, 0.0, 0.0) for name in ("own", "bad", "good")]
    found = controlled(None, target, targets.BuildOptions("int8"), 0.5, loss, build, lambda: ranking)
    assert [layer.layer for layer in found.float_layers] == ["bad"]
    assert found.builds == 2  # nothing in float beside its own, and the first of those that can be put there


def test_control_sees_what_clear_pictures_lose(imagined):
    """Half a decibel more than the limit is nothing; what is more counts as a loss on haze does."""
    _, target, _, build = imagined
    ranking = [LayerLoss("bad", "MatMul", 1, 1, 50.0, 0.0, 3.0)]
    spoilt = SimpleNamespace(of=lambda bundle, device: (50.0, 0.0, 0.0 if "bad" in bundle.kept else 3.0))
    options = targets.BuildOptions("int8")
    found = controlled(None, target, options, 2.4, spoilt, build, lambda: ranking)
    assert [layer.layer for layer in found.float_layers] == ["bad"]
    found = controlled(None, target, options, 2.6, spoilt, build, lambda: ranking)
    assert found.float_layers == () and found.drop_db == 2.5


def test_frames_agree_by_more_than_what_counts_as_equal_so_that_layers_can_be_ranked(source, setting):
    plain = assembled(source, targets.load("onnx"), targets.BuildOptions("fp32"))
    agreement, drop, kept = setting[1].of(plain, "CPU")
    assert agreement == pytest.approx(138.1, abs=0.05)  # 10 log10(255^2 / 1e-9): the same bit for bit
    assert (drop, kept) == (0, 0)


def test_control_leaves_the_fewest_layers_in_float(source, setting, monkeypatch):
    options, loss = setting
    target = targets.load("onnx")
    losses = rank(source, setting)
    measured = loss.of

    def apart(bundle, device):  # how far from the float model, which unlike a drop has no luck in it
        agreement, _, kept = measured(bundle, device)
        return agreement, 60 - agreement, kept

    monkeypatch.setattr(loss, "of", apart)

    def lost(*kept: str) -> float:
        return apart(assembled(source, target, replace(options, float_layers=kept)), "CPU")[1]

    limit = (lost() + lost(losses[0].layer, losses[1].layer)) / 2
    found = controlled(source, target, options, limit, loss, assembled, lambda: losses)

    names = [layer.layer for layer in found.float_layers]
    assert found.drop_db <= limit
    assert 1 <= len(names) <= 2
    assert all(lost(*(other for other in names if other != name)) > limit for name in names)
    assert set(names) <= set(found.bundle.manifest.notes["float_layers"])


def test_nothing_goes_to_float_where_int8_is_good_enough(source, setting):
    options, loss = setting

    def rank() -> list:
        raise AssertionError("not asked for")

    found = controlled(source, targets.load("onnx"), options, 90.0, loss, assembled, rank)

    assert found.float_layers == ()
    assert found.builds == 1


def test_a_limit_that_cannot_be_met_is_refused_with_the_best_found(source, setting, monkeypatch):
    options, loss = setting
    monkeypatch.setattr(loss, "of", lambda bundle, device: (30.0, 0.7, 1.0))

    with pytest.raises(EdgeError, match=r"the best found loses 0\.700 dB"):
        controlled(
            source,
            targets.load("onnx"),
            options,
            0.1,
            loss,
            assembled,
            lambda: rank(source, setting),
        )


def test_export_says_in_the_manifest_what_stayed_float(source, tmp_path, capsys):
    out = tmp_path / "controlled"

    status = export.main(["--model", str(source.onnx), "--target", "onnx", "--max-drop", "0.02", "--out", str(out)])

    assert status == 0
    notes = Bundle.read(out).manifest.notes["accuracy_control"]
    assert notes["max_drop_db"] == 0.02
    assert notes["drop_db"] <= 0.02
    said = capsys.readouterr().err
    for layer in notes["float_layers"]:
        assert f"{layer['layer']} stays float" in said
    json.dumps(notes)


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_what_a_frame_model_may_lose_is_held_too(frame, pairs, tmp_path, target):
    out = tmp_path / "controlled"
    call = ["--model", frame.onnx, "--target", target, "--max-drop", 0.5, "--calibration", pairs / "clear"]
    assert export.main([str(argument) for argument in (*call, "--data", pairs, "--out", out)]) == 0

    notes = Bundle.read(out).manifest.notes
    assert "outer" in notes["float_layers"]
    assert notes["accuracy_control"]["drop_db"] <= 0.5


@pytest.fixture
def ranking(source, pairs, tmp_path, capsys):
    """What `python -m quantization.sensitivity` wrote and said."""
    out = tmp_path / "ranking"
    arguments = ["--model", source.onnx, "--pictures", 6, "--data", pairs, "--out", out]
    assert sensitivity.main([str(argument) for argument in arguments]) == 0
    return out, capsys.readouterr()


def test_sensitivity_ranks_the_layers_in_words_figures_and_a_plot(ranking):
    out, said = ranking
    found = json.loads((out / "sensitivity.json").read_text())
    names = [layer["layer"] for layer in found["layers"]]
    agreements = [layer["agreement_db"] for layer in found["layers"]]
    assert names[0] == "bad" and set(names) == {"bad", "good", "after"}  # the last layers are never in INT8
    assert agreements == sorted(agreements)

    *_, first, second, third, last = said.out.splitlines()
    assert [line.split()[0] for line in (first, second, third)] == names
    assert last == str(out)

    texts = ["".join(e.itertext()) for e in ElementTree.parse(out / "sensitivity.svg").iter() if e.tag.endswith("text")]
    assert [text for text in texts if text in names] == names  # a bar each, in the ranking's order


def test_a_ranking_that_cannot_be_written_whole_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    losses = [LayerLoss("only", "Conv", 1, 1, 50.0, 0.0, 0.0)]
    with pytest.raises(EdgeError, match="No space left"):
        sensitivity._write(tmp_path / "out", losses, {"model": "m", "data": "d"})
    assert not list((tmp_path / "out").iterdir())


def test_without_altair_sensitivity_says_how_to_get_the_plot(source, pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "altair", None)
    arguments = ["--model", source.onnx, "--pictures", 2, "--data", pairs, "--out", tmp_path / "plain"]
    assert sensitivity.main([str(argument) for argument in arguments]) == 0

    assert [file.name for file in (tmp_path / "plain").iterdir()] == ["sensitivity.json"]
    assert "pip install 'draco-edge[report]'" in capsys.readouterr().err


def test_sensitivity_refuses_a_target_whose_layers_cannot_be_told_apart(capsys):
    with pytest.raises(EdgeError, match="--target onnx"):
        sensitivity.main(["--target", "rpi"])


@pytest.mark.parametrize("scheme", [qdq.PROCESSOR, qdq.TENSORRT])
def test_the_error_that_is_left_is_zero_on_average_where_there_is_haze(source, setting, scheme):
    pictures = setting[0].calibration
    kept = heads(onnx.load(source.onnx))
    model = qdq.quantized(source, pictures, scheme, float_layers=kept)

    sessions = [
        open_session(file, "a model", "CPU", "CPUExecutionProvider", 1)[0]
        for file in (source.onnx.read_bytes(), model.SerializeToString())
    ]
    errors = []
    for picture in pictures:
        given = {"picture": (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)}
        exact, rounded = (session.run(["cell"], given)[0] for session in sessions)
        density = np.log1p(np.exp(coefficients.DENSITY_SLOPE * exact[:, :1] + coefficients.DENSITY_OFFSET))
        counts = (1 - np.exp(-density)) ** 2
        errors.append((counts * (rounded - exact)).mean((0, 2, 3)))
    assert np.abs(errors[0]).max() > 0, "some layers are rounded"
    assert np.abs(np.mean(errors, 0)).max() < 1e-3 * np.abs(errors).max()
