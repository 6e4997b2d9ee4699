"""The kernels: one interface, three implementations (native C, Numba, NumPy) that give the same bytes.

Arrays are C-contiguous; a wrong dtype, shape or layout raises `edge_runtime.errors.ArgumentError` naming the
argument. `backend()` says which implementation runs, `EDGE_RUNTIME_KERNELS` or `use()` chooses another.
"""

from __future__ import annotations

from edge_runtime.kernels.attention import class_attention, rollout
from edge_runtime.kernels.dispatch import backend, use
from edge_runtime.kernels.entropy import Uncertainty, softmax, uncertainty
from edge_runtime.kernels.feature_plan import FeaturePlan, FeatureStep
from edge_runtime.kernels.features import FeatureCoder, rans_decode, rans_encode
from edge_runtime.kernels.gate import CumulativeSum, Decision, Gate, Threshold, TopK
from edge_runtime.kernels.image import Geometry, frame, normalise, resize
from edge_runtime.kernels.interface import BackendInfo
from edge_runtime.kernels.latents import LatentCoder, LatentPlan
from edge_runtime.kernels.patches import gather, pack_bitmap, patch_count, scatter, unpack_bitmap
from edge_runtime.kernels.sampling import PATTERNS, Pattern, sample
from edge_runtime.kernels.selection import select_random, select_sum, select_threshold, select_top_k

__all__ = [
    "PATTERNS",
    "BackendInfo",
    "CumulativeSum",
    "Decision",
    "FeatureCoder",
    "FeaturePlan",
    "FeatureStep",
    "Gate",
    "Geometry",
    "LatentCoder",
    "LatentPlan",
    "Pattern",
    "Threshold",
    "TopK",
    "Uncertainty",
    "backend",
    "class_attention",
    "frame",
    "gather",
    "normalise",
    "pack_bitmap",
    "patch_count",
    "rans_decode",
    "rans_encode",
    "resize",
    "rollout",
    "sample",
    "scatter",
    "select_random",
    "select_sum",
    "select_threshold",
    "select_top_k",
    "softmax",
    "uncertainty",
    "unpack_bitmap",
    "use",
]
