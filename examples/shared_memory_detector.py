"""A detector in a process of its own, on the newest clear frame, without copying it.

In one terminal:    python -m edge.run BUNDLE --source /dev/video0 --sink shm:frames
In another:         python examples/shared_memory_detector.py frames
"""

import sys
import time

from edge.streams.sharedmemory import SharedFrames


def main() -> None:
    with SharedFrames(sys.argv[1] if len(sys.argv) > 1 else "frames") as frames:
        for frame in frames:
            brightest = int(frame.picture.max())  # your detector here
            age_ms = 1e3 * (time.monotonic() - frame.captured_at)
            if frame.whole():  # otherwise the detector was too slow and saw parts of two frames
                print(f"frame {frame.number}: {age_ms:.1f} ms old, brightest value {brightest}", flush=True)


if __name__ == "__main__":
    main()
