"""Numbers that the Python backends share with `csrc/edge_arithmetic.h`."""

from __future__ import annotations

import math

KERNELS = (
    "resample_horizontal", "resample_vertical", "normalise", "class_attention", "rollout", "select_random",
    "sample_grid", "select_top_k", "select_threshold", "select_sum", "uncertainty", "softmax", "gather", "scatter",
    "pack_bitmap", "unpack_bitmap", "gate", "feature_transform", "feature_encode", "feature_decode", "rans_encode",
    "rans_decode", "latent_encode", "latent_decode",
)  # fmt: skip

# Resize weights are multiples of 2^-22: 32 bits less 8 of a pixel and 2 for the overshoot of bicubic.
PRECISION_BITS = 22

# Sums run in this many lanes; logits are padded with -inf to a multiple of it.
LANES = 4

# Beyond this distance e^-d is below 2^-1000: nothing that float32 can show. It also keeps 2^k a normal number.
EXP_LIMIT = 708.0
LOG2_E = 1.4426950408889634
TWO_LOG2_E = 2.8853900817779268
# ln 2 in two parts, the first with enough zero bits that k times it is exact.
LN2_HIGH = 0.693147180369123816490
LN2_LOW = 1.90821492927058770002e-10
# Adding and subtracting 1.5 · 2^52 rounds a small double to the nearest integer, ties to even.
ROUND_TO_INTEGER = 6755399441055744.0
# (e^r - 1) / r for |r| ≤ ln 2 / 2, highest power first; the first term left out is below 1e-11.
EXP = tuple(1.0 / math.factorial(n) for n in range(9, 0, -1))
# atanh(z) / z as a polynomial in z², highest power first; the first term left out is below 1e-14.
ATANH = tuple(1.0 / n for n in range(17, 0, -2))
SQRT_HALF = 0.70710678118654752440
SQRT2_MINUS_1 = 0.41421356237309504880
