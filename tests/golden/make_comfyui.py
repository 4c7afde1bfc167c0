"""Makes tests/golden/prompts/comfyui: what ComfyUI's engine of March 2023 makes of prompts with the text encoder of the tiny model
sd1.

    pip install --no-deps comfylib==0.0.5    # GPL-3.0, beside requirements.txt; nothing of it is committed
    python tests/golden/make_comfyui.py

`comfyui.json` has the prompts, `comfyui.safetensors` the vectors of an embedding that some of them use, `style`, and for each prompt
`[chunks · 77, 32]` as ComfyUI's sampler reads it, once more (`skip`) with the text encoder set to its last layer but one.
"""

import json
import tempfile
from pathlib import Path

import torch
from comfy.hazard.sd1_clip import SD1ClipModel, SD1Tokenizer
from safetensors.torch import save_file

from make_goldens import FORMAT, HERE

OUT = HERE / "prompts"
MODEL = HERE / "models" / "sd1"
PROMPTS = [
    "a red apple",
    "a (red) apple, (green:0.5) background",
    "((a) photo of (the (astronaut:1.3) horse:0.8)) [cat] BREAK \\(dog\\)",
    "smile :) a) (b",
    "(white:0) (blue:-0.5)",
    "the (large:1.2) green dog " * 20 + "zebra",
    "a embedding:style apple, (embedding:style, small:1.4) dog",
    "a embedding:nothing apple",
]


@torch.no_grad()
def main():
    vectors = torch.round(torch.randn((3, 32), generator=torch.Generator().manual_seed(11)) * 4) / 8
    with tempfile.TemporaryDirectory() as folder:
        save_file({"emb_params": vectors}, Path(folder) / "style.safetensors")
        tokenizer = SD1Tokenizer(tokenizer_path=str(MODEL / "tokenizer"), embedding_directory=folder)
        clip = SD1ClipModel(textmodel_path=str(MODEL / "text_encoder"))
        # Where transformers 5 has it no longer.
        object.__setattr__(clip.transformer, "text_model", clip.transformer)
        begin, end = tokenizer.start_token, tokenizer.end_token
        tensors = {"style": vectors}
        for name, layer in [("states", None), ("skip", -2)]:
            if layer is not None:
                clip.clip_layer(layer)
            clip.empty_tokens = [[begin] + [end] * 76]
            for i, prompt in enumerate(PROMPTS):
                encoded = clip.encode_token_weights(tokenizer.tokenize_with_weights(prompt))
                tensors[f"{name}.{i}"] = encoded[0]
    tensors = {name: value.float().contiguous() for name, value in tensors.items()}
    save_file(tensors, OUT / "comfyui.safetensors", metadata={"opengen-golden": str(FORMAT)})
    (OUT / "comfyui.json").write_text(json.dumps(PROMPTS, indent=1) + "\n")
    for name, value in tensors.items():
        print(name, tuple(value.shape))


if __name__ == "__main__":
    main()
