"""Two networks, one for each kind of haze: which of them is heard, and how they come to be one model."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from edge import Dehazer
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.pictures import write_picture
from quantization.rounding import rounded_layers
from tests.training.test_export_onnx import lively
from training import committee, experts, models
from training.checkpoint import load_model, read_checkpoint, save_checkpoint
from training.tracing import Predict, traced

LAID = {"width": 12, "stem": 8, "deep": 3, "looks": 2}
REAL = {"width": 8, "stem": 8, "deep": 1}


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def both() -> torch.nn.Module:
    torch.manual_seed(0)
    return lively(models.build("experts", {"laid": LAID, "real": REAL}))


def sure(model: torch.nn.Module, level: float) -> torch.nn.Module:
    """The model, telling of every picture that its haze is real (6), laid (0) or something between."""
    torch.nn.init.zeros_(model.tell[1].weight)
    torch.nn.init.constant_(model.tell[1].bias, level)
    return model


def leaning(model: torch.nn.Module, level: float) -> torch.nn.Module:
    """As `sure`, with weights as after training: a layer of zeros alone has no INT8."""
    torch.nn.init.constant_(model.tell[1].bias, level)
    return model


def said(model: torch.nn.Module, picture: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([part.flatten() for part in model.predict(picture)])


@pytest.mark.parametrize(("level", "real"), [(-2.0, 0.0), (0.0, 0.0), (1.5, 0.25), (6.0, 1.0), (9.0, 1.0)])
def test_each_network_is_heard_by_how_likely_its_kind_of_haze_is(both, picture, level, real):
    expected = (1 - real) * said(both.laid, picture) + real * said(both.real, picture)
    torch.testing.assert_close(said(sure(both, level), picture), expected)


FORMS = {
    "two forms": (LAID, REAL),
    "one form": (LAID, LAID),
    "one form, telling finesse": ({**LAID, "finesse": True}, {**LAID, "finesse": True}),
    "several": ({"members": [{**LAID, "finesse": True}, LAID]}, {**REAL, "finesse": True}),
}


@pytest.mark.parametrize("level", [-2.0, 1.5, 9.0])
@pytest.mark.parametrize("form", FORMS)
def test_fusing_leaves_the_answer_as_it_was(picture, level, form):
    laid, real = FORMS[form]
    model = lively(models.build("experts", {"laid": laid, "real": real}))
    apart = said(sure(model, level), picture)
    torch.testing.assert_close(said(model.fuse(), picture), apart, rtol=1e-4, atol=1e-5)


def test_two_networks_of_one_form_have_the_layers_of_one():
    """Time on a small map goes by the layer: what tells the kinds apart may add four, a second network none."""

    def layers(model):
        graph = traced(Predict(model.eval().fuse()), torch.zeros(1, 3, 120, 160), ["cell", "airlight"]).graph
        return sum(node.op_type in ("Conv", "ConvTranspose") for node in graph.node)

    one = layers(models.build("grid", LAID))
    assert layers(models.build("experts", {"laid": LAID, "real": LAID})) <= one + 4
    assert layers(models.build("experts", {"laid": LAID, "real": REAL})) > one + 20


def test_training_for_int8_rounds_the_layers_of_each_network_that_it_would_of_one():
    one = {name for name, _ in rounded_layers(models.build("grid", LAID))}
    both = models.build("experts", {"laid": LAID, "real": LAID})
    assert {name for name, _ in rounded_layers(both) if not name.startswith("tell")} == {
        f"{network}.{name}" for network in ("laid", "real") for name in one
    }


def test_for_its_ranges_a_model_can_be_sure_of_either_kind(both, picture):
    """Calibration pictures may show one kind only; whichever a model would tell of them, both have to be seen."""
    real, laid = (said(network, picture) for network in (both.real, both.laid))
    for level in (-30.0, 2.0, 30.0):
        certain = sure(copy.deepcopy(both), level).fuse().certain()
        for found, expected in zip(certain, (real, laid), strict=True):
            torch.testing.assert_close(said(found, picture), expected, rtol=1e-4, atol=1e-4)


def test_rpi_stores_what_only_a_kind_of_haze_asks_for_that_no_calibration_picture_shows():
    from targets.rpi.graph import output_scales

    model = sure(models.build("experts", {"laid": LAID, "real": REAL}), -3.0).eval()
    with torch.no_grad():
        for network, thick in ((model.laid, 0.5), (model.real, 2.5)):
            network.cell.bias[0] = thick
    model.fuse()
    pictures = [np.full((120, 160, 3), level, np.uint8) for level in (0, 128)]
    for of, highest in (([model], 0.5), ([model, *model.certain()], 2.5)):
        cell, _ = output_scales(of, pictures)
        assert cell.high[0] == pytest.approx(highest, abs=0.1)


def test_in_training_most_pictures_are_answered_by_what_is_given(both, picture):
    """A model that takes all haze for laid: where it is given that it is real, its answers follow, but for some."""
    sure(both, 0.0).train()
    for module in both.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # as in use, so that pictures do not mix
    with torch.no_grad():
        own = both(picture)
        answer = both(picture.expand(64, -1, -1, -1), parts=True, real=torch.ones(64, dtype=torch.bool))
    as_given = (answer.dehazed - own).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert 0.5 < as_given.float().mean() < 0.95
    torch.testing.assert_close(answer.real, torch.full((64,), -3.0))  # of what it tells itself, log odds


@pytest.mark.parametrize(
    ("laid", "real", "told"),
    [
        (LAID, {**REAL, "height": 64}, "laid sees pictures of .120, 160. and real of .64, 160."),
        (LAID, {**REAL, "finesse": True}, "of laid and real one tells finesse; both do or neither"),
        ({"members": [LAID, {**LAID, "finesse": True}]}, REAL, "both do or neither"),
    ],
)
def test_networks_that_do_not_go_together_are_refused(laid, real, told):
    with pytest.raises(EdgeError, match=told):
        models.build("experts", {"laid": laid, "real": real})


@pytest.fixture
def saved(tmp_path):
    """Three different networks as checkpoints; their paths and modules."""
    made = []
    for number, settings in enumerate((LAID, {**LAID, "width": 16, "mirrored": True}, REAL)):
        torch.manual_seed(number)
        module = lively(models.build("grid", settings))
        made.append((save_checkpoint(tmp_path / f"{number}.safetensors", module, "grid", settings), module))
    return made


@pytest.mark.parametrize("count", [1, 2])
def test_the_command_joins_networks_that_were_trained_apart(saved, tmp_path, picture, count, capsys):
    (*laid, (real, knows_real)), out = [*saved[:count], saved[2]], tmp_path / "both.safetensors"
    call = ["--laid", *(str(path) for path, _ in laid), "--real", str(real), "--mirrored", "--out", str(out)]
    assert experts.main(call) == 0
    assert capsys.readouterr().out == f"{out}\n"
    model = load_model(out).eval()
    assert model.mirrored
    of_laid = torch.stack([said(module, picture) for _, module in laid]).mean(0)
    torch.testing.assert_close(said(sure(model, 0.0), picture), of_laid)
    torch.testing.assert_close(said(sure(model, 6.0), picture), said(knows_real, picture))


def test_of_trained_experts_either_network_can_be_joined_to_another(both, saved, tmp_path, picture):
    """What tells the kinds apart goes with the network for laid haze, whichever place that has among several."""
    trained, out = tmp_path / "trained.safetensors", tmp_path / "joined.safetensors"
    save_checkpoint(trained, leaning(both, 1.0), "experts", {"laid": LAID, "real": REAL})
    other, knows_other = saved[0]

    def told(model):
        with torch.inference_mode():
            return model._told(picture, None)[1].item()

    assert experts.main(["--laid", str(trained), "--real", str(other), "--out", str(out)]) == 0
    joined = load_model(out).eval()
    assert told(joined) == pytest.approx(told(both), abs=1e-5)
    torch.testing.assert_close(said(sure(joined, 0.0), picture), said(both.laid, picture))
    torch.testing.assert_close(said(sure(joined, 6.0), picture), said(knows_other, picture))

    assert experts.main(["--laid", str(other), str(trained), "--real", str(trained), "--out", str(out)]) == 0
    joined = load_model(out).eval()
    assert told(joined) == pytest.approx(told(both), abs=1e-5)
    mean = (said(knows_other, picture) + said(both.laid, picture)) / 2
    torch.testing.assert_close(said(sure(joined, 0.0), picture), mean)
    torch.testing.assert_close(said(sure(joined, 6.0), picture), said(both.real, picture))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("odds", "share"), [(-4.0, 0), (-2.0, 0), (-1.25, 0.25), (-0.5, 0.5), (0.25, 0.75), (1.0, 1), (3.0, 1)]
)
def test_experts_decide_between_the_log_odds_that_they_are_given(picture, odds, share, fused):
    torch.manual_seed(0)
    model = sure(lively(models.build("experts", {"laid": LAID, "real": REAL, "decide": [-2.0, 1.0]})), odds + 3)
    expected = torch.lerp(said(model.laid, picture), said(model.real, picture), share)
    found = said(model.fuse() if fused else model, picture)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_training_does_not_know_between_which_log_odds_its_model_is_to_decide(both, picture):
    deciding = models.build("experts", {"laid": LAID, "real": REAL, "decide": [-2.0, 1.0]})
    deciding.load_state_dict(both.state_dict())
    pictures = picture.repeat(2, 1, 1, 1)
    with torch.no_grad():
        assert not torch.equal(deciding.eval()(pictures), both.eval()(pictures))
        assert torch.equal(deciding.train()(pictures), both.train()(pictures))


@pytest.mark.parametrize("count", [1, 2])
def test_the_command_lets_trained_experts_decide_earlier(saved, tmp_path, picture, count):
    """Be it one network for laid haze, or several."""
    (*laid, (real, _)), trained, out = [*saved[:count], saved[2]], tmp_path / "x.safetensors", tmp_path / "y"
    assert experts.main(["--laid", *(str(path) for path, _ in laid), "--real", str(real), "--out", str(trained)]) == 0
    call = ["--laid", str(trained), "--real", str(trained), "--decide", "-2", "1", "--out"]
    assert experts.main([*call, str(out)]) == 0
    before, after = read_checkpoint(trained), read_checkpoint(out)
    assert after.configuration == {**before.configuration, "decide": [-2.0, 1.0]}
    assert experts.main(["--laid", str(out), "--real", str(real), "--out", str(trained)]) == 0
    assert read_checkpoint(trained).configuration["decide"] == [-2.0, 1.0]  # it goes with what tells the kinds apart
    assert all(torch.equal(after.weights[name], tensor) for name, tensor in before.weights.items())


@pytest.mark.parametrize(("decide", "words"), [([1, -2], "lower number comes first"), ([1], "two numbers"), (2, "two")])
def test_what_is_no_range_to_decide_in_is_refused(decide, words):
    with pytest.raises(EdgeError, match=words):
        models.build("experts", {"laid": LAID, "real": REAL, "decide": decide})


def test_what_is_no_network_of_its_own_cannot_be_joined(saved, tmp_path):
    (laid, _), (second, _), (real, _) = saved
    several, out = str(tmp_path / "several.safetensors"), ["--out", str(tmp_path / "x.safetensors")]
    assert experts.main(["--laid", str(laid), str(second), "--real", str(real), "--out", several]) == 0
    with pytest.raises(EdgeError, match=r"holds several networks of one kind .'laid'.; experts are edge models"):
        experts.main(["--laid", str(laid), several, "--real", str(real), *out])
    assert committee.main([str(laid), str(second), "--out", several]) == 0
    with pytest.raises(EdgeError, match="holds a 'committee'; experts are edge models"):
        experts.main(["--laid", several, "--real", str(real), *out])
    with pytest.raises(EdgeError, match="holds a 'committee'; a committee is of edge models"):
        committee.main([several, str(real), *out])


def test_a_network_that_is_read_is_not_written_over(saved):
    (laid, _), _, (real, _) = saved
    before = real.read_bytes()
    with pytest.raises(EdgeError, match="which is read; choose another --out"):
        experts.main(["--laid", str(laid), "--real", str(real), "--out", str(real)])
    assert real.read_bytes() == before


def test_the_full_model_can_look_with_experts():
    small = {"height": 24, "columns": 32}
    looked = {"laid": {**LAID, **small}, "real": {**REAL, **small}}
    full = models.build("draco", {"channels": 16, "narrow": 8, "height": 48, "columns": 64, "coarse": looked}).eval()
    pictures = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        dehazed, first, *_ = full(pictures, parts=True)
        assert torch.equal(dehazed, first)  # it starts from their own answer
        torch.testing.assert_close(first, full.coarse(pictures).clamp(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("target", "precision", "level"),
    [("openvino", "fp32", 2.0), ("rpi", "fp32", 2.0), ("rpi", "int8", 2.0)],
)
def test_experts_are_exported_as_any_model(both, tmp_path, target, precision, level):
    pytest.importorskip({"openvino": "openvino", "rpi": "litert_torch"}[target])
    from edge import export

    model, out = tmp_path / "both.safetensors", str(tmp_path / "bundle")
    leaning(both, level)
    save_checkpoint(model, both, "experts", {"laid": LAID, "real": REAL})
    assert export.main(["--model", str(model), "--target", target, "--precision", precision, "--out", out]) == 0
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    with torch.inference_mode():
        expected = both(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
    off = np.abs(Dehazer(out)(picture) - expected[0].permute(1, 2, 0).numpy() * 255)
    assert off.max() <= 2 if precision == "fp32" else off.mean() <= 1.5


def test_int8_for_rpi_answers_haze_that_no_calibration_picture_shows(both, tmp_path):
    """A model that takes dark pictures for laid haze and a bright one for real, calibrated on dark ones only."""
    pytest.importorskip("litert_torch")
    from edge import export

    rng = np.random.default_rng(0)
    dark, bright = rng.integers(0, 60, (4, 120, 160, 3), np.uint8), rng.integers(190, 256, (120, 160, 3), np.uint8)
    tell = both.tell[1]
    torch.nn.init.zeros_(tell.bias)

    def told(picture):
        with torch.inference_mode():
            small = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
            return both.tell(both.laid.features(small).whole).item()

    with torch.no_grad():
        between = told(bright) - np.mean([told(picture) for picture in dark])
        tell.weight *= 18 / between
        tell.bias.fill_(15 - told(bright))
    assert told(bright) > 6 and all(told(picture) < 0 for picture in dark)

    (tmp_path / "dark").mkdir()
    for number, picture in enumerate(dark):
        write_picture(tmp_path / "dark" / f"{number}.png", picture)
    model, out = tmp_path / "both.safetensors", str(tmp_path / "bundle")
    save_checkpoint(model, both, "experts", {"laid": LAID, "real": REAL})
    call = ["--model", str(model), "--target", "rpi", "--calibration", str(tmp_path / "dark"), "--out", out]
    assert export.main(call) == 0
    with torch.inference_mode():
        expected = both.real(torch.from_numpy(bright).permute(2, 0, 1)[None] / 255)
    assert np.abs(Dehazer(out)(bright) - expected[0].permute(1, 2, 0).numpy() * 255).mean() <= 2
    weighed_maps_keep_their_steps(Bundle.read(out).files["model.tflite"])


def weighed_maps_keep_their_steps(model):
    """What a map is multiplied by at its largest, as for haze of a certain kind, only makes its steps larger."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=plain)
    told = {one["index"]: one for one in interpreter.get_tensor_details()}
    products = [op for op in interpreter._get_ops_details() if op["op_name"] == "MUL"]
    maps = [op for op in products if told[op["outputs"][0]]["shape"][1] > 1]
    assert len(maps) == 2
    for op in maps:
        (step, zero), (number, none), (product, same) = (
            told[tensor]["quantization"] for tensor in (*op["inputs"], *op["outputs"])
        )
        assert (none, same) == (-128, zero)
        assert product == pytest.approx(255 * number * step, rel=1e-4)
