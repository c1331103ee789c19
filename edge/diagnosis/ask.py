"""Ask a probe, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TIMEOUT_S = 120
MARK = "probe: "


def ask(name: str, *arguments: str) -> dict[str, Any]:
    """Run one probe in a new process.

    Returns:
        What it found; ``{"error": ...}`` if it raised, crashed or hung.
    """
    command = [sys.executable, "-m", "edge.diagnosis.probe", name, *arguments]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": path}
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment)
    except subprocess.TimeoutExpired:
        return {"error": f"it did not answer within {TIMEOUT_S} s"}
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    if done.returncode < 0:
        return {"error": f"it crashed with signal {-done.returncode}"}
    last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
    return {"error": last, "absent": last.startswith("ModuleNotFoundError")}
