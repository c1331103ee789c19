"""Measurement files: written whole, and believed only when they are whole."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edge import command, typed
from edge.errors import EdgeError
from edge.files import write_whole
from edge.measure import disagreement
from edge.measure.record import KIND, SCHEMA, Measurement
from edge.measure.statistics import mean_interval

LARGEST_BYTES = 64 * 2**20

# From a version to the next. Version 2 added conditions, energy, memory, layers, sustained, ratios and
# against_float, all of them optional. What was wrong until version 3 is left out: memory depended on what was measured
# before, and tegrastats misses the ends of a run, which counted as metered. Intervals over pictures, too narrow for
# few, are taken anew. Version 4 added the machine's instruction sets, of which its id says something too.
UPGRADES: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda raw: {**raw, "schema": 2},
    2: lambda raw: {**raw, "schema": 3, "memory": None, **_energy_of_version_2(raw), **_quality_of_version_2(raw)},
    3: lambda raw: {**raw, "schema": 4, **_machine_of_version_3(raw)},
}


def _energy_of_version_2(raw: Mapping[str, Any]) -> dict[str, Any]:
    energy = raw.get("energy")
    if isinstance(energy, dict) and str(energy.get("source")).startswith("tegrastats"):
        return {"energy": None, "energy_missing": "tegrastats was read wrongly by the version that measured this"}
    return {}


def _quality_of_version_2(raw: Mapping[str, Any]) -> dict[str, Any]:
    try:
        interval = mean_interval(np.array([float(picture["psnr_db"]) for picture in raw["quality"]["pictures"]]))
        return {"quality": {**raw["quality"], "psnr_interval_db": interval and asdict(interval)}}
    except (LookupError, TypeError, ValueError):
        return {}  # not scored; or damaged, which the schema tells


def _machine_of_version_3(raw: Mapping[str, Any]) -> dict[str, Any]:
    machine = raw.get("machine")
    return {"machine": {**machine, "instructions": []}} if isinstance(machine, dict) else {}


class MeasurementError(EdgeError):
    """A file that is not a measurement, or not a whole one."""


def write(measurement: Measurement, path: Path) -> Path:
    """Write a measurement file, whole or not at all.

    Raises:
        EdgeError: it cannot be written.
    """
    write_whole(path, measurement.to_json().encode())
    return path


def read(path: Path) -> Measurement:
    """Read and validate a measurement file.

    Raises:
        MeasurementError: it is damaged, foreign, or of a newer schema; the message names the file.
        MissingPackage: jsonschema-rs is not installed.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise MeasurementError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB, not a measurement")
        raw = typed.parse(path.read_bytes())
    except OSError as error:
        raise MeasurementError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise MeasurementError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise MeasurementError(f"{path}: not a measurement of edge.bench")
    version = raw.get("schema")
    if not isinstance(version, int) or version < 1:
        raise MeasurementError(f"{path}: does not say its schema version")
    if version > SCHEMA:
        raise MeasurementError(
            f"{path}: made by a newer version (schema {version}, this one reads up to {SCHEMA}); update draco-edge"
        )
    raw = _upgraded(raw)
    if fault := _fault(raw):
        raise MeasurementError(f"{path}: {fault}")
    measurement = build(raw)
    if fault := disagreement.of(measurement):
        raise MeasurementError(f"{path}: {fault}")
    return measurement


def build(raw: dict[str, Any]) -> Measurement:
    """A measurement from JSON that is believed to be one: of any schema version that this program knows, unvalidated.

    Raises:
        LookupError, TypeError, AttributeError: it is none.
    """
    return _build(Measurement, {k: v for k, v in _upgraded(raw).items() if k not in ("kind", "schema")})


def _upgraded(raw: dict[str, Any]) -> dict[str, Any]:
    while raw["schema"] != SCHEMA:
        raw = UPGRADES[raw["schema"]](raw)
    return raw


def schema() -> dict[str, Any]:
    """The JSON Schema of the current version."""
    return json.loads((Path(__file__).parent / "measurement.schema.json").read_text(encoding="utf-8"))


def _fault(raw: dict[str, Any]) -> str:
    """Where a file departs from the schema, and how; empty where it does not."""
    try:
        found = next(iter(_validator().iter_errors(raw)), None)
    except ValueError as error:  # text that is not Unicode, numbers and depths that nothing has
        return str(error)
    return f"{'/'.join(map(str, found.instance_path)) or 'the file'}: {found.message[:200]}" if found else ""


@cache
def _validator() -> Any:
    return command.require("jsonschema_rs", "report").Draft202012Validator(schema())


def _build(kind: Any, value: Any) -> Any:
    """A dataclass, tuple or optional from JSON that the schema has accepted."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        inner = [a for a in typing.get_args(kind) if a is not type(None)]
        return None if value is None else _build(inner[0], value)
    if origin is tuple:
        return tuple(_build(typing.get_args(kind)[0], item) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        return {k: _build(typing.get_args(kind)[1], v) for k, v in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{f.name: _build(hints[f.name], value[f.name]) for f in fields(kind) if f.name in value})
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)
