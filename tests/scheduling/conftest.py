"""Tables as a profile of the zoo's EfficientNet-Lite0 gives them, rounded, so that expectations can be worked out."""

from __future__ import annotations

import pytest

from edge_runtime.scheduling.tables import FORMAT, Level, Origin, Site, Tables

BATCHES = (1, 2, 4, 8, 16, 32)


def times(one_ms: float) -> dict[int, float]:
    """Runs that grow with the batch, each with a millisecond of their own."""
    return {batch: (1 + (one_ms - 1) * batch) / 1e3 for batch in BATCHES}


def site(cut: str, before_ms: float, after_ms: float, codec: str, sizes: dict[int, tuple[int, float]]) -> Site:
    """A site whose levels have the qualities of ``sizes``, with bytes and loss; and, at a cut, the uncompressed two."""
    levels = [Level(codec, quality, size, 2e-4, 2e-4, loss, 1e-3) for quality, (size, loss) in sizes.items()]
    if cut:
        levels += [Level("half", 16, 40_000, 1e-4, 1e-4, 0, 0), Level("uniform", 8, 12_000, 5e-4, 5e-4, 0, 0)]
    return Site(cut, times(before_ms) if before_ms else {}, times(after_ms), tuple(levels))


@pytest.fixture(scope="session")
def tables() -> Tables:
    """A device and a server of equal speed, 200 frames a second each, and three places to leave the network."""
    return Tables(
        format=FORMAT,
        bundle_hash="0" * 64,
        network="net",
        origin=Origin("a device", "a server", "onnxruntime", "fp16", 1, "2026-01-01", 1000, "0.1.0"),
        local_s=times(5),
        sites=(
            site("", 0, 5, "jpeg", {10: (3000, 0.05), 30: (5500, 0.008), 75: (10_000, 0.0)}),
            site("early", 1.5, 4, "ff", {10: (1000, 0.03), 40: (2000, 0.005), 70: (4000, 0.0)}),
            site("late", 3.7, 1.5, "ff", {10: (700, 0.004), 40: (1200, 0.001), 70: (2500, 0.0)}),
        ),
        request_s=5e-4,
        serving_s=5e-4,
        request_bytes=200,
        reply_bytes=120,
        bandwidth=1e6,
        round_trip_s=0.02,
        largest_batch=32,
    )
