"""Runs of ComfyUI's engine of March 2023 with a model of true size, and `opengen generate` held to them.

    python tests/golden/comfyui_full_size.py make MODEL.safetensors [--lora FILE]     # writes full/comfyui.safetensors
    python tests/golden/comfyui_full_size.py compare MODEL.safetensors OPENGEN [--lora FILE]

MODEL is Stable Diffusion 1.5 in one file, as `full_size.py make sd15 FOLDER` makes it of random weights. The engine is comfylib 0.0.5
(GPL-3.0; `pip install --no-deps comfylib==0.0.5 einops`), its own UNet, text encoder, prompts, LoRA patches and samplers, on the
processor in f32. Nothing of it is copied or committed: what is kept are the latents with which its runs end, and the first bytes of
the model's SHA-256. `compare` needs neither it nor torch: only `numpy` and `safetensors`.

Cases are those in which the model is told whole timesteps: this engine rounds them. The error is the difference over the latents (RMS).
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import load_file

TOLERANCE = 1e-3
KEPT = Path(__file__).resolve().parent / "full" / "comfyui.safetensors"
NEGATIVE, SEED, SIDE = "blurry, dark", 15, 64
PLAIN = "a photo of a red cat on a chair"
WEIGHTS = "a photo of a (red:1.4) cat, ((green)) trees, (blue sky:0.6), " + "many small (houses:0.8) and people, " * 9
# Name, the engine's sampler and schedule, ours, steps, prompt, the text encoder's layer, how much of the LoRA in the UNet: the engine does
# not find the text encoder's layers under the names that transformers 5 has.
CASES = [
    ("euler, normal", "sample_euler", "normal", "euler", "normal", 4, PLAIN, None, None),
    ("weights of two chunks", "sample_euler", "normal", "euler", "normal", 2, WEIGHTS, None, None),
    ("clip skip 2, weights", "sample_euler", "simple", "euler", "simple", 2, WEIGHTS, -2, None),
    ("euler_ancestral, simple", "sample_euler_ancestral", "simple", "euler-a", "simple", 3, PLAIN, None, None),
    ("heun, ddim_uniform", "sample_heun", "ddim_uniform", "heun", "ddim-uniform", 2, PLAIN, None, None),
    ("dpmpp_2m, normal", "sample_dpmpp_2m", "normal", "dpm++-2m", "normal", 4, PLAIN, None, None),
    ("lms, simple", "sample_lms", "simple", "lms", "simple", 3, PLAIN, None, None),
    ("LoRA, 0.8", "sample_euler", "simple", "euler", "simple", 2, PLAIN, None, 0.8),
]
GUIDANCE = 7.0


def fingerprint(model):
    with open(model, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def engine(path):
    """comfylib's model and its text encoder, with what it imports and never calls left empty."""
    import types

    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    from full_size import CLIP_L
    from make_single import tokenizer
    for name, members in {"omegaconf": ["ListConfig", "DictConfig"], "omegaconf.listconfig": ["ListConfig"], "open_clip": [],
                          "torchdiffeq": ["odeint"], "torchvision": [], "torchvision.utils": ["make_grid"],
                          "torchvision.transforms": ["functional"]}.items():
        stub = types.ModuleType(name)
        for member in members:
            setattr(stub, member, type(member, (), {}))
        sys.modules.setdefault(name, stub)
    # It asks a card how much memory is free, wherever it computes.
    torch.cuda.current_device, torch.cuda.mem_get_info = lambda: 0, lambda *_: (4 << 30, 4 << 30)
    torch.cuda.memory_stats = lambda *_: {"active_bytes.all.current": 0, "reserved_bytes.all.current": 0}
    from comfy.hazard import sd, sd1_clip
    from comfy.hazard.ldm.models.diffusion.ddpm import LatentDiffusion
    unet = {"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "attention_resolutions": [4, 2, 1],
            "num_res_blocks": 2, "channel_mult": [1, 2, 4, 4], "num_heads": 8, "use_spatial_transformer": True,
            "transformer_depth": 1, "context_dim": 768, "use_checkpoint": False, "legacy": False}
    model = LatentDiffusion(
        first_stage_config="__is_first_stage__", cond_stage_config="__is_unconditional__", num_timesteps_cond=1,
        cond_stage_key="txt", conditioning_key="crossattn", scale_factor=0.18215, linear_start=0.00085, linear_end=0.012,
        timesteps=1000, use_ema=False, channels=4, image_size=64,
        unet_config={"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet})
    model.model.conditioning_key = "crossattn"  # without a text encoder of its own it takes itself for one without texts
    weights = {name: value.float() for name, value in sd.load_torch_file(str(path)).items()}
    missing, _ = model.load_state_dict(weights, strict=False)
    assert not [name for name in missing if name.startswith("model.diffusion_model.")], missing
    text = CLIPTextModel(CLIPTextConfig(**CLIP_L, vocab_size=49408, bos_token_id=49406, eos_token_id=49407))
    root = "cond_stage_model.transformer."
    own = {name.removeprefix(root): value for name, value in weights.items() if name.startswith(root)}
    own = {name if any(key.startswith("text_model.") for key in text.state_dict()) else name.removeprefix("text_model."): value
           for name, value in own.items() if not name.endswith("position_ids")}
    missing, unknown = text.load_state_dict(own, strict=False)
    assert not unknown and not [name for name in missing if not name.endswith("position_ids")], (missing, unknown)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer(49408, "<|endoftext|>").save_pretrained(folder)
        text.save_pretrained(folder)
        clip = sd.CLIP(no_init=True)
        clip.target_clip, clip.layer_idx = "", None
        clip.cond_stage_model = sd1_clip.SD1ClipModel(textmodel_path=folder)
        clip.tokenizer = sd1_clip.SD1Tokenizer(tokenizer_path=folder)
    transformer = clip.cond_stage_model.transformer
    if not hasattr(transformer, "text_model"):  # where transformers 5 has it no longer
        object.__setattr__(transformer, "text_model", transformer)
    clip.patcher = sd.ModelPatcher(clip.cond_stage_model)
    return sd.ModelPatcher(model.eval()), clip


def theirs(model, clip, case, lora):
    """The latents with which a run of the engine ends, as its sampler's node makes it, with noise of the processor."""
    import torch
    from comfy.hazard import samplers, sd
    _, sampler, schedule, _, _, steps, prompt, layer, weight = case
    if weight:
        model, clip = sd.load_lora_for_models(model, clip, str(lora), weight, 0.0)
    clip = clip.clone()
    if layer:
        clip.clip_layer(layer)
    else:
        clip.cond_stage_model.layer = "last"
    positive, negative = ([[clip.encode(text), {}]] for text in (prompt, NEGATIVE))
    latent = torch.zeros([1, 4, SIDE // 8, SIDE // 8])
    noise = torch.randn(latent.size(), generator=torch.manual_seed(SEED))
    drawing = model.patch_model()
    run = samplers.KSampler(drawing, steps=steps, device=torch.device("cpu"), sampler=sampler, scheduler=schedule, denoise=1.0)
    samples = run.sample(noise, positive, negative, cfg=GUIDANCE, latent_image=latent)
    model.unpatch_model()
    return samples


def make(path, lora):
    import torch
    from safetensors.torch import save_file
    with torch.no_grad():
        model, clip = engine(path)
        drawn = {case[0]: theirs(model, clip, case, lora).contiguous() for case in CASES if lora or not case[-1]}
    KEPT.parent.mkdir(exist_ok=True)
    files = {"model": fingerprint(path)} | ({"lora": fingerprint(lora)} if lora else {})
    save_file(drawn, KEPT, metadata={"opengen-golden": "1"} | files)
    for name, value in drawn.items():
        print(f"{name}: spread {float(value.std()):.3f}")


def ours(program, model, case, lora):
    """The latents with which `opengen generate` ends."""
    _, _, _, sampler, schedule, steps, prompt, layer, weight = case
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "dump.safetensors"
        command = [program, "generate", "--cpu", "--model", model, "--dialect", "comfyui", "--prompt", prompt, "--negative", NEGATIVE,
                   "--seed", SEED, "--steps", steps, "--guidance", GUIDANCE, "--size", f"{SIDE}x{SIDE}", "--sampler", sampler,
                   "--schedule", schedule, "--clip-skip", -(layer or -1), "--dump", dump, "--out", dump.with_suffix(".png")]
        if weight:
            command += ["--lora", f"{lora}:{weight}:0"]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        return load_file(dump)[f"latents.{steps}"].astype("float64")


def compare(path, program, lora):
    with safe_open(KEPT, "numpy") as file:
        told = file.metadata()
        kept = {name: file.get_tensor(name).astype("float64") for name in file.keys()}
    assert fingerprint(path) == told["model"], "another model"
    assert not lora or fingerprint(lora) == told["lora"], "another LoRA"
    worst = 0.0
    print("| case | error | from the first case |\n|---|---|---|")
    for case in (case for case in CASES if lora or not case[-1]):
        their, first = kept[case[0]], kept[CASES[0][0]]
        size = (their ** 2).mean() ** 0.5
        error = ((ours(program, path, case, lora) - their) ** 2).mean() ** 0.5 / size
        worst = max(worst, error)
        print(f"| {case[0]} | {error:.1e} | {((first - their) ** 2).mean() ** 0.5 / size:.2g} |", flush=True)
    return worst <= TOLERANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["make", "compare"])
    parser.add_argument("model", type=Path)
    parser.add_argument("program", type=Path, nargs="?", help="opengen, to be compared")
    parser.add_argument("--lora", type=Path, help="cases with a LoRA are left out without it")
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.model, arguments.lora)
    else:
        sys.exit(not compare(arguments.model, arguments.program, arguments.lora))


if __name__ == "__main__":
    main()
