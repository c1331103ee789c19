"""A target from another installed package works everywhere that the project's own do, by its entry point alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.pictures import read_picture, write_picture

PACKAGE = Path(__file__).parents[1] / "third_party_target"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Environment variables under which the package is installed beside this project."""
    pytest.importorskip("setuptools", minversion="77")  # as both packages ask; older ones cannot build them alone
    folder = tmp_path_factory.mktemp("third-party")
    shutil.copytree(PACKAGE, folder / "source")  # a build leaves files beside its source
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", folder / "site"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, install), str(folder / "source")], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return {**os.environ, "PYTHONPATH": str(folder / "site")}


@pytest.fixture(scope="module")
def foreign_bundle(installed, grid_source, python, tmp_path_factory):
    place = tmp_path_factory.mktemp("bundle") / "foreign"
    call = ["--target", "opencv-dnn", "--precision", "fp32", "--model", grid_source.onnx, "--out", place]
    done = python("-m", "edge.export", *call, env=installed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(place)
    return place


def test_export_offers_it_and_names_it_in_the_manifest(foreign_bundle, installed, python):
    assert Bundle.read(foreign_bundle).manifest.target == "opencv-dnn"
    assert "opencv-dnn" in python("-m", "edge.export", "--help", env=installed).stdout


def test_run_gives_the_frames_that_the_projects_own_target_gives(
    foreign_bundle, grid_bundle, installed, python, tmp_path
):
    frame = np.random.default_rng(3).integers(0, 256, (57, 83, 3), np.uint8)
    write_picture(tmp_path / "hazy.png", frame)
    done = python("-m", "edge.run", foreign_bundle, "--source", tmp_path / "hazy.png", "--sink", tmp_path / "clear",
                  env=installed)  # fmt: skip
    assert done.returncode == 0, done.stderr
    with Dehazer(grid_bundle, threads=1) as dehazer:
        expected = dehazer(frame)
    clear = read_picture(tmp_path / "clear" / "hazy.png")[0]
    assert np.abs(clear.astype(int) - expected).max() <= 1


def test_a_precision_that_it_does_not_have_is_refused(installed, grid_source, python, tmp_path):
    call = ["--target", "opencv-dnn", "--precision", "int8", "--model", grid_source.onnx, "--out", tmp_path / "b"]
    done = python("-m", "edge.export", *call, env=installed)
    assert done.returncode == 2 and "fp32" in done.stderr and not (tmp_path / "b").exists()


def test_where_the_package_is_not_installed_the_bundle_says_so(foreign_bundle, python, tmp_path):
    write_picture(tmp_path / "hazy.png", np.zeros((9, 9, 3), np.uint8))
    done = python("-m", "edge.run", foreign_bundle, "--source", tmp_path / "hazy.png", "--sink", tmp_path / "clear")
    assert done.returncode == 1
    assert "opencv-dnn" in done.stderr and "Traceback" not in done.stderr
