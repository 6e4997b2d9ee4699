"""Tests of server_ref.asking: which patches are worth a second round."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import ArgumentError
from server_ref.asking import recovery_uncertainty, wanted_patches


@pytest.fixture
def attention() -> np.ndarray:
    """Two heads over the class token and 3 × 3 patches; their mean favours patches 8, 7, 6 and so on."""
    scores = np.arange(10, dtype=np.float32)
    scores[0] = 100.0  # the class token's own, which does not count
    heads = np.stack([scores * 0.5, scores * 1.5])
    return heads / heads.sum(axis=1, keepdims=True)


def flat(colours: list[float]) -> np.ndarray:
    """Patches of 2 × 2 pixels, each of one grey."""
    return np.broadcast_to(np.array(colours, np.float32)[:, None, None, None], (len(colours), 3, 2, 2))


def indices(*chosen: int) -> np.ndarray:
    """As kernels give them."""
    return np.array(chosen, np.uint16)


GREY = flat([1.0] * 9)


def test_the_most_attended_of_the_missing(attention: np.ndarray) -> None:
    """What is visible is not asked for, however much it is attended to."""
    wanted = wanted_patches(attention, GREY, indices(0, 7), 3)
    assert wanted.dtype == np.uint16
    assert wanted.tolist() == [5, 6, 8]


def test_no_more_than_are_missing(attention: np.ndarray) -> None:
    """Whoever allows a hundred is asked for what there is."""
    assert wanted_patches(attention, GREY, indices(0, 1, 2, 3, 4, 5), 100).tolist() == [6, 7, 8]


def test_doubt_outweighs_attention_as_far_as_its_weight_goes(attention: np.ndarray) -> None:
    """With a weight, a patch unlike its surroundings is asked for before one that is attended to a little more."""
    patches = flat([1, 1, 1, 1, 1, 9, 1, 1, 1])
    assert wanted_patches(attention, patches, indices(0, 4), 1).tolist() == [8]
    assert wanted_patches(attention, patches, indices(0, 4), 1, uncertainty_weight=1.0).tolist() == [5]


def test_attention_that_is_none(attention: np.ndarray) -> None:
    """It is refused rather than sorted."""
    attention[0, 3] = np.nan
    with pytest.raises(ArgumentError, match="attention"):
        wanted_patches(attention, GREY, indices(0), 1)


def test_uncertainty_is_relative_to_the_nearest_visible_patches() -> None:
    """Two visible corners of different greys: what lies between both is compared with their mean."""
    patches = flat([2, 2, 5, 2, 4, 6, 0, 6, 6])
    found = recovery_uncertainty(patches, indices(0, 8), indices(1, 2, 3, 4, 5, 6, 7))
    # Differences from 2 near patch 0, from 6 near patch 8, from 4 where both are as near.
    assert found == pytest.approx(np.array([0, 1, 0, 0, 0, 4, 0]) / 4)
    assert found.dtype == np.float32


def test_a_plain_surface_leaves_no_doubt() -> None:
    """Nothing differs, and nothing is divided by nothing."""
    assert recovery_uncertainty(GREY, indices(0), indices(1, 8)).tolist() == [0, 0]
