"""A window on this machine's screen, by pygame (SDL)."""

from __future__ import annotations

import os
from typing import Any

from edge import command
from edge.errors import SinkError
from edge.streams.faults import SinkLost
from edge.streams.frame import Frame, StreamInfo
from edge.streams.sinks.fit import fit
from edge.streams.spec import Spec


class WindowSink:
    """Options: `fullscreen=1`. Escape, q or the window's own button closes it; the stream goes on without."""

    made = ""
    drain_s = 0.2

    def __init__(self, spec: Spec, live: bool, overwrite: bool) -> None:  # noqa: ARG002
        spec.check_options(("fullscreen",))
        self._fullscreen = spec.options.get("fullscreen") == "1"
        self._pygame: Any = None
        self._closed_by_user = False

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        if self._closed_by_user:
            return
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would greet on standard output
        pygame = self._pygame = command.require("pygame", "window")
        try:
            pygame.display.init()
            flags = pygame.FULLSCREEN | pygame.SCALED if self._fullscreen else pygame.RESIZABLE
            self._screen = pygame.display.set_mode((info.width, info.height), flags)
        except pygame.error as error:
            raise SinkError(f"cannot open a window: {error}") from error
        pygame.display.set_caption("Draco Edge")

    def write(self, frame: Frame) -> None:
        if self._closed_by_user:
            return
        pygame = self._pygame
        try:
            for event in pygame.event.get():
                key = getattr(event, "key", None)
                if event.type == pygame.QUIT or key in (pygame.K_ESCAPE, pygame.K_q):
                    self._closed_by_user = True
                    pygame.display.quit()
                    return
            picture = fit(frame.picture, *self._screen.get_size())
            self._screen.blit(pygame.image.frombuffer(picture.tobytes(), picture.shape[1::-1], "RGB"), (0, 0))
            pygame.display.flip()
        except pygame.error as error:
            raise SinkLost(f"the window is gone: {error}") from error

    def close(self) -> None:
        if self._pygame is not None:
            self._pygame.display.quit()
