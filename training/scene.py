"""What a picture shows, as data: things and how they lie, whose drawings, background, weather, style; the held-out split."""

import random
import zlib
from dataclasses import dataclass, replace
from functools import cache

from .drawings import designers_of
from .subjects import SUBJECTS

IMAGE = 128  # pixels a side
CELL = 8  # pixels a latent cell; boxes lie on this grid, so that a thing moves by whole latent cells

# name -> (side of the box around it, step between places), pixels
SIZES: dict[str, tuple[int, int]] = {"small": (64, 24), "medium": (88, 16), "large": (112, 0)}
SMALL, MEDIUM, LARGE = range(3)
MARGIN = 4  # of a box around a glyph, both sides together

# (column, row) steps from the centre; the centre comes first
PLACES: tuple[tuple[int, int], ...] = (
    (0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1),
)  # fmt: skip

# How things lie, back to front: the drawings of each arrangement, each a box (side, left, top) for every thing.
Boxes = tuple[tuple[int, int, int], ...]
ARRANGEMENTS: dict[str, tuple[Boxes, ...]] = {
    "two": (((64, 0, 32), (64, 64, 32)), ((56, 8, 8), (56, 64, 64)), ((56, 64, 8), (56, 8, 64))),
    "three": (((40, 0, 48), (40, 40, 48), (40, 80, 48)), ((56, 32, 8), (56, 8, 64), (56, 64, 64))),
    "four": (
        ((56, 8, 8), (56, 64, 8), (56, 8, 64), (56, 64, 64)),
        ((32, 0, 48), (32, 32, 48), (32, 64, 48), (32, 96, 48)),
    ),
    "five": (
        ((40, 8, 8), (40, 80, 8), (40, 48, 48), (40, 8, 88), (40, 80, 88)),
        ((48, 16, 16), (48, 64, 16), (40, 0, 72), (40, 40, 72), (40, 80, 72)),
    ),
    "beside": (((64, 0, 32), (64, 64, 32)),),  # the first on the left
    "above": (((64, 32, 0), (64, 32, 64)),),  # the first on top
    "behind": (((88, 40, 8), (64, 0, 64)), ((88, 0, 8), (64, 64, 64))),  # the second in front, and nearer the eye
    "around": (((112, 8, 8), (56, 40, 48)),),  # the second inside the first
    "bigger": (((80, 0, 24), (48, 80, 56)), ((80, 48, 24), (48, 0, 56))),  # the first the bigger one
    "together": (
        ((40, 0, 48), (40, 40, 48), (40, 80, 48)),
        ((56, 32, 8), (56, 8, 64), (56, 64, 64)),
    ),  # three of a kind each
}
COUNTS = ("one", "two", "three", "four", "five")
RELATIONS = ("beside", "above", "behind", "around", "bigger")

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
THING_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
OUTDOORS = ("grass", "snow", "desert", "sunset", "beach", "forest", "city", "mountains", "sky")
SETTINGS = ("night", "water", "space", "room", "table", *OUTDOORS)
STYLES = (
    "plain", "pixel art", "line drawing", "silhouette", "watercolor", "neon", "sticker", "sepia", "chalk", "stained glass",
    "paper cut", "embroidery",
)  # fmt: skip
FLAT_STYLES = ("line drawing", "chalk")  # on flat grounds only
NEON_COLOURS = ("black", "dark blue")
CHALK_COLOURS = ("black", "dark green")
HARD_STYLES = (*STYLES[1:], "pixel art", "pixel art", "line drawing", "watercolor")  # what training shows more often
WEATHERS = ("rain", "snowfall")

NEVER_MIRRORED = set(
    "⏰⌚💯♻❓✅📰🎵🏁🎲📻🎹🎯💰🔋💬🚦☯🥇🚓🚑🚒🚕💊🧭📺📷🔒📫🌍"
)  # letters, clocks, flags and what reads like them
NEVER_COLOURED = set("❤🧡💛💚💙💜🖤💔💯♻⚠❗✅❌☯🏁🌈💬🚦🍏🌍🎨❓🌕☁💧👀")
NEVER_LEANING = NEVER_MIRRORED | set("🏠🏰🏭⛪🗼⛺🎪🌋🏔🏝🌊🛏🛁🛋❗")
NOTHING = next(number for number, subject in enumerate(SUBJECTS) if subject.glyph == "❓")  # what unknown words lead to


@dataclass(frozen=True)
class Thing:
    """An index into SUBJECTS and how it is drawn: mirrored, leaning by degrees clockwise, of another colour than its own."""

    subject: int
    mirrored: bool = False
    lean: int = 0
    colour: str = ""


@dataclass(frozen=True)
class Scene:
    """One picture. `arrangement` is one of COUNTS or of ARRANGEMENTS, `variant` which of its drawings; a single thing has a
    size and a place instead, indices into SIZES and PLACES."""

    things: tuple[Thing, ...]
    background: tuple[str, ...]  # ("flat", colour), ("gradient", top, bottom), ("setting", name) or that and "night"
    style: str = "plain"
    arrangement: str = "one"
    size: int = MEDIUM
    place: int = 0
    variant: int = 0
    designer: int = 0  # an index into DESIGNERS
    designer_named: bool = False  # whether captions say it: the seed chooses otherwise
    weather: str = ""
    shadow: bool = False
    light: int = 0  # from the left, -1, from the right, 1, or as drawn, 0
    unknown: bool = False  # whether captions name something that nobody has drawn

    def held_out(self) -> bool:
        """Whether no training picture may show this: one in ten pairs of subjects in any order, one in twenty combinations
        of a thing (subject, size, place) with background and style, one in ten of a thing with a colour or a count."""
        first = self.things[0]
        subjects = sorted({thing.subject for thing in self.things})
        if self.unknown:
            return False
        if len(subjects) > 1:
            pairs = [(a, b) for a in subjects for b in subjects if a < b]
            return any(_bucket(("pair", *pair), 10) == 0 for pair in pairs)
        if first.colour or self.arrangement != "one":
            return _bucket((first.subject, first.colour, self.arrangement), 10) == 0
        return _bucket((first.subject, self.size, self.place, *self.background, self.style), 20) == 0


def _bucket(key: tuple, count: int) -> int:
    return zlib.crc32("|".join(map(str, key)).encode()) % count


def boxes(scene: Scene) -> Boxes:
    """Of each thing (side, left, top) in pixels, back to front."""
    if scene.arrangement != "one":
        drawings = ARRANGEMENTS[scene.arrangement]
        return drawings[scene.variant % len(drawings)]
    if not scene.things:
        return ()
    side, step = list(SIZES.values())[scene.size]
    column, row = PLACES[scene.place]
    corner = (IMAGE - side) // 2
    return ((side, corner + column * step, corner + row * step),)


def random_background(rng: random.Random, style: str) -> tuple[str, ...]:
    """A flat colour half of the time, else a setting or a gradient. Lines, chalk and neon want a flat ground."""
    if style in ("neon", "chalk"):
        return ("flat", rng.choice(NEON_COLOURS if style == "neon" else CHALK_COLOURS))
    roll = rng.random()
    if roll < 0.5 or style in FLAT_STYLES:
        return ("flat", rng.choice(COLOUR_NAMES))
    if roll < 0.6:
        return ("gradient", *rng.sample(GRADIENT_COLOURS, 2))
    setting = rng.choice(SETTINGS)
    return ("setting", setting, "night") if setting in OUTDOORS and rng.random() < 0.15 else ("setting", setting)


@cache
def named_otherwise(subject: int, colour: str) -> bool:
    """Whether a subject of this colour goes by a name of its own, as a green apple does."""
    names = {name for one in SUBJECTS for name in one.names}
    nouns = {" ".join(word for word in name.split() if word not in COLOUR_NAMES) for name in SUBJECTS[subject].names}
    return any(f"{colour} {noun}" in names for noun in nouns)


def random_thing(rng: random.Random, subject: int, coloured: float, background: tuple[str, ...]) -> Thing:
    """The subject in some pose: half of what may be is mirrored, a third of what may leans; of its ground's colour never."""
    glyph = SUBJECTS[subject].glyph
    colours = [colour for colour in THING_COLOURS if not any(colour in ground for ground in background)]
    colour = rng.choice(colours) if rng.random() < coloured and glyph not in NEVER_COLOURED else ""
    colour = "" if named_otherwise(subject, colour) else colour
    lean = rng.choice((-12, -8, 8, 12)) if glyph not in NEVER_LEANING and rng.random() < 0.3 else 0
    return Thing(subject, glyph not in NEVER_MIRRORED and rng.random() < 0.5, lean, colour)


# Shares of what training pictures show.
SHARES = {"one": 0.46, "count": 0.14, "relation": 0.22, "together": 0.1, "unknown": 0.08}


def random_scene(
    rng: random.Random, plain: float = 0.55, kinds: dict[str, float] = SHARES, styles: tuple[str, ...] = STYLES[1:],
    coloured: float = 0.25, posed: bool = True, named: float = 0.2,
) -> Scene:  # fmt: skip
    """Any scene, held-out ones included: `plain`, `coloured` and `named` are shares of the plain style, of things of a
    colour and of designers that the captions say; `kinds` those of arrangements; without `posed` nothing leans."""
    style = "plain" if rng.random() < plain else rng.choice(styles)
    background = random_background(rng, style)
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    count = {"relation": 2, "together": 3}.get(kind, 1)
    subjects = [NOTHING] if kind == "unknown" else rng.sample(range(len(SUBJECTS)), count)
    own_colours = style in ("line drawing", "silhouette", "sepia", "chalk", "neon") or kind == "unknown"
    things = tuple(random_thing(rng, subject, 0.0 if own_colours else coloured, background) for subject in subjects)
    arrangement = {
        "one": "one",
        "unknown": "one",
        "count": rng.choice(COUNTS[1:]),
        "relation": rng.choice(RELATIONS),
    }.get(kind, kind)
    if kind == "count":
        things = things * (COUNTS.index(arrangement) + 1)
    size = rng.choice((SMALL, MEDIUM, MEDIUM, LARGE, LARGE))
    centred = size == LARGE or rng.random() < (0.3 if size == SMALL else 0.6)
    scene = Scene(
        things, background, style, arrangement, size, 0 if centred else rng.randrange(1, len(PLACES)),
        rng.randrange(6) if arrangement != "one" else 0, rng.choice(designers_of(*subjects)),
        style == "plain" and rng.random() < named,
        rng.choice(WEATHERS) if background[0] == "setting" and background[1] in OUTDOORS and rng.random() < 0.2 else "",
        background[0] != "setting" and style in ("plain", "paper cut") and rng.random() < 0.25,
        rng.choice((-1, 1)) if style == "plain" and rng.random() < 0.25 else 0, kind == "unknown",
    )  # fmt: skip
    return scene if posed else upright(scene)


def upright(scene: Scene) -> Scene:
    """The same without lean, shadow and light: what references are drawn of."""
    return replace(scene, things=tuple(replace(thing, lean=0) for thing in scene.things), shadow=False, light=0)


def training_scene(rng: random.Random, **shares) -> Scene:
    """A scene that is not held out."""
    while True:
        scene = random_scene(rng, **shares, styles=HARD_STYLES)
        if not scene.held_out():
            return scene


# What the model before learnt: subjects, grounds and styles that every model is measured on.
FIRST_SUBJECTS = next(number for number, subject in enumerate(SUBJECTS) if subject.names[0] == "woman")
FIRST_SETTINGS = ("night", "grass", "water", "snow", "desert", "sunset", "space")
FIRST_STYLES = STYLES[1:8]
PLAIN = {"coloured": 0.0, "named": 0.0, "posed": False}


def first_learnt(scene: Scene) -> bool:
    """Whether the model before was made for such a scene: it had one or two things side by side or above each other."""
    subjects = all(thing.subject < FIRST_SUBJECTS for thing in scene.things)
    setting = scene.background[0] != "setting" or scene.background[1] in FIRST_SETTINGS and len(scene.background) == 2
    return subjects and setting and not scene.weather and scene.arrangement in ("one", "beside", "above")


def first_scene(rng: random.Random) -> Scene:
    """A scene as the model before was trained on: Noto's drawings, as they are."""
    while True:
        scene = random_scene(rng, 0.44, {"one": 0.55, "relation": 0.45}, FIRST_STYLES, **PLAIN)
        if first_learnt(scene) and not scene.held_out():
            return replace(scene, things=tuple(Thing(thing.subject) for thing in scene.things), designer=0)


SCENES = {"all": training_scene, "first": first_scene}


def held_out_scenes(count: int, seed: int, **shares) -> list[Scene]:
    """`count` scenes no training picture shows."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = random_scene(rng, **shares)
        if scene.held_out():
            scenes.append(scene)
    return scenes
