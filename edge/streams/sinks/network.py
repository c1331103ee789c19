"""Streams to the network: RTSP (to a server, or to a player that listens), MPEG-TS over UDP, SRT or TCP."""

from __future__ import annotations

from edge.streams.frame import Frame, StreamInfo
from edge.streams.sinks.encoder import OPTIONS, Encoder, check_coding
from edge.streams.spec import Spec

TIMEOUTS_S = (5.0, 3.0)


class NetworkSink:
    """Options, after a number sign: `transport` (tcp or udp, for RTSP; default tcp), and those of `Encoder`."""

    made = ""
    drain_s = 0.4

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:  # noqa: ARG002
        spec.check_options((*OPTIONS, "transport"))
        check_coding(spec)
        self._spec = spec
        self._encoder: Encoder | None = None

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        address = self._spec.place
        options = {"flush_packets": "1"}
        if address.startswith("rtsp"):
            container = "rtsp"
            options["rtsp_transport"] = self._spec.options.get("transport", "tcp")
        else:
            container = "mpegts"
            if address.startswith("udp:") and "pkt_size" not in address:
                address += ("&" if "?" in address else "?") + "pkt_size=1316"  # seven packets of 188 fit a datagram
        coding = {name: value for name, value in self._spec.options.items() if name in OPTIONS}
        self._encoder = Encoder(
            self._spec.text,
            address,
            container=container,
            options=coding,
            container_options=options,
            live=True,
            timeouts_s=TIMEOUTS_S,
        )
        self._encoder.open(info)
        self.remark = self._encoder.remark

    def write(self, frame: Frame) -> None:
        assert self._encoder is not None
        self._encoder.write(frame)

    def close(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()
