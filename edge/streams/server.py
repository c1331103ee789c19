"""The preview's port: few clients at a time, and none that holds a place without asking for something."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, SHUT_RDWR, socket
from typing import Any

MOST_CLIENTS = 8
REQUEST_S = 5.0  # a client that has not said within this time what it wants is hung up on
ANSWER_S = 15.0  # nor does it get longer to take the answer


class Server(ThreadingHTTPServer):
    """At most eight clients, none of them for long without a request.

    Args:
        handler: called with connection, client and server, see `http.server.BaseHTTPRequestHandler`.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, host: str, port: int, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        if ":" in host:
            self.address_family = AF_INET6
        self._lock = threading.Lock()
        self._deadlines: dict[socket, float] = {}
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        # The base class looks up the machine's name here, over the network where need be.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        with self._lock:
            if len(self._deadlines) >= MOST_CLIENTS:
                return False
            self._deadlines[request] = time.monotonic() + REQUEST_S
        return True

    def give_time(self, request: socket, seconds: float) -> None:
        """The client of that connection may take so long from now."""
        with self._lock:
            if request in self._deadlines:
                self._deadlines[request] = time.monotonic() + seconds

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        now = time.monotonic()
        with self._lock:
            late = [request for request, deadline in self._deadlines.items() if deadline < now]
        for request in late:
            _hang_up(request)

    def hang_up_all(self) -> None:
        with self._lock:
            everybody = list(self._deadlines)
        for request in everybody:
            _hang_up(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event."""


def _hang_up(request: socket) -> None:
    with contextlib.suppress(OSError):  # it has hung up itself
        request.shutdown(SHUT_RDWR)
