"""Is INT8 faster than float32 on this machine? Both artefacts of one target in turns, on one thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge import typed
from edge.measure import conditions, loop
from edge.measure.machine import this_machine
from edge.measure.statistics import ratio_of_medians

if TYPE_CHECKING:
    import targets
    from edge.bundle import Bundle

PLAN = loop.Plan(warmup_runs=2, warmup_s=0.1, runs=8, seconds=2.0, longest_s=6.0)


@dataclass(frozen=True)
class Pace:
    """What the network alone takes in INT8, as a share of what it takes in float32.

    Attributes:
        to_fp32: median over turns; below 1 where INT8 is faster.
        low, high: 95 % of a bootstrap over turns lie between them.
        int8_ms, fp32_ms: medians of one call.
        threads: of the processor.
        processor: its model.
        recommended: ``int8`` where it is certain to be faster, else ``fp32``, which is exact; None where the machine
            was not quiet.
        marks: what made the figures doubtful meanwhile, as `edge.measure.conditions.marks` has it.
        instructions: the processor's instruction sets (`edge.measure.machine.Machine`); empty in bundles that were made
            before they were told.
    """

    to_fp32: float
    low: float
    high: float
    int8_ms: float
    fp32_ms: float
    threads: int
    processor: str
    recommended: str | None
    marks: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        """For people, in one line."""
        share = f"INT8 takes {self.to_fp32:.2f} ({self.low:.2f} to {self.high:.2f}) of float32's time here"
        if self.recommended is None:
            return (
                f"{share}, but the machine was not quiet ({'; '.join(self.marks)}): export again on a quiet one to "
                "know which precision to take"
            )
        if self.recommended == "int8":
            return f"{share}, {self.int8_ms:.1f} ms against {self.fp32_ms:.1f} (one thread, network alone)"
        return f"{share}: it is no faster on this processor; take --precision fp32 for it, which loses nothing"


def mark(notes: Mapping[str, Any], processor: str, instructions: Sequence[str] = ()) -> str | None:
    """What a measurement of an INT8 bundle has to say of its pace; None where it is the right choice or not known.

    Args:
        notes: of the bundle's manifest.
        processor, instructions: on which it is measured, with what instruction sets; the exporting machine's pace says
            nothing of another. Sets that either does not know tell nothing apart.
    """
    try:
        found: Pace = typed.build(Pace, notes.get("pace"), "notes.pace")
    except ValueError:  # it tells none, or was made by another version of this program
        return None
    if found.recommended != "fp32" or found.processor != processor:
        return None
    if found.instructions and instructions and set(found.instructions) != set(instructions):
        return None
    return (
        f"take fp32: on this processor the network in INT8 takes {found.to_fp32:.2f} "
        f"({found.low:.2f} to {found.high:.2f}) of float32's time"
    )


def paired(target: targets.Target, fp32: Bundle, int8: Bundle, device: str, plan: loop.Plan = PLAN) -> Pace:
    """Time a target's two artefacts of one model against each other, for some seconds.

    Args:
        device: as `--device`; one that `target` finds here.
    """
    size = int8.manifest.input
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (size["height"], size["width"], 3), np.uint8) for _ in range(2)]
    with closing(target.open(fp32, device, 1)) as plain, closing(target.open(int8, device, 1)) as rounded:
        both = [_Alone(plain), _Alone(rounded)]
        for one in both:
            loop.warm_up(one, pictures, plan)
        monitor = conditions.Monitor()
        exact, quick = loop.measure(both, pictures, plan, lambda share, index: monitor.sample())
        marks = conditions.marks(monitor.finish())
    turns = min(len(exact.rounds), len(quick.rounds))
    plain_ms, int8_ms = ([r[:, 0] for r in s.rounds[:turns]] for s in (exact, quick))
    ratio, interval = ratio_of_medians(plain_ms, int8_ms)
    faster = "int8" if interval.high < 1 else "fp32"
    here = this_machine()
    return Pace(
        round(ratio, 3),
        round(interval.low, 3),
        round(interval.high, 3),
        round(float(np.median(quick.times_ms())), 3),
        round(float(np.median(exact.times_ms())), 3),
        1,
        here.processor,
        None if marks else faster,
        marks,
        here.instructions,
    )


class _Alone:
    """A network, as the timing loop calls what it measures."""

    timing = None

    def __init__(self, network: targets.Network) -> None:
        self._network = network

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        return self._network(frame)[0]
