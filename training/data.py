"""The pictures: every (subject, size, place, colour) as a 64x64 composite, and the held-out split.

A glyph lies on a 4-pixel grid in one of three exact sizes, so a picture moves only by whole latent
cells of the f = 4 autoencoder; that makes both stages much easier to train and the pictures sharper.
"""

import random
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from .subjects import SUBJECTS

IMAGE = 64  # pixels a side
FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"  # Debian: fonts-noto-color-emoji
FONT_SIZE = 109  # the one bitmap strike the font has

# name -> (longest side of the glyph, side of the grid-aligned box around it, step between places), pixels
SIZES: dict[str, tuple[int, int, int]] = {
    "small": (36, 40, 8),
    "medium": (46, 48, 4),
    "large": (54, 56, 4),
}

# (column, row) steps from the centre; the centre comes first
PLACES: tuple[tuple[int, int], ...] = (
    (0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1),
)  # fmt: skip

# sRGB, 0..255
COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "gray": (136, 136, 136),
    "black": (16, 16, 16),
    "red": (211, 47, 47),
    "orange": (251, 140, 0),
    "yellow": (255, 235, 59),
    "light green": (178, 235, 170),
    "green": (56, 160, 70),
    "dark green": (16, 84, 36),
    "light blue": (173, 216, 240),
    "blue": (36, 110, 225),
    "dark blue": (16, 32, 110),
    "light purple": (212, 190, 240),
    "purple": (118, 54, 176),
    "pink": (248, 160, 196),
    "brown": (116, 74, 48),
}

HELD_OUT_PER_SUBJECT = 4
HELD_OUT_SEED = 2026


@dataclass(frozen=True)
class Combo:
    """Indices into SUBJECTS, SIZES and COLOURS: what a caption names."""

    subject: int
    size: int
    colour: int


def held_out_combos() -> list[Combo]:
    """The 256 combinations no training picture shows: four of each subject's 48, drawn with a fixed seed."""
    rng = random.Random(HELD_OUT_SEED)
    cells = [(size, colour) for size in range(len(SIZES)) for colour in range(len(COLOURS))]
    return [
        Combo(subject, size, colour)
        for subject in range(len(SUBJECTS))
        for size, colour in sorted(rng.sample(cells, HELD_OUT_PER_SUBJECT))
    ]


def training_combos() -> list[Combo]:
    """All combinations but the held-out ones."""
    held_out = set(held_out_combos())
    every = (
        Combo(subject, size, colour)
        for subject in range(len(SUBJECTS))
        for size in range(len(SIZES))
        for colour in range(len(COLOURS))
    )
    return [combo for combo in every if combo not in held_out]


def draw_glyph(glyph: str, side: int, font: ImageFont.FreeTypeFont) -> Image.Image:
    """The emoji cropped to its ink and scaled so that its longer side is `side` pixels (RGBA)."""
    canvas = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(canvas).text((8, 8), glyph, font=font, embedded_color=True)
    ink = canvas.crop(canvas.getchannel("A").getbbox())
    scale = side / max(ink.size)
    return ink.resize([max(1, round(edge * scale)) for edge in ink.size], Image.Resampling.LANCZOS)


def place_glyph(picture: Image.Image, box: int, offset: tuple[int, int]) -> np.ndarray:
    """The glyph centred in its box, the box off the frame's centre by `offset` pixels: [4, 64, 64] uint8."""
    frame = Image.new("RGBA", (IMAGE, IMAGE))
    corner = [(IMAGE - box) // 2 + delta + (box - edge) // 2 for delta, edge in zip(offset, picture.size)]
    frame.paste(picture, tuple(corner))
    return np.asarray(frame).transpose(2, 0, 1)


class Renderer:
    """All glyph frames, drawn once; composites are made on demand."""

    def __init__(self, font_path: str = FONT):
        font = ImageFont.truetype(font_path, FONT_SIZE)
        frames = [
            [[place_glyph(picture, box, (x * step, y * step)) for x, y in PLACES] for picture, box, step in sized]
            for sized in (
                [(draw_glyph(subject.glyph, side, font), box, step) for side, box, step in SIZES.values()]
                for subject in SUBJECTS
            )
        ]
        self.frames = torch.from_numpy(np.array(frames))  # [subject, size, place, RGBA, 64, 64] uint8
        self.palette = torch.tensor(list(COLOURS.values()), dtype=torch.float32) / 255  # [colour, 3] in 0..1

    def images(self, keys: torch.Tensor) -> torch.Tensor:
        """Composites [N, 3, 64, 64] in [-1, 1] for keys [N, 4]: subject, size, place, colour."""
        subject, size, place, colour = keys.unbind(1)
        frames = self.frames[subject, size, place].float() / 255
        alpha = frames[:, 3:]
        background = self.palette[colour][:, :, None, None]
        return (frames[:, :3] * alpha + background * (1 - alpha)) * 2 - 1


def keys_of(combos: list[Combo]) -> torch.Tensor:
    """Every place of every combination as rows (subject, size, place, colour): [N * places, 4] int64."""
    return torch.tensor(
        [[combo.subject, combo.size, place, combo.colour] for combo in combos for place in range(len(PLACES))]
    )
