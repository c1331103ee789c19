"""`Dehazer`: a bundle, ready to take frames."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import NoReturn

import cv2
import numpy as np

import targets
from edge import coefficients, forks
from edge.bundle import Bundle
from edge.errors import BundleError, EdgeError, FrameError
from edge.method import FrameTiming, GridMethod, Method
from edge.mirrored import MirroredNetwork
from edge.smoothing import Smoother
from edge.tiles import TileMethod

__all__ = ["Dehazer", "FrameTiming"]
STRONGEST = 1.5
LARGEST_UNREST = 2  # grey levels between two answers to one frame on one device: what sums in another order may round
# Opening a model changes, for a moment, what belongs to the whole process: OpenVINO sets the locale to C and back, and
# its import hides a module. Two threads that do so at once would leave it as it is in between.
_OPENING = forks.Turn()


class NotCopied(EdgeError, TypeError):
    """A Dehazer that was to be copied or pickled."""


class Dehazer(forks.OfOneProcess):
    """Clears haze from frames with the model of a bundle.

    >>> dehazer = Dehazer("edge-m-openvino-int8")   # doctest: +SKIP
    >>> clear = dehazer(frame)                      # doctest: +SKIP

    Threads may share one and take turns then, each frame whole; to work in parallel, give each thread one of its own.
    It stays in the process that opened it: a forked child, or one that is spawned, opens its own.

    Args:
        bundle: path of a bundle, or one that was read.
        device: as `--device` of the bundle's target; ``auto`` for the best that is here.
        threads: processor threads, of the runtime and of the image library (there for the whole process); None for
            their own choice.
        strength: how much of the haze to remove, in [0, 1.5]; 0 gives the input back bit for bit.

    Attributes:
        device, precision: where the model really runs and in what arithmetic.
        timing: of the last frame, whichever thread's it was; None before the first.

    Raises:
        BundleError: the bundle is missing or damaged.
        DeviceUnavailable: the device is not on this machine.
        MissingPackage: the target's runtime is not installed.
    """

    def __init__(
        self,
        bundle: str | Path | Bundle,
        device: str = "auto",
        threads: int | None = None,
        strength: float = 1.0,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.read(bundle)
        manifest = self.bundle.manifest
        if not isinstance(device, str):
            raise EdgeError(f"device is a name such as 'auto' or 'CPU', not {device!r}")
        if threads is not None and threads < 1:
            raise EdgeError(f"threads must be 1 or more, not {threads}")
        form = manifest.model.get("coefficients")
        if manifest.kind == "grid" and form != coefficients.FORM:
            raise BundleError(
                f"{self.bundle.path}: its coefficients have the form {form!r}; this version knows "
                f"{coefficients.FORM!r}: export the bundle again with this version"
            )
        if threads is not None:
            cv2.setNumThreads(threads)
        # Buffers are kept from frame to frame. Re-entrant, for a signal's handler that closes in the middle of a call.
        self._turn, self._closed, self._busy = forks.Turn(), False, False
        self.strength = strength
        self.timing: FrameTiming | None = None
        with _OPENING.held():
            network = targets.load(manifest.target).open(self.bundle, device, threads)
        grid = manifest.kind == "grid"
        self._network = MirroredNetwork(network) if grid and manifest.model.get("mirrored") else network
        method = GridMethod if grid else TileMethod
        self._method: Method = method(self._network, manifest.input["width"], manifest.input["height"])
        self.device, self.precision = self._network.device, self._network.precision
        self.load_ms, self.compile_ms = self._network.load_ms, self._network.compile_ms
        self.from_cache: bool | None = getattr(network, "from_cache", None)  # only some runtimes tell
        self._inherited = False
        forks.watch(self)

    @property
    def strength(self) -> float:
        """How much of the haze to remove, in [0, 1.5]."""
        return self._strength

    @strength.setter
    def strength(self, value: float) -> None:
        if not 0 <= value <= STRONGEST:
            raise EdgeError(f"strength must lie between 0 and {STRONGEST}, not {value}")
        self._strength = float(value)

    @property
    def smoother(self) -> Smoother | None:
        """Averages a grid model's coefficients from frame to frame; None (the default) takes each frame by itself.

        Frame models have no coefficients: for them it stays None.
        """
        return self._method.smoother if isinstance(self._method, GridMethod) else None

    @smoother.setter
    def smoother(self, value: Smoother | None) -> None:
        if isinstance(self._method, GridMethod):
            self._method.smoother = value

    @property
    def small_size(self) -> tuple[int, int] | None:
        """Width and height from which a smaller picture can stand for the frame; None for frame models.

        Twice what a grid model sees: its coefficients are sharpened along the edges of a picture of that size.
        """
        size = self.bundle.manifest.input
        return (2 * size["width"], 2 * size["height"]) if isinstance(self._method, GridMethod) else None

    @property
    def cell(self) -> np.ndarray | None:
        """The raw coefficients (h, w, 7) of the last frame; None before the first, and for frame models."""
        return self._method.cell if isinstance(self._method, GridMethod) else None

    def __call__(self, frame: np.ndarray, out: np.ndarray | None = None, small: np.ndarray | None = None) -> np.ndarray:
        """The clear frame.

        Args:
            frame: uint8 RGB (H, W, 3), any size from 1x1.
            out: uint8 array of the same shape to write to; may be `frame` itself, or share memory with it.
            small: the same view in fewer pixels, uint8 RGB, where a camera gives one: a grid model then sees this and
                the frame need not be reduced. One with fewer pixels than `small_size` is not taken.

        Raises:
            FrameError: another dtype or shape, or an `out` that cannot be written to.
            EdgeError: it was closed, is the parent process's, or is at work on a frame that this call interrupts; or
                the program ends.
        """
        _check_frame(frame)
        if small is not None:
            _check_frame(small)
            small = np.ascontiguousarray(small) if self._is_enough(small) else None
        if out is not None:
            _check_out(out, frame)
        # The image library wants whole rows; views such as frame[:, ::-1] are copied.
        frame = np.ascontiguousarray(frame)
        direct = out if out is not None and out.flags.c_contiguous and not _overlap(frame, out) else None
        with self._turn.held():
            clear, self.timing = self._cleared(frame, self._strength, direct, small)
        if out is None or clear is out:
            return clear
        np.copyto(out, clear)
        return out

    def _is_enough(self, small: np.ndarray) -> bool:
        size = self.small_size
        return size is not None and small.shape[1] >= size[0] and small.shape[0] >= size[1]

    def verify(self) -> int:
        """Replay the bundle's golden frames here.

        Each comes after a frame that is much unlike it, and then again: an answer that is late, in whole or in part,
        makes a difference between the two, whatever the tolerance is.

        Returns:
            The largest difference to the exporting machine's answers, in grey levels.

        Raises:
            BundleError: a frame differs by more than its tolerance, or hangs on the frame before it.
            EdgeError: it was closed.
        """
        worst = 0
        for golden in self.bundle.manifest.golden:
            frame, expected = (_decoded(self.bundle, name) for name in (golden.frame, golden.clear))
            with self._turn.held():
                clear, again = self._twice(frame)
            if clear.shape != expected.shape:
                raise BundleError(f"{self.bundle.path}: golden frames {golden.frame} and {golden.clear} differ in size")
            difference = int(cv2.absdiff(clear, expected).max())
            if difference > golden.tolerance:
                raise BundleError(
                    f"{self.bundle.path}: {golden.frame} comes out up to {difference} grey levels off on {self.device} "
                    f"({golden.tolerance} are allowed); do not use this bundle here, export it on this machine"
                )
            if (late := int(cv2.absdiff(clear, again).max())) > LARGEST_UNREST:
                raise BundleError(
                    f"{self.bundle.path}: {golden.frame} comes out {late} grey levels otherwise after another frame on "
                    f"{self.device}: an answer keeps something of the frame before; do not use this bundle here"
                )
            worst = max(worst, difference)
        return worst

    def _twice(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Answers to a frame after another one, and after itself; nothing is averaged over time meanwhile."""
        smoother, self.smoother = self.smoother, None
        try:
            self._cleared(_unlike(frame), 1.0, None)
            clear, again = (self._cleared(frame, 1.0, None)[0] for _ in range(2))
        finally:
            self.smoother = smoother
        return clear, again

    def close(self) -> None:
        """Let go of the model, once the frame that it works on is done. A second call does nothing."""
        with self._turn.held():
            if not self._closed:
                self._closed = True
                if not self._busy:  # else this is a signal's handler, and the call that it interrupts lets go
                    self._let_go()

    def forked(self) -> None:
        """See `edge.forks`."""
        self._inherited = True
        forks.never_free(self._network)

    def __reduce__(self) -> NoReturn:
        raise NotCopied(
            "a Dehazer can be neither copied nor pickled; hand over its bundle, and open that where it goes"
        )

    def _cleared(
        self, frame: np.ndarray, strength: float, out: np.ndarray | None, small: np.ndarray | None = None
    ) -> tuple[np.ndarray, FrameTiming]:
        with self._turn.held():
            if self._inherited:
                raise EdgeError(
                    "this Dehazer belongs to the parent of this process; open the bundle here too with "
                    "edge.Dehazer(bundle)"
                )
            if self._closed:
                raise EdgeError("this Dehazer was closed; open the bundle again with edge.Dehazer(bundle)")
            if self._busy:
                raise EdgeError(
                    "this Dehazer is at work on a frame, which this call interrupts; in a signal's handler use another"
                )
            self._busy = True
            try:
                return self._method(frame, strength, out, small)
            finally:
                self._busy = False
                if self._closed:
                    self._let_go()

    def _let_go(self) -> None:
        if not self._inherited:
            self._network.close()

    def __enter__(self) -> Dehazer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _check_frame(frame: np.ndarray) -> None:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        what = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise FrameError(f"a frame is a uint8 RGB array of shape (height, width, 3), not {what}")
    if 0 in frame.shape:
        raise FrameError(f"a frame has at least one pixel, not shape {frame.shape}")


def _check_out(out: np.ndarray, frame: np.ndarray) -> None:
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.shape != frame.shape:
        raise FrameError(f"out is a uint8 array of the frame's shape {frame.shape}")
    if not out.flags.writeable:
        raise FrameError("out is read-only; give an array that can be written to, or none")


def _overlap(frame: np.ndarray, out: np.ndarray) -> bool:
    """Whether writing a pixel of one may change another pixel of the other; both are whole and of one shape."""
    return (
        out is not frame
        and np.may_share_memory(frame, out)
        and frame.__array_interface__["data"] != out.__array_interface__["data"]
    )


def _unlike(frame: np.ndarray) -> np.ndarray:
    """A frame of the same size under a dark light of another colour, upside down."""
    return np.ascontiguousarray(frame[::-1, :, ::-1] // np.array([2, 4, 8], np.uint8))


def _decoded(bundle: Bundle, name: str) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(bundle.files[name], np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise BundleError(f"{bundle.path}: golden frame {name} is not a picture; export the bundle again")
    return np.ascontiguousarray(picture[..., ::-1])
