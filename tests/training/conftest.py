"""What the training tests share: a small endless dataset, pairs on disk, and a short run's configuration."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from training.config import RunConfig, parse

torch.set_num_threads(1)  # small tensors; and processes that share the machine wait for each other otherwise


class Drawn(Dataset):
    """Smooth random pictures under even haze that is known; sample i is a function of seed and i."""

    def __init__(self, seed: int = 0, width: int = 32, height: int = 24, length: int = 2**20) -> None:
        self.seed, self.width, self.height, self.length = seed, width, height, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, index))
        clear = cv2.resize(rng.random((4, 5, 3), np.float32), (self.width, self.height)).transpose(2, 0, 1)
        transmission = np.float32(rng.uniform(0.3, 0.9))
        hazy = clear * transmission + 0.9 * (1 - transmission)
        haze = np.full((4, self.height, self.width), 0.9, np.float32)
        haze[0] = -np.log(transmission)
        return tuple(
            torch.from_numpy(np.ascontiguousarray(planes)) for planes in (hazy.astype(np.float32), clear, haze)
        )


@pytest.fixture
def drawn() -> Drawn:
    return Drawn()


@pytest.fixture
def pairs_folder(tmp_path: Path) -> Path:
    """Three pairs of 40x30 pixels."""
    folder = tmp_path / "pairs"
    for name in ("hazy", "clear"):
        (folder / name).mkdir(parents=True)
    for number in range(3):
        hazy, clear = (
            (picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            for picture in Drawn(seed=9, width=40, height=30)[number][:2]
        )
        cv2.imwrite(str(folder / "hazy" / f"{number}.png"), cv2.cvtColor(hazy, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(folder / "clear" / f"{number}.png"), cv2.cvtColor(clear, cv2.COLOR_RGB2BGR))
    return folder


def short_run(steps: int = 20, **tables: object) -> RunConfig:
    """A run of a small grid model; `tables` replace or extend those of the configuration."""
    table: dict = {
        "name": "short",
        "model": {"name": "grid", "configuration": {"width": 16, "height": 24, "columns": 32}},
        "training": {"steps": steps, "batch": 4, "size": [32, 24], "warmup": 2, "workers": 0, "save_every": 1000},
        "losses": {"l1": 1.0, "ssim": 0.1},
        "validation": {"every": 1000},
    }
    for name, value in tables.items():
        table[name] = {**table[name], **value} if isinstance(table.get(name), dict) else value
    return parse(table, "test")
