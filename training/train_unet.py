"""Trains the UNet and the text encoder together on the latents of scenes that are drawn while it trains."""

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch.nn.functional import mse_loss
from transformers import CLIPTokenizer

from .common import Run, make_pool, placed, precision, run_arguments, save_sheet
from .draw import as_arrays, generate_with_diffusers
from .evaluate import prompts_of
from .measures import fidelity
from .models import make_scheduler, make_text_encoder, make_unet
from .pool import Pool
from .scene import PLAIN, held_out_scenes

NOISE_EMPHASIS = 0.8  # 1 for timesteps drawn evenly


def stratified_timesteps(count: int, device: torch.device) -> torch.Tensor:
    """`count` of the 1000 steps, one from each of `count` strata, in random order; noisy ones a little more often.

    What a word looks like is learnt where the noise hides it; the quiet steps are much alike and learnt early.
    """
    places = (torch.arange(count, device=device) + torch.rand(count, device=device)) / count
    return (places**NOISE_EMPHASIS * 1000).long().clamp(max=999)[torch.randperm(count, device=device)]


def watch(pipeline: StableDiffusionPipeline, count: int, sheet: Path) -> dict[str, float]:
    """Draws watched scenes, all plain and half of them single, as a sheet with the captions beside it; and scores them.

    They are held out from training, and drawn with other seeds than those `evaluate` reports on.
    """
    one = {"plain": 1.0, "kinds": {"one": 1.0}, **PLAIN}
    scenes = held_out_scenes(count // 2, seed=21, **one) + held_out_scenes(count // 2, seed=22, plain=1.0)
    prompts = prompts_of(scenes, seed=21)
    pictures = generate_with_diffusers(pipeline, prompts, steps=10, guidance=2.5, seeds=range(2000, 2000 + count))
    save_sheet(pictures, 8, sheet, zoom=1)
    sheet.with_suffix(".txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")
    records = [fidelity(picture, scene) for picture, scene in zip(as_arrays(pictures), scenes)]
    right = [record["right"] for record in records]
    return {
        "single_right": sum(right[: count // 2]) / (count // 2),
        "mixed_right": sum(right[count // 2 :]) / (count - count // 2),
        "psnr_median": sorted(record["psnr"] for record in records)[count // 2],
    }


def main() -> None:
    args = options().parse_args()
    train(args, make_pool(args))


def train(args: argparse.Namespace, pool: Pool) -> None:
    """Writes checkpoints to `unet.pt` and points to `curve.jsonl` below `args.out`."""
    vae = placed(AutoencoderKL.from_pretrained(args.out / "vae"), args)
    tokenizer = CLIPTokenizer.from_pretrained(args.out / "tokenizer")
    scheduler = make_scheduler()
    text_encoder = placed(make_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id), args)
    unet = placed(make_unet(), args)
    if args.weights:
        start = torch.load(args.weights)
        text_encoder.load_state_dict(start["text_encoder"])
        unet.load_state_dict(start["unet"])
    pipeline = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    run = Run({"text_encoder": text_encoder, "unet": unet}, args.out / "unet.pt", args)
    pool.encode_with(vae, args.bf16)
    encode, denoise = text_encoder, unet
    if args.compile:
        encode, denoise = torch.compile(encode, dynamic=False), torch.compile(denoise, dynamic=False)

    def next_loss() -> torch.Tensor:
        rows = pool.rows(args.batch, args.uses)
        clean = pool.latents_of(rows, half=torch.rand(()).item() < args.halved)
        tokens = pool.tokens_of(rows, args.dropout)
        noise, timesteps = torch.randn_like(clean), stratified_timesteps(args.batch, args.device)
        noisy = scheduler.add_noise(clean, noise, timesteps)
        with precision(args):
            prediction = denoise(noisy, timesteps, encode(tokens).last_hidden_state).sample
        return mse_loss(prediction.float(), scheduler.get_velocity(clean, noise, timesteps))

    def report() -> str:
        figures = watch(pipeline, args.probe, args.out / "unet.png")
        point = {"minutes": run.spent / 60, "pictures": run.pictures, **figures}
        with (args.out / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps({key: round(value, 4) for key, value in point.items()}) + "\n")
        return ", ".join(f"{key} {value:.3f}" for key, value in figures.items())

    run.train(next_loss, report)


def options() -> argparse.ArgumentParser:
    parser = run_arguments(__doc__, minutes=400, batch=64, muon_lr=4e-3, adam_lr=2e-3)
    parser.add_argument("--weights", type=Path, help="weights to begin with: start.pt of `training.from_gguf`")
    parser.add_argument("--compile", action="store_true", help="compile both networks first")
    parser.add_argument("--dropout", type=float, default=0.1, help="share of captions replaced by the empty one")
    parser.add_argument("--halved", type=float, default=0.15, help="share of batches at half size, 64x64")
    parser.add_argument("--probe", type=int, default=64, help="watched scenes per report")
    return parser


if __name__ == "__main__":
    main()
