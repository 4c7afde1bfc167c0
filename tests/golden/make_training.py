"""Makes tests/golden/training: gradients and loss curves by PyTorch's autograd, of LoRAs (PEFT's layers) in the tiny models.

    pip install peft==0.21.2    # beside requirements.txt
    python tests/golden/make_training.py
    python tests/golden/make_training.py --half    # prints what tests/training/gradients.rs has as HALF; writes nothing

Pictures, noise, and what the matrices begin with follow from names (`make_single.weight`) and are not committed. Per set of layers
`MODEL.SET.safetensors` has the loss and the gradients of one step; `MODEL.run.safetensors` losses, and the matrices after 50
steps of AdamW with clipped gradients; `MODEL.word.safetensors` the same of two vectors of a new word (textual inversion), the
gradients of one step as `gradients`; `MODEL.lesson.safetensors` how much each time's error counts with min-SNR (diffusers'
`compute_snr` and the weights of its training scripts), and noise with an offset as kohya's sd-scripts and diffusers draw it.
"""

import sys

import torch
from diffusers.training_utils import compute_snr
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file

from make_goldens import HERE, PROMPTS, load, tokenize
from make_single import weight

OUT = HERE / "training"
MODELS = ("sd1", "sd2")
RANK, ALPHA = 4, 2
TIMESTEP = 261
STEPS = 50
GAMMAS = (1, 5)
VECTORS, WORD = 2, {2: 0, 3: 1, 5: 0}  # where in the prompt which vector stands
OFFSET, SEED = 0.1, 20_000_000_000
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
LINEAR = (*ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
CONVOLUTIONS = ("conv1", "conv2", "downsamplers.0.conv", "upsamplers.0.conv", "conv_out")
WORDS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
SETS = {"linear": {"unet": LINEAR}, "convolutions": {"unet": CONVOLUTIONS},
        "text": {"unet": ("attn2.to_k", "attn2.to_q"), "text_encoder": WORDS}}


def unit(name, *shape):
    """Values of some size: up to 1."""
    return 16 * weight(name, shape)


def inject(pipe, wanted):
    """LoRA layers, their matrices by the layer's name: component, path."""
    found = {}
    for component, ends in wanted.items():
        model = getattr(pipe, component)
        model.requires_grad_(False)
        paths = [path for path, module in model.named_modules()
                 if path.endswith(tuple("." + end for end in ends)) or path in ends]
        inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=paths), model)
        for path, module in model.named_modules():
            if hasattr(module, "lora_A") and len(module.lora_A):
                bare = path if component == "unet" or path.startswith("text_model.") else f"text_model.{path}"
                layer = f"{component}.{bare}"
                for kind, part in (("down", module.lora_A), ("up", module.lora_B)):
                    matrix = part["default"].weight
                    matrix.data = weight(f"{layer}.lora_{kind}", tuple(matrix.shape))
                    matrix.requires_grad_(True)
                    found[f"{layer}.{kind}"] = matrix
    return found


def predict(pipe, sample, timestep, tokens):
    text = pipe.text_encoder(tokens)[0]
    return pipe.unet(sample, timestep, text).sample


def one_step(model, wanted):
    pipe = load(model)
    matrices = inject(pipe, wanted)
    tokens = tokenize(pipe, PROMPTS[2])
    sample, target = unit("sample", 1, 4, 16, 16), unit("target", 1, 4, 16, 16)
    loss = torch.nn.functional.mse_loss(predict(pipe, sample, TIMESTEP, tokens), target)
    loss.backward()
    return {"loss": loss.detach()[None], **{name: matrix.grad for name, matrix in matrices.items()}}


def half(model, wanted, scale=1024):
    """By how much gradients in f16, of a scaled loss, differ from those in f32: of all matrices together, and the most of one."""
    pipe = load(model)
    matrices = inject(pipe, wanted)
    tokens = tokenize(pipe, PROMPTS[2])
    sample, target = unit("sample", 1, 4, 16, 16), unit("target", 1, 4, 16, 16)
    found = []
    for dtype, factor in ((torch.float32, 1), (torch.float16, scale)):
        pipe.unet.to(dtype)
        pipe.text_encoder.to(dtype)
        for matrix in matrices.values():
            matrix.grad = None
        loss = torch.nn.functional.mse_loss(predict(pipe, sample.to(dtype), TIMESTEP, tokens).float(), target)
        (factor * loss).backward()
        found.append([matrix.grad.float().flatten() / factor for matrix in matrices.values()])
    apart = [((ours - theirs).norm() / ours.norm()).item() for ours, theirs in zip(*found)]
    whole, other = map(torch.cat, found)
    return ((whole - other).norm() / whole.norm()).item(), max(apart)


def run(model):
    pipe = load(model)
    matrices = inject(pipe, {"unet": ATTENTION})
    tokens = tokenize(pipe, PROMPTS[2])
    optimizer = torch.optim.AdamW(matrices.values(), lr=1e-3, weight_decay=1e-2)
    clean = unit("clean", 1, 4, 16, 16)
    losses = []
    for step in range(STEPS):
        noise, t = unit(f"noise.{step}", 1, 4, 16, 16), torch.tensor([(step * 37 + 11) % 1000])
        sample = pipe.scheduler.add_noise(clean, noise, t)
        velocity = pipe.scheduler.config.prediction_type == "v_prediction"
        alpha = pipe.scheduler.alphas_cumprod[t].view(-1, 1, 1, 1)
        target = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean if velocity else noise
        loss = torch.nn.functional.mse_loss(predict(pipe, sample, t, tokens), target)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(matrices.values()), 1.0)
        optimizer.step()
    return {"losses": torch.tensor(losses), **{name: matrix.detach() for name, matrix in matrices.items()}}


class Own(torch.nn.Module):
    """A table of tokens with some vectors behind it that learn."""

    def __init__(self, table, count):
        super().__init__()
        self.table = table.requires_grad_(False)
        self.vectors = torch.nn.Parameter(weight("word", (count, table.embedding_dim)))

    def forward(self, ids):
        own = ids - self.table.num_embeddings
        known = self.table(ids.clamp(max=self.table.num_embeddings - 1))
        return torch.where((own >= 0)[..., None], self.vectors[own.clamp(min=0)], known)


def word(model):
    pipe = load(model)
    pipe.unet.requires_grad_(False)
    pipe.text_encoder.requires_grad_(False)
    own = Own(pipe.text_encoder.get_input_embeddings(), VECTORS)
    pipe.text_encoder.set_input_embeddings(own)
    tokens = tokenize(pipe, PROMPTS[2]).clone()
    for place, vector in WORD.items():
        tokens[0, place] = own.table.num_embeddings + vector
    optimizer = torch.optim.AdamW([own.vectors], lr=5e-3, weight_decay=1e-2)
    sample, target = unit("sample", 1, 4, 16, 16), unit("target", 1, 4, 16, 16)
    losses, gradients = [], None
    for _ in range(STEPS):
        loss = torch.nn.functional.mse_loss(predict(pipe, sample, TIMESTEP, tokens), target)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        gradients = own.vectors.grad.clone() if gradients is None else gradients
        torch.nn.utils.clip_grad_norm_([own.vectors], 1.0)
        optimizer.step()
    return {"losses": torch.tensor(losses), "gradients": gradients, "vectors": own.vectors.detach()}


def lesson(model):
    scheduler = load(model).scheduler
    times = torch.arange(scheduler.config.num_train_timesteps)
    snr = compute_snr(scheduler, times)
    over = snr + 1 if scheduler.config.prediction_type == "v_prediction" else snr
    weights = torch.stack([torch.minimum(snr, torch.full_like(snr, gamma)) / over for gamma in GAMMAS])
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(1, 4, 16, 16, generator=generator)
    noise = noise + OFFSET * torch.randn(1, 4, 1, 1, generator=generator)
    return {"weights": weights, "noise": noise}


def main():
    if sys.argv[1:] == ["--half"]:
        for model in MODELS:
            for name, wanted in SETS.items():
                print(model, name, *(f"{value:.2e}" for value in half(model, wanted)))
        return
    OUT.mkdir(exist_ok=True)
    for model in MODELS:
        save_file({key: value.float().contiguous() for key, value in lesson(model).items()}, OUT / f"{model}.lesson.safetensors")
        for name, wanted in SETS.items():
            found = one_step(model, wanted)
            save_file({key: value.contiguous() for key, value in found.items()}, OUT / f"{model}.{name}.safetensors")
            print(model, name, len(found) // 2, "layers, loss", found["loss"].item())
        found = word(model)
        save_file({key: value.contiguous() for key, value in found.items()}, OUT / f"{model}.word.safetensors")
        print(model, "word", found["losses"][[0, 1, 10, 49]].tolist())
        found = run(model)
        save_file({key: value.contiguous() for key, value in found.items()}, OUT / f"{model}.run.safetensors")
        print(model, "run", found["losses"][[0, 1, 10, 49]].tolist())


if __name__ == "__main__":
    main()
