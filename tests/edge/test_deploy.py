"""edge.deploy against a real sshd: what goes live was proved on the board, and a cut leaves the old bundle live."""

import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge import command, deploy, sign
from edge.bundle import Bundle
from edge.deployment.service import unit_text
from edge.deployment.ssh import Destination
from edge.errors import EdgeError

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
REPOSITORY = Path(__file__).parents[2]
needs_sshd = pytest.mark.skipif(not SSHD, reason="no OpenSSH server on this machine: apt-get install openssh-server")


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    """The ssh command that reaches an sshd of our own on 127.0.0.1, whose host key it knows."""
    folder = tmp_path_factory.mktemp("sshd")
    folder.chmod(0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    host_key = (folder / "host.pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
    server = subprocess.Popen([SSHD, "-D", "-f", folder / "sshd_config", "-E", folder / "log"])
    command = (
        f"ssh -F none -p {port} -i {folder}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={folder}/known "
        "-o StrictHostKeyChecking=yes -o BatchMode=yes"
    )
    for _ in range(100):
        if (
            subprocess.run([*shlex.split(command), "127.0.0.1", "true"], capture_output=True, check=False).returncode
            == 0
        ):
            break
        time.sleep(0.1)
    else:
        server.terminate()
        pytest.fail(f"sshd does not answer: {(folder / 'log').read_text()[-500:]}")
    yield command
    server.terminate()
    server.wait()


@pytest.fixture
def board(ssh, tmp_path, monkeypatch):
    """Folder on the board; its Python is ours with the project on its path."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("DRACO_EDGE_SSH", ssh)
    return tmp_path / "on the board"


STAND_IN_SSH = """#!/bin/sh
# Runs here what ssh would run on the board.
while true; do case $1 in -o) shift 2;; -O) exit 0;; *) break;; esac; done
shift
exec sh -c "$*"
"""


@pytest.fixture
def near_board(tmp_path, monkeypatch):
    """As `board`, reached without an sshd."""
    for name, script in (
        ("python", f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" "$@"\n'),
        ("ssh", STAND_IN_SSH),
    ):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("DRACO_EDGE_SSH", shlex.quote(str(tmp_path / "ssh")))
    return tmp_path / "the board's"


def deployed(board, *what, python="python"):
    words = [*map(str, what), f"127.0.0.1:{board}"]
    if "--rollback" not in words:
        words += ["--python", str(board.parent / python)]
    return command.run(deploy.main, words)


def releases(board):
    return sorted(p.name for p in (board / "releases").iterdir())


@needs_sshd
def test_a_deployed_bundle_is_live_and_whole(grid_bundle, board, capsys):
    assert deployed(board, grid_bundle) == 0
    out = capsys.readouterr()
    live = Bundle.read(board / "current")
    assert live.digest == Bundle.read(grid_bundle).digest
    assert releases(board) == [f"000001-{live.digest[:12]}"]
    assert out.out.strip() == f"127.0.0.1:{board}/releases/000001-{live.digest[:12]}"
    assert "2 golden frames within 0 grey levels on CPU" in out.err
    assert sorted(p.name for p in board.iterdir()) == ["current", "releases"]


@needs_sshd
def test_a_zip_is_deployed_as_its_folder(grid_bundle, board, tmp_path):
    from edge.bundle import write_bundle

    bundle = Bundle.read(grid_bundle)
    assert deployed(board, write_bundle(tmp_path / "b.zip", bundle.manifest, bundle.files)) == 0
    assert (board / "current" / "manifest.json").is_file()


@needs_sshd
def test_rollback_goes_back_one_by_one_and_says_when_there_is_no_more(grid_bundle, board, capsys):
    for _ in range(3):
        assert deployed(board, grid_bundle) == 0
    third, second, first = reversed(releases(board))
    assert os.readlink(board / "current") == f"releases/{third}"
    for expected in (second, first):
        assert deployed(board, "--rollback") == 0
        assert os.readlink(board / "current") == f"releases/{expected}"
    capsys.readouterr()
    assert deployed(board, "--rollback") == 1
    assert "no release before" in capsys.readouterr().err


@needs_sshd
def test_only_the_last_releases_are_kept_and_never_less_than_the_live_one(grid_bundle, board):
    for _ in range(4):
        assert deployed(board, grid_bundle, "--keep", "2") == 0
    assert [name[:6] for name in releases(board)] == ["000003", "000004"]


@needs_sshd
def test_a_bundle_that_is_wrong_there_never_goes_live(grid_bundle, board, capsys):
    """The board's runtime gives other answers than the golden frames: here because the board's OpenCV is broken."""
    assert deployed(board, grid_bundle) == 0
    before = os.readlink(board / "current")
    lying = board.parent / "lying"
    lying.mkdir()
    (lying / "sitecustomize.py").write_text(
        "import edge.apply, numpy\nedge.apply.GridApply.clear = lambda self, frame, *a, **k: numpy.zeros_like(frame)\n"
    )
    python = board.parent / "broken-python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}:{lying}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    capsys.readouterr()
    assert deployed(board, grid_bundle, python="broken-python") == 1
    error = capsys.readouterr().err
    assert "the bundle that was live still is" in error and "Traceback" not in error
    assert os.readlink(board / "current") == before and len(releases(board)) == 1
    assert sorted(p.name for p in board.iterdir()) == ["current", "releases"]  # nothing left behind


CUTTING_SSH = """#!/bin/sh
# Passes calls on to ssh, until the one that is to be cut: that one loses its connection after some bytes.
count=$(cat "{folder}/count" 2>/dev/null || echo 0)
case "$*" in *" -O "*) exec {ssh} "$@";; esac
count=$((count + 1)); echo $count >"{folder}/count"
if test $count = {cut}; then
    head -c {bytes} | {ssh} "$@" | head -c 0
    exit 255
fi
exec {ssh} "$@"
"""


@needs_sshd
@pytest.mark.parametrize(("cut", "sent"), [(1, 0), (2, 700), (3, 0), (4, 0)])
def test_a_cut_at_any_step_leaves_a_whole_bundle_live(grid_bundle, board, ssh, monkeypatch, cut, sent):
    assert deployed(board, grid_bundle) == 0
    before = os.readlink(board / "current")
    wrapper = board.parent / "cutting-ssh"
    wrapper.write_text(CUTTING_SSH.format(folder=board.parent, ssh=ssh, cut=cut, bytes=sent))
    wrapper.chmod(0o755)
    monkeypatch.setenv("DRACO_EDGE_SSH", str(wrapper))
    assert deployed(board, grid_bundle) == 1
    live = Bundle.read(board / "current")
    assert live.digest == Bundle.read(grid_bundle).digest
    assert cut == 4 or os.readlink(board / "current") == before  # the last step may have been done before the cut
    monkeypatch.setenv("DRACO_EDGE_SSH", ssh)
    assert deployed(board, grid_bundle) == 0
    assert all((board / "releases" / name / "manifest.json").is_file() for name in releases(board))


@needs_sshd
def test_a_killed_deploy_leaves_the_old_bundle_live(grid_bundle, board, ssh):
    assert deployed(board, grid_bundle) == 0
    before = os.readlink(board / "current")
    call = [sys.executable, "-m", "edge.deploy", str(grid_bundle), f"127.0.0.1:{board}", "--python",
            str(board.parent / "python")]  # fmt: skip
    running = subprocess.Popen(call, cwd=REPOSITORY, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in running.stderr:
        if "golden frames there" in line:
            running.send_signal(signal.SIGKILL)
            break
    running.wait()
    assert os.readlink(board / "current") == before
    assert Bundle.read(board / "current").digest == Bundle.read(grid_bundle).digest


@needs_sshd
def test_only_signed_bundles_get_through_where_that_is_required(grid_bundle, board, tmp_path, capsys):
    pytest.importorskip("model_signing")
    mine = tmp_path / "mine"
    shutil.copytree(grid_bundle, mine)
    for name in ("fleet", "other"):
        assert command.run(sign.main, ["--new-key", str(tmp_path / name)]) == 0
    assert deployed(board, mine, "--require-signature", tmp_path / "fleet.pub") == 1
    assert "is not signed" in capsys.readouterr().err and not board.exists()
    assert command.run(sign.main, [str(mine), "--key", str(tmp_path / "fleet.key")]) == 0
    assert deployed(board, mine, "--require-signature", tmp_path / "other.pub") == 1
    assert "not signed by the owner" in capsys.readouterr().err
    assert deployed(board, mine, "--require-signature", tmp_path / "fleet.pub") == 0
    assert (board / "current" / "signature.json").is_file()


@needs_sshd
def test_an_unknown_host_key_is_refused(grid_bundle, board, ssh, monkeypatch, tmp_path, capsys):
    (tmp_path / "nobody").write_text("")
    words = [w if not w.startswith("UserKnownHostsFile") else f"UserKnownHostsFile={tmp_path}/nobody"
             for w in shlex.split(ssh)]  # fmt: skip
    monkeypatch.setenv("DRACO_EDGE_SSH", shlex.join(words))
    assert deployed(board, grid_bundle) == 1
    assert "Host key verification failed" in capsys.readouterr().err
    assert not board.exists()


@needs_sshd
def test_a_board_without_the_project_is_told_how_to_get_it(grid_bundle, board, capsys, tmp_path):
    (tmp_path / "bare").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bare").chmod(0o755)
    assert deployed(board, grid_bundle, python="bare") == 1
    assert "cannot import the project" in capsys.readouterr().err


@needs_sshd
def test_service_writes_a_unit_that_runs_what_is_live(grid_bundle, board, capsys):
    assert deployed(board, grid_bundle, "--service", "--source v4l2:0 --sink shm:frames") == 0
    unit = (board / "draco-edge.service").read_text()
    assert f'-m edge.run "{board}/current" --source v4l2:0 --sink shm:frames' in unit
    if not Path("/run/systemd/system").is_dir():
        assert "as root on the board: install" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("abc", "--source"),
        ("", "required: --source"),
        ("--source 'v4l2:0", "No closing quotation"),
        ("--source 'a\nb'", "line break"),
        ("--source v4l2:0 --snk shm:frames", "--service: unrecognized arguments: --snk shm:frames"),
        ("my-bundle --source v4l2:0", "unrecognized arguments: my-bundle"),
        ("--source v4l2:0 --fps fast", "argument --fps: 'fast' is not a number from 0.001 to 1000"),
        ("--source v4l2:0 --log-format xml", "invalid choice: 'xml'"),
        ("--source v4l2:0 --help", "--help runs nothing"),
        ("--source v4l2:0 --stall 0", "argument --stall: '0' is not a number above 0"),
        ("--source v4l2:0 --strength 15", "argument --strength: '15' is not a number from 0 to 1.5"),
        ("--source v4l2:0 --fps 0", "argument --fps: '0' is not a number"),
        ("--source picamera2:?siez=640x480", "there is no option 'siez' here; it has size"),
        ("--source v4l2:0 --sink 'flight-{n}.mkv?crf=best'", "crf is a number from 0"),
        ("--source v4l2:0 --sink clear.png", "--sink takes a folder"),
    ],
)
def test_service_arguments_that_are_wrong_are_refused_before_anything_is_copied(
    grid_bundle, near_board, capsys, arguments, says
):
    assert deployed(near_board, grid_bundle, "--service", arguments) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and not near_board.exists()


def test_service_arguments_that_the_board_has_no_words_for_are_refused_before_anything_is_copied(
    grid_bundle, near_board, capsys, tmp_path
):
    """The board's edge.run is older: here one that knows no options at all."""
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "sitecustomize.py").write_text(
        "import argparse, edge.run\nedge.run.parser = lambda: argparse.ArgumentParser(prog='edge.run')\n"
    )
    python = tmp_path / "older-python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}:{tmp_path}/older" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    assert deployed(near_board, grid_bundle, "--service", "--source v4l2:0", python="older-python") == 1
    error = capsys.readouterr().err
    assert "does not take what --service says: edge.run: error: unrecognized arguments" in error
    assert error.count("\n") == 1 and not near_board.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "--source /media/flights/today.mp4 --sink shm:frames",  # files of the board's
        "--source flights --sink clear",
        "--source argus:0?size=1280x720 --sink 'flight-{n}.mkv?preset=fast' --sink udp://10.0.0.2:5000 --preview 8080",
        "--source rtsp://cam/1#transport=udp --sink /dev/video10 --auto --smooth 0.3",
    ],
)
def test_service_arguments_that_only_the_board_can_judge_are_left_to_it(arguments):
    unit = unit_text("/usr/bin/python3", "/opt/draco", arguments, "pi")
    assert f"-m edge.run /opt/draco/current --source {arguments.split()[1]} " in unit


def test_a_bundle_whose_unit_cannot_be_written_is_not_left_on_the_board(grid_bundle, near_board, capsys):
    (near_board.parent / "py\nthon").symlink_to(near_board.parent / "python")
    assert deployed(near_board, grid_bundle, "--service", "--source v4l2:0", python="py\nthon") == 1
    assert "line break" in capsys.readouterr().err
    assert [p.name for p in near_board.iterdir()] == ["releases"] and not releases(near_board)


def test_what_lies_about_since_an_hour_is_removed_and_what_may_be_in_use_is_not(grid_bundle, near_board):
    (near_board / ".incoming.older").mkdir(parents=True)
    (near_board / ".incoming.other").mkdir()
    (near_board / ".current.12").symlink_to("releases/none")
    two_hours_ago = time.time() - 7200
    for name in (".incoming.older", ".current.12"):
        os.utime(near_board / name, (two_hours_ago, two_hours_ago), follow_symlinks=False)
    assert deployed(near_board, grid_bundle) == 0
    assert sorted(p.name for p in near_board.iterdir()) == [".incoming.other", "current", "releases"]


def test_root_is_told_a_command_that_a_shell_reads_as_it_is_meant(grid_bundle, near_board, capsys):
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here: it would be installed")
    assert deployed(near_board, grid_bundle, "--service", "--source v4l2:0") == 0
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("as root on the board: ")]
    install = shlex.split(told.removeprefix("as root on the board: "))
    assert install[:5] == ["install", "-m", "644", str(near_board / "draco-edge.service"), "/etc/systemd/system/"]
    assert "edge.run" in Path(install[3]).read_text()


def test_a_service_without_a_source_is_refused():
    with pytest.raises(EdgeError, match="--source"):
        unit_text("/usr/bin/python3", "/opt/draco", "--sink shm:frames", "pi")


@pytest.mark.parametrize("user", ["pi", "root"])
@pytest.mark.parametrize("arguments", ["--source v4l2:0 --sink shm:frames", "--source rtsp://cam/1 --sink none:"])
def test_the_unit_is_hardened(arguments, user, tmp_path):
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("no systemd-analyze on this machine")
    unit = tmp_path / "draco-edge.service"
    unit.write_text(unit_text("/opt/venv/bin/python", "/opt/draco", arguments, user, "/opt/draco/public.pem"))
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=30", unit], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-400:]
    checked = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert "Unknown" not in checked.stderr and "Failed to parse" not in checked.stderr


def test_words_keep_their_meaning_in_the_unit():
    unit = unit_text("/p y/python", "/opt/draco", "--source 'gst:a ! b=\"c d\" ! 100%' --sink 'x$y.mp4'", "pi")
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert start == (
        'ExecStart="/p y/python" -m edge.run /opt/draco/current --source "gst:a ! b=\\"c d\\" ! 100%%" --sink x$$y.mp4'
    )


@pytest.mark.parametrize("text", ["host", ":dir", "host:", "-oProxyCommand=x:dir", "a\nb:dir"])
def test_a_destination_that_is_none_is_refused(text):
    with pytest.raises(EdgeError, match="HOST:DIR"):
        Destination.parse(text)


def test_a_host_that_cannot_be_reached_is_told_in_one_line(grid_bundle, capsys, tmp_path):
    stand_in = tmp_path / "ssh"
    stand_in.write_text("#!/bin/sh\necho 'ssh: Could not resolve hostname nowhere' >&2\nexit 255\n")
    stand_in.chmod(stat.S_IRWXU)
    assert command.run(deploy.main, [str(grid_bundle), "nowhere:draco", "--ssh", str(stand_in)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no connection to nowhere: ssh: Could not resolve hostname" in error


@pytest.mark.parametrize(
    ("ssh", "status", "says"),
    [
        ("no-such-ssh", 1, "install the OpenSSH client"),
        ("", 2, "--ssh is empty"),
        ("ssh -i 'my key", 2, "No closing quotation"),
    ],
)
def test_an_ssh_that_cannot_be_started_is_told_in_one_line(grid_bundle, capsys, ssh, status, says):
    assert command.run(deploy.main, [str(grid_bundle), "drone:draco", "--ssh", ssh]) == status
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and says in error
