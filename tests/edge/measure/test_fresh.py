"""A process of its own for what only the first bundle of a process would pay."""

from edge.measure import fresh


def test_a_bundle_that_cannot_be_opened_has_no_memory(tmp_path):
    assert fresh.memory(tmp_path / "nowhere", "auto", 1, (64, 48)) is None


def test_looking_for_memory_imports_nothing_itself(python):
    done = python("-X", "importtime", "-c", "import edge.measure.fresh")
    assert done.returncode == 0
    assert not any(f"| {name}\n" in done.stderr for name in ("cv2", "numpy", "openvino", "onnxruntime"))
