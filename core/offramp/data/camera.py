"""camera-digits: a handwritten digit on a card, held before a camera.

    photograph, drifting ─► card, moving, turning, growing ─► hand or leaf before it ─► blur, light, noise ─► frame

A run is one digit over 8 to 24 frames; the frames of a run resemble each other, the runs do not. How hard a run is
varies by itself: contrast of ink and paper, size, what hides the card, blur and noise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from offramp.data.dataset import Part
from offramp.data.digits import MASK, RANGES, digits, photographs, stroke_of

SIDE = 96
"""Height and width of a frame, in pixels."""

_CARD = 64  # side of the card before it is scaled
_RUN = (8, 24)  # frames


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a run."""

    image: NDArray[np.uint8]
    """[96, 96, 3] RGB."""
    truth: int
    run: int


def camera_frames(part: Part = Part.TEST, seed: int = 0) -> Iterator[Frame]:
    """Frames without end, run after run; the same part and seed give the same frames.

    Every digit of the part is shown once before any is shown again.

    Raises:
        MissingExtraError: scikit-learn, whose pictures these are, is not installed.
    """
    rows = RANGES[part]
    number = 0
    while True:
        order = np.random.default_rng([seed, int(part), number]).permutation(len(rows))
        for row in order.tolist():
            for image in frames_of_run(part, rows[row], seed, number):
                yield Frame(image, int(digits().truth_D[rows[row]]), number)
            number += 1


def frames_of_run(
    part: Part, digit: int, seed: int, number: int, *, limit: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames of run `number`, which shows this digit: [96, 96, 3] uint8 each.

    With a limit, at most so many, evenly over the run, and only those are drawn.
    """
    scene, length = _scene_of_run(part, digit, seed, number)
    for moment in _moments(length, limit):
        yield scene.frame(moment)


def length_of_run(part: Part, digit: int, seed: int, number: int, *, limit: int | None = None) -> int:
    """How many frames `frames_of_run` gives, without drawing one."""
    if limit is not None and limit <= _RUN[0]:
        return limit  # every run is as long
    return len(_moments(_scene_of_run(part, digit, seed, number)[1], limit))


def _scene_of_run(part: Part, digit: int, seed: int, number: int) -> tuple["_Scene", int]:
    rng = np.random.default_rng([seed, int(part), number, digit])
    return _Scene(part, digit, rng), int(rng.integers(_RUN[0], _RUN[1] + 1))


def _moments(length: int, limit: int | None) -> range:
    step = 1 if limit is None else max(1, length // limit)
    return range(length)[::step][:limit]


class _Scene:
    """Everything that stays the same over a run, drawn from `rng`; and the frame at each moment of it."""

    def __init__(self, part: Part, digit: int, rng: np.random.Generator) -> None:
        self._rng = rng
        photographs_here = photographs(part)
        self._photograph = photographs_here[int(rng.integers(len(photographs_here)))]
        self._card = _draw_card(digit, rng)
        self._view = _Path(rng, reach=0.5, drift=0.005)
        self._zoom = rng.uniform(0.6, 1.1)
        self._hand = _Path(rng, reach=0.12, drift=0.01, limit=(0.28, 0.72))
        # Most cards are held close: digits are about 20 to 60 pixels high, half of them more than 45.
        self._size = 1.3 - 0.75 * rng.beta(1.2, 2.5)
        self._growth = rng.normal(0, 0.012)
        self._angle, self._turn = rng.normal(0, 0.12), rng.normal(0, 0.012)
        self._cover = _draw_cover(self._photograph, self._size * _CARD, rng) if rng.random() < 0.4 else None
        # About the card's centre, in shares of its side: mostly an edge is hidden, now and then the digit itself.
        self._cover_path = _Path(rng, reach=0.45, drift=0.03, limit=(0.0, 1.0))
        self._blur = max(0.0, rng.normal(0.1, 0.7))
        self._noise = 1 + 8 * rng.beta(1, 2)
        self._light, self._flicker = rng.uniform(0.55, 1.15), rng.uniform(0, 0.03)

    def frame(self, moment: int) -> NDArray[np.uint8]:
        picture = self._background(moment)
        self._show_card(picture, moment)
        if self._cover is not None:
            (card_x, card_y), (x, y) = self._hand.at(moment), self._cover_path.at(moment)
            side = self._size * _CARD
            corner = (
                round(card_x * SIDE + (x - 0.5) * side - self._cover.width / 2),
                round(card_y * SIDE + (y - 0.5) * side - self._cover.height / 2),
            )
            picture.paste(self._cover, corner, self._cover)
        if self._blur > 0.3:
            picture = picture.filter(ImageFilter.GaussianBlur(self._blur))
        light = self._light * (1 + self._flicker * math.sin(moment))
        noisy = np.asarray(picture, dtype=np.float32) * np.float32(light)
        noisy += self._rng.standard_normal(noisy.shape, dtype=np.float32) * np.float32(self._noise)
        return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)

    def _background(self, moment: int) -> Image.Image:
        side = SIDE * self._zoom
        x, y = self._view.at(moment)
        left, top = x * (self._photograph.width - side), y * (self._photograph.height - side)
        box = (left, top, left + side, top + side)
        return self._photograph.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)

    def _show_card(self, picture: Image.Image, moment: int) -> None:
        scale = float(np.clip(self._size * (1 + self._growth * moment), 0.45, 1.25))
        angle = self._angle + self._turn * moment
        x, y = (value * SIDE for value in self._hand.at(moment))
        # Pillow wants the way back: for a pixel of the frame, where on the card it lies.
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        back = (cos, sin, _CARD / 2 - cos * x - sin * y, -sin, cos, _CARD / 2 + sin * x - cos * y)
        shown = self._card.transform((SIDE, SIDE), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
        picture.paste(shown, (0, 0), shown)


class _Path:
    """A smooth way of something held in a hand: a slow drift and a swing, in shares of the frame."""

    def __init__(
        self, rng: np.random.Generator, *, reach: float, drift: float, limit: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        self._start = 0.5 + rng.uniform(-reach, reach, 2)
        self._drift = rng.normal(0, drift, 2)
        self._swing = rng.uniform(0, 0.03, 2)
        self._phase, self._speed = rng.uniform(0, 2 * math.pi, 2), rng.uniform(0.2, 0.7)
        self._limit = limit

    def at(self, moment: int) -> tuple[float, float]:
        place = self._start + self._drift * moment + self._swing * np.sin(self._phase + self._speed * moment)
        x, y = np.clip(place, *self._limit).tolist()
        return x, y


def _draw_card(digit: int, rng: np.random.Generator) -> Image.Image:
    """A rounded card of coloured paper (some of it see-through) with the digit in coloured ink, as RGBA."""
    paper, ink = _two_colours(rng)
    opacity = 255 if rng.random() < 0.7 else int(rng.uniform(70, 230))
    card = Image.new("RGBA", (_CARD, _CARD), (*paper, 0))
    ImageDraw.Draw(card).rounded_rectangle((3, 3, _CARD - 4, _CARD - 4), radius=7, fill=(*paper, opacity))
    stroke = Image.fromarray(stroke_of(digit))
    card.paste((*ink, 255), ((_CARD - MASK) // 2, (_CARD - MASK) // 2), stroke)
    return card


def _two_colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Paper and ink: any hues, and a difference in brightness that is mostly large and sometimes hardly there."""
    contrast = 0.85 - 0.6 * rng.beta(1, 2)
    dark = rng.uniform(0.05, 0.95 - contrast)
    bright = dark + contrast
    levels = (bright, dark) if rng.random() < 0.7 else (dark, bright)
    tint: list[Any] = []
    for level in levels:
        colour = level + rng.normal(0, 0.12, 3)
        colour += level - colour.mean()
        tint.append(tuple(int(value) for value in np.clip(colour * 255, 0, 255)))
    return tint[0], tint[1]


def _draw_cover(photograph: Image.Image, card: float, rng: np.random.Generator) -> Image.Image:
    """What comes before the card: a thumb, or a piece of the scene such as a leaf, as RGBA."""
    width, height = (int(value) for value in card * rng.uniform(0.2, 0.5, 2))
    shape = Image.new("L", (width, height), 0)
    ImageDraw.Draw(shape).ellipse((0, 0, width - 1, height - 1), fill=255)
    shape = shape.filter(ImageFilter.GaussianBlur(0.8))
    if rng.random() < 0.5:
        tone = rng.uniform(0.35, 1.0)
        cover = Image.new("RGBA", (width, height), tuple(int(tone * value) for value in (236, 188, 160)))
    else:
        left = int(rng.integers(photograph.width - width))
        top = int(rng.integers(photograph.height - height))
        cover = photograph.crop((left, top, left + width, top + height)).convert("RGBA")
    cover.putalpha(shape)
    return cover
