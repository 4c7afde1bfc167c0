"""Trains the UNet and the text encoder together on cached latents."""

import argparse
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch.nn.functional import mse_loss
from transformers import CLIPTokenizer

from .captions import caption
from .common import Run, join_workers, run_arguments, save_atomically, save_sheet, worker
from .data import FONT, PLACES, Combo, Renderer, keys_of, training_combos
from .draw import generate_with_diffusers
from .evaluate import held_out_prompts, score, summarise
from .models import MAX_TOKENS, make_scheduler, make_text_encoder, make_unet
from .train_vae import encode_all

# The centre's share of the training pictures in the first and second half; the other places share the rest
# equally. All places teach the shapes; the centre, which most pictures then show, makes them sharp.
CENTRE_SHARES = (1 / 3, 0.5)


def cached_latents(path: Path, vae: AutoencoderKL, renderer: Renderer, keys: torch.Tensor) -> torch.Tensor:
    """The latents [N, 4, 16, 16] of all training pictures, encoded once."""
    if not path.exists():
        save_atomically({"latents": encode_all(vae, renderer, keys)}, path)
    return torch.load(path)["latents"]


def place_weights(keys: torch.Tensor, centre_share: float) -> torch.Tensor:
    """Sampling weights [N] that give the centre its share."""
    others = (1 - centre_share) / (len(PLACES) - 1)
    return torch.where(keys[:, 2] == 0, centre_share, others).double()


def write_captions(keys: torch.Tensor, dropout: float, rng: random.Random) -> list[str]:
    """A fresh wording per picture; some are empty, which is what guidance steers away from."""
    return [
        "" if rng.random() < dropout else caption(Combo(subject, size, colour), place, rng)
        for subject, size, place, colour in keys.tolist()
    ]


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids [N, 24]."""
    return tokenizer(
        texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    ).input_ids


def stratified_timesteps(count: int) -> torch.Tensor:
    """`count` of the 1000 steps, one from each of `count` equal strata, in random order."""
    return ((torch.arange(count) + torch.rand(count)) / count * 1000).long()[torch.randperm(count)]


def report(pipeline: StableDiffusionPipeline, renderer: Renderer, count: int, sheet: Path) -> str:
    """Figures on `count` held-out captions, and their pictures as a sheet."""
    every = held_out_prompts()
    prompts, combos = zip(*every[:: len(every) // count])
    pictures = generate_with_diffusers(pipeline, list(prompts), steps=10, guidance=2.0, seeds=range(1000, 1000 + len(prompts)))
    save_sheet(pictures, 16, sheet)
    figures = summarise(score(renderer, pictures, list(combos)))
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())


def main() -> None:
    args = parse_args()
    join_workers(args.seed)
    rng = random.Random(args.seed + 1000 * worker())
    renderer = Renderer(args.font)
    vae = AutoencoderKL.from_pretrained(args.out / "vae").to(memory_format=torch.channels_last)
    tokenizer = CLIPTokenizer.from_pretrained(args.out / "tokenizer")
    keys = keys_of(training_combos())
    latents = cached_latents(args.out / "latents.pt", vae, renderer, keys)
    weights = [place_weights(keys, share) for share in CENTRE_SHARES]
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
    run = Run({"text_encoder": text_encoder, "unet": unet}, args.out / "unet.pt", args)

    def next_loss() -> torch.Tensor:
        half = int(run.progress > 0.5)
        rows = torch.multinomial(weights[half], args.batch, replacement=True)
        tokens = tokenize(tokenizer, write_captions(keys[rows], args.dropout, rng))
        clean, noise, timesteps = latents[rows], torch.randn(args.batch, *latents.shape[1:]), stratified_timesteps(args.batch)
        noisy = scheduler.add_noise(clean, noise, timesteps)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            prediction = unet(noisy, timesteps, text_encoder(tokens).last_hidden_state).sample
        return mse_loss(prediction.float(), scheduler.get_velocity(clean, noise, timesteps))

    run.train(next_loss, lambda: report(pipeline, renderer, args.probe, args.out / "unet.png"))


def parse_args() -> argparse.Namespace:
    parser = run_arguments(__doc__, minutes=74, batch=64, muon_lr=4e-3, adam_lr=2e-3)
    parser.add_argument("--font", default=FONT)
    parser.add_argument("--start", type=Path, help="weights to begin with: start.pt of `training.from_gguf`")
    parser.add_argument("--bf16", action="store_true", help="autocast; pays on processors with AMX")
    parser.add_argument("--dropout", type=float, default=0.1, help="share of captions replaced by the empty one")
    parser.add_argument("--probe", type=int, default=64, help="held-out captions per report")
    return parser.parse_args()


if __name__ == "__main__":
    main()
