"""Draws fidelity against training time, from the points that `train_unet` wrote; a run that went on from another after it.

    python -m training.curve --points work/curve.jsonl --out training/curve.png
"""

import argparse
import json
from pathlib import Path

from matplotlib import pyplot as plt

LINES = (("single_right", "single things, plain"), ("mixed_right", "any scene, every thing right"))


def in_thousands(counts: list[int]) -> list[float]:
    """How many pictures the networks had seen at each point: a run that goes on from another counts from 0 again."""
    before, seen = 0, []
    for last, count in zip([0, *counts], counts):
        if count < last:
            before += last
        seen.append((before + count) / 1000)
    return seen


def main() -> None:
    args = parse_args()
    points = [json.loads(line) for line in args.points.read_text(encoding="utf-8").splitlines()]
    pictures = in_thousands([point["pictures"] for point in points])
    figure, axes = plt.subplots(figsize=(7, 3.6), dpi=120)
    for key, label in LINES:
        axes.plot(pictures, [100 * point[key] for point in points], marker="o", label=label)
    axes.set(xlabel="thousand pictures trained on", ylabel="watched scenes right, %", ylim=(0, 102))
    quality = axes.twinx()
    quality.plot(pictures, [point["psnr_median"] for point in points], color="gray", linestyle="--", label="median PSNR, dB (right)")
    quality.set(ylim=(10, 30))
    figure.legend(loc="lower right", bbox_to_anchor=(0.9, 0.18))
    figure.tight_layout()
    figure.savefig(args.out)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=Path, default=Path("work/curve.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("training/curve.png"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
