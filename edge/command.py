"""What every command shares: exit status, one-line errors, progress, lazy imports.

Exit status: 0 done (the last line of standard output is the path of what was made), 1 could not be done,
2 wrong call (argparse's refusals, and `WrongCall`), 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import NoReturn, TypeVar

from edge.errors import EdgeError, MissingPackage, WrongCall

Item = TypeVar("Item")
# Of PyTorch on the processor and on a GPU, of OpenCV, of numpy in a process that prepares pictures, and of both where
# there cannot be so much on any machine.
NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "insufficient memory",
    "failed to allocate",
    "unable to allocate",
    "storage size calculation overflowed",
    "array is too big",
    "maximum allowed dimension exceeded",
)


def run(main: Callable[[list[str] | None], int | None], argv: list[str] | None = None) -> int:
    """Run a command's `main` and turn what it raises into an exit status and one line on standard error."""
    name = main.__module__ if main.__module__ != "__main__" else _module_name()
    try:
        return main(argv) or 0
    except EdgeError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return exit_status(error)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if not _wants_memory(error):
            raise
        print(
            f"{name}: this machine has not enough memory for what was asked; ask for less, such as a smaller size or "
            f"batch ({(str(error).strip().splitlines() or [type(error).__name__])[0][:120]})",
            file=sys.stderr,
        )
        return 1


def exit_status(error: EdgeError) -> int:
    """The exit status that a command ends with for this error: 1 or 2."""
    return 2 if isinstance(error, WrongCall) else 1


def leave(status: int) -> NoReturn:
    """End the process with that exit status, even where a thread is still inside of a library's call.

    The interpreter would unwind such a thread on its way out, which C++ answers with SIGABRT.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def require(module: str, extra: str) -> ModuleType:
    """Import `module` when it is first needed.

    Raises:
        MissingPackage: it is not installed; the message names the extra of this project that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"this needs {module}, which cannot be imported ({error}): pip install 'draco-edge[{extra}]'"
        ) from error


def say(text: str) -> None:
    """One line of what is being done, on standard error."""
    print(text, file=sys.stderr, flush=True)


def progress(items: Iterable[Item], total: int | None, label: str) -> Iterator[Item]:
    """Yield `items` and count them on one line of standard error, which vanishes; silent when not a terminal."""
    shown = sys.stderr.isatty()
    for number, item in enumerate(items, 1):
        if shown:
            print(f"\r\033[K{label} {number}{f'/{total}' if total else ''}", end="", file=sys.stderr, flush=True)
        yield item
    if shown:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _wants_memory(error: Exception) -> bool:
    """Whether an array could not be had; libraries other than numpy say so in words only."""
    said = str(error).lower()
    in_words = isinstance(error, (RuntimeError, ValueError)) or type(error).__module__ == "cv2"
    return isinstance(error, MemoryError) or (in_words and any(words in said for words in NO_MEMORY))


def _module_name() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec else "edge"
