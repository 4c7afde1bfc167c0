"""Unpacks a GGUF made by `opengen import` into a work folder, so that training goes on from a shipped model.

Gives `tokenizer`, `vae` (the decoder as tuned) and `start.pt` (text encoder and UNet), the weights as the file rounds
them.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from gguf import GGUFReader, dequantize
from torch import nn
from transformers import CLIPTokenizer

from .common import save_atomically
from .models import MAX_TOKENS, make_text_encoder, make_unet, make_vae
from .tokenizer import save_tokenizer


def read_tensors(reader: GGUFReader) -> dict[str, torch.Tensor]:
    """Every tensor as float32 [rows, columns] or [width], by its name in the file."""
    return {
        tensor.name: torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy()).float()
        for tensor in reader.tensors
    }


def fill(module: nn.Module, tensors: dict[str, torch.Tensor], prefix: str) -> nn.Module:
    """Loads the tensors below `prefix`; kernels lie in the file as rows of (height, width, channels in)."""
    state = module.state_dict()
    for name, weight in state.items():
        stored = tensors[prefix + name]
        if weight.ndim == 4:
            out_channels, in_channels, height, width = weight.shape
            stored = stored.reshape(out_channels, height, width, in_channels).permute(0, 3, 1, 2)
        weight.copy_(stored.reshape(weight.shape))
    module.load_state_dict(state)
    return module


def read_tokenizer(reader: GGUFReader, length: int = MAX_TOKENS) -> CLIPTokenizer:
    """The file's tokenizer, for prompts of so many tokens."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_text(reader.fields["opengen.tokenizer"].contents(), encoding="utf-8")
        return CLIPTokenizer(tokenizer_file=str(file), model_max_length=length)


def read_text_encoder(tensors: dict[str, torch.Tensor]) -> nn.Module:
    """mini's text encoder, filled."""
    prefix = "text_encoder.text_model."
    vocab_size = tensors[prefix + "embeddings.token_embedding.weight"].shape[0]
    text_encoder = make_text_encoder(vocab_size, bos=vocab_size - 2, eos=vocab_size - 1)
    fill(getattr(text_encoder, "text_model", text_encoder), tensors, prefix)
    return text_encoder


def main() -> None:
    args = parse_args()
    reader = GGUFReader(args.model)
    tensors = read_tensors(reader)
    folder = args.out / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(read_tokenizer(reader), folder)
    text_encoder = read_text_encoder(tensors)
    unet = fill(make_unet(), tensors, "unet.")
    save_atomically({"text_encoder": text_encoder.state_dict(), "unet": unet.state_dict()}, args.out / "start.pt")
    fill(make_vae(), tensors, "vae.").save_pretrained(args.out / "vae")
    print(f"unpacked {len(tensors)} tensors of {args.model} into {args.out}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("www/models/mini/mini-q8_0.gguf"))
    parser.add_argument("--out", type=Path, default=Path("work"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
