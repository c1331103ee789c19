"""The published weights give here what Keras gives with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from edge import command
from training import import_published
from training.checkpoint import load_model, parameter_count, read_checkpoint
from training.models.draco import Draco

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "published"
WEIGHTS, GRAPH = PUBLISHED / "draco_nh_haze.weights.h5", PUBLISHED / "draco_nh_haze.json"

# Keras's side: its own reading of the authors' graph and weights. The graph was saved for 256x256; the sizes stand in
# its input layers, and nothing else in it depends on them.
KERAS = """
import json, sys
import keras, numpy as np
graph, weights, folder = sys.argv[1:]
table = json.load(open(graph))
for name in ("a", "b"):
    picture = np.load(f"{folder}/{name}.npy")
    for layer in table["config"]["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"] = [None, *picture.shape[1:]]
    model = keras.models.model_from_json(json.dumps(table))
    model.load_weights(weights)
    both = keras.Model(model.inputs, [model.get_layer("re_lu_1").output, model.get_layer("re_lu").output])
    final, first = map(keras.ops.convert_to_numpy, both([picture] * len(model.inputs)))
    np.savez(f"{folder}/{name}.npz", final=final, first=first)
"""


def test_the_released_network_has_the_published_number_of_parameters():
    assert parameter_count(Draco(form="released")) == 235_566


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not WEIGHTS.is_file():
        pytest.skip("the authors' published weights are not at hand")
    out = tmp_path_factory.mktemp("published") / "released.safetensors"
    assert import_published.main(["--weights", str(WEIGHTS), "--out", str(out)]) == 0
    return out


def test_the_output_equals_kerass_on_random_pictures_of_two_sizes(imported, tmp_path):
    if find_spec("keras") is None:
        pytest.skip("Keras is not installed, so its side cannot be computed")
    rng = np.random.default_rng(0)
    pictures = {name: rng.random((2, *size, 3), np.float32) for name, size in (("a", (64, 96)), ("b", (75, 50)))}
    for name, picture in pictures.items():
        np.save(tmp_path / f"{name}.npy", picture)
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-c", KERAS, str(GRAPH), str(WEIGHTS), str(tmp_path)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    model = load_model(imported)
    for name, picture in pictures.items():
        keras = np.load(tmp_path / f"{name}.npz")
        with torch.inference_mode():
            final, first, *_ = model(torch.from_numpy(picture).permute(0, 3, 1, 2), parts=True)
        for ours, theirs in ((final, keras["final"]), (first, keras["first"])):
            assert theirs.std() > 0.05
            np.testing.assert_allclose(ours.permute(0, 2, 3, 1).numpy(), theirs, atol=1e-5)


def test_the_checkpoint_says_where_it_comes_from(imported):
    provenance = read_checkpoint(imported).provenance
    assert "GreedYLearner1146/DRACO-DehazeNet" in provenance["source"]
    assert len(provenance["file_sha256"]) == 64
    assert json.dumps(provenance)


@pytest.mark.parametrize("content", [None, b"", b"not HDF5" * 100], ids=["missing", "empty", "foreign"])
def test_a_wrong_file_is_told_in_one_line(tmp_path, capsys, content):
    path = tmp_path / "weights.h5"
    if content is not None:
        path.write_bytes(content)
    arguments = ["--weights", str(path), "--out", str(tmp_path / "out.safetensors")]
    assert command.run(import_published.main, arguments) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert str(path) in told
    assert not (tmp_path / "out.safetensors").exists()


def test_another_network_is_refused(tmp_path, capsys):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "other.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 16), np.float32)
        file["layers/conv2d/vars/1"] = np.zeros(16, np.float32)
    assert command.run(import_published.main, ["--weights", str(path), "--out", str(tmp_path / "out.safetensors")]) == 1
    assert "not the published" in capsys.readouterr().err


def test_the_weights_file_itself_is_not_written_over(tmp_path, capsys):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"weights")
    assert (
        command.run(import_published.main, ["--weights", str(path), "--out", str(tmp_path / "." / "weights.h5")]) == 1
    )
    assert "is the weights file itself" in capsys.readouterr().err
    assert path.read_bytes() == b"weights"
