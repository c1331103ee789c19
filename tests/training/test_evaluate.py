"""Scores are what independent implementations say, and the command tells what is wrong."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from edge import command
from tests.training.test_export_onnx import lively
from training import evaluate, models
from training.baselines import dark_channel_prior
from training.checkpoint import save_checkpoint
from training.metrics import Mean, ciede2000, mean_of, pooled_psnr_db, scored_pair


def rgb(path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_the_hazy_input_scores_what_the_library_says(pairs_folder, tmp_path, capsys):
    out = tmp_path / "scores.json"
    assert evaluate.main(["--baseline", "hazy", "--data", str(pairs_folder), "--json", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    report = json.loads(out.read_text())
    for one in report["scores"]:
        hazy, clear = (rgb(pairs_folder / kind / f"{one['name']}.png") for kind in ("hazy", "clear"))
        assert one["psnr_db"] == pytest.approx(peak_signal_noise_ratio(clear, hazy), abs=1e-3)
        assert one["ciede2000"] == pytest.approx(deltaE_ciede2000(rgb2lab(hazy), rgb2lab(clear)).mean(), abs=1e-3)
    mean = report["mean"]["psnr_db"]
    assert mean["mean"] == pytest.approx(np.mean([one["psnr_db"] for one in report["scores"]]), abs=1e-3)
    assert mean["low"] <= mean["mean"] <= mean["high"]
    assert rgb(tmp_path / "scores.png").shape[2] == 3


def test_the_papers_protocol_pools_the_error_of_pictures_of_256_pixels(pairs_folder, tmp_path):
    out = tmp_path / "scores.json"
    call = ["--baseline", "hazy", "--data", str(pairs_folder), "--protocol", "paper256", "--json", str(out)]
    assert evaluate.main(call) == 0
    report = json.loads(out.read_text())
    squared = []
    for path in sorted((pairs_folder / "hazy").iterdir()):
        hazy, clear = (
            cv2.resize(rgb(pairs_folder / kind / path.name), (256, 256), interpolation=cv2.INTER_CUBIC).astype(float)
            for kind in ("hazy", "clear")
        )
        squared.append(((hazy - clear) ** 2).mean() / 255**2)
    assert report["protocol"] == "paper256"
    assert report["pooled_psnr_db"] == pytest.approx(-10 * np.log10(np.mean(squared)), abs=1e-3)


@pytest.mark.parametrize(("protocol", "shape"), [("full", (30, 40, 3)), ("paper256", (256, 256, 3))])
def test_a_pair_is_scored_as_the_protocol_takes_it(pairs_folder, protocol, shape):
    hazy, clear = (rgb(pairs_folder / kind / "1.png") for kind in ("hazy", "clear"))
    pair = scored_pair(lambda frame: frame // 2, hazy, clear, protocol)
    assert pair.hazy.shape == pair.dehazed.shape == pair.clear.shape == shape
    assert np.array_equal(pair.dehazed, pair.hazy // 2)
    assert pair.psnr_db == pytest.approx(peak_signal_noise_ratio(pair.clear, pair.dehazed), abs=1e-6)
    assert pooled_psnr_db([pair.squared_error]) == pytest.approx(pair.psnr_db, abs=1e-4)


def test_no_error_at_all_counts_as_100_db(pairs_folder):
    clear = rgb(pairs_folder / "clear" / "1.png")
    pair = scored_pair(lambda frame: frame, clear, clear, "full")
    assert (pair.psnr_db, pooled_psnr_db([pair.squared_error])) == (100, 100)


def test_a_checkpoint_is_scored(pairs_folder, tmp_path, capsys):
    configuration = {"width": 16, "height": 24, "columns": 32}
    model = lively(models.build("grid", configuration))
    checkpoint = save_checkpoint(tmp_path / "mine.safetensors", model, "grid", configuration)
    assert evaluate.main(["--checkpoint", str(checkpoint), "--data", str(pairs_folder), "--groups"]) == 0
    assert "| all | 3 |" in capsys.readouterr().out


@pytest.mark.parametrize("inside", ["", "clear"])
def test_clear_pictures_are_compared_with_themselves(pairs_folder, tmp_path, inside):
    """A folder of pairs or one of pictures; what is kept bit for bit counts as 100 dB."""
    out = tmp_path / "kept.json"
    call = ["--baseline", "hazy", "--kept", "--data", str(pairs_folder / inside), "--json", str(out)]
    assert evaluate.main(call) == 0
    assert [one["psnr_db"] for one in json.loads(out.read_text())["scores"]] == [100, 100, 100]
    prior = ["--baseline", "dark-channel", "--kept", "--data", str(pairs_folder / inside), "--json", str(out)]
    assert evaluate.main(prior) == 0
    for one in json.loads(out.read_text())["scores"]:
        clear = rgb(pairs_folder / "clear" / f"{one['name']}.png")
        expected = peak_signal_noise_ratio(clear, dark_channel_prior(clear))
        assert one["psnr_db"] == pytest.approx(expected, abs=1e-3)


def test_pairs_of_different_sizes_are_named(pairs_folder, capsys):
    cv2.imwrite(str(pairs_folder / "clear" / "1.png"), np.zeros((10, 10, 3), np.uint8))
    assert command.run(evaluate.main, ["--baseline", "hazy", "--data", str(pairs_folder)]) == 1
    told = capsys.readouterr().err
    assert "40x30 pixels and" in told and "10x10: a pair has one size" in told


def test_a_bad_checkpoint_is_one_line(pairs_folder, tmp_path, capsys):
    (tmp_path / "x.safetensors").write_bytes(b"cut")
    call = ["--checkpoint", str(tmp_path / "x.safetensors"), "--data", str(pairs_folder)]
    assert command.run(evaluate.main, call) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_results_take_the_place_of_nothing_that_is_read(pairs_folder, tmp_path, capsys):
    checkpoint = save_checkpoint(tmp_path / "x.safetensors", models.build("grid", {"width": 8}), "grid", {"width": 8})
    before = {path: path.read_bytes() for path in (checkpoint, *pairs_folder.rglob("*.png"))}
    for options, told in (
        (["--json", pairs_folder / "hazy" / "1.json"], "1.png is read for the scores and would be lost"),
        (["--json", tmp_path / "s.json", "--strip", pairs_folder / "clear" / "0.png"], "0.png is read for the scores"),
        (["--json", checkpoint], "x.safetensors is read for the scores"),
        (["--json", tmp_path / "s.png"], "scores and pictures would both be written to"),
        (["--json", "/"], "cannot write /: it is a folder"),
        (["--json", "."], "cannot write .: it is a folder"),
    ):
        call = ["--checkpoint", checkpoint, "--data", pairs_folder, *options]
        assert command.run(evaluate.main, [str(argument) for argument in call]) == 1
        error = capsys.readouterr()
        assert told in error.err and error.err.count("\n") == 1 and not error.out
    assert all(path.read_bytes() == content for path, content in before.items())


def test_fewer_than_one_thread_is_a_wrong_call(pairs_folder, capsys):
    with pytest.raises(SystemExit) as ended:
        evaluate.main(["--baseline", "hazy", "--data", str(pairs_folder), "--threads", "-1"])
    assert ended.value.code == 2
    assert "--threads: '-1' is not a whole number from 1" in capsys.readouterr().err


def test_colour_difference_is_taken_alike_in_strips():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 700, 9, 3), np.uint8)
    assert ciede2000(a, b) == pytest.approx(deltaE_ciede2000(rgb2lab(a), rgb2lab(b)).mean(), abs=1e-3)


@settings(max_examples=25)
@given(values=st.lists(st.floats(5, 40), min_size=2, max_size=30))
def test_the_interval_holds_the_mean_in_its_middle(values):
    mean = mean_of(values)
    assert mean.low - 1e-9 <= mean.mean <= mean.high + 1e-9
    assert mean.low + mean.high == pytest.approx(2 * mean.mean)


def test_a_single_picture_and_a_single_scene_have_no_interval():
    assert mean_of([17.0]) == Mean(17.0, None, None)
    assert str(mean_of([17.0, 18.0], ["a", "a"])) == "17.50"
    assert str(mean_of([17.0, 18.0], ["a", "b"])) == "17.50 [11.15, 23.85]"


def test_the_dark_channel_prior_clears_haze_that_follows_its_model():
    """A scene with dark patches everywhere, seen through even haze."""
    rng = np.random.default_rng(4)
    clear = cv2.resize(rng.random((24, 32, 3), np.float32) ** 2, (320, 240), interpolation=cv2.INTER_NEAREST)
    hazy = np.uint8(np.rint(255 * (clear * 0.5 + 0.85 * 0.5)))
    got = dark_channel_prior(hazy).astype(float) / 255
    assert np.abs(got - clear).mean() < 0.5 * np.abs(hazy / 255 - clear).mean()
