"""Calibrate the feature codec for one cut: from training photos and the two halves to a tables file.

FF is the compressor of Hou et al. (IEEE TCC 2024); only its abstract is public, so this is a reconstruction. What it
takes from there: convolution outputs are smooth in space, channels are redundant and matter unequally, no training.
What is ours: the channel transform is the Karhunen-Loève transform in the metric of the answer (`sensitivity`), so
that equal steps cost the logits equally and bits go where they matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edge_runtime.codecs.feature_tables import VERSION, FeatureTables, Tables
from edge_runtime.errors import ArgumentError
from edge_runtime.kernels.feature_plan import zigzag
from exporters.calibration.floors import choose_floors
from exporters.calibration.rates import rate_table
from exporters.calibration.sensitivity import measure
from exporters.calibration.statistics import Statistics, dummy_statistics, gather_statistics
from exporters.calibration.transform import ChannelTransform, channel_transform, quantised_basis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

LEAST_PHOTOS = 16
BATCH = 16


def calibrate(
    prefix: Path,
    suffix: Path,
    photos: NDArray[np.uint8],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    *,
    rectified: bool = False,
) -> bytes:
    """Tables file of the cut between the ONNX files ``prefix`` and ``suffix``.

    ``photos`` uint8 [N, S, S, 3] are training photos, best a few hundred; ``mean`` and ``std`` are the network's, in
    0..255 units; ``rectified`` says that no value of the map is negative. Raises ``ArgumentError``.
    """
    if len(photos) < LEAST_PHOTOS:
        raise ArgumentError(f"photos: {len(photos)} are too few to calibrate on, give at least {LEAST_PHOTOS}")
    pixels = photos.transpose(0, 3, 1, 2).astype(np.float32)
    images = (pixels - np.array(mean, np.float32)[:, None, None]) / np.array(std, np.float32)[:, None, None]
    head, tail = _session(prefix), _session(suffix)
    maps = np.concatenate([_as_maps(head(images[i : i + BATCH])) for i in range(0, len(images), BATCH)])
    flat = len(head(images[:1]).shape) == 2
    return calibrate_maps(maps, (lambda batch: tail(batch[:, :, 0, 0])) if flat else tail, rectified=rectified)


def calibrate_maps(maps: NDArray[np.float32], suffix: Run, *, rectified: bool) -> bytes:
    """Tables file from feature maps float32 [N, C, H, W] and the function that turns such maps into logits."""
    basis = dct_basis(choose_block(maps.shape[2], maps.shape[3]))
    transform = channel_transform(maps, measure(suffix, maps, basis), basis)
    bare = _tables(maps, transform, dummy_statistics(), rectified=rectified)
    statistics = gather_statistics(Tables(msgspec.msgpack.encode(bare)), maps)
    tables = _tables(maps, transform, statistics, rectified=rectified)
    if rectified:
        floors = choose_floors(Tables(msgspec.msgpack.encode(tables)), maps, suffix)
        by_channel, by_quality = (_stored(exponents, "<i2") for exponents in floors)
        tables = msgspec.structs.replace(tables, floor=by_channel, floor_at=by_quality)
    rates, drift_factor = rate_table(Tables(msgspec.msgpack.encode(tables)), maps, suffix)
    return msgspec.msgpack.encode(msgspec.structs.replace(tables, rates=rates, drift_factor=drift_factor))


def choose_block(height: int, width: int) -> int:
    """The side of 8, 7, 4, 2 or 1 that pads the map least; the larger of equals."""
    side = min(height, width)
    usable = [block for block in (8, 7, 4, 2, 1) if block <= side]
    return min(usable, key=lambda block: (-(-height // block) * -(-width // block) * block * block, -block))


def dct_basis(block: int) -> NDArray[np.float64]:
    """Orthonormal DCT-II, rows are frequencies."""
    frequency, position = np.arange(block)[:, None], np.arange(block)[None]
    basis: NDArray[np.float64] = np.sqrt(2 / block) * np.cos(np.pi * (2 * position + 1) * frequency / (2 * block))
    basis[0] /= np.sqrt(2)
    return basis


def _as_maps(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features[:, :, None, None] if features.ndim == 2 else features


def _session(path: Path) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs: list[NDArray[np.float32]] = session.run(None, {name: np.ascontiguousarray(batch)})
        return outputs[0]

    return run


def _tables(
    maps: NDArray[np.float32], transform: ChannelTransform, statistics: Statistics, *, rectified: bool
) -> FeatureTables:
    order = zigzag(transform.block)
    return FeatureTables(
        version=VERSION,
        channels=maps.shape[1],
        height=maps.shape[2],
        width=maps.shape[3],
        block=transform.block,
        rectified=rectified,
        activity=statistics.activity,
        mean=_stored(transform.mean, "<f4"),
        scale=_stored(transform.scale, "<f4"),
        unscale=_stored(transform.unscale, "<f4"),
        basis=_stored(quantised_basis(dct_basis(transform.block)), "<i2"),
        forward=_stored(transform.forward, "<i2"),
        inverse=_stored(transform.inverse, "<i2"),
        step_exponent=_stored(transform.step_exponent[order], "<i2"),
        gain=_stored(transform.gain, "<i2"),
        magnitude=_stored(transform.magnitude[order], "<i2"),
        histograms=_stored(statistics.histograms, "<u2"),
        levels=_stored(statistics.levels, "<u4"),
        bytes_at=_stored(statistics.bytes_at, "<u4"),
        drift_factor=0.0,
        rates=(),
    )


def _stored(values: NDArray[Any], dtype: str) -> bytes:
    return np.ascontiguousarray(values.astype(dtype)).tobytes()
