"""Which one to take: the Pareto front, and the answer in words; among rows that compare (`Setting`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from edge.reporting.rows import Entry, Row

AS_CLEAR_DB = 0.1  # less than anybody sees: among entries so near to the clearest, the fastest is taken
Key = TypeVar("Key")


@dataclass(frozen=True)
class Wish:
    """What the user has to keep to: milliseconds for a frame at p90, and decibels at least. None for no limit."""

    budget_ms: float | None = None
    min_psnr_db: float | None = None


@dataclass(frozen=True)
class Setting:
    """What rows have to share to compare: the frame size, the threads asked for, and the pictures they were scored on.

    Attributes:
        data: of the pictures; None for rows without scores.
    """

    width: int
    height: int
    threads: int | None
    data: str | None = None

    @staticmethod
    def of(entry: Entry) -> Setting:
        return Setting(entry.row.width, entry.row.height, entry.row.threads, entry.row.data)

    def described(self, others: Iterable[Setting]) -> str:
        """What tells it from others, for example `` at 640x480 on “outdoor”``; empty where nothing does."""
        others = list(others)
        words = ""
        if any((s.width, s.height) != (self.width, self.height) for s in others):
            words += f" at {self.width}x{self.height}"
        if any(s.threads != self.threads for s in others):
            count = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
            words += f" with {count if self.threads else 'threads of its own choice'}"
        if self.data is not None and any(s.data not in (self.data, None) for s in others):
            words += f" on “{self.data}”"
        return words


@dataclass(frozen=True)
class Verdict:
    """The answer for one board and setting: the entry to take, or None, and the sentence that says so."""

    board: str
    entry: Entry | None
    sentence: str


def pareto(entries: Sequence[Entry]) -> list[Entry]:
    """Entries that no other beats in both p90 and PSNR, fastest first. All must be scored on the same pictures."""
    front: list[Entry] = []
    for entry in sorted(entries, key=lambda e: (e.row.p90_ms, -(e.row.psnr_db or 0))):
        if not front or (entry.row.psnr_db or 0) > (front[-1].row.psnr_db or 0):
            front.append(entry)
    return front


def fronts(entries: Sequence[Entry]) -> list[Entry]:
    """Entries on the Pareto front of their board and setting."""
    groups = _grouped(entries, lambda e: (e.machine, Setting.of(e)))
    return [entry for group in groups.values() for entry in pareto(group)]


def by_setting(entries: Sequence[Entry]) -> dict[Setting, list[Entry]]:
    """Entries by what they have to share to compare."""
    return _grouped(entries, Setting.of)


def verdicts(entries: Sequence[Entry], wish: Wish) -> list[Verdict]:
    """One for each board and setting, in the order of the entries; rows without scores count where none has any."""
    names = Counter(board for board, _ in dict.fromkeys(e.machine for e in entries))
    every = by_setting(entries)
    found = []
    for (board, machine), on_board in _grouped(entries, lambda e: e.machine).items():
        name = f"{board} ({machine[:4]})" if names[board] > 1 else board
        groups = by_setting(on_board)
        scored = {replace(s, data=None) for s in groups if s.data is not None}
        found += [_verdict(name, s.described(every), here, wish) for s, here in groups.items() if s not in scored]
    return found


def _grouped(entries: Sequence[Entry], key: Callable[[Entry], Key]) -> dict[Key, list[Entry]]:
    groups: dict[Key, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups


def _verdict(board: str, setting: str, entries: Sequence[Entry], wish: Wish) -> Verdict:
    where = f"On {board}{setting}"
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
        return Verdict(board, None, f"{where}{limit}: none of {len(entries)} fits; {nearest}.")
    clean = [e for e in fitting if not e.row.marks] or fitting
    clearest_db = max(e.row.psnr_db or 0 for e in clean)
    best = min((e for e in clean if (e.row.psnr_db or 0) >= clearest_db - AS_CLEAR_DB), key=lambda e: e.row.p90_ms)
    doubt = f" ({best.row.marks})" if best.row.marks else ""
    return Verdict(board, best, f"{where}{limit}: {described(best.row)}{doubt}.")


def fits(row: Row, wish: Wish) -> bool:
    if wish.budget_ms is not None and row.p90_ms > wish.budget_ms:
        return False
    return wish.min_psnr_db is None or (row.psnr_db is not None and row.psnr_db >= wish.min_psnr_db)


def described(row: Row) -> str:
    """For example ``edge-m INT8 (openvino), 17.1 dB, 4.2 ms p90``."""
    quality = f", {row.psnr_db:.1f} dB" if row.psnr_db is not None else ""
    return f"{row.model} {row.precision.upper()} ({row.target}){quality}, {row.p90_ms:.3g} ms p90"
