"""Drawings as layers to composite: posed, scaled, recoloured, and redrawn in the styles that change the thing itself."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from .drawings import SIDE, drawing
from .scene import COLOURS, MARGIN, Thing

PIXEL = 4  # pixels a side of one of pixel art's
LEVELS = 7  # of each colour channel in pixel art
_LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)


@lru_cache(4096)
def layer(thing: Thing, designer: int, box: int, margin: int = MARGIN) -> np.ndarray:
    """The thing with its longer side `box - margin` pixels, centred: [box, box, 4] in 0..1, colours not premultiplied.

    Nothing may write to it: it is kept.
    """
    picture = Image.frombytes("RGBa", (SIDE, SIDE), drawing(thing.subject, designer).tobytes())
    if thing.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    side = box - margin
    if thing.lean:
        picture = picture.rotate(-thing.lean, Image.Resampling.BICUBIC, expand=True)
        picture = picture.crop(picture.getchannel("a").point(lambda value: 255 * (value > 8)).getbbox())
    scale = side / max(picture.size)
    size = [max(1, round(edge * scale)) for edge in picture.size]
    scaled = np.asarray(picture.resize(size, Image.Resampling.BICUBIC).convert("RGBA"), dtype=np.float32) / 255
    frame = np.zeros((box, box, 4), dtype=np.float32)
    top, left = (box - size[1]) // 2, (box - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = scaled
    if thing.colour:
        frame[..., :3] = recoloured(frame, thing.colour)
    return frame


def recoloured(frame: np.ndarray, colour: str) -> np.ndarray:
    """The thing's colours [H, W, 3] moved to another: its usual lightness becomes the colour's, and shades stay shades.

    Black pupils and white glints are left, and so is what is far from the usual lightness, a little.
    """
    own, cover = frame[..., :3], frame[..., 3] > 0.5
    light = own @ _LUMA
    usual = float(np.clip(np.median(light[cover]), 0.25, 0.8))
    target = np.array(COLOURS[colour], dtype=np.float32) / 255
    target = np.clip(target, 0.12, 0.94)
    ratio = (light / usual)[..., None]
    shaded = target * (0.25 + 0.75 * ratio)
    tinted = target + (1 - target) * np.clip((light - usual) / (1 - usual), 0, 1)[..., None] * 0.75
    moved = np.where(ratio < 1, shaded, tinted)
    spread = own.max(axis=-1) - own.min(axis=-1)
    pupil = np.clip((0.22 - light) / 0.1, 0, 1) * (usual > 0.35)
    glint = np.clip((light - 0.93) / 0.05, 0, 1) * np.clip((0.12 - spread) / 0.06, 0, 1) * (usual < 0.75)
    kept = np.maximum(pupil, glint)[..., None]
    return (own * kept + moved * (1 - kept)).clip(0, 1)


def filtered(values: np.ndarray, how: ImageFilter.Filter) -> np.ndarray:
    """A PIL filter on [H, W] in 0..1."""
    image = Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8))
    return np.asarray(image.filter(how), dtype=np.float32) / 255


def cell_means(values: np.ndarray, cell: int = PIXEL) -> np.ndarray:
    """[H, W, C] -> [H / cell, W / cell, C]."""
    height, width, channels = values.shape
    return values.reshape(height // cell, cell, width // cell, cell, channels).mean(axis=(1, 3))


@lru_cache(1024)
def lines(thing: Thing, designer: int, box: int) -> np.ndarray:
    """How dark a pen's line is at each pixel, [box, box] in 0..1: the outline and the strong inner edges.

    Drawn at twice the size, where the two edges of a spoke or a stalk lie apart.
    """
    frame = layer(thing, designer, 2 * box, 2 * MARGIN)
    alpha = frame[..., 3]
    colours = frame[..., :3] * alpha[..., None] + (1 - alpha[..., None]) * 0.5
    layers = np.dstack([colours, alpha * 1.5])
    x = np.diff(layers, axis=1, append=layers[:, -1:])
    y = np.diff(layers, axis=0, append=layers[-1:])
    strength = np.sqrt(x * x + y * y).max(axis=-1)
    pen = filtered(np.clip((strength - 0.1) * 4, 0, 1), ImageFilter.MaxFilter(3))
    return cell_means(pen[..., None], 2)[..., 0] ** 0.7


def hue(frame: np.ndarray) -> np.ndarray:
    """The thing's main colour made bright, as a neon tube has it: [3] in 0..1."""
    colours, alpha = frame[..., :3], frame[..., 3]
    spread = colours.max(axis=-1) - colours.min(axis=-1)
    weight = (alpha * (0.05 + spread))[..., None]
    mean = (colours * weight).sum(axis=(0, 1)) / weight.sum()
    vivid = mean - 0.75 * mean.min()
    if vivid.max() - vivid.min() < 0.06:
        return np.array((0.75, 0.9, 1.0), dtype=np.float32)  # gray things shine cold white
    return (vivid / vivid.max()).astype(np.float32)


def border(frame: np.ndarray) -> np.ndarray:
    """The reach of a sticker's white rim and, shifted down, of its shadow: [box, box, 2] in 0..1."""
    rim = filtered(filtered(frame[..., 3], ImageFilter.MaxFilter(7)), ImageFilter.GaussianBlur(0.6))
    return np.dstack([rim, shifted(filtered(rim, ImageFilter.GaussianBlur(1.6)), 2, 0)])


def glow(thing: Thing, designer: int, box: int) -> np.ndarray:
    """A neon tube's light at each pixel, [box, box, 3]: the lines, and their halo in the thing's main colour."""
    frame, tube = layer(thing, designer, box), lines(thing, designer, box)
    halo = filtered(tube, ImageFilter.GaussianBlur(3))
    alpha, own, main = frame[..., 3:], frame[..., :3], hue(frame)
    local = own - 0.6 * own.min(axis=-1, keepdims=True)
    local = local / (local.max(axis=-1, keepdims=True) + 1e-3)
    colour = main * (1 - 0.6 * alpha) + local * 0.6 * alpha
    return tube[..., None] * (0.75 * colour + 0.25) + 0.9 * halo[..., None] * main


def rounded(values: np.ndarray, levels: int = LEVELS) -> np.ndarray:
    """Colours in 0..1 as a small palette has them."""
    return np.round(values * (levels - 1)) / (levels - 1)


def _enlarged(values: np.ndarray) -> np.ndarray:
    return values.repeat(PIXEL, axis=0).repeat(PIXEL, axis=1)


def pixelated(picture: np.ndarray) -> np.ndarray:
    """A ground [H, W, 3] in 0..1 as pixel art."""
    return _enlarged(rounded(cell_means(picture)))


def sprite(frame: np.ndarray) -> np.ndarray:
    """The thing as pixel art with room for an outline: [box, box, 5] in 0..1, its colour, its cover, the outline's."""
    weights = frame[..., 3:]
    colours, share = np.split(cell_means(np.dstack([frame[..., :3] * weights, weights])), (3,), axis=-1)
    cover = share[..., 0] > 0.4
    padded = np.pad(cover, 1)
    near = padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
    art = np.dstack([rounded(colours / np.maximum(share, 1e-3)), cover, near & ~cover])
    return _enlarged(art.astype(np.float32))


@lru_cache(1)
def panes(side: int, cell: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Which pane of a window each pixel belongs to [side, side], and where the lead between them runs, 0 or 1."""
    y, x = np.mgrid[0:side, 0:side]
    row = (y + 3 * np.sin(x / 11)) // cell
    column = (x + 4 * np.sin(y / 9) + cell // 2 * (row % 2)) // cell
    _, pane = np.unique((row * 64 + column).astype(np.int64), return_inverse=True)
    pane = pane.reshape(side, side)
    lead = (np.diff(pane, axis=0, append=pane[-1:]) != 0) | (np.diff(pane, axis=1, append=pane[:, -1:]) != 0)
    return pane, lead.astype(np.float32)


def glazed(picture: np.ndarray) -> np.ndarray:
    """Few bright colours, [H, H, 3] in 0..1, and each pane of a window a little lighter or darker than the next."""
    pane, _ = panes(len(picture))
    light = np.random.default_rng(5).uniform(0.86, 1.16, pane.max() + 1)[pane][..., None]
    vivid = picture + 0.3 * (picture - picture.mean(axis=-1, keepdims=True))
    return (rounded(vivid.clip(0, 1), 5) * light).clip(0, 1).astype(np.float32)


def shifted(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """[H, W] moved by whole pixels, zeros coming in."""
    moved = np.zeros_like(values)
    moved[down:, right:] = values[: values.shape[0] - down, : values.shape[1] - right]
    return moved
