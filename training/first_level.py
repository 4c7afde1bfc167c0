"""Writes a model that is the first level of Stable Diffusion 1.5's UNet, where its largest maps are: two residual blocks of 320
channels on the way down and three on the way up, each with self attention over all places by eight heads of 40, and cross attention to 77 states. Weights are random; text encoder and
decoder are small. For `tests/web/peers/bench.mjs`, to time engines where a whole model would take a software adapter hours.

    python -m training.first_level --out work/level
    python -m training.export_onnx --folder work/level --size 512 --out work/level-onnx
    opengen import work/level --type f32 --out work/level.gguf
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from gguf import GGUFReader
from transformers import CLIPTextConfig, CLIPTextModel

from .from_gguf import read_tokenizer
from .models import make_scheduler
from .tokenizer import save_tokenizer

WIDTH = 768


@torch.inference_mode()
def main() -> None:
    args = parse_args()
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    words = read_tokenizer(GGUFReader(args.model), 77)
    size = len(words)
    unet = UNet2DConditionModel(
        sample_size=64, block_out_channels=(320,), layers_per_block=2, cross_attention_dim=WIDTH, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D",), mid_block_type=None, up_block_types=("CrossAttnUpBlock2D",),
    )  # fmt: skip
    text = CLIPTextConfig(
        vocab_size=size, hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1, num_attention_heads=12,
        bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1,
    )  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae=AutoencoderTiny(), text_encoder=CLIPTextModel(text), tokenizer=words, unet=unet, scheduler=make_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.save_pretrained(args.out)
    save_tokenizer(words, args.out / "tokenizer")
    print(f"{args.out}: {sum(value.numel() for value in unet.parameters()) / 1e6:.1f} M parameters in the UNet")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("www/models/mini/mini-q8_0.gguf"), help="whose tokenizer it has")
    parser.add_argument("--out", type=Path, default=Path("work/level"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
