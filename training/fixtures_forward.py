"""Writes tests/data/forward.json: diffusers' forward process, `scheduler.add_noise`, at a few timesteps.

    python -m training.fixtures_forward
"""

import json
from pathlib import Path

import torch
from diffusers import DDIMScheduler

ELEMENTS = 16
TIMESTEPS = [0, 1, 250, 499, 500, 981, 998, 999]
CONFIGS = [
    {},
    # The scheduler_config.json of Stable Diffusion 1.x and of the embedded model.
    {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
    {"beta_schedule": "squaredcos_cap_v2"},
    {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "rescale_betas_zero_snr": True},
]


def case(seed: int, config: dict) -> dict:
    scheduler = DDIMScheduler.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(ELEMENTS, generator=generator) * 2 - 1
    noise = torch.randn(ELEMENTS, generator=generator)
    noised = [scheduler.add_noise(clean[None], noise[None], torch.tensor([t]))[0].tolist() for t in TIMESTEPS]
    return {"config": config, "clean": clean.tolist(), "noise": noise.tolist(), "timesteps": TIMESTEPS, "noised": noised}


def main() -> None:
    path = Path(__file__).resolve().parents[1] / "tests" / "data" / "forward.json"
    cases = [case(seed, config) for seed, config in enumerate(CONFIGS)]
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(f"{path}: {len(cases)} configurations, {len(TIMESTEPS)} timesteps each")


if __name__ == "__main__":
    main()
