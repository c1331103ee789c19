"""docs/python.md: its examples run, in the order in which they stand there, and say what they are said to."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.fixture
def place(tmp_path, monkeypatch, openvino_bundle):
    """A folder with what the page's examples name."""
    av = pytest.importorskip("av")
    shutil.copytree(openvino_bundle, tmp_path / "edge-m-openvino-int8")
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "hazy.jpg"), cv2.resize(rng.integers(90, 200, (6, 8, 3), np.uint8), (160, 120)))
    with av.open(str(tmp_path / "flight.mp4"), "w") as video:
        stream = video.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for level in range(100, 112):
            picture = av.VideoFrame.from_ndarray(np.full((120, 160, 3), level, np.uint8), format="rgb24")
            video.mux(stream.encode(picture))
        video.mux(stream.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_example_of_the_page_runs(place, capsys):
    examples = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(examples) > 8
    names: dict = {}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)
    assert cv2.imread("clear.png").shape == (120, 160, 3)
    assert len(names["clear_ones"]) == 8
    assert names["times"] == pytest.approx([n / 10 for n in range(20)])
    assert {event.name for event in names["told"]} == {"broken_frame"}
    said = capsys.readouterr().out
    assert "11 0.44 (120, 160, 3)\n0\n2\n1 of 3 frames could not be done" in said
    assert "a frame is a uint8 RGB array" in said and "no NPU" in said
    names["dehazer"].close()
