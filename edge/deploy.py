"""`python -m edge.deploy`: a bundle to a board over SSH, proved there before it goes live."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge import command
from edge.arguments import whole_from
from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.deployment.ssh import Board, Destination

EXAMPLES = """examples:
  python -m edge.deploy my-bundle pi@drone.local:~/bundles
  python -m edge.deploy my-bundle drone:bundles --require-signature fleet.pub
  python -m edge.deploy my-bundle drone:bundles --service '--source picamera2: --sink shm:frames'
  python -m edge.deploy drone:bundles --rollback
  python -m edge.deploy my-bundle drone:bundles --ssh 'ssh -p 2222 -i drone_key'

The bundle is copied beside the live one, its digests (and signature) are checked there, its golden frames are
replayed with the board's own runtime, and only then it goes live, by the rename of one link: DIR/current. Cut off at
any point, the old bundle stays live. ssh is your own: its configuration, keys and known hosts are used.
"""
USAGE = """%(prog)s [OPTION ...] BUNDLE HOST:DIR
       %(prog)s [OPTION ...] --rollback HOST:DIR"""
SSH_VARIABLE = "DRACO_EDGE_SSH"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.deploy",
        usage=USAGE,
        description="Bring a bundle to a board over SSH and switch it in atomically.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("what", nargs="+", metavar="BUNDLE HOST:DIR", help="what to bring where; --rollback takes HOST:DIR")
    p.add_argument("--rollback", action="store_true", help="make the release before the live one live again")
    p.add_argument("--require-signature", type=Path, metavar="PUBLIC_KEY", help="here and there, only if it is signed")
    p.add_argument(
        "--keep", type=whole_from(1), default=3, metavar="N", help="releases to keep on the board (default: 3)"
    )
    p.add_argument("--device", default="auto", help="of the board, to replay golden frames on (default: auto)")
    p.add_argument(
        "--python", default="", metavar="PATH", help="the board's Python that has draco-edge (default: found)"
    )
    p.add_argument("--service", metavar="ARGUMENTS", help="write a systemd unit that runs edge.run with these")
    p.add_argument(
        "--ssh",
        default=os.environ.get(SSH_VARIABLE) or "ssh",
        metavar="COMMAND",
        help=f"(default: ${SSH_VARIABLE} or ssh)",
    )
    return p


def main(argv: list[str] | None = None) -> int:
    p = parser()
    args = p.parse_intermixed_args(argv)  # options may stand between BUNDLE and HOST:DIR
    if len(args.what) != (1 if args.rollback else 2):
        p.error("--rollback takes HOST:DIR" if args.rollback else "give a BUNDLE and a HOST:DIR")
    from edge.deployment.service import run_words
    from edge.deployment.ssh import Board, Destination

    destination = Destination.parse(args.what[-1])
    if args.service is not None:
        run_words(args.service)  # refused before anything is copied
    with Board(destination.host, args.ssh) as board:
        release = _roll_back(board, destination) if args.rollback else _deploy(board, destination, args)
        _reload(board)
    print(f"{destination.host}:{destination.folder}/releases/{release}")
    return 0


def _deploy(board: Board, destination: Destination, args: argparse.Namespace) -> str:
    from edge.bundle import SIGNATURE, Bundle, read_contents
    from edge.deployment import scripts, service
    from edge.deployment.ssh import DeployError, as_tar, read_key

    path = Path(args.what[0])
    if args.require_signature:
        from edge.signing import require_signature

        bundle = require_signature(path, args.require_signature)
    else:
        bundle = Bundle.read(path)
    contents = read_contents(path)
    if Bundle.checked(path, contents).digest != bundle.digest:
        raise EdgeError(f"{path} changed while it was read; try again")
    files = {f"bundle/{name}": content for name, content in contents.items()}
    if args.require_signature:
        files["public.pem"] = read_key(args.require_signature)
    signed = ", signed" if SIGNATURE in contents else ""
    python = board.run(scripts.FIND_PYTHON, destination.folder, args.python, bundle.manifest.target).strip()
    if args.service is not None:
        board.run(scripts.TAKES, python, *service.run_words(args.service))
    archive = as_tar(files)
    command.say(f"{bundle.manifest.name} ({len(archive) / 1e6:.1f} MB{signed}) to {destination.host}")
    incoming = board.run(scripts.RECEIVE, destination.folder, send=archive).strip()
    try:
        command.say(f"digests{', signature' if args.require_signature else ''} and golden frames there")
        need = "signed" if args.require_signature else ""
        said = board.run(scripts.CHECK, incoming, python, bundle.digest, args.device, need)
        answer = json.loads(said.splitlines()[-1])
        command.say(
            f"{answer['golden_frames']} golden frames within {answer['largest_difference']} grey levels on "
            f"{answer['device']} in {answer['precision']}"
        )
        key = ""
        if args.require_signature and args.service is not None:
            key = board.run(
                'cp "$1/public.pem" "$(dirname "$1")/public.pem"; echo "$(dirname "$1")/public.pem"', incoming
            )
        if args.service is not None:
            folder, user = board.run(scripts.ABSOLUTE, destination.folder).splitlines()
            unit = service.unit_text(python, folder, args.service, user, key.strip()).encode()
        release = board.run(scripts.ACTIVATE, incoming, bundle.digest, str(args.keep)).strip()
    except (EdgeError, ValueError, IndexError, KeyError) as error:
        _discard(board, incoming)
        if isinstance(error, EdgeError):
            raise DeployError(f"{error}; the bundle that was live still is") from error
        raise DeployError(
            f"{destination.host}: the check there gave no answer; the bundle that was live still is"
        ) from error
    command.say(f"live: {release}")
    if args.service is not None:
        install = service.install_command(folder)
        command.say(board.run(scripts.INSTALL_SERVICE, folder, service.NAME, install, send=unit).strip())
    return release


def _discard(board: Board, incoming: str) -> None:
    from edge.deployment import scripts
    from edge.deployment.ssh import DeployError

    with contextlib.suppress(DeployError):  # the connection may be gone; a later call tidies up
        board.run(scripts.DISCARD, incoming)


def _roll_back(board: Board, destination: Destination) -> str:
    from edge.deployment import scripts

    release = board.run(scripts.ROLL_BACK, destination.folder).strip()
    command.say(f"live: {release}")
    return release


def _reload(board: Board) -> None:
    from edge.deployment import scripts, service

    if said := board.run(scripts.RELOAD, service.NAME).strip():
        command.say(said)


if __name__ == "__main__":
    sys.exit(command.run(main))
