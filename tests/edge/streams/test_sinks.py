"""Sinks for other programs (shared memory, raw frames, window, v4l2loopback), and the sources that match them."""

import os
import shutil
import struct
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import edge
from edge.errors import EdgeError, SinkError, SourceError
from edge.streams.frame import Frame, StreamInfo
from edge.streams.sharedmemory import FrameWriter, SharedFrames
from edge.streams.sinks import make_sink
from edge.streams.sinks.fit import fit
from edge.streams.sources import make_source
from edge.streams.spec import parse_sink, parse_source

ROOT = Path(__file__).parents[3]


@pytest.fixture
def name():
    name = f"draco-test-{os.getpid()}"
    yield name
    Path("/dev/shm", name).unlink(missing_ok=True)


# Shared memory


def test_the_newest_frame_is_seen_without_copying(name):
    writer = FrameWriter(name, 64, 48)
    with SharedFrames(name) as frames:
        assert frames.newest(0) is None
        for number in range(3):
            writer.write(np.full((48, 64, 3), number, np.uint8), number, number / 30, 5.0)
        frame = frames.newest()
        assert (frame.number, frame.time_s, frame.captured_at) == (2, pytest.approx(2 / 30), 5.0)
        assert (frame.picture == 2).all() and frame.whole()
        assert not frame.picture.flags.owndata and not frame.picture.flags.writeable
        assert frames.newest(0) is None
        writer.close()
        assert frames.closed and list(frames) == []


def test_a_reader_that_is_too_slow_can_tell(name):
    writer = FrameWriter(name, 8, 8)
    with SharedFrames(name) as frames:
        writer.write(np.zeros((8, 8, 3), np.uint8), 0, 0, 0)
        frame = frames.newest()
        for number in range(1, 4):
            writer.write(np.full((8, 8, 3), number, np.uint8), number, 0, 0)
            assert frame.whole()
        writer.write(np.full((8, 8, 3), 9, np.uint8), 4, 0, 0)
        assert not frame.whole()
    writer.close()


def test_smaller_frames_fit_and_the_reader_sees_their_size(name):
    sink = make_sink(parse_sink(f"shm:{name}"), live=True)
    sink.open(StreamInfo(64, 48), Frame(np.zeros((48, 64, 3), np.uint8), Fraction(0), 0.0))
    with SharedFrames(name) as frames:
        for shape, seen in (((20, 30, 3), (20, 30, 3)), ((96, 128, 3), (48, 64, 3))):
            sink.write(Frame(np.full(shape, 7, np.uint8), Fraction(0), 0.0))
            picture = frames.newest().picture
            assert picture.shape == seen and (picture == 7).all()
    sink.close()
    assert not Path("/dev/shm", name).exists()


def test_names_that_are_taken_or_leave_the_folder_are_refused(name):
    for bad in ("", "../x", ".x", "a/b"):
        with pytest.raises(SinkError, match="plain name"):
            FrameWriter(bad, 8, 8)
    Path("/dev/shm", name).write_bytes(b"somebody else's")
    with pytest.raises(SinkError, match="is not ours"):
        FrameWriter(name, 8, 8)
    with pytest.raises(SourceError, match="holds no shared frames"):
        SharedFrames(name)
    with pytest.raises(SourceError, match="no shared frames named"):
        SharedFrames("nobody-writes-here")


def test_the_leftover_of_a_killed_writer_is_replaced(name):
    code = f"from edge.streams.sharedmemory import FrameWriter; import os; FrameWriter({name!r}, 8, 8); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    with SharedFrames(name) as frames:
        assert frames.closed
    FrameWriter(name, 16, 16).close()


def test_the_example_detector_sees_clear_frames(adding, name):
    stream = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "edge.run",
            adding,
            "--source",
            "test:?size=64x48",
            "--sink",
            f"shm:{name}",
            "--threads",
            "1",
        ],
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        deadline = time.monotonic() + 30
        while not Path("/dev/shm", name).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        detector = subprocess.Popen(
            [sys.executable, "examples/shared_memory_detector.py", name],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        first = detector.stdout.readline()
        stream.terminate()
        assert "ms old, brightest value" in first
        assert detector.wait(20) == 0  # it ends when the stream does
    finally:
        stream.kill()
        stream.wait()


# Raw frames


@pytest.mark.parametrize("form", ["rgb24", "bgr24"])
def test_raw_frames_pass_through_pipes_bit_for_bit(adding, form):
    frames = np.random.default_rng(2).integers(0, 240, (7, 36, 48, 3), dtype=np.uint8)
    call = [sys.executable, "-m", "edge.run", adding, "--source", f"raw:-?size=48x36&format={form}"]
    call += ["--sink", f"raw:-?format={form}", "--smooth", "0"]
    done = subprocess.run(call, input=frames.tobytes(), capture_output=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.uint8).reshape(frames.shape), frames + 10)


def raw_sink(path: Path, **options) -> object:
    return make_sink(parse_sink(f"raw:{path}"), **{"live": False, **options})


def write_dots(sink, count: int) -> None:
    """Frames of one pixel, which are 7, 8, 9."""
    dot = Frame(np.array([[[7, 8, 9]]], np.uint8), Fraction(0), 0.0)
    sink.open(StreamInfo(1, 1), dot)
    for _ in range(count):
        sink.write(dot)
    sink.close()


def test_a_file_of_raw_frames_is_replaced_whole_and_only_when_asked(tmp_path):
    path = tmp_path / "frames.rgb"
    path.write_bytes(b"a longer flight before")
    with pytest.raises(SinkError, match="--overwrite"):
        raw_sink(path)
    assert path.read_bytes() == b"a longer flight before"
    write_dots(sink := raw_sink(path, overwrite=True), 2)
    assert path.read_bytes() == bytes([7, 8, 9, 7, 8, 9]) and sink.made == str(path)


def test_raw_frames_of_a_camera_go_on_in_another_file(tmp_path):
    path = tmp_path / "frames.rgb"
    path.write_bytes(b"before")
    sink = raw_sink(path, live=True)
    write_dots(sink, 1)
    write_dots(sink, 2)
    assert {p.name: p.stat().st_size for p in tmp_path.iterdir()} == {
        "frames.rgb": 6,
        "frames-0002.rgb": 3,
        "frames-0003.rgb": 6,
    }


def test_a_named_pipe_takes_raw_frames_and_is_no_file_that_was_made(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_dots(sink := raw_sink(tmp_path / "pipe"), 1)
    assert os.read(reader, 100) == bytes([7, 8, 9]) and sink.made == ""
    os.close(reader)


def test_raw_input_that_ends_inside_a_frame_is_told(adding):
    call = [sys.executable, "-m", "edge.run", adding, "--source", "raw:-?size=48x36", "--sink", "raw:-"]
    done = subprocess.run(call, input=bytes(36 * 48 * 3 + 100), capture_output=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 1 and len(done.stdout) == 36 * 48 * 3
    assert b"ends inside frame 1: 100 of 5184 bytes" in done.stderr


def test_an_empty_pipe_is_told_in_one_line(adding):
    call = [sys.executable, "-m", "edge.run", adding, "--source", "raw:-?size=48x36", "--sink", "raw:-"]
    done = subprocess.run(call, input=b"", capture_output=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 1 and done.stdout == b""
    assert done.stderr.count(b"\n") == 1 and b"ended before its first frame" in done.stderr


@pytest.mark.parametrize("form, coded", [("gray", 1), ("yuv420p", 1.5), ("nv12", 1.5), ("yuyv422", 2), ("rgba", 4)])
def test_other_raw_formats_are_read(identity, form, coded, tmp_path):
    level = 128
    pipe = tmp_path / "frames.raw"
    pipe.write_bytes(bytes([level]) * int(32 * 16 * coded) * 3)
    frames = list(edge.stream(f"raw:{pipe}?size=32x16&format={form}", identity))
    assert len(frames) == 3 and frames[0].picture.shape == (16, 32, 3)
    expected = round((level - 16) * 255 / 219) if form in ("yuv420p", "nv12", "yuyv422") else level
    assert np.abs(frames[0].picture.astype(int) - expected).max() <= 1


# Others


def test_a_window_shows_frames_and_may_be_closed(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    sink = make_sink(parse_sink("window:"), live=True)
    frame = Frame(np.full((48, 64, 3), (10, 20, 30), np.uint8), Fraction(0), 0.0)
    sink.open(StreamInfo(64, 48), frame)
    sink.write(frame)
    assert pygame.display.get_surface().get_at((5, 5))[:3] == (10, 20, 30)
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q))
    sink.write(frame)
    assert pygame.display.get_surface() is None
    sink.write(frame)
    sink.close()


def test_a_window_leaves_standard_output_to_the_frames(adding):
    pytest.importorskip("pygame")
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy"}
    environment.pop("PYGAME_HIDE_SUPPORT_PROMPT", None)
    call = [sys.executable, "-m", "edge.run", adding, "--source", "test:?size=8x6&frames=1"]
    call += ["--sink", "window:", "--sink", "raw:-"]
    done = subprocess.run(call, capture_output=True, timeout=60, check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0 and len(done.stdout) == 8 * 6 * 3, done.stderr


def test_v4l2loopback_is_told_its_format_as_the_kernel_lays_it_out():
    from edge.streams.sinks.v4l2 import output_format

    described = output_format(640, 480)
    assert len(described) == 208  # struct v4l2_format on 64-bit Linux
    assert struct.unpack_from("I", described)[0] == 2
    assert struct.unpack_from("2I4sIII", described, 8) == (640, 480, b"YU12", 1, 640, 460800)
    sink = make_sink(parse_sink("/dev/video99"), live=True)
    with pytest.raises(SinkError, match="modprobe v4l2loopback"):
        sink.open(StreamInfo(64, 48), Frame(np.zeros((48, 64, 3), np.uint8), Fraction(0), 0.0))


def test_a_camera_that_is_not_there_is_told(identity):
    pytest.importorskip("av")
    with pytest.raises(SourceError, match="cannot open /dev/video99"):
        next(edge.stream("/dev/video99", identity))


def test_a_gstreamer_pipeline_is_read(adding):
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("gst-launch-1.0 is not installed: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-good")
    pytest.importorskip("av")
    pipeline = "videotestsrc pattern=white num-buffers=30 is-live=true ! video/x-raw,width=64,height=48,framerate=30/1"
    frames = []
    for frame in edge.stream(f"gst:{pipeline}", adding, strength=0):
        frames.append(frame)
        if len(frames) == 5:
            break
    assert frames[0].picture.shape == (48, 64, 3) and frames[0].picture.min() > 250
    with pytest.raises(SourceError, match="no element"):
        next(edge.stream("gst:nosuchelement", adding))


def test_fitting_keeps_all_of_the_picture():
    picture = np.full((10, 40, 3), 200, np.uint8)
    fitted = fit(picture, 20, 20)
    assert fitted.shape == (20, 20, 3)
    assert (fitted[8:12] == 200).all() and not fitted[:7].any() and not fitted[13:].any()
    assert fit(picture, 40, 10) is picture


@pytest.mark.parametrize(
    "text, kind, place, options",
    [
        ("rtsp://u:p@cam/1?channel=2#transport=udp", "network", "rtsp://u:p@cam/1?channel=2", {"transport": "udp"}),
        ("v4l2:0?size=1280x720", "v4l2", "0", {"size": "1280x720"}),
        ("/dev/video2", "v4l2", "/dev/video2", {}),
        ("gst:a ! b?c", "gst", "a ! b?c", {}),
        ("-", "raw", "-", {}),
        ("test:", "test", "", {}),
    ],
)
def test_sources_are_named_in_one_syntax(text, kind, place, options):
    spec = parse_source(text)
    assert (spec.kind, spec.place, dict(spec.options)) == (kind, place, options)


@pytest.mark.parametrize(
    "options, says",
    [
        ("crf=abc", "crf is a number from 0"),
        ("crf=52", "to 51, not 52"),
        ("preset=foo", "one of ultrafast, .*, not 'foo'"),
        ("codec=nope", "encoder, not 'nope'"),
        ("codec=flac", "video encoder, not 'flac'"),
        ("bitrate=fast", "such as 4M"),
        ("bitrate=inf", "such as 4M"),
        ("bitrate=-4M", "such as 4M"),
    ],
)
def test_a_coding_that_cannot_be_is_refused_in_words(options, says):
    pytest.importorskip("av")
    for text in (f"clear.mp4?{options}", f"udp://localhost:5000#{options}"):
        with pytest.raises(EdgeError, match=says):
            make_sink(parse_sink(text), live=False)


@pytest.mark.parametrize("text", ["argus:abc", "picamera2:abc", "picamera2:-1"])
def test_a_camera_without_a_number_is_told(text):
    with pytest.raises(EdgeError, match=rf"{text}: a camera goes by its number, for example {text.split(':')[0]}:0"):
        make_source(parse_source(text))


def test_a_folder_and_an_odd_width_are_no_raw_frames(identity, tmp_path):
    with pytest.raises(SourceError, match="is a folder"):
        next(edge.stream(f"raw:{tmp_path}?size=4x4", identity))
    with pytest.raises(SourceError, match="even width"):
        make_source(parse_source("raw:-?size=63x47&format=yuyv422"))


@pytest.mark.parametrize("parse", [parse_source, parse_sink])
@pytest.mark.parametrize("text", ["", "?format=jpg"])
def test_an_empty_place_is_not_this_folder(parse, text):
    with pytest.raises(EdgeError, match=r"is empty; .* \. means this folder"):
        parse(text)


@pytest.mark.parametrize("text", ["clear.avi", "clear.jpg", "http://x/y", "clear.mp4?crff=3", "shm:x?y=1", "v4l2:"])
def test_sinks_that_cannot_be_are_refused_before_anything_runs(text):
    with pytest.raises(EdgeError):
        make_sink(parse_sink(text), live=False)
