"""Temperatures, by visible patches, that make answers as often right as they say (Guo et al., ICML 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.control.rounds import Temperatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

# Where every answer is right, the best temperature would be 0; where answers say nothing, infinite.
LEAST, MOST = 0.05, 20.0
HALVINGS = 40


def fit_temperatures(
    logits: F64, labels: NDArray[np.int64], visible: NDArray[np.int64], counts: Sequence[int]
) -> Temperatures:
    """Those at ``counts`` with the smallest negative log-likelihood of ``labels [n]``, given ``logits [n, classes]``.

    ``visible [n]`` are the patches that each answer saw. An answer between two counts weighs for either by how near it
    is, as the temperature that it will get is on the line between theirs. ``counts`` ascend.
    """
    values = []
    for place in range(len(counts)):
        hat = np.interp(visible, counts, np.eye(len(counts))[place])
        near = hat > 0
        values.append(_fit(logits[near], labels[near], hat[near]))
    return Temperatures(tuple(counts), tuple(round(value, 4) for value in values))


def _fit(logits: F64, labels: NDArray[np.int64], weights: F64) -> float:
    """By bisection: the likelihood's slope falls as 1 / temperature grows."""
    cold, hot = 1 / LEAST, 1 / MOST
    for _ in range(HALVINGS):
        middle = np.sqrt(cold * hot)
        if _slope(logits, labels, weights, middle) > 0:
            hot = middle
        else:
            cold = middle
    return float(1 / np.sqrt(cold * hot))


def _slope(logits: F64, labels: NDArray[np.int64], weights: F64, factor: float) -> float:
    """Of the log-likelihood, where logits are multiplied by ``factor``: the right logit over the expected one."""
    expected = (softmax(logits * factor) * logits).sum(axis=1)
    right = np.take_along_axis(logits, labels[:, np.newaxis], axis=1)[:, 0]
    return float(weights @ (right - expected))


def softmax(logits: F64) -> F64:
    """Probabilities along the last axis."""
    grown = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: F64 = grown / grown.sum(axis=-1, keepdims=True)
    return probabilities
