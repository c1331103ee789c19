"""INT8 by neural-compressor: static quantization of the exported torch graph (PT2E), as an ONNX file of Q/DQ pairs."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable
from typing import Any

import numpy as np

from edge import command
from edge.errors import EdgeError
from quantization.layers import heads, pooled
from targets import BuildOptions
from targets.onnx.runtime import no_telemetry
from targets.source import SourceModel

EXTRA = "inc"


def refuse(model: SourceModel, options: BuildOptions) -> None:
    """Tell what `quantized` cannot do, before any work.

    Raises:
        EdgeError: the checkpoint is not at hand, or something is asked that this quantizer does not do.
    """
    if model.checkpoint is None:
        raise EdgeError(
            f"neural-compressor starts from the checkpoint of {model.card.name}, which does not lie beside its ONNX "
            "file: give it as --model PATH.safetensors"
        )
    if options.float_layers:
        raise EdgeError("layers cannot be left in float with --quantizer inc; leave it or --max-drop out")
    if options.ranges is not None:
        raise EdgeError(f"neural-compressor takes ranges in its own way, not by {options.ranges}; leave --ranges out")


def quantized(model: SourceModel, options: BuildOptions) -> tuple[Any, dict[str, Any], tuple[str, ...]]:
    """An `onnx.ModelProto` with uint8 activations by tensor and int8 weights by channel.

    Returns:
        The model, notes for the manifest, and the distributions that had a part in it.

    Raises:
        EdgeError: as `refuse`.
        MissingPackage: neural-compressor or torch is not installed.
    """
    refuse(model, options)
    assert model.checkpoint is not None
    torch = command.require("torch", EXTRA)
    no_telemetry()  # of ONNX Runtime, which the tools below import for some of their work
    with _quiet():
        exporting = command.require("neural_compressor.torch.export", EXTRA)
        work = command.require("neural_compressor.torch.quantization", EXTRA)
    from training.checkpoint import load_model
    from training.tracing import Predict, traced

    card = model.card
    network = load_model(model.checkpoint)
    network = network.fuse() if hasattr(network, "fuse") else network
    network = (Predict(network) if card.kind == "grid" else network).eval()
    example = torch.zeros(1, 3, card.height, card.width)
    graph = command.require("onnx", "export").load(model.onnx)
    kept = tuple(dict.fromkeys((*heads(graph), *pooled(graph)))) if card.kind == "grid" else ()
    options.say(
        f"INT8 by neural-compressor from {len(options.calibration)} pictures; in float: {', '.join(kept) or 'none'}"
    )
    with _quiet(), torch.no_grad():
        prepared = work.prepare(exporting.export(network, (example,)), _configuration(work, kept))
        for picture in command.progress(options.calibration, len(options.calibration), "calibration picture"):
            prepared(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
        converted = work.convert(prepared)
        converted.eval = lambda: converted  # an exported graph has no modes, and refuses to be asked
        proto = traced(converted, example, ["cell", "airlight"] if card.kind == "grid" else ["clear"])
    before = len(proto.graph.node)
    cleaned, how = _simplified(_without_empty_clips(proto))
    cleaned = _with_own_zero_points(cleaned)
    nodes = {"exported": before, "cleaned": len(cleaned.graph.node), "by": how}
    options.say(f"{nodes['exported']} nodes exported, {nodes['cleaned']} after {how}")
    return (
        cleaned,
        {"quantizer": "neural-compressor", "qdq_nodes": nodes, "float_layers": list(kept)},
        (
            "neural-compressor",
            "torch",
            "torchao",
        ),
    )


def _configuration(work: Any, float_layers: Iterable[str]) -> Any:
    """Ranges from histograms of all that was seen, and layers that stay float.

    The tool's own default is a moving average of the pictures' extremes, which forgets those that reach furthest: clear
    pictures came out at 21 dB where float32 keeps them at 45.
    """
    made = work.StaticQuantConfig(act_algo="kl")
    for name in float_layers:
        made.set_local(f"model.{name}", work.StaticQuantConfig(w_dtype="fp32", act_dtype="fp32"))
    return made


def _without_empty_clips(model: Any) -> Any:
    """Take out each Clip between Q and DQ whose bounds are those of the integers: it hides the pair from a runtime."""
    from onnx import numpy_helper

    graph = model.graph
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    replaced, kept = {}, []
    for node in graph.node:
        source = makers.get(node.input[0]) if node.op_type == "Clip" else None
        if source is not None and source.op_type == "QuantizeLinear" and len(node.input) == 3:
            low, high = (constants.get(name) for name in node.input[1:3])
            limits = None if low is None else np.iinfo(low.dtype)
            if limits and high is not None and low <= limits.min and high >= limits.max:
                replaced[node.output[0]] = node.input[0]
                continue
        kept.append(node)
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = replaced.get(name, name)
    del graph.node[:]
    graph.node.extend(kept)
    return model


def _with_own_zero_points(model: Any) -> Any:
    """Give each of the weights a zero point of its own: on x86 without VNNI ONNX Runtime makes uint8 of them, replaces
    a shared zero point twice, and fails."""
    graph = model.graph
    stored = {i.name: i for i in graph.initializer}
    for node in graph.node:
        pairs = node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2
        zero_point = stored.get(node.input[2]) if pairs else None
        if zero_point is not None and zero_point.dims:  # weights', by channel
            own = graph.initializer.add()
            own.CopyFrom(zero_point)
            own.name = node.input[2] = f"{node.output[0]}_zero_point"
    used = {name for node in graph.node for name in node.input}
    for unused in [i for i in graph.initializer if i.name not in used]:
        graph.initializer.remove(unused)
    return model


def _simplified(model: Any) -> tuple[Any, str]:
    """Weights rounded once instead of at every start, by onnxsim where it is installed."""
    try:
        import onnxsim
    except ImportError:
        return model, "taking out empty clips (onnxsim, which would fold more, is not installed)"
    with contextlib.redirect_stdout(io.StringIO()):
        simplified, same = onnxsim.simplify(model)
    return (simplified, "taking out empty clips and onnxsim") if same else (model, "taking out empty clips")


@contextlib.contextmanager
def _quiet() -> Any:
    """Without the tool's own lines, of which it writes one for each of its steps to both outputs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
