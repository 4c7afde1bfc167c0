"""Trains the UNet and the text encoder together on the latents of scenes that are drawn while it trains."""

import argparse
import json
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch.nn.functional import mse_loss
from transformers import CLIPTokenizer

from .captions import caption
from .common import Run, join_workers, run_arguments, save_sheet, worker
from .draw import generate_with_diffusers
from .evaluate import as_arrays, prompts_of, score
from .models import LATENT, LATENT_CHANNELS, MAX_TOKENS, make_scheduler, make_text_encoder, make_unet
from .scene import Scene, held_out_scenes, training_scene
from .train_vae import encode_scenes

# Shares of plain style and of single things in the first part of a run from scratch, and in the rest: shapes come first.
SIMPLE_UNTIL = 0.3
SIMPLE = {"plain": 0.85, "single": 0.85}
FULL = {"plain": 0.42, "single": 0.66}
NOISE_EMPHASIS = 0.8  # 1 for timesteps drawn evenly


class Pool:
    """A ring of scenes with their latents [C, h, w]: a few are drawn anew at every step, each is seen several times."""

    def __init__(self, vae: AutoencoderKL, capacity: int, rng: random.Random):
        self.vae, self.rng, self.capacity = vae, rng, capacity
        self.scenes: list[Scene] = []
        self.latents = torch.empty(capacity, LATENT_CHANNELS, LATENT, LATENT)
        self.next = 0

    def refresh(self, count: int, shares: dict[str, float]) -> None:
        """Draws `count` scenes and lets the oldest go."""
        scenes = [training_scene(self.rng, **shares) for _ in range(count)]
        for scene, latents in zip(scenes, encode_scenes(self.vae, scenes, self.rng)):
            if len(self.scenes) < self.capacity:
                self.scenes.append(scene)
            else:
                self.scenes[self.next] = scene
            self.latents[self.next] = latents
            self.next = (self.next + 1) % self.capacity

    def batch(self, count: int) -> tuple[list[Scene], torch.Tensor]:
        """`count` random scenes and their latents [N, C, h, w]."""
        rows = [self.rng.randrange(len(self.scenes)) for _ in range(count)]
        return [self.scenes[row] for row in rows], self.latents[rows]


def stratified_timesteps(count: int) -> torch.Tensor:
    """`count` of the 1000 steps, one from each of `count` strata, in random order; noisy ones a little more often.

    What a word looks like is learnt where the noise hides it; the quiet steps are much alike and learnt early.
    """
    places = (torch.arange(count) + torch.rand(count)) / count
    return (places**NOISE_EMPHASIS * 1000).long().clamp(max=999)[torch.randperm(count)]


def watch(pipeline: StableDiffusionPipeline, count: int, sheet: Path) -> dict[str, float]:
    """Draws watched scenes, half of them plain and single, as a sheet with the captions beside it; and scores them.

    They are held out from training, and drawn with other seeds than those `evaluate` reports on.
    """
    scenes = held_out_scenes(count // 2, seed=21, plain=1.0, single=1.0) + held_out_scenes(count // 2, seed=22)
    prompts = prompts_of(scenes, seed=21)
    pictures = generate_with_diffusers(pipeline, prompts, steps=10, guidance=2.5, seeds=range(2000, 2000 + count))
    save_sheet(pictures, 8, sheet, zoom=1)
    sheet.with_suffix(".txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")
    records = [score(picture, scene) for picture, scene in zip(as_arrays(pictures), scenes)]
    right = [record["right"] for record in records]
    return {
        "single_right": sum(right[: count // 2]) / (count // 2),
        "mixed_right": sum(right[count // 2 :]) / (count - count // 2),
        "psnr_median": sorted(record["psnr"] for record in records)[count // 2],
    }


def main() -> None:
    args = parse_args()
    join_workers(args.seed)
    rng = random.Random(args.seed + 1000 * worker())
    vae = AutoencoderKL.from_pretrained(args.out / "vae").to(memory_format=torch.channels_last)
    tokenizer = CLIPTokenizer.from_pretrained(args.out / "tokenizer")
    scheduler = make_scheduler()
    text_encoder = make_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    unet = make_unet().to(memory_format=torch.channels_last)
    if args.weights:
        start = torch.load(args.weights)
        text_encoder.load_state_dict(start["text_encoder"])
        unet.load_state_dict(start["unet"])
    pipeline = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    run = Run({"text_encoder": text_encoder, "unet": unet}, args.out / "unet.pt", args)
    pool = Pool(vae, args.pool, rng)

    def shares() -> dict[str, float]:
        return SIMPLE if run.progress < SIMPLE_UNTIL and not args.weights else FULL

    for _ in range(args.first_pool // 64):
        pool.refresh(64, shares())

    def next_loss() -> torch.Tensor:
        pool.refresh(max(1, round(args.batch / args.uses)), shares())
        scenes, clean = pool.batch(args.batch)
        texts = ["" if rng.random() < args.dropout else caption(scene, rng) for scene in scenes]
        tokens = tokenizer(
            texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).input_ids
        noise, timesteps = torch.randn_like(clean), stratified_timesteps(args.batch)
        noisy = scheduler.add_noise(clean, noise, timesteps)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            prediction = unet(noisy, timesteps, text_encoder(tokens).last_hidden_state).sample
        return mse_loss(prediction.float(), scheduler.get_velocity(clean, noise, timesteps))

    def report() -> str:
        figures = watch(pipeline, args.probe, args.out / "unet.png")
        point = {"minutes": run.spent / 60, "pictures": run.pictures, **figures}
        with (args.out / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps({key: round(value, 4) for key, value in point.items()}) + "\n")
        return ", ".join(f"{key} {value:.3f}" for key, value in figures.items())

    run.train(next_loss, report)


def parse_args() -> argparse.Namespace:
    parser = run_arguments(__doc__, minutes=400, batch=64, muon_lr=4e-3, adam_lr=2e-3)
    parser.add_argument("--weights", type=Path, help="weights to begin with: start.pt of `training.from_gguf`")
    parser.add_argument("--pool", type=int, default=20_000, help="scenes kept at a time")
    parser.add_argument("--first-pool", type=int, default=2_560, help="scenes drawn before the first step")
    parser.add_argument("--uses", type=float, default=8, help="how often a scene is seen, about")
    parser.add_argument("--bf16", action="store_true", help="autocast; pays on processors with AMX")
    parser.add_argument("--dropout", type=float, default=0.1, help="share of captions replaced by the empty one")
    parser.add_argument("--probe", type=int, default=64, help="watched scenes per report")
    return parser.parse_args()


if __name__ == "__main__":
    main()
