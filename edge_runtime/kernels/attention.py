"""Patch scores from a vision transformer's attention.

Both functions return float32[tokens-1], one score per patch in row-major order, not negative and with sum 1 when
the input is softmax output. Token 0 is the class token. Source: Im et al., "Attention-aware semantic
communications", equations 3 and 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import ArgumentError
from edge_runtime.kernels import checks, dispatch

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32

# One class token and as many patches as an index can name.
MAX_TOKENS = checks.MAX_PATCHES + 1


def class_attention(attention: F32) -> F32:
    """Mean attention score: heads averaged, class column dropped, renormalised.

    `attention` is float32[heads, tokens], the class token's row of the last layer. Raises ArgumentError.
    """
    checks.array("attention", attention, np.float32, ("heads", "tokens"))
    tokens = attention.shape[1]
    checks.integer("attention.shape[1]", tokens, 2, MAX_TOKENS)
    out = np.empty(tokens - 1, np.float32)
    if dispatch.active.class_attention(attention, out) < 0:
        checks.refuse_attention(attention)
    return out


def rollout(attention: F32, layers: slice | None = None) -> F32:
    """Attention rollout: the class row of the product of (A + I) over layers, heads averaged first.

    `attention` is float32[layers, heads, tokens, tokens]; `layers` picks some of them, `slice(6, 12)` for the last
    six of twelve. Averaging heads before the product follows the paper's equation 4 (its published code averages
    after). Raises ArgumentError.
    """
    checks.array("attention", attention, np.float32, ("layers", "heads", "tokens", "tokens"))
    tokens = attention.shape[2]
    if attention.shape[3] != tokens:
        raise ArgumentError(f"attention: shape is {attention.shape}, the last two extents must be equal")
    checks.integer("attention.shape[2]", tokens, 2, MAX_TOKENS)
    chosen = attention if layers is None else np.ascontiguousarray(attention[layers])
    if not len(chosen):
        raise ArgumentError(f"layers: {layers} picks none of {len(attention)} layers")
    out = np.empty(tokens - 1, np.float32)
    if dispatch.active.rollout(chosen, out) < 0:
        checks.refuse_attention(chosen)
    return out
