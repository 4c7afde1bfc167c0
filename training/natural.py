"""The prompts of `natural.txt` and what must be in their pictures."""

from dataclasses import dataclass
from pathlib import Path

from .scene import NOTHING
from .subjects import SUBJECTS, WORDS

FILE = Path(__file__).with_name("natural.txt")


@dataclass(frozen=True)
class Prompt:
    """The text, and for each thing it names the subjects that may stand for it."""

    text: str
    wanted: tuple[frozenset[int], ...]


def _meant(word: str) -> frozenset[int]:
    found = {
        number for number, subject in enumerate(SUBJECTS)
        if word in subject.names or word in WORDS.get(subject.names[0], ())
    }  # fmt: skip
    if not found:
        raise ValueError(f"natural.txt: nothing is called {word!r}")
    return frozenset(found)


def prompts() -> list[Prompt]:
    """All of them; where nothing is known a question mark is wanted."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found = []
    for line in lines:
        text, names = line.split("|")
        wanted = [_meant(name.strip()) for name in names.split(",") if name.strip()]
        found.append(Prompt(text.strip(), tuple(wanted) or (frozenset({NOTHING}),)))
    return found
