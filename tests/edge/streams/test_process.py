"""The process around a stream: ports, signals, systemd, the log, as docs/faults.md says."""

import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from edge.streams.events import Events
from edge.streams.faults import BrokenFrame, DiskFull, ModelFault, SinkLost, SourceLost, SourceStalled
from edge.streams.intake import IntakeOptions
from edge.streams.stream import Stream, StreamOptions, running
from tests.edge.streams.stage import GREY, ROOT, Failing, Kept, Scripted, events_of, run, wait_for


def test_a_taken_port_does_not_stop_the_stream(identity):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = run(identity, "--source", "test:?size=64x48&frames=60", "--preview", port)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"port {port} of 127.0.0.1 is taken" in told and "60 of 60 frames" in told


def test_a_port_that_becomes_free_is_taken(identity):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = run(identity, "--source", "test:?size=64x48", "--preview", port, "--log-format", "json")
        events = events_of(process)
        missing = wait_for(events, "preview_missing")
    assert missing["facts"]["fault"] == "PortTaken"
    assert f":{port}" in wait_for(events, "preview")["facts"]["url"]
    process.terminate()
    assert process.wait(10) == 0


def test_a_second_signal_ends_it_at_once(identity):
    process = run(identity, "--source", "test:?size=64x48", "--log-format", "json")
    wait_for(events_of(process), "started")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM


def test_a_stream_that_is_ended_before_its_first_frame_has_not_failed(identity):
    call = ("--source", "raw:-?size=64x48", "--preview", 0, "--log-format", "json")
    process = run(identity, *call, stdin=subprocess.PIPE)
    wait_for(events_of(process), "preview")
    process.terminate()
    assert process.wait(10) == 0


def test_a_call_of_the_model_under_way_is_waited_for_and_its_frame_goes_out(adding):
    """The interpreter must not end while a thread is inside of a runtime: C++ would abort the process."""
    called, sink = threading.Event(), Kept()

    class Slow(Failing):
        def __call__(self, *arguments):
            called.set()
            time.sleep(1.5)
            return super().__call__(*arguments)

    source = Scripted([GREY] * 1000)
    model = Slow(adding, [])
    stream = Stream(
        lambda: source, lambda: model, [("kept", sink)], StreamOptions(IntakeOptions(live=True)), events=Events(print)
    )
    with running(stream):
        assert called.wait(10)
    assert "model" not in {thread.name for thread in threading.enumerate()}
    assert [int(frame.picture[0, 0, 0]) for frame in sink.frames] == [110]


def test_a_thread_that_never_returns_is_not_unwound_at_the_end(python):
    code = (
        "import atexit, threading, time; from edge import command\n"
        "atexit.register(print, 'the interpreter ends')\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print('clear.mp4')\n"
        "command.leave(1)"
    )
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (1, "clear.mp4\n")


def test_strength_follows_signals(identity):
    process = run(identity, "--source", "test:?size=64x48", "--preview", 0, "--log-format", "json", "--threads", 1)
    lines = events_of(process)
    url = wait_for(lines, "preview")["facts"]["url"]
    from urllib.request import urlopen

    process.send_signal(signal.SIGUSR2)
    time.sleep(0.3)
    assert json.load(urlopen(url + "figures", timeout=5))["strength"] == pytest.approx(0.9)
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    assert json.load(urlopen(url + "figures", timeout=5))["strength"] == pytest.approx(1.0)
    process.terminate()
    process.wait(10)


def test_systemd_hears_that_frames_move_and_only_then(adding, tmp_path):
    from edge.streams.watchdog import Watchdog

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(2)
        watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"})
        watchdog.look(0, "")
        watchdog.look(1, "30 frames a second")
        assert systemd.recv(1000) == b"READY=1\nSTATUS=30 frames a second"
        time.sleep(0.06)
        watchdog.look(2, "")
        assert systemd.recv(1000).startswith(b"WATCHDOG=1")
        time.sleep(0.06)
        watchdog.look(2, "")  # nothing moved
        systemd.settimeout(0.2)
        with pytest.raises(TimeoutError):
            systemd.recv(1000)
        watchdog.ending()
        assert systemd.recv(1000) == b"STOPPING=1"


def test_events_are_one_line_of_json_and_not_a_flood(capsys):
    events = Events(as_json=True)
    for number in range(1000):
        events("sink_lost", "warning", f"gone\n{number}", sink="a")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    told = json.loads(lines[0])
    assert told["name"] == "sink_lost" and told["level"] == "warning" and told["facts"] == {"sink": "a"}
    assert events.counts["sink_lost"] == 1000


def test_every_event_and_fault_stands_in_the_documentation():
    text = (ROOT / "docs" / "faults.md").read_text()
    names = set()
    for path in (ROOT / "edge" / "streams").rglob("*.py"):
        names |= set(re.findall(r'events\(\s*"(\w+)"', path.read_text()))
    assert len(names) > 15
    assert {name for name in names if f"`{name}`" not in text} == set()
    for fault in (SourceLost, SourceStalled, BrokenFrame, SinkLost, DiskFull, ModelFault):
        assert f"`{fault.__name__}`" in text
