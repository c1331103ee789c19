"""What is in a .tflite file: its operators and what they compute in."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

FLOATS = ("FLOAT32", "FLOAT16", "FLOAT64")
BORDERS = ("QUANTIZE", "DEQUANTIZE")
SLICES = ("SLICE", "STRIDED_SLICE")


@dataclass(frozen=True)
class Operator:
    """One operator: its name, and the types of its input and output tensors."""

    name: str
    types: tuple[str, ...]

    @property
    def in_float(self) -> bool:
        return any(t in FLOATS for t in self.types) and self.name not in BORDERS


def operators(model: bytes) -> list[Operator]:
    """Every operator of a .tflite file's first graph, in order."""
    from ai_edge_litert import schema_py_generated as schema

    types = _names(schema.TensorType)
    graph, found = _graph(model)
    return [
        Operator(name, tuple(types[graph.tensors[i].type] for i in [*op.inputs, *op.outputs] if i >= 0))
        for name, op in found
    ]


def output_tensors(model: bytes) -> list[str]:
    """Names of the tensors that hold an output's values: it, and what it was before it was reshaped."""
    graph, found = _graph(model)
    reshaped = {op.outputs[0]: op.inputs[0] for name, op in found if name == "RESHAPE"}
    tensors = []
    for tensor in graph.outputs:
        while tensor is not None:
            tensors.append(graph.tensors[tensor].name.decode())
            tensor = reshaped.get(tensor)
    return tensors


@dataclass(frozen=True)
class Weighed:
    """Maps that are multiplied by a number of the whole picture each, and what comes of them.

    Attributes:
        maps: names of the tensors that are multiplied, and of those that they are a slice of.
        numbers: of the tensors of one value.
        results: of the products, and of what they are concatenated to.
    """

    maps: tuple[str, ...]
    numbers: tuple[str, ...]
    results: tuple[str, ...]


def weighed(model: bytes) -> list[Weighed]:
    """Every concatenation of a .tflite file that takes such products; what is constant weighs nothing."""
    graph, operators = _graph(model)
    maker = {output: (name, op) for name, op in operators for output in op.outputs}
    size = {tensor: math.prod(_shape(graph, tensor)) for tensor in maker}
    found = []
    for name, op in operators:
        products = [maker[tensor][1] for tensor in op.inputs if tensor in maker and maker[tensor][0] == "MUL"]
        factors = [
            sorted(product.inputs, key=size.__getitem__) for product in products if size.keys() >= {*product.inputs}
        ]
        pairs = [(number, each) for number, each in factors if size[number] == 1 < math.prod(_shape(graph, each)[1:3])]
        if name != "CONCATENATION" or not pairs:
            continue
        maps = {each for _, each in pairs}
        maps |= {maker[each][1].inputs[0] for each in maps if maker[each][0] in SLICES}
        parts = maps, {number for number, _ in pairs}, {*op.inputs, *op.outputs}
        found.append(
            Weighed(*(tuple(graph.tensors[tensor].name.decode() for tensor in sorted(part)) for part in parts))
        )
    return found


def _shape(graph: Any, tensor: int) -> tuple[int, ...]:
    shape = graph.tensors[tensor].shape
    return () if shape is None else tuple(map(int, shape))


def _graph(model: bytes) -> tuple[Any, list[tuple[str, Any]]]:
    """A .tflite file's first graph, and its operators with their names."""
    from ai_edge_litert import schema_py_generated as schema

    content = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytes(model), 0))
    names, codes = _names(schema.BuiltinOperator), content.operatorCodes
    found = []
    for op in content.subgraphs[0].operators:
        code = codes[op.opcodeIndex]
        found.append((names[max(code.builtinCode, code.deprecatedBuiltinCode)], op))
    return content.subgraphs[0], found


def summary(model: bytes) -> dict[str, Any]:
    """Facts for the manifest: how many operators, which, which of them compute in float, how many only convert."""
    found = operators(model)
    return {
        "operators": dict(sorted(Counter(op.name for op in found).items())),
        "float_operators": sorted({op.name for op in found if op.in_float}),
        "conversions": sum(op.name in BORDERS for op in found),
    }


def kernels(model: bytes) -> dict[str, dict[str, int]]:
    """Precision to operator to how many of them; those that only convert are in neither precision's count."""
    found: dict[str, Counter[str]] = {}
    for op in operators(model):
        if op.name not in BORDERS:
            found.setdefault("fp32" if op.in_float else "int8", Counter())[op.name] += 1
    return {precision: dict(sorted(counts.items())) for precision, counts in sorted(found.items())}


@cache
def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
