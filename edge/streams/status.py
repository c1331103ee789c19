"""What a running stream says of itself: to the preview page, to Prometheus, and to whoever asks for its health."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edge import command
from edge.measure.sysfs import temperature_c

if TYPE_CHECKING:
    from edge.streams.controls import Controls
    from edge.streams.stream import Stream

HEALTHY_S = 5.0  # without a delivered frame for longer than this a stream is not well
TEMPERATURE_S = 2.0


class Status:
    """Reads the figures of a stream, whenever asked, from any thread.

    Args:
        source: its name, for people.
    """

    def __init__(self, stream: Stream, controls: Controls, source: str) -> None:
        self._stream = stream
        self._controls = controls
        self._source = source
        self._temperature: tuple[float, float | None] = (-TEMPERATURE_S, None)

    def healthy(self) -> bool:
        """Whether frames went out in the last seconds."""
        at = self._stream.figures.delivered_at
        return bool(at) and time.monotonic() - at < HEALTHY_S

    def as_json(self) -> dict[str, Any]:
        """All figures, JSON types only; None for what is not known."""
        figures, clearing = self._stream.figures, self._stream.clearing
        latency, model = figures.latency_ms.percentile(50, 95, 99), figures.model_ms.percentile(50, 95)
        return {
            "source": self._source,
            "healthy": self.healthy(),
            "rate": figures.rate.per_second(),
            "latency_p50_ms": latency[0],
            "latency_p95_ms": latency[1],
            "latency_p99_ms": latency[2],
            "model_p50_ms": model[0],
            "model_p95_ms": model[1],
            **figures.as_json(),
            "events": dict(self._stream.events.counts),
            "device": clearing.dehazer.device,
            "precision": clearing.dehazer.precision,
            "bundle": clearing.dehazer.bundle.manifest.name,
            "haze": clearing.rest.haze,
            "resting": self._controls.auto and clearing.rest.resting,
            "temperature_c": self._temperature_c(),
            "running_s": time.monotonic() - figures.started_at,
            "strength": self._controls.strength,
            "smooth_s": self._controls.smooth_s,
            "auto": self._controls.auto,
        }

    def as_prometheus(self) -> bytes:
        """The text format 0.0.4 of Prometheus.

        Raises:
            MissingPackage: prometheus-client is not installed.
        """
        client = command.require("prometheus_client", "stream")
        registry = client.CollectorRegistry()
        registry.register(self)
        return client.generate_latest(registry)

    def collect(self) -> Iterator[Any]:
        """What prometheus-client asks a collector for."""
        core = command.require("prometheus_client.core", "stream")
        now = self.as_json()

        def counter(name: str, text: str, value: float) -> Any:
            return core.CounterMetricFamily(f"draco_edge_{name}", text, value=value)

        def gauge(name: str, text: str, value: float | None) -> Any:
            return core.GaugeMetricFamily(f"draco_edge_{name}", text, value=float("nan") if value is None else value)

        yield counter("frames_captured", "Frames that the source gave, broken ones included", now["captured"])
        yield counter("frames_broken", "Frames that could not be decoded", now["broken"])
        yield counter("frames_dropped", "Frames given up before the model", now["dropped"])
        yield counter("frames_processed", "Frames that went on to the sinks", now["processed"])
        yield counter("frames_rested", "Frames that passed while the air was clear", now["rested"])
        yield counter("frames_uncleared", "Frames that passed because the model failed", now["uncleared"])
        yield counter("source_reconnects", "Times that the source was opened again", now["reconnects"])
        by_sink = core.CounterMetricFamily(
            "draco_edge_sink_frames", "What became of frames at each sink", labels=["sink", "outcome"]
        )
        for sink in now["sinks"]:
            for outcome in ("delivered", "dropped", "failed"):
                by_sink.add_metric([sink["name"], outcome], sink[outcome])
        yield by_sink
        events = core.CounterMetricFamily("draco_edge_events", "Events by name", labels=["event"])
        for name, count in now["events"].items():
            events.add_metric([name], count)
        yield events
        for name, text, stem, which in (
            ("latency_milliseconds", "From capture to the first sink", "latency", (50, 95, 99)),
            ("model_milliseconds", "Reduce, infer and apply", "model", (50, 95)),
        ):
            family = core.GaugeMetricFamily(f"draco_edge_{name}", f"{text}, last 1024 frames", labels=["percentile"])
            for percentile in which:
                value = now[f"{stem}_p{percentile}_ms"]
                family.add_metric([str(percentile)], float("nan") if value is None else value)
            yield family
        yield gauge("frames_per_second", "Frames delivered to the first sink", now["rate"])
        yield gauge("haze_optical_depth", "Mean optical depth that the model saw; NaN without --auto", now["haze"])
        yield gauge("resting", "1 while the air is clear and the model rests", float(now["resting"]))
        yield gauge("temperature_celsius", "Hottest sensor of the processor", now["temperature_c"])
        yield gauge("strength", "How much of the haze is removed", now["strength"])
        yield gauge("healthy", "1 while frames go out", float(now["healthy"]))
        yield core.InfoMetricFamily(
            "draco_edge", "What runs where", {name: str(now[name]) for name in ("bundle", "device", "precision")}
        )

    def _temperature_c(self) -> float | None:
        read_at, value = self._temperature
        if time.monotonic() - read_at > TEMPERATURE_S:
            value = temperature_c()
            self._temperature = (time.monotonic(), value)
        return value
