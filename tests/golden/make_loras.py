"""Makes tests/golden/loras: what diffusers computes with LoRAs merged into the tiny models of make_goldens.py.

    pip install peft==0.21.2 lycoris-lora==4.1.3    # beside requirements.txt
    python tests/golden/make_loras.py

No LoRA is committed: every value follows from its tensor's name (`make_single.weight`). `MODEL.json` has the names and shapes
of each file; `MODEL.safetensors` what text encoder and UNet give with it. kohya's, PEFT's and old diffusers' names go through
diffusers' own loader (`turns.safetensors`: a run that has one in some steps alone); convolutions, which it does not read under kohya's
names, LoHa, LoKr, DoRA, (IA)³ and norms are merged by LyCORIS's functions.
"""

import json

import torch
from diffusers import EulerDiscreteScheduler
from lycoris.functional import locon, loha, lokr
from lycoris.functional.general import rebuild_tucker, weight_decompose
from lycoris.modules.ia3 import _ia3_weight
from lycoris.modules.norms import NormModule
from safetensors.torch import save_file

from make_goldens import HERE, PROMPTS, load, noise
from make_single import weight

OUT = HERE / "loras"
MODELS = ("sd1", "sd2")
TIMESTEP = 261.0
UNET, TEXT = 0.6, -0.4
LINEAR = (".to_q", ".to_k", ".to_v", ".to_out.0", ".ff.net.0.proj", ".ff.net.2")
WORDS = (".q_proj", ".k_proj", ".v_proj", ".out_proj", ".fc1", ".fc2")


def value(tensor, shape):
    """One alpha for all: where they differ, diffusers 0.42 takes some for those of other layers. Magnitudes are near the rows' own."""
    if tensor.endswith(".on_input"):
        return torch.tensor([0.0 if "attn2_to_k" in tensor else 1.0])
    if tensor.endswith((".hada_t1", ".hada_t2", ".lokr_t2")):  # of many factors, none too small to show
        return 16 * weight(tensor, tuple(shape))
    if tensor.endswith(".dora_scale"):
        return 1 + weight(tensor, tuple(shape)).abs()
    return weight("alpha" if tensor.endswith(".alpha") else tensor, tuple(shape))


LAYERS = (torch.nn.Linear, torch.nn.Conv2d)
NORMS = (torch.nn.GroupNorm, torch.nn.LayerNorm)


def layers(pipe, wanted, kinds=LAYERS):
    """The linear layers and convolutions, or others, whose paths end so: component, path, module."""
    for component, ends in wanted.items():
        for path, module in getattr(pipe, component).named_modules():
            if path.endswith(ends) and isinstance(module, kinds):
                yield component, path, module


def text_path(path):
    return path if path.startswith("text_model.") else f"text_model.{path}"


def kohya(component, path):
    if component == "unet":
        return "lora_unet_" + path.replace(".", "_")
    return "lora_te_" + text_path(path).replace(".", "_")


def low(module, rank):
    """Shapes of down and up."""
    if isinstance(module, torch.nn.Conv2d):
        return [rank, module.in_channels, *module.kernel_size], [module.out_channels, rank, 1, 1]
    return [rank, module.in_features], [module.out_features, rank]


def kohya_file(pipe):
    for component, path, module in layers(pipe, {"unet": LINEAR, "text_encoder": WORDS}):
        down, up = low(module, 3)
        name = kohya(component, path)
        yield from ((f"{name}.lora_down.weight", down), (f"{name}.lora_up.weight", up), (f"{name}.alpha", []))


def peft_file(pipe):
    for component, path, module in layers(pipe, {"unet": LINEAR, "text_encoder": WORDS}):
        down, up = low(module, 2)
        name = f"{component}.{path if component == 'unet' else text_path(path)}"
        yield from ((f"{name}.lora_A.weight", down), (f"{name}.lora_B.weight", up))


def processor_file(pipe):
    for _, path, module in layers(pipe, {"unet": LINEAR[:4]}):
        down, up = low(module, 2)
        block, layer = path.removesuffix(".0").rsplit(".", 1)
        name = f"unet.{block}.processor.{layer}_lora"
        yield from ((f"{name}.down.weight", down), (f"{name}.up.weight", up))


CONVOLUTIONS = (".conv1", ".conv2", ".conv_shortcut", ".proj_in", ".downsamplers.0.conv", "conv_in")


def locon_file(pipe):
    for component, path, module in layers(pipe, {"unet": CONVOLUTIONS}):
        name = kohya(component, path)
        down, up = low(module, 2)
        if path.endswith(".conv2"):  # decomposed once more
            yield from ((f"{name}.lora_mid.weight", [2, 2, 3, 3]), (f"{name}.lora_down.weight", [2, module.in_channels, 1, 1]))
        else:
            yield (f"{name}.lora_down.weight", down)
        yield from ((f"{name}.lora_up.weight", up), (f"{name}.alpha", []))


def loha_file(pipe):
    for component, path, module in layers(pipe, {"unet": (".to_q", ".conv1"), "text_encoder": (".fc1",)}):
        name, (o, *rest) = kohya(component, path), module.weight.shape
        columns = int(torch.tensor(rest).prod())
        for part in ("w1", "w2"):
            yield from ((f"{name}.hada_{part}_a", [o, 2]), (f"{name}.hada_{part}_b", [2, columns]))
        yield (f"{name}.alpha", [])


def lokr_file(pipe):
    for component, path, module in layers(pipe, {"unet": (".to_k", ".conv1"), "text_encoder": (".fc2",)}):
        name, (o, i, *kernel) = kohya(component, path), module.weight.shape
        yield (f"{name}.lokr_w1", [2, 2])
        if kernel:
            yield (f"{name}.lokr_w2", [o // 2, i // 2, *kernel])
        else:
            yield from ((f"{name}.lokr_w2_a", [o // 2, 2]), (f"{name}.lokr_w2_b", [2, i // 2]))
        yield (f"{name}.alpha", [])


def tucker_file(pipe):
    for component, path, module in layers(pipe, {"unet": (".conv1",)}):
        name, (o, i, *kernel) = kohya(component, path), module.weight.shape
        for part in ("1", "2"):
            yield from ((f"{name}.hada_w{part}_a", [2, o]), (f"{name}.hada_w{part}_b", [2, i]), (f"{name}.hada_t{part}", [2, 2, *kernel]))
        yield (f"{name}.alpha", [])
    for component, path, module in layers(pipe, {"unet": (".conv2",)}):
        name, (o, i, *kernel) = kohya(component, path), module.weight.shape
        yield from ((f"{name}.lokr_w1", [2, 2]), (f"{name}.lokr_w2_a", [2, o // 2]), (f"{name}.lokr_w2_b", [2, i // 2]),
                    (f"{name}.lokr_t2", [2, 2, *kernel]), (f"{name}.alpha", []))


def dora_file(pipe):
    """Magnitudes of columns for what reads, of rows for what writes and for the text encoder."""
    for component, path, module in layers(pipe, {"unet": (".to_q", ".to_out.0", ".conv1"), "text_encoder": (".fc1",)}):
        down, up = low(module, 2)
        name, (o, i, *kernel) = kohya(component, path), module.weight.shape
        by_column = component == "unet" and not path.endswith("to_out.0")
        scale = [1, i, *(1 for _ in kernel)] if by_column else [o, 1, *(1 for _ in kernel)]
        yield from ((f"{name}.lora_down.weight", down), (f"{name}.lora_up.weight", up), (f"{name}.alpha", []),
                    (f"{name}.dora_scale", scale))


def ia3_file(pipe):
    """Of rows for keys and of columns else; the file says which."""
    for component, path, module in layers(pipe, {"unet": (".attn2.to_k", ".ff.net.2"), "text_encoder": (".fc2",)}):
        name, (o, i) = kohya(component, path), module.weight.shape
        yield from ((f"{name}.weight", [o] if path.endswith("to_k") else [i]), (f"{name}.on_input", [1]))


def norms_file(pipe):
    for component, path, module in layers(pipe, {"unet": ("",), "text_encoder": ("",)}, NORMS):
        name = kohya(component, path)
        yield (f"{name}.w_norm", list(module.weight.shape))
        yield (f"{name}.b_norm", list(module.bias.shape))


def by_lycoris_norms(pipe, tensors):
    for component, path, module in layers(pipe, {"unet": ("",), "text_encoder": ("",)}, NORMS):
        name = kohya(component, path)
        made = NormModule.make_module_from_state_dict(name, module, tensors[f"{name}.w_norm"], tensors[f"{name}.b_norm"])
        weight, bias = made.get_merged_weight(UNET if component == "unet" else TEXT)
        module.weight.copy_(weight)
        module.bias.copy_(bias)


def by_lycoris(pipe, tensors):
    """Adds what LyCORIS's own functions make of a file's tensors."""
    paths = {kohya(component, path): (component, module)
             for component, path, module in layers(pipe, {"unet": ("",), "text_encoder": ("",)})}
    for name in sorted({name.split(".")[0] for name in tensors}):
        component, module = paths[name]
        get = lambda end: tensors.get(f"{name}.{end}")
        strength = UNET if component == "unet" else TEXT
        if get("on_input") is not None:
            gate = get("weight")
            module.weight.copy_(_ia3_weight(module.weight, gate, bool(get("on_input").item()), strength, False))
            continue
        alpha = float(get("alpha"))
        if get("dora_scale") is not None:
            up, down, magnitude = get("lora_up.weight"), get("lora_down.weight"), get("dora_scale")
            change = locon.diff_weight(down, up, None, gamma=alpha / down.shape[0]).reshape(module.weight.shape)
            on_out = magnitude.shape[0] == module.weight.shape[0]
            to = weight_decompose(module.weight + change, magnitude, 1, on_out)
            module.weight += strength * (to - module.weight)
            continue
        if get("lora_up.weight") is not None:
            up, down, mid = get("lora_up.weight"), get("lora_down.weight"), get("lora_mid.weight")
            change = locon.diff_weight(down, up, mid, gamma=alpha / down.shape[0])
        elif get("hada_w1_a") is not None:
            parts = [get(end) for end in ("hada_w1_b", "hada_w1_a", "hada_w2_b", "hada_w2_a")]
            change = loha.diff_weight(*parts, get("hada_t1"), get("hada_t2"), gamma=alpha / 2)
        else:
            core = get("lokr_t2")
            if core is not None:  # the function takes the output's size for the rank there; the module has alpha / rank
                whole = rebuild_tucker(core, get("lokr_w2_a"), get("lokr_w2_b")) * (alpha / core.shape[0])
                change = lokr.diff_weight(get("lokr_w1"), None, None, whole, None, None, None, gamma=1.0)
                module.weight += strength * change.reshape(module.weight.shape)
                continue
            gamma = alpha if get("lokr_w2_a") is not None else 1.0  # of a product it divides by the rank itself
            change = lokr.diff_weight(get("lokr_w1"), None, None, get("lokr_w2"), get("lokr_w2_a"), get("lokr_w2_b"), None,
                                      gamma=gamma)
        module.weight += strength * change.reshape(module.weight.shape)


def by_diffusers(pipe, tensors):
    pipe.load_lora_weights(dict(tensors))
    pipe.fuse_lora(components=["unet"], lora_scale=UNET)
    if any("te_" in name or name.startswith("text_encoder") for name in tensors):
        pipe.fuse_lora(components=["text_encoder"], lora_scale=TEXT)


FILES = {"kohya": (kohya_file, by_diffusers), "peft": (peft_file, by_diffusers), "processor": (processor_file, by_diffusers),
         "locon": (locon_file, by_lycoris), "loha": (loha_file, by_lycoris), "lokr": (lokr_file, by_lycoris),
         "tucker": (tucker_file, by_lycoris), "dora": (dora_file, by_lycoris), "ia3": (ia3_file, by_lycoris),
         "norms": (norms_file, by_lycoris_norms)}


def make(index, model):
    files, made = {}, {}
    pipe = load(model)
    latents = noise(900 + index, 2, 4, 8, 8)
    context = torch.cat([pipe.encode_prompt(PROMPTS[i], "cpu", 1, False)[0] for i in (0, 1)])
    made |= {"latents": latents, "context": context}
    tokens = pipe.tokenizer(PROMPTS[0], padding="max_length", max_length=pipe.tokenizer.model_max_length, return_tensors="pt")
    made["tokens"] = tokens.input_ids
    plain = pipe.unet(latents, TIMESTEP, context).sample
    for name, (shapes, merge) in FILES.items():
        pipe = load(model)
        shapes = dict(shapes(pipe))
        merge(pipe, {tensor: value(tensor, shape) for tensor, shape in shapes.items()})
        made[f"{name}/text"] = pipe.text_encoder(tokens.input_ids)[0]
        made[f"{name}/unet"] = pipe.unet(latents, TIMESTEP, context).sample
        apart = (made[f"{name}/unet"] - plain).abs().max() / plain.abs().max()
        assert apart > 0.005, (name, apart)
        files[name] = shapes
    kept = {key: value.detach().contiguous() for key, value in made.items()}
    save_file({key: value.float() for key, value in kept.items()}, OUT / f"{model}.safetensors")
    return {"timestep": TIMESTEP, "unet": UNET, "text": TEXT, "files": files}


def turns():
    """A run of eight steps that has the file of kohya's names in the third to the fifth; what the text encoder has of it always."""
    steps, during, made = 8, range(2, 5), {}
    pipe = load("sd1")
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    pipe.load_lora_weights({tensor: value(tensor, shape) for tensor, shape in kohya_file(pipe)}, adapter_name="one")
    pipe.set_adapters("one", {"text_encoder": TEXT, "unet": UNET})
    latents = noise(950, 1, 4, 16, 16)

    def weigh(i):
        pipe.unet.set_adapters("one", UNET if i in during else 0.0)

    def after(_, i, __, values):
        made[f"latents.{i + 1}"] = values["latents"]
        weigh(i + 1)
        return values

    weigh(0)
    made["noise"] = latents
    pipe(PROMPTS[1], num_inference_steps=steps, guidance_scale=3.0, height=128, width=128, latents=latents.clone(),
         output_type="latent", callback_on_step_end=after)
    save_file({key: value.detach().float().contiguous() for key, value in made.items()}, OUT / "turns.safetensors")


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    with torch.no_grad():
        for index, model in enumerate(MODELS):
            facts = make(index, model)
            (OUT / f"{model}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
        turns()


if __name__ == "__main__":
    main()
