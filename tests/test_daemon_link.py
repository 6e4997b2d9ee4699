"""The daemon and a bad link: a few cuts, a dead server and its return, as the benchmarks have them by the hundred."""

from __future__ import annotations

import daemon_link
import daemon_soak
import numpy as np
import pytest
from PIL import Image

from edge_runtime.codecs import image

pytestmark = pytest.mark.host  # processes, and deadlines of half a second


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    """Smooth JPEGs; nobody could classify them, which is fine here."""
    random = np.random.default_rng(0)
    coarse = [Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)) for _ in range(8)]
    return [image.encode(np.asarray(one.resize((320, 240), Image.Resampling.BICUBIC))) for one in coarse]


@pytest.mark.parametrize(
    "system", ["attention", *(pytest.param(one, marks=pytest.mark.long) for one in ("amot", "slimmable", "bps"))]
)
def test_a_cut_link_costs_no_frame(photos: list[bytes], system: str) -> None:
    """Each frame has one answer, whoever gives it; the server is asked again once the link is back."""
    found = daemon_link.cuts(system, photos, 4)
    assert found["frames"] > 10
    assert (found["not_answered"], found["answered_twice"]) == (0, 0)
    assert sum(found["decided_by"].values()) == found["frames"]
    assert set(found["decided_by"]) <= {"edge", "server", "edge-fallback", "best-effort"}
    if system != "bps":  # the scheduler may find the device quicker
        assert found["decided_by"]["server"] > 0


def test_a_dead_server_is_not_asked(photos: list[bytes]) -> None:
    """Every system answers, and is held against the network that answers for its server."""
    found = daemon_link.dead_server(photos, 2)
    assert found["frames"] == 2
    for system in daemon_link.SYSTEMS:
        assert found[system]["alone"] == daemon_link.ANSWERS_ALONE[system]
        assert found[system]["alone_ms"] > 0


@pytest.mark.long
def test_a_server_that_returns_is_found(photos: list[bytes]) -> None:
    """By a probe, without a frame's help."""
    found = daemon_link.recovery(photos, 1)
    assert found["times"] == 1
    assert found["median"] == found["most"] > 0


@pytest.mark.long
def test_half_a_minute_of_everything_loses_nothing(photos: list[bytes]) -> None:
    """Cuts, silences, reloads, and a receiver that is away at times: each frame is at both sinks, once."""
    found = daemon_soak.soak(photos, 30.0)
    assert sum(found["troubles"].values()) > 4
    assert (found["not_answered"], found["answered_twice"], found["not_at_receiver"]) == (0, 0, 0)
    assert found["errors"] == []
    assert len(found["samples"]["at_s"]) == 3
