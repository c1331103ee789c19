"""A mistake in a run's configuration is named, with what would be right."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.config import ConfigError, RunConfig, parse, read_config
from training.source_settings import SETTINGS

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
CONFIGS = sorted((Path(__file__).parents[2] / "training" / "configs").glob("*.toml"))
LEAST = {"name": "x", "model": {"name": "grid"}, "training": {"steps": 1, "batch": 1, "size": [32, 24]}}


def changed(key: str, value: object) -> dict:
    """The least configuration with one value set, by its dotted name."""
    table: dict = {name: dict(item) if isinstance(item, dict) else item for name, item in LEAST.items()}
    *parents, last = key.split(".")
    inner = table
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return table


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_of_the_project_is_right(path):
    read_config(path)


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_page_names_every_setting_of_every_kind_of_source_with_its_default(kind):
    cells = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{kind}` |")).split(" | ")
    told = dict(re.findall(r"`(\w+)`(?: \(([\d.]+))?", cells[2]))
    fields = {f.name: f.default for f in dataclasses.fields(SETTINGS[kind]) if f.name not in ("kind", "weight")}
    assert set(told) == set(fields)
    for name, default in fields.items():
        assert float(told[name]) == default if isinstance(default, int | float) else not told[name]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("training.lerning_rate", 1.0, "there is no training.lerning_rate; did you mean 'learning_rate'?"),
        ("trainning", {}, "there is no trainning; did you mean 'training'?"),
        ("training.steps", "many", "training.steps is 'many'; it takes a whole number"),
        ("training.steps", 2.5, "training.steps is 2.5; it takes a whole number"),
        ("training.steps", True, "training.steps is True; it takes a whole number"),
        ("training.steps", 0, "training.steps is 0; it is at least 1"),
        ("training.channels_last", 1, "training.channels_last is 1; it takes true or false"),
        ("training.size", [32], "training.size is [32]; it takes a list of 2"),
        ("training.size", ["a", 3], "training.size is 'a'; it takes a whole number"),
        ("training.learning_rate", "1e-3", "training.learning_rate is '1e-3'; it takes a number"),
        ("training.size", [10**6, 24], "training.size is 1000000; it is at most 16384"),
        ("training.batch", 10**9, "training.batch is 1000000000; it is at most 65536"),
        ("training.ema", 1.0, "training.ema is 1.0; it lies in [0, 1)"),
        ("training.stored", "fp61", "training.stored is 'fp61'; did you mean 'fp16'?"),
        ("training.precision", "bf32", "training.precision is 'bf32'; did you mean 'fp32'?"),
        ("model.name", "gird", "model.name is 'gird'; did you mean 'grid'?"),
        ("model", "grid", "model is 'grid'; it takes a table"),
        ("losses.l2", 1.0, "there is no losses.l2; did you mean 'l1'?"),
        ("losses.l1", 0.0, "every loss has weight 0"),
        ("losses.features", "strucure", "losses.features is 'strucure'; did you mean 'structure'?"),
        ("losses.ssim", -1.0, "losses.ssim is -1.0; it is at least 0"),
        ("validation.pairs", {"a": {"fold": "0/5"}}, "validation.pairs.a.folder is missing"),
        ("name", "../x", "it names a folder"),
        ("name", "x" * 300, "it names a folder"),
        ("validation.pairs", {"a/b": {"folder": "a"}}, "validation.pairs has a 'a/b'; it names a picture"),
        ("validation.pairs", {"a\n": {"folder": "a"}}, "it names a picture of the validation"),
        ("training.learning_rate", 1e200, "training.learning_rate is 1e+200; it lies in [0, 1]"),
        ("training.final_rate", 5.0, "training.final_rate is 5.0; it lies in [0, 1]"),
        ("losses.l1", 10**400, "it takes a finite number"),
        ("losses.l1", float("nan"), "losses.l1 is nan; it takes a finite number"),
        ("seed", -1, "seed is -1; it lies in [0, 4294967295]"),
        ("validation.pairs", {"a": {"folder": "a", "fold": "!5/5"}}, "a.fold is '!5/5'; "),
        ("validation.pairs", {"a": {"folder": "a", "limit": -1}}, "a.limit is -1; it is at least 0"),
    ],
)
def test_a_mistake_is_named(key, value, told):
    with pytest.raises(ConfigError) as raised:
        parse(changed(key, value), "run.toml")
    assert str(raised.value).startswith("run.toml: ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"kind": "pears"}, "sources.real.kind is 'pears'; did you mean 'pairs'?"),
        ({"kind": ["pairs"]}, "sources.real.kind is ['pairs']; did you mean 'pairs'?"),
        ({"smalest": 0.5}, "there is no sources.real.smalest; did you mean 'smallest'?"),
        ({"weight": "0.4"}, "sources.real.weight is '0.4'; it takes a number"),
        ({"weight": float("nan")}, "sources.real.weight is nan; it takes a finite number"),
        ({"weight": -1.0}, "sources.real.weight is -1.0; it is at least 0"),
        ({"vary": "x"}, "sources.real.vary is 'x'; it takes a number"),
        ({"smallest": 2.0}, "sources.real.smallest is 2.0; it lies in [0, 1]"),
        ({"limit": -1}, "sources.real.limit is -1; it is at least 0"),
        ({"leave_out": "5/5"}, "sources.real.leave_out is '5/5'; '5/5' is no fold: write k/n with k from 0 to n - 1"),
        ({"leave_out": "abc"}, "sources.real.leave_out is 'abc'; "),
        ({"kind": "clear", "folders": "pairs/clear"}, "sources.real.folders is 'pairs/clear'; it takes a list"),
    ],
)
def test_a_mistake_in_a_source_is_named_before_anything_is_read(setting, told):
    first = {"kind": "pairs", "folder": "pairs"} if setting.get("kind") != "clear" else {}
    with pytest.raises(ConfigError) as raised:
        parse(changed("sources.real", first | setting), "run.toml")
    assert str(raised.value).startswith(f"run.toml: {told}")


def test_pictures_too_small_for_the_quadruplets_features_are_refused():
    table = changed("losses.quadruplet", 0.1)
    table["training"]["size"] = [32, 8]
    with pytest.raises(ConfigError, match=r"losses\.quadruplet a side has at least 16 pixels"):
        parse(table, "run.toml")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_torch_does_not_take_is_refused_wherever_it_comes_from(seed):
    with pytest.raises(ConfigError, match=f"seed is {seed}; "):
        dataclasses.replace(parse(LEAST, "run.toml"), seed=seed)


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match=r"training\.batch is missing"):
        parse({**LEAST, "training": {"steps": 1, "size": [8, 8]}}, "run.toml")


@pytest.mark.parametrize("content", [None, b"name = ", b"\xff\xfe"], ids=["missing", "not TOML", "not text"])
def test_a_file_that_is_no_configuration_is_told(tmp_path, content):
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        read_config(path)


@settings(max_examples=40)
@given(
    steps=st.integers(1, 10**9),
    rate=st.floats(0, 1, allow_nan=False),
    names=st.lists(st.text("abcxyz", min_size=1, max_size=5), unique=True, max_size=4),
)
def test_a_configuration_comes_back_from_its_json_in_the_same_order(steps, rate, names):
    """The order of sources is part of what a seed draws."""
    table = changed("training.learning_rate", rate)
    table["training"]["steps"] = steps
    table["sources"] = {name: {"kind": "pairs", "folder": name} for name in names}
    config = parse(table, "x")
    again = RunConfig.from_json(config.to_json())
    assert again == config
    assert list(again.sources) == names
