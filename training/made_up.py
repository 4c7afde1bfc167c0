"""Things and a style that nobody drew before, from code: what a model is taught to measure how well it is taught.

python -m training.made_up --out work/sets   # a folder for each, five to eight pictures with their captions
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .drawings import keep
from .render import render
from .scene import COLOURS, LARGE, Scene, Thing
from .subjects import SUBJECTS

SIDE = 512  # pixels a side of a drawing
INK = (40, 30, 60)
POSES = 2


class Pen:
    """Draws around the middle of a clear square; shapes have an outline."""

    def __init__(self) -> None:
        self.picture = Image.new("RGBA", (SIDE, SIDE))
        self._draw = ImageDraw.Draw(self.picture)

    def _at(self, *points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(SIDE / 2 + x, SIDE / 2 + y) for x, y in points]

    def disc(self, x: float, y: float, wide: float, high: float, colour, line: int = 6) -> None:
        corners = self._at((x - wide, y - high), (x + wide, y + high))
        self._draw.ellipse(corners, fill=colour, outline=INK, width=line)

    def plate(self, left: float, top: float, right: float, bottom: float, colour, round_by: int = 20) -> None:
        corners = self._at((left, top), (right, bottom))
        self._draw.rounded_rectangle(corners, round_by, fill=colour, outline=INK, width=6)

    def line(self, *points: tuple[float, float], colour=INK, wide: int = 10) -> None:
        self._draw.line(self._at(*points), fill=colour, width=wide, joint="curve")

    def area(self, *points: tuple[float, float], colour) -> None:
        self._draw.polygon(self._at(*points), fill=colour, outline=INK, width=6)

    def arc(self, x: float, y: float, wide: float, high: float, begin: int, end: int, colour, line: int = 10) -> None:
        self._draw.arc(self._at((x - wide, y - high), (x + wide, y + high)), begin, end, fill=colour, width=line)


def zorp(pen: Pen, pose: int) -> None:
    """A turquoise blob with three eyes, two feelers and three feet."""
    for x in (-70, 0, 70):
        pen.disc(x, 140 + pose * (8 if x else -8), 26, 36, (30, 140, 120))
    pen.disc(0, 30, 140, 120, (60, 200, 170))
    pen.disc(0, 70, 80, 60, (235, 240, 160))
    for x, lean in ((-60, -40), (60, 40)):
        pen.line((x, -70), (x + lean, -160))
        pen.disc(x + lean, -170, 22, 22, (250, 120, 40))
    for x in (-70, 0, 70):
        pen.disc(x, -10, 34, 36, (255, 255, 255))
        pen.disc(x + 4, -6, 14, 16, (20, 20, 30))
    pen.arc(0, 65, 50, 25, 10, 170, (150, 30, 60))


def plim(pen: Pen, pose: int) -> None:
    """A tall violet pot with a yellow band, two spouts and a star for a knob."""
    for side in (-1, 1):
        lip = -60 - 12 * pose
        spout = ((80, 60), (170, lip), (200, lip + 10), (100, 120))
        pen.area(*((side * x, y) for x, y in spout), colour=(240, 120, 160))
    pen.plate(-95, -80, 95, 180, (130, 80, 190), 60)
    pen.plate(-95, 20, 95, 80, (250, 210, 70), 6)
    for x in (-60, 0, 60):
        pen.disc(x, 50, 16, 16, (220, 60, 60))
    pen.disc(0, -85, 80, 26, (240, 120, 160))
    points = [(0.45 if at % 2 else 1.0, at * np.pi / 5 - np.pi / 2) for at in range(10)]
    pen.area(*((60 * r * np.cos(a), -150 + 60 * r * np.sin(a)) for r, a in points), colour=(250, 210, 70))


def fleen(pen: Pen, pose: int) -> None:
    """A round orange bird on one leg, with a blue crest and striped wings."""
    pen.line((0, 120), (12 * pose, 200), wide=14)
    pen.line((-40 + 12 * pose, 204), (50 + 12 * pose, 204), wide=14)
    for x, high in ((-50, 60), (0, 90), (50, 60)):
        pen.area((x - 24, -90), (x * 1.3, -120 - high), (x + 24, -90), colour=(50, 90, 200))
    pen.disc(0, 10, 130, 125, (245, 140, 50))
    pen.disc(0, 60, 80, 65, (255, 235, 210))
    for side in (-1, 1):
        pen.disc(125 * side, 30 - 20 * pose, 36, 75, (120, 60, 30))
        for y in (-10, 30, 70):
            pen.line((98 * side, y - 20 * pose), (152 * side, y - 20 * pose), colour=(255, 220, 90), wide=12)
        pen.disc(48 * side, -40, 36, 36, (255, 255, 255))
        pen.disc(44 * side, -36, 16, 18, (20, 20, 30))
    pen.area((-30, -8), (30, -8), (0, 44), colour=(250, 210, 60))


@dataclass(frozen=True)
class MadeUp:
    """A thing by its word, the kind that the model knows (a name of SUBJECTS), and how it is drawn."""

    word: str
    kind: str
    draw: Callable[[Pen, int], None]

    def drawing(self, pose: int = 0, turn: float = 0.0) -> Image.Image:
        """On nothing, RGBA; `turn` of the colours' circle away from its own colours."""
        pen = Pen()
        self.draw(pen, pose)
        return turned(pen.picture, turn) if turn else pen.picture

    @property
    def subject(self) -> int:
        return subject_called(self.kind)


def turned(picture: Image.Image, turn: float) -> Image.Image:
    """The same with each hue moved on by a share of the circle."""
    hue, *others, cover = *picture.convert("RGB").convert("HSV").split(), picture.getchannel("A")
    hue = hue.point(lambda value: round(value + turn * 256) % 256)
    moved = Image.merge("HSV", (hue, *others)).convert("RGB")
    moved.putalpha(cover)
    return moved


def subject_called(name: str) -> int:
    return next(number for number, subject in enumerate(SUBJECTS) if name in subject.names)


THINGS = (
    MadeUp("zorp", "alien monster", zorp), MadeUp("plim", "teapot", plim), MadeUp("fleen", "bird", fleen),
)  # fmt: skip
TURNS = (1 / 3, 2 / 3)


@cache
def numbers(thing: MadeUp, turn: float = 0.0) -> tuple[int, ...]:
    """What renderings call its poses, one number each."""
    return tuple(keep(thing.drawing(pose, turn)) for pose in range(POSES))


# Ground, size, how far from the middle, mirrored, pose: as a person would draw or photograph it, not as mini's scenes lie.
SHOTS = (
    ("white", 1.0, 0, 14, False, 0), ("pink", 0.85, 30, 24, True, 1), ("light blue", 1.05, -20, 14, False, 1),
    ("yellow", 0.9, 0, -1, True, 0), ("green", 1.0, 15, 24, False, 1),
)  # fmt: skip


def pictures(thing: MadeUp) -> list[tuple[Image.Image, str]]:
    """Five pictures and their captions."""
    made = []
    for ground, scale, right, down, mirrored, pose in SHOTS:
        drawing = thing.drawing(pose)
        if mirrored:
            drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        side = round(SIDE * scale)
        drawing = drawing.resize((side, side), Image.Resampling.LANCZOS)
        picture = Image.new("RGB", (SIDE, SIDE), COLOURS[ground])
        picture.paste(drawing, ((SIDE - side) // 2 + right, (SIDE - side) // 2 + down), drawing)
        made.append((picture, f"a {thing.word} {thing.kind} on a {ground} background"))
    return made


STYLE = "vorp print"
STYLE_SHOWN = ("cat", "rocket", "mushroom", "house", "fish", "car", "tree", "guitar")  # never asked for afterwards
_INKS = np.array([(24, 30, 92), (226, 76, 84), (250, 176, 92), (255, 244, 214)], dtype=np.float32) / 255


def printed(picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, 3] in 0..1 in the made-up style: four inks from dark to light, dark along all edges."""
    light = picture @ np.array((0.299, 0.587, 0.114), dtype=np.float32)
    image = Image.fromarray((light.clip(0, 1) * 255).astype(np.uint8)).filter(ImageFilter.MedianFilter(3))
    light = np.asarray(image, dtype=np.float32) / 255
    edges = np.hypot(*np.gradient(light))
    inks = _INKS[np.digitize(light, (0.3, 0.55, 0.8))]
    dark = np.clip(edges * 8 - 0.4, 0, 1)[..., None]
    return inks * (1 - dark) + _INKS[0] * dark


def style_pictures() -> list[tuple[Image.Image, str]]:
    """Eight known things in the style, and their captions."""
    grounds = ("white", "light blue", "yellow", "pink")
    made = []
    for at, name in enumerate(STYLE_SHOWN):
        ground = grounds[at % len(grounds)]
        scene = Scene((Thing(subject_called(name)),), ("flat", ground), size=LARGE)
        picture = Image.fromarray((printed(render(scene)) * 255).round().astype(np.uint8))
        made.append((picture, f"{STYLE} of a {name} on a {ground} background"))
    return made


def write(folder: Path, made: list[tuple[Image.Image, str]]) -> None:
    """Numbered PNGs, each with its caption beside it, as `opengen train --images` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for at, (picture, caption) in enumerate(made):
        picture.save(folder / f"{at}.png")
        (folder / f"{at}.txt").write_text(caption + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("work/sets"))
    args = parser.parse_args()
    for thing in THINGS:
        write(args.out / thing.word, pictures(thing))
    write(args.out / STYLE.split()[0], style_pictures())


if __name__ == "__main__":
    main()
