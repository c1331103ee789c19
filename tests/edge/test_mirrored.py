"""Two looks at a frame: the picture and its mirror image."""

import numpy as np
import pytest

import edge
from edge import export
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.exporting.models import source_model
from edge.mirrored import MirroredNetwork


@pytest.fixture(scope="module")
def mirrored(grid_source, pairs, tmp_path_factory):
    """The tests' grid model, exported to look twice."""
    return exported(grid_source, pairs, tmp_path_factory.mktemp("mirrored") / "bundle", "--mirrored")


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    return rng.integers(90, 230, (60, 80, 3), dtype=np.uint8)


def exported(source, pairs, folder, *options):
    arguments = ["--target", "onnx", "--precision", "fp32", "--data", pairs, "--model", source.onnx, "--out", folder]
    assert export.main([str(a) for a in (*arguments, *options)]) == 0
    return folder


def test_the_mirror_image_of_a_frame_comes_out_as_the_mirror_image(mirrored, grid_bundle, frame):
    turned = np.ascontiguousarray(frame[:, ::-1])
    with edge.Dehazer(mirrored) as twice, edge.Dehazer(grid_bundle) as once:
        apart = np.abs(twice(turned)[:, ::-1].astype(int) - twice(frame)).max()
        apart_once = np.abs(once(turned)[:, ::-1].astype(int) - once(frame)).max()
    assert apart <= 1
    assert apart_once > 1


def test_the_answer_is_the_mean_of_two_of_a_network_that_reuses_its_arrays(frame):
    class Reusing:
        device, precision, load_ms, compile_ms = "CPU", "fp32", 1.0, 2.0
        cell, airlight, calls = np.empty((60, 80, 7), np.float32), np.empty(3, np.float32), 0

        def __call__(self, picture):
            self.calls += 1
            self.cell[:] = picture[..., :1] / np.float32(255) + np.arange(80)[:, None]
            self.airlight[:] = self.calls
            return self.cell, self.airlight

        def close(self): ...

    network = Reusing()
    cell, airlight = MirroredNetwork(network)(frame)
    columns = (np.arange(80) + np.arange(80)[::-1])[:, None] / 2
    np.testing.assert_allclose(cell, np.broadcast_to(frame[..., :1] / 255 + columns, cell.shape), rtol=1e-6)
    np.testing.assert_allclose(airlight, 1.5)


def test_the_manifest_says_that_it_looks_twice_and_what_that_costs(mirrored, grid_bundle):
    twice, once = Bundle.read(mirrored).manifest, Bundle.read(grid_bundle).manifest
    assert twice.model["mirrored"] and not once.model["mirrored"]
    assert twice.model["macs"] == 2 * once.model["macs"]
    assert twice.model["name"] == once.model["name"] + "-mirrored"


def test_a_frame_model_cannot_look_twice(frame_source, tmp_path):
    with pytest.raises(EdgeError, match="leave --mirrored out"):
        source_model(str(frame_source.onnx), None, tmp_path, mirrored=True)
