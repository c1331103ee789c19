"""What each kind of source of training pictures can be told, and the ranges of the values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from edge.errors import PictureError
from training.places import parsed_fold

NOTHING = "\0"  # no file's name begins so


@dataclass(frozen=True)
class Within:
    """The range in which a number lies; both ends belong to it."""

    least: float
    most: float = math.inf

    def complaint(self, value: float) -> str:
        """What a message says of a value that lies outside; empty for one that does not."""
        if self.least <= value <= self.most:
            return ""
        return f"it is at least {self.least}" if self.most == math.inf else f"it lies in [{self.least}, {self.most}]"


class IsFold:
    """``k/n`` or ``!k/n``, or empty; see `training.places`."""

    def complaint(self, value: str) -> str:
        try:
            parsed_fold(value or "0/1")
        except PictureError as error:
            return str(error)
        return ""


Share = Annotated[float, Within(0, 1)]
NotNegative = Annotated[float, Within(0)]
Count = Annotated[int, Within(0)]
Fold = Annotated[str, IsFold()]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Of every kind.

    Attributes:
        kind: a key of `SETTINGS`.
        weight: how often it is drawn, in proportion to those of the others; 0 never.
        leave_out: a fold of places, see `training.places`: no picture of it is read, from whichever of the source's
            folders, be it as the hazy picture of a sample or as its answer.
    """

    kind: str
    weight: NotNegative = 1.0
    leave_out: Fold = ""


@dataclass(frozen=True, kw_only=True)
class Windowed(Source):
    """Of kinds that show windows of pictures.

    Attributes:
        whole: share of samples that show the whole picture.
        smallest: least size of the windows, as a share of the picture's sides.
        recolour: how much colours vary, 1 being little.
    """

    whole: Share = 0.0
    smallest: Share = 0.55
    recolour: NotNegative = 1.0


@dataclass(frozen=True, kw_only=True)
class Synthesized(Source):
    """Of kinds that lay haze over a scene. Both count for all samples, those that are made as a benchmark's too.

    Attributes:
        noise: share of samples whose scene has sensor noise before the haze is laid; the answer has none.
        jpeg: share of samples whose hazy picture was stored as JPEG afterwards.
    """

    noise: Share = 0.0
    jpeg: Share = 0.0


@dataclass(frozen=True, kw_only=True)
class Pairs(Windowed):
    """Pairs as they are.

    Attributes:
        only, limit: see `training.places.kept_pairs`.
        vary: share of samples whose haze is thinned or thickened.
    """

    folder: str
    only: str = ""
    limit: Count = 0
    vary: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class Depth(Windowed, Synthesized):
    """Clear pictures with depth.

    Attributes:
        exact: share of samples hazed just as the RESIDE benchmark does it.
        dark: share of the others whose scene is darkened.
    """

    folder: str
    exact: Share = 0.5
    dark: Share = 0.3
    recolour: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class SyntheticPairs(Windowed, Synthesized):
    """Pairs made by the scattering model; `exact` is the share hazed just as the RESIDE benchmark does it indoors."""

    folder: str
    exact: Share = 0.6


@dataclass(frozen=True, kw_only=True)
class Pictures(Source):
    """Pictures of some folders, without those whose names begin with `without`."""

    folders: list[str]
    without: str = NOTHING


@dataclass(frozen=True, kw_only=True)
class Clear(Pictures, Synthesized):
    """Clear pictures whose depth is invented."""


@dataclass(frozen=True, kw_only=True)
class Aerial(Pictures, Synthesized):
    """Clear pictures under the haze below a drone.

    Attributes:
        exact: share under haze just as benchmarks make it: a grey airlight and no sensor noise.
        smallest: least size of the windows, as a share of the picture's sides.
        turned: share of the pictures that are turned by one to three right angles, for a drone has no upright.
        recolour: how much the colours of the ground vary in half of the samples, 1 being little.
    """

    exact: Share = 0.0
    smallest: Share = 0.55
    turned: Share = 0.0
    recolour: NotNegative = 1.0


@dataclass(frozen=True, kw_only=True)
class Transfer(Synthesized):
    """Haze of `pairs` over the pictures of the folders `onto`, without those whose names begin with `without`."""

    pairs: str
    onto: list[str]
    without: str = NOTHING


SETTINGS: Mapping[str, type[Source]] = {
    "pairs": Pairs,
    "depth": Depth,
    "synthetic_pairs": SyntheticPairs,
    "clear": Clear,
    "aerial": Aerial,
    "transfer": Transfer,
    "identity": Pictures,
    "unlabelled": Pictures,
}
