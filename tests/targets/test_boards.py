"""The proofs' own frame: nothing is left out in silence, and what cannot be set up has failed."""

import sys
import types

import pytest

from tests.boards import __main__ as boards
from tests.boards import ground
from tests.boards.ground import ProofFailed, made, run


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ground, "PAUSE_S", 0)


def stand_in(monkeypatch, name, set_up=lambda: None, prove=lambda place, bundles: iter(["it holds"])):
    """Put a proof of that name in place of the real one."""
    module = types.SimpleNamespace(set_up=set_up, prove=prove)
    monkeypatch.setitem(sys.modules, f"tests.boards.{name}", module)


def fails(*_):
    raise ProofFailed("no such compiler")


def test_what_is_left_out_is_named(monkeypatch, capsys):
    for name in boards.PROOFS:
        stand_in(monkeypatch, name, set_up=fails)
    call = [word for name in boards.PROOFS for word in ("--skip", name)]
    assert boards.main(call) == 0
    assert capsys.readouterr().out.splitlines() == [f"skip  {name}: left out by --skip" for name in boards.PROOFS]


def test_each_thing_that_was_proved_is_a_line(monkeypatch, capsys):
    stand_in(monkeypatch, "npu", prove=lambda place, bundles: iter(["3720 holds", "4000 holds"]))
    assert boards.main(["npu"]) == 0
    assert capsys.readouterr().out.splitlines() == ["ok    npu: 3720 holds", "ok    npu: 4000 holds"]


@pytest.mark.parametrize("part", ["set_up", "prove"])
def test_a_proof_that_fails_or_cannot_be_set_up_fails_the_whole_and_the_others_go_on(monkeypatch, capsys, part):
    stand_in(monkeypatch, "npu", **{part: fails})
    stand_in(monkeypatch, "camera")
    assert boards.main(["npu", "camera"]) == 1
    assert capsys.readouterr().out.splitlines() == ["FAIL  npu: no such compiler", "ok    camera: it holds"]


def test_a_proof_that_does_not_exist_is_a_wrong_call(capsys):
    with pytest.raises(SystemExit) as ended:
        boards.main(["--skip", "gpu"])
    assert ended.value.code == 2
    assert "no proof 'gpu'" in capsys.readouterr().err


def test_a_folder_is_made_once_and_anew_when_its_recipe_changes_or_it_was_cut():
    calls = []
    place = made("x", "version 1", calls.append)
    assert made("x", "version 1", calls.append) == place and len(calls) == 1
    assert made("x", "version 2", calls.append) != place and len(calls) == 2
    with pytest.raises(ProofFailed):
        made("x", "version 3", lambda folder: ((folder / "half").write_text("") and None) or fails())
    again = made("x", "version 3", lambda folder: calls.append(sorted(folder.iterdir())))
    assert calls[-1] == [] and (again / ".complete").exists()


def test_a_setup_that_fails_once_is_tried_again_from_an_empty_folder():
    tries = []

    def make(folder):
        tries.append(sorted(folder.iterdir()))
        (folder / "part").write_text("")
        if len(tries) == 1:
            raise ProofFailed("the network was gone")

    assert (made("x", "version 1", make) / "part").exists() and tries == [[], []]


def test_a_fault_that_nobody_thought_of_fails_the_whole_and_the_others_go_on(monkeypatch, capsys):
    stand_in(monkeypatch, "npu", set_up=lambda: {}["nothing"])
    stand_in(monkeypatch, "camera")
    assert boards.main(["npu", "camera"]) == 1
    assert capsys.readouterr().out.splitlines() == ["FAIL  npu: KeyError: 'nothing'", "ok    camera: it holds"]


def test_a_program_that_fails_is_told_with_its_last_lines():
    with pytest.raises(ProofFailed, match="ended with 3:\n  the reason"):
        run("sh", "-c", "echo the reason >&2; exit 3")
    with pytest.raises(ProofFailed, match="is not installed"):
        run("no-such-program-here")


def test_a_service_left_behind_does_not_hold_the_proof_up():
    assert run("sh", "-c", "sleep 60 & echo done", limit_s=20) == "done\n"
