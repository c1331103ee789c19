"""`python -m benchmarks.int8 TABLE`: what INT8 costs, each table from real runs of the shipped edge model.

loss         what INT8 loses on pairs, by target
speed        INT8 against float32 of the same target and runtime, network alone, one thread, in turns
ranges       what it loses by the way in which ranges are taken
quantizers   the target's own quantizer against neural-compressor: loss, nodes, INT8 kernels
memory       peak memory of the process that quantizes, with 16 and 512 calibration pictures
export       time and peak memory of `python -m edge.export`

With --page, the first two stand in docs/int8.md, the others in docs/notes/int8.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import targets
from benchmarks.pages import put
from edge import command
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.errors import EdgeError
from edge.exporting.assembly import assembled
from edge.exporting.fidelity import compare_all
from edge.exporting.models import source_model
from edge.exporting.pictures import measured_pairs
from edge.measure.machine import this_machine
from edge.pace import paired
from quantization.calibration import made_set
from quantization.ranges import METHODS
from targets.source import SourceModel

FEW, MANY = 16, 512
QUANTIZE = """
import resource, sys
from pathlib import Path
import targets
from edge.exporting.assembly import assembled
from quantization.calibration import made_set
from targets.source import SourceModel
path, target, pictures, *checkpoint = sys.argv[1:]
model = SourceModel.read(path, *map(Path, checkpoint))
calibration = made_set(model.card.width, model.card.height, model.card.kind, int(pictures))
assembled(model, targets.load(target), targets.BuildOptions("int8", calibration))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.int8", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("table", choices=TABLES)
    p.add_argument("--model", default="edge", metavar="edge|PATH", help="(default: the shipped edge model)")
    p.add_argument("--data", type=Path, metavar="DIR", action="append", help="pairs; again for more (default: made)")
    p.add_argument("--few", action="store_true", help="24 pairs of each folder, evenly spread")
    p.add_argument("--page", type=Path, metavar="FILE", help="write the table between its marks in this page")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        model = source_model(args.model, None, Path(folder))
        text = "".join(TABLES[args.table](model, args))
    print(text, end="")
    if args.page:
        put(args.page, args.table, "benchmarks.int8", argv, text)
    return 0


def loss(model: SourceModel, args: argparse.Namespace) -> Iterator[str]:
    yield from _losses(model, args, {name: (name, {}) for name in targets.OWN})


def ranges(model: SourceModel, args: argparse.Namespace) -> Iterator[str]:
    known = {"openvino": METHODS[:2], "onnx": METHODS, "jetson": METHODS}
    yield from _losses(model, args, {f"{t}, {m}": (t, {"ranges": m}) for t, methods in known.items() for m in methods})


def quantizers(model: SourceModel, args: argparse.Namespace) -> Iterator[str]:
    both = {f"{t}, {q}": (t, {"quantizer": q}) for t in ("openvino", "onnx") for q in ("default", "inc")}
    made = _built(model, both)
    yield from _losses(model, args, both, made)
    yield "\n| | ONNX nodes | INT8 kernels | float32 kernels | INT8 / float32 time |\n|---|---|---|---|---|\n"
    for name, bundle in made.items():
        target = targets.load(bundle.manifest.target)
        counts = {precision: sum(found.values()) for precision, found in target.kernels(bundle, "CPU").items()}
        notes = bundle.manifest.notes
        exported = notes.get("qdq_nodes", {})
        nodes = f"{exported['exported']}, {exported['cleaned']} after {exported['by']}" if exported else "-"
        pace = paired(target, assembled(model, target, targets.BuildOptions("fp32")), bundle, "CPU")
        yield (
            f"| {name} | {notes.get('nodes', '') if not exported else nodes} | {counts.get('int8', 0)} | "
            f"{counts.get('fp32', 0)} | {pace.to_fp32:.2f} ({pace.low:.2f} to {pace.high:.2f}) |\n"
        )


def speed(model: SourceModel, _args: argparse.Namespace) -> Iterator[str]:
    yield "| target | float32 | INT8 | INT8 / float32 | recommended |\n|---|---|---|---|---|\n"
    for name in ("openvino", "onnx", "rpi"):
        target = targets.load(name)
        int8 = _built(model, {name: (name, {})})[name]
        pace = paired(target, assembled(model, target, targets.BuildOptions("fp32")), int8, "CPU")
        yield (
            f"| {name} | {pace.fp32_ms:.2f} ms | {pace.int8_ms:.2f} ms | {pace.to_fp32:.2f} ({pace.low:.2f} to "
            f"{pace.high:.2f}) | {pace.recommended or '; '.join(pace.marks)} |\n"
        )
    yield f"\nOn {this_machine().processor}.\n"


def memory(model: SourceModel, _args: argparse.Namespace) -> Iterator[str]:
    yield f"| target | {FEW} pictures | {MANY} pictures | growth |\n|---|---|---|---|\n"
    for name in targets.OWN:
        own = [str(model.checkpoint)] if model.checkpoint else []
        few, many = (
            _peak_mb([sys.executable, "-c", QUANTIZE, str(model.onnx), name, str(n), *own]) for n in (FEW, MANY)
        )
        yield f"| {name} | {few:.0f} MB | {many:.0f} MB | {many / few - 1:+.1%} |\n"


def exporting(_model: SourceModel, args: argparse.Namespace) -> Iterator[str]:
    yield "| target | time | peak memory |\n|---|---|---|\n"
    for name in targets.OWN:
        with tempfile.TemporaryDirectory() as folder:
            call = ["-m", "edge.export", "--target", name, "--model", args.model, "--out", f"{folder}/bundle"]
            start = time.monotonic()
            with open(f"{folder}/said", "w+b") as said:
                child = subprocess.Popen([sys.executable, *call], stdout=subprocess.DEVNULL, stderr=said)
                _, status, used = os.wait4(child.pid, 0)
                if status:
                    said.seek(0)
                    raise EdgeError(f"edge.export --target {name} failed: {said.read().decode()[-300:]}")
            yield f"| {name} | {time.monotonic() - start:.0f} s | {used.ru_maxrss / 1e6:.2f} GB |\n"
    yield f"\n{len(os.sched_getaffinity(0))} cores of {this_machine().processor}.\n"


TABLES: Mapping[str, Callable[[SourceModel, argparse.Namespace], Iterator[str]]] = {
    "loss": loss,
    "ranges": ranges,
    "quantizers": quantizers,
    "speed": speed,
    "memory": memory,
    "export": exporting,
}


def _built(model: SourceModel, wanted: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, Bundle]:
    """INT8 bundles, from one calibration set: ranges that were taken before are remembered."""
    calibration = made_set(model.card.width, model.card.height, model.card.kind)
    made = {}
    for name, (target, options) in wanted.items():
        command.say(f"building {name}")
        made[name] = assembled(model, targets.load(target), targets.BuildOptions("int8", calibration, **options))
    return made


def _losses(
    model: SourceModel,
    args: argparse.Namespace,
    wanted: Mapping[str, tuple[str, dict[str, Any]]],
    made: dict[str, Bundle] | None = None,
) -> Iterator[str]:
    made = made or _built(model, wanted)
    yield "| INT8 | pairs | PSNR | SSIM | clear pictures kept | largest difference | agreement |\n"
    yield "|---|---|---|---|---|---|---|\n"
    plain = assembled(model, targets.load("onnx"), targets.BuildOptions("fp32"))
    for folder in args.data or [None]:
        with ExitStack() as stack:
            reference = stack.enter_context(Dehazer(plain, "CPU", threads=1))
            artefacts = [stack.enter_context(Dehazer(bundle, "CPU", threads=1)) for bundle in made.values()]
            pairs, data = measured_pairs(folder, few=args.few)
            for name, f in zip(made, compare_all(reference, artefacts, pairs, data), strict=True):
                yield (
                    f"| {name} | {data} | {-f.psnr_drop_db:+.3f} dB | {-f.ssim_drop:+.4f} | "
                    f"{-f.kept_psnr_drop_db:+.2f} dB | {f.largest_error} | {f.agreement_db:.1f} dB |\n"
                )


def _peak_mb(call: list[str]) -> float:
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EdgeError(f"quantizing failed: {done.stderr[-300:]}")
    return int(done.stdout.split()[-1]) / 1e3


if __name__ == "__main__":
    sys.exit(command.run(main))
