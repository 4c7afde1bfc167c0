"""Measures fidelity on captions of held-out scenes, through the engine's command line or through diffusers.

A thing counts as right when, inside its box, the picture is nearest (least squared error) to the renderer's own
picture of it among the pictures of all subjects, drawn on the ground that fits the rest of the picture best.
"""

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from skimage.color import deltaE_ciede2000, rgb2lab
from torch.nn.functional import interpolate

from .backgrounds import VARIANTS
from .captions import UNKNOWN_WORDS, caption
from .common import psnr
from .draw import generate_with_diffusers, generate_with_opengen
from .render import boxes, picture_batch, render
from .scene import CELL, COLOUR_NAMES, COLOURS, IMAGE, LIGHT_COLOURS, STYLES, Scene, held_out_scenes
from .style_classifier import make_classifier
from .subjects import SUBJECTS
from .train_vae import reconstruct


class Draw(Protocol):
    """Prompts, their seeds and a negative prompt for all of them to pictures [N, 3, H, W] in [-1, 1]."""

    def __call__(self, prompts: list[str], seeds: range, negative: str = "") -> torch.Tensor: ...



KINDS = {
    "single": {"plain": 1.0, "single": 1.0},
    "strange": {"plain": 1.0, "single": 1.0},  # with words around that the model was never shown
    "pairs": {"plain": 1.0, "single": 0.0},
    "styled": {"plain": 0.0, "single": 1.0},
}
STRANGE_WORDS = (
    "gorgeous", "cinematic lighting", "octane render", "amazing", "by a great artist", "vivid", "so elegant", "marvellous",
    "hyperreal", "ray traced", "volumetric fog", "exquisite", "splendid", "cute", "sublime", "trendy", "glamorous",
    "spectacular", "superb", "snazzy", "flamboyant", "melancholy", "peaceful", "mysterious", "cosmic", "surreal",
    "impressionist", "rustic", "elaborate", "breathtaking", "kawaii", "significant", "extravagant", "delicate", "educated",
    "scary", "weird", "ordinary", "mesmerizing", "everyone wants", "dear grandma", "wandering",
)  # fmt: skip
assert not set(" ".join(STRANGE_WORDS).split()) & set(" ".join(UNKNOWN_WORDS).split())


def prompts_of(scenes: list[Scene], seed: int = 7) -> list[str]:
    """One explicit caption for each scene: size, place and ground named, in any wording."""
    rng = random.Random(seed)
    return [caption(scene, rng, explicit=True) for scene in scenes]


def as_arrays(pictures: torch.Tensor) -> np.ndarray:
    """[N, 3, H, W] in [-1, 1] -> [N, H, W, 3] in 0..1."""
    return ((pictures.clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).numpy()


def outside(scene: Scene) -> np.ndarray:
    """Which pixels [128, 128] lie outside all boxes."""
    clear = np.ones((IMAGE, IMAGE), dtype=bool)
    for _, box, left, top in boxes(scene):
        clear[top : top + box, left : left + box] = False
    return clear


def best_variant(picture: np.ndarray, scene: Scene) -> int:
    """The drawing of the ground or of the wash that fits outside the boxes."""
    if scene.background[0] != "setting" and scene.style != "watercolor":
        return 0
    clear = outside(scene)
    errors = [np.square(render(scene, variant) - picture)[clear].mean() for variant in range(VARIANTS)]
    return int(np.argmin(errors))


def nearest_subject(picture: np.ndarray, scene: Scene, index: int, variant: int) -> int:
    """The subject that thing `index` looks most like, the other things being as they should."""
    _, box, left, top = boxes(scene)[index]
    area = (slice(top, top + box), slice(left, left + box))
    errors = []
    for subject in range(len(SUBJECTS)):
        things = list(scene.things)
        things[index] = replace(things[index], subject=subject)
        errors.append(np.square(render(replace(scene, things=tuple(things)), variant)[area] - picture[area]).mean())
    return int(np.argmin(errors))


def place_error(picture: np.ndarray, scene: Scene, variant: int, reach: int = 5) -> float:
    """How far, in pixels, the single thing lies from its place: the shift of its rendering that fits best."""
    reference, empty = render(scene, variant), render(replace(scene, things=()), variant)
    _, box, left, top = boxes(scene)[0]
    stamp = reference[top : top + box, left : left + box]
    best, distance = np.inf, 0.0
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            y, x = top + down * CELL, left + right * CELL
            if not (0 <= y <= IMAGE - box and 0 <= x <= IMAGE - box):
                continue
            shifted = empty.copy()
            shifted[y : y + box, x : x + box] = stamp
            error = np.square(shifted - picture).mean()
            if error < best:
                best, distance = error, CELL * float(np.hypot(down, right))
    return distance


def ground_error(picture: np.ndarray, scene: Scene) -> float | None:
    """Mean CIEDE2000 difference to a flat or graded ground outside the boxes; None for settings and washes."""
    if scene.background[0] == "setting" or scene.style in ("watercolor", "pixel art", "neon"):
        return None
    clear = outside(scene)
    if clear.sum() < 64:
        return None
    target = render(replace(scene, things=()))
    return float(deltaE_ciede2000(rgb2lab(picture[clear]), rgb2lab(target[clear])).mean())


def score(picture: np.ndarray, scene: Scene) -> dict:
    """The record of one picture [128, 128, 3] in 0..1."""
    variant = best_variant(picture, scene)
    seen = [nearest_subject(picture, scene, index, variant) for index in range(len(scene.things))]
    right = [subject == thing.subject for subject, thing in zip(seen, scene.things)]
    target = torch.from_numpy(render(scene, variant)).permute(2, 0, 1)[None] * 2 - 1
    drawn = torch.from_numpy(picture).permute(2, 0, 1)[None] * 2 - 1
    record = {
        "seen": [SUBJECTS[subject].names[0] for subject in seen],
        "right": all(right),
        "ground": ground_error(picture, scene),
        "psnr": psnr(drawn, target).item(),
    }
    if len(scene.things) == 1:
        record["place"] = place_error(picture, scene, variant)
    return record


def mean(records: list[dict], key: str) -> float | None:
    values = [record[key] for record in records if record.get(key) is not None]
    return float(np.mean(values)) if values else None


@torch.no_grad()
def judge_styles(pictures: torch.Tensor, weights: Path) -> tuple[list[str], float]:
    """The style that the classifier sees in each picture, and its own accuracy on rendered ones."""
    saved = torch.load(weights)
    classifier = make_classifier()
    classifier.load_state_dict(saved["classifier"])
    return [STYLES[index] for index in classifier.eval()(pictures).argmax(dim=1)], saved["accuracy"]


def diversity(pictures: torch.Tensor) -> float:
    """Mean distance (root of the mean squared difference, of 255) between pictures of one caption, other seeds."""
    return float(torch.pdist(pictures.flatten(1) * 127.5).mean() / pictures[0].numel() ** 0.5)


def grounds(pictures: torch.Tensor) -> list[str]:
    """The colour of COLOURS that each picture's upper left corner is nearest to."""
    corners = as_arrays(pictures)[:, 4:12, 4:12].mean(axis=(1, 2))
    named = np.array(list(COLOURS.values())) / 255
    return [COLOUR_NAMES[index] for index in np.square(corners[:, None] - named).sum(axis=-1).argmin(axis=1)]


def kept_out(draw: Draw, seeds: range = range(16)) -> tuple[float, float]:
    """How often a light ground comes up by itself, and how often where it is the negative prompt; mean over all of them."""
    prompts = ["a dog"] * len(seeds)
    unasked = grounds(draw(prompts, seeds))
    shares = [
        (unasked.count(colour), grounds(draw(prompts, seeds, f"{colour} background")).count(colour)) for colour in LIGHT_COLOURS
    ]
    by_itself, unwanted = np.mean(shares, axis=0) / len(seeds)
    return float(by_itself), float(unwanted)


ROWS = (
    ("single things, subject right", ("single", "right"), "{:.1%}"),
    ("single things among words it never saw, subject right", ("strange", "right"), "{:.1%}"),
    ("pairs, both subjects right", ("pairs", "right"), "{:.1%}"),
    ("styled things, subject right", ("styled", "right"), "{:.1%}"),
    ("style right, by the classifier", ("styled", "style"), "{:.1%}"),
    ("the classifier's own accuracy", ("styled", "style_classifier"), "{:.1%}"),
    ("flat and graded grounds, mean ΔE2000", ("single", "ground"), "{:.2f}"),
    ("the same behind pairs", ("pairs", "ground"), "{:.2f}"),
    ("place, mean error in pixels", ("single", "place"), "{:.2f}"),
    ("single things, median PSNR to the rendering, dB", ("single", "psnr"), "{:.2f}"),
    ("diversity across seeds, RMS of 255", ("all", "diversity"), "{:.1f}"),
    ("a light ground, unasked for", ("all", "by_itself"), "{:.1%}"),
    ("the same where it is the negative prompt", ("all", "unwanted"), "{:.1%}"),
    ("median PSNR to diffusers' pictures, dB", ("all", "same"), "{:.1f}"),
    ("autoencoder PSNR, dB", ("all", "autoencoder_psnr"), "{:.2f}"),
)


def markdown_table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """One column per model, one row per measure."""
    lines = ["| held-out scenes | " + " | ".join(results) + " |", "|---|" + "---|" * len(results)]
    for title, (kind, key), form in ROWS:
        values = [result.get(kind, {}).get(key) for result in results.values()]
        lines.append(f"| {title} | " + " | ".join("–" if v is None else form.format(v) for v in values) + " |")
    return "\n".join(lines)


# Of each the scene's seed decides what the caption leaves open.
OPEN_CAPTIONS = ("a cat in the snow", "a red apple on a light blue background", "watercolor of a boat", "two owls at night")


def measure(draw: Draw, args: argparse.Namespace) -> tuple[dict, dict, torch.Tensor]:
    """The figures of one model, a record for each picture by kind of scene, and the pictures."""
    results, records, drawn = {}, {}, []
    for number, (kind, shares) in enumerate(KINDS.items()):
        if kind not in args.kinds:
            continue
        scenes = held_out_scenes(args.count, seed=50 + number, **shares)
        prompts = prompts_of(scenes)
        if kind == "strange":
            rng = random.Random(8)
            prompts = [f"{rng.choice(STRANGE_WORDS)} {prompt}, {rng.choice(STRANGE_WORDS)}" for prompt in prompts]
        pictures = draw(prompts, range(args.seed, args.seed + len(prompts)))
        pictures = interpolate(pictures, (IMAGE, IMAGE), mode="bilinear")  # as they are, if this is their size
        scored = [score(picture, scene) for picture, scene in zip(as_arrays(pictures), scenes)]
        records[kind] = [
            record | {"prompt": prompt, "seed": args.seed + index}
            for index, (record, prompt) in enumerate(zip(scored, prompts))
        ]
        results[kind] = {key: mean(scored, key) for key in ("right", "ground", "place")}
        results[kind]["psnr"] = float(np.median([record["psnr"] for record in scored]))
        if kind == "styled":
            styles, results[kind]["style_classifier"] = judge_styles(pictures, args.styles)
            for record, scene, style in zip(records[kind], scenes, styles):
                record |= {"style": scene.style, "style_seen": style, "style_right": style == scene.style}
            results[kind]["style"] = mean(records[kind], "style_right")
        drawn.append(pictures)
    spread = [diversity(draw([text] * 8, range(8))) for text in OPEN_CAPTIONS]
    by_itself, unwanted = kept_out(draw)
    results["all"] = {"diversity": float(np.mean(spread)), "by_itself": by_itself, "unwanted": unwanted}
    return results, records, torch.cat(drawn)


def failures(records: dict[str, list[dict]], each: int = 4) -> list[dict]:
    """Prompt and seed of each kind's first pictures with a wrong subject or style, for a contact sheet."""
    right = ("right", "style_right")
    wrong = ([record for record in scored if not all(record.get(key, True) for key in right)][:each] for scored in records.values())
    return [{"prompt": record["prompt"], "seed": record["seed"]} for part in wrong for record in part]


def main() -> None:
    args = parse_args()
    results, records, reference = {}, {}, None
    settings = (args.steps, args.guidance)
    if args.diffusers:
        pipeline = StableDiffusionPipeline.from_pretrained(args.diffusers)
        pipeline.set_progress_bar_config(disable=True)
        name = "diffusers, F32"
        results[name], records[name], reference = measure(
            lambda prompts, seeds, negative="": generate_with_diffusers(
                pipeline, prompts, *settings, seeds, args.size, negative
            ),
            args,
        )
        rendered = picture_batch(held_out_scenes(128, seed=41), random.Random(41))
        results[name]["all"]["autoencoder_psnr"], _ = reconstruct(pipeline.vae, rendered)
    for model in args.model:
        name = Path(model).stem
        results[name], records[name], pictures = measure(
            lambda prompts, seeds, negative="": generate_with_opengen(
                args.opengen, model, prompts, *settings, seeds, args.cpu, args.size, negative
            ),
            args,
        )
        if reference is not None:
            results[name]["all"]["same"] = psnr(pictures, reference).median().item()
    print(f"{args.count} scenes a kind, {args.steps} steps, guidance {args.guidance:g}, seeds from {args.seed}\n")
    print(markdown_table(results))
    if args.json:
        args.json.write_text(json.dumps({"results": results, "records": records}, indent=1) + "\n", encoding="utf-8")
    if args.failures:
        last = list(records.values())[-1]
        args.failures.write_text(json.dumps(failures(last), indent=2) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diffusers", help="a diffusers folder, drawn with diffusers")
    parser.add_argument("--opengen", help="the opengen binary, which draws with each --model")
    parser.add_argument("--cpu", action="store_true", help="opengen computes on the processor")
    parser.add_argument("--model", nargs="*", default=[], help="diffusers folders or GGUFs")
    parser.add_argument("--styles", type=Path, default=Path("work/style.pt"), help="of training.style_classifier")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of scenes")
    parser.add_argument("--count", type=int, default=128, help="held-out scenes of each kind")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--size", type=int, help="pixels a side, the model's own if left out; others are scaled to be measured")
    parser.add_argument("--seed", type=int, default=1000, help="of the first picture; each next one adds 1")
    parser.add_argument("--json", type=Path, help="where to write figures and one record per picture")
    parser.add_argument("--failures", type=Path, help="where to write what the last model got wrong, as contact_sheet reads it")
    args = parser.parse_args()
    if not args.diffusers and not args.model:
        parser.error("give --diffusers, --model with --opengen, or both")
    if args.model and not args.opengen:
        parser.error("--model needs --opengen")
    return args


if __name__ == "__main__":
    main()
