"""`edge.doctor` says what really runs here, and for what does not, which step is missing."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from edge import command, doctor
from edge.bundle import Bundle
from edge.diagnosis import cameras, machine, probe, runtimes
from edge.diagnosis.ask import ask
from edge.diagnosis.intel import gpu_obstacle, npu_obstacle

REPOSITORY = Path(__file__).parents[2]
DEBIAN = machine.Machine("", "pc", "Debian 12", "x86_64", "", "3.11.7", "apt-get", True, True)
PLUGINS = ["libopenvino_intel_cpu_plugin.so", "libopenvino_intel_gpu_plugin.so", "libopenvino_intel_npu_plugin.so"]


@pytest.fixture
def root(tmp_path):
    """A file system with an Intel NPU, its kernel driver, user-mode driver and Level Zero."""
    for path, text in {
        "sys/bus/pci/devices/0000:00:0b.0/vendor": "0x8086\n",
        "sys/bus/pci/devices/0000:00:0b.0/class": "0x120000\n",
        "dev/accel/accel0": "",
        "usr/lib/x86_64-linux-gnu/libze_intel_vpu.so.1": "",
        "usr/lib/x86_64-linux-gnu/libze_loader.so.1": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_each_missing_step_to_the_npu_is_told_apart(root):
    def kind(plugins=PLUGINS, said="no device"):
        return npu_obstacle(DEBIAN, plugins, said, root).kind

    assert kind() == "unknown"
    assert kind(said="VCL compiler loading failed") == "driver"
    assert kind(plugins=PLUGINS[:2]) == "plugin"
    (root / "usr/lib/x86_64-linux-gnu/libze_loader.so.1").unlink()
    assert kind() == "driver"
    (root / "usr/lib/x86_64-linux-gnu/libze_intel_vpu.so.1").unlink()
    assert "intel-level-zero-npu" in npu_obstacle(DEBIAN, PLUGINS, "", root).remedy
    (root / "dev/accel/accel0").unlink()
    assert kind() == "kernel"
    (root / "sys/bus/pci/devices/0000:00:0b.0/class").write_text("0x030000")
    assert kind() == "hardware"


def test_a_device_that_the_user_may_not_open_is_told_from_a_missing_driver(root, monkeypatch):
    monkeypatch.setattr("edge.diagnosis.intel.may_open", lambda node: False)
    obstacle = npu_obstacle(DEBIAN, PLUGINS, "", root)
    assert obstacle.kind == "permission"
    assert "/dev/accel/accel0" in obstacle.detail
    assert "usermod -aG render" in obstacle.remedy


def test_a_gpu_without_its_opencl_driver_gets_that_packages_name(root):
    (root / "sys/bus/pci/devices/0000:00:0b.0/class").write_text("0x030000")
    assert gpu_obstacle(DEBIAN, PLUGINS, "", root).kind == "kernel"
    (root / "dev/dri").mkdir()
    (root / "dev/dri/renderD128").touch()
    assert gpu_obstacle(DEBIAN, PLUGINS, "", root).remedy == "sudo apt install intel-opencl-icd"


@pytest.mark.parametrize(
    ("model", "family"),
    [("Raspberry Pi 5 Model B Rev 1.0\0", "raspberry-pi"), ("NVIDIA Jetson Orin Nano Developer Kit\0", "jetson")],
)
def test_boards_are_known_by_their_device_tree(tmp_path, model, family):
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text(model)
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nCPU part\t: 0xd0b\n")
    seen = machine.this_machine(tmp_path)
    assert (seen.family, seen.processor) == (family, "Cortex-A76")
    assert seen.board == model.rstrip("\0")


@pytest.mark.parametrize(
    ("cpuinfo", "told"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", ("AVX2", "AVX-512", "AVX-512 VNNI")),
        ("flags\t\t: fpu sse4_2 avx2\n", ("AVX2",)),
        ("Features\t: fp asimd asimddp\n", ("NEON", "dot product")),
        ("", ()),
    ],
)
def test_instruction_sets_are_those_that_the_processor_says(tmp_path, cpuinfo, told):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    assert machine.instruction_sets(tmp_path) == told


def test_outside_a_virtual_environment_the_advice_makes_one():
    outside = machine.Machine("", "raspberry-pi", "", "aarch64", "", "3.13.0", "apt-get", False, True)
    assert outside.pip_install("x").startswith("python3 -m venv --system-site-packages ~/draco && ")
    assert outside.pip_install("draco-edge[rpi]").endswith(f"~/draco/bin/pip install '{REPOSITORY}[rpi]'")


def test_picamera2_hidden_from_the_virtual_environment_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(cameras, "ask", lambda name: {"error": "No module named 'picamera2'", "absent": True})
    pi = machine.Machine("Pi", "raspberry-pi", "", "aarch64", "", "3.13.0", "apt-get", True, False)
    assert cameras.picamera2_finding(pi, tmp_path).remedy == "sudo apt install python3-picamera2"
    (tmp_path / "usr/lib/python3/dist-packages/picamera2").mkdir(parents=True)
    assert "--system-site-packages" in cameras.picamera2_finding(pi, tmp_path).remedy


def test_a_video_node_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    (tmp_path / "sys/class/video4linux/video2").mkdir(parents=True)
    (tmp_path / "sys/class/video4linux/video2/name").write_text("HD Webcam\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/video2").touch()
    (finding,) = cameras.v4l2_findings(DEBIAN, tmp_path)  # a plain file takes no VIDIOC_QUERYCAP
    assert (finding.device, finding.found, finding.usable) == ("/dev/video2", True, False)
    monkeypatch.setattr(cameras, "may_open", lambda node: False)
    (finding,) = cameras.v4l2_findings(DEBIAN, tmp_path)
    assert "usermod -aG video" in finding.remedy


def test_a_provider_that_falls_back_is_not_called_usable():
    answer = {
        "version": "1.31",
        "devices": {
            "CUDAExecutionProvider": {"usable": False, "detail": "it ran on CPUExecutionProvider instead"},
            "CPUExecutionProvider": {"usable": True, "detail": ""},
        },
    }
    cuda, cpu = runtimes.onnxruntime_findings(DEBIAN, answer)
    assert (cuda.device, cuda.usable, cpu.device, cpu.usable) == ("CUDA", False, "CPU", True)
    assert "instead" in cuda.detail and cuda.remedy


@pytest.mark.parametrize(
    ("probe", "module"),
    [("openvino", "openvino"), ("onnxruntime", "onnxruntime"), ("litert", "ai_edge_litert"), ("pyav", "av")],
)
def test_probes_really_run_the_runtimes_that_are_here(probe, module):
    pytest.importorskip(module)
    answer = ask(probe)
    assert "error" not in answer
    assert answer["version"]
    cpu = answer.get("devices", {}).get("CPU") or answer.get("devices", {}).get("CPUExecutionProvider") or answer
    assert cpu["usable"] is True


@pytest.mark.parametrize("module", ["cuda.bindings.runtime", "cuda.cudart"])
def test_the_gpus_are_seen_through_either_name_of_the_cuda_runtime(monkeypatch, module):
    orin = SimpleNamespace(name=b"Orin", major=8, minor=7)
    runtime = ModuleType(module)
    runtime.cudaError_t = SimpleNamespace(cudaSuccess=0)
    runtime.cudaGetDeviceCount = lambda: (0, 1)
    runtime.cudaGetDeviceProperties = lambda number: (0, orin)
    for name in ("cuda", "cuda.bindings", "cuda.bindings.runtime", "cuda.cudart"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("cuda", "cuda.bindings"):
        if module.startswith(f"{name}."):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module, runtime)
    assert probe.cuda() == {"usable": True, "detail": "Orin sm_87"}


@pytest.mark.parametrize(
    ("family", "python", "wanted"),
    [
        ("jetson", "3.10.12", "'cuda-python==12.6.*'"),
        ("jetson", "3.12.3", "'cuda-python==13.*'"),
        ("pc", "3.10.12", "'cuda-python'"),
    ],
)
def test_the_binding_is_that_of_the_boards_cuda(monkeypatch, tmp_path, family, python, wanted):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    monkeypatch.setattr(runtimes, "ask", lambda name: {"absent": True, "error": "not installed"})
    _, cuda = runtimes.tensorrt_findings(replace(DEBIAN, family=family, python=python), tmp_path)
    assert cuda.remedy.endswith(wanted)


def test_a_bundle_for_a_jetson_is_replayed_on_the_processor(grid_bundle, monkeypatch):
    bundle = Bundle.read(grid_bundle)  # the same file, as a workstation has it that exported for a Jetson
    ours = replace(bundle, manifest=replace(bundle.manifest, target="jetson"))
    monkeypatch.setattr(Bundle, "read", lambda path: ours)
    monkeypatch.setattr("edge.diagnosis.ask.ask", lambda *_: {"usable": True, "detail": "agrees"})
    findings = {f.device: f.usable for f in doctor.bundle_findings("bundle")}
    assert findings["CPU"]


def test_a_crash_or_hang_of_a_runtime_is_a_finding(monkeypatch, tmp_path):
    (tmp_path / "cv2.py").write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ask("opencv") == {"error": "it crashed with signal 11"}
    (tmp_path / "cv2.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr("edge.diagnosis.ask.TIMEOUT_S", 1)
    assert ask("opencv") == {"error": "it did not answer within 1 s"}


def test_json_holds_the_machine_and_every_finding(capsys, monkeypatch):
    monkeypatch.setattr("edge.diagnosis.runtimes.ask", lambda name: {"error": "No module", "absent": True})
    monkeypatch.setattr("edge.diagnosis.cameras.ask", lambda name: {"error": "No module", "absent": True})
    assert command.run(doctor.main, ["--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == 1
    assert report["machine"]["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    openvino = next(f for f in report["findings"] if f["name"] == "OpenVINO")
    assert (openvino["found"], openvino["usable"]) == (False, False)
    assert "draco-edge[openvino]" in openvino["remedy"]


def test_a_bundle_that_is_not_there_ends_with_one_line(capsys):
    assert command.run(doctor.main, ["no-such-bundle"]) == 1
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0 and "no-such-bundle" in error


def test_it_works_where_not_even_numpy_is_installed():
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r});"
         "from edge import doctor; sys.exit(doctor.main([]))"],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONNOUSERSITE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Runtimes" in done.stdout and "Cameras" in done.stdout


def test_loops_that_were_not_built_are_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr("edge.native.loops", None)
    finding = runtimes.loops_finding(DEBIAN)
    assert not finding.usable and "longer" in finding.detail
    assert "gcc" in finding.remedy
    monkeypatch.setattr("edge.native.loops", object())
    assert runtimes.loops_finding(DEBIAN).usable
