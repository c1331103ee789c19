"""An export that went wrong is refused, whichever way it went wrong; one that only rounds is not."""

from __future__ import annotations

import numpy as np
import pytest

from edge.bundle import Manifest
from edge.errors import EdgeError
from edge.exporting import soundness
from edge.exporting.soundness import refuse_broken

WIDTH, HEIGHT = 40, 30


@pytest.fixture(autouse=True, scope="module")
def drawn_once():
    """The pictures are the same for every test, and drawing them is what takes."""
    pictures = list(soundness.probes(WIDTH, HEIGHT))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soundness, "probes", lambda width, height: pictures)
        yield


class Fake:
    """A network of plain numpy: local contrasts of each colour as coefficients, and the mean colour and brightness."""

    def __init__(self, before=lambda p: p, after=lambda cell: cell, light=lambda a: a) -> None:
        self.before, self.after, self.light = before, after, light

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        values = self.before(picture).astype(np.float32) / 255
        blurred = (np.roll(values, 1, 0) + values + np.roll(values, 1, 1)) / 3
        cell = np.concatenate([values.mean(-1, keepdims=True), blurred, values - 0.5 * blurred], -1)
        light = np.append(values.mean((0, 1)), values.mean())
        return self.after(4 * cell), self.light(4 * light)


class Frames:
    """A frame model of plain numpy: the picture, with more contrast."""

    def __init__(self, before=lambda p: p, after=lambda p: p) -> None:
        self.before, self.after = before, after

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        clear = np.clip(self.before(picture).astype(np.float32) * 1.5 - 80, 0, 255)
        return (self.after(np.rint(clear).astype(np.uint8)),)


def of(precision: str, *names: str) -> Manifest:
    size = {"width": WIDTH, "height": HEIGHT}
    return Manifest(
        "fake", "grid", {}, "fake", precision, size, tuple({"name": n} for n in names or ("cell", "airlight"))
    )


def rounded(cell: np.ndarray) -> np.ndarray:
    return np.round(cell * 3) / 3


def with_channel(number, change):
    def after(answer):
        answer = rounded(answer)
        answer[..., number] = change(answer[..., number])
        return answer

    return after


def late():
    """Gives what it was given one call before."""
    before = []

    def light(answer):
        before.append(answer.copy())
        return before[max(0, len(before) - 2)]

    return light


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_exact_artefact_passes(precision):
    refuse_broken(Fake(), Fake(), of(precision))


def test_coarse_rounding_is_not_taken_for_a_broken_export():
    refuse_broken(Fake(), Fake(after=rounded, light=rounded), of("int8"))


def test_in_float_nothing_explains_coarse_rounding():
    for precision in ("fp32", "fp16"):
        with pytest.raises(EdgeError, match="does not follow"):
            refuse_broken(Fake(), Fake(after=rounded), of(precision))


@pytest.mark.parametrize("rounding", [lambda cell: cell, rounded], ids=["exact", "rounded"])
@pytest.mark.parametrize(
    ("before", "what"),
    [
        (lambda p: p[..., ::-1], "input in the order BGR"),
        (lambda p: p[..., [1, 1, 1]], "does not follow"),
        (lambda p: p * np.uint8([1, 1, 0]), "does not follow"),
        (lambda p: np.roll(p, 1, 0), "input moved down by a pixel"),
        (lambda p: np.roll(p, -1, 1), "input moved left by a pixel"),
        (lambda p: np.roll(p, 4, 1), "does not follow"),
        (lambda p: p[:, ::-1], "does not follow"),
        (lambda p: p[::-1], "does not follow"),
        (lambda p: (255 * (p / 255) ** 0.7).astype(np.uint8), "does not follow"),
        (lambda p: (255 * (p / 255) ** 1.5).astype(np.uint8), "does not follow"),
        (lambda p: p // 2 + 64, "does not follow"),
        (lambda p: np.full_like(p, 90), "does not follow"),
    ],
)
def test_what_happens_to_the_input_is_noticed(before, what, rounding):
    with pytest.raises(EdgeError, match=what):
        refuse_broken(Fake(), Fake(before, rounding), of("int8"))


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (lambda cell: cell * np.nan, "not finite"),
        (lambda cell: np.where(cell > 2, np.inf, cell), "not finite"),
        (np.zeros_like, "does not follow"),
        (lambda cell: cell[..., [0, 3, 2, 1, 6, 5, 4]], "cell in the order BGR"),
        (lambda cell: np.roll(cell, 1, 1), "moved right by a pixel"),
        (lambda cell: np.roll(cell, 3, 1), "does not follow"),
        (lambda cell: cell[:-1], "shapes"),
        (lambda cell: cell[..., :-1], "shapes"),
    ],
)
def test_what_happens_to_the_output_is_noticed(after, what):
    with pytest.raises(EdgeError, match=what):
        refuse_broken(Fake(), Fake(after=after), of("int8"))


@pytest.mark.parametrize("change", [np.zeros_like, lambda c: np.full_like(c, c.mean()), np.negative, lambda c: 0.5 * c])
@pytest.mark.parametrize("number", range(7))
def test_one_channel_that_is_wrong_is_named(number, change):
    with pytest.raises(EdgeError, match=f"channel {number} of its cell does not follow"):
        refuse_broken(Fake(), Fake(after=with_channel(number, change)), of("int8"))


@pytest.mark.parametrize(
    ("light", "number"),
    [
        (lambda a: np.full_like(a, a[0]), ""),
        (lambda a: np.full_like(a, 3.0), ""),
        (lambda a: 0.7 * a, ""),
        (lambda a: a * [1, 1, 1, 0], 3),
        (lambda a: a + np.float32([0, 0.4, 0, 0]), 1),
        (late(), ""),
    ],
)
def test_an_airlight_that_is_wrong_is_noticed(light, number):
    with pytest.raises(EdgeError, match=f"channel {number}.* of its airlight does not follow"):
        refuse_broken(Fake(), Fake(after=rounded, light=light), of("int8"))


@pytest.mark.parametrize("rounding", [lambda a: a, rounded], ids=["exact", "rounded"])
@pytest.mark.parametrize("order", ["BGR", "GRB", "RBG"])
def test_colours_exchanged_in_the_airlight_are_named(order, rounding):
    exchanged = ["RGB".index(colour) for colour in order]
    with pytest.raises(EdgeError, match=f"airlight in the order {order}"):
        refuse_broken(Fake(), Fake(after=rounded, light=lambda a: rounding(a[[*exchanged, 3]])), of("int8"))


@pytest.mark.parametrize(("order", "first"), [([0, 3, 2, 1, 4, 5, 6], 1), ([0, 1, 2, 3, 6, 5, 4], 4)])
def test_colours_exchanged_in_some_channels_are_named(order, first):
    with pytest.raises(EdgeError, match=rf"cell \(channels {first} to {first + 2}\) in the order BGR"):
        refuse_broken(Fake(), Fake(after=lambda cell: rounded(cell[..., order])), of("int8"))


@pytest.mark.parametrize(
    ("after", "light"),
    [
        (lambda cell: cell, lambda a: a + 0.05),
        (lambda cell: 0.98 * cell, lambda a: a),
        (lambda cell: 0.7 * cell + 0.3 * np.roll(cell, 1, 1), lambda a: a),
    ],
)
def test_in_float_less_is_noticed(after, light):
    with pytest.raises(EdgeError, match="does not follow"):
        refuse_broken(Fake(), Fake(after=after, light=light), of("fp32"))


def test_a_channel_that_hardly_varies_does_not_count():
    def still(cell):
        cell[..., 4] *= 0.01
        return cell

    def rounded_still(cell):
        return rounded(still(cell)) + np.float32([0, 0, 0, 0, 0.03, 0, 0])

    refuse_broken(Fake(after=still), Fake(after=rounded_still), of("int8"))


def test_a_frame_model_is_compared_in_shares_of_its_range():
    refuse_broken(Frames(), Frames(after=lambda p: p // 8 * 8 + 4), of("int8", "clear"))
    for broken in (
        Frames(before=lambda p: p[:, ::-1]),
        Frames(after=lambda p: p * np.uint8([1, 0, 1])),
        Frames(after=np.zeros_like),
    ):
        with pytest.raises(EdgeError, match="of its clear does not follow"):
            refuse_broken(Frames(), broken, of("int8", "clear"))
