"""Damaged and hostile pictures, videos and raw frames: each ends in one sentence, and nothing is written elsewhere.

Hostile bundles are in tests/edge/test_bundle_fuzz.py, hostile preview clients in test_preview.py.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge import command
from edge.run import main

pytest.importorskip("av")
VIDEOS = ["truncated", *(f"flipped {seed}" for seed in range(8)), "header flipped", "zeros inside", "two in one"]
PICTURES = [
    *("truncated png", "truncated jpg", "flipped png", "flipped jpg", "empty", "noise", "html", "a zip named jpg"),
    *("absurd png", "absurd bmp", "absurd gif", "negative bmp", "bomb png", "png without data"),
]


def damaged(content: bytes, kind: str) -> bytes:
    rng = np.random.default_rng(int(kind.rsplit(maxsplit=1)[-1]) if kind[-1].isdigit() else 0)
    data = bytearray(content)
    if kind.startswith("truncated"):
        return bytes(data[: len(data) * 2 // 3])
    if kind == "zeros inside":
        data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    elif kind == "two in one":
        data += data[: len(data) // 2]
    else:
        first, last = (0, 200) if kind == "header flipped" else (40, len(data))
        for place in rng.integers(first, last, 30):
            data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def png(width: int, height: int, data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + (chunk(b"IDAT", zlib.compress(data, 9)) if data else b"") + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def hostile_picture(kind: str) -> tuple[str, bytes]:
    """Suffix and content of the file."""
    sound = {}
    for suffix in ("png", "jpeg"):
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)).save(file, suffix)
        sound[suffix[:3].replace("jpe", "jpg")] = file.getvalue()
    word, _, suffix = kind.rpartition(" ")
    if word in ("truncated", "flipped"):
        return suffix, damaged(sound[suffix], word)
    bmp = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, 10**6, 10**6, 1, 24, 0, 0, 0, 0, 0, 0)
    return {
        "empty": ("png", b""),
        "noise": ("jpg", np.random.default_rng(1).bytes(5000)),
        "html": ("jpg", b"<html><script>alert(1)</script></html>"),
        "a zip named jpg": ("jpg", b"PK\x03\x04" + bytes(100)),
        "absurd png": ("png", png(2**31 - 1, 2**31 - 1, b"0")),
        "absurd bmp": ("bmp", bmp + bytes(6)),
        "absurd gif": ("gif", b"GIF89a" + b"\xff" * 30),
        "negative bmp": ("bmp", bmp.replace(struct.pack("<i", 10**6), struct.pack("<i", -(2**31))) + bytes(6)),
        "bomb png": ("png", png(40_000, 40_000, bytes(10**7))),
        "png without data": ("png", png(80, 60, b"")),
    }[kind]


def left_behind(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", VIDEOS)
def test_a_hostile_video_ends_in_words(identity, make_video, scenes, tmp_path, capfd, kind):
    sound = make_video(tmp_path / "sound.mp4", scenes, sound=True)
    (tmp_path / "hostile.mp4").write_bytes(damaged(sound.read_bytes(), kind))
    status = command.run(main, [identity, "--source", f"{tmp_path}/hostile.mp4", "--sink", f"{tmp_path}/out.mkv"])
    told = capfd.readouterr().err
    assert status in (0, 1) and "Traceback" not in told and "failed: " not in told
    assert left_behind(tmp_path) <= {"sound.mp4", "hostile.mp4", "out.mkv"}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_hostile_picture_ends_in_words_and_the_next_is_done(identity, tmp_path, capfd, kind):
    suffix, content = hostile_picture(kind)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"a.{suffix}").write_bytes(content)
    Image.fromarray(np.full((48, 64, 3), 100, np.uint8)).save(tmp_path / "in" / "b.png")
    status = command.run(main, [identity, "--source", str(tmp_path / "in"), "--sink", str(tmp_path / "out")])
    told = capfd.readouterr().err
    assert status in (0, 1) and "Traceback" not in told and "failed: " not in told
    assert (tmp_path / "out" / "b.png").exists()
    assert left_behind(tmp_path / "out") <= {f"a.{suffix}", "b.png"}


@pytest.mark.parametrize("size", ["0x480", "-5x5", "999999999x999999999", "axb", "640", "1e9x2"])
def test_an_absurd_size_of_raw_frames_is_refused(identity, capfd, size):
    assert command.run(main, [identity, "--source", f"raw:-?size={size}&format=rgb24", "--sink", "none:"]) == 1
    assert len(capfd.readouterr().err.splitlines()) == 1
