import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.measure.samples import pack, unpack


@given(st.lists(st.floats(0, 400_000), max_size=200))
def test_frame_times_come_back_to_a_twentieth_of_a_microsecond(times):
    assert np.allclose(unpack(pack(np.array(times))), times, rtol=0, atol=0.5e-4 + 1e-9)


def test_ten_seconds_of_frames_take_little_room():
    times = np.random.default_rng(0).lognormal(0.1, 0.1, 9000)
    assert len(pack(times)) < 4 * times.size


@pytest.mark.parametrize("text", ["", "!", "QUJD", pack(np.ones(50))[:-8]])
def test_text_that_was_not_packed_is_refused(text):
    with pytest.raises(ValueError):
        unpack(text)


@given(st.binary(max_size=300))
def test_foreign_bytes_never_crash(data):
    import base64

    with pytest.raises(ValueError):
        unpack(base64.b64encode(b"x" + data).decode())
