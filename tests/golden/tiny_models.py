"""Tiny random Stable Diffusion models of the true topologies, saved as diffusers folders.

Weights are random but never degenerate: every norm has gains around one, every bias is set, and the output layers
are scaled so that latents and pictures have the spread that real ones have. All values are exact in f16 and lie on
a coarse grid (quarters of a standard deviation), so that git stores them in about five bits each.
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel

# The words whose merges the tokenizer knows; anything else falls apart into bytes.
CORPUS = "a photo of the red apple on blue background green yellow white small large cat dog astronaut riding horse".split()
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
# The scheduler_config.json of stable-diffusion-v1-5, key for key: it has no `timestep_spacing`, so that each
# scheduler class that is made from it falls back to its own default.
SD1_SCHEDULER = {
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True,
    "steps_offset": 1, "trained_betas": None, "clip_sample": False,
}
SD2_SCHEDULER = {
    "_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "clip_sample": False, "num_train_timesteps": 1000, "prediction_type": "v_prediction",
    "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "timestep_spacing": "trailing",
    "trained_betas": None,
}


def randomise(module, generator):
    """Fills every parameter: weights by fan-in, norm gains around one, biases around zero."""
    for name, parameter in sorted(module.named_parameters()):
        z = torch.randn(parameter.shape, generator=generator).clamp(-2.5, 2.5)
        z = torch.round(z * 4) / 4
        if name.endswith("bias"):
            value = 0.1 * z
        elif parameter.dim() == 1:
            value = 1 + 0.2 * z
        elif "embedding" in name and parameter.dim() == 2 and "time" not in name:
            value = 0.5 * z
        else:
            gain = 1.5 if name.endswith(("to_q.weight", "to_k.weight", "q_proj.weight", "k_proj.weight")) else 1.0
            value = gain * z / parameter[0].numel() ** 0.5
        with torch.no_grad():
            parameter.copy_(value.half().float())
    return module.eval()


def rescale(layer, output, target, bias=None):
    """Scales a last layer so that `output()` has standard deviation `target`."""
    with torch.no_grad():
        factor = target / output().std()
        layer.weight.copy_((layer.weight * factor).half().float())
        if bias is not None:
            layer.bias.copy_((layer.bias * factor + bias).half().float())


def fit_last_layer(unet, context_dim, prediction, generator):
    """Fits the last convolution by ridge regression so that the UNet predicts noise or velocity, as a trained one does.

    A wholly random model removes no noise: its runs would show latents that only grow, or rounding errors that do.
    """
    features, targets, seen = [], [], []
    hook = unet.conv_out.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    for timestep in (20, 150, 300, 450, 600, 750, 900, 980):
        signal = (1 - (timestep / 1000) ** 1.2) ** 0.5
        spread = (1 - signal**2) ** 0.5
        noise = torch.randn((8, 4, 8, 8), generator=generator)
        clean = torch.randn((8, 4, 1, 1), generator=generator).expand(8, 4, 8, 8)
        context = torch.randn((8, 77, context_dim), generator=generator)
        unet(signal * clean + spread * noise, timestep, context)
        features.append(torch.nn.functional.unfold(seen.pop(), 3, padding=1).transpose(1, 2).flatten(0, 1))
        target = noise if prediction == "epsilon" else signal * noise - spread * clean
        targets.append(target.flatten(2).transpose(1, 2).flatten(0, 1))
    hook.remove()
    x, y = torch.cat(features), torch.cat(targets)
    mean = x.mean(0)
    gram = (x - mean).T @ (x - mean) + 0.02 * len(x) * torch.eye(x.shape[1])
    solution = torch.linalg.solve(gram, (x - mean).T @ (y - y.mean(0)))
    unet.conv_out.weight.copy_(solution.T.reshape(unet.conv_out.weight.shape).half().float())
    unet.conv_out.bias.copy_((y.mean(0) - mean @ solution).half().float())
    left = (x @ solution + unet.conv_out.bias - y).var() / y.var()
    print(f"{prediction}: explains {100 * (1 - left):.0f} % of the variance")


def learn_merges(words, count):
    """Plain byte-pair merges of a word list, most frequent pair first, ties by spelling."""
    pieces = [list(word[:-1]) + [word[-1] + "</w>"] for word in words]
    merges = []
    while len(merges) < count:
        counts = {}
        for piece in pieces:
            for pair in zip(piece, piece[1:]):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        for piece in pieces:
            i = 0
            while i + 1 < len(piece):
                if (piece[i], piece[i + 1]) == best:
                    piece[i : i + 2] = ["".join(best)]
                else:
                    i += 1
    return merges


def save_tokenizer(folder, pad_token):
    """Writes a CLIP-style byte-level BPE tokenizer; returns its vocabulary size."""
    # ByteLevel.alphabet() is unsorted; CLIP's own file starts with the printable ASCII characters, "!" being 0.
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), key=ord)
    merges = learn_merges(CORPUS, 60)
    words = alphabet + [letter + "</w>" for letter in alphabet] + ["".join(merge) for merge in merges] + [BOS, EOS]
    vocab = {word: i for i, word in enumerate(words)}
    bpe = models.BPE(vocab=vocab, merges=merges, unk_token=EOS, end_of_word_suffix="</w>", fuse_unk=False)
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(
        (EOS, vocab[EOS]), (BOS, vocab[BOS]), trim_offsets=False, add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(BOS, special=True, normalized=False),
                                  AddedToken(EOS, special=True, normalized=False)])
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", {
        "bos_token": BOS, "eos_token": EOS, "unk_token": EOS, "pad_token": pad_token, "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer"})
    return len(words)


def save_module(module, folder, half=True, rename=lambda name: name):
    """Saves a diffusers or transformers module, its weights as f16 (exact here) or f32."""
    module.save_pretrained(folder)
    file = next(Path(folder).glob("*.safetensors"))
    dtype = torch.float16 if half else torch.float32
    tensors = {rename(name): tensor.to(dtype).contiguous() for name, tensor in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def save_text_encoder(folder, config, generator, old_names):
    """A CLIP text encoder; `old_names` writes the `text_model.` prefix of transformers before 5."""
    encoder = randomise(CLIPTextModel(CLIPTextConfig(**config)), generator)
    prefix = lambda name: name if name.startswith("text_model.") else f"text_model.{name}"
    bare = lambda name: name.removeprefix("text_model.")
    save_module(encoder, folder, half=not old_names, rename=prefix if old_names else bare)


def save_unet(folder, config, prediction, generator):
    unet = randomise(UNet2DConditionModel(in_channels=4, out_channels=4, sample_size=8, **config), generator)
    with torch.no_grad():
        fit_last_layer(unet, config["cross_attention_dim"], prediction, generator)
    save_module(unet, folder)


def save_vae(folder, config, generator):
    levels = len(config["block_out_channels"])
    vae = AutoencoderKL(down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels,
                        latent_channels=4, sample_size=32, **config)
    randomise(vae, generator)
    latents = torch.randn((1, 4, 8, 8), generator=generator)
    image = torch.rand((1, 3, 32, 32), generator=generator) * 2 - 1
    rescale(vae.decoder.conv_out, lambda: vae.decode(latents / config["scaling_factor"]).sample, 0.1)
    rescale(vae.quant_conv, lambda: vae.encode(image).latent_dist.mean, 1.0 / config["scaling_factor"])
    save_module(vae, folder)


def save_taesd(folder, generator):
    """AutoencoderTiny with the published block counts and 8 channels in place of 64."""
    taesd = AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
                            num_encoder_blocks=(1, 3, 3, 3), num_decoder_blocks=(3, 3, 3, 1), latent_channels=4,
                            scaling_factor=1.0)
    randomise(taesd, generator)
    latents = torch.randn((1, 4, 8, 8), generator=generator)
    image = torch.rand((1, 3, 64, 64), generator=generator) * 2 - 1
    rescale(taesd.decoder.layers[-1], lambda: taesd.decode(latents).sample, 0.15, bias=0.5)
    rescale(taesd.encoder.layers[-1], lambda: taesd.encode(image).latents, 1.0)
    save_module(taesd, folder)


def model_index(folder, scheduler, vae="AutoencoderKL"):
    parts = {"scheduler": ["diffusers", scheduler], "text_encoder": ["transformers", "CLIPTextModel"],
             "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
             "vae": ["diffusers", vae]}
    absent = {part: [None, None] for part in ("feature_extractor", "image_encoder", "safety_checker")}
    write_json(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1",
                                             "requires_safety_checker": False, **parts, **absent})


def text_config(vocab, **config):
    return {"vocab_size": vocab, "max_position_embeddings": 77, "bos_token_id": vocab - 2, "eos_token_id": vocab - 1,
            "pad_token_id": vocab - 1, **config}


def make_sd1(folder, generator):
    """SD 1 style: a number of heads for all blocks, convolutional projections, QuickGELU; 32 groups, as candle needs."""
    vocab = save_tokenizer(folder / "tokenizer", pad_token=EOS)
    text = text_config(vocab, hidden_size=32, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
                       hidden_act="quick_gelu", projection_dim=32)
    save_text_encoder(folder / "text_encoder", text, generator, old_names=False)
    save_unet(folder / "unet", {
        "block_out_channels": (32, 32, 32), "layers_per_block": 2, "attention_head_dim": 4, "cross_attention_dim": 32,
        "norm_num_groups": 32,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")}, "epsilon", generator)
    save_vae(folder / "vae", {"block_out_channels": (8, 16, 24), "layers_per_block": 2, "norm_num_groups": 8,
                              "scaling_factor": 0.18215}, generator)
    write_json(folder / "scheduler" / "scheduler_config.json", SD1_SCHEDULER)
    model_index(folder, "PNDMScheduler")


def make_sd2(folder, generator):
    """SD 2 style: heads per block, linear projections, GELU, v prediction, padding with "!"; four levels."""
    vocab = save_tokenizer(folder / "tokenizer", pad_token="!")
    text = text_config(vocab, hidden_size=24, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
                       hidden_act="gelu", projection_dim=24)
    save_text_encoder(folder / "text_encoder", text, generator, old_names=True)
    save_unet(folder / "unet", {
        "block_out_channels": (8, 16, 24, 24), "layers_per_block": 1, "attention_head_dim": (2, 4, 3, 6),
        "cross_attention_dim": 24, "norm_num_groups": 4, "use_linear_projection": True,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D")},
        "v_prediction", generator)
    save_vae(folder / "vae", {"block_out_channels": (8, 8, 16), "layers_per_block": 1, "norm_num_groups": 4,
                              "scaling_factor": 0.5}, generator)
    write_json(folder / "scheduler" / "scheduler_config.json", SD2_SCHEDULER)
    model_index(folder, "DDIMScheduler")


def make_taesd(folder, generator):
    """TAESD: the tiny autoencoder that stands in for a VAE."""
    save_taesd(folder, generator)


def make_small(folder, generator):
    """A distilled model's shape: no mid block, another number of layers in each block, a tiny autoencoder of its own."""
    vocab = save_tokenizer(folder / "tokenizer", pad_token=EOS)
    text = text_config(vocab, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                       hidden_act="quick_gelu", projection_dim=16)
    save_text_encoder(folder / "text_encoder", text, generator, old_names=False)
    save_unet(folder / "unet", {
        "block_out_channels": (8, 16, 24), "layers_per_block": (1, 2, 3), "attention_head_dim": 2,
        "cross_attention_dim": 16, "norm_num_groups": 4, "mid_block_type": None,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")}, "epsilon", generator)
    save_taesd(folder / "vae", generator)
    write_json(folder / "scheduler" / "scheduler_config.json", SD1_SCHEDULER)
    model_index(folder, "PNDMScheduler", vae="AutoencoderTiny")


def make_deep(folder, generator):
    """SDXL's shape without its added embeddings: no attention in the first block, more transformer layers further down."""
    vocab = save_tokenizer(folder / "tokenizer", pad_token=EOS)
    text = text_config(vocab, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                       hidden_act="gelu", projection_dim=16)
    save_text_encoder(folder / "text_encoder", text, generator, old_names=False)
    save_unet(folder / "unet", {
        "block_out_channels": (8, 16, 24), "layers_per_block": 1, "attention_head_dim": (2, 4, 6),
        "transformer_layers_per_block": (1, 2, 3), "cross_attention_dim": 16, "norm_num_groups": 4,
        "use_linear_projection": True,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")}, "epsilon", generator)
    save_vae(folder / "vae", {"block_out_channels": (4, 4, 8), "layers_per_block": 1, "norm_num_groups": 2,
                              "scaling_factor": 0.13025}, generator)
    save_taesd(folder / "taesd", generator)  # for previews
    write_json(folder / "scheduler" / "scheduler_config.json", SD1_SCHEDULER)
    model_index(folder, "PNDMScheduler")


MAKERS = {"sd1": make_sd1, "sd2": make_sd2, "taesd": make_taesd, "small": make_small, "deep": make_deep}
