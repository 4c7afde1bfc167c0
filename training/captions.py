"""The words: many ways to say what a picture shows."""

import random

from .data import COLOURS, PLACES, SIZES, Combo
from .subjects import SUBJECTS

SIZE_WORDS = {
    "small": ("small", "small", "small", "little", "tiny"),
    "medium": ("", "", "", "", "", "medium", "medium sized"),
    "large": ("large", "large", "large", "big", "huge"),
}

COLOUR_SYNONYMS = {
    "gray": ("grey",),
    "light blue": ("sky blue", "pale blue"),
    "dark blue": ("navy", "navy blue"),
    "light green": ("pale green", "mint green"),
    "light purple": ("lavender", "lilac"),
    "purple": ("violet",),
}

# One phrase list per entry of PLACES.
PLACE_PHRASES = (
    ("in the center", "in the middle"),
    ("on the left", "to the left"),
    ("on the right", "to the right"),
    ("at the top",),
    ("at the bottom",),
    ("in the top left corner", "at the top left"),
    ("in the top right corner", "at the top right"),
    ("in the bottom left corner", "at the bottom left"),
    ("in the bottom right corner", "at the bottom right"),
)

# {thing} is article, size and subject; {place} is empty or " in the center"; {colour} a colour's name.
TEMPLATES = (
    "{thing}{place} on a {colour} background",
    "{thing}{place} on a {colour} background",
    "{thing}{place} on a {colour} background",
    "{thing}{place} on {colour}",
    "{thing}{place}, {colour} background",
    "{thing}{place} against a {colour} background",
    "{thing}{place} with a {colour} background",
    "{thing}{place} in front of a {colour} background",
    "{colour} background, {thing}{place}",
    "{thing} on a {colour} background{place}",
)
COLOURLESS = "{thing}{place}"
OPENINGS = ("", "", "", "", "", "", "a picture of ", "an image of ", "an emoji of ", "a drawing of ")

# Share of captions that say where: a centred picture, any other one. Unsaid therefore mostly means the centre.
PLACE_NAMED = (0.3, 0.8)
COLOUR_UNNAMED = 0.1  # share of captions that leave the colour open

_PLURALS = {"cherries", "grapes"}
_UNCOUNTED = {"pizza", "coffee", "ice cream"}


def thing_phrase(name: str, size_word: str, rng: random.Random) -> str:
    """Article, size and name: "a small red apple", "the apple", "small grapes"."""
    phrase = f"{size_word} {name}".strip()
    article = rng.choice(("a", "a", "the", ""))
    if article == "a":
        bare = name in _PLURALS or (name in _UNCOUNTED and not size_word)
        article = "" if bare else "an" if phrase[0] in "aeiou" else "a"
    return f"{article} {phrase}".strip()


def pick_name(names: tuple[str, ...], rng: random.Random) -> str:
    """The preferred name half of the time, else any."""
    return names[0] if rng.random() < 0.5 else rng.choice(names)


def caption(combo: Combo, place: int | None, rng: random.Random, always_colour: bool = False) -> str:
    """One wording for a combination; `place` (an index into PLACES) is named in some of them."""
    colour_name = list(COLOURS)[combo.colour]
    colour = pick_name((colour_name, *COLOUR_SYNONYMS.get(colour_name, ())), rng)
    size_word = rng.choice(SIZE_WORDS[list(SIZES)[combo.size]])
    name = pick_name(SUBJECTS[combo.subject].names, rng)
    where = ""
    if place is not None and rng.random() < PLACE_NAMED[place != 0]:
        where = " " + rng.choice(PLACE_PHRASES[place])
    template = rng.choice(TEMPLATES)
    if not always_colour and rng.random() < COLOUR_UNNAMED:
        template = COLOURLESS
    thing = rng.choice(OPENINGS) + thing_phrase(name, size_word, rng)
    return template.format(thing=thing, place=where, colour=colour).replace(" a orange", " an orange")


def sample_captions(count: int, seed: int) -> list[str]:
    """`count` captions over everything, for the tokenizer's statistics."""
    rng = random.Random(seed)
    return [
        caption(
            Combo(rng.randrange(len(SUBJECTS)), rng.randrange(len(SIZES)), rng.randrange(len(COLOURS))),
            rng.randrange(len(PLACES)),
            rng,
        )
        for _ in range(count)
    ]
