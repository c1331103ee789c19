"""What may be changed while a stream runs, by the preview page or by a signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge.errors import EdgeError
from edge.streams.limits import LONGEST_SMOOTHING_S, STRONGEST


@dataclass
class Controls:
    """The wishes that the model thread reads before each frame. One attribute is one wish: no lock is needed.

    Attributes:
        strength: how much of the haze to remove, in [0, 1.5].
        smooth_s: time constant over which coefficients are averaged, in seconds; 0 for none.
        auto: let the model rest while the air is clear.
    """

    strength: float = 1.0
    smooth_s: float = 0.0
    auto: bool = False

    def __post_init__(self) -> None:
        self.change(strength=self.strength, smooth_s=self.smooth_s, auto=self.auto)

    def change(self, **wishes: Any) -> None:
        """Take over some wishes, or none of them.

        Raises:
            EdgeError: there is no such wish, or its value is out of range.
        """
        limits = {"strength": STRONGEST, "smooth_s": LONGEST_SMOOTHING_S}
        for name, value in wishes.items():
            if name == "auto":
                if not isinstance(value, bool):
                    raise EdgeError(f"auto is true or false, not {value!r}")
            elif name not in limits:
                raise EdgeError(f"there is no {name!r} to change, only strength, smooth_s and auto")
            elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= limits[name]:
                what = "strength" if name == "strength" else "seconds of smoothing"
                raise EdgeError(f"{what} must lie between 0 and {limits[name]:g}, not {value!r}")
        for name, value in wishes.items():
            setattr(self, name, value if name == "auto" else float(value))

    def stronger(self, by: float) -> None:
        """Change the strength by a step, within its limits."""
        self.strength = round(min(max(self.strength + by, 0.0), STRONGEST), 6)
