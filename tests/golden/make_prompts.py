"""Makes tests/golden/prompts: what diffusers' UNet draws with the tiny model sd1 of several prompts at once, and of prompts that
change on the way.

    python tests/golden/make_prompts.py

`runs.json` has each case: the prompt in A1111's words, and what is read at each evaluation of the UNet, written out by hand from
A1111's documentation (its count of evaluations begins at 0, and a text is read up to the number that it ends at, that included).
`texts.json` has prompts with an embedding of two vectors, once as tokens around them, once read by diffusers' own loader;
`texts.safetensors` its vectors and what the text encoder makes of each, of A1111's (`skip`) without its last layer too.
`runs.safetensors` has the noise that enters each, and the latents that leave it. Several prompts are put together as composable
diffusion does it: the answer without a prompt, and what each adds to it by its weight and the guidance scale.
"""

import json

import torch
from safetensors.torch import save_file

from make_goldens import HERE, FORMAT, load, make_scheduler, tokenize

OUT = HERE / "prompts"
SIZE = {"width": 40, "height": 32}
RED, GREEN = "a red apple", "a green apple"
CASES = [
    {"name": "and", "prompt": "a red apple AND a blue dog :0.7 AND white :-0.5", "negative_prompt": "yellow", "sampler": "ddim",
     "steps": 4, "guidance": 3.0, "seed": 3,
     "read": [["yellow", [[RED, 1.0], ["a blue dog", 0.7], ["white", -0.5]]]] * 4},
    # Parts of three chunks and of one, which ends in its last state again and again; without a prompt there is one.
    {"name": "and of unequal length", "prompt": "a red apple BREAK on white BREAK small AND a blue dog", "negative_prompt": "yellow",
     "sampler": "euler", "steps": 3, "guidance": 2.0, "seed": 8,
     "read": [["yellow", [["a red apple BREAK on white BREAK small", 1.0], ["a blue dog", 1.0]]]] * 3},
    {"name": "comments", "prompt": "# fruit AND more\na red apple # with a <lora:worm:1>\n#", "negative_prompt": "#x\nyellow#",
     "sampler": "euler", "steps": 2, "guidance": 2.0, "seed": 9, "read": [["yellow", [[RED, 1.0]]]] * 2},
    {"name": "weight", "prompt": "a red apple :0.5", "negative_prompt": "", "sampler": "euler", "steps": 3, "guidance": 1.0, "seed": 4,
     "read": [["", [[RED, 0.5]]]] * 3},
    {"name": "scheduled", "prompt": "a [red:green:0.5] apple", "negative_prompt": "[yellow:2]", "sampler": "dpm++-2m", "steps": 6,
     "guidance": 2.5, "seed": 5,
     "read": [["", [[RED, 1.0]]]] * 3 + [["yellow", [[RED, 1.0]]]] + [["yellow", [[GREEN, 1.0]]]] * 2},
    {"name": "alternating", "prompt": "a [red|green] apple AND small [dog|cat|horse]", "negative_prompt": "", "sampler": "euler",
     "steps": 5, "guidance": 2.0, "seed": 6,
     "read": [["", [[apple, 1.0], [f"small {animal}", 1.0]]] for apple, animal in [
         (RED, "dog"), (RED, "dog"), (GREEN, "cat"), (RED, "horse"), (GREEN, "dog")]]},
    # Three steps of two evaluations each, but for the last: A1111 counts six.
    {"name": "two evaluations a step", "prompt": "a [red:green:0.5] apple", "negative_prompt": "", "sampler": "heun", "steps": 3,
     "guidance": 2.0, "seed": 7, "read": [["", [[RED, 1.0]]]] * 4 + [["", [[GREEN, 1.0]]]]},
]


def run(pipe, case):
    scheduler = make_scheduler({"model": "sd1", "scheduler": {}}, case["sampler"])
    scheduler.set_timesteps(case["steps"])
    generator = torch.Generator("cpu").manual_seed(case["seed"])
    noise = torch.randn((1, 4, SIZE["height"] // 4, SIZE["width"] // 4), generator=generator)

    def states(text, most=0):
        made = torch.cat([pipe.text_encoder(tokenize(pipe, part))[0] for part in text.split(" BREAK ")], dim=1)
        return torch.cat([made, made[:, -1:].expand(-1, max(most - made.shape[1], 0), -1)], dim=1)

    def answer(latents, timestep, text, most=0):
        return pipe.unet(latents, timestep, states(text, most)).sample

    latents = noise * scheduler.init_noise_sigma
    assert len(scheduler.timesteps) == len(case["read"]), case["name"]
    for timestep, (negative, prompts) in zip(scheduler.timesteps, case["read"]):
        scaled = scheduler.scale_model_input(latents, timestep)
        without = answer(scaled, timestep, negative)
        most = max(states(text).shape[1] for text, _ in prompts)
        guided = without + sum(case["guidance"] * weight * (answer(scaled, timestep, text, most) - without) for text, weight in prompts)
        latents = scheduler.step(guided, timestep, latents).prev_sample
    return {f"{case['name']}.noise": noise, f"{case['name']}.latents": latents}


TOKEN = "<cat-toy>"
# What stands around the embedding, as A1111 puts it together by hand.
AROUND = [("a photo of the ", " on the blue background"), ("", ""), ("a red apple, ", ", white")]
DIFFUSERS = [f"a photo of the {TOKEN} on the blue background", f"{TOKEN}{TOKEN}", f"{TOKEN}, a small {TOKEN} dog"]


def texts(pipe):
    """Prompts with an embedding, and the states that the text encoder makes of them."""
    vectors = torch.round(torch.randn((2, 32), generator=torch.Generator().manual_seed(12)) * 4) / 8
    tensors, encoder, length = {"vectors": vectors}, pipe.text_encoder, pipe.tokenizer.model_max_length
    begin, end = pipe.tokenizer.bos_token_id, pipe.tokenizer.eos_token_id
    table = encoder.get_input_embeddings().weight

    def ids(text):
        return pipe.tokenizer(text, add_special_tokens=False).input_ids

    for i, (before, after) in enumerate(AROUND):
        own = [len(table), len(table) + 1]
        row = [begin, *ids(before), *own, *ids(after)]
        row += [end] * (length - len(row))
        old = encoder.get_input_embeddings()
        encoder.set_input_embeddings(torch.nn.Embedding.from_pretrained(torch.cat([table, vectors])))
        read = encoder(torch.tensor([row]), output_hidden_states=True)
        tensors[f"a1111.{i}"] = read[0][0]
        tensors[f"a1111.skip.{i}"] = encoder.final_layer_norm(read.hidden_states[-2])[0]
        encoder.set_input_embeddings(old)
    pipe.load_textual_inversion({TOKEN: vectors})
    for i, text in enumerate(DIFFUSERS):
        tensors[f"diffusers.{i}"] = pipe.encode_prompt(text, "cpu", 1, False)[0][0]
    return tensors, {"token": TOKEN, "a1111": [f"{before}style{after}" for before, after in AROUND], "diffusers": DIFFUSERS}


@torch.no_grad()
def main():
    OUT.mkdir(exist_ok=True)
    pipe, tensors = load("sd1"), {}
    for case in CASES:
        tensors |= run(pipe, case)
    tensors = {name: value.float().contiguous() for name, value in tensors.items()}
    save_file(tensors, OUT / "runs.safetensors", metadata={"opengen-golden": str(FORMAT)})
    cases = [case | SIZE for case in CASES]
    (OUT / "runs.json").write_text(json.dumps(cases, indent=1) + "\n")
    tensors, facts = texts(pipe)
    tensors = {name: value.float().contiguous() for name, value in tensors.items()}
    save_file(tensors, OUT / "texts.safetensors", metadata={"opengen-golden": str(FORMAT)})
    (OUT / "texts.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
