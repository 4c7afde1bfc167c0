"""The networks for 128x128 pictures: the first model's, with an f = 8 autoencoder, more latents and longer captions."""

from functools import partial

from diffusers import AutoencoderKL

from .. import models
from ..models import LATENT, make_scheduler

LATENT_CHANNELS = 8  # twice Stable Diffusion's: the autoencoder keeps twice as much of a picture
MAX_TOKENS = 32
make_text_encoder = partial(models.make_text_encoder, max_tokens=MAX_TOKENS)
make_unet = partial(models.make_unet, latent_channels=LATENT_CHANNELS)


def make_vae() -> AutoencoderKL:
    """f = 8 autoencoder: [N, 3, 128, 128] in [-1, 1] <-> [N, 8, 16, 16]."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 56, 80),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=128,
        scaling_factor=1.0,
    )


__all__ = ["LATENT", "LATENT_CHANNELS", "MAX_TOKENS", "make_scheduler", "make_text_encoder", "make_unet", "make_vae"]
