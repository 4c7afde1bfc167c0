"""Grounds to put things on: flat colours, gradients, and settings drawn procedurally in a few variants each."""

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


_DRAW = {"night": _night, "grass": _grass, "water": _water, "snow": _snow, "desert": _desert, "sunset": _sunset,
         "space": _space}  # fmt: skip


@cache
def setting(name: str, variant: int) -> np.ndarray:
    """A setting [128, 128, 3] in 0..1."""
    return np.clip(_DRAW[name](np.random.default_rng([*name.encode(), variant])), 0, 1)


@cache
def plain_ground(background: tuple[str, ...]) -> np.ndarray:
    """A flat colour or a gradient from top to bottom, [128, 128, 3] in 0..1."""
    if background[0] == "flat":
        return np.broadcast_to(_colour(background[1]), (IMAGE, IMAGE, 3))
    return ramp((0.1, COLOURS[background[1]]), (0.9, COLOURS[background[2]]))


def ground(background: tuple[str, ...], variant: int = 0) -> np.ndarray:
    """The ground [128, 128, 3] in 0..1 that a scene's background names."""
    if background[0] == "setting":
        return setting(background[1], variant % VARIANTS)
    return plain_ground(background)
