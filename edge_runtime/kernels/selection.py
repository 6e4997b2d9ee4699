"""Which patches are worth sending.

Scores are float32[n] in 0..1, as `class_attention` and `rollout` return them. A selection is an ascending
uint16 array, never empty: when a rule keeps nothing, the best patch is kept. Equal scores are taken in order of
their index. Sums are exact: a score s weighs ⌊s · 2^32⌋, so the set does not depend on the order of additions.
Source: Im et al., "Attention-aware semantic communications", section on patch selection; exact weights, ties and
the generator of `select_random` are this project's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.kernels import checks, dispatch

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32, U16


def select_random(count: int, k: int, seed: int) -> U16:
    """k of `count` patches, each set equally likely up to the generator; the same on every CPU for one 32-bit seed."""
    checks.integer("count", count, 1, checks.MAX_PATCHES)
    checks.integer("k", k, 1, count)
    checks.integer("seed", seed, 0, 2**32 - 1)
    out = np.empty(count, np.uint16)
    return out[: dispatch.active.select_random(count, k, seed, out)]


def select_top_k(scores: F32, k: int) -> U16:
    """The k patches with the highest scores. Raises ArgumentError, also when there are fewer than k patches."""
    out = _prepare(scores)
    checks.integer("k", k, 1, len(scores))
    return _finish(dispatch.active.select_top_k(scores, k, out), scores, out)


def select_threshold(scores: F32, delta: float) -> U16:
    """Patches whose score is at least delta. Raises ArgumentError."""
    out = _prepare(scores)
    checks.share("delta", delta)
    return _finish(dispatch.active.select_threshold(scores, delta, out), scores, out)


def select_sum(scores: F32, delta: float, include_crossing: bool = True) -> U16:
    """The highest-scored patches until their sum first exceeds `delta` times the sum of all.

    The patch that crosses is included by default: the paper's text says so, the promised share is then really
    sent, and the set cannot be empty. The published code leaves it out: `include_crossing=False`. A delta of 1, or
    scores that are all zero, keep every patch. Raises ArgumentError.
    """
    out = _prepare(scores)
    checks.share("delta", delta)
    return _finish(dispatch.active.select_sum(scores, delta, include_crossing, out), scores, out)


def _prepare(scores: F32) -> U16:
    checks.array("scores", scores, np.float32, ("n",))
    checks.integer("len(scores)", len(scores), 1, checks.MAX_PATCHES)
    return np.empty(len(scores), np.uint16)


def _finish(kept: int, scores: F32, out: U16) -> U16:
    if kept < 0:
        checks.refuse_scores(scores)
    return out[:kept]
