"""Which one to take: the Pareto front, and the answer in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edge.reporting.rows import Entry, Row

AS_CLEAR_DB = 0.1  # less than anybody sees: among entries so near to the clearest, the fastest is taken


@dataclass(frozen=True)
class Wish:
    """What the user has to keep to: milliseconds for a frame at p90, and decibels at least. None for no limit."""

    budget_ms: float | None = None
    min_psnr_db: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The answer for one board: the entry to take, or None, and the sentence that says so."""

    board: str
    entry: Entry | None
    sentence: str


def main_data(entries: Sequence[Entry]) -> str:
    """Digest of the pictures that most entries were scored on: only scores on the same pictures compare."""
    counts = Counter(e.data_digest for e in entries if e.data_digest)
    return counts.most_common(1)[0][0] if counts else ""


def pareto(entries: Sequence[Entry]) -> list[Entry]:
    """Entries that no other beats in both p90 and PSNR, fastest first. All must be scored on the same pictures."""
    front: list[Entry] = []
    for entry in sorted(entries, key=lambda e: (e.row.p90_ms, -(e.row.psnr_db or 0))):
        if not front or (entry.row.psnr_db or 0) > (front[-1].row.psnr_db or 0):
            front.append(entry)
    return front


def verdicts(entries: Sequence[Entry], wish: Wish) -> list[Verdict]:
    """One for each board, in the order of the entries."""
    data = main_data(entries)
    boards = dict.fromkeys(e.machine for e in entries)
    names = Counter(board for board, _ in boards)
    found = []
    for board, machine in boards:
        here = [e for e in entries if e.machine == (board, machine)]
        scored = [e for e in here if e.data_digest == data and data] or here
        name = f"{board} ({machine[:4]})" if names[board] > 1 else board
        found.append(_verdict(name, scored, wish))
    return found


def _verdict(board: str, entries: Sequence[Entry], wish: Wish) -> Verdict:
    fitting = [e for e in entries if fits(e.row, wish)]
    limit = f" within {wish.budget_ms:g} ms" if wish.budget_ms is not None else ""
    if wish.min_psnr_db is not None:
        limit += f"{' and' if limit else ''} from {wish.min_psnr_db:g} dB"
    if not fitting:
        fastest = min(entries, key=lambda e: e.row.p90_ms)
        clearest = max(entries, key=lambda e: e.row.psnr_db or 0)
        nearest = f"the fastest is {described(fastest.row)}"
        if clearest is not fastest and clearest.row.psnr_db is not None:
            nearest += f", the clearest {described(clearest.row)}"
        return Verdict(board, None, f"On {board}{limit}: none of {len(entries)} fits; {nearest}.")
    clean = [e for e in fitting if not e.row.marks] or fitting
    clearest_db = max(e.row.psnr_db or 0 for e in clean)
    best = min((e for e in clean if (e.row.psnr_db or 0) >= clearest_db - AS_CLEAR_DB), key=lambda e: e.row.p90_ms)
    doubt = f" ({best.row.marks})" if best.row.marks else ""
    return Verdict(board, best, f"On {board}{limit}: {described(best.row)}{doubt}.")


def fits(row: Row, wish: Wish) -> bool:
    if wish.budget_ms is not None and row.p90_ms > wish.budget_ms:
        return False
    return wish.min_psnr_db is None or (row.psnr_db is not None and row.psnr_db >= wish.min_psnr_db)


def described(row: Row) -> str:
    """For example ``edge-m INT8 (openvino), 17.1 dB, 4.2 ms p90``."""
    quality = f", {row.psnr_db:.1f} dB" if row.psnr_db is not None else ""
    return f"{row.model} {row.precision.upper()} ({row.target}){quality}, {row.p90_ms:.3g} ms p90"
