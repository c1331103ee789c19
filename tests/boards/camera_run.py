"""Run inside the camera proof's userland: edge.run on picamera2, on libcamera's virtual camera.

    python camera_run.py BUNDLE FRAMES

picamera2 itself is unmodified. Two things that a virtual camera lacks are put beside it: raw sensor modes, and the
allocator of the Raspberry Pi's kernel. Every request is counted from its making to its release.
"""

import contextlib
import gc
import io
import json
import os
import sys
from importlib.metadata import version

from picamera2 import Picamera2
from picamera2.allocators import LibcameraAllocator
from picamera2.request import CompletedRequest

from edge import command, run
from edge.streams.sources.picamera import PicameraSource

make, let_go, begin = CompletedRequest.__init__, CompletedRequest.release, Picamera2.__init__
read = PicameraSource.read


class Count:
    """Requests: how many there were, which are not given back, and how many these were at most."""

    def __init__(self):
        self.made, self.open_now, self.most_open = 0, set(), 0

    def take(self, request, *arguments, **keywords):
        make(request, *arguments, **keywords)
        self.made += 1
        self.open_now.add(id(request))
        self.most_open = max(self.most_open, len(self.open_now))

    def give_back(self, request):
        let_go(request)
        if request.ref_count == 0:
            self.open_now.discard(id(request))


def with_plain_allocator(camera, *arguments, **keywords):
    begin(camera, *arguments, **keywords)
    camera.allocator = LibcameraAllocator(camera.camera)


def noting_small(source):
    """Read a frame, and keep the size of the small picture that came with it."""
    frame = read(source)
    noting_small.size = None if frame.small is None else frame.small.shape[1::-1]
    return frame


def main(bundle, frames):
    Picamera2.__init__ = with_plain_allocator
    Picamera2._get_raw_modes = lambda camera: [{"format": "NV12", "size": (640, 480)}]
    _run(bundle, "10")  # what is opened once and kept is open now
    count = Count()
    # Functions, since a bound method would not be given the request.
    CompletedRequest.__init__ = lambda *a, **k: count.take(*a, **k)  # noqa: PLW0108
    CompletedRequest.release = lambda request: count.give_back(request)  # noqa: PLW0108
    PicameraSource.read = noting_small
    before = len(os.listdir("/proc/self/fd"))
    status, said = _run(bundle, frames)
    print(json.dumps({
        "status": status, "said": said, "requests": count.made, "still_open": len(count.open_now),
        "most_open": count.most_open, "files_left": len(os.listdir("/proc/self/fd")) - before,
        "picamera2": version("picamera2"), "small": noting_small.size,
    }))  # fmt: skip


def _run(bundle, frames):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        call = [bundle, "--source", "picamera2:0?size=640x480", "--frames", frames, "--threads", "1"]
        status = command.run(run.main, call)
    gc.collect()  # buffers go with the last object that knows them
    return status, (said.getvalue().strip().splitlines() or [""])[-1]


main(*sys.argv[1:])
