"""`make report`: the project's own report, for the shipped models and two peers, on this machine.

Every shipped model in INT8, the default one in float32 too, AOD-Net's architecture (random weights: for speed only) and
the dark channel prior take turns on one thread. What is scored is scored on --data, or without it on pictures made
here. The pictures shown are always made here, so that the report may be given to anyone. The report's table is written
into the README, between two marks.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import targets
from benchmarks.aod_net import write_aod_net
from edge import bench, command, report
from edge.bundle import Bundle
from edge.demo import hazed_motorcycle
from edge.errors import EdgeError
from edge.exporting.assembly import assembled
from edge.exporting.models import source_model
from edge.files import write_whole
from edge.measure import accuracy, loop, record, session, store
from edge.measure.machine import this_machine
from edge.pictures import write_picture
from edge.reporting import markdown, page, rows
from quantization.calibration import hazy_pairs, made_set
from targets.source import SourceModel
from training.baselines import dark_channel_prior

MODELS = ("edge-s", "edge-m", "edge-l", "full")
WIDTH, HEIGHT = 640, 480
MADE_PAIRS = 23
SHOWN = 3  # pictures of each model: the page stays under 3 MB
SEED = 41  # other pictures than calibration's
BEGIN, END = "<!-- report:begin -->", "<!-- report:end -->"
Pictures = dict[str, list[accuracy.Before]]  # made here, dehazed by the subject of that name
README_FIELDS = ("bundle", "ran", "p50_ms", "p90_ms", "fps", "psnr_db", "ssim", "psnr_drop_db", "size_mb", "marks")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.partition("\n")[0])
    p.add_argument("--data", type=Path, metavar="DIR", help="pairs to score on (default: made here)")
    p.add_argument("--quick", action="store_true", help="short runs: to see that it works")
    p.add_argument("--out", type=Path, default=Path("docs/report"), metavar="DIR", help="(default: docs/report)")
    p.add_argument("--readme", type=Path, metavar="FILE", help="write the table into this file, between the marks")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    typed = shlex.join(["python", "-m", "benchmarks.report", *(sys.argv[1:] if argv is None else argv)])
    with tempfile.TemporaryDirectory() as folder:
        made = accuracy.open_pairs(_made_pairs(Path(folder) / "made pictures"))
        data = accuracy.open_pairs(args.data) if args.data else made
        settings = session.Settings(
            machine=this_machine(),
            command=typed,
            device="CPU",
            threads=1,
            plan=loop.QUICK if args.quick else loop.FULL,
            quick=args.quick,
            frames=session.frames_of([], data, (WIDTH, HEIGHT)),
            data=data,
        )
        opened = [*(session.open_bundle(b, settings) for b in _bundles(Path(folder))), _dark_channel(settings)]
        measured = session.run(opened, settings, bench.show_share("timing in turns"))
        pictures: Pictures = {}
        measured = [_scored(o, m, data, made, pictures) for o, m in zip(opened, measured, strict=True)]
        measured = [_against_float(m, measured, pictures) for m in measured]
    place = args.out / "measurements"
    for old in place.glob("*.json"):
        old.unlink()
    for m in measured:
        print(session.summary_line(m))
        store.write(m, place / (re.sub(r"[^\w.]+", "-", m.subject.name) + ".json"))
    report.main([str(place), "--out", str(args.out), "--budget", "33"])
    if args.readme:
        update_readme(args.readme, place)
    print(args.out / "report.html")
    return 0


def readme_table(measurements: Path) -> str:
    """The README's table, from a folder of measurements, and under it what it was measured on."""
    entries, _ = rows.collect([measurements])
    m = entries[0].measurement
    machine = f"{m.machine.processor}, {m.machine.cores} cores{', virtual machine' if m.machine.virtual else ''}"
    scored = f"; PSNR and SSIM on the {len(m.quality.pictures)} pairs of “{m.quality.data}”" if m.quality else ""
    caption = (
        f"{m.run.width}x{m.run.height}, one thread, in turns on {machine}, OpenVINO {m.run.versions['openvino']}; p90: "
        f"nine frames of ten are done by then{scored}, whole pictures through the artefact that was timed. AOD-Net has "
        "its architecture and random weights: it is there for its speed."
    )
    table = markdown.table(entries, [c for c in page.COLUMNS if c.field in README_FIELDS])
    return f"{table}\n{markdown.escaped(caption)}\n"


def update_readme(readme: Path, measurements: Path) -> None:
    """Put the table between the marks.

    Raises:
        EdgeError: the file lacks them.
    """
    text = readme.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise EdgeError(f"{readme} lacks {BEGIN} and {END}: put both where the table shall stand")
    write_whole(readme, f"{head}{BEGIN}\n{readme_table(measurements)}{END}{tail}".encode())


def _made_pairs(folder: Path) -> Path:
    for number, pair in enumerate([hazed_motorcycle(), *hazy_pairs(MADE_PAIRS, SEED)]):
        for kind, picture in zip(("hazy", "clear"), pair, strict=True):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_picture(folder / kind / f"{number:02}.png", picture)
    return folder


def _bundles(folder: Path) -> list[Bundle]:
    openvino, float32 = targets.load("openvino"), targets.BuildOptions("fp32")
    command.say("building every model in INT8, the default one in float32, and AOD-Net's architecture")
    models = {name: source_model(name, None, folder) for name in MODELS}
    return [
        *(assembled(model, openvino, _int8(model)) for model in models.values()),
        assembled(models["edge-m"], openvino, float32),
        assembled(write_aod_net(folder / "aod.onnx", WIDTH, HEIGHT), openvino, float32),
    ]


def _int8(model: SourceModel) -> targets.BuildOptions:
    return targets.BuildOptions("int8", made_set(model.card.width, model.card.height, model.card.kind))


class DarkChannel:
    """The dark channel prior as what is timed is called; it does not say where its time goes."""

    timing = None

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        return dark_channel_prior(frame)


def _dark_channel(settings: session.Settings) -> session.Opened:
    dehaze = DarkChannel()
    start = time.perf_counter()
    dehaze(settings.frames[0])
    startup = record.Startup(0.0, 0.0, 1e3 * (time.perf_counter() - start))
    subject = record.Subject("dark channel prior", "", "frame", {"name": "dark channel prior"}, "opencv", "fp32", 0)
    return session.Opened(subject, dehaze, "CPU", "fp32", startup, session.now())


def _scored(
    opened: session.Opened,
    measured: record.Measurement,
    data: accuracy.PairedData,
    made: accuracy.PairedData,
    pictures: Pictures,
) -> record.Measurement:
    """With quality, and with pictures made here (kept in `pictures`); AOD-Net's random weights have neither."""
    if opened.subject.model.get("name") == "aod-net":
        subject = replace(opened.subject, name="AOD-Net, random weights")
        return replace(measured, subject=subject)
    quality = accuracy.score(opened.dehaze, data, opened.subject.name)
    chosen = [(pair[0].name, "made here") for pair in made.pairs[:SHOWN]]
    pictures[measured.subject.name] = accuracy.dehaze_chosen(opened.dehaze, made, chosen)
    return replace(measured, quality=quality, shown=accuracy.show(pictures[measured.subject.name]))


def _against_float(
    measured: record.Measurement, others: list[record.Measurement], pictures: Pictures
) -> record.Measurement:
    """INT8 with where its pictures differ from those of float32 of the same checkpoint."""
    for other in others:
        same = other.subject.model == measured.subject.model
        if same and measured.subject.precision == "int8" and other.subject.precision == "fp32":
            mine, floats = pictures[measured.subject.name], pictures[other.subject.name]
            return replace(measured, against_float=accuracy.against_float(mine, floats, other.subject))
    return measured


if __name__ == "__main__":
    sys.exit(command.run(main))
