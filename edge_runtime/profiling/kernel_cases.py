"""One typical call of every kernel, with what it moves and computes: the list that profile and races share.

Bytes are those of the arrays that a call reads and writes, once each, whatever the caches make of it. Operations are
additions, multiplications, comparisons and conversions of values; a multiply-add is two. Both follow from the sizes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime import kernels
from edge_runtime.kernels.taps import taps
from edge_runtime.profiling import synthetic
from edge_runtime.profiling.synthetic import PATCH, SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge_runtime.profiling.report import Arithmetic

DELTA = 0.97
# Operations per value, from the C sources. An exponential is a polynomial.
EXPONENTIAL = 31
TALLY = 8
SHARE = 2
RANK = 12
CHECK = 2
CODE = 14
QUANTISE = 6
MULTIPLY_ADD = 2


class KernelCase(NamedTuple):
    """``make()`` gives the call, with state of the backend that is in use by then.

    The name's first word is the kernel's. ``arithmetic`` says which peak bounds ``operations``.
    """

    name: str
    bytes: int
    operations: int
    arithmetic: Arithmetic
    make: Callable[[], Callable[[], Any]]


def kernel_cases() -> list[KernelCase]:
    """All of them, in the order in which a frame meets them."""
    return [*_photo_cases(), *_patch_cases(), *_feature_cases(), *_latent_cases()]


def _stateless(
    name: str, call: Callable[[], Any], arithmetic: Arithmetic, operations: int, *arrays: NDArray[Any]
) -> KernelCase:
    """A case of a plain function; ``arrays`` are what it reads and writes."""
    return KernelCase(name, _bytes(*arrays), operations, arithmetic, lambda: call)


def _bytes(*arrays: NDArray[Any]) -> int:
    return sum(array.nbytes for array in arrays)


def _photo_cases() -> list[KernelCase]:
    rng = np.random.default_rng(0)
    height, width = synthetic.PHOTO_SIZE
    photo = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    geometry = kernels.Geometry(224, 256)
    picture = kernels.frame(photo, geometry)
    mean, std, planes = np.full(3, 120, np.float32), np.full(3, 58, np.float32), np.empty((3, 224, 224), np.float32)
    return [
        KernelCase(
            "frame 500×375 → 224",
            *_resize_cost((height, width), (256, 256 * width // height), 224),
            "int16",
            lambda: partial(kernels.frame, photo, geometry),
        ),
        KernelCase(
            "resize 500×375 → 224",
            *_resize_cost((height, width), (224, 224), 224),
            "int16",
            lambda: partial(kernels.resize, photo, (224, 224)),
        ),
        _stateless(
            "normalise 224×224", partial(kernels.normalise, picture, mean, std, planes), "float", 0, picture, planes
        ),
    ]


def _resize_cost(source: tuple[int, int], target: tuple[int, int], side: int) -> tuple[int, int]:
    """Bytes and operations of both passes to ``target``, of which the middle ``side`` × ``side`` is kept."""
    down, across = (
        taps(length, 0, length, wanted, "bicubic").window((wanted - side) // 2, side)
        for length, wanted in zip(source, target, strict=True)
    )
    rows, columns = (last - first for first, last in (down.span(), across.span()))
    moved = 3 * (rows * columns + 2 * rows * side + side * side)
    products = 3 * (rows * int(across.bounds[:, 1].sum()) + side * int(down.bounds[:, 1].sum()))
    return moved, MULTIPLY_ADD * products


def _patch_cases() -> list[KernelCase]:
    seen, larger = synthetic.seen_frame(224, 1000), synthetic.seen_frame(384, 10)
    logits, heads, image = seen.logits, seen.attention, seen.image
    layers = np.random.default_rng(0).dirichlet(np.ones(197), (12, 3, 197)).astype(np.float32)
    scores = kernels.class_attention(heads)
    indices = kernels.select_sum(scores, DELTA)
    patches, bitmap = kernels.gather(image, indices), kernels.pack_bitmap(indices, len(scores))
    more = kernels.select_sum(kernels.class_attention(larger.attention), DELTA)
    packed, packed_more = np.empty_like(patches), kernels.gather(larger.image, more)
    picture, count = image.copy(), len(scores)
    ranked = (RANK + CHECK) * count
    gated = EXPONENTIAL * len(logits) + TALLY * len(logits) + heads.size + ranked
    return [
        _stateless(
            "class_attention 3×197",
            partial(kernels.class_attention, heads),
            "float",
            heads.size + 2 * count,
            heads,
            scores,
        ),
        _stateless(
            "rollout 12×3×197×197",
            partial(kernels.rollout, layers),
            "float",
            layers.size + MULTIPLY_ADD * layers.size // 3,
            layers,
            scores,
        ),
        _stateless(
            "select_random 98 of 196", partial(kernels.select_random, count, 98, 1), "int16", RANK * count, indices[:98]
        ),
        _stateless(
            "sample 49 of 14×14, grid",
            partial(kernels.sample, "grid", (14, 14), 49, 1),
            "int16",
            2 * RANK * count,
            indices[:49],
        ),
        _stateless(
            "sample 49 of 14×14, jittered",
            partial(kernels.sample, "jittered-grid", (14, 14), 49, 1),
            "int16",
            3 * RANK * count,
            indices[:49],
        ),
        _stateless(
            "select_top_k 64 of 196", partial(kernels.select_top_k, scores, 64), "int16", ranked, scores, indices[:64]
        ),
        _stateless(
            "select_threshold of 196",
            partial(kernels.select_threshold, scores, 0.002),
            "float",
            (1 + CHECK) * count,
            scores,
            indices,
        ),
        _stateless("select_sum of 196", partial(kernels.select_sum, scores, DELTA), "int16", ranked, scores, indices),
        _stateless(
            "uncertainty of 1000",
            partial(kernels.uncertainty, logits),
            "float",
            (EXPONENTIAL + TALLY) * len(logits),
            logits,
        ),
        _stateless(
            "softmax of 1000",
            partial(kernels.softmax, logits),
            "float",
            (EXPONENTIAL + SHARE) * len(logits),
            logits,
            logits,
        ),
        _stateless(
            "gather of 196", partial(kernels.gather, image, indices, PATCH, packed), "int16", 0, patches, packed
        ),
        _stateless(
            "gather of 576",
            partial(kernels.gather, larger.image, more, PATCH, packed_more),
            "int16",
            0,
            packed_more,
            packed_more,
        ),
        _stateless("scatter of 196", partial(kernels.scatter, patches, indices, picture), "int16", 0, patches, patches),
        _stateless(
            "pack_bitmap of 196",
            partial(kernels.pack_bitmap, indices, count),
            "int16",
            2 * len(indices),
            indices,
            bitmap,
        ),
        _stateless(
            "unpack_bitmap of 196", partial(kernels.unpack_bitmap, bitmap, count), "int16", 2 * count, bitmap, indices
        ),
        KernelCase(
            "gate 224×224, 1000 classes",
            _bytes(logits, heads, patches, packed),
            gated,
            "float",
            lambda: partial(_gate(len(logits)), logits, heads, image),
        ),
    ]


def _gate(classes: int) -> kernels.Gate:
    rule = kernels.CumulativeSum(DELTA)
    return kernels.Gate(classes=classes, heads=synthetic.HEADS, image=(224, 224), eta=0.0, rule=rule)


def _feature_cases() -> list[KernelCase]:
    plan = synthetic.feature_plan(40, 28, 7)
    step, features = synthetic.feature_step(plan), synthetic.feature_map(plan)
    out = np.empty(kernels.FeatureCoder(plan).largest, np.uint8)
    data = out[: _encoder(plan, step, features, out)()].copy()
    coded = int(step.extent.sum(dtype=int)) * plan.blocks
    levels = features.size * 2
    along = MULTIPLY_ADD * 2 * plan.block * features.size
    mixed = MULTIPLY_ADD * coded * plan.channels
    symbols = _rans_symbols()
    histograms = synthetic.histograms(28, 31, escape=True)
    stream = kernels.rans_encode(*symbols, histograms)
    return [
        KernelCase(
            "feature transform 40×28×28",
            features.nbytes + 2 * levels,
            along + 2 * features.size,
            "int16",
            lambda: partial(kernels.FeatureCoder(plan).transform, features),
        ),
        KernelCase(
            "feature encode 40×28×28",
            2 * levels + len(data),
            mixed + (QUANTISE + CODE) * coded,
            "int16",
            lambda: _encoder(plan, step, features, out),
        ),
        KernelCase(
            "feature decode 40×28×28",
            len(data) + 2 * levels + features.nbytes,
            mixed + along + (QUANTISE + CODE) * coded,
            "int16",
            lambda: partial(kernels.FeatureCoder(plan).decode, step, data, np.empty_like(features)),
        ),
        _stateless(
            "rans_encode of 4096",
            partial(kernels.rans_encode, *symbols, histograms),
            "int16",
            CODE * len(symbols[0]),
            *symbols,
            histograms,
            stream,
        ),
        _stateless(
            "rans_decode of 4096",
            partial(kernels.rans_decode, stream, *symbols[1:], histograms),
            "int16",
            CODE * len(symbols[0]),
            stream,
            *symbols,
            histograms,
        ),
    ]


def _encoder(
    plan: kernels.FeaturePlan, step: kernels.FeatureStep, features: NDArray[np.float32], out: NDArray[np.uint8]
) -> Callable[[], int]:
    coder = kernels.FeatureCoder(plan)
    coder.transform(features)
    return partial(coder.encode, step, out)


def _rans_symbols() -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8]]:
    """Values as likely as their tables say, the tables, and no low bits."""
    rng = np.random.default_rng(3)
    tables = rng.integers(0, 28, 4096).astype(np.uint8)
    cumulative = synthetic.histograms(28, 31, escape=True).cumsum(axis=1)
    drawn = rng.integers(0, SLOTS - 1, len(tables))
    values = (drawn[:, None] >= cumulative[tables, :31]).sum(axis=1) - 15
    return np.clip(values, -15, 15).astype(np.int32), tables, np.zeros(len(tables), np.uint8)


def _latent_cases() -> list[KernelCase]:
    plan = synthetic.latent_plan(12, 28, 8)
    latent = synthetic.latent(plan)
    coder = kernels.LatentCoder(plan)
    out = np.empty(coder.room, np.uint8)
    data = out[: coder.encode(latent, out)].copy()
    operations = (QUANTISE + CODE) * latent.size
    return [
        KernelCase(
            "latent encode 12×28×28",
            latent.nbytes + len(data),
            operations,
            "float",
            lambda: partial(kernels.LatentCoder(plan).encode, latent, out),
        ),
        KernelCase(
            "latent decode 12×28×28",
            len(data) + latent.nbytes,
            operations,
            "float",
            lambda: partial(kernels.LatentCoder(plan).decode, data, np.empty_like(latent)),
        ),
    ]
