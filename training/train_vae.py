"""Trains the autoencoder from scratch, then scales its latents to mean 0 and variance 1."""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from .common import Run, join_workers, psnr, run_arguments, save_sheet, worker
from .data import FONT, Renderer, held_out_combos, keys_of, training_combos
from .models import make_vae


def edges(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Horizontal and vertical differences of neighbouring pixels."""
    return pictures.diff(dim=3), pictures.diff(dim=2)


def picture_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 for sharpness, squared error for PSNR, and L1 on the edges."""
    error = output - target
    edge = sum((a - b).abs().mean() for a, b in zip(edges(output), edges(target)))
    return error.abs().mean() + 2 * error.square().mean() + 0.5 * edge


def training_loss(vae: AutoencoderKL, images: torch.Tensor, kl_weight: float) -> torch.Tensor:
    """Reconstruction from sampled latents, plus the divergence from a unit normal per latent."""
    posterior = vae.encode(images).latent_dist
    output = vae.decode(posterior.sample()).sample
    divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
    return picture_loss(output, images) + kl_weight * divergence


@torch.no_grad()
def evaluate(vae: AutoencoderKL, images: torch.Tensor, batch: int = 32) -> tuple[float, torch.Tensor]:
    """Mean PSNR of the reconstructions from the posteriors' means, and the reconstructions."""
    outputs = torch.cat([vae.decode(vae.encode(part).latent_dist.mean).sample for part in images.split(batch)])
    return psnr(outputs, images).mean().item(), outputs


@torch.no_grad()
def encode_all(vae: AutoencoderKL, renderer: Renderer, keys: torch.Tensor, batch: int = 32) -> torch.Tensor:
    """Posterior means [N, 4, 16, 16] of the pictures that `keys` name."""
    return torch.cat(
        [
            vae.encode(renderer.images(part).to(memory_format=torch.channels_last)).latent_dist.mean
            for part in keys.split(batch)
        ]
    ).contiguous()


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, latents: torch.Tensor, collapsed: float = 0.5) -> None:
    """Folds (z - mean) / std per channel into the 1x1 convolutions, so that scaling_factor is exactly 1.

    A channel whose deviation the divergence has pressed below `collapsed` carries next to nothing. It keeps
    its scale: the UNet then learns at once that it is about 0, instead of drawing amplified residue.
    """
    mean, std = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    std = torch.where(std < collapsed, 1.0, std)
    encode, decode = vae.quant_conv, vae.post_quant_conv
    means, logvars = slice(len(mean)), slice(len(mean), None)
    encode.weight[means] /= std[:, None, None, None]
    encode.bias[means] = (encode.bias[means] - mean) / std
    encode.bias[logvars] -= 2 * std.log()
    decode.bias += decode.weight[:, :, 0, 0] @ mean
    decode.weight *= std[None, :, None, None]


def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    join_workers(args.seed)
    renderer = Renderer(args.font)
    keys, held_out = keys_of(training_combos()), keys_of(held_out_combos())
    probe = renderer.images(held_out[torch.randperm(len(held_out))[:128]])

    vae = make_vae().to(memory_format=torch.channels_last)
    run = Run({"vae": vae}, args.out / "vae.pt", args)

    def next_loss() -> torch.Tensor:
        batch = keys[torch.randint(len(keys), (args.batch,))]
        images = renderer.images(batch).to(memory_format=torch.channels_last)
        return training_loss(vae, images, args.kl_weight)

    def report() -> str:
        quality, outputs = evaluate(vae, probe)
        save_sheet(torch.stack([probe[:32], outputs[:32]], dim=1).flatten(0, 1), 16, args.out / "vae.png")
        return f"held-out PSNR {quality:.2f} dB"

    run.train(next_loss, report)
    if worker() != 0:
        return
    with run.average.applied():
        normalise_latents(vae, encode_all(vae, renderer, keys[torch.randperm(len(keys))[:1024]]))
        print(f"after scaling: {report()}")
        vae.save_pretrained(args.out / "vae")


def parse_args() -> argparse.Namespace:
    parser = run_arguments(__doc__, minutes=25, batch=8, muon_lr=1e-2, adam_lr=2e-3)
    parser.add_argument("--font", default=FONT)
    parser.add_argument("--kl-weight", type=float, default=5e-4)
    return parser.parse_args()


if __name__ == "__main__":
    main()
