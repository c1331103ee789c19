"""A training run's configuration: a TOML file, read into frozen dataclasses, every mistake named.

name = "edge-m"

[model]
name = "grid"
configuration = { width = 40 }

[training]
steps = 60000
batch = 16
size = [160, 120]        # width and height of the training pictures

[losses]                 # weights; 0 switches a term off
l1 = 1.0
ssim = 0.15

[sources.real]           # see training/sources.py
kind = "pairs"
folder = "real"

[validation.pairs.outdoor]
folder = "outdoor_val"
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from edge.errors import EdgeError
from training.features import FEATURES
from training.models import MODELS, nearest
from training.source_settings import SETTINGS, Count, Fold, Share, Source, Within

PRECISIONS = ("fp32", "bf16", "fp16")
STORED = ("fp32", "fp16")
SEEDS = Within(0, 2**32 - 1)  # so that what a step draws (`training.state.seed_step`) is a number that torch takes
LONGEST_NAME = 200  # bytes; files are written beside theirs, with a longer name
LEAST_SIDE, LARGEST_SIDE = 8, 16384  # of training pictures, in pixels
LARGEST_BATCH = 65536
LEAST_SIDE_OF_FEATURES = 16  # the quadruplet's are halved four times


class ConfigError(EdgeError):
    """A run configuration with a mistake in it."""


@dataclass(frozen=True)
class ModelConfig:
    """Which model, and its own settings (the keyword arguments of its class).

    Attributes:
        initial: a checkpoint to start from: a path relative to the working folder, or the name of a shipped model, such
            as ``edge-m``; empty to start from fresh weights.
        initial_part: the part of the model whose weights the checkpoint holds, such as ``coarse`` for an edge model's
            checkpoint in the full model; empty for the whole.
        initial_lacks: parts that the checkpoint does not have, such as ``at8.4`` of a deeper network: they start fresh.
        frozen: parts that stay as they are, such as ``coarse``: neither weights nor statistics are changed.
        frozen_statistics: whether batch normalisation keeps the statistics that the checkpoint has, everywhere. A few
            pictures' own would take their place within some fifty steps, and clear air, which is rare among them, would
            look unlike anything known.
    """

    name: str
    configuration: dict[str, Any] = field(default_factory=dict)
    initial: str = ""
    initial_part: str = ""
    initial_lacks: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    frozen_statistics: bool = False


@dataclass(frozen=True)
class TrainingConfig:
    """How it is trained.

    Attributes:
        steps: number of updates.
        batch: pictures a step in each process.
        size: width and height of the training pictures.
        learning_rate: at its highest; reached after `warmup` steps, then falls along a cosine to `final_rate`.
        final_rate: share of the highest rate that is left at the end.
        weight_decay: of AdamW, on weights with two or more dimensions only.
        clip: largest norm of the gradient; 0 for no limit.
        ema: how much of the averaged weights is kept at each step; 0 keeps no average.
        stochastic_depth: how often a residual block of a grid model is left out for a picture.
        precision: ``fp32``, ``bf16`` or ``fp16`` (autocast; fp16 on CUDA only).
        stored: precision of the weights in the best and the last checkpoint; ``fp16`` halves the files.
        channels_last: keep pictures and weights with the channel innermost.
        workers: processes that prepare pictures; 0 prepares them in between.
        report_every, save_every: steps between lines of the log, and between saves.
    """

    steps: int
    batch: int
    size: tuple[int, int]
    learning_rate: Share = 1e-3
    final_rate: Share = 0.005
    warmup: int = 200
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.999
    stochastic_depth: float = 0.0
    precision: str = "fp32"
    stored: str = "fp32"
    channels_last: bool = True
    workers: int = 1
    report_every: int = 50
    save_every: int = 500


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the loss (see training/losses.py); 0 switches a term off.

    Attributes:
        density, airlight: of a grid model's haze against the haze that the synthesis laid over the picture.
        real: of how sure a model is that haze is real and not laid, where it tells that (`experts`): its cross entropy.
        features: what the quadruplet term compares, a key of `training.features.FEATURES`.
    """

    l1: float = 1.0
    mse_db: float = 0.0
    rmse: float = 0.0
    ssim: float = 0.0
    quadruplet: float = 0.0
    density: float = 0.0
    airlight: float = 0.0
    real: float = 0.1
    features: str = "random"


@dataclass(frozen=True)
class DistillationConfig:
    """How much the teachers count beside the losses (see quantization/distill.py); 0 switches a term off.

    Attributes:
        picture: weight of the mean absolute difference to the teachers' picture.
        coefficients: weight of the difference of the least-squares gain and bias.
    """

    picture: float = 0.5
    coefficients: float = 0.25


@dataclass(frozen=True)
class PairsConfig:
    """A folder of pairs to validate on.

    Attributes:
        fold: ``!k/n`` takes only fold k of n (all pictures of a place lie in one fold), ``k/n`` all but that one.
        only: takes only pairs whose hazy picture's name begins so.
        limit: at most so many pictures, evenly spread; 0 for all.
        chooses: whether this folder has a say in which checkpoint is the best.
        longest: pictures larger than this many pixels on a side are reduced first; 0 never.
    """

    folder: str
    fold: Fold = ""
    only: str = ""
    limit: Count = 0
    chooses: bool = True
    longest: Count = 0


@dataclass(frozen=True)
class ValidationConfig:
    """Whole pictures through the averaged model; the mean PSNR of the choosing folders picks the best checkpoint."""

    every: int = 1000
    pairs: dict[str, PairsConfig] = field(default_factory=dict)


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    Attributes:
        name: of the run and of its folder.
        seed: of everything that is drawn; below 2**32.
        sources: the tables of ``[sources.*]``, for `training.sources.build`; see `training.source_settings`.
        distillation: used by quantization.distill alone.
    """

    name: str
    model: ModelConfig
    training: TrainingConfig
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    losses: LossConfig = field(default_factory=LossConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    seed: Annotated[int, SEEDS] = 0

    def __post_init__(self) -> None:
        if complaint := SEEDS.complaint(self.seed):  # it may come from a command's --seed
            raise ConfigError(f"seed is {self.seed}; {complaint}")

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))  # the order of sources is part of what is drawn

    @staticmethod
    def from_json(text: str) -> RunConfig:
        return parse(json.loads(text), "stored configuration")


def read_config(path: str | Path) -> RunConfig:
    """Read and check a run's configuration.

    Raises:
        ConfigError: no such file, not TOML, an unknown key (the nearest right one is named), a value of the wrong
            type or out of range.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    return parse(table, str(path))


def parse(table: dict[str, Any], where: str) -> RunConfig:
    """A run's configuration from a table as TOML or JSON give it; raises `ConfigError`."""
    run = _read(RunConfig, table, where, "")
    _check(run, where)
    for name, source in run.sources.items():
        read_source(name, source, where)
    return run


def read_source(name: str, table: Mapping[str, Any], where: str = "the configuration") -> Source:
    """The settings of one table of ``[sources.*]``; raises `ConfigError`."""
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in SETTINGS:
        raise ConfigError(f"{where}: sources.{name}.kind is {kind!r}{nearest(str(kind), SETTINGS)}")
    return _read(SETTINGS[kind], table, where, f"sources.{name}.")


def _check(run: RunConfig, where: str) -> None:
    training = run.training
    if not _names_a_file(run.name):
        raise ConfigError(f"{where}: name is {run.name!r}; it names a folder")
    for name in run.validation.pairs:
        if not _names_a_file(name):
            raise ConfigError(f"{where}: validation.pairs has a {name!r}; it names a picture of the validation")
    if run.model.name not in MODELS:
        raise ConfigError(f"{where}: model.name is {run.model.name!r}{nearest(run.model.name, MODELS)}")
    if training.precision not in PRECISIONS:
        choice = nearest(training.precision, PRECISIONS)
        raise ConfigError(f"{where}: training.precision is {training.precision!r}{choice}")
    if training.stored not in STORED:
        raise ConfigError(f"{where}: training.stored is {training.stored!r}{nearest(training.stored, STORED)}")
    if (features := run.losses.features) not in FEATURES:
        raise ConfigError(f"{where}: losses.features is {features!r}{nearest(features, FEATURES)}")
    for key in ("steps", "batch", "report_every", "save_every"):
        _at_least(where, f"training.{key}", getattr(training, key), 1)
    _at_most(where, "training.batch", training.batch, LARGEST_BATCH)
    for key in ("warmup", "weight_decay", "clip", "workers"):
        _at_least(where, f"training.{key}", getattr(training, key), 0)
    for key in ("ema", "stochastic_depth"):
        if not 0 <= getattr(training, key) < 1:
            raise ConfigError(f"{where}: training.{key} is {getattr(training, key)}; it lies in [0, 1)")
    for side in training.size:
        _at_least(where, "training.size", side, LEAST_SIDE)
        _at_most(where, "training.size", side, LARGEST_SIDE)
        if run.losses.quadruplet and side < LEAST_SIDE_OF_FEATURES:
            raise ConfigError(
                f"{where}: training.size is {list(training.size)}; with losses.quadruplet a side has at least "
                f"{LEAST_SIDE_OF_FEATURES} pixels"
            )
    _at_least(where, "validation.every", run.validation.every, 1)
    weights = {key: getattr(run.losses, key) for key in ("l1", "mse_db", "rmse", "ssim", "quadruplet")}
    for key in ("density", "airlight", "real"):
        _at_least(where, f"losses.{key}", getattr(run.losses, key), 0)
    for key, weight in weights.items():
        _at_least(where, f"losses.{key}", weight, 0)
    if not any(weights.values()):
        raise ConfigError(f"{where}: every loss has weight 0; give at least one of {', '.join(weights)} a weight")


def _names_a_file(name: str) -> bool:
    plain = name.isprintable() and "/" not in name and not name.startswith(".")
    return plain and 0 < len(name.encode()) <= LONGEST_NAME


def _at_least(where: str, key: str, value: float, least: float) -> None:
    if value < least:
        raise ConfigError(f"{where}: {key} is {value}; it is at least {least}")


def _at_most(where: str, key: str, value: float, most: float) -> None:
    if value > most:
        raise ConfigError(f"{where}: {key} is {value}; it is at most {most}")


def _read(kind: Any, table: Mapping[str, Any], where: str, prefix: str) -> Any:
    hints = typing.get_type_hints(kind, include_extras=True)
    for key in table:
        if key not in hints:
            raise ConfigError(f"{where}: there is no {prefix}{key}{nearest(key, hints)}")
    for spec in dataclasses.fields(kind):
        required = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        if required and spec.name not in table:
            raise ConfigError(f"{where}: {prefix}{spec.name} is missing")
    return kind(**{key: _value(hints[key], value, where, f"{prefix}{key}") for key, value in table.items()})


def _value(kind: Any, value: Any, where: str, key: str) -> Any:
    if dataclasses.is_dataclass(kind):
        _expect(isinstance(value, dict), where, key, value, "a table")
        return _read(kind, value, where, f"{key}.")
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        read = _value(arguments[0], value, where, key)
        if complaint := arguments[1].complaint(read):
            raise ConfigError(f"{where}: {key} is {read!r}; {complaint}")
        return read
    if origin is dict:
        _expect(isinstance(value, dict), where, key, value, "a table")
        return {name: _value(arguments[1], item, where, f"{key}.{name}") for name, item in value.items()}
    if origin is list:
        _expect(isinstance(value, list), where, key, value, "a list")
        return [_value(arguments[0], item, where, key) for item in value]
    if origin is tuple:
        right = isinstance(value, list | tuple) and len(value) == len(arguments)
        _expect(right, where, key, value, f"a list of {len(arguments)}")
        return tuple(_value(k, item, where, key) for k, item in zip(arguments, value, strict=True))
    if kind is float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), where, key, value, "a number")
        try:
            number = float(value)
        except OverflowError:  # a whole number of some 300 digits
            number = math.inf
        _expect(math.isfinite(number), where, key, value, "a finite number")
        return number
    if kind is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), where, key, value, "a whole number")
    if kind is bool:
        _expect(isinstance(value, bool), where, key, value, "true or false")
    if kind is str:
        _expect(isinstance(value, str), where, key, value, "a text in quotes")
    return value


def _expect(right: bool, where: str, key: str, value: Any, what: str) -> None:
    if not right:
        shown = f"{value!r}" if not isinstance(value, dict | types.NoneType) else "a table"
        raise ConfigError(f"{where}: {key} is {shown}; it takes {what}")
