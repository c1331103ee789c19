"""A bundle that was sealed again with a manifest of another model: refused when it is opened, in one line."""

from dataclasses import replace

import numpy as np
import pytest

import edge
import targets
from edge import command, run
from edge.bundle import Bundle, write_bundle
from edge.errors import BundleError
from edge.exporting.assembly import assembled
from edge.pictures import write_picture

DEVICES = {"openvino": "CPU", "onnx": "CPU", "jetson": "CPU"}
SMALLER = {"width": 20, "height": 15}


@pytest.fixture(scope="module", params=DEVICES)
def grid(request, grid_source) -> Bundle:
    return assembled(grid_source, targets.load(request.param), targets.BuildOptions("fp32"))


@pytest.fixture(scope="module", params=DEVICES)
def frame(request, frame_source) -> Bundle:
    return assembled(frame_source, targets.load(request.param), targets.BuildOptions("fp32"))


def altered(bundle: Bundle, **changes) -> Bundle:
    """The bundle as it would be read where somebody altered its manifest and sealed it again."""
    return Bundle.assemble(replace(bundle.manifest, **changes), bundle.files, "altered")


def refusal(bundle: Bundle) -> str:
    with pytest.raises(BundleError) as refused:
        edge.Dehazer(bundle, DEVICES[bundle.manifest.target])
    said = str(refused.value)
    assert said.startswith("altered: manifest.json tells of") and "\n" not in said
    return said


def test_another_input_size_than_the_models_is_refused(grid):
    assert "an input of 20x15 pixels, its model takes the shape [30, 40, 3]" in refusal(
        altered(grid, input={**grid.manifest.input, **SMALLER})
    )


def test_width_and_height_exchanged_are_refused(grid):
    assert "30x40" in refusal(altered(grid, input={**grid.manifest.input, "width": 30, "height": 40}))


def test_another_number_of_cells_than_the_models_is_refused(grid):
    cell, airlight = grid.manifest.outputs
    said = refusal(altered(grid, outputs=({**cell, "shape": [6, 8, 7]}, airlight)))
    assert "an answer of the shape [6, 8, 7], its model gives [30, 40, 7]" in said


def test_other_outputs_than_the_models_are_refused(grid):
    cell, airlight = grid.manifest.outputs
    assert "3 outputs, its model has 2" in refusal(altered(grid, outputs=(cell, airlight, cell)))
    refusal(altered(grid, outputs=(airlight, cell)))
    refusal(altered(grid, outputs=({**cell, "shape": "wide"}, airlight)))


def test_a_grid_model_is_not_taken_for_a_frame_model(grid):
    assert "a frame model" in refusal(altered(grid, kind="frame"))


def test_a_frame_model_is_not_taken_for_a_grid_model(frame):
    form = {"coefficients": edge.coefficients.FORM}
    assert "a grid model" in refusal(altered(frame, kind="grid", model={**frame.manifest.model, **form}))


def test_what_was_not_altered_opens_and_clears(grid, frame):
    picture = np.full((30, 40, 3), 90, np.uint8)
    for bundle in (grid, frame):
        with edge.Dehazer(bundle, DEVICES[bundle.manifest.target]) as dehazer:
            assert dehazer(picture).shape == picture.shape


@pytest.mark.parametrize("name", ["run", "bench"])
def test_commands_tell_it_in_one_line(name, grid, tmp_path, capsys):
    wrong = altered(grid, input={**grid.manifest.input, **SMALLER})
    path = write_bundle(tmp_path / "bundle", wrong.manifest, wrong.files)
    write_picture(tmp_path / "hazy.png", np.full((30, 40, 3), 90, np.uint8))
    from edge import bench

    call = {
        "run": (run.main, ["--source", str(tmp_path / "hazy.png"), "--sink", str(tmp_path / "clear")]),
        "bench": (bench.main, ["--quick", "--out", str(tmp_path / "measurements")]),
    }
    main, more = call[name]
    assert command.run(main, [str(path), "--device", "CPU", *more]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"edge.{name}: {path}: manifest.json tells of an input of 20x15 pixels")
