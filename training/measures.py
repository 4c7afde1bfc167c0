"""What pictures of known scenes show: the measures, each of one picture [128, 128, 3] in 0..1 and its scene.

Things count by the nearest reference (`references`) or by the nearest rendering among all that the question allows: of a
subject, a colour, a count, a relation. What a caption leaves open, designers and poses, is taken as it fits best.
"""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from . import references
from .backgrounds import VARIANTS
from .common import psnr
from .drawings import designers_of
from .render import render
from .scene import (
    ARRANGEMENTS, CELL, COUNTS, IMAGE, NEVER_MIRRORED, PLACES, RELATIONS, SIZES, THING_COLOURS, Scene, Thing, boxes, named_otherwise, upright,
)  # fmt: skip
from .subjects import SUBJECTS


def outside(scene: Scene) -> np.ndarray:
    """Which pixels [128, 128] lie outside all boxes."""
    clear = np.ones((IMAGE, IMAGE), dtype=bool)
    for side, left, top in boxes(scene):
        clear[top : top + side, left : left + side] = False
    return clear


def best_variant(picture: np.ndarray, scene: Scene) -> int:
    """The drawing of the ground or of the wash that fits outside the boxes."""
    if scene.background[0] != "setting" and scene.style != "watercolor":
        return 0
    clear = outside(scene)
    errors = [np.square(render(scene, variant) - picture)[clear].mean() for variant in range(VARIANTS)]
    return int(np.argmin(errors))


def _flips(things: tuple[Thing, ...]) -> Iterable[tuple[Thing, ...]]:
    """All ways to mirror them; the same thing several times is mirrored alike."""
    distinct = list(dict.fromkeys(things))
    ways = [(False,) if SUBJECTS[thing.subject].glyph in NEVER_MIRRORED else (False, True) for thing in distinct]
    for flags in itertools.product(*ways):
        flipped = {thing: replace(thing, mirrored=flag) for thing, flag in zip(distinct, flags)}
        yield tuple(flipped[thing] for thing in things)


def closest(picture: np.ndarray, scenes: Iterable[Scene], variant: int) -> Scene:
    """The scene whose rendering is nearest."""
    return min(scenes, key=lambda scene: float(np.square(render(scene, variant) - picture).mean()))


def designed(scene: Scene) -> Iterable[Scene]:
    """The scene as each designer and pose would have it."""
    scene = upright(scene)
    for designer in designers_of(*(thing.subject for thing in scene.things)):
        for things in _flips(scene.things):
            yield replace(scene, designer=designer, things=things)


def best_pose(picture: np.ndarray, scene: Scene, variant: int) -> Scene:
    """The scene as the designer and the poses have it that fit best, and that drawing of its arrangement."""
    first = closest(picture, designed(scene), variant)
    if scene.arrangement == "one":
        return first
    layouts = [replace(first, variant=number) for number in range(len(ARRANGEMENTS[scene.arrangement]))]
    return closest(picture, designed(closest(picture, layouts, variant)), variant)


def nearest_subject(picture: np.ndarray, posed: Scene, index: int, variant: int) -> int:
    """The subject that thing `index` looks most like: among all drawings, or in another style among its designer's."""
    side, left, top = boxes(posed)[index]
    if posed.style == "plain" and not posed.things[index].colour:
        return references.nearest(picture, (side, left, top)).subject
    area = (slice(top, top + side), slice(left, left + side))
    things, errors = list(posed.things), {}
    for subject in range(len(SUBJECTS)):
        if posed.designer not in designers_of(subject):
            continue
        things[index] = replace(posed.things[index], subject=subject)
        errors[subject] = float(
            np.square(render(replace(posed, things=tuple(things)), variant)[area] - picture[area]).mean()
        )
    return min(errors, key=errors.__getitem__)


def place_error(picture: np.ndarray, posed: Scene, variant: int, reach: int = 5) -> float:
    """How far, in pixels, the single thing lies from its place: the shift of its rendering that fits best."""
    reference, empty = render(posed, variant), render(replace(posed, things=()), variant)
    side, left, top = boxes(posed)[0]
    stamp = reference[top : top + side, left : left + side]
    best, distance = np.inf, 0.0
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            y, x = top + down * CELL, left + right * CELL
            if not (0 <= y <= IMAGE - side and 0 <= x <= IMAGE - side):
                continue
            shifted = empty.copy()
            shifted[y : y + side, x : x + side] = stamp
            error = np.square(shifted - picture).mean()
            if error < best:
                best, distance = error, CELL * float(np.hypot(down, right))
    return distance


def ground_error(picture: np.ndarray, scene: Scene) -> float | None:
    """Mean CIEDE2000 difference to a flat or graded ground outside the boxes; None for settings and altered grounds."""
    if scene.background[0] == "setting" or scene.style not in (
        "plain",
        "line drawing",
        "silhouette",
        "sticker",
        "sepia",
    ):
        return None
    clear = outside(scene)
    if clear.sum() < 64:
        return None
    target = render(replace(scene, things=()))
    return float(deltaE_ciede2000(rgb2lab(picture[clear]), rgb2lab(target[clear])).mean())


def fidelity(picture: np.ndarray, scene: Scene) -> dict:
    """Subjects, ground, place and nearness to the best rendering."""
    variant = best_variant(picture, scene)
    posed = best_pose(picture, scene, variant)
    seen = [nearest_subject(picture, posed, index, variant) for index in range(len(scene.things))]
    target = torch.from_numpy(render(posed, variant)).permute(2, 0, 1)[None] * 2 - 1
    drawn = torch.from_numpy(picture).permute(2, 0, 1)[None] * 2 - 1
    record = {
        "seen": [SUBJECTS[subject].names[0] for subject in seen],
        "right": all(subject == thing.subject for subject, thing in zip(seen, scene.things)),
        "ground": ground_error(picture, scene),
        "psnr": psnr(drawn, target).item(),
    }
    if scene.arrangement == "one":
        record["place"] = place_error(picture, posed, variant)
    return record


def colour_seen(picture: np.ndarray, scene: Scene) -> str:
    """The colour of THING_COLOURS of which the single thing's rendering is nearest; "" is its own."""
    variant = best_variant(picture, scene)
    posed, thing = best_pose(picture, scene, variant), scene.things[0]
    colours = ["", *(colour for colour in THING_COLOURS if not named_otherwise(thing.subject, colour))]
    others = [replace(posed, things=(replace(posed.things[0], colour=colour),)) for colour in colours]
    seen = closest(picture, others, variant)
    return (
        closest(
            picture, (one for two in (posed, seen) for colour in colours for one in _coloured(two, colour)), variant
        )
        .things[0]
        .colour
    )


def _coloured(posed: Scene, colour: str) -> Iterable[Scene]:
    for scene in designed(posed):
        if scene.things[0].mirrored == posed.things[0].mirrored:
            yield replace(scene, things=(replace(scene.things[0], colour=colour),))


def _shown(picture: np.ndarray, scene: Scene) -> list[bool]:
    """Of each thing, in its own colour, whether its box looks like it most of all subjects."""
    return [references.nearest(picture, box).subject == thing.subject for thing, box in zip(scene.things, boxes(scene))]


def count_seen(picture: np.ndarray, scene: Scene) -> str:
    """The one of COUNTS of which a rendering of the scene's subject is nearest; "" where most of its boxes show others."""
    variant, thing = best_variant(picture, scene), scene.things[0]
    found = references.find(picture, 1, (thing.subject,))
    like = found[0].reference if found else references.Reference(thing.subject, scene.designer, False)
    thing = replace(thing, mirrored=like.mirrored, lean=0)
    several = [
        replace(
            scene,
            things=(thing,) * (number + 1),
            arrangement=count,
            variant=layout,
            designer=like.designer,
            shadow=False,
        )
        for number, count in enumerate(COUNTS[1:], 1)
        for layout in range(len(ARRANGEMENTS[count]))
    ]
    alone = [
        replace(several[0], things=(thing,), arrangement="one", size=size, place=place)
        for size in range(len(SIZES))
        for place in range(len(PLACES))
        if size < 2 or place == 0
    ]
    seen = closest(picture, [*several, *alone], variant)
    return seen.arrangement if sum(_shown(picture, seen)) * 2 > len(seen.things) else ""


def relation_seen(picture: np.ndarray, scene: Scene) -> tuple[str, bool]:
    """The one of RELATIONS of which a rendering of the scene's two subjects is nearest, "" where a box shows another; and whether
    in the scene's order."""
    variant = best_variant(picture, scene)
    likes = [references.find(picture, 1, (thing.subject,)) for thing in scene.things]
    designers = designers_of(*(thing.subject for thing in scene.things))
    designer = next(
        (found[0].reference.designer for found in likes if found and found[0].reference.designer in designers),
        designers[0],
    )
    things = tuple(
        replace(thing, lean=0, mirrored=bool(found) and found[0].reference.mirrored)
        for thing, found in zip(scene.things, likes)
    )
    ways = [
        replace(scene, things=order, arrangement=relation, variant=layout, designer=designer, shadow=False)
        for relation in RELATIONS
        for layout in range(len(ARRANGEMENTS[relation]))
        for order in (things, things[::-1])
    ]
    seen = closest(picture, ways, variant)
    return (seen.arrangement if all(_shown(picture, seen)) else ""), seen.things == things


def relation_right(picture: np.ndarray, scene: Scene) -> bool:
    """Whether the two things lie as they should; which one is left and which one right does not count."""
    relation, in_order = relation_seen(picture, scene)
    return relation == scene.arrangement and (in_order or relation == "beside")


def diversity(pictures: torch.Tensor) -> float:
    """Mean distance (root of the mean squared difference, of 255) between pictures of one caption, other seeds."""
    return float(torch.pdist(pictures.flatten(1) * 127.5).mean() / pictures[0].numel() ** 0.5)


def variety(pictures: list[np.ndarray], subject: int) -> dict:
    """Of some seeds of a caption that leaves it open: how many designers, and the share that is mirrored among drawings that
    look otherwise then (None where there is none)."""
    found = [references.find(picture, 1, (subject,)) for picture in pictures]
    likes = [one[0].reference for one in found if one]
    never = SUBJECTS[subject].glyph in NEVER_MIRRORED
    sided = [like.mirrored for like in likes if not never and references.sided(replace(like, mirrored=False))]
    return {"designers": len({like.designer for like in likes}), "mirrored": float(np.mean(sided)) if sided else None}


def present(picture: np.ndarray, wanted: tuple[frozenset[int], ...]) -> list[bool]:
    """Of each wanted thing whether one of the subjects that may stand for it is among the plainest things found."""
    seen = [found.reference.subject for found in references.find(picture, len(wanted) + 2)]
    return [any(subject in meant for subject in seen) for meant in wanted]
