"""Nearest references: what a part of a picture looks most like among all designers' drawings of all subjects.

A window of the picture is compared with each drawing, mirrored and not, on whatever flat ground fits the window best.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from .drawings import designers_of, drawing
from .scene import CELL, IMAGE, MARGIN, NEVER_MIRRORED
from .subjects import SUBJECTS

GRAIN = 16  # cells a side that windows and references are brought to
SIDED = 0.03  # mean squared difference of a drawing to its mirror image; pear 0.006, broken heart 0.04, turkey 0.1
WINDOWS = (32, 40, 48, 56, 64, 80, 88, 112)  # sides of the boxes that things have, pixels


@dataclass(frozen=True)
class Reference:
    """One drawing, by its indices into SUBJECTS and DESIGNERS."""

    subject: int
    designer: int
    mirrored: bool


@dataclass(frozen=True)
class Found:
    """A reference, the box (side, left, top) where it fits, and how much of the picture's squared error it explains."""

    reference: Reference
    box: tuple[int, int, int]
    gain: float


@cache
def references() -> tuple[Reference, ...]:
    return tuple(
        Reference(subject, designer, mirrored)
        for subject, one in enumerate(SUBJECTS)
        for designer in designers_of(subject)
        for mirrored in ((False,) if one.glyph in NEVER_MIRRORED else (False, True))
    )


@cache
def rows_of(subjects: tuple[int, ...]) -> torch.Tensor:
    """Which of `references()` show one of the subjects."""
    return torch.tensor([row for row, reference in enumerate(references()) if reference.subject in subjects])


@cache
def sided(reference: Reference) -> bool:
    """Whether the drawing looks otherwise when mirrored: an apple's mirror image hardly does."""
    values = drawing(reference.subject, reference.designer).astype(np.float32) / 255
    return float(np.square(values - values[:, ::-1]).mean()) > SIDED


@cache
def _layers() -> torch.Tensor:
    """All references [M, 4, 16, 16], colours premultiplied, in 0..1, at the margin that a middling box has."""
    frames = torch.stack([torch.from_numpy(drawing(one.subject, one.designer).copy()) for one in references()])
    mirrored = torch.tensor([one.mirrored for one in references()])
    parts = []
    for part, flip in zip(frames.split(512), mirrored.split(512)):
        values = part.permute(0, 3, 1, 2).float() / 255
        values = torch.where(flip[:, None, None, None], values.flip(3), values)
        side = values.shape[-1]
        edge = round(side * MARGIN / 64 / 2)
        parts.append(adaptive_avg_pool2d(torch.nn.functional.pad(values, (edge,) * 4), GRAIN))
    return torch.cat(parts)


@cache
def _products() -> tuple[torch.Tensor, ...]:
    """Of each reference what every comparison needs: its colour and its clearness as rows, and their sums."""
    layers = _layers()
    colour, clear = layers[:, :3].flatten(2), 1 - layers[:, 3].flatten(1)  # [M, 3, 256], [M, 256]
    return (
        colour,
        clear,
        colour.square().sum(dim=(1, 2)),
        clear.square().sum(dim=1) + 1e-3,
        torch.einsum("mcn,mn->mc", colour, clear),
    )


def errors(windows: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
    """Mean squared error [P, M] of each window [P, 3, 16, 16] in 0..1 to each reference, or to those of `rows`, on the flat
    ground that fits best."""
    colour, clear, colour_square, clear_square, both = _products()
    if rows is not None:
        colour, clear, colour_square, clear_square, both = (
            values[rows] for values in (colour, clear, colour_square, clear_square, both)
        )
    flat = windows.flatten(2)  # [P, 3, 256]
    rest = flat.square().sum(dim=(1, 2))[:, None] - 2 * flat.flatten(1) @ colour.flatten(1).T + colour_square
    through = torch.stack([flat[:, channel] @ clear.T - both[:, channel] for channel in range(3)], dim=-1)
    return (rest - through.square().sum(dim=-1) / clear_square).clamp(min=0) / (3 * GRAIN * GRAIN)


def window(picture: np.ndarray, box: tuple[int, int, int]) -> torch.Tensor:
    """The part of a picture [128, 128, 3] in a box (side, left, top), as [1, 3, 16, 16]."""
    side, left, top = box
    area = torch.from_numpy(picture[top : top + side, left : left + side].copy()).float().permute(2, 0, 1)[None]
    return adaptive_avg_pool2d(area, GRAIN)


def nearest(picture: np.ndarray, box: tuple[int, int, int], subjects: tuple[int, ...] | None = None) -> Reference:
    """What the picture shows in the box, among all subjects or these."""
    rows = None if subjects is None else rows_of(subjects)
    best = int(errors(window(picture, box), rows)[0].argmin())
    return references()[best if rows is None else int(rows[best])]


def empty(picture: np.ndarray) -> np.ndarray:
    """What the ground is in each row, [128, 1, 3]: the median of its outermost pixels."""
    return np.median(np.concatenate([picture[:, :8], picture[:, -8:]], axis=1), axis=1, keepdims=True)


def find(picture: np.ndarray, most: int, subjects: tuple[int, ...] | None = None, least: float = 0.3) -> list[Found]:
    """The things of a picture [128, 128, 3], `most` at most, the plainest first: greedily those references and boxes that
    explain most of what is not ground; a thing must explain a share of `least` of its window."""
    rows = None if subjects is None else rows_of(subjects)
    places = [
        (side, left, top)
        for side in WINDOWS
        for top in range(0, IMAGE - side + 1, CELL)
        for left in range(0, IMAGE - side + 1, CELL)
    ]
    windows = torch.cat([window(picture, place) for place in places])
    behind = np.broadcast_to(empty(picture), picture.shape)
    spread = torch.cat([(window(picture, place) - window(behind, place)).square().mean()[None] for place in places])
    least_errors, best = errors(windows, rows).min(dim=1)
    sides = torch.tensor([place[0] for place in places], dtype=torch.float32)
    gains = (spread - least_errors) * sides.square()
    gains[(spread - least_errors) < least * spread] = -1
    found: list[Found] = []
    while len(found) < most and gains.max() > 0:
        at = int(gains.argmax())
        row = int(best[at] if rows is None else rows[best[at]])
        found.append(Found(references()[row], places[at], float(gains[at])))
        for index, place in enumerate(places):
            if overlap(place, places[at]) > 0.3:
                gains[index] = -1
    return found


def overlap(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The share of the smaller of two boxes that lies in the other."""
    wide = min(one[1] + one[0], other[1] + other[0]) - max(one[1], other[1])
    high = min(one[2] + one[0], other[2] + other[0]) - max(one[2], other[2])
    return max(wide, 0) * max(high, 0) / min(one[0], other[0]) ** 2
