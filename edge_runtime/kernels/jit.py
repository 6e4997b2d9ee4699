"""The kernels in Numba: for machines without a compiler that can afford Numba's start, and for experiments.

Loops repeat the order of additions of `csrc/*.h`. Nothing is compiled with fastmath, which would reorder them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from edge_runtime.kernels import constants as c
from edge_runtime.kernels import jit_rans
from edge_runtime.kernels.composition import compose_gate
from edge_runtime.kernels.interface import BackendInfo, Status
from edge_runtime.kernels.jit_compile import compiled
from edge_runtime.kernels.jit_features import FeatureCoder
from edge_runtime.kernels.jit_latents import LatentCoder

if TYPE_CHECKING:
    from edge_runtime.kernels.feature_plan import FeaturePlan
    from edge_runtime.kernels.interface import F32, I32, U8, U16, GateBinder, GateBuffers, GatePlan
    from edge_runtime.kernels.latents import LatentPlan

# Numba freezes module-level numbers into the code; an enum member it would refuse.
_BAD_LOGITS = int(Status.BAD_LOGITS)
_BAD_ATTENTION = int(Status.BAD_ATTENTION)
_BAD_SCORES = int(Status.BAD_SCORES)
_BAD_INDEX = int(Status.BAD_INDEX)
_BAD_PADDING = int(Status.BAD_PADDING)
_HALF = 1 << (c.PRECISION_BITS - 1)


def info() -> BackendInfo:
    """See `interface.Backend`."""
    return BackendInfo("jit", f"numba {numba.__version__}", dict.fromkeys(c.KERNELS, "jit"))


# Pictures


@compiled
def resample_horizontal(image: U8, bounds: I32, weights: I32, out: U8) -> None:
    """See `interface.Backend`."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            first = bounds[x, 0]
            for channel in range(3):
                total = np.int64(_HALF)
                for tap in range(bounds[x, 1]):
                    total += np.int64(image[y, first + tap, channel]) * np.int64(weights[x, tap])
                out[y, x, channel] = min(max(total >> c.PRECISION_BITS, 0), 255)


@compiled
def resample_vertical(image: U8, bounds: I32, weights: I32, out: U8) -> None:
    """See `interface.Backend`."""
    width = out.shape[1]
    total = np.empty((width, 3), np.int32)
    for y in range(out.shape[0]):
        total[:] = _HALF
        for tap in range(bounds[y, 1]):
            weight, row = weights[y, tap], bounds[y, 0] + tap
            for x in range(width):
                for channel in range(3):
                    total[x, channel] += np.int32(image[row, x, channel]) * weight
        for x in range(width):
            for channel in range(3):
                out[y, x, channel] = min(max(total[x, channel] >> c.PRECISION_BITS, 0), 255)


@compiled
def normalise(image: U8, table: F32, out: F32) -> None:
    """See `interface.Backend`."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            for channel in range(3):
                out[channel, y, x] = table[channel, image[y, x, channel]]


# Attention


@compiled
def _renormalise(values: F32) -> int:
    lanes = np.zeros(4)
    for i in range(len(values)):
        lanes[i % 4] += np.float64(values[i])
    total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    if not 0.0 < total < np.inf:
        return _BAD_ATTENTION
    inverse = 1.0 / total
    for i in range(len(values)):
        values[i] = np.float64(values[i]) * inverse
    return 0


@compiled
def class_attention(attention: F32, out: F32) -> int:
    """See `interface.Backend`."""
    for i in range(len(out)):
        total = np.float64(0.0)
        for head in range(attention.shape[0]):
            total += np.float64(attention[head, i + 1])
        out[i] = total
    return _renormalise(out)


@compiled
def rollout(attention: F32, out: F32) -> int:
    """See `interface.Backend`."""
    layers, heads, tokens, _ = attention.shape
    row = np.zeros(tokens)
    row[0] = 1.0
    following, summed = np.empty(tokens), np.empty(tokens)
    for layer in range(layers - 1, -1, -1):
        following[:] = 0.0
        for i in range(tokens):
            if row[i] == 0.0:
                continue
            summed[:] = 0.0
            for head in range(heads):
                for j in range(tokens):
                    summed[j] += np.float64(attention[layer, head, i, j])
            for j in range(tokens):
                following[j] += row[i] * summed[j]
        for j in range(tokens):
            row[j] += following[j] / heads
    for j in range(1, tokens):
        out[j - 1] = row[j]
    return _renormalise(out)


# Selection


@compiled
def _splitmix32(seed: int, n: int) -> Any:
    """The n-th number of a seed, as a 64-bit integer: 32-bit ones Numba would turn into floats."""
    mask = np.uint64(0xFFFFFFFF)
    z = (np.uint64(seed) + np.uint64(n) * np.uint64(0x9E3779B9)) & mask
    z ^= z >> np.uint64(16)
    z = (z * np.uint64(0x21F0AAAD)) & mask
    z ^= z >> np.uint64(15)
    z = (z * np.uint64(0x735A2D97)) & mask
    return np.int64(z ^ z >> np.uint64(15))


@compiled
def select_random(count: int, k: int, seed: int, out: U16) -> int:
    """See `interface.Backend`."""
    kept = 0
    for index in range(count):
        if (_splitmix32(seed, index + 1) * (count - index)) >> 32 < k - kept:
            out[kept] = index
            kept += 1
    return kept


@compiled
def sample_grid(rows: int, columns: int, k: int, seed: int, jittered: bool, out: U16) -> int:
    """See `interface.Backend`."""
    levels = 0
    while 1 << levels < max(rows, columns):
        levels += 1
    out[:] = 0
    marked, rank = 0, 0
    while marked < k:
        y, x, digits = 0, 0, rank
        for level in range(levels - 1, -1, -1):
            cell = y << 8 | x if jittered else 0
            child = (digits & 3) ^ _splitmix32(seed, level << 16 | cell) >> 30
            y, x, digits = y << 1 | child & 1, x << 1 | (child ^ child >> 1) & 1, digits >> 2
        if y < rows and x < columns:
            out[y * columns + x] = 1
            marked += 1
        rank += 1
    return _keep(np.flatnonzero(out), out)


@compiled
def _valid(scores: F32) -> bool:
    ok = True
    for score in scores:
        ok &= (score >= 0) & (score <= 1)
    return ok


@compiled
def _keep(order: Any, out: U16) -> int:
    out[: len(order)] = np.sort(order)
    return len(order)


@compiled
def select_top_k(scores: F32, k: int, out: U16) -> int:
    """See `interface.Backend`."""
    if not _valid(scores):
        return _BAD_SCORES
    return _keep(np.argsort(-scores, kind="mergesort")[:k], out)


@compiled
def select_threshold(scores: F32, delta: float, out: U16) -> int:
    """See `interface.Backend`."""
    if not _valid(scores):
        return _BAD_SCORES
    kept = 0
    for index in range(len(scores)):
        if np.float64(scores[index]) >= delta:
            out[kept] = index
            kept += 1
    if kept == 0:
        out[0] = np.argmax(scores)
        kept = 1
    return kept


@compiled
def select_sum(scores: F32, delta: float, include_crossing: bool, out: U16) -> int:
    """See `interface.Backend`."""
    if not _valid(scores):
        return _BAD_SCORES
    order = np.argsort(-scores, kind="mergesort")
    total = np.int64(0)
    for score in scores:
        total += np.int64(np.float64(score) * 2.0**32)
    target = np.int64(delta * np.float64(total))
    reached, below = np.int64(0), 0
    while below < len(order):
        reached += np.int64(np.float64(scores[order[below]]) * 2.0**32)
        if reached > target:
            break
        below += 1
    kept = min(below + 1, len(order)) if include_crossing else max(below, 1)
    return _keep(order[:kept], out)


# Entropy


@compiled
def _exp_parts(x: float) -> tuple[float, float]:
    k = (x * c.LOG2_E + c.ROUND_TO_INTEGER) - c.ROUND_TO_INTEGER
    r = (x - k * c.LN2_HIGH) - k * c.LN2_LOW
    p = c.EXP[0]
    for i in range(1, len(c.EXP)):
        p = p * r + c.EXP[i]
    return p * r, math.ldexp(1.0, int(k))


@compiled
def _log2_1p(x: float) -> float:
    exponent = 0
    if x < c.SQRT2_MINUS_1:
        z = x / (2.0 + x)
    else:
        mantissa, exponent = math.frexp(1.0 + x)
        if mantissa < c.SQRT_HALF:
            mantissa *= 2.0
            exponent -= 1
        z = (mantissa - 1.0) / (mantissa + 1.0)
    square = z * z
    p = c.ATANH[0]
    for i in range(1, len(c.ATANH)):
        p = p * square + c.ATANH[i]
    return exponent + (z * p) * c.TWO_LOG2_E


@compiled
def _label(logits: F32) -> int:
    label = 0
    for i in range(len(logits)):
        if np.isnan(logits[i]):
            return _BAD_LOGITS
        if logits[i] > logits[label]:
            label = i
    return label if np.isfinite(logits[label]) else _BAD_LOGITS


@compiled
def _distance(logits: F32, label: int, i: int) -> Any:
    """Of class i below the best; the best itself and the padding count as EXP_LIMIT."""
    if i >= len(logits) or i == label:
        return c.EXP_LIMIT
    return min(np.float64(logits[label]) - np.float64(logits[i]), c.EXP_LIMIT)


@compiled
def _rounded(x: float) -> Any:
    """To float32, kept as a Python float."""
    return np.float64(np.float32(x))


@compiled
def uncertainty(logits: F32) -> tuple[int, float, float, float]:
    """See `interface.Backend`."""
    label = _label(logits)
    if label < 0:
        return label, 0.0, 0.0, 0.0
    rest, spread = np.zeros(4), np.zeros(4)
    nearest = c.EXP_LIMIT
    for i in range((len(logits) + c.LANES - 1) // c.LANES * c.LANES):
        distance = _distance(logits, label, i)
        q, scale = _exp_parts(-distance)
        value = scale + scale * q
        rest[i % 4] += value
        spread[i % 4] += value * distance
        nearest = min(nearest, distance)
    others = (rest[0] + rest[1]) + (rest[2] + rest[3])
    min_entropy, total = _log2_1p(others), 1.0 + others
    shannon = min_entropy + ((spread[0] + spread[1]) + (spread[2] + spread[3])) * c.LOG2_E / total
    q, scale = _exp_parts(-nearest)
    margin = ((1.0 - scale) - scale * q) / total
    return label, _rounded(min_entropy), _rounded(shannon), _rounded(margin)


@compiled
def softmax(logits: F32, out: F32) -> int:
    """See `interface.Backend`."""
    label = _label(logits)
    if label < 0:
        return label
    rest = np.zeros(4)
    for i in range((len(logits) + c.LANES - 1) // c.LANES * c.LANES):
        q, scale = _exp_parts(-_distance(logits, label, i))
        rest[i % 4] += scale + scale * q
    inverse = 1.0 / (1.0 + ((rest[0] + rest[1]) + (rest[2] + rest[3])))
    for i in range(len(logits)):
        q, scale = _exp_parts(-_distance(logits, label, i))
        out[i] = (scale + scale * q) * inverse
    out[label] = inverse
    return label


# Patches


@compiled
def _in_grid(image: U8, patch: int, indices: U16) -> bool:
    count = (image.shape[0] // patch) * (image.shape[1] // patch)
    ok = True
    for index in indices:
        ok &= index < count
    return ok


@compiled
def gather(image: U8, indices: U16, patch: int, out: U8) -> int:
    """See `interface.Backend`."""
    if not _in_grid(image, patch, indices):
        return _BAD_INDEX
    columns = image.shape[1] // patch
    for i in range(len(indices)):
        top, left = indices[i] // columns * patch, indices[i] % columns * patch
        out[i] = image[top : top + patch, left : left + patch]
    return 0


@compiled
def scatter(patches: U8, indices: U16, image: U8) -> int:
    """See `interface.Backend`."""
    patch = patches.shape[1]
    if not _in_grid(image, patch, indices):
        return _BAD_INDEX
    columns = image.shape[1] // patch
    for i in range(len(indices)):
        top, left = indices[i] // columns * patch, indices[i] % columns * patch
        image[top : top + patch, left : left + patch] = patches[i]
    return 0


@compiled
def pack_bitmap(indices: U16, count: int, out: U8) -> int:
    """See `interface.Backend`."""
    out[:] = 0
    for i in range(len(indices)):
        if indices[i] >= count or (i > 0 and indices[i] <= indices[i - 1]):
            return _BAD_INDEX
        out[indices[i] // 8] |= np.uint8(1 << (indices[i] % 8))
    return 0


@compiled
def unpack_bitmap(bits: U8, count: int, out: U16) -> int:
    """See `interface.Backend`."""
    if count % 8 and bits[count // 8] >> (count % 8):
        return _BAD_PADDING
    kept = 0
    for index in range(count):
        if (bits[index // 8] >> (index % 8)) & 1:
            out[kept] = index
            kept += 1
    return kept


def gate(plan: GatePlan, buffers: GateBuffers) -> GateBinder:
    """See `interface.Backend`."""
    from edge_runtime.kernels import jit

    return compose_gate(jit, plan, buffers)


# Feature maps and latents


def feature_coder(plan: FeaturePlan) -> FeatureCoder:
    """See `interface.Backend`."""
    return FeatureCoder(plan)


def rans_encode(values: I32, tables: U8, shifts: U8, histograms: U16, out: U8) -> int:
    """See `interface.Backend`."""
    return int(jit_rans.encode(values, tables, shifts, histograms, out))


def rans_decode(data: U8, tables: U8, shifts: U8, histograms: U16, out: I32) -> int:
    """See `interface.Backend`."""
    return int(jit_rans.decode(data, tables, shifts, histograms, out))


def latent_coder(plan: LatentPlan) -> LatentCoder:
    """See `interface.Backend`."""
    return LatentCoder(plan)
