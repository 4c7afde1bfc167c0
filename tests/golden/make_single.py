"""Makes tests/golden/single: what diffusers makes of checkpoints in one file, under the names of CompVis and OpenCLIP.

    python tests/golden/make_single.py

No weights are committed. Every value follows from its tensor's name (`weight`, which tests/common/single.rs repeats), so a
list of names and shapes is the whole file. The names are built here as the original code builds its modules
(`openaimodel.py`, `model.py` of CompVis, `model.py` of OpenCLIP); what they are called in a diffusers folder, and which rows
of a tensor a layer is, is found out by letting diffusers' own conversion convert the file. The results are diffusers'.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (convert_ldm_clip_checkpoint, convert_ldm_unet_checkpoint,
                                                 convert_ldm_vae_checkpoint, convert_open_clip_checkpoint)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from make_goldens import record, tokenize
from tiny_models import SD1_SCHEDULER, SD2_SCHEDULER

HERE = Path(__file__).resolve().parent
OUT = HERE / "single"
MERGES = (HERE.parents[1] / "www/clip/merges.txt").read_text().splitlines()
PROMPTS = ["", "a photo of an astronaut riding a horse"]
# More of what the whole vocabulary reads; the third holds what CLIP's own clean-up would change, which diffusers does not.
WHOLE = [*PROMPTS, "A  Small\tRED Apple,  on white!", "blurry, it's 42 cats' naïve café — 100%", "a 🍎 next to 日本語 text"]
WIDTHS = (1, 2, 2, 2)
# "linear": projections of the UNet's transformers; "open_clip": the text encoder of Stable Diffusion 2.
MODELS = {
    "sd1": {"channels": 32, "context": 48, "vocabulary": 1536, "layers": 3, "linear": False, "open_clip": False,
            "scheduler": SD1_SCHEDULER, "guidance": 2.5, "seed": 3},
    "sd2": {"channels": 64, "context": 64, "vocabulary": 1200, "layers": 24, "linear": True, "open_clip": True,
            "scheduler": {key: value for key, value in SD2_SCHEDULER.items() if key != "timestep_spacing"},
            "guidance": 1.5, "seed": 4},
}
STEPS = 3
VAE_CHANNELS = 32


def weight(name, shape):
    """Values that are exact in f16 and follow from the name: 11 random bits each, scaled by a power of two."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    bits = (z >> np.uint64(53)).astype(np.int64) - 1024
    if name.endswith("bias"):
        values = bits / 2**14
    elif len(shape) < 2:  # gains of norms
        values = 1 + (bits >> 4) / 2**9
    elif "embedding" in name:
        values = bits / 2**11
    else:
        values = bits / 2 ** (10 + (int(np.prod(shape[1:])).bit_length() - 1) // 2)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


class Names:
    """Names and shapes in the order of the original modules."""

    def __init__(self):
        self.shapes = {}

    def layer(self, name, *shape, bias=True):
        self.shapes[f"{name}.weight"] = shape
        if bias:
            self.shapes[f"{name}.bias"] = shape[:1]

    def norm(self, name, channels):
        self.layer(name, channels)

    def res_block(self, name, channels, out, time):
        self.norm(f"{name}.in_layers.0", channels)
        self.layer(f"{name}.in_layers.2", out, channels, 3, 3)
        self.layer(f"{name}.emb_layers.1", out, time)
        self.norm(f"{name}.out_layers.0", out)
        self.layer(f"{name}.out_layers.3", out, out, 3, 3)
        if channels != out:
            self.layer(f"{name}.skip_connection", out, channels, 1, 1)

    def transformer(self, name, channels, context, linear):
        square = () if linear else (1, 1)
        self.norm(f"{name}.norm", channels)
        self.layer(f"{name}.proj_in", channels, channels, *square)
        block = f"{name}.transformer_blocks.0"
        for attention, width in (("attn1", channels), ("attn2", context)):
            self.layer(f"{block}.{attention}.to_q", channels, channels, bias=False)
            self.layer(f"{block}.{attention}.to_k", channels, width, bias=False)
            self.layer(f"{block}.{attention}.to_v", channels, width, bias=False)
            self.layer(f"{block}.{attention}.to_out.0", channels, channels)
        self.layer(f"{block}.ff.net.0.proj", 8 * channels, channels)
        self.layer(f"{block}.ff.net.2", channels, 4 * channels)
        for norm in ("norm1", "norm2", "norm3"):
            self.norm(f"{block}.{norm}", channels)
        self.layer(f"{name}.proj_out", channels, channels, *square)

    def unet(self, base, channels, context, linear, layers=2):
        """`UNetModel.__init__` of openaimodel.py, attention at every level but the last."""
        time, last = 4 * channels, len(WIDTHS) - 1
        self.layer(f"{base}.time_embed.0", time, channels)
        self.layer(f"{base}.time_embed.2", time, time)
        self.layer(f"{base}.input_blocks.0.0", channels, 4, 3, 3)
        width, skipped, number = channels, [channels], 1
        for level, times in enumerate(WIDTHS):
            for _ in range(layers):
                self.res_block(f"{base}.input_blocks.{number}.0", width, times * channels, time)
                width = times * channels
                if level != last:
                    self.transformer(f"{base}.input_blocks.{number}.1", width, context, linear)
                skipped.append(width)
                number += 1
            if level != last:
                self.layer(f"{base}.input_blocks.{number}.0.op", width, width, 3, 3)
                skipped.append(width)
                number += 1
        self.res_block(f"{base}.middle_block.0", width, width, time)
        self.transformer(f"{base}.middle_block.1", width, context, linear)
        self.res_block(f"{base}.middle_block.2", width, width, time)
        number = 0
        for level, times in reversed(list(enumerate(WIDTHS))):
            for layer in range(layers + 1):
                self.res_block(f"{base}.output_blocks.{number}.0", width + skipped.pop(), times * channels, time)
                width, place = times * channels, 1
                if level != last:
                    self.transformer(f"{base}.output_blocks.{number}.1", width, context, linear)
                    place = 2
                if level and layer == layers:
                    self.layer(f"{base}.output_blocks.{number}.{place}.conv", width, width, 3, 3)
                number += 1
        self.norm(f"{base}.out.0", width)
        self.layer(f"{base}.out.2", 4, width, 3, 3)

    def resnet_block(self, name, channels, out):
        self.norm(f"{name}.norm1", channels)
        self.layer(f"{name}.conv1", out, channels, 3, 3)
        self.norm(f"{name}.norm2", out)
        self.layer(f"{name}.conv2", out, out, 3, 3)
        if channels != out:
            self.layer(f"{name}.nin_shortcut", out, channels, 1, 1)

    def middle(self, name, width):
        self.resnet_block(f"{name}.mid.block_1", width, width)
        self.norm(f"{name}.mid.attn_1.norm", width)
        for part in ("q", "k", "v", "proj_out"):
            self.layer(f"{name}.mid.attn_1.{part}", width, width, 1, 1)
        self.resnet_block(f"{name}.mid.block_2", width, width)

    def autoencoder(self, base, channels, layers=2, z=4):
        """`Encoder` and `Decoder` of model.py."""
        last = len(WIDTHS) - 1
        self.layer(f"{base}.encoder.conv_in", channels, 3, 3, 3)
        width = channels
        for level, times in enumerate(WIDTHS):
            for layer in range(layers):
                self.resnet_block(f"{base}.encoder.down.{level}.block.{layer}", width, times * channels)
                width = times * channels
            if level != last:
                self.layer(f"{base}.encoder.down.{level}.downsample.conv", width, width, 3, 3)
        self.middle(f"{base}.encoder", width)
        self.norm(f"{base}.encoder.norm_out", width)
        self.layer(f"{base}.encoder.conv_out", 2 * z, width, 3, 3)
        self.layer(f"{base}.decoder.conv_in", width, z, 3, 3)
        self.middle(f"{base}.decoder", width)
        for level, times in reversed(list(enumerate(WIDTHS))):
            for layer in range(layers + 1):
                self.resnet_block(f"{base}.decoder.up.{level}.block.{layer}", width, times * channels)
                width = times * channels
            if level:
                self.layer(f"{base}.decoder.up.{level}.upsample.conv", width, width, 3, 3)
        self.norm(f"{base}.decoder.norm_out", width)
        self.layer(f"{base}.decoder.conv_out", 3, width, 3, 3)
        self.layer(f"{base}.quant_conv", 2 * z, 2 * z, 1, 1)
        self.layer(f"{base}.post_quant_conv", z, z, 1, 1)

    def clip(self, base, width, vocabulary, layers):
        """transformers' `CLIPTextModel`, as CompVis holds it."""
        base = f"{base}.transformer.text_model"
        self.layer(f"{base}.embeddings.token_embedding", vocabulary, width, bias=False)
        self.layer(f"{base}.embeddings.position_embedding", 77, width, bias=False)
        for layer in range(layers):
            name = f"{base}.encoder.layers.{layer}"
            for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
                self.layer(f"{name}.self_attn.{part}", width, width)
            self.norm(f"{name}.layer_norm1", width)
            self.layer(f"{name}.mlp.fc1", 4 * width, width)
            self.layer(f"{name}.mlp.fc2", width, 4 * width)
            self.norm(f"{name}.layer_norm2", width)
        self.norm(f"{base}.final_layer_norm", width)

    def open_clip(self, base, width, vocabulary, layers):
        """OpenCLIP's text transformer inside `FrozenOpenCLIPEmbedder`."""
        base = f"{base}.model"
        self.shapes[f"{base}.positional_embedding"] = (77, width)
        self.shapes[f"{base}.text_projection"] = (width, width)
        for layer in range(layers):
            name = f"{base}.transformer.resblocks.{layer}"
            self.norm(f"{name}.ln_1", width)
            self.shapes[f"{name}.attn.in_proj_weight"] = (3 * width, width)
            self.shapes[f"{name}.attn.in_proj_bias"] = (3 * width,)
            self.layer(f"{name}.attn.out_proj", width, width)
            self.norm(f"{name}.ln_2", width)
            self.layer(f"{name}.mlp.c_fc", 4 * width, width)
            self.layer(f"{name}.mlp.c_proj", width, 4 * width)
        self.layer(f"{base}.token_embedding", vocabulary, width, bias=False)
        self.norm(f"{base}.ln_final", width)


def names_of(model):
    names = Names()
    names.unet("model.diffusion_model", model["channels"], model["context"], model["linear"])
    names.autoencoder("first_stage_model", VAE_CHANNELS)
    text = names.open_clip if model["open_clip"] else names.clip
    text("cond_stage_model", model["context"], model["vocabulary"], model["layers"])
    return names.shapes


def tokenizer(vocabulary, pad):
    """OpenAI's CLIP vocabulary (`simple_tokenizer.py`): bytes, bytes at a word's end, merges, start, end."""
    seen = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = [chr(byte) for byte in seen] + [chr(256 + i) for i in range(256 - len(seen))]
    merges = [tuple(line.split()) for line in MERGES[:vocabulary - 514]]
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge) for merge in merges),
             "<|startoftext|>", "<|endoftext|>"]
    assert len(words) == len(set(words)) == vocabulary
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=merges, pad_token=pad,
                         model_max_length=77)


def configurations(model):
    levels, channels = len(WIDTHS), [times * model["channels"] for times in WIDTHS]
    down, up = ["CrossAttnDownBlock2D"] * (levels - 1), ["CrossAttnUpBlock2D"] * (levels - 1)
    heads = [width // 64 for width in channels] if model["linear"] else 8
    side = 96 if model["open_clip"] else 64
    return {
        "unet": {"sample_size": side, "in_channels": 4, "out_channels": 4, "layers_per_block": 2,
                 "down_block_types": [*down, "DownBlock2D"], "up_block_types": ["UpBlock2D", *up],
                 "block_out_channels": channels, "attention_head_dim": heads,
                 "cross_attention_dim": model["context"], "use_linear_projection": model["linear"]},
        "vae": {"sample_size": 8 * side, "latent_channels": 4, "layers_per_block": 2, "scaling_factor": 0.18215,
                "block_out_channels": [times * VAE_CHANNELS for times in WIDTHS],
                "down_block_types": ["DownEncoderBlock2D"] * levels, "up_block_types": ["UpDecoderBlock2D"] * levels},
        "text_encoder": {"vocab_size": model["vocabulary"], "hidden_size": model["context"],
                         "intermediate_size": 4 * model["context"], "num_attention_heads": max(1, model["context"] // 64),
                         "num_hidden_layers": 23 if model["open_clip"] else model["layers"],
                         "hidden_act": "gelu" if model["open_clip"] else "quick_gelu", "max_position_embeddings": 77},
    }


def convert(checkpoint, configs, model):
    """diffusers' modules, from its own reading of the file, and what it made of which tensors."""
    unet, vae = UNet2DConditionModel(**configs["unet"]), AutoencoderKL(**configs["vae"])
    text = CLIPTextModel(CLIPTextConfig(**configs["text_encoder"], bos_token_id=model["vocabulary"] - 2,
                                        eos_token_id=model["vocabulary"] - 1))
    if model["open_clip"]:
        text_tensors = convert_open_clip_checkpoint(text, dict(checkpoint))
        text_tensors.pop("text_projection.weight", None)
    else:
        text_tensors = convert_ldm_clip_checkpoint(dict(checkpoint))
    made = {"unet": convert_ldm_unet_checkpoint(dict(checkpoint), dict(unet.config)),
            "vae": convert_ldm_vae_checkpoint(dict(checkpoint), vae.config), "text_encoder": text_tensors}
    with_prefix = any(name.startswith("text_model.") for name in text.state_dict())
    fitted = {name if with_prefix else name.removeprefix("text_model."): value for name, value in text_tensors.items()}
    for module, tensors in ((unet, made["unet"]), (vae, made["vae"]), (text, fitted)):
        missing, extra = module.load_state_dict(tensors, strict=False)
        missing = [name for name in missing if "position_ids" not in name]
        assert not missing and not extra, (missing, extra)
        module.eval()
    return unet, vae, text, made


def origins(checkpoint, made):
    """For every tensor of a folder the tensor of the file whose values it has, or the rows of it."""
    digest = lambda tensor: hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()
    known = {}
    for name, value in checkpoint.items():
        known[digest(value)] = [name, 0]
        if "in_proj" in name:
            third = value.shape[0] // 3
            known |= {digest(value[i * third:(i + 1) * third]): [name, i * third] for i in range(3)}
    return {component: {name: [*known[digest(value)], list(value.shape)] for name, value in tensors.items()}
            for component, tensors in made.items()}


def make(name, model):
    shapes = names_of(model)
    checkpoint = {tensor: weight(tensor, shape) for tensor, shape in shapes.items()}
    configs = configurations(model)
    unet, vae, text, made = convert(checkpoint, configs, model)
    pad = "!" if model["open_clip"] else "<|endoftext|>"
    pipe = StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer(model["vocabulary"], pad), unet=unet,
                                   scheduler=DDIMScheduler.from_config(model["scheduler"]), safety_checker=None,
                                   feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    tensors, timesteps = record(pipe.scheduler)
    image = pipe(PROMPTS[1], negative_prompt=PROMPTS[0], height=64, width=64, num_inference_steps=STEPS,
                 guidance_scale=model["guidance"], output_type="pt",
                 generator=torch.Generator().manual_seed(model["seed"])).images
    tensors["image"] = image * 2 - 1
    tensors["tokens"] = torch.cat([tokenize(pipe, prompt) for prompt in PROMPTS])
    tensors["text_embeddings"] = torch.cat([pipe.encode_prompt(prompt, "cpu", 1, False)[0] for prompt in PROMPTS])
    noise = torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(9)).clamp(-1, 1)
    tensors |= {"pictures": noise, "encoded": vae.encode(noise).latent_dist.mean}
    save_file({key: value.detach().float().contiguous() for key, value in tensors.items()},
              OUT / f"{name}.safetensors")
    case = {"prompt": PROMPTS[1], "negative_prompt": PROMPTS[0], "steps": STEPS, "guidance": model["guidance"],
            "seed": model["seed"], "width": 64, "height": 64, "timesteps": timesteps}
    facts = {"vocabulary": model["vocabulary"], "pad": pad, "case": case, "scheduler": model["scheduler"],
             "configs": configs, "shapes": {tensor: list(shape) for tensor, shape in shapes.items()},
             "folder": origins(checkpoint, made)}
    (OUT / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    print(name, len(shapes), "tensors; the picture's spread:", float(image.std()), "largest:",
          max(float(value.abs().max()) for key, value in tensors.items() if key != "tokens"))


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    with torch.no_grad():
        for name, model in MODELS.items():
            make(name, model)
    whole = tokenizer(49408, "<|endoftext|>")
    ids = {prompt: whole(prompt, padding=False).input_ids for prompt in WHOLE}
    (OUT / "tokens.json").write_text(json.dumps(ids, ensure_ascii=False) + "\n")
    print(ids[PROMPTS[1]])


if __name__ == "__main__":
    main()
