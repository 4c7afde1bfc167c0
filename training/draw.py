"""Pictures from a model: through diffusers, or through the engine's command line."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """[N, H, W, 3] in 0..1 -> [N, 3, H, W] in [-1, 1], rounded to bytes as a PNG would be."""
    return torch.from_numpy((pictures * 255).round() / 127.5 - 1).float().permute(0, 3, 1, 2).contiguous()


def as_arrays(pictures: torch.Tensor) -> np.ndarray:
    """[N, 3, H, W] in [-1, 1] -> [N, H, W, 3] in 0..1."""
    return ((pictures.clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).numpy()


def generate_with_diffusers(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    steps: int,
    guidance: float,
    seeds: Sequence[int],
    size: int | None = None,
    negative: str = "",
    batch: int = 32,
) -> torch.Tensor:
    """Pictures [N, 3, H, W] in [-1, 1], one for each prompt and its seed; `size` pixels a side, or the model's own."""
    parts = []
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[start : start + batch]]
        output = pipeline(
            part, negative_prompt=[negative] * len(part), height=size, width=size, num_inference_steps=steps,
            guidance_scale=guidance, generator=generators, output_type="np",
        )  # fmt: skip
        parts.append(to_tensor(output.images))
    return torch.cat(parts)


def generate_with_opengen(
    binary: str,
    model: str,
    prompts: list[str],
    steps: int,
    guidance: float,
    seeds: Sequence[int],
    cpu: bool = False,
    size: int | None = None,
    negative: str = "",
    lora: str | None = None,
    sampler: str = "ddim",
    embeds: bool = False,
) -> torch.Tensor:
    """The same pictures through `opengen generate`, in one process; `cpu` keeps it off the graphics device. `lora` is an embedding's file
    if it `embeds`."""
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [Path(scratch) / f"{index}.png" for index in range(len(prompts))]
        jobs = [
            {"prompt": prompt, "negative": negative, "seed": seed, "steps": steps, "guidance": guidance,
             "sampler": sampler, "out": str(out)}
            for prompt, seed, out in zip(prompts, seeds, outputs, strict=True)
        ]
        jobs_file = Path(scratch) / "prompts.jsonl"
        jobs_file.write_text("".join(json.dumps(job) + "\n" for job in jobs), encoding="utf-8")
        device = ["--cpu"] if cpu else []
        shape = ["--size", f"{size}x{size}"] if size else []
        merged = ["--embedding" if embeds else "--lora", lora] if lora else []
        command = [binary, "generate", *device, *shape, *merged, "--model", model, "--prompts-file", str(jobs_file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        pictures = [np.asarray(Image.open(out).convert("RGB")) for out in outputs]
    return to_tensor(np.stack(pictures) / 255)
