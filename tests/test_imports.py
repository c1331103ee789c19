"""A board never imports torch, and help is quick: each proved in a process of its own."""

import ast
import json
import os
import pkgutil
import time
from pathlib import Path

import pytest

import edge
import targets

HEAVY = ("torch", "openvino", "onnxruntime", "ai_edge_litert", "tensorrt", "nncf", "onnx", "skimage", "scipy", "altair")
BUILDERS = ("build", "border", "graph", "enlarging", "ranges")  # what of a target only a workstation needs
COMMANDS = (
    "edge.run",
    "edge.export",
    "edge.bench",
    "edge.report",
    "edge.doctor",
    "edge.deploy",
    "edge.sign",
    "edge.demo",
)

IMPORT_ALL = """
import importlib, json, sys
failed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
print(json.dumps([failed, sorted(sys.modules)]))
"""


def _sources(room: str) -> list[Path]:
    return sorted(Path(__file__).parents[1].joinpath(room).rglob("*.py"))


def modules(package) -> list[str]:
    return [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]


def test_no_part_of_edge_imports_torch_or_the_training_code(python):
    done = python("-c", IMPORT_ALL, *modules(edge))
    assert done.returncode == 0, done.stderr
    _, loaded = json.loads(done.stdout)
    assert not set(loaded) & {"torch", "training", "openvino", "onnxruntime", "nncf", "onnx"}


def test_no_runner_imports_torch_or_what_builds_its_artefact(python):
    runners = [name for name in modules(targets) if name.rsplit(".", 1)[-1] not in BUILDERS]
    assert {"targets.openvino.network", "targets.onnx.profile", "targets.jetson.devices"} <= set(runners)
    done = python("-c", IMPORT_ALL, *runners)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)[1]
    assert not {"torch", "quantization", "training"} & set(loaded)
    assert not [name for name in loaded if name.startswith("targets.") and name.rsplit(".", 1)[-1] in BUILDERS]


def test_a_dehazer_runs_without_torch(python, openvino_bundle):
    code = (
        "import sys, numpy, edge\n"
        "edge.Dehazer(sys.argv[1])(numpy.zeros((9, 9, 3), 'u1'))\n"
        "print('torch' in sys.modules)"
    )
    done = python("-c", code, openvino_bundle)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_by_example_and_imports_no_runtime(python, name):
    code = (
        "import sys, importlib\n"
        "try: importlib.import_module(sys.argv[1]).main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print('LOADED', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = python("-c", code, name)
    assert "LOADED []" in done.stdout
    assert "examples:" in done.stdout


def test_help_of_the_stream_command_comes_at_once(python):
    def once() -> float:
        start = time.perf_counter()
        assert python("-m", "edge.run", "--help").returncode == 0
        return time.perf_counter() - start

    assert min(once() for _ in range(5)) < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_a_wrong_call(python, name):
    done = python("-m", name, "--no-such-option")
    assert done.returncode == 2
    assert "usage:" in done.stderr and "Traceback" not in done.stderr


def test_onnx_runtime_is_imported_in_one_place_only():
    def imports(tree):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module or ""
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("require", "import_module")):
                yield from (a.value for a in node.args if isinstance(a, ast.Constant))

    own = [file for room in ("edge", "targets", "quantization", "training", "benchmarks") for file in _sources(room)]
    assert len(own) > 100
    assert not [
        file for file in own if "onnxruntime" in {n.split(".")[0] for n in imports(ast.parse(file.read_text()))}
    ]


@pytest.mark.parametrize(
    "way",
    [
        "from targets.onnx.runtime import import_onnxruntime as way",
        "from targets.openvino.runtime import import_nncf as way",
        "from edge.diagnosis.probe import onnxruntime as way",
    ],
)
def test_onnx_runtime_is_imported_with_its_usage_events_held_back(python, way):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = f"{way}\nimport os\nway()\nprint(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = python("-c", code, env=environment)
    assert done.stdout.strip() == "1", done.stderr


def test_who_has_set_the_switch_of_onnx_runtimes_usage_events_decides(monkeypatch):
    from targets.onnx.runtime import import_onnxruntime

    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_names_of_the_package_are_imported_when_they_are_used(python):
    code = (
        "import sys, edge\n"
        "print(sorted(m for m in sys.modules if m in ('numpy', 'cv2') or m.startswith('edge.')))\n"
        "print([name for name in edge.__all__ if getattr(edge, name) is None], edge.Frame.__module__)"
    )
    done = python("-c", code)
    assert done.stdout.splitlines() == ["[]", "[] edge.streams.frame"], done.stderr


def test_whatever_the_package_raises_is_caught_as_one_kind():
    named = [getattr(edge, name) for name in edge.__all__]
    raised = [value for value in named if isinstance(value, type) and issubclass(value, Exception)]
    assert len(raised) > 10
    assert all(issubclass(kind, edge.EdgeError) for kind in raised)
