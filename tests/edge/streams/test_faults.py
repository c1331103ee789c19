"""What docs/faults.md says of source, model and sinks: each fault is caused, and the stream does what stands there."""

import itertools
import resource
import shutil
import signal
import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from edge.dehazer import Dehazer
from edge.errors import PictureError, SourceError
from edge.streams.events import Events
from edge.streams.faults import BrokenFrame, DiskFull, ModelFault, SinkLost, SourceLost, SourceStalled
from edge.streams.frame import Frame, StreamInfo
from edge.streams.intake import IntakeOptions
from edge.streams.stream import Stream, StreamOptions, running
from tests.edge.streams.stage import GREY, Failing, Kept, Scripted, events_of, play, run, wait_for
from tests.edge.streams.standin import adding_bundle

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


def test_a_camera_whose_every_read_hangs_is_not_opened_without_end(adding):
    awake, told = threading.Event(), []
    source = Scripted([GREY] * 3 + [lambda: awake.wait(20) and GREY] * 5 + [GREY] * 20)

    def tell(event):
        told.append(event.name)
        if event.name == "source_stuck":
            awake.set()

    stream = Stream(
        lambda: source,
        lambda: Dehazer(adding, threads=1),
        [("kept", Kept())],
        StreamOptions(IntakeOptions(live=True), stall_s=0.5),
        events=Events(tell),
    )
    with running(stream):
        for _ in stream.watch():
            pass
    figures = stream.figures
    assert told.count("source_stuck") == 1 and stream.events.counts["source_stalled"] == 4
    assert figures.orphaned == 4 and figures.captured == 24  # of five that hung, four had been given up


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
    lines = events_of(process)
    wait_for(lines, "started")
    shutil.rmtree(bundle)
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    wait_for(lines, "model_kept")
    adding_bundle(bundle, 20)
    process.send_signal(signal.SIGHUP)
    event = wait_for(lines, "model_replaced")
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


def test_a_picture_that_cannot_be_written_is_named_and_the_others_are_written(adding):
    sink = Kept([None, PictureError("JPEG holds at most 65500 pixels a side")])
    figures, told = play(adding, Scripted([GREY] * 5, live=False), sink)
    assert (figures.sinks[0].failed, figures.sinks[0].delivered) == (1, 4) and "frame_unwritten" in told


def test_an_end_that_cannot_be_written_is_told(adding):
    class Endless(Kept):
        def close(self):
            raise SinkLost("could not finish v.mkv")

    sink = Endless()
    _, told = play(adding, Scripted([GREY] * 3), sink)
    assert "sink_close_failed" in told and sink.frames
    with pytest.raises(SinkLost, match="could not finish"):
        play(adding, Scripted([GREY] * 3, live=False), Endless())


def test_a_reader_that_ends_early_is_told(identity):
    process = run(identity, "--source", "test:?frames=200&live=0", "--sink", "-")
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait(20) == 1 and "nobody reads" in told and "Traceback" not in told
