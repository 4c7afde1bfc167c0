"""Makes tests/golden/prompts: what diffusers' UNet draws with the tiny model sd1 of several prompts at once, and of prompts that
change on the way.

    python tests/golden/make_prompts.py

`runs.json` has each case: the prompt in A1111's words, and what is read at each evaluation of the UNet, written out by hand from
A1111's documentation (its count of evaluations begins at 0, and a text is read up to the number that it ends at, that included).
`runs.safetensors` has the noise that enters each, and the latents that leave it. Several prompts are put together as composable
diffusion does it: the answer without a prompt, and what each adds to it by its weight and the guidance scale.
"""

import json

import torch
from safetensors.torch import save_file

from make_goldens import HERE, FORMAT, load, make_scheduler, tokenize

OUT = HERE / "prompts"
SIZE = {"width": 40, "height": 32}
RED, GREEN = "a red apple", "a green apple"
CASES = [
    {"name": "and", "prompt": "a red apple AND a blue dog :0.7 AND white :-0.5", "negative_prompt": "yellow", "sampler": "ddim",
     "steps": 4, "guidance": 3.0, "seed": 3,
     "read": [["yellow", [[RED, 1.0], ["a blue dog", 0.7], ["white", -0.5]]]] * 4},
    {"name": "weight", "prompt": "a red apple :0.5", "negative_prompt": "", "sampler": "euler", "steps": 3, "guidance": 1.0, "seed": 4,
     "read": [["", [[RED, 0.5]]]] * 3},
    {"name": "scheduled", "prompt": "a [red:green:0.5] apple", "negative_prompt": "[yellow:2]", "sampler": "dpm++-2m", "steps": 6,
     "guidance": 2.5, "seed": 5,
     "read": [["", [[RED, 1.0]]]] * 3 + [["yellow", [[RED, 1.0]]]] + [["yellow", [[GREEN, 1.0]]]] * 2},
    {"name": "alternating", "prompt": "a [red|green] apple AND small [dog|cat|horse]", "negative_prompt": "", "sampler": "euler",
     "steps": 5, "guidance": 2.0, "seed": 6,
     "read": [["", [[apple, 1.0], [f"small {animal}", 1.0]]] for apple, animal in [
         (RED, "dog"), (RED, "dog"), (GREEN, "cat"), (RED, "horse"), (GREEN, "dog")]]},
    # Three steps of two evaluations each, but for the last: A1111 counts six.
    {"name": "two evaluations a step", "prompt": "a [red:green:0.5] apple", "negative_prompt": "", "sampler": "heun", "steps": 3,
     "guidance": 2.0, "seed": 7, "read": [["", [[RED, 1.0]]]] * 4 + [["", [[GREEN, 1.0]]]]},
]


def run(pipe, case):
    scheduler = make_scheduler({"model": "sd1", "scheduler": {}}, case["sampler"])
    scheduler.set_timesteps(case["steps"])
    generator = torch.Generator("cpu").manual_seed(case["seed"])
    noise = torch.randn((1, 4, SIZE["height"] // 4, SIZE["width"] // 4), generator=generator)

    def answer(latents, timestep, text):
        return pipe.unet(latents, timestep, pipe.text_encoder(tokenize(pipe, text))[0]).sample

    latents = noise * scheduler.init_noise_sigma
    assert len(scheduler.timesteps) == len(case["read"]), case["name"]
    for timestep, (negative, prompts) in zip(scheduler.timesteps, case["read"]):
        scaled = scheduler.scale_model_input(latents, timestep)
        without = answer(scaled, timestep, negative)
        guided = without + sum(case["guidance"] * weight * (answer(scaled, timestep, text) - without) for text, weight in prompts)
        latents = scheduler.step(guided, timestep, latents).prev_sample
    return {f"{case['name']}.noise": noise, f"{case['name']}.latents": latents}


@torch.no_grad()
def main():
    OUT.mkdir(exist_ok=True)
    pipe, tensors = load("sd1"), {}
    for case in CASES:
        tensors |= run(pipe, case)
    tensors = {name: value.float().contiguous() for name, value in tensors.items()}
    save_file(tensors, OUT / "runs.safetensors", metadata={"opengen-golden": str(FORMAT)})
    cases = [case | SIZE for case in CASES]
    (OUT / "runs.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
