"""Distils a few-step companion: a LoRA of the UNet that draws in two to four steps without guidance.

Latent consistency distillation (Luo et al., 2023, arXiv:2310.04378; the LoRA of arXiv:2311.05556) with guidance folded in. A
training latent is noised to one of few steps; the teacher, guided, goes one of many smaller steps down its ODE; and the student
must say from the upper place what its own average says from the lower one, so that all places of a path agree on its end. The
shares c_skip and c_out of the paper are 0 and 1 at all steps but the last, and the last step lands on the clean latents itself:
the student's v is simply the one of that end, and any sampler with trailing steps can use it.
"""

import argparse
import math
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn

from .common import Average, Run, make_pool, placed, precision, run_arguments
from .export import load_denoiser
from .models import make_scheduler
from .pool import Pool

STEPS = 50  # places on the noise scale, trailing as the samplers', 20 timesteps apart
MEGABYTE = 1_000_000


class Adapted(nn.Module):
    """A linear layer or convolution with a low-rank difference beside it, of kohya's form: up(down(x)) · alpha / rank."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int):
        super().__init__()
        self.layer, self.rank = layer.requires_grad_(False), rank
        if isinstance(layer, nn.Conv2d):
            self.down = nn.Conv2d(layer.in_channels, rank, layer.kernel_size, layer.stride, layer.padding, bias=False)
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)
        self.on = True

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        kept = self.layer(values)
        return kept + self.up(self.down(values)) if self.on else kept


def adapt(unet: UNet2DConditionModel, rank: int) -> dict[str, Adapted]:
    """Puts differences beside all linear layers and kernels of the blocks; by kohya's name of each."""
    unet.requires_grad_(False)
    wanted = [
        name for name, layer in unet.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and "_block" in name
    ]  # fmt: skip
    adapted = {}
    for name in wanted:
        parent, _, last = name.rpartition(".")
        holder = unet.get_submodule(parent)
        wrapped = Adapted(getattr(holder, last), rank)
        setattr(holder, last, wrapped)
        adapted["lora_unet_" + name.replace(".", "_")] = wrapped
    return adapted


def switch(adapted: dict[str, Adapted], on: bool) -> None:
    for layer in adapted.values():
        layer.on = on


def save_lora(adapted: dict[str, Adapted], path: Path) -> int:
    """Writes the differences as half floats in kohya's names; the file's bytes."""
    tensors = {}
    for name, layer in adapted.items():
        tensors[f"{name}.lora_down.weight"] = layer.down.weight.detach().half().cpu().contiguous()
        tensors[f"{name}.lora_up.weight"] = layer.up.weight.detach().half().cpu().contiguous()
        tensors[f"{name}.alpha"] = torch.tensor(float(layer.rank)).half()
    save_file(tensors, path, metadata={"ss_network_module": "networks.lora"})
    return path.stat().st_size


def main() -> None:
    args = options().parse_args()
    train(args, make_pool(args))


def train(args: argparse.Namespace, pool: Pool) -> None:
    """Writes `distill.pt`, its checkpoint, and `few-steps.safetensors` below `args.out`."""
    vae = placed(AutoencoderKL.from_pretrained(args.out / "vae"), args)
    _, text_encoder, unet = load_denoiser(args.out)
    text_encoder, unet = placed(text_encoder, args).requires_grad_(False), placed(unet, args)
    adapted = adapt(unet, args.rank)
    unet.to(args.device)
    student = nn.ModuleList(part for layer in adapted.values() for part in (layer.down, layer.up))
    target = Average([student], args.target_ema)
    run = Run({"lora": student}, args.out / "distill.pt", args)
    if pool.vae is None:
        pool.encode_with(vae, args.bf16)
    alphas = make_scheduler().alphas_cumprod.to(args.device)
    # Trailing: 999, 979, … 19; below the last lies the clean latent.
    places = torch.arange(1000, 0, -1000 // STEPS, device=args.device) - 1

    def scales(timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        kept = torch.where(timesteps >= 0, alphas[timesteps.clamp(min=0)], torch.ones((), device=args.device))
        return kept.sqrt()[:, None, None, None], (1 - kept).sqrt()[:, None, None, None]

    def clean_and_noise(
        latents: torch.Tensor, timesteps: torch.Tensor, velocity: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        signal, spread = scales(timesteps)
        return signal * latents - spread * velocity, spread * latents + signal * velocity

    @torch.no_grad()
    def guided(
        noisy: torch.Tensor, timesteps: torch.Tensor, hidden: torch.Tensor, nothing: torch.Tensor
    ) -> torch.Tensor:
        switch(adapted, False)
        both = unet(noisy.repeat(2, 1, 1, 1), timesteps.repeat(2), torch.cat([nothing, hidden])).sample.float()
        switch(adapted, True)
        without, with_words = both.chunk(2)
        return without + args.guidance * (with_words - without)

    def next_loss() -> torch.Tensor:
        rows = pool.rows(args.batch, args.uses)
        clean = pool.latents_of(rows, half=False)
        at = torch.randint(len(places), (args.batch,), device=args.device)
        upper = places[at]
        lower = torch.where(
            at + 1 < len(places), places[(at + 1).clamp(max=len(places) - 1)], torch.full_like(upper, -1)
        )
        signal, spread = scales(upper)
        noisy = signal * clean + spread * torch.randn_like(clean)
        with precision(args):
            with torch.no_grad():
                hidden = text_encoder(pool.tokens_of(rows)).last_hidden_state
                nothing = text_encoder(pool.nothing).last_hidden_state.expand_as(hidden)
            ended, noise = clean_and_noise(noisy, upper, guided(noisy, upper, hidden, nothing))
            signal, spread = scales(lower)
            nearer = signal * ended + spread * noise
            with torch.no_grad(), target.applied():
                aim, _ = clean_and_noise(nearer, lower, unet(nearer, lower.clamp(min=0), hidden).sample.float())
                aim = torch.where((lower >= 0)[:, None, None, None], aim, nearer)
        with precision(args):  # a context of its own: autocast keeps what it has cast, and the average has other values
            guess, _ = clean_and_noise(noisy, upper, unet(noisy, upper, hidden).sample.float())
        target.update()
        error = (guess - aim).square().mean(dim=(1, 2, 3))
        return (torch.sqrt(error + 1e-4) - 1e-2).mean()  # pseudo-Huber: few far ones must not rule

    def report() -> str:
        size = save_lora(adapted, args.out / "few-steps.safetensors")
        return f"few-steps.safetensors of {size / MEGABYTE:.2f} MB"

    run.train(next_loss, report)


def options() -> argparse.ArgumentParser:
    parser = run_arguments(__doc__, minutes=20, batch=32, muon_lr=2e-3, adam_lr=1e-3)
    parser.add_argument("--rank", type=int, default=5, help="the file has 0.18 MB for each")
    parser.add_argument("--guidance", type=float, default=2.0, help="of the teacher")
    parser.add_argument("--target-ema", type=float, default=0.95, help="decay of the average that the student follows")
    return parser


if __name__ == "__main__":
    main()
