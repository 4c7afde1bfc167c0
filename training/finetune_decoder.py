"""Fine-tunes the decoder alone, on latents as the UNet makes them: slightly wrong and slightly soft.

The encoder stays frozen, so the UNet remains valid. Each training latent is noised to a random early step and
estimated back by the UNet; the decoder learns to draw the true picture from that. `--max-timestep 0` trains it on
the encoder's own latents, which needs no UNet yet.
"""

import argparse
import random
from pathlib import Path

import torch
from torch import nn
from transformers import CLIPTokenizer

from .common import Run, join_workers, make_pool, placed, precision, psnr, run_arguments, save_sheet
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


class Critic:
    """Tells rendered patches from decoded ones, so that decoding learns to be as crisp (patch GAN with a hinge loss).

    Isola et al., Image-to-image translation with conditional adversarial networks, 2017; balanced as in Esser et al.,
    Taming transformers, 2021.
    """

    GRAIN = 0.01  # noise over both, so that rounding does not tell them apart

    def __init__(self, device: torch.device):
        layers: list[nn.Module] = []
        channels = 3
        for width in (32, 64, 96):
            layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.GroupNorm(8, width), nn.LeakyReLU(0.2)]
            channels = width
        self.network = nn.Sequential(*layers, nn.Conv2d(channels, 1, 3, padding=1)).to(device)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), 4e-4, (0.5, 0.9), weight_decay=0.0)

    def judge(self, pictures: torch.Tensor) -> torch.Tensor:
        """[N, 3, H, W] -> [N, 1, H / 8, W / 8]: above 0 what it takes for rendered."""
        return self.network(pictures + self.GRAIN * torch.randn_like(pictures)).float()

    def learn(self, rendered: torch.Tensor, decoded: torch.Tensor) -> None:
        """One step."""
        self.network.requires_grad_(True)
        loss = (1 - self.judge(rendered)).relu().mean() + (1 + self.judge(decoded.detach())).relu().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.network.requires_grad_(False)

    def loss(self, decoded: torch.Tensor, distance: torch.Tensor, last: torch.Tensor, share: float) -> torch.Tensor:
        """What `decoded` misses, weighted to pull at the `last` weights with a `share` of the force of `distance`."""
        missed = -self.judge(decoded).mean()
        pulls = [torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (distance, missed)]
        return share * (pulls[0] / (pulls[1] + 1e-6)).clamp(max=1e4).detach() * missed


def main() -> None:
    args = options().parse_args()
    join_workers(args.seed)
    train(args, make_pool(args, CLIPTokenizer.from_pretrained(args.out / "tokenizer")))


def train(args: argparse.Namespace, pool: Pool) -> None:
    """Writes `vae-tuned` below `args.out`."""
    probe = picture_batch(held_out_scenes(96, seed=11, plain=0.5), random.Random(11)).to(args.device)
    estimate = LatentEstimator(args) if args.max_timestep else None
    vae = placed(tuned_vae(args.out), args)
    decoder = nn.ModuleList([vae.post_quant_conv, vae.decoder])
    run = Run({"decoder": decoder}, args.out / args.checkpoint, args)
    critic = Critic(args.device) if args.critic else None
    if pool.vae is None:
        pool.encode_with(vae, args.bf16)

    def next_loss() -> torch.Tensor:
        rows = pool.rows(args.batch, args.uses)
        pictures, latents = pool.pictures_of(rows), pool.latents[rows]
        with precision(args):
            if estimate:
                with torch.no_grad():
                    latents = estimate(latents, pool.tokens_of(rows))
            decoded = vae.decode(latents).sample.float()
            loss = picture_loss(decoded, pictures)
            if critic:
                critic.learn(pictures, decoded)
                loss = loss + critic.loss(decoded, loss, vae.decoder.conv_out.weight, args.critic)
            return loss

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
    parser.add_argument("--critic", type=float, default=0.0, help="its pull as a share of the picture loss's; 0 without")
    parser.add_argument("--checkpoint", default="decoder.pt", help="of this run, below --out")
    return parser


if __name__ == "__main__":
    main()
