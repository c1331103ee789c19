"""`python -m edge.run` for pictures: what a user types, what lies there afterwards, what is said."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge import demo
from edge import run as edge_run
from edge.errors import EdgeError
from tests.edge.streams.standin import adding_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> str:
    return str(adding_bundle(tmp_path_factory.mktemp("bundle") / "adds-10", 10))


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 246, (48, 64, 3), dtype=np.uint8)


def run(*arguments: object, **more) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "edge.run", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )


def test_one_picture(bundle, tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "hazy.png")
    done = run(bundle, "--source", tmp_path / "hazy.png", "--sink", tmp_path / "clear")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "clear" / "hazy.png")), noise + 10)
    assert done.stdout.splitlines()[-1] == str(tmp_path / "clear" / "hazy.png")
    assert len(done.stderr.splitlines()) == 1 and "a second" in done.stderr


def test_a_folder_of_every_kind_keeps_names_sizes_and_modes(bundle, tmp_path, noise):
    photo = Image.fromarray(noise)
    sources = {
        "rgb.jpg": photo,
        "grey.png": photo.convert("L"),
        "palette.png": photo.quantize(16),
        "alpha.webp": Image.fromarray(np.dstack([noise, noise[..., 0]])),
        "print.tif": photo.convert("CMYK"),
        "deep.png": Image.fromarray(np.full((20, 30), 25700, np.uint16)),
        "old.bmp": photo,
        "dot.png": photo.crop((0, 0, 1, 1)),
        "thin.png": photo.crop((0, 0, 64, 1)),
        "tall.PNG": photo.crop((0, 0, 1, 48)),
        "with space ü.png": photo,
    }
    (tmp_path / "in").mkdir()
    for name, image in sources.items():
        image.save(tmp_path / "in" / name)
    done = run(bundle, "--source", tmp_path / "in", "--sink", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(sources)
    for name, image in sources.items():
        assert Image.open(tmp_path / "out" / name).size == image.size
    assert Image.open(tmp_path / "out" / "grey.png").mode == "L"
    assert np.asarray(Image.open(tmp_path / "out" / "deep.png"))[3, 3] == 110
    assert Image.open(tmp_path / "out" / "alpha.webp").mode == "RGBA"


def test_a_folder_with_a_broken_picture_is_done_but_for_that(bundle, tmp_path, noise):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(noise).save(tmp_path / "in" / name)
    whole = (tmp_path / "in" / "b.png").read_bytes()
    (tmp_path / "in" / "b.png").write_bytes(whole[: len(whole) // 2])
    done = run(bundle, "--source", tmp_path / "in", "--sink", tmp_path / "out")
    assert done.returncode == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    assert "b.png is damaged" in done.stderr and "1 of 3" in done.stderr
    assert "Traceback" not in done.stderr


def test_in_json_every_picture_that_failed_is_named_and_every_line_is_json(bundle, tmp_path, noise):
    (tmp_path / "in").mkdir()
    Image.fromarray(noise).save(tmp_path / "in" / "a.png")
    for name in ("b.png", "c.png"):
        (tmp_path / "in" / name).write_text("not a picture")
    done = run(bundle, "--source", tmp_path / "in", "--sink", tmp_path / "out", "--log-format", "json")
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [event["name"] for event in told] == ["broken_frame", "broken_frame", "ended", "failed"]
    assert "b.png" in told[0]["message"] and "c.png" in told[1]["message"] and "2 of 3" in told[3]["message"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_picture_that_loses_what_is_known_of_it_is_named(bundle, tmp_path, noise, form):
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(noise).save(tmp_path / "in" / name, exif=b"Exif\0\0who knows what this is")
    Image.fromarray(noise).save(tmp_path / "in" / "c.jpg", xmp=b"<x:xmpmeta>-21.30</x:xmpmeta>")
    done = run(bundle, "--source", tmp_path / "in", "--sink", tmp_path / "out", "--log-format", form)
    assert done.returncode == 0, done.stderr
    lines = [f"{tmp_path}/out/{name}.jpg is without EXIF: that of the original is damaged" for name in "ab"]
    if form == "text":
        assert done.stderr.splitlines()[1:] == [f"warning: {line}" for line in lines]
    else:
        told = [json.loads(line) for line in done.stderr.splitlines()]
        assert [event["message"] for event in told if event["name"] == "metadata_left_out"] == lines
    assert Image.open(tmp_path / "out" / "c.jpg").info["xmp"] == b"<x:xmpmeta>-21.30</x:xmpmeta>"


def test_pictures_take_the_format_that_was_asked_for(bundle, tmp_path, noise):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.JPG", "c.tar.bmp"):
        Image.fromarray(noise).save(tmp_path / "in" / name)
    done = run(bundle, "--source", tmp_path / "in", "--sink", f"{tmp_path}/out?format=webp")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.webp", "b.webp", "c.tar.webp"]
    assert {Image.open(p).format for p in (tmp_path / "out").iterdir()} == {"WEBP"}


def test_two_pictures_that_would_become_one_file_are_told(bundle, tmp_path, noise):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.bmp"):
        Image.fromarray(noise).save(tmp_path / "in" / name)
    done = run(bundle, "--source", tmp_path / "in", "--sink", f"{tmp_path}/out/?format=jpg")
    assert done.returncode == 1 and "a.png: a.jpg was made of another picture" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("case", ["truncated", "empty", "missing", "text", "text with another name", "empty folder"])
def test_what_cannot_be_read_is_one_line_and_writes_nothing(bundle, tmp_path, noise, case):
    source = tmp_path / {"text with another name": "a.txt", "empty folder": "folder"}.get(case, "a.jpg")
    if case == "truncated":
        Image.fromarray(noise).save(source)
        source.write_bytes(source.read_bytes()[:700])
    elif case == "empty folder":
        source.mkdir()
    elif case != "missing":
        source.write_text("" if case == "empty" else "dear reader\n" * 50)
    done = run(bundle, "--source", source, "--sink", tmp_path / "out")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and source.name in done.stderr, done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_the_source_is_never_overwritten(bundle, tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "a.png")
    for source in (tmp_path, tmp_path / "a.png"):
        done = run(bundle, "--source", source, "--sink", tmp_path)
        assert done.returncode == 1 and "overwrite" in done.stderr
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), noise)


def test_the_source_is_never_overwritten_through_a_link(bundle, tmp_path, noise):
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    Image.fromarray(noise).save(tmp_path / "real" / "photo.png")
    (tmp_path / "links" / "photo.png").symlink_to("../real/photo.png")
    before = (tmp_path / "real" / "photo.png").read_bytes()
    for source in (tmp_path / "links", tmp_path / "links" / "photo.png"):
        done = run(bundle, "--source", source, "--sink", tmp_path / "real")
        assert done.returncode == 1 and "overwrite the source" in done.stderr
    assert (tmp_path / "real" / "photo.png").read_bytes() == before


@pytest.mark.parametrize("source", ["{}/f.mp4", "raw:{}/f.mp4?size=4x4", "{}/f.png", "raw:-?size=4x4"])
def test_raw_frames_never_overwrite_what_is_read(bundle, tmp_path, source):
    path = tmp_path / source.partition("?")[0].rpartition("/")[2].replace("raw:-", "f.rgb")
    path.write_bytes(b"the original")
    call = [bundle, "--source", source.format(tmp_path), "--sink", f"raw:{path}", "--overwrite"]
    with open(path, "rb") as file:
        done = run(*call, stdin=file)
    assert done.returncode == 1 and "overwrite the source" in done.stderr
    assert path.read_bytes() == b"the original"


def test_one_folder_by_two_names_is_given_twice(bundle, tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "a.png")
    for other in ("o/", "./o", "x/../o"):
        with pytest.raises(EdgeError, match="given twice"):
            sinks = ("--sink", f"{tmp_path}/o", "--sink", f"{tmp_path}/{other}")
            edge_run.main([bundle, "--source", str(tmp_path / "a.png"), *sinks])


def test_strength_0_gives_the_input_back(bundle, tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "a.png")
    assert run(bundle, "--source", tmp_path / "a.png", "--sink", tmp_path / "o", "--strength", 0).returncode == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "o" / "a.png")), noise)


@pytest.mark.parametrize(
    "options, says",
    [
        (("--fps", "0.05"), "fps must lie between 0.1 and 1000"),  # pictures would lie too far apart to be one stream
        (("--device", "toaster"), "toaster"),
        (("--sink", "a.jpg"), "folder"),
        (("--source", "teleport:x"), "does not exist"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told_in_one_line(bundle, tmp_path, noise, options, says):
    Image.fromarray(noise).save(tmp_path / "a.png")
    done = run(
        bundle, "--source", tmp_path / "a.png", *(() if "--sink" in options else ("--sink", tmp_path / "o")), *options
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and says in done.stderr, done.stderr


@pytest.mark.parametrize(
    "options, says",
    [
        (("--strength", "7"), "argument --strength: '7' is not a number from 0 to 1.5"),
        (("--threads", "0"), "argument --threads: '0' is not a whole number from 1"),
        (("--fps", "0.0001"), "argument --fps: '0.0001' is not a number from 0.001 to 1000"),
        (("--stall", "nan"), "argument --stall: 'nan' is not a number above 0"),
        (("--max-latency", "0"), "argument --max-latency: '0' is not a number above 0"),
        (("--frames", "2.5"), "argument --frames: '2.5' is not a whole number from 1"),
        (("--smooth", "6"), "argument --smooth: '6' is not a number from 0 to 5"),
        (("--preview", "eighty"), "--preview takes PORT"),
    ],
)
def test_a_number_that_no_machine_could_take_is_a_wrong_call(bundle, tmp_path, options, says):
    done = run(bundle, "--source", "test:", *options)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_the_demo_tells_where_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EdgeError, match=r"cannot make the folder .*file"):
        demo.main(["--out", str(tmp_path / "file")])


def test_a_call_without_a_source_is_a_wrong_call(bundle):
    assert run(bundle).returncode == 2


def test_an_altered_bundle_is_refused_and_named(bundle, tmp_path, noise):
    import shutil

    altered = tmp_path / "altered"
    shutil.copytree(bundle, altered)
    content = bytearray((altered / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (altered / "model.onnx").write_bytes(content)
    Image.fromarray(noise).save(tmp_path / "a.png")
    done = run(altered, "--source", tmp_path / "a.png", "--sink", tmp_path / "o")
    assert done.returncode == 1 and "model.onnx was altered" in done.stderr
    assert not (tmp_path / "o").exists()


def test_a_sink_that_cannot_be_written_is_told(bundle, tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "a.png")
    (tmp_path / "file").write_text("in the way")
    done = run(bundle, "--source", tmp_path / "a.png", "--sink", tmp_path / "file" / "sub")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "cannot make the folder" in done.stderr


def test_help_teaches_and_is_quick():
    imported = "import sys; from edge import run; run.parser().format_help(); print(*sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", imported], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "openvino", "onnxruntime", "cv2", "numpy", "av"} & set(modules)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        shown = run("--help")
        times.append(time.perf_counter() - start)
    assert shown.returncode == 0 and "examples:" in shown.stdout
    assert min(times) < 0.5


def test_100_megapixels(bundle, tmp_path):
    Image.new("L", (12500, 8000), 90).save(tmp_path / "large.bmp")
    done = run(bundle, "--source", tmp_path / "large.bmp", "--sink", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "o" / "large.bmp") as out:
        assert out.size == (12500, 8000) and out.getpixel((12000, 7000)) == 100


def test_nothing_opens_a_connection(bundle, tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "a.png")
    watch = (
        "import sys, os\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto', 'socket.bind'):\n"
        "        os.write(2, f'CONNECTION {event} {args}\\n'.encode())\n"
        "sys.addaudithook(hook)\n"
        "from edge import run, command\n"
        f"sys.exit(command.run(run.main, [{bundle!r}, '--source', {str(tmp_path / 'a.png')!r}, "
        f"'--sink', {str(tmp_path / 'o')!r}]))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CI"}
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "CONNECTION" not in done.stderr


def test_in_process_errors_are_edge_errors(bundle, tmp_path):
    with pytest.raises(EdgeError, match="does not exist"):
        edge_run.main([bundle, "--source", str(tmp_path / "no.png"), "--sink", str(tmp_path / "o")])
    assert not Path(tmp_path / "o").exists()


def test_a_named_pipe_with_a_pictures_name_is_told_and_not_waited_for(tmp_path, bundle, noise):
    os.mkfifo(tmp_path / "b.png")
    alone = run(bundle, "--source", tmp_path / "b.png", "--sink", tmp_path / "clear")
    assert alone.returncode == 1
    assert alone.stderr.splitlines()[-1] == f"edge.run: {tmp_path}/b.png is a named pipe, not a picture file"

    for name in "ac":
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    among = run(bundle, "--source", tmp_path, "--sink", tmp_path / "clear")
    assert among.returncode == 1
    assert f"not done: {tmp_path}/b.png is a named pipe" in among.stderr
    assert sorted(file.name for file in (tmp_path / "clear").iterdir()) == ["a.png", "c.png"]
