"""A small classifier of styles, trained on the renderer's own pictures; the measure of style accuracy."""

import argparse
import random
from pathlib import Path

import torch
from torch import nn

from .common import save_atomically
from .render import picture_batch
from .scene import STYLES, held_out_scenes, training_scene


def make_classifier() -> nn.Sequential:
    """[N, 3, 128, 128] in [-1, 1] -> [N, styles] logits."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (16, 32, 64, 96):
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, len(STYLES)))


def blurred(pictures: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """A little soft and noisy, as generated pictures are: the classifier must not live on crisp pixels alone."""
    if rng.random() < 0.5:
        small = nn.functional.interpolate(pictures, scale_factor=rng.uniform(0.6, 1), mode="area")
        pictures = nn.functional.interpolate(small, size=pictures.shape[-2:], mode="bilinear")
    return pictures + torch.randn_like(pictures) * rng.uniform(0, 0.06)


@torch.no_grad()
def accuracy(classifier: nn.Module, count: int = 400) -> float:
    """On rendered held-out scenes."""
    scenes = held_out_scenes(count, seed=31, plain=1 / len(STYLES))
    pictures = picture_batch(scenes, random.Random(31))
    styles = torch.tensor([STYLES.index(scene.style) for scene in scenes])
    return (classifier(pictures).argmax(dim=1) == styles).float().mean().item()


def main() -> None:
    args = parse_args()
    torch.manual_seed(0)
    rng = random.Random(0)
    classifier = make_classifier()
    optimiser = torch.optim.AdamW(classifier.parameters(), 3e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=args.steps)
    for _ in range(args.steps):
        scenes = [training_scene(rng, plain=1 / len(STYLES)) for _ in range(32)]
        styles = torch.tensor([STYLES.index(scene.style) for scene in scenes])
        loss = nn.functional.cross_entropy(classifier(blurred(picture_batch(scenes, rng), rng)), styles)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    own = accuracy(classifier.eval())
    save_atomically({"classifier": classifier.state_dict(), "accuracy": own}, args.out / "style.pt")
    print(f"own accuracy on rendered held-out scenes {own:.1%}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("work"))
    parser.add_argument("--steps", type=int, default=1800)
    return parser.parse_args()


if __name__ == "__main__":
    main()
