"""Video files in and out: every frame, its time, its colour, the sound; whole whatever happens."""

import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import edge
from edge.errors import EdgeError, SinkError, SourceError

av = pytest.importorskip("av")


def run(*arguments: object, **more) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "edge.run", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )


def frames_of(path) -> list:
    """(time in seconds, RGB picture) of each frame, decoded by PyAV alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (
                frame.pts * frame.time_base,
                frame.to_ndarray(
                    format="rgb24",
                    interpolation="FAST_BILINEAR",
                    src_colorspace=1 if frame.colorspace == 1 else 5,
                    src_color_range=frame.color_range,
                    dst_color_range=2,
                ),
            )
            for frame in container.decode(stream)
        ]


def test_every_frame_of_a_file_comes_out_with_its_time(identity, make_video, scenes, tmp_path):
    stamps = sorted(np.random.default_rng(5).choice(range(1, 3000), len(scenes), replace=False).tolist())
    source = make_video(tmp_path / "in.mp4", scenes, stamps=stamps, time_base=Fraction(1, 600))
    for name in ("out.mp4", "out.mkv"):
        done = run(identity, "--source", source, "--sink", tmp_path / name, "--smooth", 0)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == str(tmp_path / name)
        out = frames_of(tmp_path / name)
        slack = 0 if name.endswith("mp4") else Fraction(1, 1000)  # Matroska counts milliseconds
        assert len(out) == len(scenes)
        for (at, picture), (stamp, _), scene in zip(out, frames_of(source), scenes, strict=True):
            assert abs(at - stamp) <= slack
            assert np.abs(picture.astype(int) - scene).mean() < 4


def test_the_model_works_on_the_frames(adding, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes)
    assert run(adding, "--source", source, "--sink", tmp_path / "out.mkv").returncode == 0
    for (_, clear), (_, hazy) in zip(frames_of(tmp_path / "out.mkv"), frames_of(source), strict=True):
        assert 8 < (clear.astype(int) - hazy).mean() < 12


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.ts"])
def test_sound_is_copied_bit_for_bit_and_in_step(identity, make_video, scenes, tmp_path, name):
    source = make_video(tmp_path / "in.mp4", scenes, sound=True)
    assert run(identity, "--source", source, "--sink", tmp_path / name).returncode == 0

    def sound_of(path):
        with av.open(str(path)) as container:
            packets = [p for p in container.demux(audio=0) if p.size]
            start = container.streams.video[0].start_time * container.streams.video[0].time_base
            return b"".join(map(bytes, packets)), [p.pts * p.time_base - start for p in packets]

    (before, times_before), (after, times_after) = sound_of(source), sound_of(tmp_path / name)
    if name != "out.ts":  # MPEG-TS wraps each AAC packet in a header
        assert after == before
    assert len(times_after) == len(times_before)
    assert max(abs(a - b) for a, b in zip(times_before, times_after, strict=True)) < Fraction(2, 1000)


def test_sound_is_copied_after_the_source_was_closed(make_video, scenes, tmp_path):
    from edge.streams.sinks import make_sink
    from edge.streams.sources import make_source
    from edge.streams.spec import parse_sink, parse_source

    source = make_source(parse_source(str(make_video(tmp_path / "in.mkv", scenes[:5], sound=True))), None)
    info = source.open()
    frames = list(iter(source.read, None))
    source.close()
    sink = make_sink(parse_sink(str(tmp_path / "out.mkv")), live=False)
    sink.open(info, frames[0])
    for frame in frames:
        sink.write(frame)
    sink.close()
    with av.open(str(tmp_path / "in.mkv")) as before, av.open(str(tmp_path / "out.mkv")) as after:
        sound = [[bytes(p) for p in container.demux(audio=0) if p.size] for container in (before, after)]
    assert sound[0] == sound[1] and len(sound[0]) > 3


def test_sound_that_the_container_cannot_hold_is_left_out_and_told(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mkv", scenes[:5], sound=True, sound_codec="flac")
    done = run(identity, "--source", source, "--sink", tmp_path / "out.mov")
    assert done.returncode == 0 and "cannot hold flac sound" in done.stderr
    assert len(frames_of(tmp_path / "out.mov")) == 5
    with av.open(str(tmp_path / "out.mov")) as container:
        assert not container.streams.audio


def test_large_frames_wait_in_small_numbers_inside_the_encoder(identity, tmp_path):
    seen = {}
    for size in ("640x480", "1920x1080"):
        out = tmp_path / f"{size}.mp4"
        assert run(identity, "--source", f"test:?size={size}&frames=3&live=0", "--sink", out).returncode == 0
        seen[size] = int(re.search(rb"rc_lookahead=(\d+)", out.read_bytes())[1])  # x264 writes its settings down
    assert seen == {"640x480": 10, "1920x1080": 4}


def test_a_recording_that_was_lost_goes_on_in_a_new_file(tmp_path, scenes):
    from edge.streams.frame import Frame, StreamInfo
    from edge.streams.sinks import make_sink
    from edge.streams.spec import parse_sink

    sink = make_sink(parse_sink(str(tmp_path / "v.mkv")), live=True)
    info = StreamInfo(160, 120, Fraction(30), Fraction(1, 30))
    for attempt in range(2):
        frames = [Frame(picture, Fraction(number, 30), 0.0) for number, picture in enumerate(scenes[:3])]
        sink.open(info, frames[0])
        for frame in frames:
            sink.write(frame)
        sink.close()
        assert len(frames_of(Path(sink.made))) == 3, attempt
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v-0002.mkv", "v.mkv"]


@pytest.mark.parametrize("matrix", [1, 6], ids=["BT.709", "BT.601"])
@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
def test_a_grey_ramp_survives_within_2_levels(identity, make_video, tmp_path, matrix, full_range):
    levels = np.repeat(np.arange(256, dtype=np.uint8), 2)
    ramp = np.repeat(np.tile(levels, (64, 1))[..., None], 3, axis=2)
    source = make_video(tmp_path / "in.mkv", [ramp] * 3, matrix=matrix, full_range=full_range, quality="0")
    assert run(identity, "--source", source, "--sink", tmp_path / "out.mkv?crf=4").returncode == 0
    with av.open(str(tmp_path / "out.mkv")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (matrix, 2 if full_range else 1)
    for _, picture in frames_of(tmp_path / "out.mkv"):
        assert np.abs(picture.astype(int) - ramp).max() <= 2


def test_colours_keep_their_hue_under_either_matrix(identity, make_video, tmp_path):
    bars = np.zeros((64, 192, 3), np.uint8)
    for number, colour in enumerate([(200, 30, 30), (30, 200, 30), (30, 30, 200)]):
        bars[:, 64 * number : 64 * number + 64] = colour
    for matrix in (1, 6):
        source = make_video(tmp_path / f"in{matrix}.mkv", [bars] * 2, matrix=matrix, quality="0")
        frame = next(edge.stream(source, identity))
        for number in range(3):
            middle = slice(64 * number + 16, 64 * number + 48)
            assert np.abs(frame.picture[16:48, middle].astype(int) - bars[16:48, middle]).max() <= 4


@pytest.mark.parametrize("size", [(2, 2), (33, 47), (1, 1), (480, 16)])
def test_odd_and_tiny_frames_keep_their_size(identity, tmp_path, size):
    from PIL import Image

    (tmp_path / "in").mkdir()
    for number in range(3):
        Image.new("RGB", size[::-1], (90, 100, 110)).save(tmp_path / "in" / f"{number}.png")
    done = run(identity, "--source", tmp_path / "in", "--sink", tmp_path / "out.mkv", "--fps", 10)
    if done.returncode:  # the encoder has a smallest size
        assert "cannot write" in done.stderr and len(done.stderr.splitlines()) == 1
        assert min(size) < 16
        return
    out = frames_of(tmp_path / "out.mkv")
    assert [picture.shape[:2] for _, picture in out] == [size] * 3
    assert [at for at, _ in out] == [0, Fraction(1, 10), Fraction(2, 10)]


def test_a_rotated_telephone_video_comes_out_upright(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes[:3])
    content = bytearray(source.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # ISO 14496-12: the matrix in version 0 of the track header
    one = (1 << 16).to_bytes(4, "big")
    minus_one = ((1 << 32) - (1 << 16)).to_bytes(4, "big")
    content[matrix : matrix + 36] = bytes(4) + one + bytes(4) + minus_one + bytes(4 * 4) + (1 << 30).to_bytes(4, "big")
    source.write_bytes(content)
    picture = next(edge.stream(source, identity)).picture
    assert picture.shape == (160, 120, 3)
    assert np.abs(picture.astype(int) - np.rot90(scenes[0], -1)).mean() < 4


def test_fewer_frames_a_second_can_be_asked_for(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes)
    kept = list(edge.stream(source, identity, fps=10))
    assert [frame.time for frame in kept] == [Fraction(n, 10) for n in range(10)]


def test_a_file_can_be_played_at_its_own_speed(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes)
    start = time.monotonic()
    done = run(identity, "--source", source, "--realtime", "--sink", "none:")
    assert done.returncode == 0 and "30 of 30 frames" in done.stderr
    assert time.monotonic() - start > 29 / 30


def test_a_video_cut_short_is_done_as_far_as_it_goes_and_told(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mkv", scenes * 3)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    done = run(identity, "--source", cut, "--sink", tmp_path / "out.mkv")
    assert "Traceback" not in done.stderr
    assert 10 < len(frames_of(tmp_path / "out.mkv")) < 90


def test_a_video_without_a_frame_that_can_be_decoded_is_told(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mkv", scenes)
    first_cluster = source.read_bytes().index(b"\x1f\x43\xb6\x75")  # Matroska: what goes before describes only
    source.write_bytes(source.read_bytes()[: first_cluster + 30])
    done = run(identity, "--source", source, "--sink", tmp_path / "out.mkv")
    assert done.returncode == 1 and not (tmp_path / "out.mkv").exists()
    assert "in.mkv holds no frame that can be decoded" in done.stderr and len(done.stderr.splitlines()) == 1


def test_an_mp4_that_lost_its_end_is_told_by_name(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes)
    source.write_bytes(source.read_bytes()[:5000])
    done = run(identity, "--source", source, "--sink", tmp_path / "out.mkv")
    assert done.returncode == 1 and "in.mp4 is damaged or not a video" in done.stderr
    assert not (tmp_path / "out.mkv").exists()


def test_a_video_that_exists_is_not_replaced_unasked(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes[:3])
    (tmp_path / "out.mkv").write_bytes(b"last flight")
    done = run(identity, "--source", source, "--sink", tmp_path / "out.mkv")
    assert done.returncode == 1 and "--overwrite" in done.stderr
    assert (tmp_path / "out.mkv").read_bytes() == b"last flight"
    assert run(identity, "--source", source, "--sink", tmp_path / "out.mkv", "--overwrite").returncode == 0
    assert len(frames_of(tmp_path / "out.mkv")) == 3


def test_numbered_videos_take_the_next_free_number(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes[:3])
    for number in (1, 2):
        done = run(identity, "--source", source, "--sink", tmp_path / "flight-{n}.mkv")
        assert done.stdout.strip() == str(tmp_path / f"flight-000{number}.mkv")


def test_a_source_is_not_its_own_sink(identity, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes[:3])
    before = source.read_bytes()
    done = run(identity, "--source", source, "--sink", source, "--overwrite")
    assert done.returncode == 1 and "overwrite the source" in done.stderr
    assert source.read_bytes() == before


def test_several_sinks_at_once(adding, make_video, scenes, tmp_path):
    source = make_video(tmp_path / "in.mp4", scenes[:5])
    sinks = ("--sink", tmp_path / "a.mkv", "--sink", tmp_path / "pictures/?format=jpg", "--sink", tmp_path / "b.mp4")
    done = run(adding, "--source", source, *sinks)
    assert done.returncode == 0, done.stderr
    assert len(frames_of(tmp_path / "a.mkv")) == len(frames_of(tmp_path / "b.mp4")) == 5
    assert len(list((tmp_path / "pictures").glob("frame-*.jpg"))) == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_signal_ends_it_soon_with_a_whole_file(identity, tmp_path, number, name):
    process = recording(identity, tmp_path / name)
    process.send_signal(number)
    start = time.monotonic()
    _, told = process.communicate(timeout=10)
    assert time.monotonic() - start < 5  # benchmarks/stream.py measures it; a busy machine is slow
    assert process.returncode == 0, told
    out = frames_of(tmp_path / name)
    assert len(out) > 10
    assert f"{len(out)} of " in told


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.ts"])
def test_a_killed_recording_plays_to_its_last_second(identity, tmp_path, name):
    process = recording(identity, tmp_path / name, seconds=3.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    out = frames_of(tmp_path / name)
    assert float(out[-1][0] - out[0][0]) > 1.5


def recording(bundle, path, seconds: float = 1.5) -> subprocess.Popen:
    """A recording that has run for so long since its first frame."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "edge.run",
            bundle,
            "--source",
            "test:?size=320x240",
            "--sink",
            str(path),
            "--threads",
            "1",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(seconds)
    return process


def test_errors_have_names_in_python(identity, tmp_path):
    with pytest.raises(EdgeError, match="does not exist"):
        next(edge.stream(tmp_path / "no.mp4", identity))
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    with pytest.raises(SourceError, match="damaged or not a video"):
        next(edge.stream(tmp_path / "text.mp4", identity))
    from edge.streams.sinks import make_sink
    from edge.streams.spec import parse_sink

    (tmp_path / "taken.mkv").touch()
    with pytest.raises(SinkError, match="exists"):
        make_sink(parse_sink(str(tmp_path / "taken.mkv")), live=False)
