"""The channel transform of the feature codec, in the integers that the kernels compute with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exporters.calibration.sensitivity import Sensitivity

# Of the mean sensitivity; what the probes saw no effect of still gets some bits.
FLOOR = 0.1
# Of 32,767, on the calibration maps: what photos unlike those need more is saturated.
LARGEST_COEFFICIENT = 7000.0
LARGEST_INPUT = 7000.0
LARGEST_COMPONENT = 4000.0
LARGEST_SUM = 65000.0
UNIT = 1 << 14
FINEST, FINEST_DB = 100, 56.0
"""The finest quality, and its signal over noise, both in the metric of the answer."""


class ChannelTransform(NamedTuple):
    """The arrays of `FeatureTables` by the same names; those by frequency are in raster order."""

    block: int
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    unscale: NDArray[np.float32]
    forward: NDArray[np.int16]
    inverse: NDArray[np.int16]
    step_exponent: NDArray[np.int64]
    gain: NDArray[np.int64]
    magnitude: NDArray[np.int64]


def quantised_basis(basis: NDArray[np.float64]) -> NDArray[np.int16]:
    """An orthonormal basis in units of 2^-14."""
    quantised: NDArray[np.int16] = np.rint(basis * UNIT).astype(np.int16)
    return quantised


def channel_transform(
    maps: NDArray[np.float32], sensitivity: Sensitivity, basis: NDArray[np.float64]
) -> ChannelTransform:
    """Decorrelate channels in the metric of the answer, and give every coefficient the step that costs it equally."""
    block = len(basis)
    mean = maps.mean(axis=(0, 2, 3), dtype=np.float64).astype(np.float32)
    centred = maps.astype(np.float64) - mean[:, None, None]
    coefficients = transform_blocks(centred, basis)  # [N, C, K, blocks]
    scale = _input_scale(centred, coefficients)
    coefficients *= scale[:, None, None]
    grams = sensitivity.grams / np.outer(scale, scale)
    forward = _forward(coefficients, grams, sensitivity.band, scale)
    backward = np.linalg.inv(forward.astype(np.float64))
    components = np.einsum("dc,nckb->ndkb", forward.astype(np.float64), coefficients, optimize=True)
    weights = _weights(backward, grams, sensitivity.band)
    step_exponent = _steps(components, weights)
    gain = np.ceil(8 * np.log2(np.maximum(np.abs(components).max(axis=(0, 2, 3)), 1) / LARGEST_COMPONENT))
    restored = np.abs(coefficients).max(axis=(0, 2, 3))
    inverse, back = _inverse(backward * 2.0 ** (gain / 8), restored)
    magnitude = np.abs(components).mean(axis=(0, 3)).T  # [K, D]
    return ChannelTransform(
        block=block,
        mean=mean,
        scale=scale.astype(np.float32),
        unscale=(back / scale).astype(np.float32),
        forward=forward,
        inverse=inverse,
        step_exponent=step_exponent,
        gain=gain.astype(np.int64),
        magnitude=np.rint(8 * np.log2(magnitude + 1e-9)).astype(np.int64) - step_exponent,
    )


def transform_blocks(maps: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps [N, C, H, W], padded by their edges, to coefficients [N, C, K, blocks], frequencies in raster order."""
    block = len(basis)
    count, channels, height, width = maps.shape
    rows, columns = -(-height // block), -(-width // block)
    padding = ((0, 0), (0, 0), (0, rows * block - height), (0, columns * block - width))
    grid = np.pad(maps, padding, mode="edge").reshape(count, channels, rows, block, columns, block)
    coefficients = np.einsum("ki,ncrisj,lj->ncklrs", basis, grid, basis, optimize=True)
    return np.ascontiguousarray(coefficients.reshape(count, channels, block * block, rows * columns))


def _input_scale(centred: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Per channel, so that neither values nor coefficients leave 16 bits on maps like these."""
    by_value = LARGEST_INPUT / np.maximum(np.abs(centred).max(axis=(0, 2, 3)), 1e-6)
    by_coefficient = LARGEST_COEFFICIENT / np.maximum(np.abs(coefficients).max(axis=(0, 2, 3)), 1e-6)
    # Rounded as it will be stored: everything after works on these very numbers.
    stored: NDArray[np.float64] = np.minimum(by_value, by_coefficient).astype(np.float32).astype(np.float64)
    return stored


def _forward(
    coefficients: NDArray[np.float64], grams: NDArray[np.float64], band: NDArray[np.int64], scale: NDArray[np.float64]
) -> NDArray[np.int16]:
    """Rows are components, the most important first: KLT in the metric of the answer, as 16-bit integers."""
    channels = len(scale)
    covariance = np.einsum("nckb,ndkb->cd", coefficients, coefficients, optimize=True)
    covariance /= coefficients.size / channels
    gram = np.einsum("k,kcd->cd", np.bincount(band) / len(band), grams)
    # The floor is the same in the network's own units, whatever a channel was scaled by.
    raw = np.trace(gram * np.outer(scale, scale)) / channels
    gram = (1 - FLOOR) * gram + FLOOR * np.diag(raw / scale**2)
    values, vectors = np.linalg.eigh(gram)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    _, rotation = np.linalg.eigh(root @ covariance @ root)
    exact = rotation[:, ::-1].T @ root
    factor = np.minimum(LARGEST_SUM / np.abs(exact).sum(axis=1), 32767 / np.abs(exact).max(axis=1))
    rows: NDArray[np.int16] = np.rint(exact * factor[:, None]).astype(np.int16)
    return rows


def _weights(
    inverse: NDArray[np.float64], grams: NDArray[np.float64], band: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How much one unit of a component's coefficient moves the logits, [K, C]."""
    energy = np.stack([np.einsum("cd,ce,ed->d", inverse, gram, inverse, optimize=True) for gram in grams])
    usual = np.einsum("k,kd->d", np.bincount(band) / len(band), energy)
    # No band of a component is taken to matter much less than the component does.
    weights: NDArray[np.float64] = np.sqrt((1 - FLOOR) * energy + FLOOR * usual)[band]
    return weights


def _steps(components: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Step exponents [K, C] at quality 0, in eighths of octaves: equal noise in the metric of the answer."""
    signal = ((components * weights.T[None, :, :, None]) ** 2).mean()
    unit = np.sqrt(12 * signal / 10 ** (FINEST_DB / 10))
    exponents: NDArray[np.int64] = np.rint(8 * np.log2(unit / np.maximum(weights, 1e-30))).astype(np.int64)
    return exponents + FINEST


def _inverse(exact: NDArray[np.float64], largest: NDArray[np.float64]) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Rows are channels, in units of 2^-14; also how many scaled units one unit of the result stands for."""
    factor = np.minimum(LARGEST_SUM / np.abs(exact).sum(axis=1), 32767 / np.abs(exact).max(axis=1))
    factor = np.minimum(factor, LARGEST_COEFFICIENT * UNIT / np.maximum(largest, 1.0))
    return np.rint(exact * factor[:, None]).astype(np.int16), UNIT / factor
