"""What goes wrong in a stream, by name. What a stream then does stands in docs/faults.md."""

from __future__ import annotations

from edge.errors import EdgeError, ModelFault, SinkError, SourceError

__all__ = ["BrokenFrame", "DiskFull", "ModelFault", "PortTaken", "SinkLost", "SourceLost", "SourceStalled"]


class SourceLost(SourceError):
    """The source is gone: unplugged, connection closed, process ended."""


class SourceStalled(SourceLost):
    """The source is open but gives no frames."""


class BrokenFrame(SourceError):
    """One frame that cannot be decoded; the source goes on."""


class SinkLost(SinkError):
    """The sink is gone: connection closed, reader ended, device removed."""


class DiskFull(SinkLost):
    """No room for what a sink writes."""


class PortTaken(EdgeError):
    """Another program listens on the port."""
