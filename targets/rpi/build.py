"""From a checkpoint to a .tflite file: litert_torch converts, ai_edge_quantizer quantizes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edge import command
from edge.errors import EdgeError
from quantization.bias import Raw, mean_errors
from targets import Artefact, BuildOptions
from targets.rpi import flatbuffer, kernels
from targets.rpi.enlarging import with_depth_to_space
from targets.rpi.network import FILE, KERNELS, interpreter_module
from targets.rpi.quiet import quiet
from targets.rpi.ranges import Inputs, Range, tensor_ranges, where_weighed, with_zero
from targets.rpi.scales import NOTE, STORED, OutputScale
from targets.source import ModelCard, SourceModel

EXTRA = "export-rpi"
SIGNATURE = "serving_default"


def refuse(model: SourceModel, options: BuildOptions) -> None:
    """See `targets.Target.refuse`.

    Raises:
        EdgeError: the checkpoint is not at hand (the conversion starts from torch) or is of the full model, or what is
            asked this target does not do.
        MissingPackage: torch is not installed.
    """
    if options.quantizer != "default":
        raise EdgeError(f"the rpi target has no quantizer {options.quantizer!r}; leave --quantizer out")
    if options.float_layers:
        raise EdgeError("an rpi model is INT8 throughout; layers cannot stay float in it")
    if options.ranges is not None:
        raise EdgeError(f"the rpi target takes ranges in its own way, not by {options.ranges}; leave --ranges out")
    if model.checkpoint is None:
        raise EdgeError(
            f"the rpi target starts from the checkpoint of {model.card.name}, which does not lie beside its ONNX file: "
            "give it as --model PATH.safetensors"
        )
    command.require("torch", EXTRA)
    from training.checkpoint import read_checkpoint
    from training.models import MODELS
    from training.models.draco_grid import DracoGrid

    if MODELS.get(read_checkpoint(model.checkpoint).model) is DracoGrid:
        # Its answer is a sum of two layers', and LiteRT cannot spread its airlight.
        raise EdgeError(
            f"the rpi target cannot build {model.card.name}, the full model: take an edge model, or --target onnx, "
            "which runs it on a Raspberry Pi too"
        )


def build(model: SourceModel, options: BuildOptions) -> Artefact:
    """See `targets.Target.build`; raises what `refuse` does."""
    refuse(model, options)
    assert model.checkpoint is not None
    torch = command.require("torch", EXTRA)
    with quiet():
        command.require("litert_torch", EXTRA)
        command.require("ai_edge_quantizer", EXTRA)
    from targets.rpi.graph import ChannelLast, output_scales, quantizable, with_output_scale
    from training.checkpoint import load_model

    card, int8 = model.card, options.precision == "int8"
    network = load_model(model.checkpoint)
    if hasattr(network, "fuse"):
        network = network.fuse()
    notes: dict[str, Any] = {}
    grid, certain = network, []
    if int8 and card.kind == "grid":
        certain = list(network.certain())
        scales = output_scales([network, *certain], options.calibration)
        notes[NOTE] = [asdict(scale) for scale in scales]
        network, *certain = (with_output_scale(each, *scales) for each in (network, *certain))
    options.say("torch to .tflite, channel last")
    example = torch.zeros(1, card.height, card.width, 3)

    def converted(network: Any) -> tuple[bytes, Range]:
        traced, taken = quantizable(ChannelLast(network, card.kind).eval(), example, int8)
        return _converted(traced, example), taken

    content, taken = converted(network)
    if int8:
        like_it = [converted(each)[0] for each in certain]
        options.say(f"INT8 by ai-edge-quantizer from {len(options.calibration)} pictures")
        stored = (0.0, 1.0) if card.kind == "frame" else STORED
        content = _quantized(content, like_it, options.calibration, taken, stored)
    content = with_depth_to_space(content)
    if options.precision == "fp16":
        content = with_float16_weights(content)
    notes |= flatbuffer.summary(content)
    if int8 and card.kind == "grid":
        opened = _opened(content, notes, card)
        errors = mean_errors(_raw_answers(opened, options.calibration, grid, scales))
        opened.close()
        for scale, error in zip(notes[NOTE], errors, strict=True):
            scale["offset"] = [float(offset) for offset in np.array(scale["offset"]) - error]
    if int8:
        if notes["float_operators"]:
            options.say(f"left in float: {', '.join(notes['float_operators'])}")
        if card.kind == "grid":  # the reference kernels would take minutes for a frame model
            notes["answers"] = _answers(content, notes, card)
    tools = {name: version(name) for name in ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert")}
    return Artefact({FILE: content}, tools, notes)


def _converted(module: Any, example: Any) -> bytes:
    import litert_torch

    with tempfile.TemporaryDirectory() as folder, quiet():
        litert_torch.convert(module, (example,)).export(f"{folder}/{FILE}")
        return Path(folder, FILE).read_bytes()


def _quantized(content: bytes, like_it: Iterable[bytes], calibration: Any, taken: Range, output_range: Range) -> bytes:
    """INT8 weights by channel and activations by tensor; input and outputs have known ranges.

    Args:
        like_it: models of the same tensors whose values have to fit, too.
        taken: what the model takes for black and for white.
    """
    from ai_edge_quantizer import quantizer, recipe

    _, module = interpreter_module()
    with quiet():
        work = quantizer.Quantizer(content, recipe.static_wi8_ai8())
        float_models = [
            module.Interpreter(model_content=each, experimental_preserve_all_tensors=True)
            for each in (content, *like_it)
        ]
        float_model = float_models[0]
        (argument,) = float_model.get_signature_list()[SIGNATURE]["inputs"]
        inputs = Inputs(calibration, *taken)
        first = next(iter(inputs))
        spans = work.calibrate({SIGNATURE: [{argument: first}]}, num_threads=1)  # for its names and shapes only
        ranges = tensor_ranges(float_models, spans, inputs)
        for each in flatbuffer.weighed(content):
            ranges |= where_weighed(ranges, each)
        ranges |= {details["name"]: taken for details in float_model.get_input_details()}
        ranges |= dict.fromkeys(flatbuffer.output_tensors(content), output_range)
        for name, span in spans.items():
            seen = ranges.get(name, (float(np.min(span["min"])), float(np.max(span["max"]))))
            low, high = with_zero(*seen)
            span["min"], span["max"] = np.full_like(span["min"], low), np.full_like(span["max"], high)
        return bytes(work.quantize(spans, enable_progress_report=False).quantized_model)


def with_float16_weights(content: bytes) -> bytes:
    """A float32 .tflite whose weights are stored in half precision and widened when it is opened."""
    from ai_edge_quantizer import qtyping, quantizer, recipe_manager

    recipes = recipe_manager.RecipeManager()
    recipes.add_quantization_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key="float_casting",
    )
    with quiet():
        work = quantizer.Quantizer(content, recipes.get_quantization_recipe())
        return bytes(work.quantize(enable_progress_report=False).quantized_model)


def _raw_answers(
    network: Any, pictures: Iterable[np.ndarray], model: Any, scales: Iterable[OutputScale]
) -> Iterator[tuple[Raw, Raw]]:
    """The float model's answer to each picture, and what the file, opened, says.

    What lies outside of the range that an output can store is meant to be clipped, and no error.
    """
    import torch

    for picture in pictures:
        with torch.inference_mode():
            cell, airlight = model.predict(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
        exact = cell[0].permute(1, 2, 0).numpy(), airlight[0].numpy()
        wanted = [np.clip(value, scale.low, scale.high) for value, scale in zip(exact, scales, strict=True)]
        yield (wanted[0], wanted[1]), network(picture)


def _answers(content: bytes, notes: dict[str, Any], card: ModelCard) -> dict[str, list[str]]:
    """What each kernel family of this machine's LiteRT answers to the probe pictures."""
    found = {}
    for family in KERNELS:
        network = _opened(content, notes, card, family)
        found[family] = kernels.digests(network.raw, card.width, card.height)
        network.close()
    return found


def _opened(content: bytes, notes: dict[str, Any], card: ModelCard, family: str = "xnnpack") -> Any:
    """A grid model's file as the board opens it."""
    from edge.bundle import Bundle, Manifest
    from targets.rpi.network import LiteRTNetwork

    taken = {"width": card.width, "height": card.height}
    manifest = Manifest("", card.kind, {}, "rpi", "int8", taken, ({}, {}), notes=notes)
    return LiteRTNetwork(Bundle(Path(FILE), manifest, "", {FILE: content}), "CPU", 1, kernels=family)
