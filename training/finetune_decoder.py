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

from .captions import caption
from .common import Run, join_workers, psnr, run_arguments, save_sheet, worker
from .export import load_denoiser, tuned_vae
from .models import MAX_TOKENS, make_scheduler
from .render import picture_batch
from .scene import Scene, held_out_scenes, training_scene
from .train_vae import picture_loss, reconstruct


class LatentEstimator:
    """The UNet's one-step guesses of clean latents, from noise levels up to `max_timestep`."""

    def __init__(self, work: Path, max_timestep: int, rng: random.Random):
        self.tokenizer, self.text_encoder, self.unet = load_denoiser(work)
        self.alphas = make_scheduler().alphas_cumprod
        self.max_timestep, self.rng = max_timestep, rng

    def __call__(self, clean: torch.Tensor, scenes: list[Scene]) -> torch.Tensor:
        """[N, C, 16, 16] -> [N, C, 16, 16]."""
        timesteps = (torch.rand(len(clean)).square() * self.max_timestep).long()  # half lie below a quarter of it
        signal = self.alphas[timesteps].sqrt()[:, None, None, None]
        spread = (1 - self.alphas[timesteps]).sqrt()[:, None, None, None]
        noisy = signal * clean + spread * torch.randn_like(clean)
        texts = [caption(scene, self.rng) for scene in scenes]
        tokens = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).input_ids
        velocity = self.unet(noisy, timesteps, self.text_encoder(tokens).last_hidden_state).sample
        return signal * noisy - spread * velocity


def main() -> None:
    args = parse_args()
    join_workers(args.seed)
    rng = random.Random(args.seed + 1000 * worker())
    probe = picture_batch(held_out_scenes(96, seed=11, plain=0.5), random.Random(11))
    estimate = LatentEstimator(args.out, args.max_timestep, rng) if args.max_timestep else None
    vae = tuned_vae(args.out).to(memory_format=torch.channels_last)
    decoder = nn.ModuleList([vae.post_quant_conv, vae.decoder])
    run = Run({"decoder": decoder}, args.out / args.checkpoint, args)

    def next_loss() -> torch.Tensor:
        scenes = [training_scene(rng, plain=0.5) for _ in range(args.batch)]
        pictures = picture_batch(scenes, rng).to(memory_format=torch.channels_last)
        with torch.no_grad():
            posterior = vae.encode(pictures).latent_dist
            latents = estimate(posterior.mean.contiguous(), scenes) if estimate else posterior.sample()
        return picture_loss(vae.decode(latents).sample, pictures)

    def report() -> str:
        quality, outputs = reconstruct(vae, probe)
        save_sheet(torch.stack([probe[:48], outputs[:48]], dim=1).flatten(0, 1), 12, args.out / "decoder.png", zoom=1)
        with torch.no_grad():
            vae.save_pretrained(args.out / "vae-tuned")
        return f"held-out PSNR mean {quality:.2f} dB, worst tenth {psnr(outputs, probe).quantile(0.1).item():.2f} dB"

    run.train(next_loss, report)


def parse_args() -> argparse.Namespace:
    parser = run_arguments(__doc__, minutes=30, batch=4, muon_lr=4e-3, adam_lr=1e-3)
    parser.add_argument("--max-timestep", type=int, default=400, help="noise levels the latents are estimated from")
    parser.add_argument("--checkpoint", default="decoder.pt", help="of this run, below --out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
