"""Every command that the project tells its users to type is one that the program understands.

Each is given to the parser of the command it names, as a shell would split it, so that a renamed option, a value that
is no longer a choice or a missing argument is seen; what the commands do is for the tests of each. Targets of `make`
are looked up, and code in docstrings is compiled.
"""

import argparse
import doctest
import importlib
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [
    path
    for part in ("edge", "training", "quantization", "targets", "benchmarks")
    for path in (ROOT / part).rglob("*.py")
]
COMMAND = re.compile(
    r"(?:(?<=[\s`(/])|^)(?:python3?|torchrun [^`\n]*?) -m ((?:edge|training|quantization|benchmarks)[\w.]*)([^`\n]*)"
)
ENDS = re.compile(r"\s#|\s\||\s&&|\s{3,}|;(?=\s)|\)$")


def documented(path):
    """Commands in a page: module and arguments; in code those that are whole lines of docstrings and examples."""
    text = path.read_text().replace("\\\n", " ")
    if path.suffix == ".py":
        text = "\n".join(
            line.strip() for line in text.splitlines()
            if re.match(r"\s*(\$ )?(python -m|torchrun)", line) and not re.search(r"[{}]", line.replace("{n}", ""))
        )  # fmt: skip
    for module, rest in COMMAND.findall(text):
        yield module.rstrip("."), ENDS.split(rest)[0].strip()


COMMANDS = sorted(
    {(module, rest, path.relative_to(ROOT)) for path in (*PAGES, *SOURCES) for module, rest in documented(path)}
)


def test_there_are_commands_in_all_the_places_where_they_are_looked_for():
    places = {str(place) for _, _, place in COMMANDS}
    assert {"README.md", "docs/measuring.md", "docs/boards/jetson.md", "edge/bench.py", "edge/run.py"} <= places
    assert len(COMMANDS) > 60


class Understood(Exception):
    """The command has read its arguments, and would begin."""


@pytest.fixture
def read_only(monkeypatch):
    """Commands stop when they have read their arguments."""
    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, then_stop(getattr(argparse.ArgumentParser, name)))


def then_stop(parse):
    def read(self, *arguments):
        parse(self, *arguments)
        raise Understood

    return read


@pytest.mark.parametrize(("module", "rest", "place"), COMMANDS, ids=lambda value: str(value)[:60])
def test_a_documented_command_is_understood(module, rest, place, read_only, capsys):
    words = shlex.split(rest.replace("TARGET", "openvino"))
    words = [w if before.startswith("--") else w.removesuffix("...") for before, w in pairwise(["", *words])]
    for word in words:
        assert not word.startswith("training/") or (ROOT / word).exists(), f"{place}: there is no {word}"
    main = getattr(importlib.import_module(module), "main", None)
    if main is None or "[" in rest or not rest:
        return  # the module is there, and no more was said of it
    try:
        main([word for word in words if word])
    except Understood:
        return
    except SystemExit:
        pass
    pytest.fail(f"{place}: python -m {module} {rest}\n{capsys.readouterr().err}")


def test_documented_targets_of_make_are_there():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {t for path in PAGES for t in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.M)}
    assert {"demo", "test", "report"} <= named <= targets


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_in_docstrings_are_code(path):
    for example in doctest.DocTestParser().get_examples(path.read_text()):
        compile(example.source, str(path), "single")
