"""Scenes to pictures."""

import random
from functools import cache

import numpy as np
import torch
from PIL import Image, ImageFilter

from . import glyphs
from .backgrounds import VARIANTS, ground, smooth_noise, weather
from .scene import IMAGE, Scene, Thing, boxes

WATERCOLOR_FIELDS = 6
_LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)
_SEPIA = np.array(((0.12, 0.07, 0.04), (0.60, 0.45, 0.30), (0.99, 0.94, 0.83)), dtype=np.float32)  # dark, middle, light


def _over(picture: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return picture * (1 - cover) + colour * cover


@cache
def _pool(box: int) -> np.ndarray:
    """A soft dark ellipse at the foot of a box, [box, box, 1] in 0..1."""
    y, x = np.mgrid[0:box, 0:box].astype(np.float32) / box
    reach = np.hypot((x - 0.5) / 0.42, (y - 0.93) / 0.075)
    return np.clip(1.25 - reach, 0, 1)[..., None] * 0.4


@cache
def _stitches(box: int) -> np.ndarray:
    """Light and dark of slanted threads, [box, box, 1] around 1."""
    y, x = np.mgrid[0:box, 0:box]
    thread = np.sin((x + y) * np.pi / 2.5) * np.where(((x - y) // 6) % 2 == 0, 1.0, 0.45)
    return (1 + 0.17 * thread)[..., None].astype(np.float32)


def _drawn_in_lines(area: np.ndarray, thing: Thing, designer: int, box: int, style: str) -> np.ndarray:
    if style == "neon":
        return area + glyphs.glow(thing, designer, box)
    pen = glyphs.lines(thing, designer, box)[..., None]
    if style == "line drawing":
        return _over(area, np.float32(0.08 if area.mean() > 0.42 else 0.95), pen)
    frame = glyphs.layer(thing, designer, box)  # chalk: crumbling lines, and a little of the thing's colour within
    grain = np.clip(0.75 + 0.3 * smooth_noise(300, 0.7)[:box, :box, None], 0, 1)
    body = frame[..., 3:] * (0.2 + 0.3 * frame[..., :3].mean(axis=-1, keepdims=True)) * grain
    return _over(_over(area, 0.35 + 0.65 * frame[..., :3], body), np.float32(0.96), pen * grain)


@cache
def _shade(box: int, light: int) -> np.ndarray:
    """How bright a thing is where the light comes from a side and above, [box, box, 1] around 1."""
    y, x = np.mgrid[0:box, 0:box].astype(np.float32) / box - 0.5
    return (1 + 0.5 * (light * x - 0.5 * y))[..., None]


def _stamp(area: np.ndarray, thing: Thing, scene: Scene) -> np.ndarray:
    """The ground [box, box, 3] with the thing drawn on it."""
    box, designer, style = len(area), scene.designer, scene.style
    if style in ("line drawing", "neon", "chalk"):
        return _drawn_in_lines(area, thing, designer, box, style)
    if style == "pixel art":
        layer, outline = np.split(
            glyphs.sprite(glyphs.layer(thing, designer, box, 2 * glyphs.PIXEL + 4)), (4,), axis=-1
        )
        area = _over(area, np.float32(0.05 if area.mean() > 0.3 else 0.96), outline)
        return _over(area, layer[..., :3], layer[..., 3:])
    layer = glyphs.layer(thing, designer, box, 10 if style == "sticker" else 4)
    colours, cover = layer[..., :3], layer[..., 3:]
    if style == "silhouette":
        return _over(area, np.float32(0.05 if area.mean() > 0.3 else 0.96), cover)
    if style == "sticker":
        rim, shadow = np.split(glyphs.border(layer), 2, axis=-1)
        area = _over(_over(area, np.float32(0), shadow * 0.35), np.float32(1), rim)
    elif style == "paper cut":
        deep = glyphs.filtered(cover[..., 0], ImageFilter.GaussianBlur(2))
        area = _over(area, np.float32(0), glyphs.shifted(deep, 3, 2)[..., None] * 0.45)
        colours = glyphs.rounded(colours, 4)
        light = colours.mean(axis=-1)
        inner = glyphs.shifted(light, 2, 1) - light
        colours = colours * (1 - 0.5 * np.clip(inner, 0, 1))[..., None]
    elif style == "embroidery":
        edge = glyphs.filtered(cover[..., 0], ImageFilter.MinFilter(5))[..., None]
        colours = glyphs.rounded(colours, 6) * _stitches(box) * (0.72 + 0.28 * edge)
    if scene.light:
        colours = colours * _shade(box, scene.light)
    return _over(area, np.clip(colours, 0, 1), cover)


@cache
def _linen() -> np.ndarray:
    """A weave's light and dark, [128, 128, 1] around 1."""
    y, x = np.mgrid[0:IMAGE, 0:IMAGE]
    return (1 + 0.05 * np.sin(x * np.pi / 2) * np.where(y % 4 < 2, 1, -1))[..., None].astype(np.float32)


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


def _leaded(picture: np.ndarray, scene: Scene) -> np.ndarray:
    """Stained glass: panes, and lead between them and around the things."""
    cover = 0.5 * glyphs.panes(IMAGE)[1]
    for thing, (box, left, top) in zip(scene.things, boxes(scene)):
        alpha = glyphs.layer(thing, scene.designer, box)[..., 3]
        outline = glyphs.filtered(alpha, ImageFilter.MaxFilter(3)) - glyphs.filtered(alpha, ImageFilter.MinFilter(3))
        area = cover[top : top + box, left : left + box]
        area[...] = np.maximum(area, outline)
    return _over(glyphs.glazed(picture), np.float32(0.06), cover[..., None])


def render(scene: Scene, variant: int = 0) -> np.ndarray:
    """The picture [128, 128, 3] in 0..1. `variant` picks one of the drawings of a setting or a watercolour wash."""
    picture = np.array(ground(scene.background, variant), dtype=np.float32)
    if scene.style == "pixel art":
        picture = glyphs.pixelated(picture)
    elif scene.style == "embroidery":
        picture = picture * _linen()
    for thing, (box, left, top) in zip(scene.things, boxes(scene)):
        area = picture[top : top + box, left : left + box]
        if scene.shadow:
            area = _over(area, np.float32(0), _pool(box))
        picture[top : top + box, left : left + box] = _stamp(area, thing, scene)
    if scene.style == "watercolor":
        picture = _washed(picture, variant % WATERCOLOR_FIELDS)
    elif scene.style == "sepia":
        picture = _toned(picture)
    elif scene.style == "stained glass":
        picture = _leaded(picture, scene)
    if scene.weather:
        picture = weather(picture, scene.weather, variant)
    return np.clip(picture, 0, 1)


def picture_bytes(scenes: list[Scene], rng: random.Random) -> torch.Tensor:
    """Pictures [N, 3, 128, 128] in 0..255, each in a random variant."""
    pictures = [(render(scene, rng.randrange(VARIANTS)) * 255).round().astype(np.uint8) for scene in scenes]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def picture_batch(scenes: list[Scene], rng: random.Random) -> torch.Tensor:
    """The same in [-1, 1]."""
    return picture_bytes(scenes, rng).float() / 127.5 - 1
