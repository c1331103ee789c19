"""What a measurement says of the machine and of what is installed there."""

from __future__ import annotations

import numpy as np
import pytest

from edge.measure.machine import this_machine, versions


def test_versions_are_those_of_what_is_installed_and_of_a_targets_runtime():
    found = versions(("pytest", "no-such-package"))
    assert found["pytest"] == pytest.__version__
    assert found["numpy"] == np.__version__
    assert "no-such-package" not in found


def machine_with(root, flags, key="flags"):
    (root / "proc").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (root / "proc" / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: AMD EPYC\n{key}\t\t: fpu {flags}\n")
    return this_machine(root=root)


def test_machines_of_one_image_whose_processors_go_by_one_name_are_told_apart(tmp_path):
    older = machine_with(tmp_path / "older", "avx2 hypervisor")
    newer = machine_with(tmp_path / "newer", "avx2 avx512f avx512_vnni hypervisor")
    again = machine_with(tmp_path / "again", "hypervisor avx512_vnni avx2 avx512f")
    assert older.processor == newer.processor == "AMD EPYC"
    assert (older.instructions, newer.instructions) == (("AVX2",), ("AVX2", "AVX-512", "AVX-512 VNNI"))
    assert older.id != newer.id == again.id


def test_an_arm_processors_dot_products_are_told(tmp_path):
    assert machine_with(tmp_path, "asimd asimddp i8mm", "Features").instructions == ("NEON", "dot product", "I8MM")
