"""Makes the golden references of tests/golden: what diffusers computes with the tiny models, stage by stage.

    python tests/golden/make_goldens.py            # models and references
    python tests/golden/make_goldens.py --keep     # references only, from the models that are there
    python tests/golden/make_goldens.py --only small deep   # these models and their references; the others stay
    python tests/golden/make_goldens.py --samplers heun lms # whole runs with these samplers; all else stays

Reference files are safetensors with f32 tensors; `manifest.json` names every case, its settings and the versions.
"""

import argparse
import functools
import json
import platform
import shutil
from pathlib import Path

import diffusers
import tokenizers
import torch
import transformers
from diffusers import (AutoencoderTiny, DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler,
                       EulerDiscreteScheduler, HeunDiscreteScheduler, LMSDiscreteScheduler, StableDiffusionPipeline)
from safetensors.torch import save_file

import tiny_models

HERE = Path(__file__).resolve().parent
FORMAT = 1
SEED = 20261123

PROMPTS = [
    "",
    "a photo of an astronaut riding a horse on the blue background",
    "A  Small\tRED Apple,  on white!",
    "blurry, it's 42 cats' naïve café — 100%",
    "a 🍎 and a 🦊 next to 日本語 text",
    "تفاحة حمراء",
    "<|startoftext|> zebra <|endoftext|> tail",
    "the large green dog " * 20 + "end",
]
# The first prompts, whose embeddings are kept as well as their tokens.
EMBEDDED = 2
SAMPLERS = {
    "ddim": (DDIMScheduler, {}),
    "euler": (EulerDiscreteScheduler, {}),
    "euler-a": (EulerAncestralDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, {}),
    "lms": (LMSDiscreteScheduler, {}),
    "dpm++-2m": (DPMSolverMultistepScheduler, {}),
    "euler.karras": (EulerDiscreteScheduler, {"use_karras_sigmas": True}),
    "heun.karras": (HeunDiscreteScheduler, {"use_karras_sigmas": True}),
    "lms.karras": (LMSDiscreteScheduler, {"use_karras_sigmas": True}),
    "dpm++-2m.karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
}
# `scheduler` replaces keys of the model's scheduler_config.json.
DENOISE = [
    {"case": "a", "model": "sd1", "prompt": 2, "negative": 0, "steps": 6, "guidance": 2.5, "seed": 0,
     "width": 40, "height": 32, "scheduler": {}},
    {"case": "b", "model": "sd1", "prompt": 1, "negative": 0, "steps": 4, "guidance": 1.0, "seed": 42,
     "width": 32, "height": 32, "scheduler": {"timestep_spacing": "leading"}},
    {"case": "c", "model": "sd2", "prompt": 4, "negative": 3, "steps": 5, "guidance": 2.0, "seed": 2**32 - 1,
     "width": 32, "height": 40, "scheduler": {}},
    {"case": "d", "model": "small", "prompt": 2, "negative": 0, "steps": 4, "guidance": 2.5, "seed": 7,
     "width": 64, "height": 40, "scheduler": {}},
    {"case": "e", "model": "deep", "prompt": 1, "negative": 0, "steps": 3, "guidance": 2.0, "seed": 8,
     "width": 40, "height": 32, "scheduler": {}},
]
# Models that every sampler runs with; the others are there for their networks.
ALL_SAMPLERS = ("sd1", "sd2")
# Latent sizes (height, width) with their timestep; the odd ones lose half a pixel on the way down.
UNET = {
    "sd1": [(8, 8, 981.0), (8, 24, 1.0), (12, 20, 500.25), (10, 14, 261.0)],
    "sd2": [(8, 8, 981.0), (12, 12, 333.5), (10, 14, 261.0), (7, 9, 1.0)],
    "small": [(8, 8, 981.0), (7, 9, 261.0)],
    "deep": [(8, 8, 981.0), (7, 9, 261.0)],
}
SEAMS = {"sd1": (6, 10, 261.0), "sd2": (10, 14, 261.0), "deep": (6, 10, 261.0)}
# Cross attentions whose maps are kept: one of each size that is not too large.
ATTENTIONS = {
    "sd1": ["down_blocks.0.attentions.1.transformer_blocks.0.attn2", "mid_block.attentions.0.transformer_blocks.0.attn2"],
    "sd2": ["up_blocks.1.attentions.0.transformer_blocks.0.attn2", "mid_block.attentions.0.transformer_blocks.0.attn2"],
    "deep": ["down_blocks.1.attentions.0.transformer_blocks.1.attn2", "mid_block.attentions.0.transformer_blocks.2.attn2"],
}
VAE = {"sd1": [(8, 8), (5, 9)], "sd2": [(4, 4), (5, 7)], "taesd": [(4, 4), (3, 5)]}
SCALE = {"sd1": 4, "sd2": 4, "taesd": 8}


def save(name, tensors):
    tensors = {key: value.detach().float().contiguous() for key, value in tensors.items()}
    save_file(tensors, HERE / name, metadata={"opengen-golden": str(FORMAT)})
    return name


def noise(case, *shape):
    """Unit noise that depends on the case alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(SEED + case))


def tokenize(pipe, prompt):
    return pipe.tokenizer(prompt, padding="max_length", max_length=pipe.tokenizer.model_max_length, truncation=True,
                          return_tensors="pt").input_ids


def text_goldens(model, pipe):
    """Token ids, padded and cut as the pipeline does, and embeddings: the last layer's and clip skip 1's."""
    tokens = torch.cat([tokenize(pipe, prompt) for prompt in PROMPTS])
    tensors = {"tokens": tokens}
    whole = pipe.tokenizer(PROMPTS[-1], padding=False, truncation=False).input_ids
    tensors["tokens.uncut"] = torch.tensor([whole])
    for i in range(EMBEDDED):
        tensors[f"text_embeddings.{i}"] = pipe.encode_prompt(PROMPTS[i], "cpu", 1, False)[0]
    # diffusers' `clip_skip=1`, which version 0.42 cannot compute with transformers 5.
    hidden = pipe.text_encoder(tokens[1:2], output_hidden_states=True).hidden_states[-2]
    tensors["text_embeddings.clip_skip_1"] = pipe.text_encoder.final_layer_norm(hidden)
    return {"file": save(f"{model}.text.safetensors", tensors), "model": model, "prompts": PROMPTS, "embedded": EMBEDDED}


def unet_goldens(model, pipe, context):
    """One call per latent size, batch 2, the rows' embeddings differing."""
    tensors, cases = {"embeddings": context}, []
    for i, (height, width, timestep) in enumerate(UNET[model]):
        latents = noise(i, 2, 4, height, width)
        tensors[f"latents.{i}"] = latents
        tensors[f"output.{i}"] = pipe.unet(latents, timestep, context).sample
        cases.append({"height": height, "width": width, "timestep": timestep})
    return {"file": save(f"{model}.unet.safetensors", tensors), "model": model, "cases": cases}


def seam_goldens(model, pipe, context):
    """One call looked into: what leaves each block. For finding where a wrong UNet goes wrong.

    The embeddings are the second row of the UNet file's.
    """
    height, width, timestep = SEAMS[model]
    tensors, hooks, unet = {}, [], pipe.unet
    blocks = {"time_embedding": unet.time_embedding, "conv_in": unet.conv_in, "mid_block": unet.mid_block}
    blocks |= {f"down_blocks.{i}": block for i, block in enumerate(unet.down_blocks)}
    blocks |= {f"up_blocks.{i}": block for i, block in enumerate(unet.up_blocks)}
    for name, block in blocks.items():
        def keep(_module, _inputs, output, name=name):
            tensors[name] = output[0] if isinstance(output, tuple) else output
        hooks.append(block.register_forward_hook(keep))
    latents = noise(100, 1, 4, height, width)
    output = unet(latents, timestep, context[1:]).sample
    for hook in hooks:
        hook.remove()
    tensors |= {"latents": latents, "output": output}
    return {"file": save(f"{model}.seams.safetensors", tensors), "model": model, "timestep": timestep}


def attention_goldens(model, pipe, context):
    """Where the cross attentions of one call look: the probabilities diffusers' `get_attention_scores` gives, the mean
    over the heads, `[1, 1, h·w, tokens]`. Latents, time and embeddings are those of the seams.
    """
    height, width, timestep = SEAMS[model]
    tensors, hooks = {}, []
    for path in ATTENTIONS[model]:
        attention = pipe.unet.get_submodule(path)

        def keep(attn, inputs, keywords, path=path):
            query = attn.head_to_batch_dim(attn.to_q(inputs[0]))
            key = attn.head_to_batch_dim(attn.to_k(keywords["encoder_hidden_states"]))
            tensors[path] = attn.get_attention_scores(query, key).mean(0)[None, None]
        hooks.append(attention.register_forward_pre_hook(keep, with_kwargs=True))
    pipe.unet(noise(100, 1, 4, height, width), timestep, context[1:])
    for hook in hooks:
        hook.remove()
    return {"file": save(f"{model}.attention.safetensors", tensors), "model": model, "timestep": timestep,
            "layers": ATTENTIONS[model]}


def vae_goldens(model, vae):
    """Decoded pictures and encoded means, batch 2 in the first case. `latents` are what the decoder itself takes."""
    tensors, cases, scale = {}, [], SCALE[model]
    tiny = isinstance(vae, AutoencoderTiny)
    for i, (height, width) in enumerate(VAE[model]):
        batch = 2 if i == 0 else 1
        latents = noise(200 + i, batch, 4, height, width) / vae.config.scaling_factor
        # Smooth pictures of 8 bit values, as an upload would be.
        coarse = torch.nn.functional.interpolate(noise(300 + i, batch, 3, height, width), scale_factor=scale,
                                                 mode="bilinear", align_corners=False)
        image = torch.round((coarse * 0.5).clamp(-1, 1) * 127.5 + 127.5) / 127.5 - 1
        encoded = vae.encode(image)
        tensors |= {f"latents.{i}": latents, f"decoded.{i}": vae.decode(latents).sample, f"image.{i}": image,
                    f"encoded.{i}": encoded.latents if tiny else encoded.latent_dist.mean}
        cases.append({"height": height, "width": width, "batch": batch})
    return {"file": save(f"{model}.vae.safetensors", tensors), "model": model, "cases": cases, "scale": scale}


def record(scheduler):
    """Puts a recorder before a scheduler's `step`; returns the tensors and timesteps it will have kept.

    A step of the run is `order` calls (two for Heun, whose last is one): the calls after its first have names of their own,
    `latents.i.1` and `noise_pred.i.1`.
    """
    tensors, timesteps, step, order = {}, [], scheduler.step, scheduler.order

    def name(call):
        return f"{call // order}.{call % order}" if call % order else f"{call // order}"

    @functools.wraps(step)  # pipelines look at the signature for `generator` and `eta`
    def recorded(noise_pred, timestep, latents, **keywords):
        i = len(timesteps)
        result = step(noise_pred, timestep, latents, **keywords)
        timesteps.append(float(timestep))
        ends = i % order == order - 1 or len(timesteps) == len(scheduler.timesteps)
        after = f"{i // order + 1}" if ends else name(i + 1)
        tensors.update({f"latents.{name(i)}": latents, f"noise_pred.{name(i)}": noise_pred, f"latents.{after}": result[0]})
        return result

    scheduler.step = recorded
    return tensors, timesteps


def make_scheduler(setting, sampler):
    """The model's scheduler_config.json, changed as the setting says, then `from_config` as users do it."""
    config = json.loads((HERE / "models" / setting["model"] / "scheduler" / "scheduler_config.json").read_text())
    own_class = getattr(diffusers, config["_class_name"])
    sampler_class, options = SAMPLERS[sampler]
    return sampler_class.from_config(own_class.from_config(config | setting["scheduler"]).config, **options)


def denoise_goldens(setting, sampler, pipe):
    """A whole run of StableDiffusionPipeline, the tensors named as `opengen generate --dump` names them."""
    pipe.scheduler = make_scheduler(setting, sampler)
    tensors, timesteps = record(pipe.scheduler)
    prompt, negative = PROMPTS[setting["prompt"]], PROMPTS[setting["negative"]]
    image = pipe(prompt, negative_prompt=negative, height=setting["height"], width=setting["width"],
                 num_inference_steps=setting["steps"], guidance_scale=setting["guidance"], output_type="pt",
                 generator=torch.Generator("cpu").manual_seed(setting["seed"])).images
    tensors["image"] = image * 2 - 1
    if sampler == "ddim":  # the same for all samplers
        prompts = [negative, prompt] if setting["guidance"] > 1 else [prompt]
        tensors["tokens"] = torch.cat([tokenize(pipe, text) for text in prompts])
        tensors["text_embeddings"] = torch.cat([pipe.encode_prompt(text, "cpu", 1, False)[0] for text in prompts])
    name, _, schedule = sampler.partition(".")
    case = {key: value for key, value in setting.items() if key not in ("prompt", "negative")}
    return {"file": save(f"denoise.{setting['case']}.{sampler}.safetensors", tensors), "sampler": name,
            "schedule": schedule or "default", "prompt": prompt, "negative_prompt": negative, **case,
            "timesteps": timesteps}


def load(model):
    pipe = StableDiffusionPipeline.from_pretrained(HERE / "models" / model, torch_dtype=torch.float32,
                                                   local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def make_models(only):
    for i, (name, make) in enumerate(tiny_models.MAKERS.items()):
        if name not in only:
            continue
        shutil.rmtree(HERE / "models" / name, ignore_errors=True)
        make(HERE / "models" / name, torch.Generator().manual_seed(SEED + i))


def make_references(only):
    """The references of the models `only`, by kind; those of a whole run have names of their own."""
    manifest = {"text": [], "unet": [], "seams": [], "attention": [], "vae": [], "denoise": []}
    pipes = {model: load(model) for model in tiny_models.MAKERS if model in only and model != "taesd"}
    for model, pipe in pipes.items():
        context = torch.cat([pipe.encode_prompt(PROMPTS[i], "cpu", 1, False)[0] for i in (0, 1)])
        manifest["unet"].append(unet_goldens(model, pipe, context))
        if model in SEAMS:
            manifest["seams"].append(seam_goldens(model, pipe, context))
            manifest["attention"].append(attention_goldens(model, pipe, context))
        if model in ALL_SAMPLERS:
            manifest["text"].append(text_goldens(model, pipe))
            manifest["vae"].append(vae_goldens(model, pipe.vae))
    if "taesd" in only:
        taesd = AutoencoderTiny.from_pretrained(HERE / "models" / "taesd", torch_dtype=torch.float32)
        manifest["vae"].append(vae_goldens("taesd", taesd))
    manifest["denoise"] = run_references(only, SAMPLERS, pipes)
    return manifest


def run_references(only, samplers, pipes):
    """Whole runs of the models `only` with the samplers `samplers`."""
    settings = [setting for setting in DENOISE if setting["model"] in only]
    return [denoise_goldens(setting, sampler, pipes[setting["model"]]) for setting in settings for sampler in samplers
            if setting["model"] in ALL_SAMPLERS or sampler == "ddim"]


def kept(stays):
    """The cases of the manifest that are there, those that stay."""
    old = json.loads((HERE / "manifest.json").read_text())
    kinds = {kind: cases for kind, cases in old.items() if isinstance(cases, list)}
    return {kind: [case for case in cases if stays(case)] for kind, cases in kinds.items()}


def add_samplers(names):
    """The manifest's cases with whole runs of the samplers `names`, plain and Karras, made anew."""
    samplers = [sampler for sampler in SAMPLERS if sampler.partition(".")[0] in names]
    cases = kept(lambda case: case.get("sampler") not in names)
    cases["denoise"] += run_references(ALL_SAMPLERS, samplers, {model: load(model) for model in ALL_SAMPLERS})
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="keep the models, make the references again")
    parser.add_argument("--only", nargs="+", choices=tiny_models.MAKERS, help="these models; the others stay")
    names = sorted({sampler.partition(".")[0] for sampler in SAMPLERS})
    parser.add_argument("--samplers", nargs="+", choices=names, help="whole runs with these samplers; all else stays")
    arguments = parser.parse_args()
    only = arguments.only or list(tiny_models.MAKERS)
    torch.set_num_threads(1)
    if arguments.samplers:
        with torch.no_grad():
            write(add_samplers(arguments.samplers))
        return
    if not arguments.only:
        for old in HERE.glob("*.safetensors"):
            old.unlink()
    if not arguments.keep:
        make_models(only)
    with torch.no_grad():
        cases = make_references(only)
    if arguments.only:
        others = kept(lambda case: case["model"] not in only)
        cases = {kind: old + cases[kind] for kind, old in others.items()}
    write(cases)


def write(cases):
    """The manifest of what is there."""
    header = {
        "format": FORMAT,
        "remake": "python tests/golden/make_goldens.py (packages: tests/golden/requirements.txt)",
        "seed": SEED,
        "metric": "relative = |a - b|_2 / |b|_2 and peak = max|a - b| / max|b|; both must stay within the tolerance",
        "tolerance": {"f32": 1e-3, "f16": 1e-2},
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__,
                     "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
                     "python": platform.python_version()},
    }
    (HERE / "manifest.json").write_text(json.dumps({**header, **cases}, indent=1, ensure_ascii=False) + "\n")
    size = sum(file.stat().st_size for file in HERE.rglob("*") if file.is_file())
    print(f"{HERE}: {size / 1e6:.2f} MB in all")


if __name__ == "__main__":
    main()
