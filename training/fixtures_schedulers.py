"""Writes tests/data/schedulers.json: the latents of diffusers' schedulers after every step.

    python -m training.fixtures_schedulers

A cheap pseudo-model (`m = sin(x / 2 + t / 100)` on the scaled input) stands for the UNet. Every sampler runs with
every spacing and prediction type, plain and Karras where diffusers has it, and 1, 4, 10 and 25 steps; then a list
of unusual configurations. Ancestral noise is recorded, so the Rust test replays exactly these draws.
"""

import json
import zlib
from pathlib import Path

import diffusers
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
)

ELEMENTS = 8
CLASSES = {
    "ddim": DDIMScheduler,
    "euler": EulerDiscreteScheduler,
    "euler-a": EulerAncestralDiscreteScheduler,
    "dpm++-2m": DPMSolverMultistepScheduler,
    "heun": HeunDiscreteScheduler,
    "lms": LMSDiscreteScheduler,
    "lcm": LCMScheduler,
}
WITH_KARRAS = ("euler", "dpm++-2m", "heun", "lms")
# The scheduler_config.json of Stable Diffusion 1.x.
STABLE_DIFFUSION = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "clip_sample": False,
}


def run(sampler: str, config: dict, steps: int, schedule: str) -> dict:
    kwargs = dict(config)
    if schedule == "karras":
        kwargs["use_karras_sigmas"] = True
    scheduler = CLASSES[sampler].from_config(kwargs)
    if config.get("rescale_betas_zero_snr") and sampler in ("heun", "lms"):
        # These classes have no such option and would leave the schedule as it is; here a model's schedule is its own,
        # whatever the sampler.
        scheduler.alphas_cumprod = EulerDiscreteScheduler.from_config(kwargs).alphas_cumprod
    scheduler.set_timesteps(steps)
    if sampler != "ddim":
        scheduler.set_begin_index(0)  # else a timestep that occurs twice makes diffusers start at the second
    generator = torch.Generator().manual_seed(steps)
    draw = lambda: torch.randn(ELEMENTS, generator=generator, dtype=torch.float32)
    unit = draw()
    x = (unit * scheduler.init_noise_sigma).double()
    noises, states, denoised = [], [], []

    for t in scheduler.timesteps:
        m = torch.sin(scheduler.scale_model_input(x, t) * 0.5 + t.double() * 0.01)
        if sampler in ("euler-a", "lcm"):
            # The scheduler draws from the generator; draw the same values from a copy to record them.
            copy = torch.Generator()
            copy.set_state(generator.get_state())
            noises.append(torch.randn(m.shape, generator=copy, dtype=m.dtype).tolist())
            out = scheduler.step(m, t, x, generator=generator)
        else:
            out = scheduler.step(m, t, x)
        if hasattr(out, "pred_original_sample"):
            denoised.append(out.pred_original_sample.tolist())
        x = out.prev_sample.double()
        states.append(x.tolist())
    return {
        "sampler": sampler,
        "schedule": schedule,
        "config": config,
        "steps": steps,
        "init_noise_sigma": float(scheduler.init_noise_sigma),
        "timesteps": [float(t) for t in scheduler.timesteps],
        "unit": unit.tolist(),
        "noises": noises,
        "latents": states,
        "denoised_first": denoised[:1],
    }


def cases() -> list:
    out = []
    for sampler in CLASSES:
        for spacing in ["leading", "trailing", "linspace"] if sampler != "lcm" else ["leading"]:  # it has its own
            for prediction in ["epsilon", "v_prediction", "sample"]:
                if sampler == "euler-a" and prediction == "sample":
                    continue  # diffusers: not implemented
                for schedule in ["default", "karras"] if sampler in WITH_KARRAS else ["default"]:
                    config = {**STABLE_DIFFUSION, "timestep_spacing": spacing, "prediction_type": prediction}
                    for steps in [1, 4, 15] if sampler in ("heun", "lms") else [1, 4, 10, 25]:
                        out.append((sampler, config, steps, schedule))
        # Each class's own defaults where the file says nothing, and less usual files.
        no_clip = {"clip_sample": False}
        if sampler == "heun":
            no_clip |= {"beta_start": 0.0001, "beta_end": 0.02}  # this class and the next have other defaults
        if sampler == "lcm":
            no_clip |= {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
        out.append((sampler, no_clip, 7, "default"))
        out.append((sampler, STABLE_DIFFUSION, 10, "default"))
        out.append((sampler, {**STABLE_DIFFUSION, "set_alpha_to_one": True, "steps_offset": 0}, 3, "default"))
        cosine = {**no_clip, "beta_schedule": "squaredcos_cap_v2"}
        if sampler == "heun":
            # Linspace begins at sigma 20,000, where one rounding of the model's input to f32 is what two evaluations show.
            cosine["timestep_spacing"] = "leading"
        out.append((sampler, cosine, 6, "default"))
        out.append((sampler, {**no_clip, "num_train_timesteps": 100, "timestep_spacing": "trailing"}, 9, "default"))
        few = {**no_clip, "num_train_timesteps": 37, "beta_schedule": "linear"}
        if sampler == "lcm":
            few["original_inference_steps"] = 12
        out.append((sampler, few, 5, "default"))
        zero_snr = {
            **STABLE_DIFFUSION,
            "rescale_betas_zero_snr": True,
            "prediction_type": "v_prediction",
            "timestep_spacing": "trailing",
        }
        out.append((sampler, zero_snr, 6, "default"))
        if sampler in WITH_KARRAS:
            out.append((sampler, {**STABLE_DIFFUSION, "final_sigmas_type": "sigma_min"}, 16, "default"))
            out.append((sampler, {**no_clip, "beta_schedule": "squaredcos_cap_v2"}, 5, "karras"))
            out.append((sampler, {**STABLE_DIFFUSION, "sigma_min": 0.1, "sigma_max": 10.0}, 5, "karras"))
            out.append((sampler, {**STABLE_DIFFUSION, "use_karras_sigmas": True}, 5, "default"))
        if sampler == "lcm":
            out.append((sampler, {**STABLE_DIFFUSION, "original_inference_steps": 100, "timestep_scaling": 0.5}, 8, "default"))
            out.append((sampler, STABLE_DIFFUSION, 50, "default"))
            out.append((sampler, STABLE_DIFFUSION, 7, "default"))
        if sampler == "dpm++-2m":
            out.append((sampler, {**STABLE_DIFFUSION, "euler_at_final": True}, 20, "default"))
            out.append((sampler, {**STABLE_DIFFUSION, "lower_order_final": False}, 5, "default"))
            clipped = {**no_clip, "beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -5.1}
            out.append((sampler, clipped, 6, "default"))
    return out


def alphas() -> list:
    """CRC-32 of `alphas_cumprod` (float32, little-endian): held bit for bit."""
    configs = [
        {},
        {k: STABLE_DIFFUSION[k] for k in ("beta_start", "beta_end", "beta_schedule")},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"num_train_timesteps": 37},
        {"num_train_timesteps": 250, "beta_schedule": "scaled_linear"},
    ]
    out = []
    for config in configs:
        values = DDIMScheduler.from_config(config).alphas_cumprod
        out.append({"config": config, "last": float(values[-1]), "crc32": zlib.crc32(values.numpy().tobytes())})
    return out


def timesteps() -> list:
    """CRC-32 of all timesteps (float32) of every count of steps from 1 to 1000, one run after the other."""
    out = []
    for sampler in ["ddim", "euler", "dpm++-2m"]:
        for spacing in ["leading", "trailing", "linspace"]:
            config = {"timestep_spacing": spacing, "steps_offset": 1}
            scheduler, crc, skipped = CLASSES[sampler].from_config(config), 0, []
            for steps in range(1, 1001):
                scheduler.set_timesteps(steps)
                values = scheduler.timesteps.to(torch.float32)
                if len(values) != steps:  # a rounding in numpy.arange
                    skipped.append(steps)
                else:
                    crc = zlib.crc32(values.numpy().tobytes(), crc)
            out.append({"sampler": sampler, "config": config, "skipped": skipped, "crc32": crc})
    return out


def compact(value):
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [compact(v) for v in value]
    if isinstance(value, dict):
        return {k: v if k == "config" else compact(v) for k, v in value.items()}
    return value


def main() -> None:
    out = {
        "diffusers": diffusers.__version__,
        "alphas_cumprod": alphas(),
        "timesteps": timesteps(),
        "cases": [run(*case) for case in cases()],
    }
    path = Path(__file__).parent.parent / "tests/data/schedulers.json"
    path.write_text(json.dumps(compact(out), separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes,", len(out["cases"]), "cases")


if __name__ == "__main__":
    main()
