"""Writes what the model's words are called in other languages to www/languages.json, which the page fetches when needed.

    npm install --prefix FOLDER cldr-annotations-full@48.2.0
    python -m training.languages --cldr FOLDER/node_modules/cldr-annotations-full

The names of the emoji come from Unicode CLDR, plain nouns, colours and grammar from `languages.txt`.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path

from .subjects import SUBJECTS, Subject

HERE = Path(__file__).resolve().parent
PATH = HERE.parent / "www" / "languages.json"
HAND = HERE / "languages.txt"
LANGUAGES = ("de", "fr", "es", "it", "pt", "nl", "pl", "tr", "ja", "zh", "ko", "hi", "ar")
ALSO = {"zh": "zh-Hant"}  # read too: the same words in other characters

# Emoji that show the same as one of the subjects: the whole animal, another colour or phase.
SAME = {
    "🐶": "🐕", "🐱": "🐈😺😸", "🐴": "🐎", "🐮": "🐄", "🐷": "🐖", "🐭": "🐁🐀", "🐰": "🐇", "🐯": "🐅", "🐳": "🐋",
    "🐵": "🐒", "🐪": "🐫", "🐉": "🐲", "🌞": "☀", "🌙": "🌛🌜", "🌕": "🌝", "🌍": "🌎🌏", "🚗": "🚙", "🚆": "🚄🚅", "🏔": "⛰🗻",
    "💻": "🖥", "🏠": "🏡", "✈": "🛩🛫🛬", "⭐": "🌟", "❤": "♥", "💐": "🌺", "🌱": "🌿",
    "📱": "📲", "☎": "📞", "😀": "😃😄😁🙂😊☺", "😂": "🤣", "😡": "😠", "😭": "😢🥲", "😮": "😲😯",
    "🗡": "⚔", "📕": "📗📘📙📖", "✉": "📧📩", "👟": "👞", "👕": "👚", "☂": "☔🌂⛱", "⌛": "⏳", "⏰": "🕰",
    "🔒": "🔐🔓", "🔑": "🗝", "🍺": "🍻", "🍸": "🍹", "🍦": "🍨🍧", "🐤": "🐥", "🌧": "⛈🌦", "⛄": "☃", "📷": "📸",
    "🚌": "🚍", "🚓": "🚔", "🚕": "🚖", "🚢": "🛳", "👶": "🍼", "🔔": "🛎", "🎵": "🎶",
    "🥇": "🏅", "❓": "❔", "❗": "❕", "✅": "✔☑", "❌": "✖", "☁": "🌥", "💪": "🦾",
}  # fmt: skip
# Of these the first one's name is the subject's plain noun: "cat" where the subject's own is "cat face".
PLAIN = set("🐶🐱🐴🐮🐷🐭🐰🐯🐳🐵🐪🌞🏔")
# Colours as squares, circles: "🦊 on 🟩".
COLOURED = {
    "red": "🟥🔴", "orange": "🟧🟠", "yellow": "🟨🟡", "green": "🟩🟢", "blue": "🟦🔵", "purple": "🟪🟣", "brown": "🟫🟤",
    "black": "⬛⚫", "white": "⬜⚪",
}  # fmt: skip

# Names and keywords whose first meaning is another: "料理" is cooking, CLDR's name of the fried egg.
OTHERWISE = set("""
    Hörner Außerirdische cuernos preciosa labios bicho tienda paleta corcova muda alvo inglesa correio boneco aviso buitenaards kerst
    zand hoorns treffer koken dostawczy słoneczne szlachetny skrzynka warsztat hörgüç isabet büyü 料理 恐怖 寝る 高電圧 的 高压 兵 阴 线
    吃惊 感冒 명중 주의 स्लाइस कूबड़ मल पसीना निशाना रेत आलस्य पाना शीत जैक समाचार حلو سنام رسام رمل رصاص نشان قبول رومي
""".split()) | {"w 10", "고압 주의"}  # fmt: skip

WORDS_OF_A_NAME = 3  # longer ones are descriptions that nobody types: "smiling face with open mouth"


def plain(emoji: str) -> str:
    """Without the selector that asks for colours."""
    return emoji.replace("\ufe0f", "")


class Annotations:
    """CLDR's short names and keywords of all emoji in one language."""

    def __init__(self, folder: Path, language: str) -> None:
        path = folder / "annotations" / language / "annotations.json"
        listed = json.loads(path.read_text(encoding="utf-8"))["annotations"]["annotations"]
        self.names: dict[str, str] = {}
        self.keywords: dict[str, list[str]] = {}
        self.emoji: dict[str, set[str]] = {}
        for emoji, entry in listed.items():
            name = entry.get("tts", [""])[0].split(",")[0].split("(")[0].strip()
            self.names[plain(emoji)] = name
            self.keywords[plain(emoji)] = entry.get("default", [])
            for word in {name, *entry.get("default", [])}:
                self.emoji.setdefault(word, set()).add(plain(emoji))

    def likeness(self, word: str, emoji: set[str]) -> float:
        """How far the emoji that have a word agree with these: Dice's coefficient."""
        having = self.emoji.get(word, set())
        return 2 * len(having & emoji) / (len(having) + len(emoji)) if having else 0.0


def names_of(subject: Subject, english: Annotations, other: Annotations) -> list[str]:
    """What a subject is called in a language.

    These are the short names of its emoji, and of the keywords within these the one that goes with the English name over
    all emoji: "Apfel" of "roter Apfel".
    """
    emoji = [*(SAME[subject.glyph][:1] if subject.glyph in PLAIN else ""), subject.glyph]
    found = [other.names.get(one, "") for one in emoji]
    keywords = {word for one in emoji for word in other.keywords.get(one, []) if len(word) > (3 if word < "\u0370" else 1)}
    for name in subject.names:
        having = english.emoji.get(name, set())
        within = [word for word in keywords if any(word in name and word != name for name in found)]
        best = max(within, key=lambda word: (other.likeness(word, having), word), default="")
        if len(having) > 1 and other.likeness(best, having) >= 0.6:
            found.append(best)
    return [name for name in dict.fromkeys(found) if name and name not in OTHERWISE and len(name.split()) <= WORDS_OF_A_NAME]


def by_hand() -> dict[str, list[list[str]]]:
    """The lines of `languages.txt`: of each English word, its words in each language."""
    table: dict[str, list[list[str]]] = {}
    for line in HAND.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        word, *columns = (part.strip() for part in line.split(" | "))
        if len(columns) != len(LANGUAGES):
            raise ValueError(f"languages.txt: {word} has {len(columns)} columns, there are {len(LANGUAGES)} languages")
        listed = [[] if column == "-" else [one.strip() for one in column.split(",")] for column in columns]
        table[word] = [before + words for before, words in zip(table.get(word, [[]] * len(columns)), listed)]
    return table


def translations(folder: Path, english: Annotations) -> dict[str, list[list[str]]]:
    """Of each English word, what it is called in each language. A word has one meaning: the one it is given by hand first."""
    table = by_hand()
    table |= {subject.names[0]: [[] for _ in LANGUAGES] for subject in SUBJECTS if subject.names[0] not in table}
    for column, language in enumerate(LANGUAGES):
        taken = {word.lower() for columns in table.values() for word in columns[column]}
        for one in (language, ALSO.get(language)):
            other = Annotations(folder, one) if one else None
            for subject in SUBJECTS if other else ():
                words = table[subject.names[0]][column]
                for name in names_of(subject, english, other):
                    if name.lower() not in taken and not re.search("[|,:“]", name):
                        taken.add(name.lower())
                        words.append(name)
    return table


def as_json(version: str, table: dict[str, list[list[str]]]) -> str:
    """One line for each word."""
    first = {subject.glyph: subject.names[0] for subject in SUBJECTS}
    taken = Counter("".join(SAME.values()))
    emoji = {first[glyph]: others for glyph, others in SAME.items()} | COLOURED
    assert all(count == 1 for count in taken.values()) and not set(taken) & set(first)
    head = {
        "source": f"Unicode CLDR, cldr-annotations-full {version}, Unicode-3.0; written by python -m training.languages",
        "languages": LANGUAGES,
    }
    parts = {
        "emoji": emoji,
        "words": {word: "|".join(",".join(words) for words in columns) for word, columns in table.items()},
    }

    def line(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    lines = ["{", *(f"{line(key)}: {line(value)}," for key, value in head.items())]
    for key, entries in parts.items():
        lines.append(f"{line(key)}: {{")
        lines += [f"{line(word)}: {line(value)}," for word, value in entries.items()]
        lines[-1] = lines[-1][:-1]
        lines.append("},")
    lines[-1] = "}"
    return "\n".join([*lines, "}", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cldr", type=Path, required=True, help="folder of the npm package cldr-annotations-full")
    folder = parser.parse_args().cldr
    version = json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
    english = Annotations(folder, "en")
    table = translations(folder, english)
    PATH.write_text(as_json(version, table), encoding="utf-8")
    print(f"{PATH}: {len(table)} words, {sum(len(words) for columns in table.values() for words in columns)} in other languages")


if __name__ == "__main__":
    main()
