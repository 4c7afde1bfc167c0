"""Makes tests/golden/families: what diffusers draws with the families around Stable Diffusion 1 and 2, and what their tensors
are called in one file.

    python tests/golden/make_families.py

As in `single`, no weights are committed: every value follows from its tensor's name in a folder of diffusers (`weight` of
make_single.py, which tests/common/single.rs repeats). Names in one file are those that diffusers' script
`convert_diffusers_to_original_stable_diffusion.py` gives, which is how such files came to be: it counts every block as if it
had two layers, and leaves alone what Stable Diffusion 1 does not have (an attention in the first block up, the guidance's
projection, a tiny autoencoder).
"""

import json
import re
from pathlib import Path

import torch
from diffusers import (AutoencoderKL, AutoencoderTiny, DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler,
                       LCMScheduler, StableDiffusionPipeline, UNet2DConditionModel)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from make_goldens import record, tokenize
from make_single import PROMPTS, tokenizer, weight
from tiny_models import SD1_SCHEDULER, SD2_SCHEDULER

OUT = Path(__file__).resolve().parent / "families"
SIZE = 64
CROSS, PLAIN = "CrossAttn{}Block2D", "{}Block2D"
DDIM = {**SD1_SCHEDULER, "_class_name": "DDIMScheduler"}
# The scheduler_config.json of stabilityai/sd-turbo.
TURBO = {
    "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.24.0.dev0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": False, "interpolation_type": "linear",
    "num_train_timesteps": 1000, "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": False,
    "skip_prk_steps": True, "steps_offset": 1, "timestep_spacing": "trailing", "timestep_type": "discrete",
    "trained_betas": None, "use_karras_sigmas": False,
}
# That of SimianLuo/LCM_Dreamshaper_v7.
LCM = {
    "_class_name": "LCMScheduler", "_diffusers_version": "0.22.0.dev0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "clip_sample": False, "clip_sample_range": 1.0, "dynamic_thresholding_ratio": 0.995,
    "num_train_timesteps": 1000, "original_inference_steps": 50, "prediction_type": "epsilon", "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0, "set_alpha_to_one": True, "steps_offset": 1, "thresholding": False, "timestep_scaling": 10.0,
    "timestep_spacing": "leading", "trained_betas": None,
}
# That of Stable Diffusion 2.1 base.
SD2_BASE = {
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.10.0.dev0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "clip_sample": False, "num_train_timesteps": 1000, "prediction_type": "epsilon",
    "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
}
SCHEDULERS = {cls.__name__: cls for cls in (DDIMScheduler, EulerDiscreteScheduler, LCMScheduler)}
# What AMD draws with the model that it made of that one: <https://github.com/AMD-AIG-AIMA/AMD-Diffusion-Distillation>.
SCHEDULERS["PNDMScheduler"] = DDPMScheduler
# A v-prediction fine-tune whose last noise level is noise alone.
ZERO_SNR = {**SD2_SCHEDULER, "rescale_betas_zero_snr": True}
# Attention of each block down, outermost first; layers per block; whether there is a mid block.
FAMILIES = {
    "lcm": {"attends": (1, 1, 1, 0), "layers": 2, "mid": True, "scheduler": LCM, "sampler": "lcm", "steps": 4,
            "guidance": 7.5, "more": {"time_cond_proj_dim": 256}},
    "turbo": {"attends": (1, 1, 1, 0), "layers": 2, "mid": True, "second": True, "scheduler": TURBO, "sampler": "euler",
              "steps": 1, "guidance": 0.0},
    "sdxs": {"attends": (0, 1, 1), "layers": 1, "mid": False, "tiny": True, "scheduler": TURBO, "sampler": "euler",
             "steps": 1, "guidance": 0.0},
    "bk-base": {"attends": (1, 1, 1, 0), "layers": 1, "mid": True, "scheduler": DDIM, "sampler": "ddim", "steps": 2,
                "guidance": 2.5},
    "bk-small": {"attends": (1, 1, 1, 0), "layers": 1, "mid": False, "scheduler": DDIM, "sampler": "ddim", "steps": 2,
                 "guidance": 2.5},
    "bk-tiny": {"attends": (1, 1, 1), "layers": 1, "mid": False, "scheduler": DDIM, "sampler": "ddim", "steps": 2,
                "guidance": 2.5},
    "bk-v2-tiny": {"attends": (1, 1, 1), "layers": 1, "mid": False, "second": True, "scheduler": DDIM, "sampler": "ddim",
                   "steps": 2, "guidance": 2.5},
    "zero-snr": {"attends": (1, 1, 1, 0), "layers": 1, "mid": True, "second": True, "scheduler": ZERO_SNR,
                 "sampler": "ddim", "steps": 3, "guidance": 4.0, "rescale": 0.7},
    "nitro-1": {"attends": (1, 1, 1, 0), "layers": 2, "mid": True, "second": True, "scheduler": SD2_BASE,
                "sampler": "ddim", "steps": 1, "timesteps": [999], "guidance": 0.0},
}


def configurations(family):
    second, attends = family.get("second", False), family["attends"]
    base, text, vocabulary = (64, 64, 1200) if second else (32, 48, 1536)
    widths = [base * times for times in (1, 2, 2, 2)[:len(attends)]]
    kinds = lambda way, blocks: [(CROSS if attends else PLAIN).format(way) for attends in blocks]
    unet = {"sample_size": 64, "in_channels": 4, "out_channels": 4, "layers_per_block": family["layers"],
            "down_block_types": kinds("Down", attends), "up_block_types": kinds("Up", reversed(attends)),
            "mid_block_type": "UNetMidBlock2DCrossAttn" if family["mid"] else None, "block_out_channels": widths,
            "attention_head_dim": [width // 64 for width in widths] if second else 8, "cross_attention_dim": text,
            "use_linear_projection": second, **family.get("more", {})}
    if family.get("tiny"):
        vae = {"encoder_block_out_channels": [16] * 4, "decoder_block_out_channels": [16] * 4, "latent_channels": 4,
               "num_encoder_blocks": [1, 3, 3, 3], "num_decoder_blocks": [3, 3, 3, 1], "scaling_factor": 1.0}
    else:
        vae = {"sample_size": 512, "latent_channels": 4, "layers_per_block": 1, "scaling_factor": 0.18215,
               "block_out_channels": [32] * 4, "down_block_types": ["DownEncoderBlock2D"] * 4,
               "up_block_types": ["UpDecoderBlock2D"] * 4}
    encoder = {"vocab_size": vocabulary, "hidden_size": text, "intermediate_size": 4 * text, "num_hidden_layers": 2,
               "num_attention_heads": max(1, text // 64), "hidden_act": "gelu" if second else "quick_gelu",
               "max_position_embeddings": 77}
    return {"unet": unet, "vae": vae, "text_encoder": encoder}


def fill(component, module):
    """Gives every parameter the values of its name; the names and shapes, as a folder has them."""
    shapes = {}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if component == "text_encoder" and not name.startswith("text_model."):
                name = f"text_model.{name}"
            parameter.copy_(weight(f"{component}.{name}", tuple(parameter.shape)))
            shapes[name] = list(parameter.shape)
    module.eval()
    return shapes


RESIDUAL = (("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"),
            ("norm2", "out_layers.0"), ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"))
UNET = {"time_embedding.linear_1.": "time_embed.0.", "time_embedding.linear_2.": "time_embed.2.",
        "conv_in.": "input_blocks.0.0.", "conv_norm_out.": "out.0.", "conv_out.": "out.2."}


def replaced(name, pairs):
    for old, new in pairs:
        name = name.replace(f"{old}.", f"{new}.")
    return name


def unet_name(name):
    for old, new in UNET.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    if found := re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.*)", name):
        way, block, kind, layer, rest = found.groups()
        if (way, int(block), kind) == ("up", 0, "attentions"):
            return name  # Stable Diffusion 1 has none
        number = 3 * int(block) + int(layer) + (way == "down")
        blocks = "input_blocks" if way == "down" else "output_blocks"
        return f"{blocks}.{number}.{int(kind == 'attentions')}.{replaced(rest, RESIDUAL if kind == 'resnets' else ())}"
    if found := re.fullmatch(r"down_blocks\.(\d)\.downsamplers\.0\.conv\.(.*)", name):
        return f"input_blocks.{3 * int(found[1]) + 3}.0.op.{found[2]}"
    if found := re.fullmatch(r"up_blocks\.(\d)\.upsamplers\.0\.(.*)", name):
        return f"output_blocks.{3 * int(found[1]) + 2}.{1 if found[1] == '0' else 2}.{found[2]}"
    if found := re.fullmatch(r"mid_block\.resnets\.(\d)\.(.*)", name):
        return f"middle_block.{2 * int(found[1])}.{replaced(found[2], RESIDUAL)}"
    return name.replace("mid_block.attentions.0.", "middle_block.1.")


def vae_name(name):
    name = re.sub(r"up_blocks\.(\d)\.resnets\.", lambda m: f"up.{3 - int(m[1])}.block.", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f"up.{3 - int(m[1])}.upsample.", name)
    name = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample.", name)
    name = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: f"mid.block_{int(m[1]) + 1}.", name)
    if "mid_block.attentions.0." in name:
        name = replaced(name.replace("mid_block.attentions.0.", "mid.attn_1."),
                        (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")))
    return name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")


OPEN_CLIP = (("text_model.embeddings.token_embedding", "token_embedding"), ("text_model.final_layer_norm", "ln_final"),
             ("text_model.encoder.layers", "transformer.resblocks"), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"),
             ("self_attn.out_proj", "attn.out_proj"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"))


def open_clip_name(name):
    if name == "text_model.embeddings.position_embedding.weight":
        return "positional_embedding"
    if found := re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.self_attn\.[qkv]_proj\.(weight|bias)", name):
        return f"transformer.resblocks.{found[1]}.attn.in_proj_{found[2]}"
    return replaced(name, OPEN_CLIP)


def file_names(shapes, second):
    """By name in one file: the folder's tensors whose rows it has, one after the other."""
    text = (lambda name: f"cond_stage_model.model.{open_clip_name(name)}") if second else (
        lambda name: f"cond_stage_model.transformer.{name}")
    named = {"unet": lambda name: f"model.diffusion_model.{unet_name(name)}",
             "vae": lambda name: f"first_stage_model.{vae_name(name)}", "text_encoder": text}
    found = {}
    for component, tensors in shapes.items():
        for name in tensors:
            found.setdefault(named[component](name), []).append(f"{component}.{name}")
    order = ("q_proj", "k_proj", "v_proj")
    rank = lambda name: next((i for i, part in enumerate(order) if part in name), 0)
    return {name: sorted(parts, key=rank) for name, parts in found.items()}


def make(index, name, family):
    configs, second = configurations(family), family.get("second", False)
    vae_class = AutoencoderTiny if family.get("tiny") else AutoencoderKL
    vocabulary = configs["text_encoder"]["vocab_size"]
    modules = {"unet": UNet2DConditionModel(**configs["unet"]), "vae": vae_class(**configs["vae"]),
               "text_encoder": CLIPTextModel(CLIPTextConfig(**configs["text_encoder"], bos_token_id=vocabulary - 2,
                                                            eos_token_id=vocabulary - 1))}
    shapes = {component: fill(component, module) for component, module in modules.items()}
    configs["vae"]["_class_name"] = vae_class.__name__
    pad = "!" if second else "<|endoftext|>"
    scheduler = SCHEDULERS[family["scheduler"]["_class_name"]].from_config(family["scheduler"])
    pipe = StableDiffusionPipeline(**modules, tokenizer=tokenizer(vocabulary, pad), scheduler=scheduler, safety_checker=None,
                                   feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    tensors, timesteps = record(pipe.scheduler)
    image = pipe(PROMPTS[1], negative_prompt=PROMPTS[0], height=SIZE, width=SIZE, num_inference_steps=family["steps"],
                 timesteps=family.get("timesteps"), guidance_scale=family["guidance"], guidance_rescale=family.get("rescale", 0.0), output_type="pt",
                 generator=torch.Generator().manual_seed(20 + index)).images
    tensors["image"] = image * 2 - 1
    guided = family["guidance"] > 1 and "time_cond_proj_dim" not in configs["unet"]
    prompts = [PROMPTS[0], PROMPTS[1]] if guided else [PROMPTS[1]]
    tensors["tokens"] = torch.cat([tokenize(pipe, prompt) for prompt in prompts])
    tensors["text_embeddings"] = torch.cat([pipe.encode_prompt(prompt, "cpu", 1, False)[0] for prompt in prompts])
    save_file({key: value.detach().float().contiguous() for key, value in tensors.items()},
              OUT / f"{name}.safetensors")
    case = {"prompt": PROMPTS[1], "negative_prompt": PROMPTS[0], "sampler": family["sampler"], "steps": family["steps"],
            "guidance": family["guidance"], "guidance_rescale": family.get("rescale", 0.0), "seed": 20 + index,
            "width": SIZE, "height": SIZE, "timesteps": timesteps}
    facts = {"vocabulary": vocabulary, "pad": pad, "case": case, "scheduler": family["scheduler"], "configs": configs,
             "shapes": shapes, "file": file_names(shapes, second)}
    (OUT / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    extreme = float((image.mul(2).sub(1).abs() > 0.999).float().mean())
    largest = max(float(value.abs().max()) for key, value in tensors.items() if key != "tokens")
    print(f"{name}: {sum(map(len, shapes.values()))} tensors; spread {float(image.std()):.3f}, clipped {extreme:.2f}, "
          f"largest {largest:.1f}, timesteps {timesteps}")


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    with torch.no_grad():
        for index, (name, family) in enumerate(FAMILIES.items()):
            make(index, name, family)


if __name__ == "__main__":
    main()
