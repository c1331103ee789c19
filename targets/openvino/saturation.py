"""INT8 weights whose products an x86 processor without VNNI does not clip.

Such a processor (before Cascade Lake, Alder Lake and Zen 4) multiplies bytes by VPMADDUBSW, which adds the products of
two neighbours, unsigned activations by signed weights, in 16 bits; what lies beyond is clipped without a word.
255 (w1 + w2) fits where no two neighbours of one sign reach more than 128 together. The usual remedy, 7 bits for all
weights, halves their steps for a worst case that most channels are far from: here each output channel gets just the
scale that its own neighbours ask for, when a model is loaded where it matters. A bundle stays as it was exported, and
other processors take it as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

MOST = 128  # what two neighbours may reach together: 255 * 128 = 32,640 of 32,767
ROUNDING = 1  # half a level for each of them
VNNI = {"avx512_vnni", "avx_vnni", "amx_int8"}


def has_vnni(root: Path = Path("/")) -> bool:
    """Whether this processor adds products of bytes in 32 bits, as far as Linux tells it; elsewhere it may not."""
    try:
        lines = (root / "proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and VNNI & set(line.split()) for line in lines)


def fit(model: Any) -> None:
    """Fit the convolutions of an `openvino.Model` whose weights are stored as int8 with a scale for each channel.

    What is grouped stays as it is: its products are not added in 16 bits.
    """
    from openvino import opset13 as ops

    for convolution in model.get_ops():
        if convolution.get_type_name() != "Convolution":
            continue
        scaled = convolution.input_value(1).get_node()
        if scaled.get_type_name() != "Multiply":
            continue
        widened, scale = (scaled.input_value(place).get_node() for place in (0, 1))
        if widened.get_type_name() != "Convert" or scale.get_type_name() != "Constant":
            continue
        levels = widened.input_value(0).get_node()
        if levels.get_type_name() != "Constant" or levels.data.dtype != np.int8:
            continue
        by_channel = (len(levels.data), *[1] * (levels.data.ndim - 1))
        if scale.data.size not in (1, len(levels.data)):
            continue
        fewer, larger = fitted(levels.data)
        grown = scale.data.astype(np.float32).reshape(-1, *by_channel[1:]) * larger.reshape(by_channel)
        widened.input(0).replace_source_output(ops.constant(fewer).output(0))
        scaled.input(1).replace_source_output(ops.constant(grown.astype(scale.data.dtype)).output(0))


def fitted(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of which no two neighbours reach more than `MOST`, and by how much larger each channel's steps are then.

    Args:
        levels: int8 (out, in, height, width), of a convolution that is not grouped.

    Returns:
        int8 as `levels`, and float32 (out,) of 1 or more.
    """
    larger = np.maximum(1, largest_pair(levels) / np.float32(MOST - ROUNDING))
    larger[largest_pair(levels) <= MOST] = 1
    return np.rint(levels / larger.reshape(-1, 1, 1, 1)).astype(np.int8), larger.astype(np.float32)


def largest_pair(levels: np.ndarray) -> np.ndarray:
    """What two neighbouring weights of one sign reach at most, (out,), of int8 levels (out, in, height, width).

    Neighbours are input channels of one place in the kernel, two by two: that is how they are laid side by side.
    """
    channels_last = levels.astype(np.int32).transpose(0, 2, 3, 1)
    even = np.pad(channels_last, ((0, 0), (0, 0), (0, 0), (0, channels_last.shape[3] % 2)))
    pairs = even.reshape(len(levels), -1, 2)
    return np.maximum(np.maximum(pairs, 0).sum(2), np.maximum(-pairs, 0).sum(2)).max(1)
