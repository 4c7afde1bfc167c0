"""Grounds to put things on: flat colours, gradients, and settings drawn procedurally in a few variants each; weather."""

from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from .scene import COLOURS, IMAGE

VARIANTS = 6  # drawings of each setting; the seed of the picture decides which one the model draws


@cache
def smooth_noise(seed: int, radius: float) -> np.ndarray:
    """Low-frequency noise [128, 128] with mean 0 and deviation 1; `radius` is the blur in pixels."""
    grain = np.random.default_rng(seed).integers(0, 256, (IMAGE, IMAGE), dtype=np.uint8)
    field = np.asarray(Image.fromarray(grain).filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)
    return (field - field.mean()) / (field.std() + 1e-6)


def _colour(name: str) -> np.ndarray:
    return np.array(COLOURS[name], dtype=np.float32) / 255


def ramp(*stops: tuple[float, tuple[int, int, int]]) -> np.ndarray:
    """A vertical gradient [128, 128, 3] in 0..1 through (height from the top in 0..1, colour) stops."""
    rows = (np.arange(IMAGE) + 0.5) / IMAGE
    heights = [height for height, _ in stops]
    columns = [np.interp(rows, heights, [colour[channel] / 255 for _, colour in stops]) for channel in range(3)]
    return np.repeat(np.stack(columns, axis=-1)[:, None], IMAGE, axis=1).astype(np.float32)


def _discs(picture: np.ndarray, spots: np.ndarray, radii: np.ndarray, colour, strength: float = 1.0) -> np.ndarray:
    """Paints soft-edged discs at `spots` [N, 2] (column, row)."""
    y, x = np.mgrid[0:IMAGE, 0:IMAGE].astype(np.float32)
    for (column, row), radius in zip(spots, radii):
        cover = np.clip(radius + 0.5 - np.hypot(x - column, y - row), 0, 1)[..., None] * strength
        picture = picture * (1 - cover) + np.array(colour, dtype=np.float32) / 255 * cover
    return picture


def _hills(picture: np.ndarray, base: float, height: float, phase: float, colour, waves: float = 1.2) -> np.ndarray:
    """A wavy ground below `base` (pixels from the top)."""
    x = np.arange(IMAGE)
    line = base + height * np.sin(x / IMAGE * 2 * np.pi * waves + phase)
    cover = np.clip(np.arange(IMAGE)[:, None] - line[None] + 0.5, 0, 1)[..., None].astype(np.float32)
    return picture * (1 - cover) + np.array(colour, dtype=np.float32) / 255 * cover


def _night(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (12, 16, 52)), (0.75, (44, 40, 104)), (1, (64, 52, 120)))
    picture = _discs(picture, rng.uniform(4, 124, (16, 2)) * (1, 0.75), rng.uniform(0.8, 1.8, 16), (255, 250, 214))
    return _hills(picture, 112, 5, rng.uniform(0, 6), (14, 20, 40))


def _grass(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (150, 208, 246)), (0.62, (214, 238, 252)), (1, (214, 238, 252)))
    picture = _hills(picture, 84, 4, rng.uniform(0, 6), (96, 184, 72))
    return _hills(picture, 106, 3, rng.uniform(0, 6), (64, 150, 56), waves=2)


def _water(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (96, 208, 236)), (0.6, (24, 120, 196)), (1, (10, 62, 128)))
    picture = _discs(picture, rng.uniform(6, 122, (9, 2)), rng.uniform(1.5, 4.5, 9), (208, 244, 255), 0.75)
    return _hills(picture, 116, 3, rng.uniform(0, 6), (222, 200, 144))


def _snow(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (148, 178, 212)), (0.7, (206, 220, 236)), (1, (206, 220, 236)))
    picture = _hills(picture, 92, 5, rng.uniform(0, 6), (244, 248, 255))
    return _discs(picture, rng.uniform(3, 125, (22, 2)), rng.uniform(1, 2.2, 22), (255, 255, 255))


def _desert(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (120, 196, 240)), (0.6, (250, 232, 196)), (1, (250, 232, 196)))
    picture = _hills(picture, 82, 7, rng.uniform(0, 6), (236, 190, 112), waves=0.8)
    return _hills(picture, 104, 6, rng.uniform(0, 6), (214, 158, 84), waves=1)


def _sunset(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (92, 52, 132)), (0.4, (226, 96, 112)), (0.72, (255, 182, 88)), (1, (255, 206, 110)))
    picture = _discs(picture, np.array([[rng.uniform(30, 98), 94]]), np.array([18]), (255, 240, 176))
    return _hills(picture, 98, 1.5, rng.uniform(0, 6), (74, 40, 92), waves=2)


def _space(rng: np.random.Generator) -> np.ndarray:
    cloud = np.clip(smooth_noise(int(rng.integers(1 << 30)), 14) * 0.5, 0, 1)[..., None]
    picture = np.full((IMAGE, IMAGE, 3), (6 / 255, 6 / 255, 18 / 255), dtype=np.float32)
    picture = picture + cloud * np.array((0.26, 0.10, 0.34), dtype=np.float32)
    return _discs(picture, rng.uniform(3, 125, (26, 2)), rng.uniform(0.7, 1.6, 26), (255, 255, 255))


def _plate(picture: np.ndarray, left: float, top: float, right: float, bottom: float, colour) -> np.ndarray:
    """Paints a rectangle, in pixels."""
    picture = picture.copy()
    picture[round(max(top, 0)) : round(bottom), round(max(left, 0)) : round(right)] = np.array(colour, dtype=np.float32) / 255
    return picture


def _room(rng: np.random.Generator) -> np.ndarray:
    walls = ((244, 226, 196), (206, 224, 228), (232, 208, 214), (222, 228, 202))
    wall = np.array(walls[rng.integers(len(walls))])
    picture = ramp((0, tuple(wall)), (0.68, tuple(wall * 0.95)), (1, tuple(wall * 0.95)))
    left = rng.choice((10, 78))
    picture = _plate(picture, left, 12, left + 40, 52, (255, 255, 255))
    picture = _plate(picture, left + 3, 15, left + 19, 49, (164, 212, 244))
    picture = _plate(picture, left + 21, 15, left + 37, 49, (164, 212, 244))
    picture = _plate(picture, 0, 84, 128, 88, (250, 246, 238))
    picture = _plate(picture, 0, 88, 128, 128, (184, 132, 84))
    for row in (99, 112):
        picture = _plate(picture, 0, row, 128, row + 1, (156, 106, 64))
    return picture


def _table(rng: np.random.Generator) -> np.ndarray:
    picture = np.ones((IMAGE, IMAGE, 3), np.float32) * np.array((0.86, 0.93, 0.94), np.float32)
    for line in range(0, 128, 16):  # tiles
        picture = _plate(_plate(picture, 0, line, 128, line + 1, (250, 252, 252)), line, 0, line + 1, 128, (250, 252, 252))
    top = int(rng.integers(74, 84))
    picture = _plate(picture, 0, top, 128, 128, (206, 152, 96))
    picture = _plate(picture, 0, top, 128, top + 3, (228, 178, 120))
    return _plate(picture, 0, 118, 128, 120, (176, 122, 72))


def _beach(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (118, 200, 246)), (0.4, (206, 238, 252)), (1, (206, 238, 252)))
    picture = _hills(picture, 52, 0.6, rng.uniform(0, 6), (32, 138, 200), waves=3)
    picture = _hills(picture, 84, 3.5, rng.uniform(0, 6), (246, 252, 255), waves=1.5)
    return _hills(picture, 88, 3.5, rng.uniform(0, 6), (246, 218, 158), waves=1.5)


def _trees(picture: np.ndarray, rng: np.random.Generator, foot: float, height: float, count: int, colour) -> np.ndarray:
    """A row of firs."""
    y, x = np.mgrid[0:IMAGE, 0:IMAGE].astype(np.float32)
    for column in np.linspace(0, 128, count) + rng.uniform(-5, 5, count):
        tall = height * rng.uniform(0.8, 1.15)
        width = (y - (foot - tall)) / tall * tall * 0.3
        cover = (np.clip(width - np.abs(x - column) + 0.5, 0, 1) * (y <= foot) * (y >= foot - tall))[..., None]
        picture = picture * (1 - cover) + np.array(colour, dtype=np.float32) / 255 * cover
    return picture


def _forest(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (178, 222, 214)), (0.7, (212, 236, 206)), (1, (212, 236, 206)))
    picture = _trees(picture, rng, 88, 70, 8, (84, 148, 108))
    picture = _trees(picture, rng, 100, 78, 6, (44, 112, 74))
    return _hills(picture, 98, 2, rng.uniform(0, 6), (98, 148, 70))


def _city(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (150, 204, 240)), (0.8, (222, 236, 246)), (1, (222, 236, 246)))
    left = -4.0
    while left < 128:
        width, top = rng.uniform(16, 26), rng.uniform(16, 62)
        shade = rng.uniform(0.75, 1.05)
        picture = _plate(picture, left, top, left + width, 108, tuple(np.array((120, 132, 156)) * shade))
        for row in np.arange(top + 4, 100, 8):
            for column in np.arange(left + 3, left + width - 4, 6):
                picture = _plate(picture, column, row, column + 3, row + 4, (250, 236, 170))
        left += width + 1
    picture = _plate(picture, 0, 106, 128, 128, (92, 94, 104))
    for dash in range(6, 128, 24):
        picture = _plate(picture, dash, 116, dash + 12, 118, (240, 240, 236))
    return picture


def _mountains(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (124, 188, 240)), (0.7, (224, 240, 250)), (1, (224, 240, 250)))
    y, x = np.mgrid[0:IMAGE, 0:IMAGE].astype(np.float32)
    for column, top in zip((26, 100, 64), rng.uniform(14, 34, 3) + (8, 4, 0)):
        column = column + rng.uniform(-8, 8)
        jag = 3 * np.sin(x / 4)
        for start, colour in ((top, (242, 246, 250)), (top + 18 + jag, (118, 132, 158))):
            cover = (np.clip((y - top) * 0.72 - np.abs(x - column) + 0.5, 0, 1) * (y >= start))[..., None]
            picture = picture * (1 - cover) + np.array(colour, dtype=np.float32) / 255 * cover
    return _hills(picture, 98, 4, rng.uniform(0, 6), (112, 174, 88))


def _sky(rng: np.random.Generator) -> np.ndarray:
    picture = ramp((0, (84, 168, 240)), (1, (190, 226, 250)))
    for column, row in zip((20, 96, 62), rng.uniform(16, 112, 3)):
        spots = np.array([(column + rng.uniform(-6, 6) + dx, row + dy) for dx, dy in ((-13, 3), (-4, -3), (6, -2), (14, 3), (0, 4))])
        picture = _discs(picture, spots, np.array((7, 9, 9, 7, 8)), (255, 255, 255))
    return picture


_DRAW = {
    "night": _night, "grass": _grass, "water": _water, "snow": _snow, "desert": _desert, "sunset": _sunset, "space": _space,
    "room": _room, "table": _table, "beach": _beach, "forest": _forest, "city": _city, "mountains": _mountains, "sky": _sky,
}  # fmt: skip


def _by_night(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A place in the dark: blue and dim, yellow lights stay."""
    light = np.clip((picture[..., :1] - picture[..., 2:] - 0.2) * 4, 0, 0.7) * (picture.mean(axis=-1, keepdims=True) > 0.75)
    dark = picture * np.array((0.22, 0.26, 0.44), np.float32) + np.array((0.0, 0.01, 0.06), np.float32)
    picture = dark * (1 - light) + picture * light
    return _discs(picture, rng.uniform(4, 124, (9, 2)) * (1, 0.3), rng.uniform(0.8, 1.5, 9), (255, 250, 214))


@cache
def _fallen(kind: str, variant: int) -> np.ndarray:
    """Where rain or snow is in the air, [128, 128, 1] in 0..1."""
    rng = np.random.default_rng([*kind.encode(), variant])
    y, x = np.mgrid[0:IMAGE, 0:IMAGE].astype(np.float32)
    cover = np.zeros((IMAGE, IMAGE), np.float32)
    for column, row in rng.uniform(-4, 132, (46, 2)):
        if kind == "rain":
            along = np.clip((y - row) / 9, 0, 1)
            cover = np.maximum(cover, np.clip(1.2 - np.abs(x - column + 3 * along), 0, 1) * (y >= row) * (y <= row + 9))
        else:
            cover = np.maximum(cover, np.clip(rng.uniform(1.2, 2.6) + 0.5 - np.hypot(x - column, y - row), 0, 1))
    return cover[..., None]


def weather(picture: np.ndarray, kind: str, variant: int) -> np.ndarray:
    """Rain or snow falling in front of the picture [128, 128, 3]; rain makes it grayer."""
    cover = _fallen(kind, variant % VARIANTS)
    if kind == "rain":
        gray = picture.mean(axis=-1, keepdims=True)
        picture = (0.72 * picture + 0.28 * gray) * 0.9
        return picture * (1 - 0.65 * cover) + np.array((0.78, 0.88, 0.98), np.float32) * 0.65 * cover
    return picture * (1 - cover) + cover


@cache
def setting(name: str, variant: int, night: bool = False) -> np.ndarray:
    """A setting [128, 128, 3] in 0..1."""
    rng = np.random.default_rng([*name.encode(), variant])
    picture = np.clip(_DRAW[name](rng), 0, 1)
    return np.clip(_by_night(picture, rng), 0, 1) if night else picture


@cache
def plain_ground(background: tuple[str, ...]) -> np.ndarray:
    """A flat colour or a gradient from top to bottom, [128, 128, 3] in 0..1."""
    if background[0] == "flat":
        return np.broadcast_to(_colour(background[1]), (IMAGE, IMAGE, 3))
    return ramp((0.1, COLOURS[background[1]]), (0.9, COLOURS[background[2]]))


def ground(background: tuple[str, ...], variant: int = 0) -> np.ndarray:
    """The ground [128, 128, 3] in 0..1 that a scene's background names."""
    if background[0] == "setting":
        return setting(background[1], variant % VARIANTS, background[2:] == ("night",))
    return plain_ground(background)
