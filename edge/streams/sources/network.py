"""Streams from the network: RTSP, MPEG-TS over UDP or SRT, and whatever else libav opens by address."""

from __future__ import annotations

from edge.streams.sources.libav import LibavSource
from edge.streams.spec import Spec

OPEN_S = 10.0


class NetworkSource(LibavSource):
    """Options, after a number sign: `transport` (tcp or udp, for RTSP; default tcp), `listen=1` (RTSP: wait for the
    camera to come rather than go to it), `timeout` (seconds without data until the stream counts as lost; default 5).
    """

    live = True

    def __init__(self, spec: Spec, fps: float | None) -> None:  # noqa: ARG002
        spec.check_options(("transport", "listen", "timeout"))
        # Half a second of looking at the stream suffices for one video and one audio track.
        options = {"fflags": "nobuffer", "flags": "low_delay", "analyzeduration": "500000", "probesize": "500000"}
        if spec.place.startswith("rtsp"):
            options["rtsp_transport"] = spec.options.get("transport", "tcp")
            if spec.options.get("listen") == "1":
                options["rtsp_flags"] = "listen"
                options["listen_timeout"] = str(int(OPEN_S))  # libav's own default does not fit its own range
        container = "mpegts" if spec.place.startswith("udp:") else None
        timeouts_s = (OPEN_S, spec.number("timeout", 5, 0.1))
        super().__init__(spec.place, spec.place, container=container, options=options, timeouts_s=timeouts_s)
