"""The models that ship: checkpoint, float ONNX file, and that clear pictures stay clear."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from edge.exporting.models import SHIPPED
from edge.scenes import landscape, motorcycle
from training.checkpoint import load_model, parameter_count


@pytest.fixture(
    scope="module",
    params=sorted({path for path in SHIPPED.values() if path.exists()}),
    ids=lambda path: path.stem,
)
def onnx_file(request):
    return request.param


@pytest.fixture(scope="module")
def checkpoint(onnx_file) -> torch.nn.Module:
    return load_model(onnx_file.with_suffix(".safetensors"))


def test_checkpoint_and_onnx_file_give_the_same_coefficients(checkpoint, onnx_file):
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    height, width = checkpoint.size
    rng = np.random.default_rng(0)
    noise = rng.random((height, width, 3)).astype(np.float32)
    scene = landscape(3, width, height).picture.astype(np.float32) / 255
    for picture in (noise, scene, 0.4 * scene + 0.5):
        tensor = torch.from_numpy(picture).permute(2, 0, 1)[None]
        with torch.inference_mode():
            expected = checkpoint.predict(tensor)
        for ours, theirs in zip(expected, session.run(None, {"picture": tensor.numpy()}), strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-3, atol=1e-3)


def test_the_edge_model_has_at_most_two_hundred_thousand_parameters():
    assert parameter_count(load_model(SHIPPED["edge"].with_suffix(".safetensors"))) <= 200_000


@pytest.mark.parametrize(("density", "gain_db"), [(0.3, 6), (0.6, 5), (1.0, 5)])
def test_a_hazed_photograph_gets_clearer_and_the_clear_one_stays(checkpoint, density, gain_db):
    """A photograph that no training saw, hazed by its own depth with the scattering model written out here."""
    scene = motorcycle()
    clear = scene.picture.astype(np.float32) / 255
    transmission = np.exp(-density * scene.depth / scene.depth.mean())[..., None].astype(np.float32)
    hazy = clear * transmission + 0.85 * (1 - transmission)
    assert _psnr_db(_through(checkpoint, hazy), clear) > _psnr_db(hazy, clear) + gain_db
    assert _psnr_db(_through(checkpoint, clear), clear) > 36


def test_drawn_scenes_in_dense_haze_get_clearer(checkpoint):
    gained = []
    for seed in range(6):
        scene = landscape(100 + seed, 320, 240)
        clear = scene.picture.astype(np.float32) / 255
        transmission = np.exp(-np.minimum(scene.depth / 15, 3))[..., None].astype(np.float32)
        hazy = clear * transmission + 0.85 * (1 - transmission)
        gained.append(_psnr_db(_through(checkpoint, hazy), clear) - _psnr_db(hazy, clear))
    assert min(gained) > 0 and np.mean(gained) > 3


def _through(model: torch.nn.Module, picture: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


def _psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a - b).mean() + 1e-9))
