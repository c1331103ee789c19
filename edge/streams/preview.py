"""A page to watch a stream by: before and after, live figures, strength; metrics and health on the same port.

Nobody who looks can hold the stream up: a frame is kept for the page only when a browser is waiting for one, and
scaling and JPEG happen in the browser's own thread here.
"""

from __future__ import annotations

import errno
import ipaddress
import threading
import time
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from edge.errors import EdgeError, WrongCall
from edge.streams.controls import Controls
from edge.streams.faults import PortTaken
from edge.streams.pages import Handler, Shown
from edge.streams.server import Server
from edge.streams.status import Status

WIDEST = 960


@dataclass(frozen=True)
class Address:
    """Where the preview listens.

    Attributes:
        token: what a client has to show; empty for this machine only.
    """

    host: str
    port: int
    token: str = ""

    @staticmethod
    def parse(text: str, token: str) -> Address:
        """From PORT, HOST:PORT or [HOST]:PORT; the token holds only where others can reach the address.

        Raises:
            WrongCall: none of these.
        """
        host, colon, port = text.rpartition(":")
        host = host.strip("[]") if colon else "127.0.0.1"
        if not port.isdigit() or int(port) > 65535 or (colon and not host):
            raise WrongCall(f"--preview takes PORT (this machine only) or HOST:PORT such as 0.0.0.0:8080, not {text!r}")
        return Address(host, int(port), "" if _is_loopback(host) else token)


class Preview:
    """Serves the page until it is closed; see `edge.streams.stream.Onlooker`.

    Raises:
        PortTaken: another program listens there.
        EdgeError: the address is not this machine's.
    """

    def __init__(self, address: Address, controls: Controls, status: Status) -> None:
        self.controls = controls
        self.status = status
        self.token = address.token
        self._changed = threading.Condition()
        self._waiting = 0
        self._pair: tuple[np.ndarray, np.ndarray] | None = None
        self._count = 0
        try:
            shown = Shown(self.token, controls, status, self.next_pair)
            self._server = Server(address.host, address.port, partial(Handler, shown))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {address.port} of {address.host} is taken; choose another --preview") from error
            raise EdgeError(f"cannot listen on {address.host}:{address.port}: {error.strerror}") from error
        self.port = self._server.server_address[1]
        host = f"[{address.host}]" if ":" in address.host else address.host
        self.url = f"http://{host}:{self.port}/" + (f"?token={self.token}" if self.token else "")
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="preview", daemon=True
        )
        self._thread.start()

    def wants(self) -> bool:
        """Whether somebody waits for a frame."""
        return self._waiting > 0

    def show(self, before: np.ndarray, after: np.ndarray) -> None:
        """Hand over a frame, uint8 RGB (H, W, 3), as it came and cleared. The arrays are kept, not copied."""
        with self._changed:
            self._pair = (before, after)
            self._count += 1
            self._changed.notify_all()

    def next_pair(self, timeout_s: float) -> bytes | None:
        """A JPEG of the next frame, before above after, at most 960 pixels wide; None when none comes in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            seen, self._waiting = self._count, self._waiting + 1
            try:
                while self._count == seen:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return None
                    self._changed.wait(left)
                pair = self._pair
            finally:
                self._waiting -= 1
                if not self._waiting:
                    self._pair = None
        assert pair is not None
        scale = min(1.0, WIDEST / pair[0].shape[1])
        size = (max(1, round(pair[0].shape[1] * scale)), max(1, round(pair[0].shape[0] * scale)))
        stacked = np.vstack([cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pair])
        _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(stacked, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
        return jpeg.tobytes()

    def close(self) -> None:
        """Hang up on everybody and free the port."""
        self._server.shutdown()
        self._server.hang_up_all()
        self._server.server_close()
        self._thread.join(1)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
