"""What a measurement says of the machine and of what is installed there."""

from __future__ import annotations

import numpy as np
import pytest

from edge.measure.machine import versions


def test_versions_are_those_of_what_is_installed_and_of_a_targets_runtime():
    found = versions(("pytest", "no-such-package"))
    assert found["pytest"] == pytest.__version__
    assert found["numpy"] == np.__version__
    assert "no-such-package" not in found
