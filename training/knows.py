"""Writes the words the model knows to www/knows.js, where the page lists them.

    python -m training.knows

It writes what this recipe teaches: run it when the page gets a model that was trained by it, and not before. The file of today
is of the model that the page has today, which knows less.
"""

import re
import textwrap
from pathlib import Path

from .captions import (
    OPENINGS, PLACE_PHRASES, RELATION_WORDINGS, SAME_WORDINGS, SETTING_PHRASES, SIZE_WORDS, STYLE_WORDINGS, SYNONYMS,
    TOGETHER_WORDINGS, WEATHER_PHRASES,
)  # fmt: skip
from .drawings import DESIGNERS
from .scene import COLOUR_NAMES, COUNTS, GRADIENT_COLOURS, THING_COLOURS
from .subjects import FILE, SUBJECTS, plural

PATH = Path(__file__).resolve().parents[1] / "www" / "knows.js"


def things() -> dict[str, list[str]]:
    """The subjects by heading, as `subjects.txt` has them."""
    words: dict[str, list[str]] = {}
    names = {subject.glyph: subject.names[0] for subject in SUBJECTS}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and not line.endswith((".", ",")):
            words[line[2:]] = []
        elif line and not line.startswith("#"):
            words[list(words)[-1]].append(names[line.split(" ", 1)[0]])
    return words


def synonyms() -> dict[str, list[str]]:
    """Of each subject that has some: its other names, and plurals that do more than add "s" or "es"."""
    found = {}
    for subject in SUBJECTS:
        first = subject.names[0]
        plurals = [plural(name) for name in subject.names if not subject.bare]
        irregular = [form for form in plurals if not any(form in (name + "s", name + "es") for name in subject.names)]
        others = list(dict.fromkeys([*subject.names[1:], *irregular]))
        if others:
            found[first] = others
    return found


def around() -> dict[str, list[str]]:
    """What goes around a subject, by heading."""
    return {
        "Sizes": ["small", "medium sized", "large"],
        "Positions": [phrases[0] for phrases in PLACE_PHRASES],
        "Two things": ["next to", "above", "below", "behind", "in front of", "inside", "bigger than"],
        "Counts": list(COUNTS[1:]),
        "Colours of things": list(THING_COLOURS),
        "Drawn by": [designer.words[0] for designer in DESIGNERS],
        "Backgrounds": [f"on a {colour} background".replace(" a orange", " an orange") for colour in COLOUR_NAMES],
        # neighbours but one, black and white apart
        "Gradients": [f"on a gradient from {top} to {bottom}" for top, bottom in zip(GRADIENT_COLOURS[2:], GRADIENT_COLOURS[4:])],
        "Settings": [phrases[0] for phrases in SETTING_PHRASES.values()],
        "Styles": [style for style in STYLE_WORDINGS if style != "plain"],
    }


def phrases() -> dict[str, list[str]]:
    """Every way in which captions say what goes around a subject, by what it says."""

    def unique(found: list[str]) -> list[str]:
        return [phrase for phrase in dict.fromkeys(found) if phrase]

    def between(wordings: tuple[str, ...]) -> list[str]:
        return unique([part.strip(" ,") for wording in wordings for part in re.split(r"{\w+}", wording)])

    return {
        "colours": unique([*COLOUR_NAMES, *(name for others in SYNONYMS.values() for name in others)]),
        "sizes": unique([word for words in SIZE_WORDS.values() for word in words]),
        "positions": unique([phrase for wordings in PLACE_PHRASES for phrase in wordings]),
        "settings": unique([phrase for part in (SETTING_PHRASES, WEATHER_PHRASES) for wordings in part.values() for phrase in wordings]),
        "styles": unique([phrase for wordings in STYLE_WORDINGS.values() for phrase in between(wordings)]),
        "relations": between((*(text for texts in RELATION_WORDINGS.values() for text in texts), *TOGETHER_WORDINGS, *SAME_WORDINGS)),
        "openings": between(OPENINGS),
    }


def emoji() -> str:
    """The subjects' emoji, in the order of `things`."""
    glyphs = {subject.names[0]: subject.glyph for subject in SUBJECTS}
    return "".join(glyphs[name] for names in things().values() for name in names)


def wrapped(entries: list[str], indent: int) -> list[str]:
    """Lines of a list's entries, broken between them only."""
    listed = " ".join(f"'{entry}',".replace(" ", "\0") for entry in entries)
    spaces = " " * indent
    return [line.replace("\0", " ") for line in textwrap.wrap(listed, 116, initial_indent=spaces, subsequent_indent=spaces)]


def as_module(words: dict[str, dict[str, list[str]]], others: dict[str, list[str]]) -> str:
    """The source of a JavaScript module."""
    lines = ["/** What mini has words for, by heading; written by `python -m training.knows`. */", "export const KNOWS = {"]
    for part, groups in words.items():
        lines.append(f"  {part}: {{")
        for heading, entries in groups.items():
            lines += [f"    '{heading}': [", *wrapped(entries, 6), "    ],"]
        lines.append("  },")
    lines += ["};", "", "/** Other names of the things, and plurals that do more than add an s. */", "export const SYNONYMS = {"]
    lines += [f"  '{name}': [{', '.join(repr(other) for other in entries)}]," for name, entries in others.items()]
    lines += ["};", "", "/** All wordings of what goes around a thing, by what they say. */", "export const PHRASES = {"]
    for kind, entries in phrases().items():
        lines += [f"  {kind}: [", *wrapped(entries, 4), "  ],"]
    lines += ["};", "", "/** The things' emoji, in the order of `things`: one character each. */", "export const EMOJI ="]
    rows = textwrap.wrap(emoji(), 60)
    lines += [f"  {'+ ' if at else ''}'{row}'" for at, row in enumerate(rows)]
    return "\n".join([*lines[:-1], lines[-1] + ";", ""])


def main() -> None:
    words = {"things": things(), "around": around()}
    PATH.write_text(as_module(words, synonyms()), encoding="utf-8")
    print(f"{PATH}: {sum(map(len, words['things'].values()))} things")


if __name__ == "__main__":
    main()
