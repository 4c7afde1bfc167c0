"""Makes tests/golden/controls: what diffusers draws with ControlNets beside the tiny models of make_goldens.py.

    python tests/golden/make_controls.py

As in `single`, no weights are committed: every value follows from its tensor's name in a folder of diffusers, with the
network's (`control.a`, `control.b`) in front, so that the convolutions that training begins at zero are not. What the tensors
are called in one file (`cldm.py` of <https://github.com/lllyasviel/ControlNet>) is held to diffusers' own conversion.

`MODEL.json` is names, shapes, configurations and runs; `MODEL.safetensors` the maps, what one call of each network gives, and
the runs: what enters the first step, what leaves the last, the picture.
"""

import json
import re
from pathlib import Path
from unittest import mock

import torch
from diffusers import (ControlNetModel, StableDiffusionControlNetImg2ImgPipeline, StableDiffusionControlNetInpaintPipeline,
                       StableDiffusionControlNetPipeline)
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
from safetensors.torch import save_file

from make_goldens import HERE, PROMPTS, load, noise
from make_families import RESIDUAL, replaced
from make_pictures import SETTINGS, final_latents, mask, picture, pixels, run, scheduler_of
from make_single import weight

OUT = HERE / "controls"
NETWORKS = ("a", "b")
TIMESTEP = 261.0
# Name, sampler, networks, and for each its strength, start and end; what else the pipeline is told.
ONE = {"networks": ["a"], "strengths": [0.8], "starts": [0.0], "ends": [1.0]}
TWO = {"networks": ["a", "b"], "strengths": [0.7, 0.4], "starts": [0.0, 0.3], "ends": [0.6, 1.0]}
TWICE = {"networks": ["b", "b"], "strengths": [0.5, 1.5], "starts": [0.0, 0.5], "ends": [1.0, 1.0]}
RUNS = {
    "sd1": [("one", "ddim", ONE, {}), ("two", "dpm++-2m", TWO, {}), ("twice", "euler-a", TWICE, {}),
            ("important", "ddim", ONE, {"guess_mode": True}), ("important two", "ddim", TWO, {"guess_mode": True}),
            ("from a picture", "ddim", TWO, {"from": "picture"}), ("a part", "ddim", ONE, {"from": "part"})],
    "sd2": [("one", "ddim", ONE, {}), ("two", "euler-a", TWO, {}), ("important", "ddim", TWO, {"guess_mode": True})],
}


def network(unet, scale):
    """A ControlNet of the UNet's family, as a module and as its `config.json`."""
    fields = ("down_block_types", "block_out_channels", "layers_per_block", "attention_head_dim", "cross_attention_dim",
              "norm_num_groups", "use_linear_projection")
    config = {field: unet.config[field] for field in fields}
    config["conditioning_embedding_out_channels"] = [8, 12, 16, 16][:scale.bit_length()]
    return ControlNetModel(**config), {"_class_name": "ControlNetModel", **config}


def fill(name, module):
    with torch.no_grad():
        for path, parameter in module.named_parameters():
            parameter.copy_(weight(f"control.{name}.{path}", tuple(parameter.shape)))
    return module.eval()


def file_names(names, config):
    """What tensors are called in one file: the running number over layers and what makes maps smaller."""
    layers, hints = config["layers_per_block"], len(config["conditioning_embedding_out_channels"])
    fixed = {"time_embedding.linear_1.": "time_embed.0.", "time_embedding.linear_2.": "time_embed.2.",
             "conv_in.": "input_blocks.0.0.", "controlnet_mid_block.": "middle_block_out.0.",
             "controlnet_cond_embedding.conv_in.": "input_hint_block.0.",
             "controlnet_cond_embedding.conv_out.": f"input_hint_block.{2 * (2 * hints - 1)}."}

    def one(name):
        for old, new in fixed.items():
            if name.startswith(old):
                return new + name.removeprefix(old)
        if found := re.fullmatch(r"controlnet_cond_embedding\.blocks\.(\d)\.(.*)", name):
            return f"input_hint_block.{2 * int(found[1]) + 2}.{found[2]}"
        if found := re.fullmatch(r"controlnet_down_blocks\.(\d+)\.(.*)", name):
            return f"zero_convs.{found[1]}.0.{found[2]}"
        if found := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
            kind, number, rest = found.groups()
            if kind == "attentions":
                return f"middle_block.1.{rest}"
            return f"middle_block.{2 * int(number)}.{replaced(rest, RESIDUAL)}"
        if found := re.fullmatch(r"down_blocks\.(\d)\.downsamplers\.0\.conv\.(.*)", name):
            return f"input_blocks.{(layers + 1) * (int(found[1]) + 1)}.0.op.{found[2]}"
        found = re.fullmatch(r"down_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.*)", name)
        block, kind, layer, rest = found.groups()
        number = (layers + 1) * int(block) + int(layer) + 1
        return f"input_blocks.{number}.{int(kind == 'attentions')}.{replaced(rest, RESIDUAL if kind == 'resnets' else ())}"
    return {f"control_model.{one(name)}": name for name in names}


def check_names(module, names):
    """diffusers reads the file as the folder."""
    state = module.state_dict()
    config = {**module.config, "conditioning_embedding_out_channels": module.config.conditioning_embedding_out_channels}
    # It takes maps for eight times as large as latents, which those of the tiny models are not.
    last = next(name for name, own in names.items() if own == "controlnet_cond_embedding.conv_out.weight")
    last = last.removesuffix("weight")
    eight = lambda name: name.replace(last, "control_model.input_hint_block.14.")
    made = convert_controlnet_checkpoint({eight(name): state[own] for name, own in names.items()}, config)
    assert made.keys() == state.keys(), sorted(made.keys() ^ state.keys())
    assert all(torch.equal(made[name], state[name]) for name in state)


def softer(first, _last, count, **_keywords):
    """The factors of sd-webui-controlnet in place of diffusers'."""
    assert first == -1
    return torch.tensor([0.825 ** (count - 1 - i) for i in range(count)])


def draw(index, model, networks, maps, components, setting, which, more):
    name, sampler, units, told = which
    networks = [networks[network] for network in units["networks"]]
    maps = [maps[f"map.{network}"] for network in units["networks"]]
    begun = told.get("from")
    kind = {None: StableDiffusionControlNetPipeline, "picture": StableDiffusionControlNetImg2ImgPipeline,
            "part": StableDiffusionControlNetInpaintPipeline}[begun]
    pipe = kind(**components, controlnet=networks if len(networks) > 1 else networks[0], requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = scheduler_of(model, sampler)
    alone = len(networks) == 1
    several = lambda values: values[0] if alone else values
    size = {"width": setting["width"], "height": setting["height"]}
    given = {"controlnet_conditioning_scale": several(units["strengths"]), "control_guidance_start": several(units["starts"]),
             "control_guidance_end": several(units["ends"]), "guess_mode": told.get("guess_mode", False), **size}
    if begun is None:
        given["image"] = several(maps)
    else:
        given |= {"control_image": several(maps), "image": more["picture"], "strength": 0.7}
    if begun == "part":
        given["mask_image"] = more["white"]
    found = {}
    undo = final_latents(pipe, found)
    with mock.patch("torch.logspace", softer):
        strength = given.pop("strength", None)
        made, taken = run(pipe, setting, strength, **given) if strength else run_whole(pipe, setting, **given)
    undo()
    made["last"] = found["last"]
    case = {"run": name, "sampler": sampler, "schedule": "default", **units, "taken": taken,
            "importance": "control" if told.get("guess_mode") else "balanced", "from": begun or "noise", "strength": 0.7}
    return {f"{name}/{key}": value for key, value in made.items()}, case


def run_whole(pipe, setting, **more):
    from make_goldens import record
    tensors, _ = record(pipe.scheduler)
    image = pipe(PROMPTS[setting["prompt"]], negative_prompt=PROMPTS[setting["negative"]],
                 num_inference_steps=setting["steps"], guidance_scale=setting["guidance"], output_type="pt",
                 generator=torch.Generator("cpu").manual_seed(setting["seed"]), **more).images
    return {"first": tensors["latents.0"], "image": image * 2 - 1}, setting["steps"]


def make(index, model):
    pipe = load(model)
    setting = SETTINGS[model]
    modules, tensors = {}, {}
    for name in NETWORKS:
        module, config = network(pipe.unet, pipe.vae_scale_factor)
        modules[name] = fill(name, module)
    shapes = {name: list(parameter.shape) for name, parameter in module.named_parameters()}
    names = file_names(shapes, config)
    check_names(module, names)
    width, height = setting["width"], setting["height"]
    shown = {f"map.{name}": pixels(picture(600 + 10 * index + i, width, height)) for i, name in enumerate(NETWORKS)}
    maps = {name: (values / 255).permute(2, 0, 1)[None] for name, values in shown.items()}
    # One call of each.
    latents = noise(700 + index, 2, 4, height // pipe.vae_scale_factor, width // pipe.vae_scale_factor)
    context = torch.cat([pipe.encode_prompt(PROMPTS[i], "cpu", 1, False)[0] for i in (0, 1)])
    tensors |= {"latents": latents, "embeddings": context}
    for name, module in modules.items():
        down, mid = module(latents, TIMESTEP, context, maps[f"map.{name}"], return_dict=False)
        tensors |= {f"{name}/residual.{i}": residual for i, residual in enumerate([*down, mid])}
    source = picture(620 + index, width, height)
    white = mask(width, height, pipe.vae_scale_factor)
    tensors |= shown | {"picture": pixels(source), "white": pixels(white)}
    more, cases = {"picture": source, "white": white}, []
    for which in RUNS[model]:
        made, case = draw(index, model, modules, maps, pipe.components, setting, which, more)
        tensors |= made
        cases.append(case)
    save_file({key: value.detach().float().contiguous() for key, value in tensors.items()},
              OUT / f"{model}.safetensors")
    facts = {key: value for key, value in setting.items() if key not in ("prompt", "negative")}
    return {"model": model, **facts, "prompt": PROMPTS[setting["prompt"]], "negative_prompt": PROMPTS[setting["negative"]],
            "timestep": TIMESTEP, "residuals": len(down) + 1, "config": config, "shapes": shapes, "names": names,
            "runs": cases}


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    with torch.no_grad():
        for index, model in enumerate(RUNS):
            facts = make(index, model)
            (OUT / f"{model}.json").write_text(json.dumps(facts, separators=(",", ":"), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
