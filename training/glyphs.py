"""Emoji as layers to composite: cut out, scaled, and redrawn in the styles that change the thing itself."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .subjects import SUBJECTS

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"  # Debian: fonts-noto-color-emoji
FONT_SIZE = 109  # the one bitmap strike the font has
PIXEL = 4  # pixels a side of one of pixel art's
LEVELS = 7  # of each colour channel in pixel art


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, FONT_SIZE)


def ink(glyph: str) -> Image.Image:
    """The emoji cropped to its ink (RGBA)."""
    canvas = Image.new("RGBA", (168, 168))
    ImageDraw.Draw(canvas).text((8, 8), glyph, font=_font(), embedded_color=True)
    return canvas.crop(canvas.getchannel("A").getbbox())


@cache
def plain(subject: int, side: int, box: int) -> np.ndarray:
    """The emoji with its longer side `side` pixels, centred in a square of `box`: [box, box, 4] uint8."""
    picture = ink(SUBJECTS[subject].glyph)
    scale = side / max(picture.size)
    # Colours are premultiplied for scaling, so that clear pixels do not bleed into the rim.
    values = np.asarray(picture, dtype=np.float32)
    values = np.dstack([values[..., :3] * values[..., 3:] / 255, values[..., 3]]).round().astype(np.uint8)
    size = [max(1, round(edge * scale)) for edge in picture.size]
    scaled = np.asarray(Image.fromarray(values, "RGBa").resize(size, Image.Resampling.BICUBIC).convert("RGBA"))
    frame = np.zeros((box, box, 4), dtype=np.uint8)
    top, left = (box - size[1]) // 2, (box - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = scaled
    return frame


def _alpha(frame: np.ndarray) -> np.ndarray:
    return frame[..., 3].astype(np.float32) / 255


def _filtered(values: np.ndarray, how: ImageFilter.Filter) -> np.ndarray:
    """A PIL filter on [H, W] in 0..1."""
    image = Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8))
    return np.asarray(image.filter(how), dtype=np.float32) / 255


def _cell_means(values: np.ndarray, cell: int = PIXEL) -> np.ndarray:
    """[H, W, C] -> [H / cell, W / cell, C]."""
    height, width, channels = values.shape
    return values.reshape(height // cell, cell, width // cell, cell, channels).mean(axis=(1, 3))


@cache
def lines(subject: int, side: int, box: int) -> np.ndarray:
    """How dark a pen's line is at each pixel, [box, box] in 0..1: the outline and the strong inner edges.

    Drawn at twice the size, where the two edges of a spoke or a stalk lie apart.
    """
    frame = plain(subject, 2 * side, 2 * box)
    alpha = _alpha(frame)
    colours = frame[..., :3].astype(np.float32) / 255 * alpha[..., None] + (1 - alpha[..., None]) * 0.5
    layers = np.dstack([colours, alpha * 1.5])
    x = np.diff(layers, axis=1, append=layers[:, -1:])
    y = np.diff(layers, axis=0, append=layers[-1:])
    strength = np.sqrt(x * x + y * y).max(axis=-1)
    pen = _filtered(np.clip((strength - 0.1) * 4, 0, 1), ImageFilter.MaxFilter(3))
    return _cell_means(pen[..., None], 2)[..., 0] ** 0.7


@cache
def hue(subject: int) -> np.ndarray:
    """The emoji's main colour made bright, as a neon tube has it: [3] in 0..1."""
    frame = plain(subject, 58, 64).astype(np.float32) / 255
    colours, alpha = frame[..., :3], frame[..., 3]
    spread = colours.max(axis=-1) - colours.min(axis=-1)
    weight = (alpha * (0.05 + spread))[..., None]
    mean = (colours * weight).sum(axis=(0, 1)) / weight.sum()
    vivid = mean - 0.75 * mean.min()
    if vivid.max() - vivid.min() < 0.06:
        return np.array((0.75, 0.9, 1.0), dtype=np.float32)  # gray things shine cold white
    return (vivid / vivid.max()).astype(np.float32)


@cache
def border(subject: int, side: int, box: int) -> np.ndarray:
    """The reach of a sticker's white rim and, shifted down, of its shadow: [box, box, 2] in 0..1."""
    alpha = _alpha(plain(subject, side - 6, box))
    rim = _filtered(_filtered(alpha, ImageFilter.MaxFilter(7)), ImageFilter.GaussianBlur(0.6))
    shadow = np.roll(_filtered(rim, ImageFilter.GaussianBlur(1.6)), 2, axis=0)
    return np.dstack([rim, shadow])


@cache
def glow(subject: int, side: int, box: int) -> np.ndarray:
    """A neon tube's light at each pixel, [box, box, 3]: the lines, and their halo in the emoji's main colour."""
    frame = plain(subject, side, box)
    tube = lines(subject, side, box)
    halo = _filtered(tube, ImageFilter.GaussianBlur(3))
    alpha = _alpha(frame)[..., None]
    own = frame[..., :3].astype(np.float32) / 255
    local = own - 0.6 * own.min(axis=-1, keepdims=True)
    local = local / (local.max(axis=-1, keepdims=True) + 1e-3)
    colour = hue(subject) * (1 - 0.6 * alpha) + local * 0.6 * alpha
    return tube[..., None] * (0.75 * colour + 0.25) + 0.9 * halo[..., None] * hue(subject)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Colours in 0..1 as a small palette has them."""
    return np.round(values * (LEVELS - 1)) / (LEVELS - 1)


def _enlarged(values: np.ndarray) -> np.ndarray:
    return values.repeat(PIXEL, axis=0).repeat(PIXEL, axis=1)


def pixelated(picture: np.ndarray) -> np.ndarray:
    """A ground [H, W, 3] in 0..1 as pixel art."""
    return _enlarged(_rounded(_cell_means(picture)))


@cache
def sprite(subject: int, side: int, box: int) -> np.ndarray:
    """The emoji as pixel art with room for an outline: [box, box, 5] in 0..1, its colour, its cover, the outline's."""
    frame = plain(subject, side - 2 * PIXEL, box).astype(np.float32) / 255
    weights = frame[..., 3:]
    colours, share = np.split(_cell_means(np.dstack([frame[..., :3] * weights, weights])), (3,), axis=-1)
    cover = share[..., 0] > 0.4
    padded = np.pad(cover, 1)
    near = padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
    art = np.dstack([_rounded(colours / np.maximum(share, 1e-3)), cover, near & ~cover])
    return _enlarged(art.astype(np.float32))
