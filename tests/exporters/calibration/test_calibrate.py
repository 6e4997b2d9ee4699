"""Calibration of the feature codec on a small network made by hand."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edge_runtime.codecs.feature_tables import Tables
from edge_runtime.codecs.features import FeatureCodec
from edge_runtime.kernels.reference_features import FeatureCoder
from exporters.calibration.calibrate import calibrate_maps, choose_block, dct_basis
from exporters.calibration.rates import restored_maps

# How much each of four channels, alike in all else, moves the logits.
IMPORTANCE = np.array([8.0, 2.0, 1.0, 0.5])


def make_maps(count: int, seed: int) -> np.ndarray:
    """Smooth independent channels of equal size, float32[count, 4, 8, 8]."""
    noise = np.random.default_rng(seed).standard_normal((count, 4, 10, 10))
    smooth = sum(noise[:, :, y : y + 8, x : x + 8] for y in range(3) for x in range(3)) / 3
    return smooth.astype(np.float32)


def suffix(maps: np.ndarray) -> np.ndarray:
    """A 2 × 2 convolution with stride 2 over weighted channels, a ReLU, and the means of quarters as logits."""
    kernel = np.random.default_rng(3).standard_normal((6, 4, 2, 2)) * IMPORTANCE[:, None, None]
    blocks = maps.reshape(len(maps), 4, 4, 2, 4, 2)
    hidden = np.maximum(np.einsum("ocij,ncyixj->noyx", kernel, blocks), 0)
    return hidden.reshape(len(maps), 6, 2, 2, 2, 2).mean(axis=(3, 5)).reshape(len(maps), -1).astype(np.float32)


@pytest.fixture(scope="module")
def calibrated() -> bytes:
    """Tables of maps [4, 8, 8]."""
    return calibrate_maps(make_maps(40, 0), suffix, rectified=False)


def test_tables_are_accepted(calibrated):
    """By the codec, which finds the maps' shape in them, and they are no larger than they need be."""
    tables = Tables(calibrated)

    assert tables.shape == (4, 8, 8)
    assert tables.plan.block == 8
    assert len(calibrated) < 8000


def test_calibration_can_be_repeated(calibrated):
    """The same maps give the same bytes: probing waves are seeded."""
    assert calibrated == calibrate_maps(make_maps(40, 0), suffix, rectified=False)


def test_important_channels_are_kept_better(calibrated):
    """At a middling quality a channel's error falls as its importance rises."""
    codec = FeatureCodec.load(calibrated)
    maps = make_maps(20, 1)
    restored = np.stack([codec.decode(codec.encode(features, 50)) for features in maps])
    errors = np.square(restored - maps).mean(axis=(0, 2, 3))

    assert 3 * errors[0] < errors[1] < errors[3]


def test_rates_rise_and_drifts_fall(calibrated):
    """From quality to quality, in the table for people and in that for rate control."""
    stored = Tables(calibrated).stored
    sizes = [point.bytes for point in stored.rates]
    drifts = [point.drift for point in stored.rates]

    assert sizes == sorted(sizes)
    assert drifts == sorted(drifts, reverse=True)
    assert (np.diff(Tables(calibrated).bytes_at.astype(int)) >= 0).all()


def test_sizes_are_those_of_payloads(calibrated):
    """Maps that were not calibrated on weigh, on average, nearly what the table says."""
    codec = FeatureCodec.load(calibrated)
    for quality in (30, 60, 90):
        mean = np.mean([len(codec.encode(features, quality)) for features in make_maps(20, 1)])
        assert mean == pytest.approx(float(codec.tables.bytes_at[quality]), rel=0.15, abs=8)


def test_the_drift_factor_holds_for_most(calibrated):
    """Logits of other maps move by less than the factor times the distance of the maps."""
    codec = FeatureCodec.load(calibrated)
    maps = make_maps(40, 1)
    restored = np.stack([codec.decode(codec.encode(features, 50)) for features in maps])
    moved = np.linalg.norm(suffix(restored) - suffix(maps), axis=1)
    distance = np.linalg.norm((restored - maps).reshape(len(maps), -1), axis=1)

    assert (moved <= codec.tables.stored.drift_factor * distance).mean() >= 0.9


def test_flat_maps():
    """A map of one position has blocks of one, and no classes."""
    maps = make_maps(40, 2)[:, :, :1, :1].copy()
    tables = Tables(calibrate_maps(maps, lambda batch: batch[:, :, 0, 0] * IMPORTANCE, rectified=False))

    assert (tables.shape, tables.plan.block, tables.plan.activity) == ((4, 1, 1), 1, False)


@pytest.mark.parametrize(
    ("size", "block"), [((56, 56), 8), ((14, 14), 7), ((28, 28), 7), ((12, 12), 4), ((10, 10), 2), ((9, 9), 1)]
)
def test_blocks_pad_as_little_as_they_can(size, block):
    """The larger of equals."""
    assert choose_block(*size) == block


@pytest.mark.parametrize("block", [1, 2, 4, 7, 8])
def test_the_basis_is_orthonormal(block):
    """Its rows are frequencies, the lowest first."""
    basis = dct_basis(block)
    assert basis @ basis.T == pytest.approx(np.eye(block), abs=1e-12)
    assert basis[0] == pytest.approx(np.full(block, block**-0.5))


def test_rectified_maps_get_floors() -> None:
    """What was zero is zero again, so a map keeps its sum, and the drift is less than without floors."""
    maps = np.maximum(make_maps(40, 3), 0)

    def pooled(batch: np.ndarray) -> np.ndarray:
        return batch.mean(axis=(2, 3))

    data = calibrate_maps(maps, pooled, rectified=True)
    floored = Tables(data)
    bare = Tables(msgspec.msgpack.encode(msgspec.structs.replace(floored.stored, floor=b"", floor_at=b"")))
    quality = 68
    drifts = []
    for tables in (floored, bare):
        restored = restored_maps(FeatureCoder(tables.plan), tables, maps[:8], quality)
        assert restored.min() == 0
        drifts.append(np.linalg.norm(pooled(restored) - pooled(maps[:8]), axis=1).mean())
    assert drifts[0] < drifts[1]
