"""A line of NVIDIA's ``tegrastats``: power rails.

Source of the format: NVIDIA Jetson Linux Developer Guide, "tegrastats Utility". Older releases write rails without
the unit (``VDD_IN 6140/5510``), newer ones with it (``VDD_IN 4824mW/4824mW``); the first number is the present
value, the second the average since the program started.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RAIL = re.compile(r"\b([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/(\d+)(?:mW)?(?=\s|$)")
# One rail that all the others hang on; where it is missing (AGX modules), the rails add up.
WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")
NOT_RAILS = ("RAM", "SWAP", "IRAM")


@dataclass(frozen=True)
class Reading:
    """Rails in milliwatts, by name."""

    rails_mw: dict[str, float]

    @property
    def watts(self) -> float | None:
        """Of the whole board as far as metered: the input rail, else the sum of all rails; None without any."""
        for name in WHOLE_BOARD:
            if name in self.rails_mw:
                return self.rails_mw[name] / 1000
        return sum(self.rails_mw.values()) / 1000 if self.rails_mw else None

    @property
    def rail(self) -> str:
        """Which rail `watts` is of."""
        return next((name for name in WHOLE_BOARD if name in self.rails_mw), "sum of " + ", ".join(self.rails_mw))


def parse(line: str) -> Reading:
    """A line; whatever is not understood is passed over."""
    return Reading({name: float(now) for name, now, _ in RAIL.findall(line) if name not in NOT_RAILS})
