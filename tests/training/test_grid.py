"""The edge model: its size, its coefficients against the runner's arithmetic, and that fusing changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge import coefficients
from edge.apply import GridApply
from training.models import grid
from training.models.grid import GridNet


@pytest.fixture(scope="module")
def network() -> GridNet:
    """A small network in eval mode whose answers vary over the picture."""
    torch.manual_seed(0)
    made = GridNet(width=12, stem=8, deep=3)
    torch.nn.init.normal_(made.cell.weight, std=0.6)
    torch.nn.init.normal_(made.airlight.weight, std=0.3)
    made(torch.rand(4, 3, 120, 160))  # moves the running means away from their start
    return made.eval()


def test_a_fresh_network_changes_pictures_little():
    picture = torch.rand(1, 3, 60, 80)
    difference = (GridNet(width=12).eval()(picture) - picture).abs().max()
    assert difference < 0.06  # softplus(-3): a gain of 1.05 before anything is learnt


@pytest.mark.parametrize("width", [20, 36, 41])
def test_every_size_stays_within_two_hundred_thousand_parameters(width):
    assert sum(p.numel() for p in GridNet(width=width).parameters()) <= 200_000


@pytest.mark.parametrize(("seen", "said"), [(False, 3), (True, 3), (True, 4)])
def test_torch_and_the_runner_decode_the_same_gain_and_bias(seen, said):
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (30, 40, 3), np.uint8) if seen else None
    cell = rng.normal(0, 1.5, (30, 40, coefficients.CHANNELS)).astype(np.float32)
    airlight = rng.normal(0, 1, said).astype(np.float32)
    expected = coefficients.decode(cell, airlight, picture=picture)
    means = None if picture is None else torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    decoded = grid.decode(torch.from_numpy(cell).permute(2, 0, 1)[None], torch.from_numpy(airlight)[None], means)
    for ours, theirs in zip(expected, decoded, strict=True):
        np.testing.assert_allclose(theirs[0].permute(1, 2, 0), ours, rtol=1e-4, atol=1e-4)


def test_a_whole_picture_through_torch_is_what_the_runner_makes_of_it(network):
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (240, 320, 3), np.uint8)
    with torch.inference_mode():
        expected = network(torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0) * 255
        apply = GridApply(160, 120)
        small = torch.from_numpy(apply.reduce(frame)).permute(2, 0, 1)[None].float() / 255
        cell, airlight = network.predict(small)
    means = apply.on_grid(120, 160)
    gain, bias = coefficients.decode(cell[0].permute(1, 2, 0).numpy(), airlight[0].numpy(), picture=means)
    clear = apply.apply(frame, gain, bias)
    difference = np.abs(clear - expected.numpy())
    assert difference.mean() < 1  # the runner's reduced picture is rounded to 8 bits
    assert np.percentile(difference, 99) < 4


@pytest.mark.parametrize("finesse", [False, True])
def test_fusing_leaves_the_answer_as_it_was(network, finesse):
    picture = torch.rand(1, 3, 120, 160)
    if finesse:
        weights, network = network.state_dict(), GridNet(width=12, stem=8, deep=3, finesse=True).eval()
        network.load_state_dict(weights, strict=False)
        torch.nn.init.normal_(network.finesse.weight, std=0.3)
    fused = GridNet(width=12, stem=8, deep=3, finesse=finesse)
    fused.load_state_dict(network.state_dict())
    fused.eval().fuse()
    with torch.inference_mode():
        for before, after in zip(network.predict(picture), fused.predict(picture), strict=True):
            torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused.modules())


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (481, 641)])
def test_any_size_of_picture_comes_out_at_its_size_and_in_range(network, size):
    with torch.inference_mode():
        clear = network(torch.rand(1, 3, *size))
    assert clear.shape[2:] == size
    assert clear.min() >= 0 and clear.max() <= 1
