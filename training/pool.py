"""Scenes drawn while the networks train: by this process or by others beside it, each picture seen several times."""

import os
import random
from collections.abc import Iterator

import torch
from torch.nn.functional import avg_pool2d
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from transformers import CLIPTokenizer

from .captions import caption
from .models import LATENT, LATENT_CHANNELS, MAX_TOKENS
from .render import boxes, picture_bytes
from .scene import CELL, IMAGE, SCENES, Scene

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the renderers are processes already
PART = 256  # scenes that are drawn, moved and encoded together
VIEWS = 4  # captions, and crops, of each scene
CROP = 64  # pixels a side of a crop; a whole picture costs four


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids [N, 32]."""
    return tokenizer(texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt").input_ids


def crop_corners(scene: Scene, rng: random.Random) -> list[list[int]]:
    """(top, left) of `VIEWS` grid-aligned crops that hold a good part of one of the scene's things."""
    corners = []
    for _ in range(VIEWS):
        box, left, top = rng.choice(boxes(scene))
        centre = [start + rng.uniform(0.15, 0.85) * box - CROP / 2 for start in (top, left)]
        corners.append([min(max(round(start / CELL), 0), (IMAGE - CROP) // CELL) * CELL for start in centre])
    return corners


class SceneStream(IterableDataset):
    """Endless parts: pictures [P, 3, 128, 128] in 0..255, token ids [P, 4, 32] and the corners of crops [P, 4, 2]."""

    def __init__(self, tokenizer: CLIPTokenizer, seed: int, scenes: str):
        self.tokenizer, self.seed, self.draw_scene = tokenizer, seed, SCENES[scenes]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        renderer = get_worker_info()
        rng = random.Random(1000 * self.seed + (renderer.id if renderer else 0))
        while True:
            scenes = [self.draw_scene(rng) for _ in range(PART)]
            texts = [caption(scene, rng) for scene in scenes for _ in range(VIEWS)]
            tokens = tokenize(self.tokenizer, texts).view(PART, VIEWS, MAX_TOKENS)
            yield picture_bytes(scenes, rng), tokens, torch.tensor([crop_corners(scene, rng) for scene in scenes])


class Pool:
    """A ring of scenes on the training device: the oldest make room for new ones as batches are taken.

    A picture is seen `uses` times, about, each time with one of its captions or crops. Once `encode_with` was given an
    autoencoder the scenes have latents too.
    """

    def __init__(
        self, tokenizer: CLIPTokenizer, capacity: int, device: torch.device, renderers: int = 0, seed: int = 0, scenes: str = "all"
    ):
        """`renderers` other processes draw, with none this one, when it needs scenes; which ones is a key of SCENES."""
        stream = SceneStream(tokenizer, seed, scenes)
        ahead = {"prefetch_factor": 4, "pin_memory": device.type == "cuda"} if renderers else {}
        self.parts = iter(DataLoader(stream, batch_size=None, num_workers=renderers, **ahead))
        self.device, self.capacity = device, max(capacity // PART, 1) * PART
        self.nothing = tokenize(tokenizer, [""]).to(device)
        self.pictures = torch.empty(self.capacity, 3, IMAGE, IMAGE, dtype=torch.uint8, device=device)
        self.tokens = torch.empty(self.capacity, VIEWS, MAX_TOKENS, dtype=torch.int64, device=device)
        self.corners = torch.empty(self.capacity, VIEWS, 2, dtype=torch.int64, device=device)
        self.vae, self.latents, self.half_latents, self.bf16 = None, None, None, False
        self.size, self.next, self.owed = 0, 0, 0.0

    def fill(self, count: int) -> None:
        """Draws until at least `count` scenes are there, or as many as there is room for."""
        while self.size < min(count, self.capacity):
            self._draw_part()

    def _draw_part(self) -> None:
        rows = slice(self.next, self.next + PART)
        for ring, part in zip((self.pictures, self.tokens, self.corners), next(self.parts)):
            ring[rows] = part.to(self.device, non_blocking=True)
        if self.vae is not None:
            self._encode(rows)
        self.next = (self.next + PART) % self.capacity
        self.size = min(self.size + PART, self.capacity)

    @torch.no_grad()
    def _encode(self, rows: slice) -> None:
        pictures = to_range(self.pictures[rows])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            self.latents[rows] = self.vae.encode(pictures).latent_dist.mean.float()
            self.half_latents[rows] = self.vae.encode(halved(pictures)).latent_dist.mean.float()

    def encode_with(self, vae, bf16: bool = False) -> None:
        """Gives the scenes, present and future, `vae`'s latents: [8, 16, 16], and [8, 8, 8] of the halved picture."""
        self.vae, self.bf16 = vae, bf16
        self.latents = torch.empty(self.capacity, LATENT_CHANNELS, LATENT, LATENT, device=self.device)
        self.half_latents = torch.empty(self.capacity, LATENT_CHANNELS, LATENT // 2, LATENT // 2, device=self.device)
        for start in range(0, self.size, PART):
            self._encode(slice(start, start + PART))

    def rows(self, count: int, uses: float) -> torch.Tensor:
        """`count` random rows of the ring [N], of which the oldest `count / uses` are drawn anew first."""
        self.owed += count / uses
        while self.owed >= PART or not self.size:
            self._draw_part()
            self.owed -= PART
        return torch.randint(self.size, (count,), device=self.device)

    def crops_of(self, rows: torch.Tensor) -> torch.Tensor:
        """A crop of each of the rows' pictures, [N, 3, 64, 64] in [-1, 1]."""
        corners = self.corners[rows, torch.randint(VIEWS, rows.shape, device=self.device)]
        offsets = torch.arange(CROP, device=self.device)
        down = (corners[:, :1] + offsets)[:, None, :, None]
        right = (corners[:, 1:] + offsets)[:, None, None, :]
        colours = torch.arange(3, device=self.device)[None, :, None, None]
        return to_range(self.pictures[rows[:, None, None, None], colours, down, right])

    def latents_of(self, rows: torch.Tensor, half: bool) -> torch.Tensor:
        """[N, 8, 16, 16], or [N, 8, 8, 8] of the pictures at half size."""
        return (self.half_latents if half else self.latents)[rows]

    def pictures_of(self, rows: torch.Tensor, half: bool = False) -> torch.Tensor:
        """[N, 3, 128, 128] in [-1, 1], or [N, 3, 64, 64] at half size."""
        pictures = to_range(self.pictures[rows])
        return halved(pictures) if half else pictures

    def tokens_of(self, rows: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        """A caption of each row as token ids [N, 32]; a share of `dropout` is the empty one."""
        tokens = self.tokens[rows, torch.randint(VIEWS, rows.shape, device=self.device)]
        dropped = torch.rand(rows.shape, device=self.device) < dropout
        return torch.where(dropped[:, None], self.nothing, tokens)


def halved(pictures: torch.Tensor) -> torch.Tensor:
    """[N, 3, H, W] -> [N, 3, H/2, W/2], each pixel the mean of four."""
    return avg_pool2d(pictures, 2)


def layout(device: torch.device) -> torch.memory_format:
    """How pictures and kernels lie in memory where the device is to be quick."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def to_range(pictures: torch.Tensor) -> torch.Tensor:
    """Bytes to [-1, 1]."""
    return (pictures.float() / 127.5 - 1).contiguous(memory_format=layout(pictures.device))
