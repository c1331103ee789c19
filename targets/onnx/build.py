"""From a float ONNX file to one with uint8 RGB at its border, in float32, float16 or INT8 (QDQ)."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from edge import command
from edge.errors import EdgeError
from quantization import qdq
from quantization.layers import exits, grouped_reductions, heads, pooled
from quantization.ranges import BEST
from targets import Artefact, BuildOptions
from targets.onnx.border import with_uint8_border
from targets.onnx.files import MODEL
from targets.onnx.runtime import import_onnxruntime
from targets.source import SourceModel


def build(model: SourceModel, options: BuildOptions) -> Artefact:
    """See `targets.Target.build`."""
    onnx = command.require("onnx", "export")
    tools = {"onnx": version("onnx")}
    notes: dict[str, Any] = {}
    graph = onnx.load(model.onnx)
    if options.precision == "int8":
        graph, notes = _quantized(graph, model, options, tools)
        tools["onnxruntime"] = version("onnxruntime")
    elif options.precision == "fp16":
        graph = import_onnxruntime("transformers.float16").convert_float_to_float16(graph, keep_io_types=True)
        _sort(graph.graph)  # it puts its casts at the end, whatever needs them
        tools["onnxruntime"] = version("onnxruntime")
    options.say("uint8 RGB at the border")
    graph = with_uint8_border(graph, model.card.kind)
    onnx.checker.check_model(graph, full_check=True)
    return Artefact({MODEL: graph.SerializeToString()}, tools, notes | {"nodes": len(graph.graph.node)})


def _quantized(
    graph: Any, model: SourceModel, options: BuildOptions, tools: dict[str, str]
) -> tuple[Any, dict[str, Any]]:
    """uint8 activations, int8 weights per channel: ONNX Runtime's accurate choice on processors."""
    if options.quantizer not in ("default", "inc"):
        raise EdgeError(f"the onnx target has no quantizer {options.quantizer!r}; choose inc or leave --quantizer out")
    if options.quantizer == "inc":
        from quantization import inc

        made, notes, distributions = inc.quantized(model, options)
        tools |= {name: version(name) for name in distributions}
        return made, notes
    # The last layers of a grid model put out logarithms of gains, and cost next to nothing in float; nor do those just
    # before them.
    parts = (heads, exits, grouped_reductions, pooled) if model.card.kind == "grid" else ()
    own = [name for part in parts for name in part(graph)]
    kept = tuple(dict.fromkeys((*own, *options.float_layers)))
    options.say(f"INT8 by ONNX Runtime from {len(options.calibration)} pictures; in float: {', '.join(kept) or 'none'}")
    method = options.ranges or BEST[model.card.kind]
    made = qdq.quantized(model, options.calibration, qdq.PROCESSOR, method, kept)
    return made, {"float_layers": list(kept), "ranges": method}


def _sort(graph: Any) -> None:
    """Put nodes behind those whose outputs they take, and otherwise leave them in their order."""
    made = {node_output for node in graph.node for node_output in node.output}
    ready = {""}
    waiting, ordered = list(graph.node), []
    while waiting:
        node = next(n for n in waiting if all(i in ready or i not in made for i in n.input))
        waiting.remove(node)
        ordered.append(node)
        ready.update(node.output)
    del graph.node[:]
    graph.node.extend(ordered)
