"""What is not as in `training.models`: an autoencoder for 128x128 pictures, and room for longer captions.

UNet and scheduler are the same, and the latents have the same shape: the first model's weights are a beginning.
"""

from functools import partial

from diffusers import AutoencoderKL

from .. import models
from ..models import LATENT_CHANNELS

MAX_TOKENS = 32
make_text_encoder = partial(models.make_text_encoder, max_tokens=MAX_TOKENS)


def make_vae() -> AutoencoderKL:
    """f = 8 autoencoder: [N, 3, 128, 128] in [-1, 1] <-> [N, 4, 16, 16]."""
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
