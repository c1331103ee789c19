"""Keep native libraries from writing to the terminal: standard output belongs to the command."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator

from edge import forks

# What LiteRT writes to standard error, once in a process, when it first prepares a model.
GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
_greeted = forks.Turn()
_was_greeted = threading.Event()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to file descriptors 1 and 2; shown only if the block raises.

    For a process of our own that builds: what any thread writes meanwhile is held back too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = [(number, os.dup(number)) for number in (1, 2)]
        try:
            for number, _ in kept:
                os.dup2(held.fileno(), number)
            failed = True
            yield
            failed = False
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)
            if failed:
                held.seek(0)
                os.write(2, held.read())


@contextlib.contextmanager
def without_greeting() -> Iterator[None]:
    """Leave LiteRT's greeting out of standard error, and nothing else: other threads may write there meanwhile.

    Without effect once it was left out, and where there is no standard error or no memory to hold it.
    """
    with _greeted.held():
        pair = None if _was_greeted.is_set() else _redirected()
        try:
            yield
        finally:
            if pair is not None:
                _put_back(*pair)


def _redirected() -> tuple[int, io.FileIO] | None:
    """A copy of standard error, and the memory that is written to instead."""
    with contextlib.suppress(OSError, AttributeError):  # not every system has files that lie in memory
        held = io.FileIO(os.memfd_create("standard-error"), "r+")
        try:
            copy = os.dup(2)
        except OSError:
            held.close()
            raise
        os.dup2(held.fileno(), 2)
        return copy, held
    return None


def _put_back(copy: int, held: io.FileIO) -> None:
    os.dup2(copy, 2)
    os.close(copy)
    with held:
        held.seek(0)
        text = held.readall()
    if GREETING in text:
        _was_greeted.set()
        text = text.replace(GREETING, b"", 1)
    with contextlib.suppress(OSError):
        while text:
            text = text[os.write(2, text) :]
