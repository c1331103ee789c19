"""Training pictures: what each kind of source gives, that samples are a function of seed and number, and mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import quantization.ablation
import training.ablation
from edge.errors import EdgeError
from training import sources
from training.config import read_config
from training.places import fold_of, kept_pairs
from training.sources import build

SIZE = (32, 24)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Folders of every kind: pairs, clear pictures with depth, clear ones, photographs."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    for number in range(6):
        clear = cv2.resize(rng.integers(20, 200, (6, 8, 3), np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
        hazy = np.rint(0.5 * clear + 0.5 * 230).astype(np.uint8)
        depth = np.full((60, 80), 40, np.uint8)
        for folder, picture in {
            "pairs/hazy": hazy,
            "pairs/clear": clear,
            "deep/clear": clear,
            "deep/depth": depth,
            "clear": clear,
        }.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / folder / f"p{number}.png"), picture)
    return root


TABLES = {
    "pairs": {"kind": "pairs", "folder": "pairs"},
    "depth": {"kind": "depth", "folder": "deep"},
    "synthetic_pairs": {"kind": "synthetic_pairs", "folder": "pairs"},
    "clear": {"kind": "clear", "folders": ["clear"]},
    "aerial": {"kind": "aerial", "folders": ["clear"]},
    "transfer": {"kind": "transfer", "pairs": "pairs", "onto": ["clear"]},
    "identity": {"kind": "identity", "folders": ["clear"]},
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_gives_pictures_of_the_size_and_range(data, kind):
    dataset = build({kind: TABLES[kind]}, SIZE, 0, data)
    for number in range(12):
        *pictures, haze = dataset[number]
        assert haze.shape == (4, 24, 32) and haze.dtype == torch.float32
        for picture in pictures:
            assert picture.shape == (3, 24, 32) and picture.dtype == torch.float32
            assert picture.min() >= 0 and picture.max() <= 1


@pytest.mark.parametrize("kind", sorted(set(TABLES) - {"identity"}))
def test_haze_makes_pictures_brighter_and_flatter(data, kind):
    dataset = build({kind: TABLES[kind]}, SIZE, 0, data)
    samples = [dataset[number] for number in range(40)]
    assert np.mean([float(hazy.mean() - clear.mean()) for hazy, clear, _ in samples]) > 0.02
    assert np.mean([float(hazy.std() - clear.std()) for hazy, clear, _ in samples]) < 0


def test_without_haze_the_answer_is_the_picture_itself(data):
    hazy, clear, haze = build({"identity": TABLES["identity"]}, SIZE, 0, data)[3]
    assert torch.equal(hazy, clear)
    assert (haze[0] == 0).all()


@pytest.mark.parametrize("kind", ["depth", "synthetic_pairs", "clear", "aerial"])
def test_haze_that_was_laid_over_a_picture_is_told_with_it(data, kind):
    dataset = build({kind: TABLES[kind]}, SIZE, 0, data)
    for number in range(12):
        hazy, clear, haze = dataset[number]
        transmission = torch.exp(-haze[:1])
        expected = clear * transmission + haze[1:] * (1 - transmission)
        assert float((hazy - expected.clamp(0, 1)).abs().mean()) < 0.011  # the sensor's noise


@pytest.mark.parametrize("kind", ["pairs", "transfer"])
def test_the_haze_of_a_photograph_is_not_known(data, kind):
    assert torch.isnan(build({kind: TABLES[kind]}, SIZE, 0, data)[0][2]).all()


def test_photographs_without_a_clear_one_say_so(data):
    hazy, clear, _ = build({"x": {"kind": "unlabelled", "folders": ["clear"]}}, SIZE, 0, data)[0]
    assert torch.isfinite(hazy).all() and torch.isnan(clear).all()


def test_the_ground_below_a_drone_takes_other_colours_by_as_much_as_is_asked_for(data):
    def means(recolour: float) -> np.ndarray:
        dataset = build({"aerial": {**TABLES["aerial"], "recolour": recolour}}, SIZE, 2, data)
        return np.array([dataset[number][1].mean((1, 2)).numpy() for number in range(60)])

    def tints(recolour: float) -> np.ndarray:
        changed = np.log(means(recolour) / means(0))
        return changed - changed.mean(1, keepdims=True)

    little, much = tints(1), tints(3)
    assert 0 < little.std() < 0.5 * much.std()
    assert 15 < np.count_nonzero(np.abs(much).max(1) > 1e-6) < 45  # half of the samples


def from_above(tmp_path, picture: np.ndarray, **settings) -> list[np.ndarray]:
    """Clear pictures of forty samples (3, H, W) of ground that looks like that, in its own colours."""
    cv2.imwrite(str(tmp_path / "ground.png"), picture)
    table = {"kind": "aerial", "folders": ["."], "recolour": 0, **settings}
    dataset = build({"aerial": table}, SIZE, 2, tmp_path)
    return [dataset[number][1].numpy() for number in range(40)]


def test_the_ground_below_a_drone_is_turned_as_often_as_is_asked_for(tmp_path):
    bright_above = np.repeat(np.linspace(220, 40, 80).astype(np.uint8)[:, None, None], 80, 1).repeat(3, 2)

    def upright(clear: np.ndarray) -> bool:
        return clear[:, :4].mean() > clear[:, -4:].mean() + 0.1

    assert all(map(upright, from_above(tmp_path, bright_above)))
    assert not any(map(upright, from_above(tmp_path, bright_above, turned=1)))
    assert 10 < sum(map(upright, from_above(tmp_path, bright_above, turned=0.5))) < 30


def test_the_ground_below_a_drone_is_seen_in_windows_as_small_as_is_asked_for(tmp_path):
    brighter_to_the_right = np.repeat(np.linspace(40, 220, 80).astype(np.uint8)[None, :, None], 80, 0).repeat(3, 2)

    def shown(smallest: float) -> float:
        windows = from_above(tmp_path, brighter_to_the_right, smallest=smallest)
        return min(np.ptp(window) for window in windows) * 255 / 180

    assert shown(0.55) > 0.4
    assert shown(0.1) < 0.25


SYNTHESIZED = ["depth", "synthetic_pairs", "clear", "aerial", "transfer"]


@pytest.mark.parametrize("kind", SYNTHESIZED)
def test_noise_before_the_haze_is_thinner_the_thicker_the_haze(data, kind, monkeypatch):
    """And the answer has none."""
    dataset = build({kind: {**TABLES[kind], "noise": 1.0}}, SIZE, 3, data)
    samples = []
    for most in (0.0, 0.2):
        monkeypatch.setattr(sources, "SCENE_NOISE", most)
        samples.append([dataset[number] for number in range(8)])
    for (hazy, clear, haze), (noisy, still_clear, _) in zip(*samples, strict=True):
        assert torch.equal(clear, still_clear)
        assert not torch.equal(hazy, noisy)
        if torch.isfinite(haze).all():  # of transferred haze nobody knows the thickness
            assert float((noisy - hazy).std()) <= 0.2 * float(torch.exp(-haze[0]).mean()) + 0.01


@pytest.mark.parametrize("kind", SYNTHESIZED)
def test_jpeg_after_the_haze_leaves_its_blocks_in_the_hazy_picture_only(data, kind):
    plain, stored = (build({kind: {**TABLES[kind], "jpeg": share}}, SIZE, 3, data) for share in (0.0, 1.0))
    for number in range(4):
        (hazy, clear, _), (decoded, still_clear, _) = plain[number], stored[number]
        assert torch.equal(clear, still_clear)
        assert 0 < float((decoded - hazy).abs().mean()) < 0.05
        np.testing.assert_allclose(decoded * 255, (decoded * 255).round(), atol=1e-4)  # 8 bits, as a file holds them
        assert torch.equal(decoded, stored[number][0])


def test_samples_are_a_function_of_seed_and_number(data):
    first, second = (build(TABLES, SIZE, 7, data) for _ in range(2))
    for number in (11, 3, 11, 99):
        for a, b in zip(first[number], second[number], strict=True):
            assert torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))
    assert not torch.equal(first[11][0], build(TABLES, SIZE, 8, data)[11][0])


def test_sources_are_drawn_by_their_weights(data):
    tables = {"a": {**TABLES["identity"], "weight": 1}, "b": {**TABLES["depth"], "weight": 3}}
    dataset = build(tables, SIZE, 1, data)
    unchanged = np.mean([torch.equal(*dataset[number][:2]) for number in range(400)])
    assert unchanged == pytest.approx(0.25, abs=0.07)


def test_the_haze_of_a_pair_is_found_again():
    rng = np.random.default_rng(0)
    clear = rng.random((60, 80, 3)).astype(np.float32) * 0.6
    transmission = np.full((60, 80, 1), 0.4, np.float32)
    hazy = clear * transmission + 0.9 * (1 - transmission)
    haze = sources.synthesis.fitted_haze(hazy, clear)
    assert np.median(haze.transmission) == pytest.approx(0.4, abs=0.08)
    np.testing.assert_allclose(np.median(haze.over(clear) - hazy), 0, atol=0.02)
    thinner = haze.over(clear, 0.5)
    assert clear.mean() < thinner.mean() < hazy.mean()


@pytest.mark.parametrize("coefficient", [0.7, 1.0, 1.3])
def test_the_depth_behind_an_indoor_pair_is_found_even_behind_white_things(coefficient):
    rng = np.random.default_rng(1)
    clear = cv2.resize(rng.random((12, 16, 3)).astype(np.float32) * 0.8, (160, 120))
    depth = np.repeat(np.linspace(0.2, 1, 160, dtype=np.float32)[None], 120, axis=0)
    clear[40:60, 60:90] = 1.0  # white: haze of a white airlight cannot be seen before it
    transmission = np.exp(-coefficient * depth)[..., None]
    found = sources.synthesis.benchmark_depth(clear * transmission + 1 - transmission, clear)
    assert np.abs(found - depth).max() < 0.1
    assert np.abs(found - depth).mean() < 0.01


def test_benchmark_haze_lies_in_the_ranges_of_the_benchmark():
    depth = np.ones((4, 4), np.float32)
    outdoor, indoor = (
        [draw(np.random.default_rng(seed), depth) for seed in range(200)]
        for draw in (sources.synthesis.outdoor_benchmark_haze, sources.synthesis.indoor_benchmark_haze)
    )
    assert {round(float(light[0]), 2) for _, light in outdoor} == {0.8, 0.85, 0.9, 0.95, 1.0}
    assert min(t.max() for t, _ in outdoor) >= 0.06 and max(t.max() for t, _ in outdoor) <= 0.22
    assert min(t.max() for t, _ in indoor) >= 0.6 and max(t.max() for t, _ in indoor) <= 1.5
    thick = np.mean([light[0] for t, light in outdoor if t.max() > 0.18])
    assert thick < np.mean([light[0] for t, light in outdoor if t.max() < 0.1]) - 0.03  # they go together


@pytest.fixture
def places(data, tmp_path) -> Path:
    """The folders of the ablations' recipes; each picture of real/ is at a place of its own."""
    for folder, taken in {
        "real": "pairs",
        "outdoor": "deep",
        "indoor": "pairs",
        "clear_aerial": "clear",
        "real_hazy": "clear",
    }.items():
        shutil.copytree(data / taken, tmp_path / folder)
    (tmp_path / "real" / "places.txt").write_text("# none shares its place\n")
    shutil.copytree(data / "deep" / "depth", tmp_path / "real" / "depth")
    return tmp_path


@pytest.fixture
def read(monkeypatch) -> list[Path]:
    """The files that sources have read."""
    files: list[Path] = []
    readable = sources._readable

    def noted(rows, *more):
        rows = list(rows)
        files.extend(path for row in rows for path in row)
        return readable(rows, *more)

    monkeypatch.setattr(sources, "_readable", noted)
    return files


@pytest.mark.parametrize("kind", [*TABLES, "unlabelled"])
def test_no_kind_reads_a_picture_of_the_fold_that_is_left_out(places, read, kind):
    where = {
        "transfer": {"pairs": "real", "onto": ["clear_aerial", "real/clear"]},
        "unlabelled": {"folders": ["real/hazy"]},
        **{paired: {"folder": "real"} for paired in ("pairs", "depth", "synthetic_pairs")},
    }
    folders = where.get(kind, {"folders": ["real/clear"]})
    build({"mine": {"kind": kind, "leave_out": "0/3", **folders}}, SIZE, 0, places)
    left_out = {path for pair in kept_pairs(places / "real", "!0/3") for path in pair}
    assert left_out and read and left_out.isdisjoint(read)


@pytest.mark.parametrize("study", [training.ablation.STUDY, quantization.ablation.STUDY], ids=lambda study: study.name)
def test_no_variant_of_an_ablation_sees_the_places_that_it_is_measured_on(places, read, study):
    config = read_config(study.recipe)
    measured_on = kept_pairs(places / "real", config.validation.pairs["places"].fold)
    for name, variant in study.variants.items():
        read.clear()
        build(variant.change(config).sources, SIZE, 0, places)
        seen = {path for pair in measured_on for path in pair} & set(read)
        assert read and not seen, name


def test_a_source_whose_pictures_are_all_left_out_says_so(places):
    names = " ".join(f"p{number}" for number in range(6))
    (places / "real" / "places.txt").write_text(f"{names}\n")
    held = fold_of("p0", places / "real", 2)
    for table in ({"kind": "depth", "folder": "real"}, {"kind": "identity", "folders": ["real/clear"]}):
        with pytest.raises(EdgeError, match="`leave_out`"):
            build({"mine": {**table, "leave_out": f"{held}/2"}}, SIZE, 0, places)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "pears", "folder": "pairs"}, "sources.mine.kind is 'pears'; did you mean 'pairs'"),
        ({"kind": "pairs", "folder": "pairs", "wieght": 2}, "no sources.mine.wieght; did you mean 'weight'"),
        ({"kind": "clear", "folders": ["nowhere"]}, "nowhere"),
        ({"kind": "pairs", "folder": "pairs", "weight": 0}, "weight"),
    ],
)
def test_a_mistake_in_a_source_is_named(data, table, words):
    with pytest.raises(EdgeError, match=words):
        build({"mine": table}, SIZE, 0, data)


def test_broken_pictures_are_named_at_the_start_and_the_rest_is_used(data, tmp_path, capsys):
    shutil.copytree(data / "pairs", tmp_path / "pairs")
    cut = min((tmp_path / "pairs" / "hazy").iterdir())
    cut.write_bytes(cut.read_bytes()[:40])
    whole = build({"mine": {"kind": "pairs", "folder": "pairs"}}, SIZE, 0, tmp_path)
    assert cut.name in capsys.readouterr().err
    assert torch.isfinite(whole[0][0]).all()


def test_a_picture_that_was_cut_short_is_named_and_not_trained_on_half_grey(data, tmp_path, capsys):
    shutil.copytree(data / "pairs", tmp_path / "pairs")
    cut = tmp_path / "pairs" / "hazy" / "p0.jpg"
    cut.with_suffix(".png").unlink()
    content = cv2.imencode(".jpg", np.random.default_rng(2).integers(0, 255, (60, 80, 3), np.uint8))[1].tobytes()
    cut.write_bytes(content[: len(content) // 2])
    build({"mine": TABLES["pairs"]}, SIZE, 0, tmp_path)
    assert f"left out: {cut} is damaged" in capsys.readouterr().err


def test_a_scene_that_cannot_be_used_is_named_and_the_rest_is_used(data, tmp_path, capsys):
    shutil.copytree(data / "deep", tmp_path / "deep")
    clear, depth = tmp_path / "deep" / "clear", tmp_path / "deep" / "depth"
    (clear / "p0.png").write_bytes(b"")
    (depth / "p1.png").write_bytes((depth / "p1.png").read_bytes()[:60])
    (depth / "p2.png").unlink()
    cv2.imwrite(str(depth / "p3.png"), cv2.rotate(cv2.imread(str(depth / "p3.png")), cv2.ROTATE_90_CLOCKWISE))
    cv2.imwrite(str(depth / "p4.png"), np.full((30, 40), 40, np.uint8))  # half as large as its scene
    (clear / "._p5.png").write_bytes(b"what another system keeps beside a file")
    dataset = build({"mine": TABLES["depth"]}, SIZE, 0, tmp_path)
    told = capsys.readouterr().err.splitlines()
    assert ["p0.png is empty" in told[0], "p1.png" in told[1], "p2.png does not exist" in told[2]] == [True] * 3
    assert "p3.png has 60x80 pixels" in told[3] and len(told) == 4
    assert torch.isfinite(dataset[0][0]).all()


def test_pictures_of_two_sizes_are_no_pair_even_if_they_are_reduced_to_one(data, tmp_path, capsys):
    shutil.copytree(data / "pairs", tmp_path / "pairs")
    for folder, side in (("hazy", 400), ("clear", 200)):
        cv2.imwrite(str(tmp_path / "pairs" / folder / "p0.png"), np.full((side, side, 3), 99, np.uint8))
    build({"mine": TABLES["pairs"]}, SIZE, 0, tmp_path)
    assert "a pair has one size" in capsys.readouterr().err


def test_pictures_are_found_by_every_ending_that_is_read(data, tmp_path):
    (tmp_path / "clear").mkdir()
    cv2.imwrite(str(tmp_path / "clear" / "p.tiff"), np.full((60, 80, 3), 99, np.uint8))
    assert build({"mine": TABLES["identity"]}, SIZE, 0, tmp_path)[0][0].shape == (3, 24, 32)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1)])
def test_pictures_that_are_thinner_than_a_pixel_when_reduced_keep_one(tmp_path, kind, shape):
    for folder in ("pairs/hazy", "pairs/clear", "deep/clear", "deep/depth", "clear"):
        (tmp_path / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / "p0.png"), np.full((*shape, 3), 99, np.uint8))
    for planes in build({kind: TABLES[kind]}, SIZE, 0, tmp_path)[0]:
        assert planes.shape[1:] == (24, 32)


def test_an_empty_list_of_folders_is_told(data):
    with pytest.raises(EdgeError, match="a source has an empty list of folders"):
        build({"mine": {"kind": "identity", "folders": []}}, SIZE, 0, data)


def test_nothing_but_broken_pictures_is_an_error(data, tmp_path):
    (tmp_path / "clear").mkdir()
    (tmp_path / "clear" / "cut.png").write_bytes((data / "clear" / "p0.png").read_bytes()[:40])
    with pytest.raises(EdgeError, match=r"cut\.png"):
        build({"mine": {"kind": "identity", "folders": ["clear"]}}, SIZE, 0, tmp_path)
