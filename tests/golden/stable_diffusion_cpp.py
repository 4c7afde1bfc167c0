"""Pictures by stable-diffusion.cpp and by `opengen generate`, of one model file and the same settings, held side by side.

    python tests/golden/stable_diffusion_cpp.py MODEL.safetensors OPENGEN [--lora FILE] [--only CASE] [--side 64]

Prints the table of docs/same-picture.md. MODEL is Stable Diffusion 1.5 in one file; `full_size.py make sd15 FOLDER` makes
one of random weights. stable-diffusion.cpp (MIT) is run as the Python package `cyllama` brings it (0.7.0 wants Python
3.12), on the processor, weights in f32; `numpy` and `safetensors` are needed too. Nothing of it is copied or committed.

It hands out pictures of 8 bits, so pictures are compared, each the whole way through text encoder, UNet, sampler and
decoder. Ours is not rounded, from the dump. What is left of the difference when the rounding of theirs is taken away
(uniform, 1/12 of a level squared) over the spread of the picture is the error; below 1e-3 rounding hides it. Fails where
one is more than TOLERANCE: its convolutions are computed in f16 whatever the weights' type.
"""

import argparse
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from cyllama.sd import stable_diffusion as sd
from safetensors.numpy import load_file

TOLERANCE = 3e-3
PROMPT, NEGATIVE, SEED = "a photo of a red cat on a chair", "blurry, dark", 15
# Brackets of every kind, and more than 75 tokens.
WEIGHTS = "a photo of a (red:1.4) cat, [blue] sky, ((green)) trees, " + "many small (houses:0.8) and people, " * 9
# A case: its name, then stable-diffusion.cpp's sampler and schedule, ours, and what else is not as `Case` has it.
CASES = [
    ("euler, guided", "EULER", "DISCRETE", "euler", "normal", {"guidance": 7.0, "steps": 2}),
    ("weights, two chunks, clip skip 2", "EULER", "DISCRETE", "euler", "normal",
     {"guidance": 7.0, "steps": 2, "prompt": WEIGHTS, "clip_skip": 2}),
    ("LoRA, 0.8", "EULER", "DISCRETE", "euler", "normal", {"guidance": 7.0, "steps": 2, "lora": 0.8}),
    ("euler_a", "EULER_A", "DISCRETE", "euler-a", "normal", {}),
    ("dpm++2m, karras", "DPMPP2M", "KARRAS", "dpm++-2m", "karras", {}),
    ("heun", "HEUN", "DISCRETE", "heun", "normal", {}),
    ("dpm2", "DPM2", "DISCRETE", "dpm2", "normal", {}),
    ("dpm++2s_a, karras", "DPMPP2S_A", "KARRAS", "dpm++-2s-a", "karras", {}),
    ("lms", "LMS", "DISCRETE", "lms", "normal", {}),
    ("euler_a, karras, rng cuda", "EULER_A", "KARRAS", "euler-a", "karras", {"rng": "CUDA"}),
    ("lcm", "LCM", "LCM", "lcm", "default", {"rng": "CUDA"}),
    ("euler, exponential, higher than wide", "EULER", "EXPONENTIAL", "euler", "exponential",
     {"higher": 2, "steps": 2, "rng": "CUDA"}),
    ("euler, sgm_uniform", "EULER", "SGM_UNIFORM", "euler", "sgm-uniform", {"rng": "CUDA"}),
    ("euler, simple", "EULER", "SIMPLE", "euler", "simple", {"rng": "CUDA"}),
    ("euler, beta", "EULER", "BETA", "euler", "beta", {"rng": "CUDA"}),
    ("euler, ays", "EULER", "AYS", "euler", "align-your-steps", {"rng": "CUDA"}),
    ("ddim_trailing, as euler", "DDIM_TRAILING", "DISCRETE", "euler", "normal", {"rng": "CUDA"}),
    ("tcd", "TCD", "LCM", "tcd", "default", {"rng": "CUDA", "eta": 0.3}),
    ("er_sde", "ER_SDE", "DISCRETE", "er-sde", "normal", {"rng": "CUDA"}),
]


class Case:
    def __init__(self, row, arguments):
        self.name, self.sampler, self.schedule, self.our_sampler, self.our_schedule, more = row
        self.prompt, self.steps = more.get("prompt", PROMPT), more.get("steps", 3)
        self.guidance, self.clip_skip = more.get("guidance", 1.0), more.get("clip_skip", 1)
        self.rng, self.lora, self.eta = more.get("rng", "CPU"), more.get("lora"), more.get("eta")
        self.width, self.height = arguments.side, arguments.side * more.get("higher", 1)


def context(model, rng):
    """stable-diffusion.cpp with the model, every weight that it lets be in f32."""
    params = sd.SDContextParams()
    params.model_path, params.wtype = str(model), sd.SDType.F32
    params.rng_type = params.sampler_rng_type = getattr(sd.RngType, rng)
    params.n_threads = 1  # two wait for each other in a loop, and stand still where another program has a core
    return sd.SDContext(params)


def theirs(at, case, lora):
    """Levels of 0 to 255, [h, w, 3]."""
    params = sd.SDImageGenParams()
    params.prompt, params.negative_prompt, params.seed, params.clip_skip = case.prompt, NEGATIVE, SEED, case.clip_skip
    params.width, params.height = case.width, case.height
    if case.lora:
        params.set_loras([{"path": str(lora), "multiplier": case.lora}])
    sample = params.sample_params
    sample.sample_method, sample.scheduler = getattr(sd.SampleMethod, case.sampler), getattr(sd.Scheduler, case.schedule)
    sample.sample_steps, sample.cfg_scale = case.steps, case.guidance
    if case.eta is not None:
        sample.eta = case.eta
    return at.generate_with_params(params)[0].to_numpy().astype(np.float64)


def ours(program, model, case, lora, folder):
    """The same, not rounded."""
    dump = Path(folder) / "dump.safetensors"
    command = [program, "generate", "--cpu", "--model", model, "--dialect", "a1111", "--prompt", case.prompt,
               "--negative", NEGATIVE, "--seed", SEED, "--steps", case.steps, "--guidance", case.guidance,
               "--size", f"{case.width}x{case.height}", "--sampler", case.our_sampler, "--schedule", case.our_schedule,
               "--rng", {"CPU": "torch", "CUDA": "philox"}[case.rng], "--clip-skip", case.clip_skip,
               "--dump", dump, "--out", dump.with_suffix(".png")]
    if case.our_sampler.startswith("dpm2"):
        command += ["--discard-next-to-last-sigma", "false"]  # A1111 makes one level more for it, this one does not
    if case.eta is not None:
        command += ["--eta", case.eta]
    if case.lora:
        command += ["--lora", f"{lora}:{case.lora}"]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    image = load_file(dump)["image"][0].astype(np.float64)
    return (image.clip(-1, 1).transpose(1, 2, 0) + 1) * 127.5


def error(theirs, ours):
    """Of pictures, one of them rounded: what rounding does not explain, over the spread of the picture."""
    between = np.mean((theirs - ours) ** 2) - 1 / 12
    return max(between, 0) ** 0.5 / theirs.std()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("program", type=Path)
    parser.add_argument("--lora", type=Path, help="cases with a LoRA are left out without it")
    parser.add_argument("--only", action="append", help="a case; the first is drawn in any case, to be told from")
    parser.add_argument("--side", type=int, default=64)
    arguments = parser.parse_args()
    print(f"cyllama {version('cyllama')}, stable-diffusion.cpp {sd.version()}")
    print("| case | error | levels apart, at most | from the first case |\n|---|---|---|---|")
    contexts, first, worst = {}, None, 0.0
    for row in CASES:
        case = Case(row, arguments)
        if (case.lora and not arguments.lora) or (first is not None and arguments.only and case.name not in arguments.only):
            continue
        if case.rng not in contexts:
            contexts.clear()  # one holds the model in f32
            contexts[case.rng] = context(arguments.model, case.rng)
        their = theirs(contexts[case.rng], case, arguments.lora)
        with tempfile.TemporaryDirectory() as folder:
            our = ours(arguments.program, arguments.model, case, arguments.lora, folder)
        first = their if first is None else first
        apart = f"{error(their, first):.2g}" if their.shape == first.shape else "–"
        found = error(their, our)
        worst = max(worst, found)
        said = f"{found:.1e}" if found >= 1e-3 else "< 1e-3"
        print(f"| {case.name} | {said} | {abs(their - our).max():.1f} | {apart} |", flush=True)
    sys.exit(not worst <= TOLERANCE)


if __name__ == "__main__":
    main()
