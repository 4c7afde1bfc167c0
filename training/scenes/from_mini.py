"""The first embedded model as a beginning: its text encoder and UNet, fitted to the scenes' tokens and latents.

A token of the new vocabulary gets the mean of the old embeddings of its pieces. The two autoencoders' latents are
related by the linear map that fits best, cell by cell; it is folded into the UNet's first and last convolutions.
"""

import argparse
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import nn
from transformers import CLIPTokenizer

from ..common import save_atomically
from ..tokenizer import WORD_END
from .models import make_text_encoder, make_unet
from .render import picture_batch
from .scene import training_scene


def token_embeddings(old: torch.Tensor, old_tokenizer: CLIPTokenizer, tokenizer: CLIPTokenizer) -> torch.Tensor:
    """[new entries, width] from [old entries, width]."""
    rows = torch.empty(len(tokenizer), old.shape[1])
    for entry, index in tokenizer.get_vocab().items():
        if entry == tokenizer.bos_token:
            pieces = [old_tokenizer.bos_token_id]
        elif entry == tokenizer.eos_token:
            pieces = [old_tokenizer.eos_token_id]
        else:
            pieces = old_tokenizer.get_vocab().get(entry)
            word = entry.removesuffix(WORD_END)
            pieces = [pieces] if pieces is not None else old_tokenizer(word).input_ids[1:-1]
        rows[index] = old[pieces].mean(dim=0) if pieces else old.mean(dim=0)
    return rows


def fit(source: torch.Tensor, target: torch.Tensor, ridge: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """A and b with target ~ A source + b over rows. The ridge keeps a channel that carries next to nothing small."""
    centred, wanted = source - source.mean(dim=0), target - target.mean(dim=0)
    gram = centred.T @ centred / len(source) + ridge * torch.eye(source.shape[1])
    matrix = torch.linalg.solve(gram, centred.T @ wanted / len(source)).T
    return matrix, target.mean(dim=0) - matrix @ source.mean(dim=0)


@torch.no_grad()
def latent_pairs(old_vae: AutoencoderKL, vae: AutoencoderKL, count: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells [N, channels] of both autoencoders, over `count` plain scenes."""
    rng = random.Random(5)
    scenes = [training_scene(rng, plain=1.0) for _ in range(count)]
    large = picture_batch(scenes, rng)
    small = nn.functional.avg_pool2d(large, 2)
    new = torch.cat([vae.encode(part).latent_dist.mean for part in large.split(16)])
    old = torch.cat([old_vae.encode(part).latent_dist.mean for part in small.split(16)])
    return tuple(latents.permute(0, 2, 3, 1).flatten(0, 2) for latents in (old, new))


def main() -> None:
    args = parse_args()
    start = torch.load(args.mini / "start.pt")
    old_vae = AutoencoderKL.from_pretrained(args.mini / "vae")
    old_tokenizer = CLIPTokenizer.from_pretrained(args.mini / "tokenizer")
    vae, tokenizer = AutoencoderKL.from_pretrained(args.out / "vae"), CLIPTokenizer.from_pretrained(args.out / "tokenizer")

    text_encoder = make_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    state = text_encoder.state_dict()
    for name, weight in start["text_encoder"].items():
        if name.endswith("token_embedding.weight"):
            weight = token_embeddings(weight, old_tokenizer, tokenizer)
        elif name.endswith("position_embedding.weight"):
            weight = torch.cat([weight, weight[-1:].expand(len(state[name]) - len(weight), -1)])
        state[name].copy_(weight)

    old, new = latent_pairs(old_vae, vae)
    matrix, shift = fit(new, old)
    back, _ = fit(old, new)  # of velocities, which have no mean
    explained = 1 - (new @ matrix.T + shift - old).square().sum() / (old - old.mean(dim=0)).square().sum()
    inner = dict(start["unet"])
    inner["conv_in.bias"] = inner["conv_in.bias"] + torch.einsum("oihw,i->o", inner["conv_in.weight"], shift)
    inner["conv_in.weight"] = torch.einsum("oihw,ij->ojhw", inner["conv_in.weight"], matrix)
    inner["conv_out.weight"] = torch.einsum("ji,ihwk->jhwk", back, inner["conv_out.weight"])
    inner["conv_out.bias"] = back @ inner["conv_out.bias"]
    unet = make_unet()
    unet.load_state_dict(inner)
    save_atomically({"text_encoder": state, "unet": unet.state_dict()}, args.out / "start.pt")
    print(f"the map explains {explained:.0%} of the old latents")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mini", type=Path, required=True, help="work folder of `training.from_gguf`, with its tokenizer")
    parser.add_argument("--out", type=Path, default=Path("work"), help="work folder with vae and tokenizer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
