"""What both training loops share: threads, optimiser, averages, checkpoints, contact sheets."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from torch import nn


def follow_threads_file(path: str) -> None:
    """Sets PyTorch's thread count to the number in `path`, so that a running job can be told to make room."""
    try:
        wanted = int(Path(path).read_text())
    except (OSError, ValueError):
        return
    if 1 <= wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)


def orthogonalise(updates: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrices; [N, rows, columns], rows <= columns.

    Coefficients from Keller Jordan's Muon (https://kellerjordan.github.io/posts/muon/). The iteration runs
    on the small Gram matrices: every factor is a polynomial of the first one, so they commute, and the wide
    matrices are multiplied only twice.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = updates / (updates.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = x @ x.mT  # [N, rows, rows]
    total = torch.eye(gram.shape[1]).expand_as(gram)
    for _ in range(rounds):
        factor = b * gram + c * gram @ gram
        factor.diagonal(dim1=1, dim2=2).add_(a)
        total = factor @ total
        gram = factor @ gram @ factor
    return total @ x


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates for weight matrices and convolution kernels.

    Weights of equal shape are orthogonalised in one batch: on a CPU many small products cost more in
    overhead than in arithmetic.
    """

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault((weight.shape[0], weight[0].numel()), []).append(weight)
            for shape, weights in by_shape.items():
                self._step_batch(shape, weights, group)

    def _step_batch(self, shape: tuple[int, int], weights: list[nn.Parameter], group: dict) -> None:
        directions = torch.stack([self._momentum(weight, group["momentum"]).reshape(shape) for weight in weights])
        tall = shape[0] > shape[1]
        directions = orthogonalise(directions.mT if tall else directions)
        directions = directions.mT if tall else directions
        scale = group["lr"] * 0.2 * math.sqrt(max(shape))  # an update's RMS is then about Adam's, 0.2 * lr
        for weight, direction in zip(weights, directions):
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(direction.reshape(weight.shape), alpha=-scale)

    def _momentum(self, weight: nn.Parameter, momentum: float) -> torch.Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(state["momentum"], momentum)


def make_optimisers(modules: list[nn.Module], muon_lr: float, adam_lr: float) -> list[torch.optim.Optimizer]:
    """Muon for inner matrices and kernels, AdamW for vectors, embeddings and the first and last layers."""
    matrices, others = [], []
    for module in modules:
        for name, weight in module.named_parameters():
            if not weight.requires_grad:
                continue
            outer = weight.ndim < 2 or "embedding." in name or "conv_in" in name or "conv_out" in name
            (others if outer else matrices).append(weight)
    return [Muon(matrices, muon_lr), torch.optim.AdamW(others, adam_lr, (0.9, 0.99), weight_decay=0.0)]


def set_learning_rate(optimisers: list[torch.optim.Optimizer], factor: float) -> None:
    """Scales every group's first learning rate by `factor`."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group.setdefault("first_lr", group["lr"]) * factor


def warm_cosine(progress: float, warmup: float = 0.02, floor: float = 0.02) -> float:
    """Learning-rate factor at `progress` in 0..1: linear warm-up, then a cosine down to `floor`."""
    if progress < warmup:
        return max(progress / warmup, 0.01)
    angle = math.pi * min((progress - warmup) / (1 - warmup), 1.0)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(angle))


class Average:
    """Exponential moving average of the modules' weights, with a short memory at the start."""

    def __init__(self, modules: list[nn.Module], decay: float):
        self.modules, self.decay, self.updates = modules, decay, 0
        self.weights = [weight.detach().clone() for weight in self._live()]

    def _live(self) -> list[torch.Tensor]:
        return [weight for module in self.modules for weight in module.parameters()]

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.weights, [weight.detach() for weight in self._live()], 1 - decay)

    @torch.no_grad()
    def _swap(self) -> None:
        for mean, weight in zip(self.weights, self._live()):
            kept = weight.detach().clone()
            weight.copy_(mean)
            mean.copy_(kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The modules hold the averaged weights inside the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()


def save_atomically(state: dict, path: Path) -> None:
    """Writes a checkpoint beside `path` and renames it, so that a reader never sees half a file."""
    scratch = path.with_suffix(".partial")
    torch.save(state, scratch)
    os.replace(scratch, path)


class Run:
    """One training run against the clock: the loop, its learning rate, its averages and its checkpoint.

    `clock` gives seconds: of the wall, or of the processor (`time.process_time`, all threads together) where other
    jobs come first and the wall says little about how far a run is.
    """

    def __init__(
        self, modules: dict[str, nn.Module], checkpoint: Path, minutes: float,
        muon_lr: float, adam_lr: float, decay: float, threads_file: str,
        clock: Callable[[], float] = time.time,
    ):  # fmt: skip
        self.clock = clock
        self.modules, self.checkpoint, self.budget = modules, checkpoint, minutes * 60
        self.optimisers = make_optimisers(list(modules.values()), muon_lr, adam_lr)
        self.average = Average(list(modules.values()), decay)
        self.threads_file = threads_file
        self.step, self.spent = 0, 0.0
        if checkpoint.exists():
            self._resume(torch.load(checkpoint))

    def train(
        self, next_loss: Callable[[], torch.Tensor], report: Callable[[], str],
        report_minutes: float, save_minutes: float = 3.0,
    ) -> None:  # fmt: skip
        """Steps on `next_loss` until the minutes are spent; `report` runs on the averaged weights."""
        started = self.clock() - self.spent
        saved_at, reported_at, losses = self.spent, self.spent, []
        while self.spent < self.budget:
            losses.append(self._update(next_loss()))
            self.spent = self.clock() - started
            if self.step % 20 == 0:
                follow_threads_file(self.threads_file)
            if self.spent - saved_at > save_minutes * 60 or self.spent >= self.budget:
                self._save()
                saved_at = self.spent
            if self.spent - reported_at > report_minutes * 60 or self.spent >= self.budget:
                mean_loss, losses = sum(losses) / len(losses), []
                with self.average.applied():
                    print(f"step {self.step}, {self.spent / 60:.1f} min, loss {mean_loss:.4f}, {report()}", flush=True)
                reported_at = self.spent

    def _update(self, loss: torch.Tensor) -> float:
        set_learning_rate(self.optimisers, warm_cosine(self.spent / self.budget))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(
            [weight for module in self.modules.values() for weight in module.parameters()], 1.0
        )
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.average.update()
        self.step += 1
        return loss.item()

    def _save(self) -> None:
        state = {name: module.state_dict() for name, module in self.modules.items()}
        state |= {"average": self.average.weights, "updates": self.average.updates}
        state |= {"optimisers": [optimiser.state_dict() for optimiser in self.optimisers]}
        save_atomically(state | {"step": self.step, "spent": self.spent}, self.checkpoint)

    def _resume(self, state: dict) -> None:
        for name, module in self.modules.items():
            module.load_state_dict(state[name])
        self.average.weights, self.average.updates = state["average"], state["updates"]
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.spent = state["step"], state["spent"]


def psnr(pictures: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio per picture in dB, for [N, 3, H, W] in [-1, 1]."""
    error = ((pictures.clamp(-1, 1) - targets) / 2).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(error + 1e-10)


def save_sheet(pictures: torch.Tensor, columns: int, path: Path, zoom: int = 2) -> None:
    """Writes [N, 3, H, W] in [-1, 1] as one PNG of `columns` pictures a row."""
    count, _, height, width = pictures.shape
    rows = -(-count // columns)
    bytes_ = ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte()
    sheet = torch.zeros(rows * columns, 3, height, width, dtype=torch.uint8)
    sheet[:count] = bytes_
    sheet = sheet.reshape(rows, columns, 3, height, width).permute(0, 3, 1, 4, 2)
    image = Image.fromarray(sheet.reshape(rows * height, columns * width, 3).numpy())
    image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST).save(path)
