"""One training loop for every recipe: seeded, resumable, bf16 on a CPU, GPU when there is one, with a written curve."""

from __future__ import annotations

import copy
import ctypes
import json
import math
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from edge_runtime.errors import PhotoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporters.training.photos import Photos

CHECKPOINT_EVERY_S = 120.0
# Of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, NEVER = -1, -4, -1


@dataclass(frozen=True)
class Schedule:
    """How long and how hard to train. ``learning_rate`` peaks after ``warmup`` and falls as a cosine."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.05
    warmup: float = 0.05
    ema: float = 0.998


class Recipe(Protocol):
    """What differs between networks: the model, the loss of one batch, the figures worth watching."""

    schedule: Schedule

    @property
    def model(self) -> nn.Module:
        """The network to train."""

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        """Loss of a uint8 batch ``[B, H, W, 3]``; ``progress`` runs from 0 to 1."""

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Figures of ``model`` on held-out photos, accuracies in 0..1."""


def device() -> torch.device:
    """The GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(recipe: Recipe, photos: Photos, held_out: Photos, folder: Path, seed: int = 0) -> nn.Module:
    """Train ``recipe.model`` and return its moving average, as saved in ``folder/model.pt``.

    A run that was interrupted goes on from ``folder/checkpoint.pt``; ``folder/log.jsonl`` gets one line per epoch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _keep_freed_memory()
    run = _Run(recipe, photos, seed)
    if (folder / "checkpoint.pt").exists():
        run.load(folder / "checkpoint.pt")
    started = saved = time.monotonic()
    bar = tqdm(total=run.total, initial=run.step, desc=folder.name, unit="step", mininterval=10)
    for indices in run.remaining_batches():
        bar.set_postfix(loss=f"{run.advance(indices):.3f}", refresh=False)
        bar.update()
        if time.monotonic() - saved > CHECKPOINT_EVERY_S:
            run.save(folder / "checkpoint.pt")
            saved = time.monotonic()
        if run.step % run.steps_per_epoch == 0:
            run.log(folder / "log.jsonl", held_out, time.monotonic() - started)
    bar.close()
    run.save(folder / "checkpoint.pt")
    torch.save(run.average.state_dict(), folder / "model.pt")
    return run.average


class _Run:
    """The state of one training: everything that a checkpoint holds."""

    def __init__(self, recipe: Recipe, photos: Photos, seed: int) -> None:
        self.recipe, self.photos, self.seed = recipe, photos, seed
        self.device = device()
        self.model = recipe.model.to(self.device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(_parameter_groups(self.model, recipe.schedule), betas=(0.9, 0.98))
        self.steps_per_epoch = len(photos) // recipe.schedule.batch
        if self.steps_per_epoch == 0:
            raise PhotoError(f"{len(photos)} photos are less than one batch of {recipe.schedule.batch}; give more")
        self.total = self.steps_per_epoch * recipe.schedule.epochs
        self.step = 0
        self.losses: list[float] = []

    def remaining_batches(self) -> Iterator[Tensor]:
        """Photo indices of every step still to be done; the order depends only on seed and epoch."""
        batch = self.recipe.schedule.batch
        while self.step < self.total:
            epoch, offset = divmod(self.step, self.steps_per_epoch)
            order = torch.randperm(len(self.photos), generator=torch.Generator().manual_seed(self.seed + epoch))
            for first in range(offset * batch, self.steps_per_epoch * batch, batch):
                yield order[first : first + batch]

    def advance(self, indices: Tensor) -> float:
        """One optimiser step; returns the loss."""
        schedule = self.recipe.schedule
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.learning_rate * _rate(self.step / self.total, schedule.warmup)
        self.model.train()
        pixels = self.photos.pixels[indices].to(self.device)
        with _fast_arithmetic(self.device):
            loss = self.recipe.loss(
                pixels, self.photos.labels[indices].to(self.device), generator, self.step / self.total
            )
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 3.0)
        self.optimizer.step()
        self.step += 1
        self._average()
        self.losses.append(loss.item())
        return self.losses[-1]

    def _average(self) -> None:
        decay = min(self.recipe.schedule.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)

    def log(self, path: Path, held_out: Photos, seconds: float) -> None:
        """Append this epoch's figures to the curve and show them."""
        with _fast_arithmetic(self.device), torch.no_grad():
            figures = self.recipe.evaluate(self.average, held_out)
        line = {
            "epoch": self.step // self.steps_per_epoch,
            "loss": sum(self.losses) / len(self.losses),
            **figures,
            "seconds": round(seconds),
        }
        self.losses.clear()
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        tqdm.write(json.dumps(line), file=sys.stderr)

    def save(self, path: Path) -> None:
        """Write the checkpoint so that a kill in mid-write leaves the old one."""
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


def _parameter_groups(model: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms and embeddings do not."""
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[parameter.ndim >= 2 and not name.endswith(("cls_token", "pos_embed"))].append(parameter)
    return [
        {"params": groups[True], "weight_decay": schedule.weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]


def _rate(progress: float, warmup: float) -> float:
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _keep_freed_memory() -> None:
    """Tell glibc, where there is one, not to give large blocks back to the system after each use.

    A step frees and asks for gigabytes, and the kernel would clear them all anew: on a CPU that took most of the time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, NEVER)
        mallopt(M_MMAP_MAX, 0)


@contextmanager
def _fast_arithmetic(where: torch.device) -> Iterator[None]:
    """bf16 autocast; on a CPU also attention by plain matrix products, whose backward pass is far faster there."""
    attention = sdpa_kernel(SDPBackend.MATH) if where.type == "cpu" else nullcontext()
    with torch.autocast(where.type, dtype=torch.bfloat16), attention:
        yield


def accuracy(predict: Callable[[Tensor], Tensor], photos: Photos, batch: int = 64) -> float:
    """Share of photos whose arg-max under ``predict`` (uint8 batch ``[B, H, W, 3]`` -> logits) is the label."""
    right = 0
    for first in range(0, len(photos), batch):
        logits = predict(photos.pixels[first : first + batch].to(device()))
        right += int((logits.argmax(1).cpu() == photos.labels[first : first + batch]).sum())
    return right / len(photos)
