"""Stages one after the other in one process, on one pool of pictures: for a machine with a GPU and many cores.

The stages that run are those named by `--vae`, `--unet` and `--decoder`, in this order; options after a name are those of
the stage's own module, the ones before hold for all.
"""

import argparse
import sys

import torch

from . import finetune_decoder, train_unet, train_vae
from .common import make_pool

STAGES = {"--vae": train_vae, "--unet": train_unet, "--decoder": finetune_decoder}


def arguments(words: list[str]) -> dict[str, argparse.Namespace]:
    """Of each stage named: the options before the first name, then its own."""
    parts: dict[str, list[str]] = {"": []}
    for word in words:
        if word in STAGES:
            parts[word] = []
        else:
            parts[list(parts)[-1]].append(word)
    return {stage: STAGES[stage].options().parse_args(parts[""] + parts[stage]) for stage in STAGES if stage in parts}


def main() -> None:
    stages = arguments(sys.argv[1:])
    if not stages:
        sys.exit(f"name at least one stage: {', '.join(STAGES)}")
    torch.backends.cudnn.benchmark, torch.backends.cudnn.benchmark_limit = True, 3
    torch.set_float32_matmul_precision("high")
    pool = make_pool(next(iter(stages.values())))
    print(f"{pool.size} pictures drawn", flush=True)
    for stage, args in stages.items():
        STAGES[stage].train(args, pool)


if __name__ == "__main__":
    main()
