"""Gathers the trained parts into one plain diffusers folder."""

import argparse
import os
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from transformers import CLIPTokenizer

from .latent_rgb import add_to
from .models import make_scheduler, make_text_encoder, make_unet
from .tokenizer import save_tokenizer


def load_denoiser(work: Path) -> tuple:
    """The tokenizer, and text encoder and UNet with the averaged weights of the last checkpoint, if any."""
    tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
    text_encoder = make_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    unet = make_unet()
    checkpoint = work / "unet.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint)
        weights = [*text_encoder.parameters(), *unet.parameters()]
        for weight, mean in zip(weights, state["average"], strict=True):
            weight.data.copy_(mean)
    return tokenizer, text_encoder.eval(), unet.eval()


def export(work: Path, vae_folder: Path, out: Path) -> None:
    """Writes the folder beside `out` and renames it; weights are f32 safetensors."""
    tokenizer, text_encoder, unet = load_denoiser(work)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(vae_folder),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    scratch = out.with_name(out.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    pipeline.save_pretrained(scratch, safe_serialization=True)
    save_tokenizer(tokenizer, scratch / "tokenizer")
    add_to(scratch)
    shutil.rmtree(out, ignore_errors=True)
    os.replace(scratch, out)


def main() -> None:
    args = parse_args()
    tuned = args.work / "vae-tuned"
    export(args.work, tuned if tuned.exists() else args.work / "vae", args.out)
    print(f"wrote {args.out}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("work"), help="folder with the checkpoints")
    parser.add_argument("--out", type=Path, default=Path("mini"), help="the diffusers folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
