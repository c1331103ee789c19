"""Every sample is taken once, in the same order, however many processes share the work."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.conftest import Drawn
from training.batches import Batches, Share


@settings(max_examples=60)
@given(batch=st.integers(1, 9), ranks=st.integers(1, 5), step=st.integers(0, 10**6))
def test_the_shares_of_all_processes_make_one_large_batch(batch, ranks, step):
    shared = [index for rank in range(ranks) for index in Share(batch, rank, ranks).indices(step, 2**40)]
    assert shared == Share(batch * ranks).indices(step, 2**40)


@settings(max_examples=60)
@given(batch=st.integers(1, 9), step=st.integers(0, 1000), length=st.integers(1, 50))
def test_a_dataset_that_ends_begins_anew(batch, step, length):
    taken = Share(batch).indices(step, length)
    assert taken == [number % length for number in range(step * batch, (step + 1) * batch)]


def test_a_run_that_goes_on_takes_the_samples_that_come_next():
    whole = Batches(Drawn(), Share(2), range(6), workers=0)
    straight = [next(whole)[0] for _ in range(6)]
    later = Batches(Drawn(), Share(2), range(4, 6), workers=0)
    assert all((next(later)[0] == straight[step]).all() for step in (4, 5))
    assert whole.waited_s > 0
