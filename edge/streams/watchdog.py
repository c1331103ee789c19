"""Tells systemd how the stream is (sd_notify(3)): started, alive while frames move, ending.

The watchdog beats only when frames were delivered since the last beat. A stream that hangs, in the camera's driver or
in the model's runtime, is then restarted by systemd (WatchdogSec= and Restart=on-watchdog in the unit).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Watchdog:
    """Does nothing where systemd did not ask for it.

    Args:
        environment: where NOTIFY_SOCKET and WATCHDOG_USEC are looked up.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        usec, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        mine = process in ("", str(os.getpid()))
        self._every_s = int(usec) / 2e6 if usec.isdigit() and mine else None
        self._beat_at = time.monotonic()
        self._delivered = 0
        self._ready = False

    def look(self, delivered: int, status: str) -> None:
        """Called often.

        Args:
            delivered: how many frames went out so far.
            status: one line for `systemctl status`.
        """
        if delivered and not self._ready:
            self._ready = True
            self._send(f"READY=1\nSTATUS={status}")
        now = time.monotonic()
        if self._every_s is None or now - self._beat_at < self._every_s or delivered == self._delivered:
            return
        self._beat_at, self._delivered = now, delivered
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def ending(self) -> None:
        """The stream stops in order."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # systemd's socket may be gone while the machine shuts down; the stream ends in its own order then.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(text.encode(), address)
