"""`make bench`: the edge model against AOD-Net and the full model, in one run, on one thread.

What is timed is the whole way from a uint8 frame to a uint8 frame, through the same `Dehazer`. Subjects take turns
of a quarter of a second, so that a busy machine slows all alike, and ratios are taken over pairs of turns. Each ratio
says which precisions it compares. It belongs to the machine that is told with it: INT8 gains most where the processor
has AVX-512 and VNNI, and with AVX2 alone the first ratio was seen at 13 instead of 30.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import targets
from benchmarks.aod_net import write_aod_net
from edge import command
from edge.arguments import whole_from
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.diagnosis.machine import instruction_sets
from edge.exporting.assembly import assembled
from edge.exporting.models import SHIPPED
from edge.files import write_whole
from edge.measure import loop
from edge.measure.machine import this_machine, versions
from edge.measure.statistics import percentile, ratio_of_medians
from quantization.calibration import made_set
from targets.source import SourceModel

WIDTH, HEIGHT = 640, 480
EDGE, EDGE_FLOAT = "edge-m INT8", "edge-m float32"
AOD_NET, AOD_NET_FLOAT = "AOD-Net INT8", "AOD-Net float32"
FULL_MODEL = "full model float32"


@dataclass(frozen=True)
class Comparison:
    """How many times as long a peer takes as an edge model.

    Attributes:
        at_least: how many times is wanted, on a processor with AVX2 alone too; None where nothing is.
    """

    peer: str
    edge: str
    at_least: float | None = None


# As they are used: the edge model ships in INT8, its peers in float32. Then at equal precision.
COMPARISONS = (
    Comparison(AOD_NET_FLOAT, EDGE, 12.0),
    Comparison(FULL_MODEL, EDGE, 250.0),
    Comparison(AOD_NET_FLOAT, EDGE_FLOAT),
    Comparison(AOD_NET, EDGE),
    Comparison(FULL_MODEL, EDGE_FLOAT),
)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description="Time the edge model, AOD-Net's architecture and the full model's released graph on one thread of "
        "this machine, 640x480, OpenVINO. Peers have random weights: this is about speed only.",
    )
    p.add_argument("--rounds", type=whole_from(1), default=30, metavar="N", help="turns of each subject (default: 30)")
    p.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR", help="(default: out/benchmarks)")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        bundles = _bundles(Path(folder))
    frames = [np.random.default_rng(n).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for n in range(4)]
    dehazers = {name: Dehazer(bundle, "CPU", threads=1) for name, bundle in bundles.items()}
    plan = loop.Plan(warmup_runs=2, warmup_s=0.5, runs=args.rounds, seconds=0.0)
    for dehazer in dehazers.values():
        loop.warm_up(dehazer, frames, plan)
    command.say(f"timing {', '.join(dehazers)}: {args.rounds} turns each")
    series = dict(
        zip(dehazers, loop.measure(list(dehazers.values()), frames, _until_slowest(args.rounds)), strict=True)
    )
    result: dict[str, Any] = {
        "machine": this_machine().processor,
        "instruction_sets": instruction_sets(),
        "versions": versions(targets.load("openvino").distributions),
        "frame": [WIDTH, HEIGHT],
        "threads": 1,
        "median_ms": {name: percentile(s.times_ms(), 50) for name, s in series.items()},
        "precision": {name: d.precision for name, d in dehazers.items()},
        "times": [compared(c, series) for c in COMPARISONS],
    }
    _show(result)
    path = args.out / "peers.json"
    write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
    print(path)
    return 0


def compared(which: Comparison, series: Mapping[str, loop.Series]) -> dict[str, Any]:
    """The ratio of the medians, with its 95 % interval."""
    turns = ([turn[:, 0] for turn in series[name].rounds] for name in (which.edge, which.peer))
    ratio, interval = ratio_of_medians(*turns)
    return {**asdict(which), "ratio": ratio, "interval": [interval.low, interval.high]}


def _until_slowest(rounds: int) -> loop.Plan:
    """Turns go on until the slowest subject, which has one frame a turn, had `rounds` of them."""
    return loop.Plan(warmup_runs=0, warmup_s=0.0, runs=rounds, seconds=0.25 * rounds)


def _bundles(folder: Path) -> dict[str, Bundle]:
    openvino = targets.load("openvino")
    edge = SourceModel.read(SHIPPED["edge"])
    calibration = made_set(edge.card.width, edge.card.height, edge.card.kind, pictures=32)
    float32 = targets.BuildOptions("fp32")
    command.say("building the edge model and AOD-Net in INT8 and float32, and the full model's released graph")
    aod_net = write_aod_net(folder / "aod.onnx", WIDTH, HEIGHT)
    frames = made_set(WIDTH, HEIGHT, aod_net.card.kind, pictures=8)
    return {
        EDGE: assembled(edge, openvino, targets.BuildOptions("int8", calibration)),
        EDGE_FLOAT: assembled(edge, openvino, float32),
        AOD_NET: assembled(aod_net, openvino, targets.BuildOptions("int8", frames)),
        AOD_NET_FLOAT: assembled(aod_net, openvino, float32),
        FULL_MODEL: assembled(_full_model(folder), openvino, float32),
    }


def _full_model(folder: Path) -> SourceModel:
    command.require("torch", "train")
    from training import models
    from training.checkpoint import save_checkpoint
    from training.export_onnx import export_onnx

    form = {"form": "released"}
    checkpoint = save_checkpoint(folder / "full.safetensors", models.build("draco-paper", form), "draco-paper", form)
    return SourceModel.read(export_onnx(checkpoint, folder / "full.onnx", size=(WIDTH, HEIGHT), name="full"))


def _show(result: Mapping[str, Any]) -> None:
    sets = ", ".join(result["instruction_sets"]) or "no known instruction sets"
    openvino = result["versions"].get("openvino", "")
    print(f"{result['machine']} ({sets}), one thread, {WIDTH}x{HEIGHT}, OpenVINO {openvino}")
    for name, median in result["median_ms"].items():
        print(f"  {name:20} {median:8.2f} ms a frame, computed in {result['precision'][name]}")
    for row in result["times"]:
        low, high = row["interval"]
        wanted = f"; wanted: {row['at_least']:.0f} or more" if row["at_least"] else ""
        print(
            f"  {row['peer']} takes {row['ratio']:.1f} times as long as {row['edge']} (95 %: {low:.1f} to {high:.1f}"
            f"{wanted})"
        )


if __name__ == "__main__":
    sys.exit(command.run(main))
