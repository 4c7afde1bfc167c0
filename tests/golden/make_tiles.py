"""Makes tests/golden/prompts/tiles: what diffusers' panorama pipeline (MultiDiffusion) draws with the tiny model sd1 in windows.

    python tests/golden/make_tiles.py

`tiles.json` has the cases, `tiles.safetensors` the latents that leave each run. Its windows are 64 cells of an autoencoder of scale 8,
8 cells apart; here they are as small as the case says. Along one axis it joins borders.
"""

import json

import torch
from diffusers import StableDiffusionPanoramaPipeline
from safetensors.torch import save_file

from make_goldens import FORMAT, load, make_scheduler
from make_prompts import OUT

SCALE = 4
CASES = [
    {"name": "wide", "sampler": "ddim", "steps": 3, "guidance": 2.5, "seed": 3, "width": 80, "height": 48, "size": 32, "overlap": 16,
     "circular": False},
    {"name": "joined", "sampler": "ddim", "steps": 3, "guidance": 2.5, "seed": 4, "width": 64, "height": 32, "size": 32, "overlap": 16,
     "circular": True},
    {"name": "history", "sampler": "dpm++-2m", "steps": 4, "guidance": 2.0, "seed": 5, "width": 64, "height": 32, "size": 32, "overlap": 24,
     "circular": False},
]
PROMPT, NEGATIVE = "a red apple", "yellow"


class Small(StableDiffusionPanoramaPipeline):
    """With windows of the case's size over an autoencoder of another scale."""

    case: dict

    def get_views(self, height, width, circular_padding=False):
        size, overlap = self.case["size"], self.case["overlap"]
        of_eight = 8 // SCALE
        return super().get_views(height * of_eight, width * of_eight, size // SCALE, (size - overlap) // SCALE, circular_padding)


@torch.no_grad()
def main():
    plain, tensors = load("sd1"), {}
    pipe = Small(plain.vae, plain.text_encoder, plain.tokenizer, plain.unet, plain.scheduler, None, None, requires_safety_checker=False)
    pipe.vae_scale_factor = SCALE
    for case in CASES:
        pipe.case = case
        pipe.scheduler = make_scheduler({"model": "sd1", "scheduler": {}}, case["sampler"])
        made = pipe(
            PROMPT, negative_prompt=NEGATIVE, height=case["height"], width=case["width"], num_inference_steps=case["steps"],
            guidance_scale=case["guidance"], generator=torch.Generator("cpu").manual_seed(case["seed"]), output_type="latent",
            circular_padding=case["circular"], view_batch_size=1,
        )
        tensors[f"{case['name']}.latents"] = made.images.float().contiguous()
    save_file(tensors, OUT / "tiles.safetensors", metadata={"opengen-golden": str(FORMAT)})
    cases = [case | {"prompt": PROMPT, "negative_prompt": NEGATIVE} for case in CASES]
    (OUT / "tiles.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
