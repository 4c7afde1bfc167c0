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


@torch.no_grad()
def fit_half_precision(vae: AutoencoderKL, factor: float = 1 / 64) -> None:
    """Scales what the decoder's last level carries, so that it stays far from f16's 65,504; the pictures are the same.

    Training left values up to 70,000 there. The level begins with a plain convolution and every reader but the
    residual sums is a group norm, which does not see a common factor: so all writers are scaled by it. The shortcut
    reads the scaled sums already; only its bias is.
    """
    last, before = vae.decoder.up_blocks[-1], vae.decoder.up_blocks[-2]
    writers = [before.upsamplers[0].conv, *(resnet.conv2 for resnet in last.resnets)]
    scaled = [weight for writer in writers for weight in (writer.weight, writer.bias)]
    shortcuts = [resnet.conv_shortcut for resnet in last.resnets if resnet.conv_shortcut is not None]
    for weight in [*scaled, *(shortcut.bias for shortcut in shortcuts)]:
        weight *= factor


def export(work: Path, vae_folder: Path, out: Path) -> None:
    """Writes the folder beside `out` and renames it; weights are f32 safetensors."""
    tokenizer, text_encoder, unet = load_denoiser(work)
    vae = AutoencoderKL.from_pretrained(vae_folder)
    fit_half_precision(vae)
    pipeline = StableDiffusionPipeline(
        vae=vae,
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
