"""TensorRT-RTX parses and builds the Jetson's ONNX files, without a GPU.

It has TensorRT's parser and its rules for quantization, and is built here by the project's own `build_engine`; but it
is not the TensorRT of a Jetson, and it cannot build for a Jetson's own GPU (SM 8.7): SM 8.6 stands for it. Its
licence allows use, not redistribution: it is fetched by the proof and never shipped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.boards.ground import REPOSITORY, Bundles, ProofFailed, made, run

VERSION = "1.7.1.116"
PACKAGES = [f"tensorrt-rtx-cu12-libs=={VERSION}", f"tensorrt-rtx-cu12-bindings=={VERSION}"]

BUILD = """
import json, sys
import numpy as np
import tensorrt_rtx_libs, tensorrt_rtx_bindings as trt
from edge.errors import EdgeError
from targets.jetson.engine import build_engine

def for_ampere(config):
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)

try:
    engine = build_engine(trt, open(sys.argv[1], "rb").read(), sys.argv[2], for_ampere)
    print(json.dumps({"version": trt.__version__, "bytes": len(engine)}))
except EdgeError as error:
    print(json.dumps({"version": trt.__version__, "refused": str(error)}))
"""


def set_up() -> Path:
    def make(folder: Path) -> None:
        run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder / "site", *PACKAGES)

    return made("tensorrt-rtx", f"{PACKAGES} python {sys.version_info[:2]}", make) / "site"


def prove(site: Path, bundles: Bundles) -> Iterator[str]:
    for precision in ("int8", "fp16"):
        bundle = bundles.get("jetson", precision)
        answer = _build(site, bundle / "model.onnx", precision)
        if "refused" in answer:
            raise ProofFailed(f"{bundle.name}: {answer['refused']}")
        yield (
            f"TensorRT-RTX {answer['version']} for SM 8.6, {bundle.name}: parsed and built, "
            f"{answer['bytes'] / 1e6:.1f} MB"
        )
    # The proof can fail: the asymmetric file made for processors is one that TensorRT does not take.
    other = bundles.get("onnx")
    answer = _build(site, other / "model.onnx", "int8")
    if "refused" not in answer:
        raise ProofFailed(f"{other.name} should be refused, for its zero points; TensorRT-RTX built it")
    yield f"TensorRT-RTX {answer['version']}, {other.name} (asymmetric uint8): refused, as it should be"


def _build(site: Path, model: Path, precision: str) -> dict[str, str | int]:
    path = f"{site}:{REPOSITORY}"
    out = run(sys.executable, "-c", BUILD, model, precision, env={"PYTHONPATH": path})
    return json.loads(out.splitlines()[-1])
