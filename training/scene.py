"""What a picture shows, as data: things with size and place, a background and a style; and the held-out split."""

import random
import zlib
from dataclasses import dataclass

from .subjects import SUBJECTS

IMAGE = 128  # pixels a side
CELL = 8  # pixels a latent cell; everything lies on this grid, so a thing moves by whole latent cells

# name -> (longest side of the glyph, side of the box around it, step between places), pixels
SIZES: dict[str, tuple[int, int, int]] = {
    "small": (60, 64, 24),
    "medium": (84, 88, 16),
    "large": (108, 112, 0),
}
SMALL, MEDIUM, LARGE = range(3)

# (column, row) steps from the centre; the centre comes first
PLACES: tuple[tuple[int, int], ...] = (
    (0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1),
)  # fmt: skip

PAIR = (58, 64)  # glyph and box of each of two things

# sRGB, 0..255
COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "light gray": (208, 208, 208),
    "gray": (136, 136, 136),
    "black": (16, 16, 16),
    "red": (211, 47, 47),
    "dark red": (120, 20, 28),
    "orange": (251, 140, 0),
    "yellow": (255, 235, 59),
    "beige": (240, 226, 196),
    "light green": (178, 235, 170),
    "green": (56, 160, 70),
    "dark green": (16, 84, 36),
    "turquoise": (56, 200, 192),
    "light blue": (173, 216, 240),
    "blue": (36, 110, 225),
    "dark blue": (16, 32, 110),
    "light purple": (212, 190, 240),
    "purple": (118, 54, 176),
    "pink": (248, 160, 196),
    "brown": (116, 74, 48),
}
COLOUR_NAMES = tuple(COLOURS)
LIGHT_COLOURS = ("white", "light gray", "yellow", "beige", "light green", "light blue", "light purple", "pink")
GRADIENT_COLOURS = ("white", "black", "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink")
SETTINGS = ("night", "grass", "water", "snow", "desert", "sunset", "space")
STYLES = ("plain", "pixel art", "line drawing", "silhouette", "watercolor", "neon", "sticker", "sepia")
NEON_COLOURS = ("black", "dark blue")
HARD_STYLES = (*STYLES[1:], "pixel art", "pixel art", "line drawing", "watercolor")  # what training shows more often


@dataclass(frozen=True)
class Thing:
    """Indices into SUBJECTS, SIZES and PLACES. Of two things the place is 0 and the arrangement says where."""

    subject: int
    size: int = MEDIUM
    place: int = 0


@dataclass(frozen=True)
class Scene:
    """One picture. `arrangement` is "" for one thing, else "beside" (the first on the left) or "above"."""

    things: tuple[Thing, ...]
    background: tuple[str, ...]  # ("flat", colour), ("gradient", top, bottom) or ("setting", name)
    style: str = "plain"
    arrangement: str = ""

    def held_out(self) -> bool:
        """Whether no training picture may show this: one in ten pairs of subjects in any order, and one in twenty
        combinations of a thing (subject, size, place) with background and style."""
        if len(self.things) == 2:
            pair = sorted(thing.subject for thing in self.things)
            return pair[0] != pair[1] and _bucket(("pair", *pair), 10) == 0
        thing = self.things[0]
        return _bucket((thing.subject, thing.size, thing.place, *self.background, self.style), 20) == 0


def _bucket(key: tuple, count: int) -> int:
    return zlib.crc32("|".join(map(str, key)).encode()) % count


def random_background(rng: random.Random, style: str) -> tuple[str, ...]:
    """A flat colour two times in three, else a setting or a gradient. Lines and neon want a flat ground."""
    if style == "neon":
        return ("flat", rng.choice(NEON_COLOURS))
    roll = rng.random()
    if roll < 0.66 or style == "line drawing":
        return ("flat", rng.choice(COLOUR_NAMES))
    if roll < 0.78:
        top, bottom = rng.sample(GRADIENT_COLOURS, 2)
        return ("gradient", top, bottom)
    return ("setting", rng.choice(SETTINGS))


def random_scene(
    rng: random.Random, plain: float = 0.6, single: float = 0.72, styles: tuple[str, ...] = STYLES[1:]
) -> Scene:
    """Any scene, held-out ones included: `plain` and `single` are shares; what is not plain has one of `styles`."""
    style = "plain" if rng.random() < plain else rng.choice(styles)
    background = random_background(rng, style)
    subject = rng.randrange(len(SUBJECTS))
    if rng.random() < single:
        size = rng.choice((SMALL, MEDIUM, MEDIUM, LARGE, LARGE))
        centred = size == LARGE or rng.random() < (0.3 if size == SMALL else 0.6)
        place = 0 if centred else rng.randrange(1, len(PLACES))
        return Scene((Thing(subject, size, place),), background, style)
    other = subject if rng.random() < 0.2 else rng.randrange(len(SUBJECTS))
    arrangement = "beside" if other == subject or rng.random() < 0.6 else "above"
    return Scene((Thing(subject), Thing(other)), background, style, arrangement)


def training_scene(rng: random.Random, **shares: float) -> Scene:
    """A scene that is not held out."""
    while True:
        scene = random_scene(rng, **shares, styles=HARD_STYLES)
        if not scene.held_out():
            return scene


def held_out_scenes(count: int, seed: int, **shares: float) -> list[Scene]:
    """`count` scenes no training picture shows."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = random_scene(rng, **shares)
        if scene.held_out():
            scenes.append(scene)
    return scenes
