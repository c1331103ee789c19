"""From a float ONNX file to an OpenVINO IR: quantized by NNCF where asked for, then uint8 NHWC at the border."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edge import command
from edge.errors import EdgeError
from quantization.layers import entrances, exits, grouped_reductions, heads, left_out, pooled
from quantization.ranges import BEST, PERCENTILE
from targets import Artefact, BuildOptions
from targets.openvino.files import WEIGHTS, XML
from targets.openvino.groups import without_left_over
from targets.openvino.runtime import import_nncf, import_openvino
from targets.source import SourceModel

WEIGHTED = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")


def build(model: SourceModel, options: BuildOptions) -> Artefact:
    """See `targets.Target.build`."""
    ov = import_openvino()
    tools = {"openvino": version("openvino")}
    notes: dict[str, Any] = {}
    ir = ov.convert_model(model.onnx)
    if options.precision == "int8" and options.quantizer == "inc":
        from quantization import inc

        made, notes, distributions = inc.quantized(model, options)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "model.onnx").write_bytes(made.SerializeToString())
            ir = ov.convert_model(Path(folder, "model.onnx"))
        tools |= {name: version(name) for name in distributions}
    elif options.precision == "int8":
        ir, notes = _quantized(ir, model, options)
        tools["nncf"] = version("nncf")
    # Only now: a border that is there before makes the quantizer see uint8 pictures, and the result half again as slow.
    options.say("uint8 RGB at the border")
    ir = _with_uint8_border(ov, ir, model.card.kind)
    _number(ir)
    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(ir, Path(folder, XML), compress_to_fp16=options.precision == "fp16")
        files = {name: Path(folder, name).read_bytes() for name in (XML, WEIGHTS)}
    return Artefact(files, tools, notes)


def _quantized(ir: Any, model: SourceModel, options: BuildOptions) -> tuple[Any, dict[str, Any]]:
    if options.quantizer != "default":
        raise EdgeError(
            f"the openvino target has no quantizer {options.quantizer!r}; choose inc, or leave it out for NNCF"
        )
    nncf = import_nncf()
    nncf.set_log_level(40)  # errors only
    without_left_over(ir)
    graph = command.require("onnx", "export").load(model.onnx)
    # The last layers of a grid model put out logarithms of gains: around gain 1 every step of an INT8 grid shows.
    # They are convolutions on few channels, and so are those just before them; they cost next to nothing in float. What
    # the first layers round, all others see: 8 bits of a whole picture's range are coarse for the difference between
    # clear air and thin haze; and what is told of the whole picture, all pixels feel.
    grid = model.card.kind == "grid"
    parts = (heads, exits, entrances, grouped_reductions, pooled) if grid else ()
    own = [name for part in parts for name in part(graph)]
    kept = tuple(dict.fromkeys((*own, *options.float_layers)))
    options.say(f"INT8 by NNCF from {len(options.calibration)} pictures; in float: {', '.join(kept) or 'none'}")
    method = options.ranges or BEST[model.card.kind]
    # Its progress bars go to standard output, where our last line is a path.
    with contextlib.redirect_stdout(sys.stderr if sys.stderr.isatty() else io.StringIO()):
        quantized = nncf.quantize(
            ir,
            nncf.Dataset(options.calibration, _as_input),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(options.calibration),
            ignored_scope=nncf.IgnoredScope(names=_operations(ir, graph, left_out(graph, kept))) if kept else None,
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=_estimator(method)
            ),
        )
    return quantized, {"float_layers": list(kept), "ranges": method}


def _estimator(ranges: str) -> Any:
    """How NNCF takes ranges. Its own default is the mean of the pictures' extremes: that cuts off what only few
    pictures have, such as the densities of clear ones, and cost them 10 dB."""
    import nncf.quantization.range_estimator as estimator

    if ranges == "minmax":
        return estimator.RangeEstimatorParametersSet.MINMAX
    if ranges == "percentile":
        kind, cut = estimator.StatisticsType.QUANTILE, (100 - PERCENTILE) / 100
        least, most = (
            estimator.StatisticsCollectorParameters(kind, aggregator, quantile_outlier_prob=cut)
            for aggregator in (estimator.AggregatorType.MIN, estimator.AggregatorType.MAX)
        )
        return estimator.RangeEstimatorParameters(least, most)
    raise EdgeError(f"NNCF does not take ranges by {ranges}; choose --ranges minmax or percentile")


def _operations(ir: Any, graph: Any, nodes: list[str]) -> list[str]:
    """Names of the operations that came from these ONNX nodes, told by the tensors that both put out."""
    tensors = {name for node in graph.graph.node if node.name in nodes for name in node.output}
    found = []
    for operation in ir.get_ops():
        made = [operation] if operation.outputs() else []
        if operation.get_type_name() in WEIGHTED:  # where a layer has a bias, the tensor is that of its addition
            users = [target.get_node() for target in operation.output(0).get_target_inputs()]
            made += [user for user in users if user.get_type_name() == "Add"]
        if any(tensors & op.output(0).get_names() for op in made):
            found.append(operation.get_friendly_name())
    return found


def _as_input(picture: np.ndarray) -> np.ndarray:
    return (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)


def _scale_within_weights(ir: Any) -> float | None:
    """Where a picture in [0, 1] is only scaled and shifted before a float convolution, make that expect grey levels
    less a number, which is given back; None where it is otherwise, and nothing changes.

    A scale that is left to the runtime comes between turning the picture to NCHW and the convolution, which wants it as
    it was: a subtraction does not, and both turns cancel out.
    """
    from openvino import opset13 as ops

    factor, offset, value = 1.0, 0.0, ir.inputs[0]
    while True:
        users = list(value.get_target_inputs())
        if len(users) != 1:
            return None
        node = users[0].get_node()
        kind, other = node.get_type_name(), node.input_value(1).get_node() if len(node.inputs()) > 1 else None
        if kind == "Convolution" or other is None or other.get_type_name() != "Constant":
            break
        numbers = np.asarray(other.data, np.float64)
        if kind not in ("Multiply", "Add", "Subtract") or numbers.size != 1:
            return None
        number = float(numbers.reshape(()))
        if kind == "Multiply":
            factor, offset = factor * number, offset * number
        else:
            offset += number if kind == "Add" else -number
        value = node.output(0)
    if kind != "Convolution" or other is None or other.get_type_name() != "Constant" or not factor:
        return None
    weights = np.asarray(other.data, np.float32) * np.float32(factor / 255)
    node.input(1).replace_source_output(ops.constant(weights).output(0))
    node.input(0).replace_source_output(ir.inputs[0])
    return -255 * offset / factor


def _number(ir: Any) -> None:
    """Name nodes without a name by their place; OpenVINO numbers them by all that the process made before."""
    for place, node in enumerate(ir.get_ordered_ops()):
        if re.fullmatch(r"[A-Z]\w*_\d+", node.get_friendly_name()):  # such as Constant_3205
            node.set_friendly_name(f"{node.get_type_name()}@{place}")


def _with_uint8_border(ov: ModuleType, ir: Any, kind: str) -> Any:
    """Input uint8 NHWC; outputs NHWC, float32 for coefficients and uint8 for a picture."""
    from openvino import opset13 as ops
    from openvino.preprocess import PrePostProcessor

    centre = _scale_within_weights(ir)
    ppp = PrePostProcessor(ir)
    ppp.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    ppp.input().model().set_layout(ov.Layout("NCHW"))
    steps = ppp.input().preprocess().convert_element_type(ov.Type.f32)
    if centre is None:
        steps.scale(255.0)
    else:
        steps.custom(
            lambda picture: ops.add(picture, np.float32(-centre)).output(0)
        )  # a step of its own turns it first

    def to_grey_levels(output: Any) -> Any:
        scaled = ops.round(ops.multiply(output, np.float32(255)), "half_to_even")
        return ops.convert(ops.clamp(scaled, 0.0, 255.0), "u8").output(0)

    for index, output in enumerate(ir.outputs):
        if len(output.shape) != 4:
            continue
        ppp.output(index).model().set_layout(ov.Layout("NCHW"))
        if kind == "frame":
            ppp.output(index).postprocess().custom(to_grey_levels)
        ppp.output(index).tensor().set_layout(ov.Layout("NHWC"))
    return ppp.build()
