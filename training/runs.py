"""Several runs for one table: each is trained once, goes on where it stopped, and is scored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edge import command
from training import metrics
from training.checkpoint import load_model
from training.config import RunConfig
from training.dehazing import dehaze
from training.losses import Objective
from training.occupied import occupied
from training.trainer import COMMAND, LAST, RESUME, Trainer, resumed
from training.validation import read_pair

ANOTHER = "give the --config and the --steps that it had, or other --runs"


def trained(
    config: RunConfig, folder: Path, data: Path, objective: Objective | None = None, name: str = COMMAND
) -> Path:
    """The last checkpoint of a run, which is trained now, to its end, unless it was before.

    The last and not the best: there is nothing to choose on that is not the test.

    Args:
        name: of the command that makes the objective.
    """
    with occupied(folder):
        resume = resumed(folder, config, name, ANOTHER) if (folder / RESUME).is_file() else None
        if resume is None or resume.progress.step < config.training.steps:
            trainer = Trainer(config, folder, data, objective=objective, command=name, resume=resume)
            command.say(f"{folder.name}: {trainer.describe()}")
            trainer.fit()
    return folder / LAST


def scores(checkpoint: Path, pairs: Sequence[tuple[Path, Path]], protocol: str, longest: int = 0) -> dict[str, Any]:
    """Mean PSNR and SSIM of a checkpoint on pairs, and for ``paper256`` the pooled PSNR, all unrounded."""
    import numpy as np

    model = load_model(checkpoint)
    found = []
    for hazy_path, clear_path in command.progress(pairs, len(pairs), f"scoring {checkpoint.parent.name}"):
        hazy, clear = read_pair(hazy_path, clear_path, longest)
        pair = metrics.scored_pair(partial(dehaze, model), hazy, clear, protocol)
        found.append((pair.psnr_db, pair.ssim, pair.squared_error))
    psnr_db, ssim, _ = np.mean(found, axis=0)
    pooled = metrics.pooled_psnr_db([squared for _, _, squared in found])
    return {"psnr_db": float(psnr_db), "ssim": float(ssim), "pooled_psnr_db": pooled}
