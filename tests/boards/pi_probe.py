"""Run by `pi.py` on both architectures: what does this interpreter's LiteRT answer to a bundle's golden frames?

    python pi_probe.py BUNDLE FOLDER KERNELS...

Writes each raw answer to FOLDER as .npy and prints one line of JSON: versions, and how the clear frames compare.
"""

import json
import platform
import sys
from pathlib import Path

import cv2
import numpy as np

from edge.apply import GridApply
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from targets.rpi import kernels
from targets.rpi.network import LiteRTNetwork, interpreter_module


def main(path: str, folder: str, families: list[str]) -> None:
    bundle = Bundle.read(path)
    size = bundle.manifest.input["width"], bundle.manifest.input["height"]
    found = {}
    for family in families:
        network = LiteRTNetwork(bundle, "CPU", 1, kernels=family)
        digests = kernels.digests(network.raw, *size)
        found[family] = kernels.family(bundle.manifest.notes["answers"], digests)
        for number, frame in enumerate(golden_frames(bundle)):
            for output, raw in enumerate(network.raw(GridApply(*size).reduce(frame))):
                np.save(Path(folder) / f"{family}-{number}-{output}.npy", raw)
    runtime, module = interpreter_module()
    with Dehazer(bundle, threads=1) as dehazer:
        largest = dehazer.verify()
    version = getattr(sys.modules[module.__name__.split(".")[0]], "__version__", "?")
    print(json.dumps({"runtime": runtime, "version": version, "machine": platform.machine(), "largest": largest,
                      "families": found}))  # fmt: skip


def golden_frames(bundle: Bundle) -> list[np.ndarray]:
    frames = (np.frombuffer(bundle.files[g.frame], np.uint8) for g in bundle.manifest.golden)
    return [cv2.cvtColor(cv2.imdecode(frame, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for frame in frames]


main(sys.argv[1], sys.argv[2], sys.argv[3:])
