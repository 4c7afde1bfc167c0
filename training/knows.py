"""Writes the words the model knows to www/knows.js, where the page lists them.

    python -m training.knows
"""

import textwrap
from pathlib import Path

from .captions import PLACE_PHRASES, SETTING_PHRASES, STYLE_WORDINGS
from .scene import COLOUR_NAMES, GRADIENT_COLOURS
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
        "Two things": ["next to", "and", "above", "below"],
        "Backgrounds": [f"on a {colour} background".replace(" a orange", " an orange") for colour in COLOUR_NAMES],
        # neighbours but one, black and white apart
        "Gradients": [f"on a gradient from {top} to {bottom}" for top, bottom in zip(GRADIENT_COLOURS[2:], GRADIENT_COLOURS[4:])],
        "Settings": [phrases[0] for phrases in SETTING_PHRASES.values()],
        "Styles": [style for style in STYLE_WORDINGS if style != "plain"],
    }


def as_module(words: dict[str, dict[str, list[str]]], others: dict[str, list[str]]) -> str:
    """The source of a JavaScript module."""
    lines = ["/** What mini has words for, by heading; written by `python -m training.knows`. */", "export const KNOWS = {"]
    for part, groups in words.items():
        lines.append(f"  {part}: {{")
        for heading, entries in groups.items():
            listed = " ".join(f"'{word}',".replace(" ", "\0") for word in entries)  # wrapped between the words only
            lines.append(f"    '{heading}': [")
            wrapped = textwrap.wrap(listed, 116, initial_indent=" " * 6, subsequent_indent=" " * 6)
            lines += [line.replace("\0", " ") for line in wrapped]
            lines.append("    ],")
        lines.append("  },")
    lines += ["};", "", "/** Other names of the things, and plurals that do more than add an s. */", "export const SYNONYMS = {"]
    lines += [f"  '{name}': [{', '.join(repr(other) for other in entries)}]," for name, entries in others.items()]
    return "\n".join([*lines, "};", ""])


def main() -> None:
    words = {"things": things(), "around": around()}
    PATH.write_text(as_module(words, synonyms()), encoding="utf-8")
    print(f"{PATH}: {sum(map(len, words['things'].values()))} things")


if __name__ == "__main__":
    main()
