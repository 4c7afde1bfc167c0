"""Makes tests/golden/controls/maps.safetensors: what OpenCV, and sd-webui-controlnet with it, makes of a small picture.

    python tests/golden/make_maps.py
"""

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from make_goldens import HERE


def picture(width, height):
    """Shapes with edges in all directions and in one channel alone, under noise; they are not smoothed."""
    noise = np.random.default_rng(5)
    image = np.full((height, width, 3), (40, 90, 160), np.uint8)
    cv2.circle(image, (20, 24), 14, (230, 60, 40), -1)
    cv2.rectangle(image, (38, 8), (58, 40), (30, 200, 90), -1)
    cv2.line(image, (0, height - 1), (width - 1, 0), (250, 250, 250), 2)
    cv2.line(image, (2, 3), (60, 44), (10, 20, 15), 1)
    return np.clip(image.astype(int) + noise.integers(-20, 21, image.shape), 0, 255).astype(np.uint8)


def lineart(image):
    """`lineart_standard`."""
    values = image.astype(np.float32)
    intensity = np.min(cv2.GaussianBlur(values, (0, 0), 6.0) - values, axis=2).clip(0, 255)
    intensity /= max(16, np.median(intensity[intensity > 8]))
    return (intensity * 127).clip(0, 255).astype(np.uint8)


def scribble(image):
    """`scribble_xdog`."""
    narrow, wide = (cv2.GaussianBlur(image.astype(np.float32), (0, 0), deviation) for deviation in (0.5, 5.0))
    dog = (255 - np.min(wide - narrow, axis=2)).clip(0, 255).astype(np.uint8)
    return np.where(2 * (255 - dog) > 32, 255, 0).astype(np.uint8)


def main():
    image = picture(64, 48)
    maps = {"picture": image, "lineart": lineart(image), "scribble": scribble(image)}
    for low, high in ((100, 200), (50, 150), (30, 400)):
        maps[f"canny.{low}.{high}"] = cv2.Canny(image, low, high)
        maps[f"canny.{low}.{high}.l2"] = cv2.Canny(image, low, high, L2gradient=True)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)).float() for name, values in maps.items()}
    save_file(tensors, HERE / "controls" / "maps.safetensors")
    print({name: float((values > 0).mean()) for name, values in maps.items()})


if __name__ == "__main__":
    main()
