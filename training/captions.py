"""The words: many ways to say what a scene shows."""

import random
import re
from functools import cache

from .drawings import DESIGNERS
from .scene import COLOUR_NAMES, COUNTS, LIGHT_COLOURS, PLACES, SETTINGS, SIZES, STYLES, Scene, Thing, random_scene
from .subjects import SUBJECTS, WORDS, plural

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
    "grass": ("on grass", "on the grass", "in a meadow", "on a green meadow", "in the garden"),
    "water": ("under water", "underwater", "in the sea", "at the bottom of the sea"),
    "snow": ("in the snow", "in the snow", "in winter"),
    "desert": ("in the desert", "in the desert", "on sand"),
    "sunset": ("at sunset", "at sunset", "in the evening"),
    "space": ("in space", "in outer space", "among the stars in space"),
    "room": ("in a room", "in a room", "in the living room", "in my room", "at home"),
    "table": ("on a kitchen table", "on the table", "on a table", "in the kitchen"),
    "beach": ("on the beach", "at the beach", "by the sea"),
    "forest": ("in a forest", "in the forest", "in the woods"),
    "city": ("in the city", "in a city", "in the street", "in town"),
    "mountains": ("in the mountains", "in the mountains", "in front of mountains"),
    "sky": ("in the clouds", "in the sky", "in the clouds", "flying in the sky"),
}
NIGHT_PHRASES = ("{where} at night", "{where} at night", "{where} in the dark", "at night {where}")
WEATHER_PHRASES = {
    "rain": ("in the rain", "in the rain", "on a rainy day"),
    "snowfall": ("while it is snowing", "in falling snow", "on a snowy day"),
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
    "chalk": ("{what}, chalk", "chalk drawing of {what}", "{what} drawn with chalk"),
    "stained glass": ("{what}, stained glass", "stained glass of {what}", "a stained glass window of {what}"),
    "paper cut": ("{what}, paper cut", "a paper cut of {what}", "{what} cut out of paper"),
    "embroidery": ("{what}, embroidery", "an embroidery of {what}", "{what} embroidered"),
}
DESIGNER_WORDINGS = ("{word} {what}", "{what}, {word}", "{what} in {word} style", "{word} picture of {what}")

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
ABOVE_WORDINGS = ("{a} above {b}", "{a} above {b}", "{a} on top of {b}", "{a} over {b}", "{b} below {a}", "{b} under {a}")
RELATION_WORDINGS = {
    "beside": BESIDE_WORDINGS,
    "above": ABOVE_WORDINGS,
    "behind": ("{a} behind {b}", "{a} behind {b}", "{b} in front of {a}", "{b} in front of {a}"),
    "around": ("{b} inside {a}", "{b} in {a}", "{a} with {b} inside", "{a} around {b}"),
    "bigger": ("{a} bigger than {b}", "{b} smaller than {a}", "a big {A} and a small {B}", "a little {B} with a big {A}"),
}
TOGETHER_WORDINGS = ("{a}, {b} and {c}", "{a}, {b} and {c}", "{a} and {b} and {c}", "{a} with {b} and {c}")
COUNT_WORDINGS = {
    "two": ("two {things}", "two {things}", "2 {things}", "a pair of {things}"),
    "three": ("three {things}", "three {things}", "3 {things}"),
    "four": ("four {things}", "four {things}", "4 {things}"),
    "five": ("five {things}", "five {things}", "5 {things}"),
}
ANY_COUNT_WORDINGS = ("{things}", "some {things}", "many {things}", "a group of {things}")
ROW_WORDINGS = ("a row of {count} {things}", "{count} {things} in a row")
SAME_WORDINGS = (*COUNT_WORDINGS["two"], *ANY_COUNT_WORDINGS)

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
    magic, magical, fluffy, ancient, modern, famous, strange, dreamy, epic, fresh, delicious, tasty, juicy, wooden,
    plastic, metal, clean, dirty, empty, simple, complex, fake, rare, common, special, normal,
    important, brilliant, pleasant, radiant, vibrant, fantastic, romantic, dramatic, exotic, mystic, majestic,
    happy birthday, art, design, concept, illustration, artwork, poster, wallpaper, logo, icon, style, fantasy,
    vintage, minimalist, abstract, baroque, gothic, futuristic, nostalgic, whimsical, enchanting, charming, adorable,
    handsome,
    sitting, standing, running, jumping, dancing, waiting, floating, lying, hanging, looking at me,
    all alone, far away, close up, from the side, wide angle, depth of field, bokeh,
    today, yesterday, again, there, now, maybe, only, almost, quite, rather, too, also, still, always, never, somewhere,
    which, that, it, is, was, and it is, which is, of course, made of
    """.split(",")
)
UNKNOWN_SHARE = 0.3  # of the captions have such words
SENTENCES = (
    "my {what}", "there is {what}", "here is {what}", "i want {what}", "look at {what}", "can you draw {what}", "draw me {what}",
    "{what} please", "this is {what}", "i like {what}", "we saw {what}", "{what} for my sister",
    "once upon a time there was {what}",
)  # fmt: skip
SENTENCE_SHARE, TYPO_SHARE, WORD_SHARE = 0.12, 0.04, 0.2
NOTHING_WORDINGS = ("{x}", "a {x}", "the {x}", "a {x} and a {x}", "my {x} is {x}", "{x} {x} {x}", "the word {x}", "{x} of {x}")
# Things that nobody here has drawn, as people ask for them; those of `evaluate` are others.
UNKNOWN_THINGS = tuple(
    " ".join(phrase.split())
    for phrase in """
    astronaut, bridge, president, paris, london, kangaroo, jellyfish, submarine, waterfall, knight, policeman, teacher,
    doctor, farmer, dancer, spoon, fork, plate, bottle, pillow, curtain, ladder, bucket, sandcastle, windmill, lighthouse,
    playground, swing, slide, zoo, school, hospital, portrait, mandala, calligraphy, equation, map, flag, 
    dream, freedom, peace, monday, physics, democracy, nothing, everything, hello, hello world, asdf, test, lorem ipsum
    """.split(",")
)
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
    """Every word of the subjects' names, of the other words for them and of the colours, in singular and plural."""
    names = [name for subject in SUBJECTS for name in subject.names] + [word for words in WORDS.values() for word in words]
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


def called(subject: int, rng: random.Random) -> str:
    """One of the subject's names, or another word that may mean it."""
    names = SUBJECTS[subject].names
    words = WORDS.get(names[0])
    return rng.choice(words) if words and rng.random() < WORD_SHARE else pick_name(names, rng)


def without_colour(name: str) -> str:
    """The name without a colour's: the apple of "red apple", where it is blue."""
    return " ".join(word for word in name.split() if word not in COLOUR_NAMES) or name


def thing_phrase(thing: Thing, size_word: str, rng: random.Random, explicit: bool = False) -> str:
    """Article, size, colour and name: "a small red apple", "the blue elephant", "small grapes"."""
    subject = SUBJECTS[thing.subject]
    name = pick_name(subject.names, rng) if explicit else called(thing.subject, rng)
    name = f"{thing.colour} {without_colour(name)}" if thing.colour else name
    phrase = f"{size_word} {name}".strip()
    article = rng.choice(("a", "a", "the", ""))
    if article == "a":
        article = "" if subject.bare else "an" if phrase[0] in "aeiou" else "a"
    return f"{article} {phrase}".strip()


def _several(scene: Scene, rng: random.Random, explicit: bool) -> str:
    thing = scene.things[0]
    subject = SUBJECTS[thing.subject]
    name = pick_name(subject.names, rng) if explicit else called(thing.subject, rng)
    name = name if subject.bare else plural(name)
    name = f"{thing.colour} {without_colour(name)}" if thing.colour else name
    wordings = COUNT_WORDINGS[scene.arrangement]
    in_row = {"three": 0, "four": 1}.get(scene.arrangement) == scene.variant % 2
    if in_row and rng.random() < 0.3:
        return rng.choice(ROW_WORDINGS).format(count=scene.arrangement, things=name)
    return rng.choice(wordings if explicit or rng.random() < 0.85 else ANY_COUNT_WORDINGS).format(things=name)


def _things(scene: Scene, rng: random.Random, explicit: bool) -> str:
    if scene.arrangement in COUNTS[1:]:
        return _several(scene, rng, explicit)
    if scene.arrangement != "one":
        wordings = RELATION_WORDINGS.get(scene.arrangement, TOGETHER_WORDINGS)
        wording = rng.choice(wordings[2:] if explicit and scene.arrangement == "above" else wordings)
        phrases = [thing_phrase(thing, "", rng, explicit) for thing in scene.things]
        bare = [re.sub(r"^(an?|the) ", "", phrase) for phrase in phrases]
        return wording.format(**dict(zip("abc", phrases)), **dict(zip("ABC", bare)))
    words = SIZE_WORDS[list(SIZES)[scene.size]]
    size_word = rng.choice([word for word in words if word] if explicit else words)
    phrase = thing_phrase(scene.things[0], size_word, rng, explicit)
    if explicit or rng.random() < PLACE_NAMED[scene.place != 0]:
        phrase += " " + rng.choice(PLACE_PHRASES[scene.place])
    return phrase


def _on_ground(things: str, scene: Scene, rng: random.Random, explicit: bool) -> str:
    kind, *what = scene.background
    if kind == "setting":
        phrase = rng.choice(SETTING_PHRASES[what[0]])
        phrase = rng.choice(NIGHT_PHRASES).format(where=phrase) if what[1:] == ["night"] else phrase
        phrase += f" {rng.choice(WEATHER_PHRASES[scene.weather])}" if scene.weather else ""
        return f"{phrase}, {things}" if rng.random() < 0.15 else f"{things} {phrase}"
    named = [pick_name((colour, *SYNONYMS.get(colour, ())), rng) for colour in what]
    if kind == "gradient":
        return rng.choice(GRADIENT_WORDINGS).format(things=things, top=named[0], bottom=named[1])
    ground = "neon" if scene.style in ("neon", "chalk") else "light" if what[0] in LIGHT_COLOURS else "any"
    if not explicit and rng.random() < GROUND_UNNAMED[ground]:
        return things
    return rng.choice(FLAT_WORDINGS).format(things=things, colour=named[0])


def mistyped(text: str, rng: random.Random) -> str:
    """One letter of a long word lost, doubled, swapped with the next or another one."""
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    index = rng.choice(long)
    word, at = words[index], rng.randrange(1, len(words[index]) - 1)
    words[index] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :],
        )
    )
    return " ".join(words)


def nothing_known(rng: random.Random) -> str:
    """A caption that names nothing anybody has drawn: the picture is a question mark."""
    words = NOTHING_WORDINGS
    text = re.sub("{x}", lambda _: made_up_word(rng) if rng.random() < 0.7 else rng.choice(UNKNOWN_THINGS), rng.choice(words))
    return f"{text} {rng.choice(SETTING_PHRASES[rng.choice(SETTINGS)])}" if rng.random() < 0.1 else text


def caption(scene: Scene, rng: random.Random, explicit: bool = False) -> str:
    """One wording for a scene; `explicit` names size, place, count and ground, by the subjects' own names, for measuring."""
    if scene.unknown:
        return nothing_known(rng)
    things = _things(scene, rng, explicit)
    sentence = not explicit and rng.random() < SENTENCE_SHARE
    if sentence:
        things = re.sub(r"^my (an?|the) ", "my ", rng.choice(SENTENCES).format(what=things))
    what = _on_ground(things, scene, rng, explicit)
    if scene.style == "plain" and not sentence and rng.random() < 0.4:
        what = rng.choice(OPENINGS) + what
    text = rng.choice(STYLE_WORDINGS[scene.style]).format(what=what)
    if scene.designer_named:
        text = rng.choice(DESIGNER_WORDINGS).format(what=text, word=rng.choice(DESIGNERS[scene.designer].words))
    text = text.replace(" a orange", " an orange")
    if explicit:
        return text
    text = with_unknown_words(text, rng) if rng.random() < UNKNOWN_SHARE else text
    return mistyped(text, rng) if rng.random() < TYPO_SHARE else text


def sample_captions(count: int, seed: int) -> list[str]:
    """`count` captions over everything, for the tokenizer's statistics."""
    rng = random.Random(seed)
    return [caption(random_scene(rng), rng) for _ in range(count)]


assert len(PLACE_PHRASES) == len(PLACES) and set(SYNONYMS) <= set(COLOUR_NAMES)
assert set(SETTING_PHRASES) == set(SETTINGS) and set(STYLE_WORDINGS) == set(STYLES)
