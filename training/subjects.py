"""What the model can draw: the emoji of `subjects.txt`, their names, and the other words of `words.txt` for them."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

_TYPOGRAPHIC = {"black", "white", "heavy", "sign", "symbol", "with", "face", "mark", "large", "on", "of", "ear"}
_IRREGULAR = {"mouse": "mice", "sheep": "sheep", "fish": "fish", "die": "dice", "knife": "knives", "wolf": "wolves",
              "deer": "deer", "leaf": "leaves", "scarf": "scarves", "loaf": "loaves", "squid": "squid",
              "shrimp": "shrimp", "box": "boxes", "person": "people", "lips": "lips"}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """One emoji and its names, the preferred one first."""

    glyph: str
    names: tuple[str, ...]
    bare: bool  # whether the names stand without "a": grapes, broccoli


def plural(name: str) -> str:
    """The plural of a name, of its head where it has an "of": "slices of pizza"."""
    head, of, rest = name.partition(" of ")
    words = head.split()
    last = words[-1]
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith("man") or last == "child":
        last = last[:-3] + "men" if last.endswith("man") else "children"
    elif last.endswith(("s", "x", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    elif last.endswith(("tomato", "tornado", "volcano", "mango")):
        last += "es"
    else:
        last += "s"
    return " ".join([*words[:-1], last]) + of + rest


def _parse(line: str) -> Subject:
    glyph, names = line.split(" ", 1)
    bare = names.startswith("~")
    listed = tuple(name.strip() for name in names.lstrip("~").split(","))
    unicode_name = unicodedata.name(glyph).lower().replace("-", " ")
    # "HEAVY BLACK HEART" is a red heart: names that describe typography are left out.
    if not bare and unicode_name not in listed and not _TYPOGRAPHIC & set(unicode_name.split()):
        listed += (unicode_name,)
    return Subject(glyph, listed, bare)


FILE = Path(__file__).with_name("subjects.txt")

SUBJECTS: tuple[Subject, ...] = tuple(
    _parse(line)
    for line in FILE.read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def _other_words() -> dict[str, list[str]]:
    """Of a subject's preferred name: the words of `words.txt` that may mean it."""
    found: dict[str, list[str]] = {}
    known = {subject.names[0] for subject in SUBJECTS}
    for line in Path(__file__).with_name("words.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            word, meant = line.split(": ")
            for name in meant.split(", "):
                if name not in known:
                    raise ValueError(f"words.txt: no subject is called {name!r} first")
                found.setdefault(name, []).append(word)
    return found


WORDS = _other_words()
