"""How latents look: the linear map from a latent to the mean colour of its pixels, for the previews while denoising."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL

# Of the latents' unit deviation: the map is fitted as if they had that much noise. It then leaves alone what differs by
# less; a plain fit would amplify it, and noised latents would show as black and white.
NOISE = 0.2


@torch.no_grad()
def fit(vae: AutoencoderKL, images: torch.Tensor) -> tuple[list[list[float]], list[float]]:
    """Ridge regression over all latent pixels of `images` [N, 3, H, W] in [-1, 1]: factors [channels, 3] and bias [3].

    The latents are scaled as the UNet sees them.
    """
    latents = vae.encode(images).latent_dist.mean * vae.config.scaling_factor
    stride = images.shape[-1] // latents.shape[-1]
    colours = torch.nn.functional.avg_pool2d(images, stride)
    rows = latents.permute(0, 2, 3, 1).flatten(0, 2)
    targets = colours.permute(0, 2, 3, 1).flatten(0, 2)
    centre, grey = rows.mean(dim=0), targets.mean(dim=0)
    apart = rows - centre
    covariance = apart.T @ apart / len(rows) + NOISE**2 * torch.eye(rows.shape[1])
    factors = torch.linalg.solve(covariance, apart.T @ (targets - grey) / len(rows))
    return [[round(value, 4) for value in row] for row in factors.tolist()], (grey - centre @ factors).tolist()


def add_to(folder: Path, pictures: torch.Tensor) -> None:
    """Writes the map, fitted to `pictures`, into `vae/config.json` of a diffusers folder; diffusers ignores it."""
    factors, bias = fit(AutoencoderKL.from_pretrained(folder / "vae").eval(), pictures)
    path = folder / "vae" / "config.json"
    config = json.loads(path.read_text())
    config["latent_rgb_factors"] = factors
    config["latent_rgb_bias"] = [round(value, 4) for value in bias]
    path.write_text(json.dumps(config, indent=2) + "\n")
