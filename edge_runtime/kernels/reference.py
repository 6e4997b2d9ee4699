"""The kernels in NumPy: the floor that always works, and the oracle the others are compared with.

Written for plainness, not speed. Sums that must have the same bits everywhere go through `cumsum`, which adds
strictly in order; `numpy.sum` adds in pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.kernels import constants as c
from edge_runtime.kernels import reference_rans
from edge_runtime.kernels.composition import compose_gate
from edge_runtime.kernels.interface import BackendInfo, Status
from edge_runtime.kernels.reference_features import FeatureCoder
from edge_runtime.kernels.reference_latents import LatentCoder
from edge_runtime.kernels.reference_sampling import grid_ranks, splitmix32

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels.feature_plan import FeaturePlan
    from edge_runtime.kernels.interface import F32, I32, U8, U16, GateBinder, GateBuffers, GatePlan
    from edge_runtime.kernels.latents import LatentPlan

    F64 = NDArray[np.float64]


def info() -> BackendInfo:
    """See `interface.Backend`."""
    return BackendInfo("reference", "numpy", dict.fromkeys(c.KERNELS, "reference"))


# Pictures


def _resample(lines: NDArray[np.uint8], bounds: I32, weights: I32) -> NDArray[np.uint8]:
    """Filter along axis 0."""
    total = np.full((len(bounds), *lines.shape[1:]), 1 << (c.PRECISION_BITS - 1), np.int32)
    for tap in range(weights.shape[1]):
        # Beyond a pixel's own taps the weight is zero: any line in range will do.
        source = np.minimum(bounds[:, 0] + tap, len(lines) - 1)
        total += lines[source] * weights[:, tap].reshape(-1, *[1] * (lines.ndim - 1))
    return np.clip(total >> c.PRECISION_BITS, 0, 255).astype(np.uint8)


def resample_horizontal(image: U8, bounds: I32, weights: I32, out: U8) -> None:
    """See `interface.Backend`."""
    out[:] = _resample(image.swapaxes(0, 1), bounds, weights).swapaxes(0, 1)


def resample_vertical(image: U8, bounds: I32, weights: I32, out: U8) -> None:
    """See `interface.Backend`."""
    out[:] = _resample(image, bounds, weights)


def normalise(image: U8, table: F32, out: F32) -> None:
    """See `interface.Backend`."""
    for channel in range(3):
        out[channel] = table[channel][image[:, :, channel]]


# Attention


def _lane_sum(values: F64) -> float:
    """Sum in four lanes, element i into lane i % 4, then (0 + 1) + (2 + 3)."""
    lanes = np.zeros((-(-len(values) // 4), 4))
    lanes.reshape(-1)[: len(values)] = values
    a, b, d, e = lanes.cumsum(axis=0)[-1]
    return float((a + b) + (d + e))


def _renormalise(values: F32) -> int:
    with np.errstate(invalid="ignore", over="ignore"):
        total = _lane_sum(values.astype(np.float64))
    if not 0.0 < total < np.inf:
        return Status.BAD_ATTENTION
    values[:] = (values.astype(np.float64) * (1.0 / total)).astype(np.float32)
    return Status.OK


def class_attention(attention: F32, out: F32) -> int:
    """See `interface.Backend`."""
    with np.errstate(invalid="ignore", over="ignore"):
        out[:] = attention[:, 1:].astype(np.float64).cumsum(axis=0)[-1]
    return _renormalise(out)


def rollout(attention: F32, out: F32) -> int:
    """See `interface.Backend`."""
    heads = attention.shape[1]
    row = np.zeros(attention.shape[2])
    row[0] = 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        for layer in attention[::-1]:
            read = np.flatnonzero(row)
            summed = layer[:, read].astype(np.float64).cumsum(axis=0)[-1]
            row = row + (row[read, None] * summed).cumsum(axis=0)[-1] / heads
        out[:] = row[1:]
    return _renormalise(out)


# Selection


def select_random(count: int, k: int, seed: int, out: U16) -> int:
    """See `interface.Backend`."""
    kept = 0
    for index, bits in enumerate(splitmix32(seed, np.arange(1, count + 1)).tolist()):
        if (bits * (count - index)) >> 32 < k - kept:
            out[kept] = index
            kept += 1
    return kept


def sample_grid(rows: int, columns: int, k: int, seed: int, jittered: bool, out: U16) -> int:
    """See `interface.Backend`."""
    return _keep(np.argsort(grid_ranks(rows, columns, seed, jittered))[:k], out)


def _valid(scores: F32) -> bool:
    return bool(((scores >= 0) & (scores <= 1)).all())


def _keep(order: NDArray[np.int64], out: U16) -> int:
    out[: len(order)] = np.sort(order)
    return len(order)


def _descending(scores: F32) -> NDArray[np.int64]:
    return np.argsort(-scores, kind="stable")


def select_top_k(scores: F32, k: int, out: U16) -> int:
    """See `interface.Backend`."""
    if not _valid(scores):
        return Status.BAD_SCORES
    return _keep(_descending(scores)[:k], out)


def select_threshold(scores: F32, delta: float, out: U16) -> int:
    """See `interface.Backend`."""
    if not _valid(scores):
        return Status.BAD_SCORES
    kept = np.flatnonzero(scores.astype(np.float64) >= delta)
    return _keep(kept if kept.size else _descending(scores)[:1], out)


def select_sum(scores: F32, delta: float, include_crossing: bool, out: U16) -> int:
    """See `interface.Backend`."""
    if not _valid(scores):
        return Status.BAD_SCORES
    order = _descending(scores)
    weights = (scores.astype(np.float64) * 2.0**32).astype(np.uint64)
    reached = weights[order].cumsum()
    target = np.uint64(delta * float(reached[-1]))
    below = int(np.searchsorted(reached, target, side="right"))
    return _keep(order[: below + 1 if include_crossing else max(below, 1)], out)


# Entropy


def _expm1_parts(x: F64) -> tuple[F64, F64]:
    """(q, s) with e^x = s (1 + q), s a power of two, |x| at most EXP_LIMIT."""
    shifted = x * c.LOG2_E + c.ROUND_TO_INTEGER
    k = shifted - c.ROUND_TO_INTEGER
    r = (x - k * c.LN2_HIGH) - k * c.LN2_LOW
    p = np.full_like(r, c.EXP[0])
    for coefficient in c.EXP[1:]:
        p = p * r + coefficient
    return p * r, np.ldexp(1.0, k.astype(np.int32))


def _log2_1p(x: float) -> float:
    """log2(1 + x) for x ≥ 0, relatively exact for small x."""
    if x < c.SQRT2_MINUS_1:
        exponent, z = 0, x / (2.0 + x)
    else:
        mantissa, exponent = np.frexp(1.0 + x)
        if mantissa < c.SQRT_HALF:
            mantissa, exponent = mantissa * 2.0, exponent - 1
        z = (mantissa - 1.0) / (mantissa + 1.0)
    square = z * z
    p = c.ATANH[0]
    for coefficient in c.ATANH[1:]:
        p = p * square + coefficient
    return float(exponent + (z * p) * c.TWO_LOG2_E)


def _distances(logits: F32, label: int) -> F64:
    """How far below the best each other class is; the best itself and the padding count as EXP_LIMIT."""
    padded = np.full(-(-len(logits) // c.LANES) * c.LANES, -np.inf)
    padded[: len(logits)] = logits
    padded[label] = -np.inf
    return np.minimum(float(logits[label]) - padded, c.EXP_LIMIT)


def _label(logits: F32) -> int:
    if np.isnan(logits).any():
        return Status.BAD_LOGITS
    label = int(np.argmax(logits))
    return label if np.isfinite(logits[label]) else Status.BAD_LOGITS


def uncertainty(logits: F32) -> tuple[int, float, float, float]:
    """See `interface.Backend`."""
    label = _label(logits)
    if label < 0:
        return label, 0.0, 0.0, 0.0
    distances = _distances(logits, label)
    q, scale = _expm1_parts(-distances)
    exponentials = scale + scale * q
    rest = _lane_sum(exponentials)
    spread = _lane_sum(exponentials * distances)
    min_entropy = _log2_1p(rest)
    total = 1.0 + rest
    shannon = min_entropy + spread * c.LOG2_E / total
    nearest = int(np.argmin(distances))
    gap = (1.0 - scale[nearest]) - scale[nearest] * q[nearest]
    return label, float(np.float32(min_entropy)), float(np.float32(shannon)), float(np.float32(gap / total))


def softmax(logits: F32, out: F32) -> int:
    """See `interface.Backend`."""
    label = _label(logits)
    if label < 0:
        return label
    q, scale = _expm1_parts(-_distances(logits, label))
    exponentials = scale + scale * q
    inverse = 1.0 / (1.0 + _lane_sum(exponentials))
    out[:] = exponentials[: len(logits)] * inverse
    out[label] = inverse
    return label


# Patches


def _grid(image: U8, patch: int) -> U8:
    """View of the picture as [rows, columns, patch, patch, 3]."""
    height, width = image.shape[:2]
    return image.reshape(height // patch, patch, width // patch, patch, 3).swapaxes(1, 2)


def gather(image: U8, indices: U16, patch: int, out: U8) -> int:
    """See `interface.Backend`."""
    grid = _grid(image, patch)
    if (indices >= grid.shape[0] * grid.shape[1]).any():
        return Status.BAD_INDEX
    out[:] = grid[indices // grid.shape[1], indices % grid.shape[1]]
    return Status.OK


def scatter(patches: U8, indices: U16, image: U8) -> int:
    """See `interface.Backend`."""
    grid = _grid(image, patches.shape[1])
    if (indices >= grid.shape[0] * grid.shape[1]).any():
        return Status.BAD_INDEX
    for patch, index in zip(patches, indices.tolist(), strict=True):
        grid[divmod(index, grid.shape[1])] = patch
    return Status.OK


def pack_bitmap(indices: U16, count: int, out: U8) -> int:
    """See `interface.Backend`."""
    if (indices >= count).any() or (indices[1:] <= indices[:-1]).any():
        return Status.BAD_INDEX
    flags = np.zeros(count, np.uint8)
    flags[indices] = 1
    out[:] = np.packbits(flags, bitorder="little")
    return Status.OK


def unpack_bitmap(bits: U8, count: int, out: U16) -> int:
    """See `interface.Backend`."""
    flags = np.unpackbits(bits, bitorder="little")
    if flags[count:].any():
        return Status.BAD_PADDING
    indices = np.flatnonzero(flags)
    out[: len(indices)] = indices
    return len(indices)


def gate(plan: GatePlan, buffers: GateBuffers) -> GateBinder:
    """See `interface.Backend`."""
    from edge_runtime.kernels import reference

    return compose_gate(reference, plan, buffers)


# Feature maps and latents


def feature_coder(plan: FeaturePlan) -> FeatureCoder:
    """See `interface.Backend`."""
    return FeatureCoder(plan)


def rans_encode(values: I32, tables: U8, shifts: U8, histograms: U16, out: U8) -> int:
    """See `interface.Backend`."""
    data = reference_rans.encode(values, tables.astype(np.int64), shifts.astype(np.int64), histograms)
    if len(data) > len(out):
        return Status.BAD_SIZE
    out[: len(data)] = np.frombuffer(data, np.uint8)
    return len(data)


def rans_decode(data: U8, tables: U8, shifts: U8, histograms: U16, out: I32) -> int:
    """See `interface.Backend`."""
    try:
        stream = reference_rans.Decoder(data.tobytes(), histograms)
        out[:] = stream.values(tables.astype(np.int64), shifts.astype(np.int64))
    except reference_rans.BadStream:
        return Status.BAD_STREAM
    return Status.OK


def latent_coder(plan: LatentPlan) -> LatentCoder:
    """See `interface.Backend`."""
    return LatentCoder(plan)
