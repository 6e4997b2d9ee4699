"""The loop learns, resumes where it was killed, and writes its curve."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from edge_runtime.errors import PhotoError
from exporters.training import loop
from exporters.training.loop import Schedule, accuracy, train
from exporters.training.photos import Photos, load_photos

if TYPE_CHECKING:
    from pathlib import Path


class _Colours:
    """Recipe: tell three colours apart from the mean pixel; ``stop_at`` raises in the middle, as a kill would."""

    def __init__(self, stop_at: float = 2.0) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(3, 3)
        self.schedule = Schedule(epochs=6, batch=8, learning_rate=0.5, weight_decay=0.0, ema=0.8)
        self.stop_at = stop_at

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        if progress >= self.stop_at:
            raise KeyboardInterrupt
        noise = torch.randn(len(pixels), 3, generator=generator) / 10
        return F.cross_entropy(self.model(_means(pixels) + noise).float(), labels)

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        return {"accuracy": accuracy(lambda pixels: model(_means(pixels)), photos)}


def _means(pixels: Tensor) -> Tensor:
    return pixels.float().mean((1, 2)) / 128 - 1


@pytest.fixture(scope="module")
def photos(photo_folder: Path) -> Photos:
    """All 42 photos at 32 pixels."""
    return load_photos(photo_folder, 32)


def test_training_learns_and_writes_its_curve(photos: Photos, tmp_path: Path) -> None:
    """Three colours are soon told apart; the log has one line per epoch, the model loads as a plain state dict."""
    average = train(_Colours(), photos, photos, tmp_path)
    curve = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in curve] == list(range(1, 7))
    assert curve[-1]["accuracy"] == 1.0
    assert curve[-1]["loss"] < curve[0]["loss"]
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    assert torch.equal(saved["weight"], average.state_dict()["weight"])


def test_interrupted_training_ends_as_an_uninterrupted_one(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two checkpoints and started again, it arrives at the same weights."""
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", -1.0)
    expected = train(_Colours(), photos, photos, tmp_path / "whole").state_dict()
    with pytest.raises(KeyboardInterrupt):
        train(_Colours(stop_at=0.45), photos, photos, tmp_path / "killed")
    resumed = train(_Colours(), photos, photos, tmp_path / "killed").state_dict()
    assert torch.equal(resumed["weight"], expected["weight"])
    assert torch.equal(resumed["bias"], expected["bias"])


def test_too_few_photos_are_refused(photos: Photos, tmp_path: Path) -> None:
    """Less than one batch would train nothing and save it."""
    few = photos.subset(torch.arange(7))
    with pytest.raises(PhotoError, match="7 photos are less than one batch of 8"):
        train(_Colours(), few, few, tmp_path)


def test_average_follows_batch_statistics(photos: Photos, tmp_path: Path) -> None:
    """Integer buffers such as batch counters are copied, not averaged."""
    recipe = _Colours()
    recipe.model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    average = train(recipe, photos, photos, tmp_path)
    assert average.state_dict()["1.num_batches_tracked"] == recipe.model.state_dict()["1.num_batches_tracked"]
