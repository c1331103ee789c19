"""What many frame times say: percentiles, and intervals that know that neighbouring frames are alike.

Frame times are not independent draws: a busy neighbour or a hot chip slows hundreds of frames in a row. Intervals
here therefore come from a bootstrap over blocks of consecutive frames (Künsch 1989, non-overlapping variant), which
keeps such stretches together. What slows a machine for longer than a block still makes neighbouring blocks alike;
how much longer is told by how fast the variance of means falls as they are taken over more blocks (aggregated variance,
Beran 1994, section 4.4), and the interval is widened by that. What changes from one run to the next only (another
placement in memory, another clock) they cannot know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCKS = 25
GROUPS = (1, 2, 3, 5)  # blocks over which means are taken, to see how long slow stretches last
RESAMPLES = 500
TINY = 1e-9  # a sample that a coarse clock saw as nothing
NORMAL = 1.959964
STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)  # 1 to 10 degrees
LONGEST = 20_000  # frames that enter a bootstrap; more are thinned evenly


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Frame times in milliseconds. Percentiles are nearest-rank, as MLPerf takes its single-stream p90."""

    mean: float
    std: float
    min: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


def percentile(samples: np.ndarray, q: float) -> float:
    """Nearest-rank percentile: the smallest sample that at least `q` percent of them do not exceed."""
    return float(np.percentile(samples, q, method="inverted_cdf"))


def summarise(samples_ms: np.ndarray) -> Summary:
    """All samples count, outliers included.

    Args:
        samples_ms: (n,) with n at least 1.
    """
    p50, p90, p95, p99 = map(float, np.percentile(samples_ms, (50, 90, 95, 99), method="inverted_cdf"))
    return Summary(
        mean=float(samples_ms.mean()),
        std=float(samples_ms.std(ddof=1)) if samples_ms.size > 1 else 0.0,
        min=float(samples_ms.min()),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        max=float(samples_ms.max()),
    )


def percentile_intervals(samples_ms: np.ndarray, qs: tuple[float, ...], seed: int = 0) -> dict[float, Interval]:
    """Bootstrap intervals of percentiles, over blocks of consecutive samples."""
    draws = bootstrap_percentiles(samples_ms, qs, np.random.default_rng(seed))
    return {q: _interval(draws[:, column]) for column, q in enumerate(qs)}


def bootstrap_percentiles(samples: np.ndarray, qs: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Nearest-rank percentiles of samples drawn anew, block by block: float64 (`RESAMPLES`, len(qs)).

    A sample drawn k times weighs k; so all is sorted once, and each draw is a sum of weights. Draws lie as much further
    from the samples' own percentile, as a ratio, as slow drifts ask for (`drift`).

    Args:
        samples: in the order in which they were taken.
    """
    thinned = np.maximum(samples[:: -(-samples.size // LONGEST)], TINY)
    count = min(BLOCKS, thinned.size)
    order = np.argsort(thinned, kind="stable")
    ordered, block_of = thinned[order], (order * count // thinned.size)
    draws = np.empty((RESAMPLES, len(qs)))
    for row in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, count, count), minlength=count)
        reached = np.cumsum(weights[block_of])
        ranks = np.ceil(np.array(qs) / 100 * reached[-1])
        draws[row] = ordered[np.searchsorted(reached, ranks)]
    centre = np.percentile(thinned, qs, method="inverted_cdf")
    return centre * (draws / centre) ** drift(thinned)


def drift(samples: np.ndarray) -> float:
    """How many times as wide slow drifts make an interval that takes blocks of these samples for independent.

    1 where the variance of means falls as their number of blocks grows, as it does for independent ones; the square
    root of `BLOCKS` where it does not fall at all. With fewer than two samples a block there is no telling: 1.
    """
    if samples.size < 2 * BLOCKS:
        return 1.0
    blocks = np.log([np.median(block) for block in np.array_split(samples, BLOCKS)])
    means = [blocks[: BLOCKS // n * n].reshape(-1, n).mean(axis=1) for n in GROUPS]
    variances = np.array([m.var(ddof=1) for m in means])
    if not variances.all():
        return 1.0
    fall, _ = np.polyfit(np.log(GROUPS), np.log(variances), 1, w=np.sqrt([m.size for m in means]))
    return float(BLOCKS ** ((1 + np.clip(fall, -1, 0)) / 2))


def mean_interval(values: np.ndarray, groups: Sequence[str] | None = None) -> Interval | None:
    """Student's interval of a mean, such as that of the scores of pictures; None for a single one.

    A bootstrap would be too narrow for few: over five pictures it holds the truth in 85 of 100 cases.

    Args:
        values: (n,).
        groups: of each value, for example the scene. What is of one group is not independent: groups are what counts
            then, and the error is that of a ratio of sums over them (Cochran 1977, section 6.4). None for a group each.
    """
    _, group = np.unique(np.arange(values.size) if groups is None else np.array(groups), return_inverse=True)
    count = int(group.max()) + 1 if values.size else 0
    if count < 2:
        return None
    mean = float(values.mean())
    sums = np.bincount(group, weights=values - mean)
    error = float(np.sqrt(count / (count - 1) * (sums**2).sum()) / values.size)
    reach = student(count - 1) * error
    return Interval(mean - reach, mean + reach)


def student(freedom: int) -> float:
    """How many standard errors a 95 % interval reaches to each side (Abramowitz and Stegun 1964, 26.7.5)."""
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z, n = NORMAL, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def ratio_of_medians(rounds_a: list[np.ndarray], rounds_b: list[np.ndarray], seed: int = 0) -> tuple[float, Interval]:
    """How many times as long `b` takes as `a`, where the two took turns: the median over rounds of their ratio.

    Both were measured in every round, one right after the other: what slows the machine for a while slows both, and
    leaves their ratio alone. The interval is a bootstrap over rounds.

    Args:
        rounds_a, rounds_b: one array of frame times per round, as many of the one as of the other.
    """
    ratios = np.array([np.median(b) / np.median(a) for a, b in zip(rounds_a, rounds_b, strict=True)])
    picks = np.random.default_rng(seed).integers(0, ratios.size, (4 * RESAMPLES, ratios.size))
    return float(np.median(ratios)), _interval(np.median(ratios[picks], axis=1))


def _interval(draws: np.ndarray) -> Interval:
    low, high = np.percentile(draws, (2.5, 97.5))
    return Interval(float(low), float(high))
