"""A training step of the full model: bfloat16 autocast with channels_last against plain float32, in turns.

A step is what the trainer does: forward, losses, backward, clipping, AdamW, average. The two take turns, so that a
busy machine slows both alike, and the ratio is taken over pairs of turns.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from edge import command
from edge.arguments import whole_from
from edge.files import write_whole
from edge.measure.machine import this_machine, versions
from edge.measure.statistics import percentile, ratio_of_medians
from training.config import RunConfig, parse
from training.train import ALLOCATOR
from training.trainer import Trainer

WANTED = 0.55
KINDS = {"float32": ("fp32", False), "bfloat16, channels_last": ("bf16", True)}


class Noise(Dataset):
    """The same random sample again and again: a step's time does not depend on what is in it."""

    def __init__(self, side: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self._sample = tuple(torch.rand(channels, side, side, generator=generator) for channels in (3, 3, 4))

    def __len__(self) -> int:
        return 2**30

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        return self._sample


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.training_step",
        description="Time a training step of the full model in bfloat16 with channels_last against plain float32.",
    )
    p.add_argument("--model", default="draco-paper", help="draco-paper (default) or draco")
    p.add_argument("--batch", type=whole_from(1), default=4, metavar="N", help="pictures a step (default: 4)")
    p.add_argument("--side", type=whole_from(1), default=128, metavar="N", help="of the square pictures (default: 128)")
    p.add_argument("--threads", type=whole_from(1), default=2, metavar="N", help="(default: 2)")
    p.add_argument("--rounds", type=whole_from(1), default=15, metavar="N", help="turns of each (default: 15)")
    p.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR", help="(default: out/benchmarks)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    times_ms: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        steps = {kind: _Step(_config(args, *how), Path(folder) / kind, args) for kind, how in KINDS.items()}
        for turn in command.progress(range(args.rounds + 2), args.rounds + 2, "turn"):
            for kind, step in steps.items():
                elapsed_ms = step.run(turn)
                if turn >= 2:
                    times_ms[kind].append(elapsed_ms)
    plain, lowered = (np.array(times_ms[kind]) for kind in KINDS)
    ratio, interval = ratio_of_medians(list(plain[:, None]), list(lowered[:, None]))
    result = {
        "machine": this_machine().processor,
        "versions": versions(["torch"]),
        "model": args.model,
        "batch": args.batch,
        "size": [args.side, args.side],
        "threads": args.threads,
        "median_ms": {kind: percentile(np.array(values), 50) for kind, values in times_ms.items()},
        "ratio": {"ratio": ratio, "interval": [interval.low, interval.high], "wanted": WANTED},
        "times_ms": times_ms,
    }
    print(f"{args.model}, {args.batch} pictures of {args.side}x{args.side}, {args.threads} threads")
    for kind, median_ms in result["median_ms"].items():
        print(f"  {kind}: {median_ms:.0f} ms a step")
    print(f"  ratio {ratio:.2f} [{interval.low:.2f}, {interval.high:.2f}], wanted at most {WANTED}")
    path = args.out / f"training_step_{args.model}.json"
    write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
    print(path)
    return 0


class _Step:
    """A trainer that does one step when asked."""

    def __init__(self, config: RunConfig, folder: Path, args: argparse.Namespace) -> None:
        noise = Noise(args.side)
        self._trainer = Trainer(config, folder, dataset=noise)
        self._batch = [torch.stack([picture] * args.batch) for picture in noise[0]]

    def run(self, number: int) -> float:
        start = time.perf_counter()
        self._trainer.step(number, *self._batch)
        return 1000 * (time.perf_counter() - start)


def _config(args: argparse.Namespace, precision: str, channels_last: bool) -> RunConfig:
    return parse(
        {
            "name": "benchmark",
            "model": {"name": args.model},
            "training": {
                "steps": 1000,
                "batch": args.batch,
                "size": [args.side, args.side],
                "precision": precision,
                "channels_last": channels_last,
            },
            "losses": {"l1": 1.0, "ssim": 1.0, "quadruplet": 0.1},
        },
        "benchmark",
    )


if __name__ == "__main__":
    if not any(name in os.environ for name in ALLOCATOR):  # as training.train does
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **ALLOCATOR})
    sys.exit(command.run(main))
