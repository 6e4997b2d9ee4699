"""The latent codec's tables are counted on what it will code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.codecs.latent_tables import make_tables
from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.models import open_model
from exporters.calibration.latents import LatentEncoders, count_symbols, latent_tables

if TYPE_CHECKING:
    from edge_runtime.models import Bundle

LEVELS = (2, 3, 16)
SHAPE = (4, 5, 6)


def test_counted_symbols_are_those_that_are_sent() -> None:
    """What the codec gives back for each value is the middle of the level that was counted."""
    rng = np.random.default_rng(0)
    latents = rng.normal(0, 1, (2, *SHAPE)).astype(np.float32)
    latents[1, 3] = 0
    steps = rng.uniform(0.3, 1.5, (len(LEVELS), SHAPE[0])).astype(np.float32)
    counts = count_symbols(latents, LEVELS, steps)
    codec = LatentCodec.load(make_tables(SHAPE, LEVELS, steps, counts))
    for encoders, at in np.ndindex(2, len(LEVELS)):
        sent = codec.decode(codec.encode(latents[encoders], encoders + 1, LEVELS[at]))
        symbols = np.rint(sent / steps[at][:, None, None] + (LEVELS[at] - 1) / 2).astype(int)
        for channel in range(SHAPE[0]):
            wanted = np.bincount(symbols[channel].ravel(), minlength=16)
            np.testing.assert_array_equal(counts[encoders, at, channel], wanted)


@pytest.mark.parametrize("family", ["ensemble", "widths"])
def test_tables_fit_the_photos(latent_bundle: Bundle, family: str) -> None:
    """Payloads of dark photos are smaller with tables of dark photos than with those of bright ones."""
    spec = latent_bundle.latent(family)
    models = [open_model(latent_bundle, latent_bundle.model("edge", name)) for name in spec.encoders]
    combined = (lambda parts: parts.cumsum(axis=0)) if spec.sums else (lambda parts: parts)
    encoders = LatentEncoders(models, combined, (127.0,) * 3, (128.0,) * 3)
    rng = np.random.default_rng(0)
    shape = (8, latent_bundle.frame.size, latent_bundle.frame.size, 3)
    dark, bright = rng.integers(0, 60, shape, np.uint8), rng.integers(200, 256, shape, np.uint8)
    latent = encoders.latents(dark[0])
    steps = np.full((1, latent.shape[1]), 0.75, np.float32)
    sizes = []
    for photos in (dark, bright):
        codec = LatentCodec.load(latent_tables(encoders, photos, (16,), steps))
        assert (codec.encoders, codec.shape) == (len(spec.encoders), latent.shape[1:])
        sizes.append(len(codec.encode(latent[-1], len(latent), 16)))
    assert sizes[0] < sizes[1]
