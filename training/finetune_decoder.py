"""Fine-tunes the decoder alone, on latents as the UNet makes them: slightly wrong and slightly soft.

The encoder stays frozen, so the UNet remains valid. Each training latent is noised to a random early step and
estimated back by the UNet; the decoder learns to draw the true picture from that. `--max-timestep 0` trains it on
the encoder's own latents, which needs no UNet yet.
"""

import argparse
import random

import torch
from torch import nn

from .common import Run, make_pool, placed, precision, psnr, run_arguments, save_sheet
from .export import load_denoiser, tuned_vae
from .models import make_scheduler
from .pool import Pool
from .render import picture_batch
from .scene import held_out_scenes
from .train_vae import picture_loss, reconstruct


class LatentEstimator:
    """The UNet's one-step guesses of clean latents, from noise levels up to `max_timestep`."""

    def __init__(self, args: argparse.Namespace):
        _, text_encoder, unet = load_denoiser(args.out)
        self.text_encoder, self.unet = placed(text_encoder, args), placed(unet, args)
        self.alphas = make_scheduler().alphas_cumprod.to(args.device)
        self.max_timestep = args.max_timestep

    def __call__(self, clean: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Latents [N, C, 16, 16] and their captions' token ids [N, 32] -> [N, C, 16, 16]."""
        places = torch.rand(len(clean), device=clean.device).square()  # half lie below a quarter of the range
        timesteps = (places * self.max_timestep).long()
        signal = self.alphas[timesteps].sqrt()[:, None, None, None]
        spread = (1 - self.alphas[timesteps]).sqrt()[:, None, None, None]
        noisy = signal * clean + spread * torch.randn_like(clean)
        velocity = self.unet(noisy, timesteps, self.text_encoder(tokens).last_hidden_state).sample
        return signal * noisy - spread * velocity.float()


def main() -> None:
    args = options().parse_args()
    train(args, make_pool(args))


def train(args: argparse.Namespace, pool: Pool) -> None:
    """Writes `vae-tuned` below `args.out`."""
    probe = picture_batch(held_out_scenes(96, seed=11, plain=0.5), random.Random(11)).to(args.device)
    estimate = LatentEstimator(args) if args.max_timestep else None
    vae = placed(tuned_vae(args.out), args)
    decoder = nn.ModuleList([vae.post_quant_conv, vae.decoder])
    run = Run({"decoder": decoder}, args.out / args.checkpoint, args)
    if pool.vae is None:
        pool.encode_with(vae, args.bf16)

    def next_loss() -> torch.Tensor:
        rows = pool.rows(args.batch, args.uses)
        half = torch.rand(()).item() < args.halved
        pictures, latents = pool.pictures_of(rows, half), pool.latents_of(rows, half)
        with precision(args):
            if estimate:
                with torch.no_grad():
                    latents = estimate(latents, pool.tokens_of(rows))
            return picture_loss(vae.decode(latents).sample.float(), pictures)

    def report() -> str:
        quality, outputs = reconstruct(vae, probe)
        save_sheet(torch.stack([probe[:48], outputs[:48]], dim=1).flatten(0, 1), 12, args.out / "decoder.png", zoom=1)
        with torch.no_grad():
            vae.save_pretrained(args.out / "vae-tuned")
        return f"held-out PSNR mean {quality:.2f} dB, worst tenth {psnr(outputs, probe).quantile(0.1).item():.2f} dB"

    run.train(next_loss, report)


def options() -> argparse.ArgumentParser:
    parser = run_arguments(__doc__, minutes=30, batch=4, muon_lr=4e-3, adam_lr=1e-3)
    parser.add_argument("--max-timestep", type=int, default=400, help="noise levels the latents are estimated from")
    parser.add_argument("--halved", type=float, default=0.2, help="share of batches at half size, 64x64")
    parser.add_argument("--checkpoint", default="decoder.pt", help="of this run, below --out")
    return parser


if __name__ == "__main__":
    main()
