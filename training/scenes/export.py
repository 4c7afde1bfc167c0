"""Gathers the trained parts into one plain diffusers folder."""

import random

from ..export import export, load_denoiser, parse_args, tuned_vae
from .models import make_text_encoder, make_unet
from .render import picture_batch
from .scene import training_scene

SAMPLES = 128  # pictures that the export looks at


def main() -> None:
    args = parse_args()
    rng = random.Random(0)
    pictures = picture_batch([training_scene(rng) for _ in range(SAMPLES)], rng)
    denoiser = load_denoiser(args.work, make_text_encoder, make_unet)
    export(denoiser, tuned_vae(args.work), pictures, args.out)


if __name__ == "__main__":
    main()
