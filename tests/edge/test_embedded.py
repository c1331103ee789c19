"""The library inside of a program that has more to do: forks, signals, copies, an interpreter that ends."""

import copy
import pickle
import signal
import textwrap

import numpy as np
import pytest

import edge
from edge.bundle import Bundle

FRAME = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)

# What each forked child below says, and how it ends; the alarm ends one that waits for ever.
FORKED = """
    import os, signal, sys
    import numpy as np
    import edge

    def in_a_child(act, end):
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        signal.alarm(20)
        try:
            print(act(), flush=True)
        except edge.EdgeError as error:
            print(error, flush=True)
        end(0)

    bundle, frame = sys.argv[1], np.full((60, 80, 3), 90, np.uint8)
"""


@pytest.fixture
def program(python):
    """Runs a program that forks: what it printed."""

    def call(body: str, bundle) -> list[str]:
        done = python("-c", textwrap.dedent(FORKED) + textwrap.dedent(body), bundle)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return call


@pytest.mark.parametrize("kind", ["openvino_bundle", "grid_bundle"])
def test_a_forked_child_is_told_to_open_its_own_and_ends_in_order(program, request, kind):
    """It has none of the threads that its parent's model waits for: in a call, when closed, when Python ends."""
    body = """
        dehazer = edge.Dehazer(bundle)
        expected = dehazer(frame)
        for act in (
            lambda: dehazer(frame),
            lambda: dehazer.close(),
            lambda: globals().pop("dehazer") and None,
            lambda: bool((edge.Dehazer(bundle)(frame) == expected).all()),
        ):
            print(in_a_child(act, os._exit))
        print(in_a_child(lambda: None, sys.exit))
        print(bool((dehazer(frame) == expected).all()))
    """
    said = program(body, request.getfixturevalue(kind))
    assert said[0].startswith("this Dehazer belongs to the parent of this process; open the bundle here too")
    assert said[1:] == ["0", "None", "0", "None", "0", "True", "0", "None", "0", "True"]


def test_a_child_that_is_forked_while_a_thread_opens_a_model_can_open_one(program, grid_bundle):
    body = """
        import threading
        import targets

        target, reached, go_on = targets.load("onnx"), threading.Event(), threading.Event()
        really_open = target.open

        def slow(*arguments):
            reached.set()
            go_on.wait()
            return really_open(*arguments)

        target.open = slow
        thread = threading.Thread(target=edge.Dehazer, args=[bundle])
        thread.start()
        reached.wait()
        target.open = really_open
        print(in_a_child(lambda: edge.Dehazer(bundle)(frame).shape, os._exit))
        go_on.set()
        thread.join()
    """
    assert program(body, grid_bundle) == ["(60, 80, 3)", "0"]


def test_a_forked_child_is_told_to_start_a_stream_of_its_own_and_the_parents_goes_on(program, openvino_bundle):
    body = """
        frames = edge.stream([frame] * 9, bundle)
        next(frames)
        for act in (lambda: next(frames), lambda: frames.close(), lambda: globals().pop("frames") and None):
            print(in_a_child(act, os._exit))
        print(in_a_child(lambda: len(list(edge.stream([frame] * 9, bundle))), sys.exit))
        print(len(list(frames)))
    """
    said = program(body, openvino_bundle)
    assert said[0] == "this stream belongs to the parent of this process; start one here with edge.stream"
    assert said[1:] == ["0", "None", "0", "None", "0", "9", "0", "8"]


@pytest.mark.parametrize(
    "body",
    [
        "frames = edge.stream('test:?size=640x480', sys.argv[1]); next(frames)",
        "cycle = [edge.stream(endless(), sys.argv[1])]; cycle.append(cycle); next(cycle[0])",
        "dehazer = edge.Dehazer(sys.argv[1]); clear_for_ever(dehazer)",
    ],
)
def test_a_program_ends_with_its_own_status_whatever_is_open(python, openvino_bundle, body):
    """A daemon thread that is inside of a runtime when Python ends takes the process with it (SIGABRT)."""
    program = """if True:
        import contextlib, itertools, sys, threading, time
        import numpy as np
        import edge

        frame = np.full((1080, 1920, 3), 90, np.uint8)

        def endless():
            return itertools.repeat(frame)

        def clear_for_ever(dehazer):
            def clear():
                with contextlib.suppress(edge.EdgeError):
                    while True:
                        dehazer(frame)

            for _ in range(3):
                threading.Thread(target=clear, daemon=True).start()
            time.sleep(0.3)
    """
    done = python("-c", f"{program}    exec({body!r}); raise SystemExit(7)", openvino_bundle)
    assert (done.returncode, done.stderr) == (7, "")


def test_what_runs_at_exit_may_still_clear_frames(python, grid_bundle):
    program = """if True:
        import atexit, sys
        import numpy as np
        import edge

        atexit.register(lambda: print(dehazer(np.zeros((4, 5, 3), np.uint8)).shape))
        dehazer = edge.Dehazer(sys.argv[1])
    """
    done = python("-c", program, grid_bundle)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(4, 5, 3)\n", "")


def test_a_user_without_a_home_opens_a_model_all_the_same(openvino_bundle, monkeypatch):
    """As in a container that is run as a number that no file of users knows."""
    import pwd

    for name in ("HOME", "XDG_CACHE_HOME", "DRACO_EDGE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with edge.Dehazer(openvino_bundle, threads=1) as dehazer:
        assert dehazer(FRAME).shape == FRAME.shape


class Interrupting:
    """Stands in for a network: a signal comes while it works."""

    def __init__(self, network) -> None:
        self._network = network

    def __call__(self, picture):
        signal.raise_signal(signal.SIGUSR1)
        return self._network(picture)

    def close(self) -> None:
        self._network.close()


@pytest.fixture
def interrupted(grid_bundle):
    """A Dehazer whose every frame a signal interrupts, and what sets the signal's handler."""
    before = signal.getsignal(signal.SIGUSR1)
    with edge.Dehazer(grid_bundle, threads=1) as dehazer:
        dehazer._network = dehazer._method._network = Interrupting(dehazer._network)
        yield dehazer, lambda act: signal.signal(signal.SIGUSR1, lambda *_: act())
    signal.signal(signal.SIGUSR1, before)


def test_a_signals_handler_that_closes_leaves_the_frame_whole_that_it_interrupts(interrupted, grid_bundle):
    dehazer, handle = interrupted
    handle(dehazer.close)
    with edge.Dehazer(grid_bundle, threads=1) as other:
        assert np.array_equal(dehazer(FRAME), other(FRAME))
    with pytest.raises(edge.EdgeError, match="was closed"):
        dehazer(FRAME)


def test_a_signals_handler_cannot_clear_a_frame_in_the_middle_of_another(interrupted, grid_bundle):
    dehazer, handle = interrupted
    refused = []

    def clear_one_too() -> None:
        with pytest.raises(edge.EdgeError, match="in a signal's handler use another") as error:
            dehazer(FRAME[::2])
        refused.append(error)

    handle(clear_one_too)
    with edge.Dehazer(grid_bundle, threads=1) as other:
        assert np.array_equal(dehazer(FRAME), other(FRAME))
    assert len(refused) == 1


@pytest.mark.parametrize("act", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_dehazer_is_not_copied_and_says_what_to_hand_over(grid_bundle, act):
    """Two copies would share one model: closing one took it from the other."""
    with edge.Dehazer(grid_bundle, threads=1) as dehazer:
        with pytest.raises(edge.EdgeError, match="hand over its bundle") as error:
            act(dehazer)
        assert isinstance(error.value, TypeError)  # what callers of pickle expect
        handed_over = pickle.loads(pickle.dumps(dehazer.bundle))
        with edge.Dehazer(handed_over, threads=1) as other:
            assert np.array_equal(other(FRAME), dehazer(FRAME))


def test_a_bundle_shows_itself_without_the_content_of_its_files(grid_bundle):
    bundle = Bundle.read(grid_bundle)
    assert bundle.digest in repr(bundle) and repr(max(bundle.files.values(), key=len)) not in repr(bundle)


def test_a_notebook_can_complete_what_the_package_has():
    assert set(edge.__all__) <= set(dir(edge))


def test_a_signal_that_comes_after_two_models_were_closed_in_order_reaches_its_handler(python, openvino_bundle):
    """With AMX, OpenVINO gives handlers a stack; two runtimes in one process would leave one that is freed."""
    done = python(
        "-c",
        textwrap.dedent("""
            import signal, sys
            import edge

            came = []
            signal.signal(signal.SIGUSR1, lambda *_: came.append(1))
            opened = [edge.Dehazer(sys.argv[1], threads=1) for _ in range(2)]
            while opened:
                opened.pop(0).close()
            taken = [bytearray(20_000) for _ in range(2_000)]  # memory that was freed is used again
            for _ in range(3):
                signal.raise_signal(signal.SIGUSR1)
            print(len(came))
        """),
        openvino_bundle,
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
