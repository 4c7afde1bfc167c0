"""Models of true size with random weights, in every format, and what diffusers computes with them: `cargo xtask full-size`.

    python tests/golden/full_size.py make NAME FOLDER        # of MODELS: a folder, one file, a GGUF, references
    python tests/golden/full_size.py compare REFERENCE DUMP  # what `opengen generate --dump` wrote, held to them

FOLDER then has NAME/ (diffusers' layout), NAME.safetensors (in CompVis's naming, as make_families.py names it), NAME.gguf
(by stable-diffusion.cpp of the latter), each 1 to 3 GB of half precision, and NAME.reference.safetensors: a step or
two of diffusers' pipeline in f32 on the processor, its tensors named as those of a dump.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from cyllama.sd.stable_diffusion import SDType, convert_model
from diffusers import (AutoencoderKL, AutoencoderTiny, EulerDiscreteScheduler, StableDiffusionPipeline,
                       UNet2DConditionModel)
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from make_families import TURBO, file_names
from make_goldens import record, tokenize
from make_single import PROMPTS, tokenizer
from tiny_models import SD1_SCHEDULER, SD2_SCHEDULER, model_index, rescale, write_json

# That every stage has, relative to what diffusers computes: tests/common/report.rs has the same metric.
TOLERANCE = 1e-3
# Small pictures: the networks are whole.
SIDE, SEED = 64, 15
CROSS_DOWN, CROSS_UP = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
# The configurations of the released models, as far as they are not diffusers' defaults: stable-diffusion-v1-5,
# stable-diffusion-2-1, sdxs-512-dreamshaper.
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
          "hidden_act": "quick_gelu", "projection_dim": 768}
OPEN_CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16,
               "hidden_act": "gelu", "projection_dim": 512}
MODELS = {
    "sd15": {
        "unet": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}, "text_encoder": CLIP_L,
        "scheduler": SD1_SCHEDULER, "steps": 2, "guidance": 7.5},
    "sd21": {
        "unet": {"sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
                 "use_linear_projection": True},
        "text_encoder": OPEN_CLIP_H, "second": True,
        "scheduler": {key: value for key, value in SD2_SCHEDULER.items() if key != "timestep_spacing"},
        "steps": 2, "guidance": 7.5},
    "sdxs": {
        "unet": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8, "layers_per_block": 1,
                 "block_out_channels": [320, 640, 1280], "mid_block_type": None,
                 "down_block_types": ["DownBlock2D", CROSS_DOWN, CROSS_DOWN],
                 "up_block_types": [CROSS_UP, CROSS_UP, "UpBlock2D"]},
        "text_encoder": CLIP_L, "tiny": True, "scheduler": TURBO, "steps": 1, "guidance": 0.0},
}
VAE = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4, "sample_size": 512,
       "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}


def build(model):
    """The networks, their parameters not filled."""
    vocabulary = 49408
    text = CLIPTextConfig(**model["text_encoder"], vocab_size=vocabulary, bos_token_id=vocabulary - 2,
                          eos_token_id=vocabulary - 1)
    for name in ("kaiming_uniform_", "uniform_", "normal_", "xavier_uniform_", "trunc_normal_"):
        setattr(torch.nn.init, name, lambda tensor, *arguments, **keywords: tensor)  # minutes of random numbers
    vae = AutoencoderTiny(scaling_factor=1.0) if model.get("tiny") else AutoencoderKL(**VAE)
    return {"unet": UNet2DConditionModel(**model["unet"]), "vae": vae, "text_encoder": CLIPTextModel(text)}


def fill(modules, generator):
    """Random weights by fan-in that half precision holds exactly, so that values stay of one size through all layers."""
    for module in modules.values():
        for name, parameter in module.named_parameters():
            value = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                value = 0.02 * value if name.endswith("bias") else 1 + 0.05 * value
            elif "embedding" in name and "time" not in name:
                value *= 0.02
            else:
                value *= parameter[0].numel() ** -0.5
            parameter.copy_(value.half())
        module.eval()
    latents = torch.randn((1, 4, 8, 8), generator=generator)
    decoder = modules["vae"].decoder
    last = decoder.layers[-1] if isinstance(modules["vae"], AutoencoderTiny) else decoder.conv_out
    rescale(last, lambda: modules["vae"].decode(latents).sample, 0.3)


def halves(component, module):
    named = {name: parameter.half().contiguous() for name, parameter in module.named_parameters()}
    if component != "text_encoder":
        return named
    return {name if name.startswith("text_model.") else f"text_model.{name}": value for name, value in named.items()}


def write_folder(folder, model, modules, words):
    for component, module in modules.items():
        stem = "model" if component == "text_encoder" else "diffusion_pytorch_model"
        (folder / component).mkdir(parents=True, exist_ok=True)
        save_file(halves(component, module), folder / component / f"{stem}.fp16.safetensors", metadata={"format": "pt"})
        config = json.loads(module.config.to_json_string()) if component == "text_encoder" else dict(module.config)
        write_json(folder / component / "config.json", config | {"_class_name": type(module).__name__})
    words.save_pretrained(folder / "tokenizer")
    write_json(folder / "scheduler" / "scheduler_config.json", model["scheduler"])
    model_index(folder, model["scheduler"]["_class_name"], vae=type(modules["vae"]).__name__)


def write_single(path, model, modules):
    parts = {component: halves(component, module) for component, module in modules.items()}
    shapes = {component: {name: list(value.shape) for name, value in tensors.items()} for component, tensors in parts.items()}
    tensors = {}
    for name, origins in file_names(shapes, model.get("second", False)).items():
        values = [parts[origin.partition(".")[0]][origin.partition(".")[2]] for origin in origins]
        value = torch.cat(values) if len(values) > 1 else values[0]
        is_matrix = ".mid.attn_1." in name and value.dim() == 2  # 1×1 convolutions there
        tensors[name] = value[..., None, None].contiguous() if is_matrix else value
    save_file(tensors, path, metadata={"format": "pt"})


def write_gguf(single, path):
    nothing = path.with_name("nothing.safetensors")  # an autoencoder has to be named; one tensor adds nothing else
    save_file({"nothing": torch.zeros(32)}, nothing)
    assert convert_model(str(single), str(path), SDType.F16, vae_path=str(nothing), tensor_type_rules=" ", convert_name=False)
    nothing.unlink()


def reference(path, model, modules, words):
    """A picture by diffusers, and the settings to make it with."""
    scheduler = EulerDiscreteScheduler.from_config(model["scheduler"])
    pipe = StableDiffusionPipeline(**modules, tokenizer=words, scheduler=scheduler, safety_checker=None,
                                   feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    tensors, timesteps = record(pipe.scheduler)
    guidance = model["guidance"]
    image = pipe(PROMPTS[1], negative_prompt=PROMPTS[0], height=SIDE, width=SIDE, num_inference_steps=model["steps"],
                 guidance_scale=guidance, output_type="pt", generator=torch.Generator().manual_seed(SEED)).images
    tensors["image"] = image * 2 - 1
    prompts = PROMPTS if guidance > 1 else PROMPTS[1:]
    tensors["tokens"] = torch.cat([tokenize(pipe, prompt) for prompt in prompts])
    tensors["text_embeddings"] = torch.cat([pipe.encode_prompt(prompt, "cpu", 1, False)[0] for prompt in prompts])
    save_file({key: value.detach().float().contiguous() for key, value in tensors.items()}, path)
    clipped = float((tensors["image"].abs() > 0.999).float().mean())
    print(f"reference: timesteps {timesteps}, the picture's spread {float(tensors['image'].std()):.3f}, clipped {clipped:.2f}")
    return ["--prompt", PROMPTS[1], "--negative", PROMPTS[0], "--steps", str(model["steps"]), "--guidance", str(max(guidance, 1.0)),
            "--sampler", "euler", "--seed", str(SEED), "--size", f"{SIDE}x{SIDE}"]


def make(name, folder):
    model, begin = MODELS[name], time.time()
    with torch.no_grad():
        modules = build(model)
        fill(modules, torch.Generator().manual_seed(SEED))
        words = tokenizer(49408, "!" if model.get("second") else "<|endoftext|>")
        write_folder(folder / name, model, modules, words)
        write_single(folder / f"{name}.safetensors", model, modules)
        write_gguf(folder / f"{name}.safetensors", folder / f"{name}.gguf")
        run = reference(folder / f"{name}.reference.safetensors", model, modules, words)
    # What one file does not say of itself.
    single = ["--prediction", "v"] if model["scheduler"].get("prediction_type") == "v_prediction" else []
    write_json(folder / f"{name}.run.json", {"run": run, "single": single})
    count = sum(parameter.numel() for module in modules.values() for parameter in module.parameters())
    print(f"{name}: {count / 1e6:.1f} M parameters, {time.time() - begin:.0f} s")


def compare(reference, dump):
    """Prints a line a tensor; whether all are within the tolerance."""
    want, got, misses, worst = load_file(reference), load_file(dump), 0, (0.0, "")
    for name in sorted(want):
        a, b = got[name].double().flatten(), want[name].double().flatten()
        if name == "image":
            a = a.clamp(-1, 1)  # as diffusers' pipeline does
        assert a.shape == b.shape, (name, got[name].shape, want[name].shape)
        relative, peak = float((a - b).norm() / b.norm()), float((a - b).abs().max() / b.abs().max())
        within = relative <= TOLERANCE and peak <= TOLERANCE  # false for NaN
        misses += not within
        worst = max(worst, (max(relative, peak), name))
        print(f"  {name:<16} relative {relative:.1e}  peak {peak:.1e}{'' if within else f'  MORE THAN {TOLERANCE}'}")
    print(f"worst {worst[0]:.1e}, {worst[1]}; {misses} of {len(want)} beyond {TOLERANCE}")
    return misses == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("name", choices=MODELS)
    making.add_argument("folder", type=Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("reference", type=Path)
    comparing.add_argument("dump", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        arguments.folder.mkdir(parents=True, exist_ok=True)
        make(arguments.name, arguments.folder)
    else:
        sys.exit(not compare(arguments.reference, arguments.dump))


if __name__ == "__main__":
    main()
