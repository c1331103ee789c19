"""The table of a model card: every set has its row, and what is kept bit for bit counts as 100 dB."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from benchmarks import quality


@pytest.fixture
def data(tmp_path):
    """One or two pairs in each folder; the hazy picture of a pair is its clear one, brighter by 20 or 40 levels."""
    rng = np.random.default_rng(1)
    names = {
        "outdoor_val": ["0001_0.8_0.1", "0002_1_0.2"],
        "indoor_val": ["1400_5"],
        "real_test": ["nhhaze51", "ohaze41", "ihaze26", "dense51"],
        "clear_aerial": ["snowpeak1", "seneca1"],
    }
    for folder, pictures in names.items():
        for number, name in enumerate(pictures):
            clear = rng.integers(0, 200, (24, 32, 3), np.uint8)
            if folder == "clear_aerial":
                (tmp_path / folder).mkdir(exist_ok=True)
                cv2.imwrite(str(tmp_path / folder / f"{name}.png"), clear)
                continue
            for kind, picture, stem in (("hazy", clear + 20 * (number % 2 + 1), name), ("clear", clear, name)):
                (tmp_path / folder / kind).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / folder / kind / f"{stem.split('_')[0]}.png"), picture)
    return tmp_path


def test_every_set_has_its_row_and_the_real_ones_their_mean(data):
    lines = quality.table(lambda frame: frame, data).splitlines()
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("|")}
    zeros = np.zeros((8, 8), np.uint8)
    by_20, by_40 = (peak_signal_noise_ratio(zeros, zeros + level) for level in (20, 40))
    assert f"| {by_20:.2f} | {by_20:.2f} |" in rows["NH-HAZE 51-55"], "a single picture has no interval"
    assert f"**{(by_20 + by_40) / 2:.2f}**" in rows["`real_test`: mean of the four"]
    assert f"| 2 | {(by_20 + by_40) / 2:.2f} | {(by_20 + by_40) / 2:.2f} [" in rows["`outdoor_val`, SOTS outdoor"]
    assert "| 1 | – | 100.00 |" in rows["a drone's flight that was not trained on, kept"]
    assert "100.00" in rows["clear pictures of `indoor_val`, kept"]


def test_the_flight_is_hazed_thin_and_thick_and_more_with_the_distance(data):
    """Koschmieder's law in float64: 61 % of the light comes through at the bottom of the picture, 20 % at its top."""
    clear = cv2.imread(str(data / "clear_aerial" / "snowpeak1.png"))
    growing = np.exp(-np.linspace(1.6, 0.5, 24))[:, None, None]
    expected = []
    for light_through in (np.exp(-0.5), np.exp(-1.6), growing):
        hazy = np.rint(clear * light_through + 0.8 * 255 * (1 - light_through)).astype(np.uint8)
        expected.append(peak_signal_noise_ratio(clear, hazy))
    lines = quality.table(lambda frame: frame, data).splitlines()
    (row,) = (line for line in lines if line.startswith("| haze laid over a drone's flight |"))
    assert f"| 3 | {np.mean(expected):.2f} | {np.mean(expected):.2f}" in row


def test_the_worst_picture_that_is_to_be_kept_is_told(data):
    """All brighter by 5, the darkest pictures of the flight by 50: a mean would hide it."""

    def brighter(frame: np.ndarray) -> np.ndarray:
        return frame + np.uint8(50 if frame.max() < 20 else 5)

    cv2.imwrite(str(data / "clear_aerial" / "snowpeak2.png"), np.full((24, 32, 3), 10, np.uint8))
    told = quality.table(brighter, data).splitlines()[-1]
    zeros = np.zeros((8, 8), np.uint8)
    by_5, by_50 = (peak_signal_noise_ratio(zeros, zeros + level) for level in (5, 50))
    assert f"{by_5:.2f} dB (clear pictures of `outdoor_val`)" in told
    assert f"{by_50:.2f} dB (a drone's flight that was not trained on)" in told
