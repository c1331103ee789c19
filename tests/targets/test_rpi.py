"""The Raspberry Pi target: a .tflite that is INT8 from end to end and answers like the float model."""

import json

import numpy as np
import pytest

from edge import coefficients, command, export
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.errors import BundleError, DeviceUnavailable, EdgeError
from edge.pictures import write_picture
from quantization.calibration import made_set
from targets import BuildOptions
from targets.rpi import TARGET, flatbuffer, kernels
from targets.rpi.network import FILE, LiteRTNetwork

pytest.importorskip("ai_edge_litert")
WIDTH, HEIGHT = 32, 24


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A narrow grid model with weights that give every coefficient a range of its own."""
    torch = pytest.importorskip("torch")
    from training.checkpoint import save_checkpoint
    from training.models.grid import GridNet

    torch.manual_seed(0)
    settings = {"width": 8, "stem": 8, "deep": 1, "height": HEIGHT, "columns": WIDTH}
    net = GridNet(**settings)
    with torch.no_grad():
        for layer in (net.cell, net.airlight):
            layer.weight.normal_(0, 0.3)
            layer.bias.normal_(0, 0.5)
        for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            norm.weight.uniform_(0.8, 1.2)
            norm.bias.normal_(0.3, 0.2)
    return save_checkpoint(tmp_path_factory.mktemp("rpi") / "narrow.safetensors", net, "grid", settings)


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory, python):
    """edge.export of the float32 bundle, in a process of its own."""
    pytest.importorskip("litert_torch")
    pytest.importorskip("ai_edge_quantizer")
    place = tmp_path_factory.mktemp("bundle") / "fp32"
    return place, python("-m", "edge.export", "--target", "rpi", "--model", checkpoint, "--precision", "fp32", "--out",
                         place)  # fmt: skip


@pytest.fixture(scope="module")
def bundles(checkpoint, exported, tmp_path_factory):
    """Path of the bundle for each precision, as edge.export makes it."""
    folder = tmp_path_factory.mktemp("bundles")
    photos = folder / "photos"
    photos.mkdir()
    for number, picture in enumerate(made_set(WIDTH, HEIGHT, "grid", 24)):
        write_picture(photos / f"{number}.png", picture)
    made = {"fp32": exported[0]}
    for precision, more in (("fp16", []), ("int8", ["--calibration", photos])):
        made[precision] = folder / precision
        call = ["--target", "rpi", "--model", checkpoint, "--precision", precision, "--out", made[precision], *more]
        assert command.run(export.main, [str(word) for word in call]) == 0
    return made


@pytest.fixture(scope="module")
def float_answers(checkpoint):
    """The torch model's own raw answers to the probe pictures."""
    import torch

    from training.checkpoint import load_model

    net = load_model(checkpoint)
    answers = []
    for picture in kernels.probe_pictures(WIDTH, HEIGHT):
        with torch.no_grad():
            cell, airlight = net.predict(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
        answers.append((picture, cell[0].permute(1, 2, 0).numpy(), airlight[0].numpy()))
    return answers


def decoded_psnr_db(picture, ours, theirs):
    """PSNR between the clear pictures that two answers give, float64 for the measure."""
    clear = []
    for cell, airlight in (ours, theirs):
        gain, bias = coefficients.decode(cell, airlight)
        clear.append(np.clip(gain * (picture / 255) + bias, 0, 1).astype(np.float64))
    return -10 * np.log10(np.mean((clear[0] - clear[1]) ** 2) + 1e-12)


def test_every_operator_of_the_int8_file_computes_in_integers(bundles):
    found = flatbuffer.operators(Bundle.read(bundles["int8"]).files[FILE])
    assert {kind for op in found for kind in op.types} <= {"INT8", "INT32"}
    names = {op.name for op in found}
    assert "TRANSPOSE" not in names and "DEQUANTIZE" not in names and "REDUCE_MAX" not in names


def test_the_manifest_says_what_the_file_holds(bundles):
    manifest = Bundle.read(bundles["int8"]).manifest
    assert manifest.notes["float_operators"] == []
    assert manifest.notes["operators"]["CONV_2D"] > 5
    assert {"torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert"} <= set(manifest.tools)
    assert manifest.calibration["pictures"] == 24


@pytest.mark.parametrize(("precision", "least_db"), [("fp32", 100), ("fp16", 60), ("int8", 32)])
def test_answers_are_those_of_the_torch_model(bundles, float_answers, precision, least_db):
    network = TARGET.open(Bundle.read(bundles[precision]), "auto", 1)
    for picture, cell, airlight in float_answers:
        ours = network(picture)
        assert ours[0].shape == cell.shape and ours[0].dtype == np.float32
        assert decoded_psnr_db(picture, ours, (cell, airlight)) > least_db


def test_the_network_says_where_and_in_what_it_computes(bundles):
    int8 = TARGET.open(Bundle.read(bundles["int8"]), "CPU", 2)
    fp16 = TARGET.open(Bundle.read(bundles["fp16"]), "CPU", 2)
    assert int8.device.startswith("CPU (") and int8.precision == "int8"
    assert fp16.precision == "fp32"  # weights are stored in float16, sums are made in float32


def test_int8_answers_are_the_bytes_that_the_bundle_names(bundles):
    bundle = Bundle.read(bundles["int8"])
    for name in bundle.manifest.notes["answers"]:
        for threads in (1, 2):
            network = LiteRTNetwork(bundle, "CPU", threads, kernels=name)
            found = kernels.digests(network.raw, WIDTH, HEIGHT)
            assert kernels.family(bundle.manifest.notes["answers"], found) == name


def test_an_answer_of_other_kernels_is_not_taken_for_a_known_one(bundles):
    answers = Bundle.read(bundles["int8"]).manifest.notes["answers"]
    assert kernels.family(answers, ["0" * 64] * kernels.PICTURES) is None


def test_golden_frames_replay(bundles):
    for path in bundles.values():
        with Dehazer(path, threads=1) as dehazer:
            assert dehazer.verify() == 0


def test_a_device_other_than_the_processor_is_refused(bundles):
    with pytest.raises(DeviceUnavailable, match="processor only"):
        TARGET.open(Bundle.read(bundles["int8"]), "GPU", None)


def test_a_damaged_model_is_told_in_one_line(bundles):
    bundle = Bundle.read(bundles["int8"])
    broken = Bundle.assemble(bundle.manifest, {**bundle.files, FILE: b"TFL3 but not really" * 10})
    with pytest.raises(BundleError, match="cannot open its model") as caught:
        TARGET.open(broken, "auto", None)
    assert "\n" not in str(caught.value)


def test_without_the_checkpoint_the_user_is_told_to_give_it(grid_source):
    with pytest.raises(EdgeError, match=r"--model PATH\.safetensors"):
        TARGET.build(grid_source, BuildOptions("fp32"))


def test_the_board_needs_no_torch(bundles, python):
    code = (
        "import sys, numpy; from edge import Dehazer;"
        f"d = Dehazer({str(bundles['int8'])!r}); d(numpy.zeros((50, 60, 3), numpy.uint8));"
        "print([m for m in ('torch', 'litert_torch', 'ai_edge_quantizer', 'onnx') if m in sys.modules])"
    )
    done = python("-c", code)
    assert done.returncode == 0 and done.stdout.strip() == "[]"
    assert done.stderr == ""  # nor does the runtime talk


def test_what_the_tools_print_stays_out_of_the_commands_output(exported):
    place, done = exported
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2 and done.stdout.splitlines()[-1] == str(place)
    assert all("WARNING" not in line and "I0000" not in line for line in done.stderr.splitlines())
    assert json.loads((place / "manifest.json").read_text())["target"] == "rpi"
