"""Measures what `opengen train` teaches mini: made-up things and a style, each from a few pictures drawn here.

python -m training.evaluate_training --opengen target/release/opengen --out work/taught
python -m training.evaluate_training --opengen target/release/opengen --out work/taught --runs none preset no-prior --sets zorp

**Recognised**: of all renderings that the prompt allows (the 372 subjects, all made-up things in all poses, mirrored or not, and those
in two other colours; three sizes, moved and scaled a little) the picture is nearest to one of the thing in its own colours. Nearest is
what has the largest cosine once the ground is taken off both: how faint a thing is drawn, in watercolour or as neon, does not count. For
a style: by squared error, the ground too, nearest to the subject asked for in that style, among the other styles and among the other
subjects. **Kind kept**: the first for the kind alone, which must still be what it was. **Subjects kept**: `evaluate`'s subject accuracy
on held-out scenes of single things.

Before anything is taught the test is held against renderings, right ones and wrong ones, and with the run "none" against pictures of the
model as it is: it fails where right ones do not score high or others do not score low.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d, affine_grid, grid_sample, interpolate, normalize

from . import made_up
from .backgrounds import VARIANTS
from .common import psnr
from .draw import as_arrays, generate_with_opengen, to_tensor
from .evaluate import Draw, fidelity
from .made_up import STYLE, STYLE_SHOWN, THINGS, TURNS, MadeUp, printed, subject_called
from .measures import best_variant
from .render import render
from .scene import FIRST_STYLES, FIRST_SUBJECTS, LARGE, NEVER_MIRRORED, SIZES, Scene, Thing
from .subjects import SUBJECTS

GRAIN = 16  # cells a side that pictures and renderings are brought to
SCALES = (0.86, 0.93, 1.0, 1.07, 1.14)
SHIFTS = (-8, -4, 0, 4, 8)  # pixels


@dataclass(frozen=True)
class Setting:
    """A prompt with a gap, and how the renderer draws the same: a style, and the grounds that may come."""

    prompt: str
    style: str
    grounds: tuple[tuple[str, ...], ...]


SETTINGS = (
    Setting("{} in the snow", "plain", (("setting", "snow"),)),
    Setting("neon sign of {}", "neon", (("flat", "black"), ("flat", "dark blue"))),
    Setting("pixel art of {} on a purple background", "pixel art", (("flat", "purple"),)),
    Setting("{} on grass", "plain", (("setting", "grass"),)),
    Setting("watercolor of {} on a light blue background", "watercolor", (("flat", "light blue"),)),
    Setting("{} in space", "plain", (("setting", "space"),)),
    Setting("sticker of {} on a red background", "sticker", (("flat", "red"),)),
    Setting("{} under water", "plain", (("setting", "water"),)),
)


def with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def coarse(pictures: np.ndarray) -> torch.Tensor:
    """[N, 128, 128, 3] in 0..1 -> [N, 3, 16, 16]."""
    values = torch.from_numpy(np.ascontiguousarray(pictures)).float().permute(0, 3, 1, 2)
    return adaptive_avg_pool2d(values, GRAIN)


def views(picture: np.ndarray) -> torch.Tensor:
    """The picture moved and scaled a little in all ways, [V, 3 · 16 · 16]; what comes in from outside is as the edge."""
    half = len(picture) / 2
    ways = [
        [[1 / scale, 0, -right / half], [0, 1 / scale, -down / half]]
        for scale in SCALES for right in SHIFTS for down in SHIFTS
    ]  # fmt: skip
    values = torch.from_numpy(picture.copy()).float().permute(2, 0, 1)[None]
    small = adaptive_avg_pool2d(values, GRAIN)
    grid = affine_grid(torch.tensor(ways), [len(ways), 3, GRAIN, GRAIN], align_corners=False)
    moved = grid_sample(small.expand(len(ways), -1, -1, -1), grid, padding_mode="border", align_corners=False)
    return moved.flatten(1)


@dataclass(frozen=True)
class Renderings:
    """What a picture may be nearest to: values [N, 3 · 16 · 16], what each shows, and the ground of all of them [1, 3 · 16 · 16]."""

    values: torch.Tensor
    shown: tuple[str, ...]
    ground: torch.Tensor

    @staticmethod
    def of(made: list[tuple[str, np.ndarray]], ground: np.ndarray | None = None) -> "Renderings":
        values = coarse(np.stack([picture for _, picture in made])).flatten(1)
        behind = torch.zeros_like(values[:1]) if ground is None else coarse(ground[None]).flatten(1)
        return Renderings(values, tuple(name for name, _ in made), behind)

    def nearest(self, picture: np.ndarray) -> str:
        """What is shown by the one with the least squared error."""
        at = int(torch.cdist(views(picture), self.values).argmin())
        return self.shown[at % len(self.shown)]

    def most_alike(self, picture: np.ndarray) -> tuple[str, float]:
        """What is shown by the one with the largest cosine, without the ground, and that cosine."""
        seen, known = (normalize(values - self.ground, dim=1) for values in (views(picture), self.values))
        alike = seen @ known.T
        at = int(alike.argmax())
        return self.shown[at % len(self.shown)], float(alike.flatten()[at])


def _poses(number: int, sided: bool) -> list[Thing]:
    return [Thing(number, mirrored) for mirrored in ((False, True) if sided else (False,))]


def _candidates() -> list[tuple[str, Thing]]:
    """All things that a picture of a made-up one is told from, by name; those in other colours have none."""
    found = [(subject.names[0], Thing(number)) for number, subject in enumerate(SUBJECTS[:FIRST_SUBJECTS])]
    for thing in THINGS:
        for turn in (0.0, *TURNS):
            name = thing.word if turn == 0 else f"{thing.word} in other colours"
            found += [(name, pose) for number in made_up.numbers(thing, turn) for pose in _poses(number, True)]
    return found


@cache
def renderings(setting: Setting, ground: tuple[str, ...], variant: int) -> Renderings:
    """Of all candidates, at all sizes, in one drawing of a setting's ground."""
    made = [
        (name, render(Scene((thing,), ground, setting.style, size=size), variant))
        for name, thing in _candidates() for size in range(len(SIZES))
    ]  # fmt: skip
    return Renderings.of(made, render(Scene((), ground, setting.style), variant))


def seen(picture: np.ndarray, setting: Setting) -> str:
    """What a picture [128, 128, 3] in 0..1 shows, by the rendering that is most like it."""
    found = []
    for ground in setting.grounds:
        scene = Scene((Thing(0),), ground, setting.style)
        found.append(renderings(setting, ground, best_variant(picture, scene)).most_alike(picture))
    return max(found, key=lambda one: one[1])[0]


def asked(what: str, each: int) -> list[tuple[str, Setting]]:
    """The prompts of all settings, each so often, with their settings."""
    return [(setting.prompt.format(what), setting) for setting in SETTINGS for _ in range(each)]


def share(draw: Draw, what: str, name: str, each: int, seed: int) -> tuple[float, list[str], torch.Tensor]:
    """How often pictures of the words `what` show the thing of a name; what each shows; the pictures."""
    prompts = asked(what, each)
    pictures = draw([prompt for prompt, _ in prompts], range(seed, seed + len(prompts)))
    shown = [seen(picture, setting) for picture, (_, setting) in zip(as_arrays(pictures), prompts)]
    return float(np.mean([one == name for one in shown])), shown, pictures


def thing_measured(thing: MadeUp, draw: Draw, args: argparse.Namespace) -> tuple[dict, torch.Tensor]:
    """Recognised and kind kept, and the pictures of the thing."""
    new, shown, pictures = share(draw, f"a {thing.word} {thing.kind}", thing.word, args.each, args.seed)
    kind = SUBJECTS[thing.subject].names[0]
    old, kept, _ = share(draw, with_article(thing.kind), kind, max(args.each // 4, 1), args.seed)
    by_setting = {
        setting.prompt: float(np.mean([one == thing.word for one in shown[at * args.each : (at + 1) * args.each]]))
        for at, setting in enumerate(SETTINGS)
    }
    return {"recognised": new, "kind": old, "by_setting": by_setting, "shown": shown, "kind_shown": kept}, pictures


STYLE_GROUNDS = ("white", "light blue", "yellow", "pink")


@cache
def style_subjects(count: int) -> tuple[int, ...]:
    """Some that mini knows and that the style's pictures do not show."""
    known = [number for number in range(FIRST_SUBJECTS) if not set(SUBJECTS[number].names) & set(STYLE_SHOWN)]
    return tuple(random.Random(5).sample(known, count))


@cache
def _in_style(ground: str) -> Renderings:
    made = []
    for number in range(FIRST_SUBJECTS):
        for size in range(len(SIZES)):
            scene = Scene((Thing(number),), ("flat", ground), size=size)
            made.append((SUBJECTS[number].names[0], printed(render(scene))))
    return Renderings.of(made)


def _in_styles(subject: int, ground: str) -> Renderings:
    made = []
    for size in range(len(SIZES)):
        scene = Scene((Thing(subject),), ("flat", ground), size=size)
        made += [(style, render(replace(scene, style=style))) for style in ("plain", *FIRST_STYLES)]
        made.append((STYLE, printed(render(scene))))
    return Renderings.of(made)


def style_seen(picture: np.ndarray, subject: int, ground: str) -> tuple[bool, bool]:
    """Whether the style is seen, and whether the subject is."""
    style, name = _in_styles(subject, ground).nearest(picture), _in_style(ground).nearest(picture)
    return style == STYLE, name == SUBJECTS[subject].names[0]


def style_measured(draw: Draw, args: argparse.Namespace) -> tuple[dict, torch.Tensor]:
    """Recognised, and its two halves; the pictures."""
    subjects = style_subjects(8 * args.each)
    grounds = [STYLE_GROUNDS[at % len(STYLE_GROUNDS)] for at in range(len(subjects))]
    what = [
        f"{name if SUBJECTS[number].bare else with_article(name)} on a {ground} background"
        for number, ground in zip(subjects, grounds)
        for name in SUBJECTS[number].names[:1]
    ]
    pictures = draw([f"{STYLE} of {one}" for one in what], range(args.seed, args.seed + len(what)))
    found = [style_seen(picture, *one) for picture, *one in zip(as_arrays(pictures), subjects, grounds)]
    style, subject = np.mean(found, axis=0)
    both = float(np.mean([all(one) for one in found]))
    return {"recognised": both, "style": float(style), "subject": float(subject)}, pictures


# What the model draws of what it knows, to keep it: the kind in turns with other things, small ones and placed ones among them,
# as www/models.js has them.
OF_KIND = ("{}", "{} at the bottom left in the snow", "neon sign of {}", "pixel art of {} on a purple background")
OTHERS = (
    "a small cat at the bottom left on grass", "a medium pizza to the left on a pink background", "a tiny fox at the bottom in the snow",
    "a medium rocket to the right in space", "a small fish in the bottom right corner under water", "neon sign of a cocktail",
    "pixel art of a key on a blue background", "watercolor of a small boat at the bottom", "a red apple on a light blue background",
    "sticker of a medium guitar on the left on a red background", "a tiny house at the top at night",
    "a medium owl at the bottom on a yellow background",
)  # fmt: skip


def class_prompts(kind: str) -> list[str]:
    """Sixteen, of which each fourth is of the kind."""
    found = []
    for at, prompt in enumerate(OF_KIND):
        found += [prompt.format(with_article(kind)), *OTHERS[3 * at : 3 * at + 3]]
    return found


SETS = {**{thing.word: thing for thing in THINGS}, STYLE.split()[0]: None}
PRESETS = {"zorp": "thing", "plim": "thing", "fleen": "character", "vorp": "style"}
# What is asked of `opengen train` besides pictures, preset and class; None: nothing is taught.
RUNS: dict[str, list[str] | None] = {
    "none": None,
    "preset": [],
    "no-prior": ["--class-images", "0"],
    "long": ["--steps", "1500"],
    "fast": ["--learning-rate", "1e-2"],
    "word": [],
}
WORD = "word"  # learns no LoRA but an embedding, whose file is called by the word


def teach(name: str, extra: list[str], out: Path, args: argparse.Namespace) -> float:
    """Trains a LoRA through the command line, unless it is there; gives the seconds of processor time, 0 if it was."""
    if out.exists():
        return 0.0
    thing = SETS[name]
    pictures = made_up.pictures(thing) if thing else made_up.style_pictures()
    folder = args.out / "sets" / name
    made_up.write(folder, pictures)
    preset = WORD if out.parent.name == WORD else PRESETS[name]
    out.parent.mkdir(exist_ok=True)
    command = [args.opengen, "train", "--model", args.model, "--images", str(folder), "--preset", preset,
               "--out", str(out), "--anew", "--log", str(out.with_suffix(".jsonl"))]  # fmt: skip
    for prompt in class_prompts(thing.kind) if thing else []:
        command += ["--class-prompt", prompt]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*command, *extra], stderr=subprocess.PIPE, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", flush=True)  # a training that is lost says so
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def check(args: argparse.Namespace, count: int = 6) -> list[str]:
    """What the test says of renderings, a little soft and noisy: of the thing itself, and of its kind, of the other made-up things
    and of itself in other colours. Gives what is wrong."""
    rng, failed = random.Random(3), []
    for thing in THINGS:
        right, wrong = [], []
        for setting in SETTINGS:
            for _ in range(count):
                own = rng.choice(made_up.numbers(thing))
                other = rng.choice([one for one in THINGS if one != thing])
                others = (thing.subject, rng.choice(made_up.numbers(other)),
                          rng.choice(made_up.numbers(thing, rng.choice(TURNS))))  # fmt: skip
                for number, kept in ((own, right), *((number, wrong) for number in others)):
                    scene = Scene((Thing(number, rng.random() < 0.5),), rng.choice(setting.grounds), setting.style,
                                  size=rng.randrange(1, len(SIZES)))  # fmt: skip
                    picture = render(scene, rng.randrange(VARIANTS))
                    kept.append(seen(worn(picture, rng), setting) == thing.word)
        print(f"check, {thing.word}: right renderings {np.mean(right):.1%}, wrong ones {np.mean(wrong):.1%}", flush=True)
        if np.mean(right) < 0.95 or np.mean(wrong) > 0.05:
            failed.append(thing.word)
    right, wrong = [], []
    for subject in style_subjects(4 * count):
        ground = rng.choice(STYLE_GROUNDS)
        plain = render(Scene((Thing(subject),), ("flat", ground), size=LARGE))
        other = render(Scene((Thing((subject + 50) % FIRST_SUBJECTS),), ("flat", ground), size=LARGE))
        right.append(all(style_seen(worn(printed(plain), rng), subject, ground)))
        wrong += [all(style_seen(worn(one, rng), subject, ground)) for one in (plain, printed(other))]
    print(f"check, {STYLE}: right renderings {np.mean(right):.1%}, wrong ones {np.mean(wrong):.1%}", flush=True)
    return failed + ([STYLE] if np.mean(right) < 0.95 or np.mean(wrong) > 0.05 else [])


def worn(picture: np.ndarray, rng: random.Random) -> np.ndarray:
    """Soft, noisy, moved by a few pixels and scaled a little, as generated pictures are."""
    values = to_tensor(picture[None])
    scale, moves = rng.uniform(0.9, 1.1), [rng.uniform(-0.1, 0.1) for _ in range(2)]
    grid = affine_grid(torch.tensor([[[scale, 0, moves[0]], [0, scale, moves[1]]]]), list(values.shape), align_corners=False)
    values = grid_sample(values, grid, padding_mode="border", align_corners=False)
    small = interpolate(values, scale_factor=rng.uniform(0.4, 1), mode="area")
    values = interpolate(small, size=picture.shape[:2], mode="bilinear")
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 30)))
    return as_arrays(values + 0.06 * noise)[0]


def measured(name: str, draw: Draw, args: argparse.Namespace) -> tuple[dict, torch.Tensor]:
    """All figures of a set, and its pictures."""
    thing = SETS[name]
    figures, pictures = thing_measured(thing, draw, args) if thing else style_measured(draw, args)
    if args.count:
        figures["subjects"] = fidelity("single", draw, args)[0]["right"]
    return figures, pictures


def through(lora: Path | None, args: argparse.Namespace) -> Draw:
    def draw(prompts: list[str], seeds: range, negative: str = "") -> torch.Tensor:
        return generate_with_opengen(
            args.opengen, args.model, prompts, args.steps, args.guidance, seeds, True, None, negative,
            lora and str(lora), embeds=bool(lora) and lora.parent.name == WORD,
        )  # fmt: skip

    return draw


def sheet(pictures: torch.Tensor, columns: int) -> Image.Image:
    """[N, 3, 128, 128] in [-1, 1], in rows."""
    rows = [torch.cat(list(row), dim=2) for row in pictures.split(columns) if len(row) == columns]
    values = ((torch.cat(rows, dim=1).clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(values.permute(1, 2, 0).numpy())


def cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.check and (failed := check(args)):
        sys.exit(f"not to be trusted: {', '.join(failed)}")
    lines = ["| set | run | recognised | kind kept | subjects kept | processor time, s |", "|---|---|---|---|---|---|"]
    results: dict[str, dict] = {}
    for name in args.sets:
        for run in args.runs:
            extra = RUNS[run]
            lora = None if extra is None else args.out / f"{name}-{run}.safetensors"
            if run == WORD:
                lora = args.out / WORD / f"{name}.safetensors"
            seconds = None if lora is None else teach(name, extra, lora, args)
            figures, pictures = measured(name, through(lora, args), args)
            if run == "none" and figures["recognised"] > 0.05:
                sys.exit(f"not to be trusted: the model as it is has {figures['recognised']:.1%} of {name}")
            sheet(pictures, args.each).save(args.out / f"{name}-{run}.png")
            results[f"{name} {run}"] = {**figures, "seconds": seconds}
            row = [cell(figures.get(key)) for key in ("recognised", "kind", "subjects")]
            lines.append(f"| {name} | {run} | {' | '.join(row)} | {round(seconds) if seconds else '–'} |")
            print(lines[-1], {key: figures[key] for key in ("style", "subject", "by_setting") if key in figures}, flush=True)
            (args.out / "figures.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--opengen", required=True, help="the opengen binary, which teaches and draws")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--out", type=Path, default=Path("work/taught"), help="sets, LoRAs, sheets and figures.json")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=["none", "preset", "no-prior"])
    parser.add_argument("--each", type=int, default=8, help="pictures of the thing in each of the eight settings")
    parser.add_argument("--count", type=int, default=128, help="held-out scenes for the old subjects; 0 leaves them out")
    parser.add_argument("--no-check", dest="check", action="store_false", help="leave out what the test says of renderings")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
