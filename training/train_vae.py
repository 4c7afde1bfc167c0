"""Trains the autoencoder from scratch, on crops first and whole pictures later, then scales its latents."""

import argparse
import copy
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import nn

from .common import Run, join_workers, psnr, run_arguments, save_sheet, worker
from .models import LATENT_CHANNELS, make_vae
from .render import boxes, picture_batch
from .scene import CELL, IMAGE, Scene, held_out_scenes, training_scene

CROP = 64  # pixels a side of a crop; a whole picture costs four
KEEP = 0.01  # weight of the squared distance to the latents of --weights
CROPS_UNTIL = 0.6  # share of the run on crops; the rest sees whole pictures, as the norms will at the end


def edges(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Horizontal and vertical differences of neighbouring pixels."""
    return pictures.diff(dim=3), pictures.diff(dim=2)


def picture_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 for sharpness, squared error for PSNR, and L1 on the edges."""
    error = output - target
    edge = sum((a - b).abs().mean() for a, b in zip(edges(output), edges(target)))
    return error.abs().mean() + 4 * error.square().mean() + 0.5 * edge


def training_loss(vae: AutoencoderKL, images: torch.Tensor, kl_weight: float, first: nn.Module | None) -> torch.Tensor:
    """Reconstruction from sampled latents, plus the divergence from a unit normal per latent.

    With the encoder that the run began with as `first`, the latents are held near its own, so that a UNet that knows
    those has little to learn anew.
    """
    posterior = vae.encode(images).latent_dist
    output = vae.decode(posterior.sample()).sample
    divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
    loss = picture_loss(output, images) + kl_weight * divergence
    if first is not None:
        with torch.no_grad():
            known = first.encode(images).latent_dist.mean
        loss = loss + KEEP * (posterior.mean - known).square().mean()
    return loss


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, images: torch.Tensor, batch: int = 16) -> tuple[float, torch.Tensor]:
    """Mean PSNR of the reconstructions from the posteriors' means, and the reconstructions."""
    outputs = torch.cat([vae.decode(vae.encode(part).latent_dist.mean).sample for part in images.split(batch)])
    return psnr(outputs, images).mean().item(), outputs


def crop(pictures: torch.Tensor, scenes: list[Scene], rng: random.Random) -> torch.Tensor:
    """Of each picture [N, 3, 128, 128] a grid-aligned [3, 64, 64] that holds a good part of one of its things."""
    parts = []
    for picture, scene in zip(pictures, scenes):
        _, box, left, top = rng.choice(boxes(scene))
        corner = []
        for start in (top, left):
            centre = start + rng.uniform(0.15, 0.85) * box - CROP / 2
            corner.append(min(max(round(centre / CELL), 0), (IMAGE - CROP) // CELL) * CELL)
        parts.append(picture[:, corner[0] : corner[0] + CROP, corner[1] : corner[1] + CROP])
    return torch.stack(parts)


@torch.no_grad()
def encode_scenes(vae: AutoencoderKL, scenes: list[Scene], rng: random.Random, batch: int = 32) -> torch.Tensor:
    """Posterior means [N, 8, 16, 16] of the scenes, each in a random variant."""
    parts = []
    for start in range(0, len(scenes), batch):
        pictures = picture_batch(scenes[start : start + batch], rng).to(memory_format=torch.channels_last)
        parts.append(vae.encode(pictures).latent_dist.mean.contiguous())
    return torch.cat(parts)


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, latents: torch.Tensor, collapsed: float = 0.5) -> None:
    """Folds (z - mean) / std per channel into the 1x1 convolutions, so that scaling_factor is exactly 1.

    A channel whose deviation the divergence has pressed below `collapsed` carries next to nothing. It keeps
    its scale: the UNet then learns at once that it is about 0, instead of drawing amplified residue.
    """
    mean, std = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    std = torch.where(std < collapsed, 1.0, std)
    encode, decode = vae.quant_conv, vae.post_quant_conv
    means, logvars = slice(LATENT_CHANNELS), slice(LATENT_CHANNELS, None)
    encode.weight[means] /= std[:, None, None, None]
    encode.bias[means] = (encode.bias[means] - mean) / std
    encode.bias[logvars] -= 2 * std.log()
    decode.bias += decode.weight[:, :, 0, 0] @ mean
    decode.weight *= std[None, :, None, None]


def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    join_workers(args.seed)
    rng = random.Random(args.seed + 1000 * worker())
    probe = picture_batch(held_out_scenes(96, seed=11, plain=0.5), random.Random(11))

    vae, first = make_vae().to(memory_format=torch.channels_last), None
    if args.weights:
        vae.load_state_dict(AutoencoderKL.from_pretrained(args.weights).state_dict())
        first = copy.deepcopy(vae).requires_grad_(False)
    run = Run({"vae": vae}, args.out / "vae.pt", args)

    def next_loss() -> torch.Tensor:
        crops = run.progress < CROPS_UNTIL
        scenes = [training_scene(rng, plain=0.5) for _ in range(args.batch if crops else args.batch // 4)]
        pictures = picture_batch(scenes, rng)
        if crops:
            pictures = crop(pictures, scenes, rng)
        return training_loss(vae, pictures.to(memory_format=torch.channels_last), args.kl_weight, first)

    def report() -> str:
        quality, outputs = reconstruct(vae, probe)
        worst = psnr(outputs, probe).quantile(0.1).item()
        save_sheet(torch.stack([probe[:48], outputs[:48]], dim=1).flatten(0, 1), 12, args.out / "vae.png", zoom=1)
        return f"held-out PSNR mean {quality:.2f} dB, worst tenth {worst:.2f} dB"

    run.train(next_loss, report)
    if worker() != 0:
        return
    with run.average.applied():
        normalise_latents(vae, encode_scenes(vae, [training_scene(rng) for _ in range(512)], rng))
        print(f"after scaling: {report()}")
        vae.save_pretrained(args.out / "vae")


def parse_args() -> argparse.Namespace:
    parser = run_arguments(__doc__, minutes=120, batch=16, muon_lr=1e-2, adam_lr=2e-3)
    parser.add_argument("--weights", type=Path, help="a folder with weights to begin with")
    parser.add_argument("--kl-weight", type=float, default=1e-4)
    return parser.parse_args()


if __name__ == "__main__":
    main()
