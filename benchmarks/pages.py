"""Tables that a command writes into a page, between two marks that name them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from edge.errors import EdgeError
from edge.files import write_whole


def put(page: Path, name: str, module: str, arguments: list[str] | None, text: str) -> None:
    """Put a text and above it the command that made it between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``.

    Args:
        arguments: as of a `main`: None for those of this process. Of paths the last name is shown; ``--page`` is left
            out.

    Raises:
        EdgeError: the page lacks the marks.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    old = page.read_text(encoding="utf-8")
    head, first, rest = old.partition(begin)
    _, last, tail = rest.partition(end)
    if not (first and last):
        raise EdgeError(f"{page} lacks {begin} and {end}: put both where the table shall stand")
    given = sys.argv[1:] if arguments is None else arguments
    where = given.index("--page") if "--page" in given else len(given)
    shown = [Path(a).name if "/" in a else a for a in (*given[:where], *given[where + 2 :])]
    typed = shlex.join(["python", "-m", module, *shown])
    write_whole(page, f"{head}{begin}\n    {typed}\n\n{text.strip()}\n{end}{tail}".encode())
