"""Seven designers' drawings of every subject: npm packages, each at one version, drawn to pixels once.

npm ci --prefix work                 # after `cp training/npm/*.json work`: versions and hashes are those of the lock file
python -m training.drawings --out work
python -m training.drawings --out work --table training/drawings.md
"""

import argparse
import io
import json
import os
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from .subjects import SUBJECTS, Subject

SIDE = 112  # pixels a side of a kept drawing
FILE = Path(os.environ.get("DRAWINGS", "work/drawings.npz"))


@dataclass(frozen=True)
class Designer:
    """A set of drawings; `words` are the styles that ask for it, the first one what the page would list."""

    name: str
    package: str
    licence: str
    author: str
    words: tuple[str, ...]


DESIGNERS = (
    Designer("Noto", "@iconify-json/noto", "Apache-2.0", "Google Inc.", ("classic", "shaded")),
    Designer("Noto 1", "@iconify-json/noto-v1", "Apache-2.0", "Google Inc.", ("blob", "blobby")),
    Designer("Fluent", "@iconify-json/fluent-emoji", "MIT", "Microsoft Corporation", ("glossy", "shiny")),
    Designer("Fluent Flat", "@iconify-json/fluent-emoji-flat", "MIT", "Microsoft Corporation", ("flat", "minimal")),
    Designer("Fluent 3D", "@lobehub/fluent-emoji-3d", "MIT", "Microsoft Corporation", ("3d", "clay")),
    Designer("Firefox OS", "@iconify-json/fxemoji", "Apache-2.0", "Mozilla", ("retro", "old fashioned")),
    Designer(
        "Twemoji", "@iconify-json/twemoji", "CC-BY-4.0", "Twitter, Inc. and other contributors", ("cartoon", "comic")
    ),
)
FLAT_NAMES, CODES = "@iconify-json/fluent-emoji-flat", "@lobehub/fluent-emoji-3d"

# Firefox OS has names of its own; those that are Unicode's without spaces need no entry.
FIREFOX = {
    "🐶": "dog", "🐱": "cat", "🐯": "tiger", "🐷": "pig", "🐭": "mouse", "🐹": "hampster", "🐰": "bunny", "🐻": "bear", "🐸": "frog",
    "🐉": "dragonside", "🐳": "spurtingwhale", "🐆": "leopardside", "😀": "grin", "😂": "grintears", "😇": "halo", "😍": "hearteyes",
    "😜": "tongueoutwink", "😴": "sleeping", "😷": "medicalmask", "😮": "openmouth", "😱": "screamfear", "😭": "loudlycrying",
    "😡": "pouting", "😈": "devilhorns", "💩": "poo", "👽": "alien", "👍": "thumbsup", "👋": "waving", "💪": "flexbicep",
    "🌲": "evergreen", "🏎": "racecar", "🏍": "motorcycle", "🗼": "toykotower", "🏔": "snowmountains", "🌕": "fullmoon",
    "🌍": "europeafricaglobe", "🌧": "raincloud", "⚡": "bolt", "🎁": "present", "🎾": "tennisball", "👓": "glasses", "👔": "tie",
    "👟": "mensrunner", "👠": "heels", "👢": "boot", "💎": "gem", "📱": "cellphone", "💡": "lightbulb", "❤": "redheart",
    "💛": "heartyellow", "💚": "heartgreen", "💙": "heartblue", "💜": "heartpurple", "❓": "blackquestionmark", "🕶": "darksunglasses",
}  # fmt: skip
# Drawn so differently under the same name that it is another thing; looked at, sheet by sheet.
OTHERWISE = {"Noto 1": "✅", "Firefox OS": "💙⭐"}


def code_of(glyph: str) -> str:
    return "-".join(f"{ord(character):x}" for character in glyph)


class Package:
    """The pictures of one installed package."""

    def __init__(self, folder: Path, designer: Designer):
        self.designer, self.root = designer, folder / "node_modules" / designer.package
        if designer.package == CODES:
            return
        listed = json.loads((self.root / "icons.json").read_text(encoding="utf-8"))
        self.icons, self.aliases = listed["icons"], listed.get("aliases", {})
        self.width, self.height = listed.get("width", 16), listed.get("height", 16)
        self.names: dict[str, set[str]] = {}
        for package in {designer.package, "@iconify-json/noto", FLAT_NAMES}:
            path = folder / "node_modules" / package / "chars.json"
            for code, name in json.loads(path.read_text(encoding="utf-8")).items():
                self.names.setdefault(code, set()).add(name)

    def _icon(self, subject: Subject) -> dict | None:
        code = code_of(subject.glyph)
        if self.designer.name == "Firefox OS":
            plain = unicodedata.name(subject.glyph).lower().replace(" ", "").replace("-", "")
            names = {FIREFOX.get(subject.glyph, plain)}
        else:
            names = self.names.get(code, set()) | self.names.get(code + "-fe0f", set())
        for name in sorted(names):
            name = self.aliases[name]["parent"] if name in self.aliases else name
            if name in self.icons:
                return self.icons[name]
        return None

    def draw(self, subject: Subject) -> Image.Image | None:
        """The drawing, RGBA, 256 pixels a side at least; None where the designer has none."""
        if subject.glyph in OTHERWISE.get(self.designer.name, ""):
            return None
        if self.designer.package == CODES:
            code = code_of(subject.glyph)
            found = [
                path for path in (self.root / "assets" / f"{code}{end}.webp" for end in ("", "-fe0f")) if path.exists()
            ]
            return Image.open(found[0]).convert("RGBA") if found else None
        icon = self._icon(subject)
        if icon is None:
            return None
        from resvg_py import svg_to_bytes  # only here: a machine that trains needs the drawn file alone

        width, height = icon.get("width", self.width), icon.get("height", self.height)
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width} {height}">'
        return Image.open(io.BytesIO(bytes(svg_to_bytes(svg_string=f"{svg}{icon['body']}</svg>", width=256)))).convert(
            "RGBA"
        )


def fitted(picture: Image.Image) -> np.ndarray:
    """Cropped to its ink, the longer side `SIDE` pixels, centred: [112, 112, 4], colours premultiplied."""
    picture = picture.crop(picture.getchannel("A").point(lambda value: 255 * (value > 8)).getbbox())
    scale = SIDE / max(picture.size)
    size = [max(1, round(edge * scale)) for edge in picture.size]
    scaled = picture.convert("RGBa").resize(size, Image.Resampling.LANCZOS)
    frame = Image.new("RGBa", (SIDE, SIDE))
    frame.paste(scaled, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.frombuffer(frame.tobytes(), np.uint8).reshape(SIDE, SIDE, 4)


@cache
def _kept() -> tuple[np.ndarray, np.ndarray]:
    if not FILE.exists():
        raise FileNotFoundError(
            f"{FILE} is missing: make it with `python -m training.drawings`, or name it in DRAWINGS"
        )
    with np.load(FILE) as kept:
        if list(kept["subjects"]) != [subject.glyph for subject in SUBJECTS]:
            raise ValueError(f"{FILE} holds other subjects than subjects.txt: make it again")
        return kept["rows"], kept["pixels"]


def designers_of(*subjects: int) -> list[int]:
    """The designers that have a drawing of every one of the subjects."""
    return np.flatnonzero((_kept()[0][list(subjects)] >= 0).all(axis=0)).tolist()


_FURTHER: list[np.ndarray] = []


def keep(picture: Image.Image) -> int:
    """Takes a drawing of no subject for the length of this run, all designers': the number by which `drawing` has it."""
    _FURTHER.append(fitted(picture))
    return len(SUBJECTS) + len(_FURTHER) - 1


def drawing(subject: int, designer: int) -> np.ndarray:
    """[112, 112, 4] bytes, colours premultiplied."""
    if subject >= len(SUBJECTS):
        return _FURTHER[subject - len(SUBJECTS)]
    rows, pixels = _kept()
    return pixels[rows[subject, designer]]


def main() -> None:
    args = parse_args()
    packages = [Package(args.out, designer) for designer in DESIGNERS]
    rows, pixels = np.full((len(SUBJECTS), len(DESIGNERS)), -1), []
    for number, subject in enumerate(SUBJECTS):
        for column, package in enumerate(packages):
            picture = package.draw(subject)
            if picture is not None:
                rows[number, column] = len(pixels)
                pixels.append(fitted(picture))
    glyphs = np.array([subject.glyph for subject in SUBJECTS])
    np.savez_compressed(args.out / "drawings.npz", rows=rows, pixels=np.stack(pixels), subjects=glyphs)
    counts = (rows >= 0).sum(axis=0)
    print(f"{len(pixels)} drawings: " + ", ".join(f"{one.name} {count}" for one, count in zip(DESIGNERS, counts)))
    if args.table:
        args.table.write_text(table(rows, args.out), encoding="utf-8")


def table(rows: np.ndarray, folder: Path) -> str:
    """Which designer has which subject, and what stands in each package about its licence."""
    lines = [
        "# Whose drawings there are",
        "",
        "Written by `python -m training.drawings --table`; all other subjects are in every set.",
        "",
    ]
    lines += [
        "| set | package | version | licence | by | words | subjects | has none of |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for column, designer in enumerate(DESIGNERS):
        package = json.loads((folder / "node_modules" / designer.package / "package.json").read_text(encoding="utf-8"))
        if package["license"] != designer.licence:
            raise ValueError(f"{designer.package} says {package['license']}, not {designer.licence}")
        missing = [subject.names[0] for subject, row in zip(SUBJECTS, rows[:, column]) if row < 0]
        cells = (designer.name, f"`{designer.package}`", package["version"], designer.licence, designer.author,
                 ", ".join(designer.words), str(len(SUBJECTS) - len(missing)), ", ".join(missing) or "–")  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("work"), help="folder with node_modules, and of drawings.npz")
    parser.add_argument("--table", type=Path, help="where to write which set has what")
    return parser.parse_args()


if __name__ == "__main__":
    main()
