"""Draws prompts in a labelled grid, to be looked at: the page's examples, or held-out captions."""

import argparse
import json
import textwrap
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFont

from .draw import generate_with_diffusers, generate_with_opengen
from .evaluate import prompts_of
from .scene import IMAGE, held_out_scenes

LABEL = 42  # pixels below each picture


def draw_sheet(pictures: torch.Tensor, labels: list[str], columns: int) -> Image.Image:
    """[N, 3, 128, 128] in [-1, 1] and a caption each, as one image."""
    columns = min(columns, len(labels))
    rows = -(-len(labels) // columns)
    sheet = Image.new("RGB", (columns * (IMAGE + 4), rows * (IMAGE + LABEL)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(9)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = index % columns * (IMAGE + 4), index // columns * (IMAGE + LABEL)
        pixels = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        sheet.paste(Image.fromarray(pixels), (x, y))
        pen.multiline_text((x + 2, y + IMAGE + 1), textwrap.fill(label, 27), fill="black", font=font, spacing=1)
    return sheet


def main() -> None:
    args = parse_args()
    if args.seeds_of:
        prompts = [text for text in args.seeds_of for _ in range(args.columns)]
        seeds = [args.seed + column for _ in args.seeds_of for column in range(args.columns)]
    elif args.examples:
        examples = json.loads(args.examples.read_text(encoding="utf-8"))
        prompts, seeds = zip(*((example["prompt"], example["seed"]) for example in examples))
    else:
        prompts = prompts_of(held_out_scenes(args.count, seed=71))
        seeds = range(args.seed, args.seed + len(prompts))
    settings = (list(prompts), args.steps, args.guidance, seeds)
    if args.opengen:
        pictures = generate_with_opengen(args.opengen, args.model, *settings, args.cpu)
    else:
        pipeline = StableDiffusionPipeline.from_pretrained(args.model)
        pipeline.set_progress_bar_config(disable=True)
        pictures = generate_with_diffusers(pipeline, *settings)
    draw_sheet(pictures, prompts, args.columns).save(args.out)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a diffusers folder, or with --opengen a GGUF")
    parser.add_argument("--opengen", help="the opengen binary; without it diffusers draws")
    parser.add_argument("--cpu", action="store_true", help="opengen computes on the processor")
    parser.add_argument("--examples", type=Path, help="JSON list of {prompt, seed}; else held-out captions")
    parser.add_argument("--seeds-of", nargs="+", metavar="PROMPT", help="a row of seeds of each of these, in place of captions")
    parser.add_argument("--count", type=int, default=64, help="how many held-out captions")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("sheet.png"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
