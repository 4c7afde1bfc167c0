"""Gathers the trained parts into one plain diffusers folder."""

import argparse
import os
import random
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from .common import save_atomically
from .latent_rgb import add_to
from .models import make_scheduler, make_text_encoder, make_unet
from .render import picture_batch
from .scene import training_scene
from .tokenizer import save_tokenizer


def load_denoiser(work: Path) -> tuple[CLIPTokenizer, CLIPTextModel, UNet2DConditionModel]:
    """The tokenizer, and text encoder and UNet: the averaged weights of the last checkpoint, or those of `start.pt`, if any."""
    tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
    text_encoder = make_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    unet = make_unet()
    checkpoint, start = work / "unet.pt", work / "start.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu")
        weights = [*text_encoder.parameters(), *unet.parameters()]
        for weight, mean in zip(weights, state["average"], strict=True):
            weight.data.copy_(mean)
    elif start.exists():
        state = torch.load(start, map_location="cpu")
        text_encoder.load_state_dict(state["text_encoder"])
        unet.load_state_dict(state["unet"])
    return tokenizer, text_encoder.eval(), unet.eval()


def save_start(work: Path) -> None:
    """Writes `start.pt` from the last checkpoint, in half floats: a sixth of its size, to be taken to another machine."""
    _, text_encoder, unet = load_denoiser(work)
    save_atomically({"text_encoder": text_encoder.half().state_dict(), "unet": unet.half().state_dict()}, work / "start.pt")


SAMPLES = 128  # pictures that the export looks at
HALF_PRECISION_LEVEL = 2048.0  # what a level of the decoder may carry at most; f16 ends at 65,504


@torch.no_grad()
def last_level_peak(vae: AutoencoderKL, pictures: torch.Tensor) -> float:
    """The largest magnitude between the modules of the decoder's last level, over `pictures` [N, 3, H, W]."""
    peaks = []
    last, before = vae.decoder.up_blocks[-1], vae.decoder.up_blocks[-2]
    watched = [before.upsamplers[0], *last.resnets]
    hooks = [module.register_forward_hook(lambda _m, _i, out: peaks.append(out.abs().max().item())) for module in watched]
    vae.decode(vae.encode(pictures).latent_dist.mean)
    for hook in hooks:
        hook.remove()
    return max(peaks)


@torch.no_grad()
def fit_half_precision(vae: AutoencoderKL, pictures: torch.Tensor) -> float:
    """Scales what the decoder's last level carries to stay far from f16's range, by the power of two returned.

    The level begins with a plain convolution and every reader but the residual sums is a group norm, which does not
    see a common factor: so all writers are scaled by it, and the pictures are the same. The shortcut reads the scaled
    sums already; only its bias is.
    """
    factor = 1.0
    while last_level_peak(vae, pictures) > HALF_PRECISION_LEVEL:
        factor /= 2
        last, before = vae.decoder.up_blocks[-1], vae.decoder.up_blocks[-2]
        writers = [before.upsamplers[0].conv, *(resnet.conv2 for resnet in last.resnets)]
        scaled = [weight for writer in writers for weight in (writer.weight, writer.bias)]
        shortcuts = [resnet.conv_shortcut for resnet in last.resnets if resnet.conv_shortcut is not None]
        for weight in [*scaled, *(shortcut.bias for shortcut in shortcuts)]:
            weight /= 2
    return factor


def tuned_vae(work: Path) -> AutoencoderKL:
    """The autoencoder, its decoder as tuned, if it was."""
    tuned = work / "vae-tuned"
    return AutoencoderKL.from_pretrained(tuned if tuned.exists() else work / "vae")


def export(denoiser: tuple, vae: AutoencoderKL, pictures: torch.Tensor, out: Path) -> None:
    """Writes a diffusers folder beside `out` and renames it; weights are f32 safetensors.

    `denoiser` is what `load_denoiser` gives; on `pictures` [N, 3, H, W] in [-1, 1] the decoder's range and the preview's
    colours are fitted.
    """
    tokenizer, text_encoder, unet = denoiser
    print(f"the decoder's last level is scaled by {fit_half_precision(vae, pictures[:64]):g}")
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
    add_to(scratch, pictures)
    shutil.rmtree(out, ignore_errors=True)
    os.replace(scratch, out)
    print(f"wrote {out}")


def main() -> None:
    args = parse_args()
    rng = random.Random(0)
    pictures = picture_batch([training_scene(rng) for _ in range(SAMPLES)], rng)
    export(load_denoiser(args.work), tuned_vae(args.work), pictures, args.out)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("work"), help="folder with the checkpoints")
    parser.add_argument("--out", type=Path, default=Path("mini"), help="the diffusers folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
