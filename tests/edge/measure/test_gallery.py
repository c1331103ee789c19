"""Error maps lie between an artefact and float32 of the very model that it was made from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.measure import store
from edge.measure.accuracy import Before
from edge.measure.gallery import Gallery

FRAME = Before("frame", "", np.full((8, 8, 3), 100, np.uint8), np.full((8, 8, 3), 100, np.uint8))


@pytest.fixture
def come_by():
    """Bundles come by one after the other: gives what each in low precision was put next to in the end."""
    recorded = store.read(Path(__file__).parent / "data" / "version-1.json")

    def run(*bundles):
        gallery, against = Gallery(None), {}
        for name, precision, target, mirrored in bundles:
            model = {"checkpoint_sha256": "c" * 64, **({} if mirrored is None else {"mirrored": mirrored})}
            subject = replace(recorded.subject, name=name, digest=name, model=model, precision=precision, target=target)
            measured = gallery.add(lambda frame: frame, replace(recorded, subject=subject), FRAME)
            for _, low in gallery.compare_with_float(measured, Path(name)):
                against[low.subject.name] = low.against_float.against
        return against

    return run


def test_a_model_that_looks_once_is_not_put_next_to_one_that_looks_twice(come_by):
    once, twice = ("once", "fp32", "onnx", False), ("twice", "fp32", "onnx", True)
    assert come_by(twice, ("low", "int8", "onnx", False)) == {}
    assert come_by(once, ("low", "int8", "onnx", True)) == {}
    assert come_by(twice, once, ("low", "int8", "onnx", False)) == {"low": "once"}


def test_a_bundle_from_before_there_were_two_looks_looks_once(come_by):
    assert come_by(("old", "fp32", "onnx", None), ("low", "int8", "onnx", False)) == {"low": "old"}


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0)])
def test_float_of_the_same_target_is_preferred_whenever_it_comes_by(come_by, order):
    bundles = [
        ("theirs", "fp32", "onnx", False),
        ("ours", "fp32", "openvino", False),
        ("low", "int8", "openvino", False),
    ]
    assert come_by(*(bundles[i] for i in order)) == {"low": "ours"}


def test_float_of_another_target_serves_where_there_is_no_other(come_by):
    assert come_by(("low", "int8", "openvino", False), ("theirs", "fp32", "onnx", False)) == {"low": "theirs"}
