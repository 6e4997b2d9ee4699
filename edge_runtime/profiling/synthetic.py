"""Made-up inputs that look like the real ones to a kernel: the same every time, on every machine."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edge_runtime.kernels import FeaturePlan, FeatureStep, LatentPlan
from edge_runtime.kernels.feature_plan import PROBABILITY_BITS, RATIOS, SYMBOLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATCH = 16
PHOTO_SIZE = (375, 500)
PHOTO_QUALITY = 90
HEADS = 3
SLOTS = 1 << PROBABILITY_BITS
UNIT = 1 << 14
# Of a rotation: rows of more would overflow sums.
HALF_UNIT = UNIT // 2
SMALLEST_RATIO = 2.0**-4
BLOCK_CLASSES = 4


@dataclass(frozen=True)
class SeenFrame:
    """What the gate gets: logits `[classes]`, attention `[heads, tokens]`, image `[side, side, 3]`."""

    logits: NDArray[np.float32]
    attention: NDArray[np.float32]
    image: NDArray[np.uint8]


def seen_frame(side: int, classes: int) -> SeenFrame:
    """Three heads whose mean keeps about three quarters of the patches at a share of 0.97."""
    rng = np.random.default_rng(side)
    count = (side // PATCH) ** 2
    base = rng.gamma(0.75, size=count + 1)
    heads = base * rng.gamma(4.0, size=(HEADS, count + 1))
    return SeenFrame(
        rng.normal(0, 1, classes).astype(np.float32),
        (heads / heads.sum(axis=1, keepdims=True)).astype(np.float32),
        rng.integers(0, 256, (side, side, 3), dtype=np.uint8),
    )


def jpeg_photo() -> bytes:
    """A photo of `PHOTO_SIZE` with large shapes, edges and some grain, about as many bytes as a camera's."""
    rng = np.random.default_rng(0)
    height, width = PHOTO_SIZE
    y, x = np.mgrid[:height, :width] / height
    waves = [np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in rng.uniform(0.5, 6, (9, 3))]
    pixels = np.stack([sum(waves[i::3]) for i in range(3)], axis=-1) * 35 + 128
    pixels[(x - 0.6) ** 2 + (y - 0.5) ** 2 < 0.06] += 60
    grain = rng.normal(0, 8, pixels.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=PHOTO_QUALITY)
    return file.getvalue()


def histograms(count: int, symbols: int, escape: bool) -> NDArray[np.uint16]:
    """Shares uint16 `[count, 32]` of the first ``symbols``, from narrow to wide around the middle one."""
    width = np.geomspace(0.5, symbols, count)[:, None]
    weights = np.exp(-np.abs(np.arange(symbols) - symbols // 2) / width)
    shares = np.zeros((count, SYMBOLS), np.int64)
    shares[:, :symbols] = 1 + weights / weights.sum(axis=1, keepdims=True) * (SLOTS - symbols - 1)
    if escape:
        shares[:, -1] = 1
    shares[:, symbols // 2] += SLOTS - shares.sum(axis=1)
    return shares.astype(np.uint16)


def feature_plan(channels: int, side: int, block: int) -> FeaturePlan:
    """A cut's plan: cosines along both sides of a block, and a rotation of the channels."""
    rng = np.random.default_rng(channels)
    place, frequency = np.arange(block) + 0.5, np.arange(block)[:, None]
    basis = np.cos(np.pi * frequency * place / block) * np.where(frequency, 2, 1) ** 0.5 / block**0.5
    rotation, _ = np.linalg.qr(rng.standard_normal((channels, channels)))
    classes = np.zeros((1, SYMBOLS), np.uint16)
    classes[:, :BLOCK_CLASSES] = SLOTS // BLOCK_CLASSES
    return FeaturePlan(
        channels=channels,
        height=side,
        width=side,
        block=block,
        rectified=True,
        activity=True,
        mean=np.zeros(channels, np.float32),
        scale=np.full(channels, 256, np.float32),
        unscale=np.full(channels, 1 / 256, np.float32),
        basis=np.rint(basis * UNIT).astype(np.int16),
        forward=np.ascontiguousarray(np.rint(rotation.T * HALF_UNIT).astype(np.int16)),
        inverse=np.rint(rotation * HALF_UNIT).astype(np.int16),
        histograms=np.concatenate([histograms(RATIOS, SYMBOLS - 1, escape=True), classes]),
    )


def feature_step(plan: FeaturePlan) -> FeatureStep:
    """A middling quality: fewer components are coded, and coarser, the higher a frequency is."""
    fall = np.arange(plan.frequencies) / plan.frequencies
    grid = (plan.frequencies, plan.channels)
    step = np.broadcast_to((160 * (1 + 3 * fall))[:, None], grid)
    expected = np.maximum(256 / step * (1 - fall[:, None]), SMALLEST_RATIO)
    return FeatureStep(
        extent=np.maximum(plan.channels * (1 - fall), 1).astype(np.uint16),
        inverse=(1 / (step * HALF_UNIT)).astype(np.float32),
        step=step.astype(np.float32),
        ratio=np.rint(4 * np.log2(expected / SMALLEST_RATIO)).astype(np.uint8),
        floor=np.zeros(plan.channels, np.float32),
        level=64,
        activity_table=RATIOS,
    )


def feature_map(plan: FeaturePlan) -> NDArray[np.float32]:
    """A rectified map float32 `[C, H, W]`: smooth noise, half of it zero."""
    rng = np.random.default_rng(1)
    coarse = rng.standard_normal((plan.channels, plan.height // 4, plan.width // 4))
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2) + 0.3 * rng.standard_normal(
        (plan.channels, plan.height, plan.width)
    )
    return np.maximum(fine, 0).astype(np.float32)


def latent_plan(channels: int, side: int, levels: int) -> LatentPlan:
    """A family's plan at one number of levels."""
    step = np.full(channels, 0.5, np.float32)
    return LatentPlan(side, side, levels, step, histograms(channels, levels, escape=False))


def latent(plan: LatentPlan) -> NDArray[np.float32]:
    """A latent float32 `[C, H, W]` most of whose values lie on the middle levels."""
    noise = np.random.default_rng(2).standard_normal(plan.shape) * plan.levels / 6
    return (noise * plan.step[:, None, None]).astype(np.float32)
