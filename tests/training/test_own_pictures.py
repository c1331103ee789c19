"""The configuration for a user's own pictures: it starts from the shipped model anywhere, and its sources give samples
of a folder of a few pairs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training.config import RunConfig, read_config
from training.sources import build
from training.trainer import Trainer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return read_config(ROOT / "training" / "configs" / "own.toml")


@pytest.fixture
def data(tmp_path) -> Path:
    """DATA/mine with three pairs and DATA/mine_val with one, named as docs/training.md says."""
    rng = np.random.default_rng(3)
    for folder, numbers in (("mine", (1, 2, 3)), ("mine_val", (31,))):
        for number in numbers:
            clear = cv2.resize(rng.integers(20, 200, (6, 8, 3), np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
            hazy = np.rint(0.5 * clear + 0.5 * 230).astype(np.uint8)
            for kind, name, picture in (("hazy", f"{number:02d}_fog.png", hazy), ("clear", f"{number:02d}.png", clear)):
                (tmp_path / folder / kind).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / folder / kind / name), picture)
    return tmp_path


@pytest.mark.parametrize("name", ["mine", "transfer", "synthetic", "identity"])
def test_each_source_gives_samples_of_the_users_pairs(config, data, name):
    width, height = config.training.size
    dataset = build({name: config.sources[name]}, config.training.size, config.seed, data)
    samples = [dataset[number] for number in range(8)]
    for hazy, clear, _ in samples:
        assert hazy.shape == clear.shape == (3, height, width)
        assert torch.isfinite(hazy).all() and torch.isfinite(clear).all()
        assert torch.equal(hazy, clear) == (name == "identity")
    assert set(config.sources) == {"mine", "transfer", "synthetic", "identity"}


def test_it_starts_from_the_shipped_model_wherever_it_is_called(config, data, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    trainer = Trainer(config, tmp_path / "run", data)
    shipped = load_file(ROOT / "edge" / "models" / "edge-m.safetensors")
    weights = trainer.average.module.state_dict()
    assert all(torch.equal(weights[name], tensor.to(weights[name].dtype)) for name, tensor in shipped.items())


def test_places_to_choose_by_are_not_trained_on(config):
    trained = {table["folder"] for table in config.sources.values() if "folder" in table}
    deciding = {pairs.folder for pairs in config.validation.pairs.values() if pairs.chooses}
    assert deciding == {"mine_val"} and not deciding & trained
