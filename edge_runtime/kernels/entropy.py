"""How sure a classifier is, from its logits.

Probabilities are the softmax of the logits; entropies are in bits. Logits of any finite size are safe; −inf
means probability 0. Results are within 4 units in the last place of float32 of the true value, and have the same
bits in every backend: exp and log2 are this project's own polynomials, evaluated in double in a fixed order.
Source: Im et al., "Attention-aware semantic communications", for the three measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.kernels import checks, dispatch

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32


class Uncertainty(NamedTuple):
    """min_entropy −log2 max p and shannon −Σ p log2 p in bits, margin p(1) − p(2), label the lowest best class."""

    min_entropy: float
    shannon: float
    margin: float
    label: int


def uncertainty(logits: F32) -> Uncertainty:
    """All measures of float32[classes] in one pass over the exponentials.

    With one class the entropies are 0 and the margin is 1. Raises ArgumentError for NaN, +inf, or nothing finite.
    """
    checks.array("logits", logits, np.float32, ("classes",))
    label, min_entropy, shannon, margin = dispatch.active.uncertainty(logits)
    if label < 0:
        checks.refuse_logits(logits)
    return Uncertainty(min_entropy, shannon, margin, label)


def softmax(logits: F32) -> F32:
    """Probabilities float32[classes] of float32[classes]. Raises ArgumentError as `uncertainty` does."""
    checks.array("logits", logits, np.float32, ("classes",))
    out = np.empty_like(logits)
    if dispatch.active.softmax(logits, out) < 0:
        checks.refuse_logits(logits)
    return out
