"""The loops in C touch no memory but that of their arrays, and are as near to float64 as they should be."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LEFT_OUT = {  # by what `fastest` asks for, so that every kind of loop has its turn where the processor has all
    "avx512f": (),
    "avx2": ("avx512f",),
    "sse2": ("avx512f", "avx2"),
}


def _library(name: str) -> str | None:
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    path = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
    return path.strip() if Path(path.strip()).is_absolute() else None


@pytest.mark.skipif(_library("libasan.so") is None, reason="no gcc with libasan: apt-get install gcc")
@pytest.mark.parametrize("left_out", LEFT_OUT.values(), ids=LEFT_OUT)
def test_the_loops_stay_within_their_arrays_and_near_float64(left_out, tmp_path):
    not_yet = set(left_out)
    for source in (REPOSITORY / "edge" / "native").glob("*.[ch]"):
        text = source.read_text(encoding="utf-8")
        for feature in left_out:
            asked = f'__builtin_cpu_supports("{feature}")'
            not_yet -= {feature} if asked in text else set()
            text = text.replace(asked, "0")
        (tmp_path / source.name).write_text(text, encoding="utf-8")
    assert not not_yet  # else this would run the widest loops again
    subprocess.run(
        [
            "gcc", "-O1", "-g", "-fsanitize=address", "-fno-trapping-math", "-fPIC", "-shared", "-Wall", "-Wextra",
            "-Werror", f"-I{sysconfig.get_paths()['include']}", tmp_path / "loops.c",
            "-o", tmp_path / "loops.so",
        ],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests" / "boards" / "native_loops.py", tmp_path],
        env={"LD_PRELOAD": f"{_library('libasan.so')} {_library('libstdc++.so.6')}", "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["largest"] <= 1
    assert said["apart"] < 1e-4
