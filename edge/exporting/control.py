"""Accuracy control: layers that stay in float, so that no more is lost than is allowed (`edge.export --max-drop`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import targets
from edge import command
from edge.bundle import Bundle
from edge.exporting.assembly import assembled
from edge.exporting.pictures import measured_pairs

if TYPE_CHECKING:
    from targets.source import SourceModel


def controlled_bundle(
    model: SourceModel,
    target: targets.Target,
    options: targets.BuildOptions,
    max_drop_db: float,
    plain: Bundle,
    folder: Path | None,
) -> Bundle:
    """The INT8 artefact with the fewest layers in float that loses no more than `max_drop_db`, not yet measured.

    Says on standard error which they are, and what each costs.

    Args:
        max_drop_db: the most PSNR to lose to float32.
        plain: the model in float32, for ONNX Runtime.
        folder: pairs to measure the loss on; None for made ones.

    Raises:
        EdgeError: no choice of layers loses as little, or the target cannot mix precisions.
    """
    from quantization.control import Loss, controlled, ranked

    loss = Loss(plain, "CPU", measured_pairs(folder, few=True)[0])

    def rank() -> list[Any]:
        own = target if target.keeps_ranges else targets.load("onnx")
        return ranked(model, own, replace(options, quantizer="default"), loss, assembled, own.export_device)

    found = controlled(model, target, options, max_drop_db, loss, assembled, rank, target.export_device)
    for layer in found.float_layers:
        command.say(
            f"{layer.layer} stays float: in INT8 it alone changes frames to {layer.agreement_db:.1f} dB of the float "
            f"model's and costs {layer.drop_db:+.3f} dB on haze, {layer.kept_drop_db:+.2f} dB on clear pictures"
        )
    notes = {**found.bundle.manifest.notes, "accuracy_control": {"max_drop_db": max_drop_db, **found.to_json()}}
    return Bundle.assemble(replace(found.bundle.manifest, notes=notes), found.bundle.files)
