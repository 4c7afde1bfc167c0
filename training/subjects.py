"""What the embedded model can draw: 64 emoji, and the names people give them."""

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """One emoji and its names, the preferred one first."""

    glyph: str
    names: tuple[str, ...]


def _subject(glyph: str, *names: str) -> Subject:
    """A subject whose last name is the Unicode one, unless that describes typography.

    "HEAVY BLACK HEART" is a red heart and "WHITE MEDIUM STAR" a yellow star: "black" and "white" there
    mean filled and hollow, so such names are left out.
    """
    unicode_name = unicodedata.name(glyph).lower().replace("-", " ")
    typographic = {"black", "white"} & set(unicode_name.split())
    if unicode_name not in names and not typographic:
        names += (unicode_name,)
    return Subject(glyph, names)


SUBJECTS: tuple[Subject, ...] = (
    # Food
    _subject("🍎", "red apple", "apple"),
    _subject("🍌", "banana"),
    _subject("🍓", "strawberry"),
    _subject("🍉", "watermelon", "slice of watermelon"),
    _subject("🍍", "pineapple"),
    _subject("🍒", "cherries", "cherry"),
    _subject("🍇", "grapes", "bunch of grapes"),
    _subject("🍋", "lemon"),
    _subject("🥕", "carrot"),
    _subject("🍄", "mushroom", "toadstool"),
    _subject("🍕", "pizza", "slice of pizza"),
    _subject("🍔", "hamburger", "burger"),
    _subject("🍦", "ice cream", "ice cream cone"),
    _subject("🍩", "doughnut", "donut"),
    _subject("☕", "coffee cup", "cup of coffee", "coffee"),
    # Animals
    _subject("🐱", "cat", "cat face", "kitten"),
    _subject("🐶", "dog", "dog face", "puppy"),
    _subject("🐼", "panda", "panda face"),
    _subject("🦊", "fox", "fox face"),
    _subject("🐸", "frog", "frog face"),
    _subject("🦁", "lion", "lion face"),
    _subject("🐷", "pig", "pig face"),
    _subject("🐰", "rabbit", "rabbit face", "bunny"),
    _subject("🐻", "bear", "bear face"),
    _subject("🐧", "penguin"),
    _subject("🦉", "owl"),
    _subject("🐢", "turtle", "tortoise"),
    _subject("🐙", "octopus"),
    _subject("🐠", "tropical fish", "fish"),
    _subject("🦋", "butterfly"),
    _subject("🐝", "bee", "honey bee"),
    _subject("🐞", "ladybug", "ladybird"),
    _subject("🐳", "whale", "blue whale"),
    # Faces and fantasy
    _subject("😀", "smiling face", "happy face", "smiley"),
    _subject("😎", "face with sunglasses", "cool face"),
    _subject("😍", "face with heart eyes", "face in love"),
    _subject("😭", "crying face", "sad face"),
    _subject("😡", "angry face", "red angry face"),
    _subject("👻", "ghost"),
    _subject("👽", "alien"),
    _subject("🤖", "robot", "robot face"),
    _subject("🎃", "halloween pumpkin", "pumpkin"),
    _subject("💀", "skull"),
    # Plants
    _subject("🌻", "sunflower"),
    _subject("🌹", "rose", "red rose"),
    _subject("🌵", "cactus"),
    _subject("🌲", "fir tree", "tree", "christmas tree"),
    _subject("🍀", "four leaf clover", "clover"),
    _subject("🌸", "cherry blossom", "pink flower"),
    # Vehicles and things
    _subject("🚀", "rocket"),
    _subject("🚗", "car", "red car"),
    _subject("⛵", "sailboat", "boat"),
    _subject("🎈", "balloon", "red balloon"),
    _subject("🎁", "gift", "present"),
    _subject("⚽", "soccer ball", "football"),
    _subject("👑", "crown", "golden crown"),
    _subject("❤", "red heart", "heart"),
    _subject("💎", "diamond", "gem"),
    _subject("🏠", "house"),
    # Sky and weather
    _subject("🌈", "rainbow"),
    _subject("⭐", "star", "yellow star"),
    _subject("🌞", "sun", "smiling sun"),
    _subject("⛄", "snowman"),
    _subject("🌙", "moon", "crescent moon"),
)
