"""Writes a UNet pass and a decoder as ONNX, for `node tests/web/peers/bench.mjs` to time other engines with.

    pip install -r training/requirements.txt onnx==1.23.2 onnxscript==0.7.2
    python -m training.export_onnx --out work/onnx                                  # mini, guided
    python -m training.export_onnx --out work/sdxs --folder FOLDER --size 512       # a diffusers folder, not guided

The weights are those of the GGUF, as it rounds them, or of the folder, in float32. Beside both lies text.bin, what the text encoder
makes of PROMPTS, so that what engines answer can be compared: float32, a row of states for each row of the pass.
"""

import argparse
import json
from pathlib import Path

import diffusers
import torch
import transformers
from gguf import GGUFReader
from torch import nn

from .from_gguf import fill, read_tensors, read_text_encoder, read_tokenizer
from .models import LATENT, LATENT_CHANNELS, make_unet, make_vae

GUIDED = 2  # rows of a guided pass
PROMPTS = ("", "a red apple on a light blue background")  # those of bench.mjs; of one row the last


class Pass(nn.Module):
    """A UNet as tensors in, tensor out."""

    def __init__(self, unet: nn.Module):
        super().__init__()
        self.unet = unet

    def forward(self, sample: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.unet(sample, time, text, return_dict=False)[0]


class Decoder(nn.Module):
    """An autoencoder's way back as tensor in, tensor out: from latents as the UNet has them."""

    def __init__(self, vae: nn.Module):
        super().__init__()
        self.vae = vae

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]


@torch.inference_mode()
def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.folder:
        unet, vae, encoder = (component(args.folder, name) for name in ("unet", "vae", "text_encoder"))
        words = transformers.CLIPTokenizer.from_pretrained(args.folder / "tokenizer")
        side = args.size // 8
        sample = torch.randn(1, unet.config.in_channels, side, side)
    else:
        reader = GGUFReader(args.model)
        tensors = read_tensors(reader)
        unet = fill(make_unet(), tensors, "unet.").eval()
        vae = fill(make_vae(), tensors, "vae.").eval()
        words, encoder = read_tokenizer(reader), read_text_encoder(tensors)
        sample = torch.randn(GUIDED, LATENT_CHANNELS, LATENT, LATENT)
    length = encoder.config.max_position_embeddings
    ids = words(list(PROMPTS[-len(sample) :]), padding="max_length", max_length=length, return_tensors="pt").input_ids
    text = encoder.eval()(ids)[0]
    (args.out / "text.bin").write_bytes(text.numpy().tobytes())
    inputs = (sample, torch.tensor(500.0), text)
    export(Pass(unet), inputs, ["sample", "time", "text"], args.out / "unet.onnx")
    export(Decoder(vae), (sample[:1],), ["latents"], args.out / "decoder.onnx")


def component(folder: Path, name: str) -> nn.Module:
    """A network of a diffusers folder, of the class that its configuration names."""
    config = json.loads((folder / name / "config.json").read_text())
    kind = config.get("_class_name") or config["architectures"][0]
    halves = {"variant": "fp16"} if list((folder / name).glob("*.fp16.*")) else {}
    library = transformers if name == "text_encoder" else diffusers
    return getattr(library, kind).from_pretrained(folder / name, torch_dtype=torch.float32, **halves).eval()


def export(model: nn.Module, inputs: tuple, names: list[str], path: Path) -> None:
    torch.onnx.export(
        model, inputs, path, input_names=names, output_names=["out"], dynamo=True, external_data=False, optimize=True
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("www/models/mini/mini-q8_0.gguf"))
    parser.add_argument("--folder", type=Path, help="a diffusers folder in the place of mini")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side of the folder's pictures")
    parser.add_argument("--out", type=Path, default=Path("work/onnx"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
