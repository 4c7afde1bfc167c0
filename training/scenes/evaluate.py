"""Measures fidelity on captions of held-out scenes, through the engine's command line or through diffusers.

A thing counts as right when, inside its box, the picture is nearest (least squared error) to the renderer's own
picture of it among the pictures of all subjects, drawn on the ground that fits the rest of the picture best.
"""

import argparse
import json
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from skimage.color import deltaE_ciede2000, rgb2lab

from ..common import psnr
from ..evaluate import generate_with_diffusers, generate_with_opengen
from .backgrounds import VARIANTS
from .captions import caption
from .render import boxes, picture_batch, render
from .scene import CELL, IMAGE, STYLES, Scene, held_out_scenes
from .style_classifier import make_classifier
from .subjects import SUBJECTS

KINDS = {
    "single": {"plain": 1.0, "single": 1.0},
    "pairs": {"plain": 1.0, "single": 0.0},
    "styled": {"plain": 0.0, "single": 1.0},
}


def prompts_of(scenes: list[Scene], seed: int = 7) -> list[str]:
    """One explicit caption for each scene: size, place and ground named, in any wording."""
    rng = random.Random(seed)
    return [caption(scene, rng, explicit=True) for scene in scenes]


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
def style_accuracy(pictures: torch.Tensor, scenes: list[Scene], weights: Path) -> tuple[float, float]:
    """The classifier's verdict on the pictures, and its own accuracy on rendered ones."""
    saved = torch.load(weights)
    classifier = make_classifier()
    classifier.load_state_dict(saved["classifier"])
    styles = torch.tensor([STYLES.index(scene.style) for scene in scenes])
    verdict = (classifier.eval()(pictures).argmax(dim=1) == styles).float().mean().item()
    return verdict, saved["accuracy"]


def diversity(pictures: torch.Tensor) -> float:
    """Mean distance (root of the mean squared difference, of 255) between pictures of one caption, other seeds."""
    return float(torch.pdist(pictures.flatten(1) * 127.5).mean() / pictures[0].numel() ** 0.5)


@torch.no_grad()
def autoencoder_psnr(vae, count: int = 128) -> float:
    """Mean PSNR of reconstructions of rendered held-out scenes, from the posterior's mean."""
    pictures = picture_batch(held_out_scenes(count, seed=41), random.Random(41))
    outputs = [vae.decode(vae.encode(part).latent_dist.mean).sample for part in pictures.split(16)]
    return psnr(torch.cat(outputs), pictures).mean().item()


def main() -> None:
    args = parse_args()
    pipeline = None
    if not args.opengen:
        pipeline = StableDiffusionPipeline.from_pretrained(args.model)
        pipeline.set_progress_bar_config(disable=True)

    def draw(prompts: list[str], seeds: range) -> torch.Tensor:
        if pipeline is None:
            return generate_with_opengen(args.opengen, args.model, prompts, args.steps, args.guidance, seeds)
        return generate_with_diffusers(pipeline, prompts, args.steps, args.guidance, seeds)

    results, records = {}, {}
    for number, (kind, shares) in enumerate(KINDS.items()):
        scenes = held_out_scenes(args.count, seed=50 + number, **shares)
        prompts = prompts_of(scenes)
        pictures = draw(prompts, range(args.seed, args.seed + len(prompts)))
        arrays = ((pictures.clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).numpy()
        scored = [score(picture, scene) for picture, scene in zip(arrays, scenes)]
        records[kind] = [record | {"prompt": prompt} for record, prompt in zip(scored, prompts)]
        results[kind] = {key: mean(scored, key) for key in ("right", "ground", "place", "psnr")}
        if kind == "styled":
            results[kind]["style"], results[kind]["style_classifier"] = style_accuracy(pictures, scenes, args.styles)
    captions = ("a cat in the snow", "a red apple on a light blue background", "watercolor of a ship", "two owls at night")
    spread = [diversity(draw([text] * 8, range(8))) for text in captions]
    results["diversity"] = float(np.mean(spread))
    if pipeline is not None:
        results["autoencoder_psnr"] = autoencoder_psnr(pipeline.vae)
    print(re.sub(r"\n\s{3,}", " ", json.dumps(results, indent=2)))
    if args.json:
        args.json.write_text(json.dumps({"results": results, "records": records}, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a diffusers folder, or with --opengen a GGUF too")
    parser.add_argument("--opengen", help="the opengen binary; without it diffusers draws")
    parser.add_argument("--styles", type=Path, default=Path("work/style.pt"), help="of training.scenes.style_classifier")
    parser.add_argument("--count", type=int, default=128, help="held-out scenes of each kind")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.5)
    parser.add_argument("--seed", type=int, default=1000, help="of the first picture; each next one adds 1")
    parser.add_argument("--json", type=Path, help="where to write figures and one record per picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
