"""Shows that the measures are right, on renderings: right ones must score high, wrong ones near chance. Fails otherwise.

python -m training.check_measures
"""

import argparse
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from . import measures
from .backgrounds import VARIANTS
from .drawings import designers_of
from .render import render
from .scene import (
    ARRANGEMENTS,
    COUNTS,
    RELATIONS,
    THING_COLOURS,
    Scene,
    Thing,
    named_otherwise,
    random_scene,
    random_thing,
)
from .subjects import SUBJECTS


@dataclass(frozen=True)
class Check:
    """What share a measure must give its own renderings at least, and wrong ones at most."""

    name: str
    measured: Callable[[np.ndarray, Scene], bool]
    scene: Callable[[random.Random], Scene]
    wrong: Callable[
        [Scene, random.Random], Scene
    ]  # another scene whose rendering the measure must not take for this one
    least: float
    most: float


def _scenes(**shares) -> Callable[[random.Random], Scene]:
    return lambda rng: random_scene(rng, **{"plain": 1.0, "coloured": 0.0, **shares})


def _other_subjects(scene: Scene, rng: random.Random) -> Scene:
    while True:
        numbers = rng.sample(range(len(SUBJECTS)), len(scene.things))
        if designers_of(*numbers) and not set(numbers) & {thing.subject for thing in scene.things}:
            things = tuple(replace(thing, subject=number) for thing, number in zip(scene.things, numbers))
            return replace(scene, things=things, designer=rng.choice(designers_of(*numbers)))


def _one_other(scene: Scene, rng: random.Random) -> Scene:
    """Only the last thing is another one."""
    other = _other_subjects(scene, rng)
    things = (*scene.things[:-1], other.things[-1])
    designers = designers_of(*(thing.subject for thing in things))
    return replace(scene, things=things, designer=rng.choice(designers))


def _other_colour(scene: Scene, rng: random.Random) -> Scene:
    colour = rng.choice([colour for colour in ("", *THING_COLOURS) if colour != scene.things[0].colour])
    return replace(scene, things=(replace(scene.things[0], colour=colour),))


def _coloured(rng: random.Random) -> Scene:
    while True:
        scene = random_scene(rng, plain=1.0, coloured=1.0, kinds={"one": 1.0})
        thing = scene.things[0]
        if thing.colour and not named_otherwise(thing.subject, thing.colour):
            return scene


def _other_count(scene: Scene, rng: random.Random) -> Scene:
    count = rng.choice([count for count in COUNTS[1:] if count != scene.arrangement])
    return replace(scene, things=(scene.things[0],) * (COUNTS.index(count) + 1), arrangement=count)


def _other_relation(scene: Scene, rng: random.Random) -> Scene:
    relation = rng.choice([relation for relation in RELATIONS if relation != scene.arrangement])
    return replace(scene, arrangement=relation, variant=rng.randrange(len(ARRANGEMENTS[relation])))


def _present(picture: np.ndarray, scene: Scene) -> bool:
    return all(measures.present(picture, tuple(frozenset({thing.subject}) for thing in dict.fromkeys(scene.things))))


CHECKS = (
    Check("subject", lambda p, s: measures.fidelity(p, s)["right"], _scenes(kinds={"one": 1.0}), _other_subjects, 0.95, 0.05),
    Check("both of a pair", lambda p, s: measures.fidelity(p, s)["right"],
          _scenes(kinds={"relation": 1.0}, posed=False), _one_other, 0.85, 0.1),
    Check("three things", lambda p, s: measures.fidelity(p, s)["right"], _scenes(kinds={"together": 1.0}), _one_other, 0.85, 0.1),
    Check("colour", lambda p, s: measures.colour_seen(p, s) == s.things[0].colour, _coloured, _other_colour, 0.9, 0.15),
    Check("count", lambda p, s: measures.count_seen(p, s) == s.arrangement, _scenes(kinds={"count": 1.0}), _other_count, 0.9, 0.1),
    Check("relation", measures.relation_right, _scenes(kinds={"relation": 1.0}), _other_relation, 0.9, 0.15),
    Check("present", _present, _scenes(kinds={"one": 1.0}), _other_subjects, 0.85, 0.05),
)  # fmt: skip


def shares(check: Check, count: int) -> tuple[float, float]:
    """What the measure gives right renderings and wrong ones."""
    rng = random.Random(check.name)
    right = wrong = 0
    for _ in range(count):
        scene = check.scene(rng)
        right += check.measured(render(scene, rng.randrange(VARIANTS)), scene)
        wrong += check.measured(render(check.wrong(scene, rng), rng.randrange(VARIANTS)), scene)
    return right / count, wrong / count


def varied(count: int, seeds: int = 8) -> dict[bool, dict[str, float]]:
    """Of renderings that vary, and of such as do not: the share of subjects with four designers, the mirrored share and the
    mean distance; of the latter none is mirrored."""
    rng = random.Random("variety")
    figures = {True: [], False: []}
    for _ in range(count):
        first = random_scene(rng, plain=1.0, kinds={"one": 1.0}, coloured=0.0)
        subject = first.things[0].subject
        first = replace(first, things=(Thing(subject),))
        others = [replace(first, designer=rng.choice(designers_of(subject)),
                          things=(random_thing(rng, subject, 0.0, ()),)) for _ in range(seeds)]  # fmt: skip
        for vary, scenes in ((True, others), (False, [first] * seeds)):
            pictures = [render(scene) for scene in scenes]
            spread = measures.diversity(torch.from_numpy(np.stack(pictures)) * 2)
            figures[vary].append(measures.variety(pictures, subject) | {"spread": spread})
    return {
        vary: {
            "four": float(np.mean([one["designers"] >= 4 for one in found])),
            "mirrored": float(np.mean([one["mirrored"] for one in found if one["mirrored"] is not None])),
            "spread": float(np.mean([one["spread"] for one in found])),
        }
        for vary, found in figures.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=48, help="scenes of each measure")
    args = parser.parse_args()
    failed = []
    for check in CHECKS:
        right, wrong = shares(check, args.count)
        print(f"{check.name}: right renderings {right:.1%} (at least {check.least:.0%}), "
              f"wrong ones {wrong:.1%} (at most {check.most:.0%})", flush=True)  # fmt: skip
        if right < check.least or wrong > check.most:
            failed.append(check.name)
    found = varied(args.count // 2)
    for vary, figures in found.items():
        name = "varied" if vary else "unvaried"
        print(f"{name} renderings: four designers {figures['four']:.1%}, mirrored {figures['mirrored']:.1%}, "
              f"{figures['spread']:.1f} of 255 apart")  # fmt: skip
    good, flat = found[True], found[False]
    if good["four"] < 0.8 or not 0.35 <= good["mirrored"] <= 0.65 or good["spread"] < 5:
        failed.append("variety where there is some")
    if flat["four"] > 0 or flat["mirrored"] > 0.1 or flat["spread"] > 0.01:
        failed.append("variety where there is none")
    if failed:
        sys.exit(f"not to be trusted: {', '.join(failed)}")


if __name__ == "__main__":
    main()
