"""The runtimes: one finding for each device that a runtime could use here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.diagnosis import Finding
from edge.diagnosis.ask import ask
from edge.diagnosis.intel import gpu_obstacle, npu_obstacle
from edge.diagnosis.machine import ROOT, Machine


def runtimes(machine: Machine, root: Path = ROOT) -> Iterator[Finding]:
    """Every runtime that a target of this project uses, on every device of it."""
    opencv = ask("opencv")
    yield _one("OpenCV", "CPU", opencv, machine.pip_install("opencv-python-headless"))
    yield loops_finding(machine)
    yield from openvino_findings(machine, ask("openvino"), root)
    yield from onnxruntime_findings(machine, ask("onnxruntime"))
    litert, tflite = ask("litert"), ask("tflite_runtime")
    remedy = machine.pip_install("draco-edge[rpi]")
    yield _one("LiteRT", "CPU", litert, "" if tflite.get("usable") else remedy)
    old_python = tuple(int(part) for part in machine.python.split(".")[:2]) <= (3, 11)
    old = machine.pip_install("tflite-runtime==2.14.0") if old_python else "it ends at Python 3.11: use LiteRT"
    yield _one("tflite-runtime", "CPU", tflite, "" if litert.get("usable") else old)
    yield from tensorrt_findings(machine, root)


def loops_finding(machine: Machine) -> Finding:
    """The loops in C beside the network; without them the image library does the same, more slowly."""
    from edge import native

    if native.loops is not None:
        return Finding("runtime", "loops in C", "CPU", True, True, detail="built at installation")
    compiler = machine.system_install("compiler", "install a C compiler and Python's headers")
    return Finding(
        "runtime",
        "loops in C",
        "CPU",
        False,
        False,
        detail="not built: frames take longer, two to six times in all but the network",
        remedy=f"{compiler}, then install draco-edge again from its source",
    )


def openvino_findings(machine: Machine, answer: dict[str, Any], root: Path = ROOT) -> Iterator[Finding]:
    """OpenVINO on CPU, GPU and NPU, with driver and plugin problems told apart."""
    if "error" in answer:
        yield _one("OpenVINO", "CPU", answer, machine.pip_install("draco-edge[openvino]"))
        return
    for device, state in answer["devices"].items():
        kind = device.split(".")[0]
        if state["usable"] or kind == "CPU":
            remedy = "" if state["usable"] else machine.pip_install("draco-edge[openvino]")
            yield Finding(
                "runtime", "OpenVINO", device, True, state["usable"], answer["version"], state["detail"], remedy
            )
            continue
        look = npu_obstacle if kind == "NPU" else gpu_obstacle
        obstacle = look(machine, answer["plugins"], state["detail"], root)
        detail = f"{obstacle.kind}: {obstacle.detail}" if obstacle.hardware else obstacle.detail
        yield Finding(
            "runtime", "OpenVINO", device, obstacle.hardware, False, answer["version"], detail, obstacle.remedy
        )


def onnxruntime_findings(machine: Machine, answer: dict[str, Any]) -> Iterator[Finding]:
    """ONNX Runtime, one finding for each execution provider of the installed build."""
    if "error" in answer:
        yield _one("ONNX Runtime", "CPU", answer, machine.pip_install("draco-edge[onnx]"))
        return
    for provider, state in answer["devices"].items():
        name = provider.removesuffix("ExecutionProvider")
        remedy = ""
        if not state["usable"]:
            remedy = {
                "CUDA": "install the CUDA and cuDNN that this onnxruntime-gpu was built for",
                "Tensorrt": "install the TensorRT that this onnxruntime-gpu was built for",
            }.get(name, f"see ONNX Runtime's page on the {name} provider")
        yield Finding(
            "runtime", "ONNX Runtime", name, True, state["usable"], answer["version"], state["detail"] or "ran", remedy
        )


def tensorrt_findings(machine: Machine, root: Path = ROOT) -> Iterator[Finding]:
    """TensorRT and the CUDA runtime that feeds it; only where an NVIDIA GPU is, or where one of them is installed."""
    nodes = [root / "dev" / name for name in ("nvidia0", "nvhost-gpu", "nvgpu")]
    gpu = machine.family == "jetson" or any(node.exists() for node in nodes)
    answers = {"TensorRT": ask("tensorrt"), "CUDA": ask("cuda")}
    remedies = {
        "TensorRT": "sudo apt install nvidia-jetpack python3-libnvinfer, and make the virtual environment with "
        "--system-site-packages"
        if machine.family == "jetson"
        else machine.pip_install("tensorrt"),
        "CUDA": machine.pip_install(_cuda_python(machine)),
    }
    for name, answer in answers.items():
        if not gpu and answer.get("absent"):
            yield Finding("runtime", name, "GPU", False, False, detail="no NVIDIA GPU in this machine")
        else:
            yield _one(name, "GPU", answer, remedies[name] if gpu else "")


def _cuda_python(machine: Machine) -> str:
    """The binding for the CUDA of this machine: JetPack 6, whose Python is 3.10, has 12.6, and JetPack 7 has 13."""
    if machine.family != "jetson":
        return "cuda-python"
    return "cuda-python==12.6.*" if machine.python.startswith("3.10.") else "cuda-python==13.*"


def _one(name: str, device: str, answer: dict[str, Any], remedy: str) -> Finding:
    if answer.get("absent"):
        return Finding("runtime", name, device, False, False, detail="not installed", remedy=remedy)
    usable = bool(answer.get("usable"))
    detail = answer.get("error") or answer.get("detail", "")
    return Finding("runtime", name, device, True, usable, answer.get("version", ""), detail, "" if usable else remedy)
