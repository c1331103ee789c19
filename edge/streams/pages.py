"""What the preview's port answers to each request."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from edge.errors import EdgeError
from edge.streams.controls import Controls
from edge.streams.server import ANSWER_S, REQUEST_S, Server
from edge.streams.status import Status

LARGEST_BODY = 4096
FRAME_WAIT_S = 2.0
COOKIE = "draco_edge_token"


@dataclass(frozen=True)
class Shown:
    """What the pages tell of, and to whom.

    Attributes:
        token: what a client has to show; empty for this machine only.
        controls, status: of the stream.
        next_pair: waits so many seconds for a frame and gives it as a JPEG, or None where none came.
    """

    token: str
    controls: Controls
    status: Status
    next_pair: Callable[[float], bytes | None]


class Handler(BaseHTTPRequestHandler):
    """GET / /pair.jpg /figures /metrics /health, POST /controls."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "draco-edge", ""
    timeout = ANSWER_S
    server: Server

    def __init__(self, shown: Shown, *connection: Any) -> None:
        self._shown = shown
        super().__init__(*connection)  # which answers

    def do_GET(self) -> None:
        self._answer(
            {
                "/": self._page,
                "/pair.jpg": self._pair,
                "/figures": self._figures,
                "/metrics": self._metrics,
                "/health": self._health,
            }
        )

    def do_POST(self) -> None:
        self._answer({"/controls": self._controls})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are no events of the stream."""

    def _answer(self, pages: dict[str, Any]) -> None:
        self.server.give_time(self.connection, ANSWER_S)
        try:
            page = pages.get(urlsplit(self.path).path)
            if not self._is_allowed():
                self._send(HTTPStatus.FORBIDDEN, b"the address that edge.run printed holds the token to show here\n")
            elif page is None:
                self._send(
                    HTTPStatus.NOT_FOUND, b"there is / /pair.jpg /figures /metrics /health, and POST /controls\n"
                )
            else:
                page()
        except (OSError, ValueError):  # the client went away, or sent what cannot be parsed
            self.close_connection = True
        self.server.give_time(self.connection, REQUEST_S)

    def _is_allowed(self) -> bool:
        token = self._shown.token
        if not token:
            # Without a token only this machine can connect, but a web page in its browser could do so in its name.
            return _is_this_machine(self.headers.get("Host", "")) and self._is_same_origin()
        shown = [*parse_qs(urlsplit(self.path).query).get("token", [])]
        shown.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
            shown.append(cookie.value if cookie else "")
        except CookieError:
            pass
        return any(hmac.compare_digest(text.encode(), token.encode()) for text in shown) and self._is_same_origin()

    def _is_same_origin(self) -> bool:
        origin = self.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == self.headers.get("Host")

    def _page(self) -> None:
        cookie = {}
        if token := self._shown.token:
            cookie["Set-Cookie"] = f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"
        policy = "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' blob:"
        self._send(HTTPStatus.OK, _page(), "text/html; charset=utf-8", {"Content-Security-Policy": policy, **cookie})

    def _pair(self) -> None:
        jpeg = self._shown.next_pair(FRAME_WAIT_S)
        if jpeg is None:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"no frame in 2 seconds\n")
        else:
            self._send(HTTPStatus.OK, jpeg, "image/jpeg")

    def _figures(self) -> None:
        self._send(HTTPStatus.OK, json.dumps(self._shown.status.as_json()).encode(), "application/json")

    def _metrics(self) -> None:
        try:
            self._send(HTTPStatus.OK, self._shown.status.as_prometheus(), "text/plain; version=0.0.4; charset=utf-8")
        except EdgeError as error:
            self._send(HTTPStatus.NOT_IMPLEMENTED, f"{error}\n".encode())

    def _health(self) -> None:
        healthy = self._shown.status.healthy()
        body = json.dumps({"healthy": healthy}).encode()
        self._send(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, body, "application/json")

    def _controls(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"a small JSON object is wanted\n")
            return
        body = self.rfile.read(int(length))
        if self.headers.get_content_type() != "application/json":
            self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, b"application/json is wanted\n")
            return
        try:
            wishes = json.loads(body)
            if not isinstance(wishes, dict):
                raise EdgeError("a JSON object is wanted")
            self._shown.controls.change(**{str(name): value for name, value in wishes.items()})
        except (ValueError, RecursionError, TypeError, EdgeError) as error:
            self._send(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
            return
        self._figures()

    def _send(
        self,
        status: HTTPStatus,
        body: bytes,
        kind: str = "text/plain; charset=utf-8",
        more: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        headers |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", **(more or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@cache
def _page() -> bytes:
    return files("edge.streams").joinpath("preview.html").read_bytes()


def _is_this_machine(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
