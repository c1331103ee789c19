"""The systemd unit that keeps `edge.run` running on a board, with as few rights as it can do with."""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex

from edge.errors import EdgeError, MissingPackage, WrongCall

NAME = "draco-edge"
WATCHDOG_S = 20
# What cameras, GPUs and NPUs appear as: Video4Linux, media controllers, DMA heaps, DRM, accel, NVIDIA.
DEVICES = ("char-video4linux", "char-media", "char-dma_heap", "char-drm", "char-accel", "char-nvidia", "char-nvhost")


def run_words(arguments: str) -> list[str]:
    """Arguments of edge.run behind the bundle, as a shell would split them.

    Raises:
        WrongCall: they cannot be split, hold a line break, or edge.run would refuse them on any machine.
    """
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise WrongCall(f"--service {arguments!r} cannot be read ({error})") from None
    for word in words:
        _quoted(word)  # refuses what a unit cannot hold
    try:
        _check(_parsed(words))
    except EdgeError as error:
        raise WrongCall(f"--service: {error}") from None
    return words


def install_command(folder: str) -> str:
    """What root runs in a shell on the board to install the unit that lies in `folder`, and to start it."""
    unit = shlex.quote(f"{folder}/{NAME}.service")
    return f"install -m 644 {unit} /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now {NAME}"


def unit_text(python: str, folder: str, run_arguments: str, user: str, public_key: str = "") -> str:
    """The unit.

    Args:
        python: the board's Python that has the project, as an absolute path.
        folder: where releases lie, as an absolute path.
        run_arguments: as `run_words` takes them.
        user: who deployed, and runs the service then; for root, systemd makes a user with no other rights.
        public_key: path on the board of the key that has to have signed the bundle.

    Raises:
        WrongCall: as `run_words`.
    """
    words = run_words(run_arguments)
    networked = any("://" in word for word in words) or _parsed(words).preview is not None
    if public_key:
        words += ["--require-signature", public_key]
    start = " ".join(_quoted(word) for word in (python, "-m", "edge.run", f"{folder}/current", *words))
    # Leftover shared memory is removed with a user of the service's own; with a person's, it may be someone else's.
    who = "DynamicUser=yes\nRemoveIPC=yes" if user == "root" else f"User={user}"
    devices = "\n".join(f"DeviceAllow={device} rw" for device in DEVICES)
    return f"""\
# Written by edge.deploy --service. Haze removal from a camera, restarted when it fails or hangs.
[Unit]
Description=Draco Edge: clear frames from {folder}/current
After=network.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={start}
# A new bundle is opened without losing a frame.
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
WatchdogSec={WATCHDOG_S}
TimeoutStartSec=300
KillSignal=SIGTERM
TimeoutStopSec=15

{who}
SupplementaryGroups=video render
StateDirectory={NAME}
CacheDirectory={NAME}
WorkingDirectory=%S/{NAME}
Environment=DRACO_EDGE_CACHE=%C/{NAME} XDG_CACHE_HOME=%C/{NAME} HOME=%S/{NAME} PYTHONUNBUFFERED=1
Nice=-5
MemoryMax=80%

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
DevicePolicy=closed
{devices}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK{" AF_INET AF_INET6" if networked else ""}
{"" if networked else "IPAddressDeny=any" + chr(10)}LockPersonality=yes
KeyringMode=private
UMask=0077
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def _parsed(words: list[str]) -> argparse.Namespace:
    """
    Raises:
        EdgeError: the parser of edge.run does not take them.
    """
    from edge.run import parser

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return parser().parse_args(["BUNDLE", *words])
    except SystemExit:
        _, _, complaint = said.getvalue().strip().rpartition("error: ")
        why = complaint if "\n" not in complaint else "--help runs nothing"
        raise EdgeError(f"{why}; python -m edge.run --help says what it takes") from None


def _check(args: argparse.Namespace) -> None:
    """
    Raises:
        EdgeError: a source or a sink that cannot be, whatever files and devices the board has.
    """
    from edge.streams.sinks import make_sink
    from edge.streams.sources import make_source
    from edge.streams.spec import parse_sink, parse_source

    try:
        source = parse_source(args.source)
    except EdgeError:
        source = None  # a file of the board's
    with contextlib.suppress(MissingPackage):  # the board may have it
        if source is not None:
            make_source(source, args.fps)
        for text in args.sink or ():
            make_sink(parse_sink(text), live=True)


def _quoted(word: str) -> str:
    """A word of ExecStart: systemd's quoting is close to the shell's, and % and $ mean something to it."""
    if "\n" in word:
        raise WrongCall(f"--service: {word!r} holds a line break")
    word = word.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\")
    return '"' + word.replace('"', '\\"') + '"' if not word or set(word) & set(" \t'\";") else word
