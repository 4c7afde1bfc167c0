"""The three networks and the scheduler: Stable Diffusion 1.x topology at toy size."""

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

LATENT = 16  # cells a side: 128 pixels / f = 8
LATENT_CHANNELS = 8  # twice Stable Diffusion's: the autoencoder keeps twice as much of a picture
TEXT_WIDTH = 128
MAX_TOKENS = 32


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


def make_unet() -> UNet2DConditionModel:
    """v-prediction UNet over [N, 8, 16, 16], cross-attending to [N, 32, 128]."""
    return UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128, 192),
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


def make_scheduler() -> DDIMScheduler:
    """SD 1.x betas with v prediction and trailing steps; the last step lands on the clean latents."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,  # as SD 1.x; trailing spacing does not use it
    )
