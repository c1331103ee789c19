"""What an option's text means, and that the same mistake ends every command with the same exit status."""

import argparse
import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import command
from edge.arguments import frame_size, number_above, number_from, whole_from

TRAINING = ("--data", ".")
WRONG_NUMBERS = [
    ("edge.bench", "b", "--threads", "0"),
    ("edge.bench", "b", "--sustained", "inf"),
    ("edge.bench", "b", "--size", "0x480"),
    ("edge.deploy", "b", "h:d", "--keep", "0"),
    ("edge.export", "--max-drop", "nan"),
    ("edge.export", "--size", "640"),
    ("edge.report", "--budget", "-1"),
    ("edge.report", "--min-psnr", "nan"),
    ("edge.run", "b", "--source", "test:", "--frames", "0"),
    ("quantization.finetune", "--model", "m", "--steps", "0"),
    ("quantization.finetune", "--model", "m", "--learning-rate", "0"),
    ("quantization.sensitivity", "--pictures", "0"),
    ("quantization.sensitivity", "--size", "20000x1"),
    ("training.ablation", *TRAINING, "--seeds", "0"),
    ("training.evaluate", *TRAINING, "--baseline", "hazy", "--threads", "0"),
    ("training.export_onnx", "--checkpoint", "c", "--out", "o", "--size", "8x8"),
    ("training.narrow", "--checkpoint", "c", "--config", "c", "--out", "o", "--batches", "0"),
    ("training.paper", *TRAINING, "--steps", "0"),
    ("training.train", "--config", "c", "--seed", "4294967296"),
]
WRONG_CALLS = [
    ("edge.bench", "b", "--compare"),
    ("edge.deploy", "b", "host"),
    ("edge.deploy", "b", "h:d", "--service", "--snk shm:frames"),
    ("edge.export", "--precision", "fp32", "--ranges", "minmax"),
    ("edge.report", "--fail-if", "p90_ms >"),
    ("quantization.sensitivity", "--target", "rpi"),
    ("training.ablation", *TRAINING, "--only", "fulll"),
    ("training.committee", "one.safetensors", "--out", "o"),
    ("training.soup", "one.safetensors", "--out", "o"),
    ("training.soup", "a", "b", "--shares", "1", "--out", "o"),
]


def status(module: str, arguments: list[str]) -> object:
    try:
        return command.run(importlib.import_module(module).main, arguments)
    except SystemExit as ended:
        return ended.code


@pytest.mark.parametrize("call", WRONG_NUMBERS, ids=" ".join)
def test_a_number_that_cannot_be_ends_every_command_with_2_and_is_named(call, capsys):
    module, *arguments = call
    assert status(module, arguments) == 2
    assert f"argument {arguments[-2]}: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("call", WRONG_CALLS, ids=" ".join)
def test_arguments_that_say_nothing_together_end_every_command_with_2(call, capsys):
    module, *arguments = call
    assert status(module, arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


@given(st.integers(1, 16384), st.integers(1, 16384))
def test_a_size_is_width_and_height(width, height):
    assert frame_size(f"{width}x{height}") == frame_size(f"{width}X{height}") == (width, height)


@pytest.mark.parametrize("text", ["", "640", "640x", "x480", "640x480x3", "-1x5", "0x5", "16385x5", "\u0664x5"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a size such as 640x480"):
        frame_size(text)


@given(st.one_of(st.text(max_size=6), st.integers().map(str), st.floats().map(str)))
def test_a_number_is_within_its_bounds_or_refused(text):
    for kind, holds in (
        (whole_from(1), lambda value: value >= 1),
        (whole_from(0, 9), lambda value: 0 <= value <= 9),
        (number_from(0, 1.5), lambda value: 0 <= value <= 1.5),
        (number_above(0), lambda value: 0 < value < float("inf")),
    ):
        try:
            value = kind(text)
        except argparse.ArgumentTypeError as error:
            assert repr(text) in str(error)
        else:
            assert holds(value) and float(value) == float(text)


def test_a_refusal_tells_the_bounds():
    for kind, told in (
        (whole_from(1), "is not a whole number from 1$"),
        (whole_from(0, 9), "is not a whole number from 0 to 9$"),
        (number_from(0, 1.5), r"is not a number from 0 to 1\.5$"),
        (number_above(0), "is not a number above 0$"),
        (number_above(0, 1440), "is not a number above 0 and up to 1440$"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=told):
            kind("-1")
