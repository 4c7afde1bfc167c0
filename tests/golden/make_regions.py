"""Makes tests/golden/prompts/regions: what diffusers' UNet draws with the tiny model sd1 of prompts that have a region each, mixed by
ComfyUI's rule for conditioning with a mask.

    python tests/golden/make_regions.py

The rule, from its documentation and behaviour: each prompt has what the model takes for the clean picture, weighed in every cell of the
latents by its mask, shrunk by PyTorch's bilinear, times its strength; their sum is divided by the sum of the weights, and guidance goes
from the clean picture without a prompt to that. A prompt without a mask weighs its strength everywhere. Where no prompt weighs anything
ComfyUI divides 0 by next to nothing; here the clean picture without a prompt is taken, as the engine does.

`regions.json` has the cases: rectangles in shares of the picture, masks as greys row by row. `regions.safetensors` has the weights of
every prompt after the division, and the latents that leave each run.
"""

import json

import torch
from safetensors.torch import save_file

from make_goldens import FORMAT, load, make_scheduler, tokenize
from make_prompts import OUT, SIZE

SCALE = 4
# A slope from black to white, of another size than the picture.
SLOPE = {"width": 20, "height": 16, "grey": [x * 255 // 19 for _ in range(16) for x in range(20)]}
# A disc.
DISC = {"width": 40, "height": 32, "grey": [255 if (x - 24) ** 2 + (y - 16) ** 2 < 120 else 0 for y in range(32) for x in range(40)]}
CASES = [
    {"name": "halves", "prompt": "a red apple AND a blue dog", "negative_prompt": "yellow", "sampler": "euler", "steps": 4, "guidance": 3.0,
     "seed": 3, "texts": [["a red apple", 1.0], ["a blue dog", 1.0]],
     "regions": [{"part": 1, "rect": [0, 0, 0.5, 1]}, {"part": 2, "rect": [0.5, 0, 0.5, 1]}]},
    {"name": "masks", "prompt": "a red apple AND a blue dog :0.7 AND white", "negative_prompt": "", "sampler": "ddim", "steps": 4,
     "guidance": 2.5, "seed": 4, "texts": [["a red apple", 1.0], ["a blue dog", 0.7], ["white", 1.0]],
     "regions": [{"part": 1, "rect": [0, 0.25, 0.6, 0.5], "weight": 2.0}, {"part": 2, "mask": SLOPE}, {"part": 1, "mask": DISC, "weight": 0.5}]},
    {"name": "bare", "prompt": "a red apple", "negative_prompt": "yellow", "sampler": "euler", "steps": 3, "guidance": 4.0, "seed": 5,
     "texts": [["a red apple", 1.0]], "regions": [{"part": 1, "mask": DISC, "weight": 1.5}]},
]


def grey(region):
    """A region as a mask of pixels."""
    if mask := region.get("mask"):
        return torch.tensor(mask["grey"], dtype=torch.float32).reshape(mask["height"], mask["width"]) / 255
    left, top, width, height = region["rect"]
    wide, high = SIZE["width"], SIZE["height"]
    pixels = torch.zeros(high, wide)
    pixels[round(top * high) : round((top + height) * high), round(left * wide) : round((left + width) * wide)] = 1
    return pixels


def weights(case):
    """What each prompt weighs in each cell, `[prompts, h, w]`."""
    cells = (SIZE["height"] // SCALE, SIZE["width"] // SCALE)
    found = []
    for number, (_, own) in enumerate(case["texts"], 1):
        mine = [region for region in case["regions"] if region["part"] == number]
        weight = torch.zeros(cells) if mine else torch.full(cells, own)
        for region in mine:
            cell = torch.nn.functional.interpolate(grey(region)[None, None], size=cells, mode="bilinear")[0, 0]
            weight = weight + cell * region.get("weight", own)
        found.append(weight)
    return torch.stack(found)


def run(pipe, case):
    scheduler = make_scheduler({"model": "sd1", "scheduler": {}}, case["sampler"])
    scheduler.set_timesteps(case["steps"])
    generator = torch.Generator("cpu").manual_seed(case["seed"])
    cells = (SIZE["height"] // SCALE, SIZE["width"] // SCALE)
    latents = torch.randn((1, 4, *cells), generator=generator) * scheduler.init_noise_sigma
    mult = weights(case)
    sum_of_weights = mult.sum(0)

    def levels(index, timestep):
        """Of signal and noise in the latents."""
        if case["sampler"] == "euler":
            return 1.0, scheduler.sigmas[index]
        kept = scheduler.alphas_cumprod[timestep]
        return kept.sqrt(), (1 - kept).sqrt()

    for index, timestep in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(latents, timestep)
        signal, noise = levels(index, timestep)

        def clean(text):
            answer = pipe.unet(scaled, timestep, pipe.text_encoder(tokenize(pipe, text))[0]).sample
            return (latents - noise * answer) / signal

        without = clean(case["negative_prompt"])
        total = sum(clean(text) * weight for (text, _), weight in zip(case["texts"], mult))
        mean = torch.where(sum_of_weights > 0, total / sum_of_weights.clamp(min=1e-37), without)
        guided = without + case["guidance"] * (mean - without)
        latents = scheduler.step((latents - signal * guided) / noise, timestep, latents).prev_sample
    shares = torch.where(sum_of_weights > 0, mult / sum_of_weights.clamp(min=1e-37), torch.zeros(()))
    return {f"{case['name']}.shares": shares, f"{case['name']}.latents": latents}


@torch.no_grad()
def main():
    pipe, tensors = load("sd1"), {}
    for case in CASES:
        tensors |= run(pipe, case)
    tensors = {name: value.float().contiguous() for name, value in tensors.items()}
    save_file(tensors, OUT / "regions.safetensors", metadata={"opengen-golden": str(FORMAT)})
    cases = [{name: value for name, value in case.items() if name != "texts"} | SIZE for case in CASES]
    (OUT / "regions.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
