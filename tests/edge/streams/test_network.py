"""Streams over the network of this machine: RTSP, MPEG-TS over UDP and TCP, there and back."""

import socket
import subprocess
import sys
import time

import numpy as np
import pytest

import edge
from edge.errors import SourceError
from edge.streams.faults import SourceLost
from edge.streams.sources import make_source
from edge.streams.spec import parse_source

av = pytest.importorskip("av")


def free_port(kind=socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sender:
    """Another process that sends the test pattern to an address, in real time, until told to stop."""

    def __init__(self, bundle: str, address: str, *options: str) -> None:
        self._call = [sys.executable, "-m", "edge.run", bundle, "--source", "test:?size=320x240", "--sink", address]
        self._call += ["--threads", "1", *options]

    def __enter__(self) -> subprocess.Popen:
        self._process = subprocess.Popen(self._call, stderr=subprocess.DEVNULL)
        return self._process

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()


def receive(address: str, bundle: str, count: int, **options) -> list:
    frames = []
    for frame in edge.stream(address, bundle, threads=1, **options):
        frames.append(frame)
        if len(frames) == count:
            break
    return frames


@pytest.mark.parametrize(
    "send, take",
    [
        ("udp://127.0.0.1:{port}", "udp://127.0.0.1:{port}"),
        ("rtsp://127.0.0.1:{port}/clear", "rtsp://127.0.0.1:{port}/clear#listen=1"),
    ],
    ids=["MPEG-TS over UDP", "RTSP"],
)
def test_a_stream_goes_over_the_network_and_comes_back_clear(identity, adding, send, take):
    port = free_port(socket.SOCK_DGRAM if send.startswith("udp") else socket.SOCK_STREAM)
    with Sender(identity, send.format(port=port)):
        frames = receive(take.format(port=port), adding, 20)
    assert frames[0].picture.shape == (240, 320, 3)
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))
    pattern = make_source(parse_source("test:?size=320x240&frames=1&live=0"), 30)
    pattern.open()
    expected = pattern.read().picture.astype(int).mean((0, 1)) + 10
    assert np.abs(frames[10].picture.mean((0, 1)) - expected).max() < 6


def test_a_stream_that_is_not_there_is_told(identity):
    with pytest.raises(SourceError, match="cannot open rtsp:"):
        next(edge.stream(f"rtsp://127.0.0.1:{free_port()}/none", identity))


def test_a_stream_that_stops_is_lost_by_name(identity):
    port = free_port(socket.SOCK_DGRAM)
    with Sender(identity, f"udp://127.0.0.1:{port}") as sender, pytest.raises(SourceLost):
        for number, _ in enumerate(edge.stream(f"udp://127.0.0.1:{port}#timeout=1", identity, stall_s=4)):
            if number == 5:
                sender.terminate()


def test_a_stream_that_comes_back_goes_on_with_rising_times(identity):
    port = free_port(socket.SOCK_DGRAM)
    events, times = [], []
    stream = edge.stream(
        f"udp://127.0.0.1:{port}#timeout=1", identity, reconnect=True, on_event=lambda event: events.append(event.name)
    )
    with Sender(identity, f"udp://127.0.0.1:{port}"):
        times += [next(stream).time for _ in range(5)]
    while "source_lost" not in events and "source_stalled" not in events:
        time.sleep(0.05)
    with Sender(identity, f"udp://127.0.0.1:{port}"):
        while "source_back" not in events:
            times.append(next(stream).time)
        times += [next(stream).time for _ in range(5)]
        stream.close()
    assert times == sorted(set(times))
