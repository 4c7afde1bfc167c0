"""What the training loops share: arguments, threads, optimiser, averages, checkpoints, contact sheets."""

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as workers
from PIL import Image
from torch import nn
from transformers import CLIPTokenizer

from .pool import Pool, layout
from .scene import SCENES


def follow_threads_file(path: str) -> None:
    """Sets PyTorch's thread count to the number in `path`, so that a running job can be told to make room."""
    try:
        wanted = int(Path(path).read_text())
    except (OSError, ValueError):
        return
    if 1 <= wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)


def join_workers(seed: int) -> None:
    """Joins the other processes that `torchrun` started, if it did; all of them begin with the same random numbers."""
    if "WORLD_SIZE" in os.environ:
        workers.init_process_group("gloo")
    torch.manual_seed(seed)


def worker_count() -> int:
    return workers.get_world_size() if workers.is_initialized() else 1


def worker() -> int:
    """This process's number among the workers, 0 where there is one."""
    return workers.get_rank() if workers.is_initialized() else 0


def orthogonalise(updates: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrices; [N, rows, columns], rows <= columns.

    Coefficients from Keller Jordan's Muon (https://kellerjordan.github.io/posts/muon/). The iteration runs
    on the small Gram matrices: every factor is a polynomial of the first one, so they commute, and the wide
    matrices are multiplied only twice.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = updates / (updates.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = x @ x.mT  # [N, rows, rows]
    total = torch.eye(gram.shape[1], device=gram.device, dtype=gram.dtype).expand_as(gram)
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
            # The costliest shapes first, each to the worker that has least to do.
            load = [0.0] * worker_count()
            for shape in sorted(by_shape, key=lambda shape: -len(by_shape[shape]) * min(shape) ** 2 * max(shape)):
                weights, owner = by_shape[shape], load.index(min(load))
                load[owner] += len(weights) * min(shape) ** 2 * max(shape)
                self._step_batch(shape, weights, group, owner)

    def _step_batch(self, shape: tuple[int, int], weights: list[nn.Parameter], group: dict, owner: int) -> None:
        directions = torch.stack([update.reshape(shape) for update in self._updates(weights, group["momentum"])])
        tall = shape[0] > shape[1]
        directions = directions.mT if tall else directions
        if owner == worker():
            directions = orthogonalise(directions)
        if worker_count() > 1:
            directions = directions.contiguous()
            workers.broadcast(directions, owner)
        directions = directions.mT if tall else directions
        scale = group["lr"] * 0.2 * math.sqrt(max(shape))  # an update's RMS is then about Adam's, 0.2 * lr
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        steps = [direction.reshape(weight.shape) for weight, direction in zip(weights, directions)]
        torch._foreach_add_(weights, steps, alpha=-scale)

    def _updates(self, weights: list[nn.Parameter], momentum: float) -> list[torch.Tensor]:
        gradients = [weight.grad for weight in weights]
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        means = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_lerp_(means, gradients, 1 - momentum)
        return torch._foreach_lerp(gradients, means, momentum)


def make_optimisers(modules: list[nn.Module], muon_lr: float, adam_lr: float) -> list[torch.optim.Optimizer]:
    """Muon for inner matrices and kernels, AdamW for vectors, embeddings and the first and last layers."""
    matrices, others = [], []
    for module in modules:
        for name, weight in module.named_parameters():
            if not weight.requires_grad:
                continue
            outer = weight.ndim < 2 or "embedding." in name or "conv_in" in name or "conv_out" in name
            (others if outer else matrices).append(weight)
    optimisers: list[torch.optim.Optimizer] = [Muon(matrices, muon_lr)] if matrices else []
    return [*optimisers, torch.optim.AdamW(others, adam_lr, (0.9, 0.99), weight_decay=0.0)] if others else optimisers


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
    scratch = path.with_suffix(f".{os.getpid()}.partial")  # workers may write the same
    torch.save(state, scratch)
    os.replace(scratch, path)


def run_arguments(what: str | None, minutes: float, batch: int, muon_lr: float, adam_lr: float) -> argparse.ArgumentParser:
    """The options of every stage, with the stage's own defaults."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--out", type=Path, default=Path("work"), help="folder of all stages")
    parser.add_argument("--minutes", type=float, default=minutes, help="of processor time; on a GPU, of the clock")
    parser.add_argument("--batch", type=int, default=batch, help="of each worker")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--bf16", action="store_true", help="autocast; pays on a GPU and on processors with AMX")
    parser.add_argument("--renderers", type=int, default=0, help="processes that draw; 0 draws in this one")
    parser.add_argument("--pool", type=int, default=20_000, help="scenes kept at a time, 50 KB each")
    parser.add_argument("--first-pool", type=int, default=2_560, help="scenes drawn before the first step")
    parser.add_argument("--scenes", choices=SCENES, default="all", help="first: such as the model before was made for")
    parser.add_argument("--uses", type=float, default=8, help="how often a scene is seen, about")
    parser.add_argument("--muon-lr", type=float, default=muon_lr)
    parser.add_argument("--adam-lr", type=float, default=adam_lr)
    parser.add_argument("--ema", type=float, default=0.998, help="decay of the averaged weights")
    parser.add_argument("--report-minutes", type=float, default=5)
    parser.add_argument("--threads-file", default="/tmp/og_threads", help="holds the number of threads to use")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def precision(args: argparse.Namespace) -> torch.autocast:
    """The arithmetic that `args` ask for, as a context."""
    return torch.autocast(args.device.type, torch.bfloat16, enabled=args.bf16)


class SameTypeNorm(nn.GroupNorm):
    """A group norm that answers in the type it was asked in: autocast's goes over float32, at twice the traffic."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        count, channels, *sides = values.shape
        weight, bias = self.weight.to(values.dtype), self.bias.to(values.dtype)
        size = math.prod(sides)
        return torch.native_group_norm(
            values.contiguous(), weight, bias, count, channels, size, self.num_groups, self.eps
        )[0]


def placed(module: nn.Module, args: argparse.Namespace) -> nn.Module:
    """The module on the device of `args`, in the layout that is quick there."""
    if args.bf16 and args.device.type != "cpu":
        for part in module.modules():
            if type(part) is nn.GroupNorm:
                part.__class__ = SameTypeNorm
    return module.to(args.device, memory_format=layout(args.device))


def make_pool(args: argparse.Namespace) -> Pool:
    """The scenes of this worker, the first ones drawn; their captions in the tokens of the work folder's tokenizer."""
    join_workers(args.seed)
    tokenizer = CLIPTokenizer.from_pretrained(args.out / "tokenizer")
    pool = Pool(tokenizer, args.pool, args.device, args.renderers, args.seed + 1000 * worker(), args.scenes)
    pool.fill(args.first_pool)
    return pool


class Run:
    """One training run: the loop, its learning rate, its averages and its checkpoint.

    It runs against processor time, all threads and workers together: other jobs share the machine, and then the wall
    clock says little about how far a run is. On a GPU it is the clock. Workers share each batch; the first one reports
    and saves.
    """

    def __init__(self, modules: dict[str, nn.Module], checkpoint: Path, args: argparse.Namespace):
        """`args` are those of `run_arguments`."""
        torch.manual_seed(args.seed + 1000 * worker())  # the weights are made: from here on workers differ
        follow_threads_file(args.threads_file)
        self.modules, self.checkpoint, self.budget = modules, checkpoint, args.minutes * 60
        self.report_every, self.threads_file = args.report_minutes * 60, args.threads_file
        self.weights = [weight for module in modules.values() for weight in module.parameters()]
        self.optimisers = make_optimisers(list(modules.values()), args.muon_lr, args.adam_lr)
        self.average = Average(list(modules.values()), args.ema)
        self.batch = args.batch * worker_count()
        self.clock = time.monotonic if args.device.type == "cuda" else time.process_time
        self.step, self.pictures, self.spent, self.mark = 0, 0, 0.0, 0.0
        if checkpoint.exists():
            self._resume(torch.load(checkpoint, map_location=args.device))

    @property
    def progress(self) -> float:
        """How far the run is, in 0..1."""
        return self.spent / self.budget

    def train(self, next_loss: Callable[[], torch.Tensor], report: Callable[[], str], save_minutes: float = 0.5) -> None:
        """Steps on `next_loss` until the minutes are spent; `report` runs on the averaged weights, off the clock."""
        saved_at, reported_at, losses = self.spent, self.spent, []
        self.mark = self.clock()
        while self.spent < self.budget:
            losses.append(self._update(next_loss()))
            if self.step % 20 == 0:
                follow_threads_file(self.threads_file)
            if self.spent - saved_at > save_minutes * 60 or self.spent >= self.budget:
                saved_at = self.spent
                if worker() == 0:
                    self._save()
            if self.spent - reported_at > self.report_every or self.spent >= self.budget:
                mean_loss, losses, reported_at = torch.stack(losses).mean().item(), [], self.spent
                if worker() == 0:
                    with self.average.applied():
                        print(f"step {self.step}, {self.spent / 60:.1f} min, loss {mean_loss:.4f}, {report()}", flush=True)
                    self.mark = self.clock()

    def _update(self, loss: torch.Tensor) -> torch.Tensor:
        set_learning_rate(self.optimisers, warm_cosine(self.progress))
        loss.backward()
        self._share()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.average.update()
        self.step, self.pictures = self.step + 1, self.pictures + self.batch
        return loss.detach()

    def _share(self) -> None:
        """Averages the gradients over the workers, and adds up what processor time they spent."""
        spent = self.clock() - self.mark
        self.mark += spent
        if worker_count() > 1:
            learning = [weight for weight in self.weights if weight.grad is not None]
            flat = torch.cat([*(weight.grad.flatten() for weight in learning), torch.tensor([spent])])
            workers.all_reduce(flat)
            spent = flat[-1].item()
            parts = (flat[:-1] / worker_count()).split([weight.numel() for weight in learning])
            for weight, part in zip(learning, parts):
                weight.grad.copy_(part.view_as(weight))
        self.spent += spent

    def _save(self) -> None:
        state = {name: module.state_dict() for name, module in self.modules.items()}
        state |= {"average": self.average.weights, "updates": self.average.updates}
        state |= {"optimisers": [optimiser.state_dict() for optimiser in self.optimisers]}
        state |= {"step": self.step, "pictures": self.pictures, "spent": self.spent}
        save_atomically(state, self.checkpoint)

    def _resume(self, state: dict) -> None:
        for name, module in self.modules.items():
            module.load_state_dict(state[name])
        self.average.weights, self.average.updates = state["average"], state["updates"]
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.pictures, self.spent = state["step"], state["pictures"], state["spent"]
        print(f"{self.checkpoint} goes on at step {self.step}, {self.spent / 60:.1f} min", flush=True)


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
    sheet[:count] = bytes_.cpu()
    sheet = sheet.reshape(rows, columns, 3, height, width).permute(0, 3, 1, 4, 2)
    image = Image.fromarray(sheet.reshape(rows * height, columns * width, 3).numpy())
    image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST).save(path)
