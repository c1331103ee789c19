"""A process of its own for what only the first bundle of a process would pay."""

from edge.measure import fresh


def test_a_bundle_that_cannot_be_opened_tells_nothing(tmp_path):
    assert fresh.start(tmp_path / "nowhere", "auto", 1, (64, 48)) == fresh.Fresh(None, None)


def test_nothing_is_imported_before_the_clock_runs(python):
    done = python("-X", "importtime", "-c", "import edge.measure.fresh")
    assert done.returncode == 0
    assert not any(f"| {name}\n" in done.stderr for name in ("cv2", "numpy", "openvino", "onnxruntime"))
