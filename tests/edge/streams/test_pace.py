"""Time in a stream, mailboxes, and rest while the air is clear."""

import itertools
import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EdgeError
from edge.streams.auto import CLEAR_BELOW, CLEAR_FOR_S, FADE_S, HAZY_ABOVE, PROBE_S, Rest, optical_depth
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.frame import Frame
from edge.streams.mailbox import Closed, Mailbox
from edge.streams.memory import FramePool
from edge.streams.pace import Backoff, Thinning, Timeline


def frame(number: int, bytes_: int = 12, audio: tuple = ()) -> Frame:
    return Frame(np.zeros((1, bytes_ // 3, 3), np.uint8), Fraction(number), 0.0, number=number, audio=audio)


@given(st.lists(st.fractions(-100, 100, max_denominator=1000), min_size=1, max_size=50))
def test_times_always_rise_whatever_the_source_says(stamps):
    timeline = Timeline()
    times = [timeline.place(stamp, number / 30) for number, stamp in enumerate(stamps)]
    assert times[0] == 0
    assert all(0 < b - a <= 10 for a, b in itertools.pairwise(times))


@given(st.lists(st.fractions(Fraction(1, 1000), 9, max_denominator=1000), max_size=30), st.booleans())
def test_times_that_rise_are_kept_exactly(steps, keep_origin):
    stamps = [Fraction(7)]
    for step in steps:
        stamps.append(stamps[-1] + step)
    timeline = Timeline(keep_origin)
    origin = 0 if keep_origin else 7
    assert [timeline.place(stamp, 0.0) for stamp in stamps] == [stamp - origin for stamp in stamps]
    assert timeline.jumps == 0


def test_after_a_reconnection_time_goes_on_by_what_went_by():
    timeline = Timeline()
    timeline.place(Fraction(100), 10.0)
    timeline.reopened()
    assert timeline.place(Fraction(0), 12.5) == Fraction(5, 2)
    assert timeline.place(Fraction(1, 30), 12.6) == Fraction(5, 2) + Fraction(1, 30)
    assert timeline.jumps == 0


@pytest.mark.parametrize("fps, kept", [(10, 10), (15, 15), (29, 29), (30, 30), (60, 30), (2, 2)])
def test_thinning_keeps_the_rate_that_was_asked_for(fps, kept):
    thinning = Thinning(fps)
    assert sum(thinning.keeps(Fraction(n, 30)) for n in range(30)) == kept


def test_backing_off_doubles_up_to_ten_seconds_and_begins_anew():
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(8)] == [0.25, 0.5, 1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next_s() == 0.25


def test_the_newest_frame_wins_and_inherits_the_sound():
    mailbox = Mailbox(1, newest_wins=True)
    assert [mailbox.put(frame(n, audio=(n,))) for n in range(3)] == [0, 1, 1]
    newest = mailbox.get()
    assert newest.number == 2 and newest.audio == (0, 1, 2)
    assert mailbox.get(0) is None


def test_a_full_mailbox_of_a_file_waits_and_loses_nothing():
    mailbox, got = Mailbox(2, newest_wins=False), []
    writer = threading.Thread(target=lambda: [mailbox.put(frame(n)) for n in range(50)] and mailbox.close())
    writer.start()
    with pytest.raises(Closed):
        while True:
            got.append(mailbox.get().number)
            time.sleep(0.001)
    writer.join()
    assert got == list(range(50))


def test_large_frames_wait_one_at_a_time():
    mailbox = Mailbox(8, newest_wins=True)
    assert mailbox.put(frame(0, 60 * 2**20)) == 0
    assert mailbox.put(frame(1, 60 * 2**20)) == 1


def test_nobody_waits_for_a_mailbox_that_was_left():
    mailbox = Mailbox(1, newest_wins=False)
    mailbox.put(frame(0))
    assert mailbox.abandon() == 1
    with pytest.raises(Closed):
        mailbox.put(frame(1))


def test_a_pool_gives_only_arrays_that_nobody_holds():
    pool = FramePool()
    held = [pool.take((4, 5, 3)) for _ in range(12)]
    assert len({id(array) for array in held}) == 12
    view, address = held[3][1:], held[3].ctypes.data
    del held
    again = [pool.take((4, 5, 3)) for _ in range(1)]
    assert again[0].ctypes.data != address or view is None
    del view
    assert pool.take((2, 2, 3)).shape == (2, 2, 3)


def test_the_model_rests_when_the_air_is_clear_and_wakes_for_haze():
    told, now = [], 100.0
    rest = Rest(Events(lambda event: told.append(event.name)))
    assert rest.level(now) == 1
    while not rest.resting:
        rest.observe(CLEAR_BELOW / 2, now)
        now += 0.1
        assert now < 100 + CLEAR_FOR_S + 1
    assert now >= 100 + CLEAR_FOR_S
    levels = []
    for _ in range(20):
        levels.append(rest.level(now))
        now += FADE_S / 10
    assert levels == sorted(levels, reverse=True) and levels[-1] == 0 and any(0 < x < 1 for x in levels)
    assert rest.probe_due(now + PROBE_S) and told == ["air_clear"]
    rest.observe((CLEAR_BELOW + HAZY_ABOVE) / 2, now)  # between the thresholds nothing changes
    assert rest.resting
    rest.observe(2 * HAZY_ABOVE, now)
    assert not rest.resting and told == ["air_clear", "haze_back"]
    rest.level(now)
    assert 0 < rest.level(now + 10 * FADE_S) < 1  # not at once, even after a gap
    assert [rest.level(now + (11 + n) * FADE_S) for n in range(3)][-1] == 1


def test_optical_depth_is_that_of_the_model_or_the_dark_channel():
    from edge import coefficients

    cell = np.zeros((6, 8, 7), np.float32)
    cell[..., 0] = (2.0 - coefficients.DENSITY_OFFSET) / coefficients.DENSITY_SLOPE
    assert optical_depth(cell, np.zeros((4, 4, 3), np.uint8)) == pytest.approx(np.log1p(np.exp(2.0)), rel=1e-5)
    assert optical_depth(None, np.zeros((48, 64, 3), np.uint8)) == 0
    assert optical_depth(None, np.full((48, 64, 3), 200, np.uint8)) > 1


@pytest.mark.parametrize("wish", [{"strength": -1}, {"smooth_s": 9}, {"auto": 1}, {"strength": True}, {"speed": 1}])
def test_wishes_out_of_range_change_nothing(wish):
    controls = Controls(0.5)
    with pytest.raises(EdgeError):
        controls.change(**{"strength": 1.0, **wish})
    assert controls.strength == 0.5
