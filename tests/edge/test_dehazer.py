"""`Dehazer`: what a user's program relies on."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest

import edge
from edge import coefficients
from edge.bundle import Bundle
from edge.errors import BundleError, DeviceUnavailable, EdgeError, FrameError
from edge.exporting.fidelity import golden_frames
from targets.onnx.network import ONNXNetwork


@pytest.fixture(scope="module")
def dehazer(grid_bundle):
    with edge.Dehazer(grid_bundle, threads=1) as opened:
        yield opened


def random_frame(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 640), (480, 1), (30, 40), (97, 31), (480, 640)])
def test_a_frame_comes_out_at_its_size_and_is_left_alone(dehazer, size):
    frame = random_frame(*size)
    before = frame.copy()
    clear = dehazer(frame)
    assert clear.shape == frame.shape and clear.dtype == np.uint8
    assert np.array_equal(frame, before)


def test_the_answer_is_what_the_graph_and_the_scattering_model_give(dehazer, grid_source):
    """The whole way again in float64: the graph by onnx's own reference evaluator, coefficients by their definition."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    frame = random_frame(30, 40)  # the network's own size: nothing is reduced or enlarged
    picture = (frame.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    cell, airlight = ReferenceEvaluator(onnx.load(grid_source.onnx)).run(None, {"picture": picture})
    cell, airlight = cell[0].transpose(1, 2, 0).astype(np.float64), airlight[0].astype(np.float64)
    density = np.log1p(np.exp(2 * cell[..., :1] - 3))
    gain = np.exp(np.minimum(density * (1 + np.clip(0.5 * cell[..., 1:4], -1, 1)), coefficients.LARGEST_LOG_GAIN))
    shift = 0.35 * np.clip(cell[..., 4:], -1, 1) * (1 - np.exp(-density))
    bias = 1.1 / (1 + np.exp(-airlight)) * (1 - gain) + shift
    expected = np.clip(gain * (frame / 255) + bias, 0, 1) * 255
    assert np.abs(dehazer(frame) - expected).max() <= 1.0


def test_strength_zero_gives_the_frame_back_bit_for_bit(dehazer):
    frame = random_frame(123, 231)
    dehazer.strength = 0
    assert np.array_equal(dehazer(frame), frame)
    dehazer.strength = 1


def test_the_answer_may_be_written_to_an_array_of_ones_own(dehazer):
    frame = random_frame(60, 80)
    expected = dehazer(frame)
    out = np.empty_like(frame)
    assert dehazer(frame, out) is out
    assert np.array_equal(out, expected)
    assert np.array_equal(dehazer(frame, frame), expected)


@pytest.mark.parametrize("kind", ["grid_bundle", "frame_bundle"])
@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (0, 7), (7, 0), (0, 0)])
def test_the_answer_may_be_written_over_a_part_of_the_frame(request, kind, first, second):
    with edge.Dehazer(request.getfixturevalue(kind), threads=1) as opened:
        alone = random_frame(60, 80)
        expected = opened(alone)
        rows = np.zeros((67, 80, 3), np.uint8)
        frame, out = rows[first : first + 60], rows[second : second + 60]
        frame[:] = alone
        assert opened(frame, out) is out
        assert np.array_equal(out, expected)


def test_an_array_that_cannot_be_written_to_is_refused(dehazer):
    out = np.zeros((60, 80, 3), np.uint8)
    out.flags.writeable = False
    with pytest.raises(FrameError, match="read-only"):
        dehazer(random_frame(60, 80), out)


@pytest.mark.parametrize("kind", ["grid_bundle", "openvino_bundle", "frame_bundle"])
def test_it_may_be_closed_twice_and_says_so_when_it_is_used_then(request, kind):
    with edge.Dehazer(request.getfixturevalue(kind)) as opened:
        opened.close()
    for use in (lambda: opened(random_frame(60, 80)), opened.verify):
        with pytest.raises(EdgeError, match="was closed"):
            use()


@pytest.mark.parametrize("kind", ["grid_bundle", "openvino_bundle", "frame_bundle"])
def test_threads_that_share_one_get_what_each_would_get_alone(request, kind):
    frames = [random_frame(96 + 48 * i, 128 + 64 * i, i) for i in range(4)]
    with edge.Dehazer(request.getfixturevalue(kind), threads=1) as opened, ThreadPoolExecutor(4) as pool:
        alone = [opened(frame) for frame in frames]
        for _ in range(40):
            for clear, expected in zip(pool.map(opened, frames), alone, strict=True):
                assert np.array_equal(clear, expected)


def test_the_timing_of_a_frame_is_told(dehazer):
    dehazer(random_frame(60, 80))
    timing = dehazer.timing
    assert min(timing.pre_ms, timing.infer_ms, timing.post_ms) >= 0
    assert timing.total_ms == pytest.approx(timing.pre_ms + timing.infer_ms + timing.post_ms)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        [[1, 2, 3]],
        None,
    ],
)
def test_anything_but_a_uint8_rgb_frame_is_told_in_one_sentence(dehazer, wrong):
    with pytest.raises(FrameError) as told:
        dehazer(wrong)
    assert "\n" not in str(told.value) and "frame" in str(told.value)


def test_frames_that_are_views_of_other_arrays_are_taken(dehazer):
    picture = random_frame(64, 64)
    for view in (picture[::2, ::2], picture[:, ::-1], picture[..., ::-1], np.asfortranarray(picture)):
        assert np.array_equal(dehazer(view), dehazer(np.ascontiguousarray(view)))


def test_threads_that_open_one_each_all_get_one_and_leave_the_process_its_locale(openvino_bundle):
    """OpenVINO sets the locale to C and back while it opens a model; two at once could leave it at C."""
    program = f"""
import locale, threading
import edge

def open_some():
    for _ in range(4):
        edge.Dehazer({str(openvino_bundle)!r}, threads=1).close()
        opened.append(1)

opened, before = [], locale.setlocale(locale.LC_ALL)
threads = [threading.Thread(target=open_some) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(opened), locale.setlocale(locale.LC_ALL) == before)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == "16 True\n", ran.stderr


@pytest.mark.parametrize(
    "keywords", [{"device": None}, {"threads": 0}, {"strength": -0.1}, {"strength": 9}, {"strength": float("nan")}]
)
def test_settings_that_make_no_sense_are_refused(grid_bundle, keywords):
    with pytest.raises(EdgeError):
        edge.Dehazer(grid_bundle, **keywords)


@pytest.mark.parametrize("kind", ["grid_bundle", "openvino_bundle"])
def test_a_device_that_is_not_here_is_an_error_and_no_fallback(request, kind):
    with pytest.raises(DeviceUnavailable) as told:
        edge.Dehazer(request.getfixturevalue(kind), device="NPU")
    assert "NPU" in str(told.value) and "CPU" in str(told.value)


@pytest.mark.parametrize("kind", ["grid_bundle", "openvino_bundle", "frame_bundle"])
def test_golden_frames_come_out_here_as_they_did_at_export(request, kind):
    with edge.Dehazer(request.getfixturevalue(kind)) as opened:
        assert opened.verify() == 0
        assert opened.device == "CPU"
        assert opened.precision == "fp32"


def test_a_golden_frame_that_comes_out_otherwise_is_told(grid_bundle):
    bundle = Bundle.read(grid_bundle)
    golden = bundle.manifest.golden[0]
    picture = cv2.imdecode(np.frombuffer(bundle.files[golden.clear], np.uint8), cv2.IMREAD_COLOR)
    picture[5, 5] ^= 0x40
    files = {**bundle.files, golden.clear: cv2.imencode(".png", picture)[1].tobytes()}
    with (
        edge.Dehazer(Bundle.assemble(bundle.manifest, files)) as opened,
        pytest.raises(BundleError, match=r"64 grey levels off"),
    ):
        opened.verify()


@pytest.mark.parametrize("late", ["cell", "airlight"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_answer_that_is_late_is_told_however_much_its_golden_frames_allow(grid_bundle, monkeypatch, mirrored, late):
    """As much as an INT8 artefact that is 20 grey levels from its model is allowed."""
    bundle = Bundle.read(grid_bundle)
    with edge.Dehazer(bundle) as plain:  # its frames are all under nearly one light
        goldens, files, _ = golden_frames(plain, "fp32", plain)
    goldens = tuple(replace(golden, tolerance=40) for golden in goldens)
    model = {**bundle.manifest.model, "mirrored": mirrored}
    whole = Bundle.assemble(replace(bundle.manifest, golden=goldens, model=model), {**bundle.files, **files})
    with edge.Dehazer(whole, threads=1) as opened:
        opened.verify()
        real, before = ONNXNetwork.__call__, {}

        def a_call_late(self, picture):
            answer = dict(zip(("cell", "airlight"), real(self, picture), strict=True))
            answer[late], before[late] = before.get(late, answer[late]), answer[late]
            return answer["cell"], answer["airlight"]

        monkeypatch.setattr(ONNXNetwork, "__call__", a_call_late)
        with pytest.raises(BundleError, match="grey levels otherwise after another frame"):
            opened.verify()


def test_golden_frames_are_not_averaged_over_time_and_the_smoother_is_kept(grid_bundle):
    smoother = edge.Smoother(0.5)
    with edge.Dehazer(grid_bundle, threads=1) as opened:
        opened.smoother = smoother
        assert opened.verify() == 0
        assert opened.smoother is smoother


def test_coefficients_of_another_form_are_refused(grid_bundle):
    bundle = Bundle.read(grid_bundle)
    other = replace(bundle.manifest, model={**bundle.manifest.model, "coefficients": "curves/9"})
    with pytest.raises(BundleError, match="curves/9"):
        edge.Dehazer(Bundle.assemble(other, bundle.files))
