"""How latents look: the linear map from a latent to the mean colour of its pixels, for the previews while denoising."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL


@torch.no_grad()
def fit(vae: AutoencoderKL, images: torch.Tensor) -> tuple[list[list[float]], list[float]]:
    """Least squares over all latent pixels of `images` [N, 3, H, W] in [-1, 1]: factors [channels, 3] and bias [3].

    The latents are scaled as the UNet sees them.
    """
    latents = vae.encode(images).latent_dist.mean * vae.config.scaling_factor
    stride = images.shape[-1] // latents.shape[-1]
    colours = torch.nn.functional.avg_pool2d(images, stride)
    rows = latents.permute(0, 2, 3, 1).flatten(0, 2)
    targets = colours.permute(0, 2, 3, 1).flatten(0, 2)
    design = torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
    solution = torch.linalg.lstsq(design, targets).solution
    return [[round(value, 4) for value in row] for row in solution[:-1].tolist()], solution[-1].tolist()


def add_to(folder: Path, pictures: torch.Tensor) -> None:
    """Writes the map, fitted to `pictures`, into `vae/config.json` of a diffusers folder; diffusers ignores it."""
    factors, bias = fit(AutoencoderKL.from_pretrained(folder / "vae").eval(), pictures)
    path = folder / "vae" / "config.json"
    config = json.loads(path.read_text())
    config["latent_rgb_factors"] = factors
    config["latent_rgb_bias"] = [round(value, 4) for value in bias]
    path.write_text(json.dumps(config, indent=2) + "\n")
