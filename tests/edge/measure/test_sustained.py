"""A long run says what the machine went through meanwhile, also where it was cut and went on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.measure import conditions, loop, session, store
from edge.measure.conditions import Conditions, Sensed
from edge.measure.machine import this_machine
from edge.measure.record import Startup, Subject
from edge.reporting import regressions, rows

OLD = Path(__file__).parent / "data" / "version-1.json"

NOTHING = Conditions(Sensed(None, None, None), Sensed(None, None, None), None, None, None, None, None)
HOT = replace(NOTHING, temperature_c=Sensed(60.0, 92.0, 91.0), throttled=("2 throttling events",), swapped_pages=3)
WARM = replace(NOTHING, temperature_c=Sensed(70.0, 75.0, 74.0), throttled=("under-voltage",), swapped_pages=2)


@pytest.fixture
def sustained(monkeypatch):
    """Runs in windows that pass at once, under chosen conditions: `sustained(HOT, windows=2, before=None)`."""

    def run(seen, windows=2, before=None):
        class Monitor:
            temperature_c = frequency_mhz = None

            def __init__(self, meter):
                pass

            def finish(self):
                return seen

        made = [loop.Window(10.0 * n, 100.0, np.array([10.0])) for n in range(1, windows + 1)]
        monkeypatch.setattr(conditions, "Monitor", Monitor)
        monkeypatch.setattr(loop, "sustain", lambda *arguments: iter(made))
        settings = session.Settings(this_machine(), "", "CPU", 1, loop.QUICK, False, (), None)
        subject = Subject("a", "", "frame", {}, "opencv", "fp32", 0)
        opened = session.Opened(subject, lambda frame: frame, "CPU", "fp32", Startup(0.0, 0.0, 0.0), "")
        return list(session.sustain(opened, settings, 0.5, lambda share: None, before))

    return run


def test_throttling_during_a_long_run_is_marked_and_leaves_the_first_run_in_force(sustained):
    measured = replace(store.read(OLD), marks=("quick run",))
    for part in sustained(HOT):
        measured = session.with_sustained(measured, part)
    assert measured.marks == ("quick run", "while sustained, throttled: 2 throttling events")
    assert measured.sustained.conditions == HOT and measured.conditions is None
    row = rows._row(measured, [measured])
    assert row.temperature_c == 92
    assert not regressions._doubts(row.marks)


def test_a_long_run_that_was_cut_and_went_on_has_the_conditions_of_both_parts(sustained):
    cut = sustained(HOT, windows=1)[-1]
    whole = sustained(WARM, windows=2, before=cut)[-1]
    assert [m.at_s for m in whole.moments] == [10, 20, 30]
    assert whole.conditions.temperature_c == Sensed(60.0, 92.0, 74.0)
    assert whole.conditions.throttled == ("2 throttling events", "under-voltage")
    assert whole.conditions.swapped_pages == 5
    assert conditions.merged(NOTHING, NOTHING) == NOTHING
