"""Makes tests/golden/pictures: what diffusers makes of a picture, with the tiny models of make_goldens.py.

    python tests/golden/make_pictures.py

`img2img.MODEL`: StableDiffusionImg2ImgPipeline with every sampler and several strengths. `inpaint.MODEL`:
StableDiffusionInpaintPipeline with a UNet of four channels. `inpainting`: the same with one of nine, whose weights follow from
their names as in `families`. `hires.MODEL`: StableDiffusionPipeline, what it drew enlarged by PyTorch's interpolate or Pillow,
StableDiffusionImg2ImgPipeline over that. `tiling.MODEL`: StableDiffusionPipeline and StableDiffusionImg2ImgPipeline whose `Conv2d`s
pad circularly, along both axes or one. The picture and the mask (white is painted anew) are kept as they are given, the picture at a size
of its own; the mask's edges are those of latents.
"""

import json
from pathlib import Path

import PIL.Image
import torch
from diffusers import (AutoencoderKL, DDIMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline,
                       StableDiffusionPipeline, UNet2DConditionModel)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from make_families import DDIM, FAMILIES, configurations, file_names, fill
from make_goldens import HERE, PROMPTS, SAMPLERS, load, make_scheduler, noise, record, tokenize
from make_single import tokenizer

OUT = HERE / "pictures"
SETTINGS = {
    "sd1": {"prompt": 2, "negative": 0, "steps": 6, "guidance": 2.5, "seed": 3, "width": 40, "height": 32},
    "sd2": {"prompt": 4, "negative": 3, "steps": 5, "guidance": 2.0, "seed": 2**32 - 1, "width": 32, "height": 40},
    "small": {"prompt": 2, "negative": 0, "steps": 4, "guidance": 2.5, "seed": 7, "width": 64, "height": 40},
}
# Which runs of a model are kept: samplers and strengths.
ALL = list(SAMPLERS)
RUNS = {"sd1": {0.35: ["ddim", "lms"], 0.7: ALL, 1.0: ["ddim", "euler", "dpm++-2m"]},
        "sd2": {0.7: ["ddim", "euler-a", "heun.karras", "dpm++-2m.karras"]}, "small": {0.5: ["ddim"]}}
MASKED = {"sd1": {0.7: ALL, 1.0: ["ddim", "euler-a", "dpm++-2m"]}, "sd2": {0.7: ["ddim", "euler-a"]}}
# How what was drawn is enlarged, how many times, with which samplers, for how many steps at which strength: pairs of these
# that diffusers, too, takes all steps of.
INTERPOLATIONS = {
    "latent": {"mode": "bilinear"}, "latent-antialiased": {"mode": "bilinear", "antialias": True},
    "latent-bicubic": {"mode": "bicubic"}, "latent-bicubic-antialiased": {"mode": "bicubic", "antialias": True},
    "latent-nearest": {"mode": "nearest"}, "latent-nearest-exact": {"mode": "nearest-exact"},
}
HIRES = {"sd1": [("latent", 1.5, sampler, 3, 0.5) for sampler in ("ddim", "euler-a", "heun", "dpm++-2m.karras")]
         + [(upscaler, 1.5, "ddim", 3, 0.5) for upscaler in ("latent-bicubic-antialiased", "latent-nearest-exact")]
         + [("lanczos", 2, "ddim", 3, 0.5)],
         "sd2": [("latent-bicubic", 2, "euler-a", 7, 0.7), ("latent-nearest", 1.75, "dpm++-2m", 4, 0.5)]}
# Along which axes opposite borders meet, with which sampler, from a picture at which strength or from noise.
TILING = {"sd1": [("both", "ddim", None), ("x", "ddim", None), ("both", "euler-a", 0.7)],
          "sd2": [("y", "dpm++-2m", None)], "small": [("both", "ddim", 0.5)]}
RESIZES = {"just": "default", "crop": "crop", "fill": "fill"}


def picture(case, width, height):
    """A smooth picture of 8 bit values."""
    coarse = torch.nn.functional.interpolate(noise(case, 1, 3, 6, 7), size=(height, width), mode="bicubic")
    values = torch.round((coarse * 0.5).clamp(-1, 1) * 127.5 + 127.5)[0].permute(1, 2, 0).to(torch.uint8)
    return PIL.Image.fromarray(values.numpy())


def mask(width, height, cell):
    """White in a block of cells that is not in the middle."""
    white = torch.zeros(height, width)
    white[cell:height - 3 * cell, 3 * cell:width - 2 * cell] = 255
    return PIL.Image.fromarray(white.to(torch.uint8).numpy())


def pixels(image):
    return torch.tensor(list(image.tobytes()), dtype=torch.float32).reshape(image.height, image.width, -1)


def scheduler_of(model, sampler):
    """diffusers' scheduler; one of several steps that is begun late takes them as it takes its first ones (k-diffusion's LMS)."""
    scheduler = make_scheduler({"model": model, "scheduler": {}}, sampler)
    if sampler.startswith("lms"):
        step = scheduler.step

        def grows(noise_pred, timestep, latents, **keywords):
            return step(noise_pred, timestep, latents, order=min(len(scheduler.derivatives) + 1, 4), **keywords)
        scheduler.step = grows
    return scheduler


def run(pipe, setting, **more):
    """The latents that enter a run's first step and its picture; how many steps it takes."""
    tensors, _ = record(pipe.scheduler)
    image = pipe(PROMPTS[setting["prompt"]], negative_prompt=PROMPTS[setting["negative"]],
                 num_inference_steps=setting["steps"], guidance_scale=setting["guidance"], output_type="pt",
                 generator=torch.Generator("cpu").manual_seed(setting["seed"]), **more).images
    return {"first": tensors["latents.0"], "image": image * 2 - 1}, int(setting["steps"] * more.get("strength", 1))


def final_latents(pipe, found):
    """Keeps what a pipeline decodes: after the last blend, which the scheduler's own latents do not have."""
    decode = pipe.vae.decode

    def kept(latents, *arguments, **keywords):
        found["last"] = latents * pipe.vae.config.scaling_factor
        return decode(latents, *arguments, **keywords)
    pipe.vae.decode = kept
    return lambda: setattr(pipe.vae, "decode", decode)


def runs(pipe, kind, model, table, more):
    """Every run of a table; tensors are named SAMPLER/STRENGTH/what."""
    setting, tensors, cases = SETTINGS[model], {}, []
    for strength, samplers in table.items():
        for sampler in samplers:
            pipe.scheduler = scheduler_of(model, sampler)
            found = {}
            undo = final_latents(pipe, found)
            made, steps = run(pipe, setting, strength=strength, **more)
            undo()
            made["last"] = found["last"]
            name, _, schedule = sampler.partition(".")
            tensors |= {f"{sampler}/{strength}/{key}": value for key, value in made.items()}
            cases.append({"run": f"{sampler}/{strength}", "sampler": name, "schedule": schedule or "default",
                          "strength": strength, "taken": steps})
    facts = {key: value for key, value in setting.items() if key not in ("prompt", "negative")}
    return tensors, {"file": f"pictures/{kind}.{model}.safetensors", "model": model, **facts,
                     "prompt": PROMPTS[setting["prompt"]], "negative_prompt": PROMPTS[setting["negative"]], "runs": cases}


def save(name, tensors):
    save_file({key: value.detach().float().contiguous() for key, value in tensors.items()}, OUT / name)


def img2img(index, model):
    components = load(model).components
    pipe = StableDiffusionImg2ImgPipeline(**components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    setting = SETTINGS[model]
    source = picture(500 + index, 45, 35)
    size = {"width": setting["width"], "height": setting["height"]}
    tensors = {"picture": pixels(source)}
    for resize, mode in RESIZES.items():
        planes = pipe.image_processor.preprocess(source, resize_mode=mode, **size)
        encoded = pipe.vae.encode(planes)
        generator = torch.Generator("cpu").manual_seed(setting["seed"])
        sampled = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample(generator)
        mean = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        tensors[f"init_latents.{resize}"] = sampled * pipe.vae.config.scaling_factor
        if resize == "just":
            given = planes
            tensors["init_latents.mean"] = mean * pipe.vae.config.scaling_factor
    made, case = runs(pipe, "img2img", model, RUNS[model], {"image": given})
    save(f"img2img.{model}.safetensors", tensors | made)
    return case


def inpaint(index, model):
    components = load(model).components
    pipe = StableDiffusionInpaintPipeline(**components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    setting = SETTINGS[model]
    size = {"width": setting["width"], "height": setting["height"]}
    source = picture(510 + index, **size)
    white = mask(**size, cell=pipe.vae_scale_factor)
    made, case = runs(pipe, "inpaint", model, MASKED[model], {"image": source, "mask_image": white, **size})
    latent = torch.nn.functional.interpolate(pixels(white)[None, None, ..., 0] / 255,
                                             scale_factor=1 / pipe.vae_scale_factor)
    save(f"inpaint.{model}.safetensors", {"picture": pixels(source), "white": pixels(white), "mask": latent} | made)
    return case


def enlarged(pipe, upscaler, latents, width, height):
    """What the second pass begins with: latents, or a picture."""
    if upscaler == "lanczos":
        image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
        image = pipe.image_processor.postprocess(image, output_type="pil")[0]
        return image.resize((width, height), PIL.Image.Resampling.LANCZOS)
    size = (height // pipe.vae_scale_factor, width // pipe.vae_scale_factor)
    return torch.nn.functional.interpolate(latents, size=size, **INTERPOLATIONS[upscaler])


def hires(model):
    first = load(model)
    first.set_progress_bar_config(disable=True)
    second = StableDiffusionImg2ImgPipeline(**first.components, requires_safety_checker=False)
    second.set_progress_bar_config(disable=True)
    setting, tensors, cases = SETTINGS[model], {}, []
    prompts = {"negative_prompt": PROMPTS[setting["negative"]], "guidance_scale": setting["guidance"]}
    for upscaler, scale, sampler, steps, strength in HIRES[model]:
        first.scheduler = scheduler_of(model, sampler)
        latents = first(PROMPTS[setting["prompt"]], num_inference_steps=setting["steps"], width=setting["width"],
                        height=setting["height"], output_type="latent",
                        generator=torch.Generator("cpu").manual_seed(setting["seed"]), **prompts).images
        width, height = (int(setting[side] * scale) // 8 * 8 for side in ("width", "height"))
        found = {}
        second.scheduler = scheduler_of(model, sampler)
        start = enlarged(second, upscaler, latents, width, height)
        undo = final_latents(second, found)
        total = int(steps / strength)
        made, taken = run(second, {**setting, "steps": total}, strength=strength, image=start)
        undo()
        assert taken == steps, (steps, strength)
        made["last"] = found["last"]
        if (upscaler, sampler) not in (("latent", "ddim"), ("lanczos", "ddim")):
            del made["image"]  # decoding is held elsewhere
        name, _, schedule = sampler.partition(".")
        tensors |= {f"{upscaler}/{sampler}/{key}": value for key, value in made.items()}
        cases.append({"run": f"{upscaler}/{sampler}", "sampler": name, "schedule": schedule or "default", "strength": strength,
                      "taken": steps, "upscaler": upscaler, "scale": scale})
    save(f"hires.{model}.safetensors", tensors)
    facts = {key: value for key, value in setting.items() if key not in ("prompt", "negative")}
    return {"file": f"pictures/hires.{model}.safetensors", "model": model, **facts,
            "prompt": PROMPTS[setting["prompt"]], "negative_prompt": prompts["negative_prompt"], "runs": cases}


def around(pipe, axes):
    """Pads every `Conv2d` circularly: along both axes as PyTorch does, along one by hand."""
    convolutions = [module for model in (pipe.unet, pipe.vae) for module in model.modules()
                    if isinstance(module, torch.nn.Conv2d)]

    def along_one(conv):
        def forward(values, weight, bias):
            across, down = ((pad, pad) for pad in reversed(conv.padding))
            modes = {"x": "circular", "y": "constant"} if axes == "x" else {"x": "constant", "y": "circular"}
            values = torch.nn.functional.pad(values, (*across, 0, 0), mode=modes["x"])
            values = torch.nn.functional.pad(values, (0, 0, *down), mode=modes["y"])
            return torch.nn.functional.conv2d(values, weight, bias, conv.stride)
        return forward
    for conv in convolutions:
        if axes == "both":
            conv.padding_mode = "circular"
        else:
            conv._conv_forward = along_one(conv)


def tiling(index, model):
    setting, tensors, cases = SETTINGS[model], {}, []
    size = {"width": setting["width"], "height": setting["height"]}
    source = picture(530 + index, **size)
    for axes, sampler, strength in TILING[model]:
        kind = StableDiffusionPipeline if strength is None else StableDiffusionImg2ImgPipeline
        pipe = kind(**load(model).components, requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        around(pipe, axes)
        pipe.scheduler = scheduler_of(model, sampler)
        found, more = {}, {"image": source, "strength": strength} if strength else size
        final_latents(pipe, found)
        made, _ = run(pipe, setting, **more)
        made["last"] = found["last"]
        run_name = f"{axes}/{sampler}/{strength or 'noise'}"
        tensors |= {f"{run_name}/{key}": value for key, value in made.items()}
        name, _, schedule = sampler.partition(".")
        cases.append({"run": run_name, "sampler": name, "schedule": schedule or "default", "tiling": axes,
                      "from_noise": strength is None, "strength": strength or 1.0,
                      "taken": int(setting["steps"] * (strength or 1.0))})
    if any(not case["from_noise"] for case in cases):
        tensors["picture"] = pixels(source)
    save(f"tiling.{model}.safetensors", tensors)
    facts = {key: value for key, value in setting.items() if key not in ("prompt", "negative")}
    return {"file": f"pictures/tiling.{model}.safetensors", "model": model, **facts, "prompt": PROMPTS[setting["prompt"]],
            "negative_prompt": PROMPTS[setting["negative"]], "runs": cases}


def inpainting():
    """A UNet that reads the mask and what is outside of it; facts as in `families`."""
    family = {**FAMILIES["bk-tiny"], "more": {"in_channels": 9}}
    configs = configurations(family)
    vocabulary = configs["text_encoder"]["vocab_size"]
    modules = {"unet": UNet2DConditionModel(**configs["unet"]), "vae": AutoencoderKL(**configs["vae"]),
               "text_encoder": CLIPTextModel(CLIPTextConfig(**configs["text_encoder"], bos_token_id=vocabulary - 2,
                                                            eos_token_id=vocabulary - 1))}
    shapes = {component: fill(component, module) for component, module in modules.items()}
    configs["vae"]["_class_name"] = "AutoencoderKL"
    pad = "<|endoftext|>"
    pipe = StableDiffusionInpaintPipeline(**modules, tokenizer=tokenizer(vocabulary, pad), safety_checker=None,
                                          scheduler=DDIMScheduler.from_config(DDIM), feature_extractor=None,
                                          requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    setting = {"prompt": 2, "negative": 0, "steps": 3, "guidance": 2.5, "seed": 31, "width": 64, "height": 64}
    size = {"width": 64, "height": 64}
    source, white = picture(520, **size), mask(**size, cell=8)
    tensors, cases = {"picture": pixels(source), "white": pixels(white)}, []
    for strength in (0.7, 1.0):
        found = {}
        undo = final_latents(pipe, found)
        pipe.scheduler = DDIMScheduler.from_config(DDIM)
        made, steps = run(pipe, setting, strength=strength, image=source, mask_image=white, **size)
        undo()
        made["last"] = found["last"]
        tensors |= {f"ddim/{strength}/{key}": value for key, value in made.items()}
        cases.append({"run": f"ddim/{strength}", "sampler": "ddim", "schedule": "default", "strength": strength,
                      "taken": steps})
    tensors["mask"] = torch.nn.functional.interpolate(pixels(white)[None, None, ..., 0] / 255, scale_factor=1 / 8)
    save("inpainting.safetensors", tensors)
    texts = {"prompt": PROMPTS[setting.pop("prompt")], "negative_prompt": PROMPTS[setting.pop("negative")]}
    facts = {"vocabulary": vocabulary, "pad": pad, "case": {}, "scheduler": DDIM, "configs": configs, "shapes": shapes,
             "file": file_names(shapes, False)}
    (HERE / "families" / "inpainting.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    return {"file": "pictures/inpainting.safetensors", "model": "inpainting", **setting, **texts, "runs": cases}


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    with torch.no_grad():
        cases = {"img2img": [img2img(i, model) for i, model in enumerate(RUNS)],
                 "inpaint": [inpaint(i, model) for i, model in enumerate(MASKED)] + [inpainting()],
                 "hires": [hires(model) for model in HIRES],
                 "tiling": [tiling(i, model) for i, model in enumerate(TILING)]}
    (OUT / "manifest.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
