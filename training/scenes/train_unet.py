"""Trains the UNet and the text encoder together on the latents of scenes that are drawn while it trains."""

import argparse
import random
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch.nn.functional import mse_loss
from transformers import CLIPTokenizer

from ..common import Run, follow_threads_file, save_sheet
from ..evaluate import generate_with_diffusers
from ..models import LATENT, LATENT_CHANNELS, make_scheduler, make_unet
from ..train_unet import stratified_timesteps
from .captions import caption
from .models import MAX_TOKENS, make_text_encoder
from .scene import Scene, held_out_scenes, training_scene
from .train_vae import encode_scenes

# Shares of plain style and of single things in the first part of the run, and in the rest: shapes come first.
SIMPLE_UNTIL = 0.3
SIMPLE = {"plain": 0.85, "single": 0.85}
FULL = {"plain": 0.6, "single": 0.72}


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


def report(pipeline: StableDiffusionPipeline, count: int, sheet: Path) -> str:
    """Draws `count` held-out scenes, half of them plain and single, as a sheet with the captions beside it."""
    scenes = held_out_scenes(count // 2, seed=21, plain=1.0, single=1.0) + held_out_scenes(count // 2, seed=22)
    rng = random.Random(21)
    prompts = [caption(scene, rng) for scene in scenes]
    pictures = generate_with_diffusers(pipeline, prompts, steps=10, guidance=2.5, seeds=range(1000, 1000 + count))
    save_sheet(pictures, 8, sheet, zoom=1)
    sheet.with_suffix(".txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")
    return f"sheet of {count}"


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    follow_threads_file(args.threads_file)
    vae = AutoencoderKL.from_pretrained(args.out / "vae").to(memory_format=torch.channels_last)
    tokenizer = CLIPTokenizer.from_pretrained(args.out / "tokenizer")
    scheduler = make_scheduler()
    text_encoder = make_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    unet = make_unet()
    if args.start:
        start = torch.load(args.start)
        text_encoder.load_state_dict(start["text_encoder"])
        unet.load_state_dict(start["unet"])
    pipeline = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    run = Run(
        {"text_encoder": text_encoder, "unet": unet}, args.out / "unet.pt", args.minutes,
        args.muon_lr, args.adam_lr, args.ema, args.threads_file, time.process_time,
    )  # fmt: skip
    pool = Pool(vae, args.pool, rng)
    shares = SIMPLE if run.spent < SIMPLE_UNTIL * run.budget else FULL
    for _ in range(args.first_pool // 64):
        pool.refresh(64, shares)

    def next_loss() -> torch.Tensor:
        pool.refresh(max(1, round(args.batch / args.uses)), SIMPLE if run.spent < SIMPLE_UNTIL * run.budget else FULL)
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

    run.train(next_loss, lambda: report(pipeline, args.probe, args.out / "unet.png"), args.report_minutes)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("work"), help="folder of tokenizer, vae and checkpoints")
    parser.add_argument("--minutes", type=float, default=240, help="of processor time")
    parser.add_argument("--start", type=Path, help="weights to begin with: {text_encoder, unet}")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--pool", type=int, default=20_000, help="scenes kept at a time")
    parser.add_argument("--first-pool", type=int, default=2_560, help="scenes drawn before the first step")
    parser.add_argument("--uses", type=float, default=6, help="how often a scene is seen, about")
    parser.add_argument("--bf16", action="store_true", help="autocast; pays on processors with AMX")
    parser.add_argument("--muon-lr", type=float, default=4e-3)
    parser.add_argument("--adam-lr", type=float, default=2e-3)
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--dropout", type=float, default=0.1, help="share of captions replaced by the empty one")
    parser.add_argument("--report-minutes", type=float, default=15)
    parser.add_argument("--probe", type=int, default=64, help="held-out scenes per report")
    parser.add_argument("--threads-file", default="/tmp/og_threads", help="holds the number of threads to use")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
