"""The preview page, its figures, controls, metrics and health, and who may see them."""

import contextlib
import http.client
import json
import shutil
import socket
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import EdgeError
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.faults import PortTaken
from edge.streams.intake import IntakeOptions
from edge.streams.preview import Address, Preview
from edge.streams.server import MOST_CLIENTS
from edge.streams.sinks import make_sink
from edge.streams.sources import make_source
from edge.streams.spec import parse_sink, parse_source
from edge.streams.status import Status
from edge.streams.stream import Stream, StreamOptions, running


@pytest.fixture
def shown(adding):
    """A live stream of 320x240 with a preview on this machine."""
    yield from showing(adding, Address("127.0.0.1", 0))


def showing(bundle, address):
    from edge.dehazer import Dehazer

    controls, events = Controls(), Events(lambda event: None)
    spec = parse_source("test:?size=320x240")
    stream = Stream(
        lambda: make_source(spec, 30),
        lambda: Dehazer(bundle, threads=1),
        [("none:", make_sink(parse_sink("none:"), live=True))],
        StreamOptions(IntakeOptions(live=True)),
        controls=controls,
        events=events,
    )
    preview = Preview(address, controls, Status(stream, controls, "test:"))
    stream.onlooker = preview
    with running(stream):
        try:
            deadline = time.monotonic() + 20
            while not stream.figures.delivered_at and time.monotonic() < deadline:
                time.sleep(0.02)
            yield preview
        finally:
            preview.close()


def ask(preview, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", preview.port, timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def test_the_pair_shows_the_frame_before_and_after(shown):
    status, jpeg, _ = ask(shown, "/pair.jpg")
    assert status == 200
    pair = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert pair.shape == (480, 320, 3)
    assert 8 < np.median(pair[240:] - pair[:240]) < 12


def test_figures_tell_what_runs_where(shown):
    status, body, _ = ask(shown, "/figures")
    figures = json.loads(body)
    assert status == 200 and figures["healthy"]
    assert figures["device"] == "CPU" and figures["bundle"] == "adding-10"
    assert figures["captured"] >= figures["processed"] > 0 and figures["latency_p95_ms"] > 0


def test_metrics_are_what_prometheus_reads(shown):
    parser = pytest.importorskip("prometheus_client.parser")
    status, body, headers = ask(shown, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in parser.text_string_to_metric_families(body.decode())}
    assert families["draco_edge_frames_captured"].type == "counter"
    assert families["draco_edge_frames_captured"].samples[0].value > 0
    outcomes = {s.labels["outcome"]: s.value for s in families["draco_edge_sink_frames"].samples}
    assert outcomes["delivered"] > 0 and outcomes["failed"] == 0
    assert families["draco_edge_healthy"].samples[0].value == 1


def test_health_follows_the_frames(shown, monkeypatch):
    assert ask(shown, "/health")[:2] == (200, b'{"healthy": true}')
    monkeypatch.setattr("edge.streams.status.HEALTHY_S", -1.0)
    assert ask(shown, "/health")[:2] == (503, b'{"healthy": false}')


def test_strength_is_changed_while_running(shown):
    status, body, _ = ask(shown, "/controls", "POST", '{"strength": 0}', Content_Type="application/json")
    assert status == 200 and json.loads(body)["strength"] == 0
    ask(shown, "/pair.jpg")
    pair = cv2.imdecode(np.frombuffer(ask(shown, "/pair.jpg")[1], np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert abs(np.median(pair[240:] - pair[:240])) <= 1


@pytest.mark.parametrize(
    "body, status",
    [
        ('{"strength": 9}', 400),
        ('{"strength": "1"}', 400),
        ('{"strength": NaN}', 400),
        ('{"volume": 1}', 400),
        ("[1]", 400),
        ("{", 400),
        ("[" * 4000, 400),
        ("x" * 5000, 413),
    ],
)
def test_what_cannot_be_wished_is_refused(shown, body, status):
    assert ask(shown, "/controls", "POST", body, Content_Type="application/json")[0] == status
    assert shown.controls.strength == 1


def test_other_pages_in_the_same_browser_cannot_reach_it(shown):
    wish = '{"strength": 0}'
    assert ask(shown, "/controls", "POST", wish, Content_Type="text/plain")[0] == 415
    elsewhere = {"Content_Type": "application/json", "Origin": "http://evil.example"}
    assert ask(shown, "/controls", "POST", wish, **elsewhere)[0] == 403
    assert ask(shown, "/figures", Host="evil.example")[0] == 403
    assert shown.controls.strength == 1


def test_from_other_machines_a_token_is_needed(identity):
    for preview in showing(identity, Address.parse("0.0.0.0:0", "secret-token")):
        assert ask(preview, "/")[0] == ask(preview, "/pair.jpg")[0] == ask(preview, "/metrics")[0] == 403
        assert ask(preview, "/figures?token=wrong")[0] == 403
        status, _, headers = ask(preview, "/?token=secret-token")
        assert status == 200 and "HttpOnly" in headers["Set-Cookie"]
        assert ask(preview, "/figures", Cookie=headers["Set-Cookie"].split(";")[0])[0] == 200
        assert ask(preview, "/metrics", Authorization="Bearer secret-token")[0] == 200
        assert preview.url.endswith("?token=secret-token")


@pytest.mark.parametrize(
    "text, host, token", [("8080", "127.0.0.1", ""), ("0.0.0.0:80", "0.0.0.0", "t"), ("[::1]:9", "::1", "")]
)
def test_where_it_listens(text, host, token):
    address = Address.parse(text, "t")
    assert (address.host, address.token) == (host, token)


@pytest.mark.parametrize("text", ["", "eighty", ":80", "99999", "1.2.3.4"])
def test_an_address_that_is_none_is_told(text):
    with pytest.raises(EdgeError, match="--preview takes PORT"):
        Address.parse(text, "t")


def test_a_taken_port_has_a_name(shown):
    with pytest.raises(PortTaken, match="is taken"):
        Preview(Address("127.0.0.1", shown.port), shown.controls, shown.status)


def test_clients_are_bounded_and_slow_ones_are_hung_up_on(shown, monkeypatch):
    monkeypatch.setattr("edge.streams.server.REQUEST_S", 0.5)
    slow = []
    for _ in range(3 * MOST_CLIENTS):
        client = socket.create_connection(("127.0.0.1", shown.port), timeout=5)
        client.sendall(b"GET / HT")
        slow.append(client)
    time.sleep(0.2)
    assert sum(thread.name.startswith("Thread-") for thread in threading.enumerate()) <= MOST_CLIENTS + 2
    stop_at, answered = time.monotonic() + 10, 0
    while time.monotonic() < stop_at and answered != 200:  # a byte now and then does not buy more time
        for client in slow:
            with contextlib.suppress(OSError):
                client.sendall(b"T")
        try:
            answered = ask(shown, "/health")[0]
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
    assert answered == 200
    for client in slow:
        client.close()


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
        b"POST /controls HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /controls HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n{}",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_hostile_requests_do_no_harm(shown, junk, capfd):
    with socket.create_connection(("127.0.0.1", shown.port), timeout=5) as client:
        client.sendall(junk)
        client.shutdown(socket.SHUT_WR)
        try:
            answer = client.recv(65536)
        except OSError:
            answer = b""
    assert b"root:" not in answer and not answer.startswith(b"HTTP/1.1 200")
    assert ask(shown, "/health")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_nobody_looking_costs_nothing_and_nobody_leaves_threads(identity):
    before = threading.active_count()
    for preview in showing(identity, Address("127.0.0.1", 0)):
        assert not preview.wants()
        ask(preview, "/pair.jpg")
        time.sleep(0.1)
        assert not preview.wants() and preview._pair is None
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_the_page_works_in_a_browser(shown, tmp_path):
    browser, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        page.set_window_size(900, 900)
        page.get(shown.url)
        wait_until(lambda: int(page.execute_script("return document.body.dataset.frames || 0")) >= 3)
        wait_until(lambda: "frames/s" in page.find_element("id", "figures").text)
        assert "CPU" in page.find_element("id", "figures").text

        def mean(left: int) -> float:
            script = (
                f"const d = canvas.getContext('2d').getImageData({left}, 100, 60, 100).data;"
                "let s = 0; for (let i = 0; i < d.length; i += 4) s += d[i + 1]; return s / (d.length / 4);"
            )
            return page.execute_script(script)

        # With the split at the far right all of the canvas is "before", at the far left all of it "after".
        page.execute_script("split = 1; draw()")
        before = mean(200)
        page.execute_script("split = 0; draw()")
        assert 6 < mean(200) - before < 14

        page.execute_script(
            "const s = document.getElementById('strength'); s.value = 0.5; s.dispatchEvent(new Event('input'))"
        )
        wait_until(lambda: shown.controls.strength == 0.5)
        errors = [
            entry
            for entry in page.get_log("browser")
            if entry["level"] == "SEVERE" and "favicon" not in entry["message"]
        ]
        assert errors == []
        Path(tmp_path / "page.png").write_bytes(page.get_screenshot_as_png())
    finally:
        page.quit()


def wait_until(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
