"""Scenes to pictures."""

import random
from functools import cache

import numpy as np
import torch
from PIL import Image

from . import glyphs
from .backgrounds import VARIANTS, ground, smooth_noise
from .scene import IMAGE, PAIR, PLACES, SIZES, Scene

WATERCOLOR_FIELDS = 6
_LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)
_SEPIA = np.array(((0.12, 0.07, 0.04), (0.60, 0.45, 0.30), (0.99, 0.94, 0.83)), dtype=np.float32)  # dark, middle, light


def boxes(scene: Scene) -> list[tuple[int, int, int, int]]:
    """Of each thing (longest side, box, left, top) in pixels; a scene without things is its ground."""
    if not scene.things:
        return []
    if len(scene.things) == 2:
        side, box = PAIR
        first, second = ((0, 32), (64, 32)) if scene.arrangement == "beside" else ((32, 0), (32, 64))
        return [(side, box, *first), (side, box, *second)]
    thing = scene.things[0]
    side, box, step = list(SIZES.values())[thing.size]
    column, row = PLACES[thing.place]
    corner = (IMAGE - box) // 2
    return [(side, box, corner + column * step, corner + row * step)]


def _over(picture: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return picture * (1 - cover) + colour * cover


def _stamp(area: np.ndarray, subject: int, side: int, box: int, style: str) -> np.ndarray:
    """The ground [box, box, 3] with the thing drawn on it."""
    if style == "line drawing":
        pen = 0.08 if area.mean() > 0.42 else 0.95
        return _over(area, np.float32(pen), glyphs.lines(subject, side, box)[..., None])
    if style == "silhouette":
        fill = 0.05 if area.mean() > 0.3 else 0.96
        return _over(area, np.float32(fill), glyphs.plain(subject, side, box)[..., 3:].astype(np.float32) / 255)
    if style == "neon":
        return area + glyphs.glow(subject, side, box)
    if style == "sticker":
        rim, shadow = np.split(glyphs.border(subject, side, box), 2, axis=-1)
        area = _over(_over(area, np.float32(0), shadow * 0.35), np.float32(1), rim)
        side -= 6
    if style == "pixel art":
        layer, outline = np.split(glyphs.sprite(subject, side, box), (4,), axis=-1)
        area = _over(area, np.float32(0.05 if area.mean() > 0.3 else 0.96), outline)
    else:
        layer = glyphs.plain(subject, side, box).astype(np.float32) / 255
    return _over(area, layer[..., :3], layer[..., 3:])


@cache
def _sheet(field: int) -> tuple[np.ndarray, np.ndarray]:
    """How far the paint reaches and how much of it lies there, both [128, 128, 1] in 0..1; paper frames the wash."""
    flow, grain = smooth_noise(100 + field, 9), smooth_noise(200 + field, 2)
    from_rim = np.minimum(np.arange(IMAGE), np.arange(IMAGE)[::-1]) + 0.5
    ragged = np.minimum.outer(from_rim, from_rim) + 1.8 * flow + 0.8 * grain
    reach = np.clip((ragged - 7) / 2, 0, 1)
    amount = np.clip(0.66 + 0.18 * flow + 0.04 * grain, 0.3, 1)
    return reach[..., None].astype(np.float32), amount[..., None].astype(np.float32)


def _washed(picture: np.ndarray, field: int) -> np.ndarray:
    """Watercolour: paper shines through where a slow noise says so, and pigment gathers at the edges."""
    reach, amount = _sheet(field)
    soft = np.asarray(
        Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8)).resize((64, 64), Image.Resampling.BOX)
        .resize((IMAGE, IMAGE), Image.Resampling.BICUBIC), dtype=np.float32,
    ) / 255  # fmt: skip
    edge = np.abs(picture - soft).mean(axis=-1, keepdims=True)
    rim = 4 * reach * (1 - reach)  # the puddle's edge dries darker
    paper = np.array((0.98, 0.97, 0.94), dtype=np.float32)
    return _over(paper, soft * (1 - 0.12 * rim), reach * np.minimum(amount + 0.2 * rim, 1)) - 0.7 * reach * edge


def _toned(picture: np.ndarray) -> np.ndarray:
    """Sepia: an old print's steep brown scale."""
    light = picture.clip(0, 1) @ _LUMA
    light = 0.4 * light + 0.6 * light * light * (3 - 2 * light)
    return np.stack([np.interp(light, (0, 0.5, 1), tone) for tone in _SEPIA.T], axis=-1).astype(np.float32)


def render(scene: Scene, variant: int = 0) -> np.ndarray:
    """The picture [128, 128, 3] in 0..1. `variant` picks one of the drawings of a setting or a watercolour wash."""
    picture = np.array(ground(scene.background, variant), dtype=np.float32)
    if scene.style == "pixel art":
        picture = glyphs.pixelated(picture)
    for thing, (side, box, left, top) in zip(scene.things, boxes(scene)):
        area = picture[top : top + box, left : left + box]
        picture[top : top + box, left : left + box] = _stamp(area, thing.subject, side, box, scene.style)
    if scene.style == "watercolor":
        picture = _washed(picture, variant % WATERCOLOR_FIELDS)
    elif scene.style == "sepia":
        picture = _toned(picture)
    return np.clip(picture, 0, 1)


def picture_bytes(scenes: list[Scene], rng: random.Random) -> torch.Tensor:
    """Pictures [N, 3, 128, 128] in 0..255, each in a random variant."""
    pictures = [(render(scene, rng.randrange(VARIANTS)) * 255).round().astype(np.uint8) for scene in scenes]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def picture_batch(scenes: list[Scene], rng: random.Random) -> torch.Tensor:
    """The same in [-1, 1]."""
    return picture_bytes(scenes, rng).float() / 127.5 - 1
