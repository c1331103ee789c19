"""What a Raspberry Pi's firmware says of itself through ``vcgencmd``: throttling, power.

Source of the formats: Raspberry Pi documentation, "vcgencmd" (get_throttled's bits, pmic_read_adc).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_BOOT = 16  # the same bits, shifted, stay set once it has happened
RAIL = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Throttled:
    """`vcgencmd get_throttled`: what holds now, and what has happened since boot, in words."""

    now: tuple[str, ...]
    since_boot: tuple[str, ...]


def parse_throttled(text: str) -> Throttled | None:
    """From ``throttled=0x50000``; None where the text is something else."""
    match = re.fullmatch(r"\s*throttled=0x([0-9a-fA-F]+)\s*", text)
    if not match:
        return None
    value = int(match[1], 16)
    return Throttled(
        tuple(word for bit, word in BITS.items() if value >> bit & 1),
        tuple(word for bit, word in BITS.items() if value >> (bit + SINCE_BOOT) & 1),
    )


def parse_power(text: str) -> float | None:
    """Watts from `vcgencmd pmic_read_adc` of a Raspberry Pi 5: the sum over rails that have current and voltage.

    What the converters themselves lose, and what hangs on the 5 V rail (USB, HATs), is not in it: the power chip
    does not meter that. None where no rail has both.
    """
    readings: dict[str, dict[str, float]] = {}
    for rail, unit, value in RAIL.findall(text):
        readings.setdefault(rail, {})[unit] = float(value)
    watts = [r["A"] * r["V"] for r in readings.values() if len(r) == 2]
    return sum(watts) if watts else None
