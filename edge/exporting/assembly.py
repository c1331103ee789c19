"""A target's artefact in a bundle: in memory, and on the disk."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import targets
from edge.bundle import Bundle, Manifest, write_bundle
from edge.dehazer import Dehazer

if TYPE_CHECKING:
    from targets.source import SourceModel


def assembled(model: SourceModel, target: targets.Target, options: targets.BuildOptions) -> Bundle:
    """Build the artefact and put it into a bundle in memory, not yet measured and without golden frames.

    Raises:
        EdgeError: the target cannot build it so, or lacks a package for it.
    """
    artefact = target.build(model, options)
    card, calibration = model.card, options.calibration
    manifest = Manifest(
        name=f"{card.name}-{target.name}-{options.precision}",
        kind=card.kind,
        model={
            "name": card.name,
            "parameters": card.parameters,
            "macs": card.macs * (2 if card.mirrored else 1),
            "checkpoint_sha256": card.checkpoint_sha256,
            "coefficients": card.coefficients,
            "mirrored": card.mirrored,
        },
        target=target.name,
        precision=options.precision,
        input={
            "width": card.width,
            "height": card.height,
            "colour": "RGB",
            "layout": "NHWC",
            "dtype": "uint8",
            "range": [0, 255],
        },
        outputs=tuple(model.outputs()),
        tools={"draco-edge": version("draco-edge"), "numpy": version("numpy"), **artefact.tools},
        calibration=calibration
        and {"source": calibration.source, "pictures": len(calibration), "sha256": calibration.digest()},
        notes=artefact.notes,
    )
    return Bundle.assemble(manifest, artefact.files)


def write_verified(bundle: Bundle, destination: Path) -> None:
    """Write the bundle, and look at it as a board will: its digests and golden frames.

    Raises:
        BundleError: it cannot be written, or does not give its golden frames again.
    """
    write_bundle(destination, bundle.manifest, bundle.files)
    with Dehazer(Bundle.read(destination), targets.load(bundle.manifest.target).export_device) as dehazer:
        dehazer.verify()
