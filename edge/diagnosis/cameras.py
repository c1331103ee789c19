"""The ways to a camera: picamera2, Video4Linux, GStreamer, PyAV."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edge.diagnosis import Finding
from edge.diagnosis.ask import ask
from edge.diagnosis.machine import ROOT, Machine, may_open

QUERY_CAPABILITIES = 0x80685600  # VIDIOC_QUERYCAP of linux/videodev2.h
CAPABILITIES = struct.Struct("16s32s32sIII12x")
VIDEO_CAPTURE = 0x1 | 0x1000  # single-planar, multi-planar
TIMEOUT_S = 20
TEST_PIPELINE = ("videotestsrc", "num-buffers=1", "!", "videoconvert", "!", "video/x-raw,format=RGB", "!", "fakesink")


def cameras(machine: Machine, root: Path = ROOT) -> Iterator[Finding]:
    """Every camera stack that a source of this project uses."""
    yield picamera2_finding(machine, root)
    yield from v4l2_findings(machine, root)
    yield gstreamer_finding(machine)
    answer = ask("pyav")
    usable = bool(answer.get("usable"))
    detail = "not installed" if answer.get("absent") else answer.get("error") or answer.get("detail", "")
    remedy = "" if usable else machine.pip_install("av")
    yield Finding("camera", "PyAV", "", not answer.get("absent"), usable, answer.get("version", ""), detail, remedy)


def picamera2_finding(machine: Machine, root: Path = ROOT) -> Finding:
    """picamera2; the usual mishap, a virtual environment that does not see the system's packages, is told apart."""
    answer = ask("picamera2")
    name = "picamera2"
    if "error" not in answer:
        remedy = (
            "" if answer["usable"] else "connect a camera (cable the right way round) and reboot; rpicam-hello shows it"
        )
        detail = answer["detail"] or "libcamera sees no camera"
        return Finding("camera", name, "", True, answer["usable"], answer["version"], detail, remedy)
    if (root / "usr/lib/python3/dist-packages/picamera2").is_dir() and not machine.sees_system_packages:
        return Finding(
            "camera",
            name,
            "",
            True,
            False,
            detail="the system has it, but this virtual environment does not see the system's packages",
            remedy="python3 -m venv --system-site-packages DIR, and install draco-edge there",
        )
    if machine.family != "raspberry-pi" and answer.get("absent"):
        return Finding("camera", name, "", False, False, detail="not installed; for Raspberry Pi cameras")
    remedy = machine.system_install("picamera2", "picamera2 comes with Raspberry Pi OS: use that")
    return Finding("camera", name, "", not answer.get("absent"), False, detail=answer["error"], remedy=remedy)


def v4l2_findings(machine: Machine, root: Path = ROOT) -> Iterator[Finding]:
    """A finding for each Video4Linux node that captures; one that says so where there is none."""
    any_node = False
    for entry in sorted((root / "sys/class/video4linux").glob("video*"), key=_number):
        node = root / "dev" / entry.name
        shown = f"/dev/{entry.name}"
        label = (entry / "name").read_text(encoding="utf-8").strip() if (entry / "name").exists() else ""
        if not may_open(node):
            any_node = True
            remedy = "sudo usermod -aG video $USER, then log out and in again"
            yield Finding(
                "camera", "Video4Linux", shown, True, False, "", f"{label}: this user may not open it", remedy
            )
            continue
        try:
            driver, card, captures = query_capabilities(node)
        except OSError as error:
            any_node = True
            yield Finding(
                "camera", "Video4Linux", shown, True, False, "", f"{label}: {error.strerror}", "plug it in again"
            )
            continue
        if captures:
            any_node = True
            yield Finding("camera", "Video4Linux", shown, True, True, driver, card)
    if not any_node:
        remedy = "plug in a USB camera; to look at it: " + machine.system_install("v4l2", "install v4l-utils")
        yield Finding(
            "camera", "Video4Linux", "", False, False, detail="no /dev/video node that captures", remedy=remedy
        )


def query_capabilities(node: Path) -> tuple[str, str, bool]:
    """Driver, card and whether this node gives pictures, as its driver tells (VIDIOC_QUERYCAP)."""
    handle = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    try:
        answer = fcntl.ioctl(handle, QUERY_CAPABILITIES, bytes(CAPABILITIES.size))
    finally:
        os.close(handle)
    driver, card, _, _, _, device = CAPABILITIES.unpack(answer)
    return driver.split(b"\0")[0].decode(), card.split(b"\0")[0].decode(), bool(device & VIDEO_CAPTURE)


def gstreamer_finding(machine: Machine) -> Finding:
    """GStreamer: one test picture is sent through a pipeline."""
    remedy = machine.system_install("gstreamer", "install GStreamer 1 with its base and good plugins")
    if not shutil.which("gst-launch-1.0"):
        return Finding("camera", "GStreamer", "", False, False, detail="not installed", remedy=remedy)
    try:
        about = _output("gst-launch-1.0", "--version").stdout
        ran = _output("gst-launch-1.0", "-q", *TEST_PIPELINE)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("camera", "GStreamer", "", True, False, detail=str(error), remedy=remedy)
    found = re.search(r"GStreamer ([\d.]+)", about)
    version = found.group(1) if found else ""
    if ran.returncode:
        last = (ran.stderr or ran.stdout).strip().splitlines() or ["the test pipeline failed"]
        return Finding("camera", "GStreamer", "", True, False, version, last[-1], remedy)
    detail, remedy = "one test picture went through", ""
    if machine.family == "jetson":
        argus = _output("gst-inspect-1.0", "--exists", "nvarguscamerasrc").returncode == 0
        detail += ", nvarguscamerasrc is there" if argus else ", but nvarguscamerasrc (CSI cameras) is missing"
        remedy = "" if argus else "sudo apt install nvidia-l4t-gstreamer"
    return Finding("camera", "GStreamer", "", True, True, version, detail, remedy)


def _output(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)


def _number(path: Path) -> int:
    return int(re.sub(r"\D", "", path.name) or 0)
