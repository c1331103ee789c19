"""Bundles with a known effect, and videos made for the tests."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.edge.streams.standin import adding_bundle


@pytest.fixture(scope="session")
def identity(tmp_path_factory) -> str:
    """A bundle that gives frames back as they are."""
    return str(adding_bundle(tmp_path_factory.mktemp("bundles") / "identity", 0))


@pytest.fixture(scope="session")
def adding(tmp_path_factory) -> str:
    """A bundle that adds 10 grey levels."""
    return str(adding_bundle(tmp_path_factory.mktemp("bundles") / "adding", 10))


@pytest.fixture(scope="session")
def make_video():
    """Writes a video with PyAV alone, independent of the project's own sinks."""
    av = pytest.importorskip("av")

    def make(
        path: Path,
        pictures: list[np.ndarray],
        *,
        stamps: list[int] | None = None,
        time_base: Fraction = Fraction(1, 30),
        matrix: int = 1,
        full_range: bool = False,
        sound: bool = False,
        sound_codec: str = "aac",
        codec: str = "libx264",
        quality: str = "10",
    ) -> Path:
        with av.open(str(path), "w") as container:
            video = container.add_stream(codec, rate=30)
            video.height, video.width = pictures[0].shape[:2]
            video.pix_fmt = "yuv420p"
            video.codec_context.time_base = time_base
            video.codec_context.max_b_frames = 0
            video.codec_context.colorspace = matrix
            video.codec_context.color_range = 2 if full_range else 1
            if codec == "libx264":
                video.options = {"crf": quality, "preset": "ultrafast"}
            audio = container.add_stream(sound_codec, rate=48000, layout="mono") if sound else None
            container.start_encoding()
            for number, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                    format="yuv420p",
                    interpolation="FAST_BILINEAR",  # the default tints grey in full range by its rounding
                    src_color_range=2,
                    dst_colorspace={1: 1, 6: 5}[matrix],
                    dst_color_range=2 if full_range else 1,
                )
                frame.pts = stamps[number] if stamps else number
                frame.time_base = time_base
                container.mux(video.encode(frame))
                if audio is not None:
                    tone = np.sin(np.arange(1600) * 0.06 + 1600 * number)[None].astype(np.float32)
                    if audio.format.name == "s16":
                        tone = (32000 * tone).astype(np.int16)
                    block = av.AudioFrame.from_ndarray(tone, format=audio.format.name, layout="mono")
                    block.sample_rate, block.pts = 48000, 1600 * number
                    container.mux(audio.encode(block))
            container.mux(video.encode(None))
            if audio is not None:
                container.mux(audio.encode(None))
        return path

    return make


@pytest.fixture(scope="session")
def scenes() -> list[np.ndarray]:
    """Thirty smooth frames of 160x120 that move."""
    rows, columns = np.mgrid[0:120, 0:160].astype(np.float32)
    return [
        np.stack(
            [
                128 + 90 * np.sin((columns + 3 * number) / 25),
                128 + 90 * np.cos((rows - 2 * number) / 20),
                np.full_like(rows, 60 + 4 * number),
            ],
            axis=2,
        ).astype(np.uint8)
        for number in range(30)
    ]
