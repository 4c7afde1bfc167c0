"""The three networks and the scheduler: Stable Diffusion 1.x topology at toy size, for 128x128 pictures."""

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from ..models import make_scheduler as make_scheduler  # the same for both sizes

LATENT = 16  # cells a side: 128 pixels / f = 8
LATENT_CHANNELS = 4
TEXT_WIDTH = 128
MAX_TOKENS = 32


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


def make_unet() -> UNet2DConditionModel:
    """v-prediction UNet over [N, 4, 16, 16], cross-attending to [N, 32, 128]."""
    return UNet2DConditionModel(
        sample_size=LATENT,
        block_out_channels=(64, 96, 160),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=32,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # the number of heads, by diffusers' historical misnomer
    )


def make_text_encoder(vocab_size: int, bos: int, eos: int) -> CLIPTextModel:
    """CLIP-style causal text encoder: token ids [N, 32] -> [N, 32, 128]."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocab_size,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            hidden_act="quick_gelu",
            bos_token_id=bos,
            eos_token_id=eos,
            pad_token_id=eos,
        )
    )
