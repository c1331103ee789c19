"""Everything that docs/faults.md promises: each fault is caused, and the stream does what stands there."""

import itertools
import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import edge
from edge.dehazer import Dehazer
from edge.errors import EdgeError, SourceError
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.faults import BrokenFrame, DiskFull, ModelFault, SinkLost, SourceLost, SourceStalled
from edge.streams.frame import Frame, StreamInfo
from edge.streams.intake import IntakeOptions
from edge.streams.stream import Stream, StreamOptions, running
from tests.edge.streams.standin import adding_bundle

GREY = np.full((48, 64, 3), 100, np.uint8)
ROOT = Path(__file__).parents[3]


class Scripted:
    """A live source that does one step of a script after the other, over all times that it is opened."""

    live = True

    def __init__(self, steps, live=True):
        self.steps, self.live = list(steps), live
        self.time = Fraction(0)

    def open(self):
        if self.steps and isinstance(self.steps[0], SourceError) and "open" in str(self.steps[0]):
            raise self.steps.pop(0)
        return StreamInfo(rate=Fraction(100))

    def read(self):
        step = self.steps.pop(0) if self.steps else None
        if step is None:
            return None
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step = step()
        if self.live:
            time.sleep(0.01)
        picture, jump = step if isinstance(step, tuple) else (step, 0)
        self.time += Fraction(1, 100) + jump
        return Frame(picture.copy(), self.time, time.monotonic())

    def close(self):
        pass


class Kept:
    """A sink that keeps frames, and raises what it is told to raise before some."""

    made, drain_s = "", 1.0

    def __init__(self, faults=()):
        self.faults, self.frames, self.opens = list(faults), [], 0

    def open(self, info, frame):
        self.opens += 1

    def write(self, frame):
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, float):
                time.sleep(fault)
            elif fault is not None:
                raise fault
        self.frames.append(frame)

    def close(self):
        pass


def play(bundle, source, sink, model=None, **options):
    """Run a stream to its end; its figures, and its events by name."""
    told = []
    stream = Stream(
        lambda: source,
        lambda: model or Dehazer(bundle, threads=1),
        [("kept", sink)],
        StreamOptions(IntakeOptions(live=source.live, **options.pop("intake", {})), **options),
        controls=Controls(),
        events=Events(lambda event: told.append(event.name)),
    )
    with running(stream):
        deadline = time.monotonic() + 30
        for _ in stream.watch():
            assert time.monotonic() < deadline
    figures = stream.figures
    first = figures.sinks[0]
    assert figures.captured == figures.broken + figures.dropped + figures.processed
    assert figures.processed == first.delivered + first.dropped + first.failed
    times = [frame.time for frame in sink.frames]
    assert times == sorted(set(times))
    return figures, told


class Failing:
    """A model that raises what it is told to raise, one for each frame, and then works."""

    def __init__(self, bundle, faults):
        self.faults, self.dehazer = list(faults), Dehazer(bundle, threads=1)

    def __call__(self, frame, out=None, small=None):
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        return self.dehazer(frame, out, small)

    def __getattr__(self, name):
        return getattr(self.dehazer, name)


def run(*arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "edge.run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        **more,
    )


# Sources


def test_a_camera_that_is_unplugged_and_back(adding):
    source = Scripted([GREY] * 5 + [SourceLost("unplugged"), SourceError("cannot open"), *[GREY] * 20])
    figures, told = play(adding, source, Kept())
    assert figures.captured == 25 and figures.reconnects == 1
    assert told[:3] == ["source_lost", "source_missing", "source_back"]


def test_without_reconnect_a_lost_camera_ends_the_stream_by_name(adding):
    with pytest.raises(SourceLost, match="unplugged"):
        play(adding, Scripted([GREY] * 5 + [SourceLost("unplugged")]), Kept(), intake={"reconnect": False})


def test_a_camera_that_is_not_there_at_the_start_ends_it_unless_told_to_wait(adding):
    with pytest.raises(SourceError, match="cannot open"):
        play(adding, Scripted([SourceError("cannot open"), *[GREY] * 3]), Kept())
    sink = Kept()
    play(adding, Scripted([SourceError("cannot open"), *[GREY] * 3]), sink, intake={"wait": True})
    assert sink.frames


def test_a_camera_that_hangs_is_opened_again(adding):
    awake = threading.Event()
    source = Scripted([GREY] * 5 + [lambda: awake.wait(3) and GREY] + [GREY] * 10)
    figures, told = play(adding, source, Kept(), stall_s=0.3)
    awake.set()
    assert "source_stalled" in told and figures.reconnects >= 1


def test_without_reconnect_a_hanging_camera_is_an_error_by_name(adding):
    awake = threading.Event()
    source = Scripted([GREY] * 5 + [lambda: awake.wait(3) and GREY])
    with pytest.raises(SourceStalled, match="no frame for"):
        play(adding, source, Kept(), stall_s=0.3, intake={"reconnect": False})
    awake.set()


def test_broken_frames_are_counted_and_the_rest_goes_on(adding):
    source = Scripted([GREY, BrokenFrame("bits fell over"), GREY, BrokenFrame("again"), GREY])
    figures, told = play(adding, source, Kept())
    assert figures.captured == 5 and figures.broken == 2
    assert told.count("broken_frame") == 1  # the second within ten seconds is only counted


def test_another_size_in_mid_stream(adding):
    small, sink = GREY[:20, :30], Kept()
    figures, _ = play(adding, Scripted([GREY, small, small, GREY], live=False), sink)
    assert [frame.picture.shape[:2] for frame in sink.frames] == [(48, 64), (20, 30), (20, 30), (48, 64)]
    assert all((frame.picture == 110).all() for frame in sink.frames)
    assert figures.processed == 4


def test_another_size_in_a_video_is_fitted_into_the_first(identity, tmp_path):
    av = pytest.importorskip("av")
    from edge.streams.sinks import make_sink
    from edge.streams.spec import parse_sink

    sink = make_sink(parse_sink(str(tmp_path / "v.mkv")), live=False)
    wide = np.full((32, 64, 3), 200, np.uint8)
    frames = [(np.full((48, 64, 3), 200, np.uint8)), wide]
    times = iter(range(9))
    sink.open(StreamInfo(64, 48, Fraction(30), Fraction(1, 30)), Frame(frames[0], Fraction(0), 0.0))
    for picture in frames:
        sink.write(Frame(picture, Fraction(next(times), 30), 0.0))
    sink.close()
    with av.open(str(tmp_path / "v.mkv")) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [picture.shape for picture in decoded] == [(48, 64, 3)] * 2
    assert decoded[1][24].mean() > 180 and decoded[1][3].mean() < 30  # black above


@pytest.mark.parametrize("jump", [-1000, 1000, Fraction(-1, 100)], ids=["back", "ahead", "stands still"])
def test_time_stamps_that_jump_stay_in_order(adding, jump):
    sink = Kept()
    _, told = play(adding, Scripted([GREY, GREY, (GREY, jump), GREY, GREY], live=False), sink)
    times = [frame.time for frame in sink.frames]
    assert len(times) == 5 and all(0 < b - a < 10 for a, b in itertools.pairwise(times))
    assert "time_jump" in told


def test_the_wall_clock_may_jump(adding, monkeypatch):
    moments = iter(range(10**9, 0, -(10**6)))
    monkeypatch.setattr(time, "time", lambda: float(next(moments)))
    figures, _ = play(adding, Scripted([GREY] * 20), Kept())
    assert figures.sinks[0].delivered > 10


# Model


@pytest.mark.parametrize(
    "fault", [RuntimeError("device lost"), MemoryError(), ModelFault("the model's answer is not finite")]
)
def test_a_live_picture_goes_on_uncleared_when_the_model_fails(adding, fault):
    sink = Kept()
    figures, told = play(adding, Scripted([GREY] * 20), sink, model=Failing(adding, [None, fault, fault]))
    assert figures.uncleared == 2 and "model_failed" in told
    levels = {int(frame.picture[0, 0, 0]) for frame in sink.frames}
    assert levels <= {100, 110} and 110 in levels


def test_a_model_that_keeps_failing_is_opened_again(adding):
    opened = []

    def open_model():
        opened.append(1)
        return Failing(adding, [RuntimeError("device lost")] * 50 if len(opened) == 1 else [])

    sink, source, told = Kept(), Scripted([GREY] * 60), []
    stream = Stream(
        lambda: source,
        open_model,
        [("kept", sink)],
        StreamOptions(IntakeOptions(live=True)),
        events=Events(lambda event: told.append(event.name)),
    )
    with running(stream):
        for _ in stream.watch():
            pass
    assert len(opened) == 2 and "model_replaced" in told
    assert int(sink.frames[-1].picture[0, 0, 0]) == 110


def test_answers_that_are_not_finite_are_found(tmp_path):
    poisoned = adding_bundle(tmp_path / "poisoned", 10, poison=float("nan"))
    with pytest.raises(ModelFault, match="not finite"):
        Dehazer(poisoned)(GREY)
    sink = Kept()
    figures, _ = play(str(poisoned), Scripted([GREY] * 5), sink)
    assert figures.uncleared == figures.processed > 0
    assert (sink.frames[0].picture == 100).all()


def test_a_file_whose_frames_cannot_be_cleared_is_an_error_not_a_hazy_copy(tmp_path):
    from PIL import Image

    poisoned = adding_bundle(tmp_path / "poisoned", 10, poison=float("inf"))
    Image.fromarray(GREY).save(tmp_path / "a.png")
    process = run(poisoned, "--source", tmp_path / "a.png", "--sink", tmp_path / "out")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "not finite" in told and len(told.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_bundle_replaced_under_it_changes_nothing_until_sighup(tmp_path):
    bundle = adding_bundle(tmp_path / "bundle", 10)
    process = run(bundle, "--source", "test:?size=64x48", "--sink", "none:", "--threads", 1, "--log-format", "json")
    lines = _reader(process)
    _wait_for(lines, "started")
    shutil.rmtree(bundle)
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    _wait_for(lines, "model_kept")
    adding_bundle(bundle, 20)
    process.send_signal(signal.SIGHUP)
    event = _wait_for(lines, "model_replaced")
    assert "adding-20" in event["message"]
    process.terminate()
    assert process.wait(10) == 0


# Sinks


def test_a_sink_that_goes_away_is_opened_again_and_the_others_do_not_notice(adding):
    lost, steady = Kept([None, None, SinkLost("gone")]), Kept()
    told = []
    source = Scripted([GREY] * 60)
    stream = Stream(
        lambda: source,
        lambda: Dehazer(adding, threads=1),
        [("lost", lost), ("steady", steady)],
        StreamOptions(IntakeOptions(live=True)),
        events=Events(lambda event: told.append(event.name)),
    )
    with running(stream):
        for _ in stream.watch():
            pass
    first, second = stream.figures.sinks
    assert lost.opens == 2 and steady.opens == 1 and {"sink_lost", "sink_back"} <= set(told)
    assert first.failed == 1 and first.dropped >= 10
    assert second.failed == 0 and second.delivered > first.delivered


def test_a_file_stream_ends_when_its_sink_is_gone(adding):
    with pytest.raises(SinkLost, match="gone"):
        play(adding, Scripted([GREY] * 9, live=False), Kept([None, SinkLost("gone")]))


def test_a_full_disk_ends_a_file_run_with_what_was_written_whole(identity, tmp_path):
    """A limit on the size of files stands in for the full disk: both end a write with an error."""
    from PIL import Image

    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number, side in enumerate((20, 30, 400, 40)):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(tmp_path / "in" / f"{number}.bmp")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = run(identity, "--source", tmp_path / "in", "--sink", tmp_path / "out", preexec_fn=limit)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in told
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert "2.bmp" not in written and {"0.bmp", "1.bmp"} <= set(written)
    for name in written:
        Image.open(tmp_path / "out" / name).load()


def test_a_recording_stops_before_the_disk_is_full_and_the_stream_goes_on(adding, tmp_path, monkeypatch):
    pytest.importorskip("av")
    from edge.streams.sinks import make_sink, video
    from edge.streams.spec import parse_sink

    sink = make_sink(parse_sink(str(tmp_path / "v.mkv")), live=True)
    info, frame = StreamInfo(64, 48, Fraction(30), Fraction(1, 30)), Frame(GREY, Fraction(0), 0.0)
    monkeypatch.setattr(video, "SPARE_BYTES", 1 << 60)
    with pytest.raises(DiskFull, match="is full"):
        sink.open(info, frame)
    figures, told = play(adding, Scripted([GREY] * 10), Kept([DiskFull("the disk is full")]))
    assert figures.sinks[0].failed == 1 and "sink_lost" in told and figures.processed >= 5


def test_a_slow_disk_drops_frames_of_a_live_source_and_holds_back_a_file(adding):
    figures, _ = play(adding, Scripted([GREY] * 40), Kept([0.05] * 40))
    assert figures.sinks[0].dropped + figures.dropped > 5 and figures.sinks[0].failed == 0
    figures, _ = play(adding, Scripted([GREY] * 12, live=False), Kept([0.02] * 12))
    assert figures.sinks[0].delivered == 12


def test_a_frame_too_large_for_memory_is_told(adding):
    figures, told = play(adding, Scripted([GREY] * 5), Kept([MemoryError()]))
    assert figures.sinks[0].failed == 1 and "out_of_memory" in told


def test_a_reader_that_ends_early_is_told(identity):
    process = run(identity, "--source", "test:?frames=200&live=0", "--sink", "-")
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait(20) == 1 and "nobody reads" in told and "Traceback" not in told


# The process


def test_a_taken_port_does_not_stop_the_stream(identity):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = run(identity, "--source", "test:?size=64x48&frames=60", "--preview", port)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"port {port} of 127.0.0.1 is taken" in told and "60 of 60 frames" in told


def test_strength_follows_signals(identity):
    process = run(identity, "--source", "test:?size=64x48", "--preview", 0, "--log-format", "json", "--threads", 1)
    lines = _reader(process)
    url = _wait_for(lines, "preview")["facts"]["url"]
    from urllib.request import urlopen

    process.send_signal(signal.SIGUSR2)
    time.sleep(0.3)
    assert json.load(urlopen(url + "figures", timeout=5))["strength"] == pytest.approx(0.9)
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    assert json.load(urlopen(url + "figures", timeout=5))["strength"] == pytest.approx(1.0)
    process.terminate()
    process.wait(10)


def test_systemd_hears_that_frames_move_and_only_then(adding, tmp_path):
    from edge.streams.watchdog import Watchdog

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(2)
        watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"})
        watchdog.look(0, "")
        watchdog.look(1, "30 frames a second")
        assert systemd.recv(1000) == b"READY=1\nSTATUS=30 frames a second"
        time.sleep(0.06)
        watchdog.look(2, "")
        assert systemd.recv(1000).startswith(b"WATCHDOG=1")
        time.sleep(0.06)
        watchdog.look(2, "")  # nothing moved
        systemd.settimeout(0.2)
        with pytest.raises(TimeoutError):
            systemd.recv(1000)
        watchdog.ending()
        assert systemd.recv(1000) == b"STOPPING=1"


def test_events_are_one_line_of_json_and_not_a_flood(capsys):
    events = Events(as_json=True)
    for number in range(1000):
        events("sink_lost", "warning", f"gone\n{number}", sink="a")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    told = json.loads(lines[0])
    assert told["name"] == "sink_lost" and told["level"] == "warning" and told["facts"] == {"sink": "a"}
    assert events.counts["sink_lost"] == 1000


def test_every_event_and_fault_stands_in_the_documentation():
    import re

    text = (ROOT / "docs" / "faults.md").read_text()
    names = set()
    for path in (ROOT / "edge" / "streams").rglob("*.py"):
        names |= set(re.findall(r'events\(\s*"(\w+)"', path.read_text()))
    assert len(names) > 15
    assert {name for name in names if f"`{name}`" not in text} == set()
    for fault in (SourceLost, SourceStalled, BrokenFrame, SinkLost, DiskFull, ModelFault):
        assert f"`{fault.__name__}`" in text


# In Python


def test_faults_are_exceptions_with_names_in_python(identity):
    with pytest.raises(BrokenFrame.__mro__[1], match="not uint8"):
        list(edge.stream([np.zeros((4, 4), np.float32)], identity))
    with pytest.raises(EdgeError, match="strength"):
        list(edge.stream([GREY], identity, strength=5))


def test_a_loop_that_is_left_leaves_nothing_behind(identity):
    before = threading.active_count()
    for frame in edge.stream((GREY for _ in range(10**6)), identity):
        if frame.number == 20:
            break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_python_frames_come_in_order_with_their_times(adding):
    pictures = [np.full((8, 8, 3), level, np.uint8) for level in range(0, 200, 10)]
    clear = list(edge.stream([(p, n / 4) for n, p in enumerate(pictures)], adding))
    assert [int(frame.picture[0, 0, 0]) for frame in clear] == [level + 10 for level in range(0, 200, 10)]
    assert [frame.time for frame in clear] == [Fraction(n, 4) for n in range(20)]
    assert all((p == level).all() for p, level in zip(pictures, range(0, 200, 10), strict=True))  # untouched


def test_kept_frames_stay_as_they_were(adding):
    kept = [f.picture for f in edge.stream((np.full((40, 50, 3), n, np.uint8) for n in range(60)), adding)]
    assert [int(picture[5, 5, 0]) for picture in kept] == [n + 10 for n in range(60)]


def _reader(process):
    lines: list[dict] = []

    def read():
        for line in process.stderr:
            lines.append(json.loads(line))

    threading.Thread(target=read, daemon=True).start()
    return lines


def _wait_for(lines, name, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for line in list(lines):
            if line["name"] == name:
                return line
        time.sleep(0.05)
    raise AssertionError(f"no {name} in {lines}")
