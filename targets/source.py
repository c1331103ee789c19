"""The model that a target starts from: a float ONNX file that says in its metadata what it is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge import command, typed
from edge.bundle import Kind, Side
from edge.coefficients import FORM
from edge.errors import EdgeError

METADATA_KEY = "draco_edge"


@dataclass(frozen=True)
class ModelCard:
    """What a float ONNX model says of itself, in its metadata.

    Attributes:
        name: for example ``edge-m``.
        kind: ``grid`` (gives coefficients) or ``frame`` (gives frames).
        width, height: of the input, in pixels.
        parameters: number of trained values.
        macs: multiply-accumulates of one look at a picture.
        checkpoint_sha256: digest of the checkpoint file that it was made from.
        coefficients: name of the coefficients' form (see `edge.coefficients`), empty for frame models.
        mirrored: whether a grid model also looks at each frame's mirror image (see `edge.mirrored`).
    """

    name: str
    kind: Kind
    width: Side
    height: Side
    parameters: int
    macs: int
    checkpoint_sha256: str
    coefficients: str = ""
    mirrored: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> ModelCard:
        """Read a card.

        Raises:
            ValueError: not JSON, or a field is missing, unknown or of the wrong type; the message names it.
        """
        return typed.build(ModelCard, typed.parse(text.encode()), "")


@dataclass(frozen=True)
class SourceModel:
    """A float32 ONNX file: input ``picture`` float32 (1, 3, H, W) RGB in [0, 1].

    Outputs: ``cell`` (1, C, h, w) and ``airlight`` (1, 3 or 4), raw, for a grid model (`edge.coefficients` decodes
    them); ``clear`` (1, 3, H, W) in [0, 1] for a frame model.

    Attributes:
        onnx: the file.
        checkpoint: the .safetensors it came from where that is at hand (targets that start from torch need it).
    """

    card: ModelCard
    onnx: Path
    checkpoint: Path | None

    def outputs(self) -> list[dict[str, Any]]:
        """Name, shape, dtype and range of each output as a `targets.Network` gives it, for the manifest."""
        graph = command.require("onnx", "export").load(self.onnx, load_external_data=False).graph
        listing = []
        for output in graph.output:
            sizes = [d.dim_value for d in output.type.tensor_type.shape.dim][1:]
            shape = [*sizes[1:], sizes[0]] if len(sizes) == 3 else sizes
            as_picture = self.card.kind == "frame"
            listing.append(
                {
                    "name": output.name,
                    "shape": shape,
                    "dtype": "uint8" if as_picture else "float32",
                    "range": [0, 255] if as_picture else None,
                }
            )
        return listing

    @staticmethod
    def read(path: str | Path, checkpoint: Path | None = None) -> SourceModel:
        """The model in an ONNX file that this project wrote.

        Raises:
            EdgeError: it is not there, not an ONNX file, does not say in its metadata what it is, or gives
                coefficients in a form that this version does not know.
            MissingPackage: onnx is not installed.
        """
        path = Path(path)
        onnx = command.require("onnx", "export")
        try:
            properties = {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
            text = properties[METADATA_KEY]
        except OSError as error:
            raise EdgeError(f"cannot read {path}: {error.strerror or error}") from error
        except Exception as error:  # protobuf's errors have no base that is stable over its versions
            raise EdgeError(
                f"{path} is not a model of this project ({type(error).__name__}: {error}); "
                "python -m training.export_onnx makes one from a checkpoint"
            ) from error
        try:
            card = ModelCard.from_json(text)
        except (ValueError, RecursionError) as error:
            raise EdgeError(
                f"{path}: its metadata {METADATA_KEY!r} is malformed ({error}); "
                "python -m training.export_onnx makes the file again from its checkpoint"
            ) from None
        if card.kind == "grid" and card.coefficients != FORM:
            raise EdgeError(
                f"{path}: its coefficients have the form {card.coefficients!r}; this version knows {FORM!r}: "
                "python -m training.export_onnx makes the file again from its checkpoint"
            )
        return SourceModel(card, path, checkpoint)
