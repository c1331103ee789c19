"""The finished artefact against the float32 model: what a manifest tells of it, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import targets
from edge import command
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.errors import EdgeError
from edge.exporting import fidelity, soundness
from edge.exporting.assembly import assembled
from edge.exporting.control import controlled_bundle

if TYPE_CHECKING:
    import numpy as np

    from edge.exporting.fidelity import Fidelity
    from targets.source import SourceModel

SPOILT_DB = 1.0  # a loss on clear pictures that is worth a word


def measured_bundle(
    model: SourceModel,
    target: targets.Target,
    options: targets.BuildOptions,
    max_drop_db: float | None,
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    data: str,
    folder: Path | None,
) -> Bundle:
    """Build the artefact, run it against the float32 model, and tell in its manifest how far apart they are.

    Args:
        max_drop_db: the most PSNR to lose to float32; None for whatever it loses.
        pairs: (hazy, clear) to measure on, uint8 RGB (H, W, 3) each.
        data: what they are, in words.
        folder: that they are from, to choose layers on too; None for made ones.

    Returns:
        A bundle in memory with golden frames, ready to be written.

    Raises:
        EdgeError: it cannot be built, is broken, or loses more than `max_drop_db`.
    """
    plain = assembled(model, targets.load("onnx"), targets.BuildOptions("fp32"))
    if options.precision == "int8" and max_drop_db is not None:
        draft = controlled_bundle(model, target, options, max_drop_db, plain, folder)
    else:
        draft = assembled(model, target, options)
    with (
        closing(targets.load("onnx").open(plain, "CPU", None)) as float_network,
        closing(target.open(draft, target.export_device, None)) as network,
    ):
        soundness.refuse_broken(float_network, network, draft.manifest)
    command.say(f"running it against the float32 model on {data}")
    with Dehazer(plain, "CPU") as reference, Dehazer(draft, target.export_device) as artefact:
        found = fidelity.compare(reference, artefact, pairs, data)
        computed_in = artefact.precision
        goldens, files, golden_accuracy = fidelity.golden_frames(artefact, options.precision, reference)
    if max_drop_db is not None and found.psnr_drop_db > max_drop_db:
        raise EdgeError(
            f"{options.precision} loses {found.psnr_drop_db:.3f} dB to float32 on {data}, more than --max-drop "
            f"{max_drop_db}: nothing written; calibrate on pictures like yours (--calibration DIR) or take fp16"
        )
    _look_at_clear_pictures(found, options.precision, max_drop_db)
    notes = {**draft.manifest.notes, **_int8_facts(model, target, draft)}
    accuracy: Any = {**found.to_json(), **golden_accuracy}
    if target.built_on_board and computed_in != options.precision:
        accuracy["computed_in"] = computed_in
    manifest = replace(draft.manifest, golden=goldens, accuracy=accuracy, notes=notes)
    return Bundle.assemble(manifest, {**draft.files, **files})


def _look_at_clear_pictures(found: Fidelity, precision: str, max_drop_db: float | None) -> None:
    """Clear pictures are spoilt first where ranges are wrong: say so, or refuse it where a loss was bounded."""
    from quantization.control import KEPT_ALLOWANCE_DB

    lost = found.kept_psnr_drop_db
    advice = "calibrate on more pictures (--calibration DIR), clear ones among them"
    if max_drop_db is not None and lost > max_drop_db + KEPT_ALLOWANCE_DB:
        raise EdgeError(
            f"{precision} keeps clear pictures {lost:.2f} dB worse than float32, more than --max-drop "
            f"{max_drop_db} and {KEPT_ALLOWANCE_DB} dB beside it: nothing written; {advice} or take fp16"
        )
    if lost > SPOILT_DB:
        command.say(f"clear pictures are kept {lost:.2f} dB worse than in float32: {advice}")


def _int8_facts(model: SourceModel, target: targets.Target, draft: Bundle) -> dict[str, Any]:
    """Which kernels really run in INT8, and whether it is faster: what can be told of an INT8 artefact only here."""
    if draft.manifest.precision != "int8":
        return {}
    facts: dict[str, Any] = {}
    if kernels := target.kernels(draft, target.export_device):
        facts["kernels"] = kernels
    if not target.built_on_board:
        from edge.pace import paired

        command.say("timing it against float32")
        plain = assembled(model, target, targets.BuildOptions("fp32"))
        pace = paired(target, plain, draft, target.export_device)
        command.say(pace.sentence())
        facts["pace"] = pace.to_json()
    return facts
