"""From nothing to a model and its few-step companion, in one process on one pool of pictures, resumable.

    python -m training.train_all --out work --device cuda --bf16 --renderers 13

Stages run one after the other, each for its share of `--minutes`; options after a stage's name are its own module's. A run that
was stopped goes on where its last checkpoint is, half a minute old at most; what is finished is not done again. The eight
minutes of the default are training alone: drawing the first pictures, compiling and the reports come on top.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from . import distill, finetune_decoder, tokenizer, train_unet, train_vae
from .common import make_pool, run_arguments
from .drawings import FILE
from .export import save_start

# Each stage's module, share of the minutes, and its options on a GPU.
STAGES = {
    "--vae": (train_vae, 0.24, "--batch 512 --uses 2"),
    "--unet": (train_unet, 0.58, "--compile --batch 1024 --uses 12 --muon-lr 5e-3 --report-minutes 2 --probe 24"),
    "--decoder": (finetune_decoder, 0.08, "--batch 64 --muon-lr 3e-3"),
    "--distill": (distill, 0.1, "--batch 512 --uses 12"),
}


def split(words: list[str]) -> dict[str, list[str]]:
    """The options before the first stage's name under "", then each named stage's own."""
    parts: dict[str, list[str]] = {"": []}
    for word in words:
        if word in STAGES:
            parts[word] = []
        else:
            parts[list(parts)[-1]].append(word)
    return parts


def arguments(words: list[str]) -> dict[str, argparse.Namespace]:
    """Of each stage: `--minutes` is shared out; on a GPU its usual options hold; what stands on the line goes before."""
    parts = split(words)
    shared = run_arguments(None, minutes=8, batch=0, muon_lr=0, adam_lr=0)
    total, on_gpu = (
        shared.parse_known_args(parts[""])[0].minutes,
        shared.parse_known_args(parts[""])[0].device.type == "cuda",
    )
    found = {}
    for stage, (module, share, usual) in STAGES.items():
        defaults = ["--minutes", str(total * share)] if stage not in parts or "--minutes" not in parts[stage] else []
        line = [*(usual.split() if on_gpu else []), *_without_minutes(parts[""]), *defaults, *parts.get(stage, [])]
        found[stage] = module.options().parse_args(line)
    return found


def _without_minutes(words: list[str]) -> list[str]:
    at = words.index("--minutes") if "--minutes" in words else None
    return words if at is None else words[:at] + words[at + 2 :]


def ready(out: Path) -> None:
    """The drawings are there, and the tokenizer is, or is learnt."""
    if not FILE.exists():
        sys.exit(f"{FILE} is missing: make it with `python -m training.drawings` first")
    if not (out / "tokenizer" / "tokenizer.json").exists():
        tokenizer.make(out)


def main() -> None:
    stages = arguments(sys.argv[1:])
    first = next(iter(stages.values()))
    torch.backends.cudnn.benchmark, torch.backends.cudnn.benchmark_limit = True, 3
    torch.set_float32_matmul_precision("high")
    begun = time.monotonic()
    ready(first.out)
    pool = make_pool(first)
    print(f"{pool.size} pictures drawn after {time.monotonic() - begun:.0f} s", flush=True)
    for stage, args in stages.items():
        done = args.out / f"{stage[2:]}.done"
        if done.exists():
            continue
        STAGES[stage][0].train(args, pool)
        if stage == "--unet":
            save_start(args.out)
        done.touch()
        print(f"{stage[2:]} finished after {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
