"""Fine-tunes the decoder alone, on latents as the UNet makes them: slightly wrong and slightly soft.

The encoder stays frozen, so cached latents and the UNet remain valid. Each training latent is noised to a
random early step and estimated back by the UNet; the decoder learns to draw the true picture from that.
"""

import argparse
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import nn

from .common import Run, join_workers, run_arguments, save_sheet, worker
from .data import FONT, Renderer, held_out_combos, keys_of, training_combos
from .export import load_denoiser
from .models import make_scheduler
from .train_unet import CENTRE_SHARES, place_weights, tokenize, write_captions
from .train_vae import evaluate, picture_loss


class LatentEstimator:
    """The UNet's one-step guesses of clean latents, from noise levels up to `max_timestep`."""

    def __init__(self, work: Path, max_timestep: int, seed: int):
        self.tokenizer, self.text_encoder, self.unet = load_denoiser(work)
        self.alphas = make_scheduler().alphas_cumprod
        self.max_timestep = max_timestep
        self.rng = random.Random(seed)

    @torch.no_grad()
    def __call__(self, clean: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """[N, 4, 16, 16] -> [N, 4, 16, 16]."""
        timesteps = torch.randint(self.max_timestep, (len(clean),))
        signal = self.alphas[timesteps].sqrt()[:, None, None, None]
        spread = (1 - self.alphas[timesteps]).sqrt()[:, None, None, None]
        noisy = signal * clean + spread * torch.randn_like(clean)
        tokens = tokenize(self.tokenizer, write_captions(keys, 0.0, self.rng))
        context = self.text_encoder(tokens).last_hidden_state
        velocity = self.unet(noisy, timesteps, context).sample
        return signal * noisy - spread * velocity


def main() -> None:
    args = parse_args()
    join_workers(args.seed)
    renderer = Renderer(args.font)
    keys, held_out = keys_of(training_combos()), keys_of(held_out_combos())
    probe = renderer.images(held_out[torch.randperm(len(held_out))[:128]])
    latents, weights = torch.load(args.out / "latents.pt")["latents"], place_weights(keys, CENTRE_SHARES[-1])
    estimate = LatentEstimator(args.out, args.max_timestep, args.seed)

    vae = AutoencoderKL.from_pretrained(args.out / "vae").to(memory_format=torch.channels_last)
    decoder = nn.ModuleList([vae.post_quant_conv, vae.decoder])
    run = Run({"decoder": decoder}, args.out / "decoder.pt", args)

    def next_loss() -> torch.Tensor:
        rows = torch.multinomial(weights, args.batch, replacement=True)
        images = renderer.images(keys[rows]).to(memory_format=torch.channels_last)
        return picture_loss(vae.decode(estimate(latents[rows], keys[rows])).sample, images)

    def report() -> str:
        quality, outputs = evaluate(vae, probe)
        save_sheet(torch.stack([probe[:32], outputs[:32]], dim=1).flatten(0, 1), 16, args.out / "decoder.png")
        return f"held-out PSNR {quality:.2f} dB"

    run.train(next_loss, report)
    if worker() != 0:
        return
    with run.average.applied():
        vae.save_pretrained(args.out / "vae-tuned")


def parse_args() -> argparse.Namespace:
    parser = run_arguments(__doc__, minutes=6, batch=8, muon_lr=4e-3, adam_lr=1e-3)
    parser.add_argument("--font", default=FONT)
    parser.add_argument("--max-timestep", type=int, default=400, help="noise levels the latents are estimated from")
    return parser.parse_args()


if __name__ == "__main__":
    main()
