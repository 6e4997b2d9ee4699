"""Why an answer is what it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.reasons import REASONS
from edge_runtime.messages import Answer, Mode


@pytest.mark.parametrize(
    ("system", "answer", "why"),
    [
        (config.Attention, {"min_entropy": 0.125}, "the device was sure: min-entropy 0.12 bits"),
        (config.Attention, {"decided_by": "server", "min_entropy": 1.5}, "the device was not sure: min-entropy 1.50"),
        (config.Attention, {"decided_by": "edge-fallback", "note": "s: cut"}, "s: cut"),
        (config.Amot, {"rounds": 2}, "the server asked for more"),
        (config.Amot, {"rounds": 1}, "the server was sure at once"),
        (config.Amot, {"note": "s: cut"}, "s: cut"),
        (config.Slimmable, {"mode": Mode(3, 4)}, "3 encoders, 4 levels"),
        (config.Slimmable, {"note": "s: cut"}, "s: cut"),
        (config.Bps, {"note": "plan remote(4)"}, "plan remote(4)"),
        (config.Local, {}, "the device answers every frame"),
        (config.Remote, {}, "the server answers every frame"),
        (config.Remote, {"note": "s: cut"}, "s: cut"),
    ],
)
def test_an_answer_is_explained(system: type[config.System], answer: dict[str, Any], why: str) -> None:
    """In words, by what each system decides by."""
    given = {"probabilities": np.ones(1, np.float32), "label": 0, "decided_by": "edge", "min_entropy": 0.0} | answer
    assert REASONS[system](Answer(**given)).startswith(why)
