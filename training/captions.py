"""The words: many ways to say what a scene shows."""

import random
import re
from functools import cache

from .scene import COLOUR_NAMES, LIGHT_COLOURS, PLACES, SIZES, Scene, random_scene
from .subjects import SUBJECTS, Subject, plural

SIZE_WORDS = {
    "small": ("small", "small", "small", "little", "tiny"),
    "medium": ("", "", "", "", "", "medium", "medium sized"),
    "large": ("large", "large", "large", "big", "huge"),
}

SYNONYMS = {
    "light gray": ("light grey", "silver"),
    "gray": ("grey",),
    "black": ("black", "dark"),
    "dark red": ("maroon",),
    "beige": ("cream",),
    "light green": ("pale green", "mint green"),
    "turquoise": ("teal", "cyan"),
    "light blue": ("sky blue", "pale blue"),
    "dark blue": ("navy", "navy blue"),
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

SETTING_PHRASES = {
    "night": ("at night", "at night", "under the stars", "in the night sky"),
    "grass": ("on grass", "on the grass", "in a meadow", "on a green meadow"),
    "water": ("under water", "underwater", "in the sea", "at the bottom of the sea"),
    "snow": ("in the snow", "in the snow", "in winter"),
    "desert": ("in the desert", "in the desert", "on sand"),
    "sunset": ("at sunset", "at sunset", "in the evening"),
    "space": ("in space", "in outer space", "among the stars in space"),
}

OPENINGS = ("", "", "", "", "", "", "a picture of ", "an image of ", "an emoji of ", "a drawing of ")

# {what} is the things and their ground.
STYLE_WORDINGS = {
    "plain": ("{what}",),
    "pixel art": ("{what}, pixel art", "pixel art of {what}", "{what} in pixel art style", "8 bit {what}"),
    "line drawing": ("{what}, line drawing", "line drawing of {what}", "a sketch of {what}", "an outline of {what}"),
    "silhouette": ("silhouette of {what}", "a silhouette of {what}", "{what}, silhouette"),
    "watercolor": ("{what}, watercolor", "watercolor of {what}", "a watercolour painting of {what}"),
    "neon": ("{what}, neon", "neon sign of {what}", "{what} in neon lights", "glowing neon {what}"),
    "sticker": ("{what}, sticker", "sticker of {what}", "a sticker of {what}"),
    "sepia": ("{what}, sepia", "sepia photo of {what}", "{what} in sepia"),
}

FLAT_WORDINGS = (
    "{things} on a {colour} background",
    "{things} on a {colour} background",
    "{things} on a {colour} background",
    "{things} on {colour}",
    "{things}, {colour} background",
    "{things} with a {colour} background",
    "{things} in front of a {colour} background",
    "{colour} background, {things}",
)
GRADIENT_WORDINGS = (
    "{things} on a {top} and {bottom} gradient",
    "{things} on a gradient from {top} to {bottom}",
    "{things}, {top} to {bottom} gradient background",
)
BESIDE_WORDINGS = (
    "{a} next to {b}", "{a} next to {b}", "{a} beside {b}", "{a} and {b}", "{a} and {b}",
    "{a} to the left of {b}", "{b} to the right of {a}",
)  # fmt: skip
SAME_WORDINGS = ("two {things}", "two {things}", "two {things}", "a pair of {things}", "{things}")
ABOVE_WORDINGS = ("{a} above {b}", "{a} above {b}", "{a} on top of {b}", "{a} over {b}", "{b} below {a}", "{b} under {a}")

PLACE_NAMED = (0.25, 0.85)  # share of captions that say where: a centred thing, any other one
# Shares of captions that leave a flat ground open: a light one, as people expect it then, any other, and neon's.
GROUND_UNNAMED = {"light": 0.2, "any": 0.02, "neon": 0.7}

# Words that say nothing about the picture, as people write them.
UNKNOWN_WORDS = tuple(
    " ".join(phrase.split())
    for phrase in """
    beautiful, pretty, nice, lovely, wonderful, my, your, our, his, her, very, really, best, favourite, good, better, perfect,
    masterpiece, best quality, high quality, highly detailed, extremely detailed, intricate, sharp focus, trending, award winning,
    photorealistic, realistic, hd, uhd, 4k, 8k, high resolution, professional, aesthetic, stunning, detailed, digital,
    please, draw, show me, i want, there is, this is, i would like, can you make, give me, imagine, for my friend, with love,
    for my mother, just for fun, new, young, tall, short, thin, thick, heavy, soft, smooth, rough, wet, dry, warm,
    fast, slow, quiet, loud, lazy, silly, clever, brave, shy, kind, wild, tame, hungry, lonely, busy,
    magic, magical, fluffy, shiny, ancient, modern, famous, strange, dreamy, epic, fresh, delicious, tasty, juicy, wooden,
    plastic, metal, clean, dirty, empty, simple, complex, real, fake, rare, common, special, normal,
    important, brilliant, pleasant, radiant, vibrant, fantastic, romantic, dramatic, classic, exotic, mystic, majestic,
    happy birthday, art, design, concept, illustration, artwork, poster, wallpaper, logo, icon, style, fantasy, vintage, retro,
    minimal, minimalist, abstract, baroque, gothic, futuristic, nostalgic, whimsical, enchanting, charming, adorable, handsome,
    sitting, standing, running, flying, jumping, dancing, waiting, floating, lying, hanging, looking at me,
    all alone, far away, close up, from the side, wide angle, depth of field, bokeh,
    today, yesterday, again, here, there, now, maybe, only, almost, quite, rather, too, also, still, always, never, somewhere,
    some, one, which, that, it, is, was, and it is, which is, of course, made of
    """.split(",")
)
UNKNOWN_SHARE = 0.3  # of the captions have such words
SYLLABLE_STARTS = (
    *"bcdfghjklmnprstvwyz", "", "", "", "br", "ch", "cl", "cr", "dr", "fl", "gl", "gr", "pl", "pr", "sh", "st", "th", "tr",
)  # fmt: skip
SYLLABLE_VOWELS = (*"aaaeeeeiiioouuy", "ai", "ea", "ee", "ie", "oo", "ou")
SYLLABLE_ENDS = ("", "", "", "", *"bcdglmnnprrsttx", "ck", "ct", "mp", "nd", "ng", "nt", "rd", "rn", "ss", "st")
ENDINGS = (
    "al", "ant", "ed", "ent", "er", "est", "ful", "ian", "ic", "ile", "ine", "ing", "ious", "ish", "ism", "ist", "ity", "ive",
    "less", "like", "ly", "ment", "ness", "ous", "ship", "some", "tion", "ty",
)  # fmt: skip


@cache
def known_words() -> tuple[str, ...]:
    """Every word of the subjects' names and of the colours, in singular and plural."""
    names = [name for subject in SUBJECTS for name in subject.names]
    names += [*COLOUR_NAMES, *(name for others in SYNONYMS.values() for name in others)]
    return tuple(sorted({word for name in names for form in (name, plural(name)) for word in form.split()}))


def made_up_word(rng: random.Random) -> str:
    """Some syllables, often with an ending; or a known word that others have grown onto, which is another word then.

    The tokenizer cuts words it has not seen into pieces, and some pieces are words of their own: "elegant" ends in "ant".
    """

    def syllables(count: int) -> str:
        parts = (SYLLABLE_STARTS, SYLLABLE_VOWELS, SYLLABLE_ENDS)
        return "".join(rng.choice(part) for _ in range(count) for part in parts)

    while True:
        kind = rng.random()
        if kind < 0.65:
            word = syllables(rng.randint(1, 3)) + rng.choice((*ENDINGS, *[""] * len(ENDINGS)))
        elif kind < 0.85:
            word = syllables(rng.randint(1, 2)) + rng.choice(known_words())
        else:
            word = rng.choice(known_words()) + rng.choice(ENDINGS)
        if word not in known_words():
            return word


def unknown_words(rng: random.Random) -> str:
    """One to three of the list, made up, or both."""
    count = rng.choice((1, 1, 1, 2, 2, 3))
    return " ".join(rng.choice(UNKNOWN_WORDS) if rng.random() < 0.55 else made_up_word(rng) for _ in range(count))


def with_unknown_words(text: str, rng: random.Random) -> str:
    """The caption with such words before it, behind it, around it or within, which do not change the picture."""
    where, words = rng.random(), unknown_words(rng)
    if where < 0.2:
        return f"{text}, {words}"
    if where < 0.4:
        return words + rng.choice((" ", " ", " ", ", ")) + text
    if where < 0.55:
        return f"{words} {text}, {unknown_words(rng)}"
    if where < 0.75:
        changed = re.sub(r" (?=(on|in|at|next|and|under|among) )", f" {words} ", text, count=1)
    else:
        article = "an" if words[0] in "aeiou" else "a"
        changed = re.sub(r"\b(a|an) ", f"{article} {words} ", text, count=1)
    return changed if changed != text else f"{text} {words}"


def pick_name(names: tuple[str, ...], rng: random.Random) -> str:
    """The preferred name half of the time, else any."""
    return names[0] if rng.random() < 0.5 else rng.choice(names)


def thing_phrase(subject: Subject, size_word: str, rng: random.Random) -> str:
    """Article, size and name: "a small red apple", "the apple", "small grapes"."""
    phrase = f"{size_word} {pick_name(subject.names, rng)}".strip()
    article = rng.choice(("a", "a", "the", ""))
    if article == "a":
        article = "" if subject.bare else "an" if phrase[0] in "aeiou" else "a"
    return f"{article} {phrase}".strip()


def _things(scene: Scene, rng: random.Random, explicit: bool) -> str:
    first = SUBJECTS[scene.things[0].subject]
    if len(scene.things) == 2:
        second = SUBJECTS[scene.things[1].subject]
        if first is second:
            name = pick_name(first.names, rng)
            return f"two {name}" if first.bare else rng.choice(SAME_WORDINGS).format(things=plural(name))
        wording = rng.choice(BESIDE_WORDINGS if scene.arrangement == "beside" else ABOVE_WORDINGS)
        return wording.format(a=thing_phrase(first, "", rng), b=thing_phrase(second, "", rng))
    thing = scene.things[0]
    words = SIZE_WORDS[list(SIZES)[thing.size]]
    size_word = rng.choice([word for word in words if word] if explicit else words)
    phrase = thing_phrase(first, size_word, rng)
    if explicit or rng.random() < PLACE_NAMED[thing.place != 0]:
        phrase += " " + rng.choice(PLACE_PHRASES[thing.place])
    return phrase


def _on_ground(things: str, scene: Scene, rng: random.Random, explicit: bool) -> str:
    kind, *what = scene.background
    if kind == "setting":
        phrase = rng.choice(SETTING_PHRASES[what[0]])
        return f"{phrase}, {things}" if rng.random() < 0.15 else f"{things} {phrase}"
    named = [pick_name((colour, *SYNONYMS.get(colour, ())), rng) for colour in what]
    if kind == "gradient":
        return rng.choice(GRADIENT_WORDINGS).format(things=things, top=named[0], bottom=named[1])
    ground = "neon" if scene.style == "neon" else "light" if what[0] in LIGHT_COLOURS else "any"
    if not explicit and rng.random() < GROUND_UNNAMED[ground]:
        return things
    return rng.choice(FLAT_WORDINGS).format(things=things, colour=named[0])


def caption(scene: Scene, rng: random.Random, explicit: bool = False) -> str:
    """One wording for a scene; `explicit` names size, place and ground, for measuring."""
    what = _on_ground(_things(scene, rng, explicit), scene, rng, explicit)
    if scene.style == "plain" and rng.random() < 0.4:
        what = rng.choice(OPENINGS) + what
    text = rng.choice(STYLE_WORDINGS[scene.style]).format(what=what).replace(" a orange", " an orange")
    return with_unknown_words(text, rng) if not explicit and rng.random() < UNKNOWN_SHARE else text


def sample_captions(count: int, seed: int) -> list[str]:
    """`count` captions over everything, for the tokenizer's statistics."""
    rng = random.Random(seed)
    return [caption(random_scene(rng), rng) for _ in range(count)]


assert len(PLACE_PHRASES) == len(PLACES) and set(SYNONYMS) <= set(COLOUR_NAMES)
