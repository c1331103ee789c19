"""The Raspberry Pi target: a .tflite that is INT8 from end to end and answers like the float model."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import coefficients
from edge.bundle import Bundle, write_bundle
from edge.dehazer import Dehazer
from edge.errors import BundleError, DeviceUnavailable, EdgeError
from edge.pictures import write_picture
from quantization.calibration import made_set
from targets import BuildOptions
from targets.rpi import TARGET, flatbuffer, kernels
from targets.rpi.network import FILE, LiteRTNetwork, _restorer

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


EXPORT = """
import sys
from edge import command, export
checkpoint, folder = sys.argv[1:]
photos = ["--calibration", folder + "/photos"]
for name, precision, more in (("fp32", "fp32", []), ("int8", "int8", photos), ("again", "int8", photos)):
    call = ["--target", "rpi", "--model", checkpoint, "--precision", precision, "--out", folder + "/" + name]
    assert command.run(export.main, [*call, *more]) == 0
"""


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory, python):
    """Folder of bundles, and what edge.export printed; both in one process, since loading its tools is what takes."""
    pytest.importorskip("litert_torch")
    pytest.importorskip("ai_edge_quantizer")
    folder = tmp_path_factory.mktemp("bundles")
    (folder / "photos").mkdir()
    for number, picture in enumerate(made_set(WIDTH, HEIGHT, "grid", 24)):
        write_picture(folder / "photos" / f"{number}.png", picture)
    done = python("-c", EXPORT, checkpoint, folder)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture(scope="module")
def bundles(exported):
    """Path of the bundle for each precision."""
    from targets.rpi.build import with_float16_weights

    folder, _ = exported
    bundle = Bundle.read(folder / "fp32")  # the same graph: only its weights are stored otherwise
    files = {**bundle.files, FILE: with_float16_weights(bundle.files[FILE])}
    write_bundle(folder / "fp16", replace(bundle.manifest, precision="fp16"), files)
    return {precision: folder / precision for precision in ("fp32", "fp16", "int8")}


@pytest.fixture(scope="module")
def float_answers(checkpoint):
    """The torch model's own raw answers to the probe pictures, its normalisations folded in."""
    import torch

    from training.checkpoint import load_model

    net = load_model(checkpoint).fuse()
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


def test_nothing_is_computed_before_the_first_convolution(bundles):
    names = [op.name for op in flatbuffer.operators(Bundle.read(bundles["int8"]).files[FILE])]
    assert names[: names.index("CONV_2D")] in ([], ["PAD"])


@given(st.lists(st.floats(-4, 6), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_any_airlight_is_told_whatever_the_calibration_pictures_have(light):
    """Within what an airlight can be, and to a hundredth of its raw value: 8 bits alone have steps of 0.04."""
    torch = pytest.importorskip("torch")
    from targets.rpi.graph import output_scales, with_output_scale
    from training.models.grid import GridNet

    net = GridNet(width=8, stem=8, deep=1, height=HEIGHT, columns=WIDTH).eval()  # its airlight: 1 in each colour
    scales = output_scales([net], made_set(WIDTH, HEIGHT, "grid", 2))
    with torch.no_grad():
        net.airlight.bias.copy_(torch.tensor(light))
        _, stored = with_output_scale(net, *scales).predict(torch.zeros(1, 3, HEIGHT, WIDTH))
    raw = np.clip(np.rint(stored[0].numpy() * 128), -128, 127).astype(np.int8)
    details = {"dtype": np.int8, "quantization": (1 / 128, 0)}
    told = _restorer(details, scales[1], as_picture=False)(raw)
    assert told == pytest.approx(light, abs=0.01)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_no_transposed_convolution_is_left_for_which_there_is_no_fast_kernel(bundles, precision):
    names = [op.name for op in flatbuffer.operators(Bundle.read(bundles[precision]).files[FILE])]
    assert "TRANSPOSE_CONV" not in names and names.count("DEPTH_TO_SPACE") == 1


def test_same_model_and_pictures_same_bytes(exported):
    folder, _ = exported
    assert (folder / "int8" / FILE).read_bytes() == (folder / "again" / FILE).read_bytes()


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
    for precision, path in bundles.items():
        with Dehazer(path, threads=1) as dehazer:
            assert dehazer.verify() <= (precision == "fp16")  # which has the golden frames of fp32 here


def test_a_device_other_than_the_processor_is_refused(bundles):
    with pytest.raises(DeviceUnavailable, match="processor only"):
        TARGET.open(Bundle.read(bundles["int8"]), "GPU", None)


def test_a_damaged_model_is_told_in_one_line(bundles):
    bundle = Bundle.read(bundles["int8"])
    broken = Bundle.assemble(bundle.manifest, {**bundle.files, FILE: b"TFL3 but not really" * 10})
    with pytest.raises(BundleError, match="cannot open its model") as caught:
        TARGET.open(broken, "auto", None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda scales: {"cell": scales[0]}, r"notes\.output_scales is {'cell': .*}, not a list"),
        (lambda scales: [{**scales[0], "scale": "wide"}, scales[1]], r"notes\.output_scales\[0\]\.scale is 'wide'"),
        (lambda scales: [scales[0], {"scale": scales[1]["scale"]}], r"notes\.output_scales\[1\]\.offset is missing"),
        (lambda scales: [scales[0], {**scales[1], "parts": 0}], r"notes\.output_scales\[1\]\.parts is 0, not 1 to"),
        (lambda scales: scales[:1], r"notes\.output_scales of manifest\.json does not fit"),
        (lambda scales: scales[::-1], r"notes\.output_scales of manifest\.json does not fit"),
    ],
)
def test_scales_that_are_none_are_told_by_their_key(bundles, change, told):
    bundle = Bundle.read(bundles["int8"])
    notes = {**bundle.manifest.notes, "output_scales": change(bundle.manifest.notes["output_scales"])}
    forged = Bundle.assemble(replace(bundle.manifest, notes=notes), bundle.files, "forged")
    with pytest.raises(BundleError, match=f"^forged: .*{told}.*export the bundle again$"):
        TARGET.open(forged, "auto", None)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input": {"width": 40, "height": 30}}, "an input of 40x30 pixels"),
        ({"outputs": ({"name": "cell", "shape": [6, 8, 7]}, {"name": "airlight"})}, r"of the shape \[6, 8, 7\]"),
        ({"outputs": ({"name": "cell"},)}, "1 outputs, its model has 2"),
        ({"kind": "frame"}, "a frame model"),
    ],
)
def test_a_manifest_of_another_model_is_refused_when_the_bundle_is_opened(bundles, precision, change, told):
    bundle = Bundle.read(bundles[precision])
    altered = Bundle.assemble(replace(bundle.manifest, **change), bundle.files, "altered")
    with pytest.raises(BundleError, match=f"^altered: manifest.json tells of .*{told}"):
        Dehazer(altered)


def test_without_the_checkpoint_the_user_is_told_to_give_it(grid_source):
    with pytest.raises(EdgeError, match=r"--model PATH\.safetensors"):
        TARGET.build(grid_source, BuildOptions("fp32"))


@pytest.mark.parametrize("way", ["minmax", "percentile"])
def test_it_takes_ranges_in_its_own_way_only(grid_source, way):
    with pytest.raises(EdgeError, match=f"not by {way}; leave --ranges out"):
        TARGET.build(grid_source, BuildOptions("int8", ranges=way))


def test_the_full_model_is_refused_before_the_long_work():
    pytest.importorskip("litert_torch")
    from edge.exporting.models import SHIPPED
    from targets.source import SourceModel

    path = SHIPPED["full"]
    model = SourceModel.read(path, path.with_suffix(".safetensors"))
    with pytest.raises(EdgeError, match="take an edge model, or --target onnx"):
        TARGET.build(model, BuildOptions("fp32"))


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
    folder, done = exported
    out = done.stdout.splitlines()
    assert len(out) == 6 and out[1::2] == [str(folder / name) for name in ("fp32", "int8", "again")]
    assert all("WARNING" not in line and "I0000" not in line for line in done.stderr.splitlines())
    assert json.loads((folder / "fp32" / "manifest.json").read_text())["target"] == "rpi"


def test_opening_leaves_output_and_error_to_the_program(exported, python):
    """Other threads write there meanwhile; or the program has neither, nor a folder for temporary files."""
    body = """if True:
        import os, sys, tempfile
        import edge
        from ai_edge_litert.interpreter import Interpreter

        class WhileOthersWrite(Interpreter):
            def allocate_tensors(self):
                os.write(1, b"out\\n")
                if os.path.exists("/dev/fd/2"):
                    os.write(2, b"err\\n")
                super().allocate_tensors()

        import ai_edge_litert.interpreter
        ai_edge_litert.interpreter.Interpreter = WhileOthersWrite
        tempfile.tempdir, sys.stdout, sys.stderr = "/nowhere", None, None
        edge.Dehazer(sys.argv[1])
        os.close(2)
        edge.Dehazer(sys.argv[1])
    """
    done = python("-c", body, exported[0] / "int8")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\nout\n", "err\n")
