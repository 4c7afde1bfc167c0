"""Measures fidelity on captions of held-out combinations, through the engine's CLI and through diffusers.

A picture is compared with the renderer's own composites on the named background: all subjects, sizes
and places. Captions leave the place open, so a picture is measured against the best-matching place.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline

from .captions import caption
from .common import psnr
from .data import COLOURS, PLACES, SIZES, Combo, Renderer, held_out_combos, keys_of
from .draw import generate_with_diffusers, generate_with_opengen
from .subjects import SUBJECTS


def held_out_prompts(seed: int = 7) -> list[tuple[str, Combo]]:
    """One caption, in any wording that names the colour, for each held-out combination."""
    rng = random.Random(seed)
    return [(caption(combo, None, rng, always_colour=True), combo) for combo in held_out_combos()]


def colour_references(renderer: Renderer, colour: int) -> torch.Tensor:
    """Every glyph frame on one background: [subject * size * place, 3, 64, 64] in [-1, 1]."""
    combos = [Combo(subject, size, colour) for subject in range(len(SUBJECTS)) for size in range(len(SIZES))]
    return renderer.images(keys_of(combos))


def score(renderer: Renderer, pictures: torch.Tensor, combos: list[Combo]) -> list[dict]:
    """One record per picture [N, 3, 64, 64] in [-1, 1]: what it shows, its PSNR, its background."""
    records: list[dict] = [{} for _ in combos]
    for colour in sorted({combo.colour for combo in combos}):
        rows = [row for row, combo in enumerate(combos) if combo.colour == colour]
        references = colour_references(renderer, colour)
        distances = torch.cdist(pictures[rows].flatten(1), references.flatten(1))
        for row, distance in zip(rows, distances):
            records[row] = score_one(renderer, pictures[row], combos[row], references, distance)
    return records


def score_one(
    renderer: Renderer, picture: torch.Tensor, combo: Combo, references: torch.Tensor, distance: torch.Tensor
) -> dict:
    """The record of one picture, given its distance to every reference on the named background."""
    cells = distance.reshape(len(SUBJECTS), len(SIZES), len(PLACES))
    place = cells[combo.subject, combo.size].argmin().item()
    index = (combo.subject * len(SIZES) + combo.size) * len(PLACES) + place
    clear = renderer.frames[combo.subject, combo.size, place, 3] == 0
    background = (picture[:, clear] + 1) / 2  # [3, pixels] in 0..1
    named = renderer.palette[combo.colour]
    nearest_colour = (renderer.palette - background.mean(dim=1)).norm(dim=1).argmin().item()
    nearest = distance.argmin().item() // len(PLACES)
    return {
        "subject": nearest // len(SIZES) == combo.subject,
        "size": nearest % len(SIZES) == combo.size,
        "colour": nearest_colour == combo.colour,
        "colour_error": (background - named[:, None]).abs().mean().item() * 255,
        "psnr": psnr(picture[None], references[index][None]).item(),
        "place": place,
    }


def summarise(records: list[dict]) -> dict[str, float]:
    """The figures of the model card."""
    def column(name: str) -> np.ndarray:
        return np.array([record[name] for record in records], dtype=float)

    return {
        "pictures": len(records),
        "subject_accuracy": column("subject").mean(),
        "size_accuracy": column("size").mean(),
        "colour_accuracy": column("colour").mean(),
        "colour_error": column("colour_error").mean(),
        "psnr_median": float(np.median(column("psnr"))),
        "psnr_p10": float(np.quantile(column("psnr"), 0.1)),
    }


@torch.no_grad()
def autoencoder_psnr(vae: AutoencoderKL, renderer: Renderer, seed: int = 7) -> float:
    """Mean PSNR of reconstructions (from the posterior's mean) of each held-out combination at a random place."""
    keys = keys_of(held_out_combos())
    chosen = torch.randint(len(PLACES), (len(keys) // len(PLACES),), generator=torch.Generator().manual_seed(seed))
    images = renderer.images(keys[torch.arange(len(chosen)) * len(PLACES) + chosen])
    outputs = [vae.decode(vae.encode(part).latent_dist.mean).sample for part in images.split(32)]
    return psnr(torch.cat(outputs), images).mean().item()


ROWS = (
    ("nearest-reference subject right", "subject_accuracy", "{:.1%}"),
    ("nearest-reference size right", "size_accuracy", "{:.1%}"),
    ("background colour named right", "colour_accuracy", "{:.1%}"),
    ("mean background error, of 255", "colour_error", "{:.2f}"),
    ("median PSNR to the right reference, dB", "psnr_median", "{:.2f}"),
    ("10th percentile of that PSNR, dB", "psnr_p10", "{:.2f}"),
    ("autoencoder PSNR, dB", "vae_psnr", "{:.2f}"),
)


def markdown_table(results: dict[str, dict[str, float]]) -> str:
    """One column per way of generating."""
    lines = ["| held-out combinations | " + " | ".join(results) + " |", "|---|" + "---|" * len(results)]
    for title, key, form in ROWS:
        cells = [form.format(result[key]) if key in result else "–" for result in results.values()]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    args = parse_args()
    renderer = Renderer(args.font)
    prompts, combos = zip(*held_out_prompts())
    settings = (list(prompts), args.steps, args.guidance, range(args.seed, args.seed + len(prompts)))
    results, records = {}, {}
    if args.diffusers:
        pipeline = StableDiffusionPipeline.from_pretrained(args.diffusers)
        pipeline.set_progress_bar_config(disable=True)
        records["diffusers"] = score(renderer, generate_with_diffusers(pipeline, *settings), list(combos))
        vae_psnr = autoencoder_psnr(pipeline.vae, renderer)
        results["diffusers"] = summarise(records["diffusers"]) | {"vae_psnr": vae_psnr}
    if args.opengen:
        pictures = generate_with_opengen(args.opengen, args.model, *settings)
        records["opengen"] = score(renderer, pictures, list(combos))
        results["opengen"] = summarise(records["opengen"])
    print(f"{len(prompts)} captions, {args.steps} steps, guidance {args.guidance:g}, seeds from {args.seed}\n")
    print(markdown_table(results))
    if args.json:
        report = {"results": results, "prompts": prompts, "records": records, "colours": list(COLOURS)}
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diffusers", help="diffusers folder, generated with diffusers")
    parser.add_argument("--opengen", help="the opengen binary; generates --model with our engine")
    parser.add_argument("--model", help="what --opengen loads: a diffusers folder or a GGUF")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1000, help="of the first picture; each next one adds 1")
    parser.add_argument("--json", type=Path, help="where to write figures and one record per picture")
    parser.add_argument("--font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    args = parser.parse_args()
    if not args.diffusers and not args.opengen:
        parser.error("give --diffusers, --opengen or both")
    if args.opengen and not args.model:
        parser.error("--opengen needs --model")
    return args


if __name__ == "__main__":
    main()
