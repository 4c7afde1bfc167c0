"""Trains the autoencoder, on crops first and whole pictures later, as the norms will meet; then scales its latents."""

import argparse
import copy
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import nn

from .common import Run, make_pool, placed, precision, psnr, run_arguments, save_sheet, worker
from .models import LATENT_CHANNELS, make_vae
from .pool import Pool
from .render import picture_batch
from .scene import held_out_scenes

SCALED_ON = 1024  # pictures whose latents are scaled to unit variance


def edges(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Horizontal and vertical differences of neighbouring pixels."""
    return pictures.diff(dim=3), pictures.diff(dim=2)


def picture_loss(output: torch.Tensor, target: torch.Tensor, squared: float = 4.0) -> torch.Tensor:
    """L1 for sharpness, squared error for PSNR, and L1 on the edges."""
    error = output - target
    edge = sum((a - b).abs().mean() for a, b in zip(edges(output), edges(target)))
    return error.abs().mean() + squared * error.square().mean() + 0.5 * edge


def blurred_latents(latents: torch.Tensor, most: float) -> torch.Tensor:
    """Latents [N, C, h, w] with noise, of each picture at a level of its own up to `most` of the channel's deviation.

    The decoder learns to draw from latents that are a little wrong, as a UNet's are, and the encoder to keep apart in
    them what looks different.
    """
    levels = most * torch.rand(len(latents), 1, 1, 1, device=latents.device)
    deviations = latents.detach().std(dim=(0, 2, 3), keepdim=True)
    return latents + levels * deviations * torch.randn_like(latents)


def training_loss(vae: AutoencoderKL, images: torch.Tensor, args: argparse.Namespace, first: nn.Module | None) -> torch.Tensor:
    """Reconstruction from blurred latents, plus the divergence from a unit normal per latent.

    With the encoder that the run began with as `first`, the latents are held near its own, so that a UNet that knows
    those has little to learn anew.
    """
    posterior = vae.encode(images).latent_dist
    output = vae.decode(blurred_latents(posterior.sample(), args.latent_noise)).sample.float()
    divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).float().mean()
    loss = picture_loss(output, images, args.squared) + args.kl_weight * divergence
    if first is not None:
        with torch.no_grad():
            known = first.encode(images).latent_dist.mean
        loss = loss + args.keep * (posterior.mean - known).square().mean()
    return loss


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, images: torch.Tensor, batch: int = 16) -> tuple[float, torch.Tensor]:
    """Mean PSNR of the reconstructions from the posteriors' means, and the reconstructions."""
    outputs = torch.cat([vae.decode(vae.encode(part).latent_dist.mean).sample for part in images.split(batch)])
    return psnr(outputs, images).mean().item(), outputs


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
    args = options().parse_args()
    train(args, make_pool(args))


def train(args: argparse.Namespace, pool: Pool) -> None:
    """Writes `vae` below `args.out`."""
    probe = picture_batch(held_out_scenes(96, seed=11, plain=0.5), random.Random(11)).to(args.device)
    vae, first = placed(make_vae(), args), None
    if args.weights:
        vae.load_state_dict(AutoencoderKL.from_pretrained(args.weights).state_dict())
        first = copy.deepcopy(vae).requires_grad_(False)
    run = Run({"vae": vae}, args.out / "vae.pt", args)

    def next_loss() -> torch.Tensor:
        if run.progress < args.crops_until:
            images = pool.crops_of(pool.rows(args.batch, args.uses))
        else:
            images = pool.pictures_of(pool.rows(args.batch // 4, args.uses))
        with precision(args):
            return training_loss(vae, images, args, first)

    def report() -> str:
        quality, outputs = reconstruct(vae, probe)
        worst = psnr(outputs, probe).quantile(0.1).item()
        save_sheet(torch.stack([probe[:48], outputs[:48]], dim=1).flatten(0, 1), 12, args.out / "vae.png", zoom=1)
        return f"held-out PSNR mean {quality:.2f} dB, worst tenth {worst:.2f} dB"

    run.train(next_loss, report)
    if worker() != 0:
        return
    with run.average.applied(), torch.no_grad():
        if first is None:
            parts = pool.rows(SCALED_ON, args.uses).split(64)
            normalise_latents(vae, torch.cat([vae.encode(pool.pictures_of(part)).latent_dist.mean for part in parts]))
            print(f"after scaling: {report()}", flush=True)
        vae.save_pretrained(args.out / "vae")


def options() -> argparse.ArgumentParser:
    parser = run_arguments(__doc__, minutes=120, batch=16, muon_lr=1e-2, adam_lr=2e-3)
    parser.add_argument("--weights", type=Path, help="a folder with weights to begin with")
    parser.add_argument("--keep", type=float, default=0.01, help="weight of the squared distance to the latents of --weights")
    parser.add_argument("--crops-until", type=float, default=0.6, help="share of the run on crops; then come whole pictures")
    parser.add_argument("--squared", type=float, default=4.0, help="weight of the squared error")
    parser.add_argument("--kl-weight", type=float, default=1e-4)
    parser.add_argument("--latent-noise", type=float, default=0.2, help="on latents of unit deviation, at most")
    return parser


if __name__ == "__main__":
    main()
