"""The feature coder, and the entropy coder under it, on checked arrays.

FF is our reconstruction of the compressor in Hou et al., IEEE TCC 2024. The arithmetic and the bytes are stated in
docs/formats/features.md; interleaved rANS is Duda's (2013) as Giesen arranges it (2014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels import checks, dispatch
from edge_runtime.kernels.feature_plan import LANES, LARGEST_RATIO, MAX_VALUE, PROBABILITY_BITS, RATIOS, SYMBOLS

if TYPE_CHECKING:
    from edge_runtime.kernels.feature_plan import FeaturePlan, FeatureStep
    from edge_runtime.kernels.interface import F32, I32, U8, U16

MAX_SHIFT = 16
MAX_BLOCK = 8
MAX_CHANNELS = 4096
MAX_TABLES = 256
BLOCK_CLASSES = 4
MAX_ROW_SUM = 65535
# A word and an escape with low bits, 16 + 20 + 16 bits, rounded up; and what a backend may write beyond the end.
BYTES_PER_VALUE = 7
BYTES_BESIDE = 4 * LANES + 64
_F32, _U8, _U16, _I16 = map(np.dtype, (np.float32, np.uint8, np.uint16, np.int16))
# Steps that a coder remembers having checked.
_REMEMBERED = 16


class FeatureCoder:
    """The transform coder of one cut: maps float32 `[C, H, W]` to bytes and back.

    Keeps the last map's coefficients, so one coder serves one thread, and the backend it was made with. Raises
    ArgumentError for a plan that a coder could overflow with.
    """

    def __init__(self, plan: FeaturePlan) -> None:
        _check_plan(plan)
        self._plan = plan
        self._shape = plan.channels, plan.height, plan.width
        self._coder = dispatch.active.feature_coder(plan)
        self._checked: dict[int, FeatureStep] = {}

    @property
    def largest(self) -> int:
        """Bytes that no encoded map exceeds."""
        return BYTES_BESIDE + BYTES_PER_VALUE * self._plan.blocks * (1 + self._plan.frequencies * self._plan.channels)

    def transform(self, features: F32) -> None:
        """Take in a map float32 `[C, H, W]`; raises ArgumentError, also for a value that is not finite."""
        if not checks.fits(features, _F32, self._shape):
            checks.array("features", features, np.float32, self._shape)
        if self._coder.transform(features) < 0:
            _refuse_features(features)

    def encode(self, step: FeatureStep, out: U8) -> int:
        """Write the map that was taken in last to the start of uint8 `out`; the number of bytes.

        Any number of steps may follow one `transform`. Raises ArgumentError, also when `out` is too short.
        """
        self._check_step(step)
        if not (type(out) is np.ndarray and out.dtype == _U8 and out.ndim == 1 and out.flags.c_contiguous):
            checks.array("out", out, np.uint8, ("bytes",))
        size = self._coder.encode(step, out)
        if size < 0:
            raise ArgumentError(f"out: {len(out)} bytes do not hold the map, {self.largest} always do")
        return size

    def decode(self, step: FeatureStep, data: U8, out: F32 | None = None) -> F32:
        """The map float32 `[C, H, W]` of uint8 `data`, in `out` if given.

        Raises ArgumentError, and PayloadError for bytes that no encoder writes, with `out` unspecified.
        """
        self._check_step(step)
        checks.array("data", data, np.uint8, (len(data),))
        result: F32 = checks.output("out", out, np.float32, self._shape)
        if self._coder.decode(step, data, result) < 0:
            raise PayloadError(f"features: {len(data)} bytes are no stream of these tables, send it again")
        return result

    def _check_step(self, step: FeatureStep) -> None:
        if id(step) in self._checked:
            return
        _check_step(step, self._plan)
        if len(self._checked) >= _REMEMBERED:
            self._checked.clear()
        self._checked[id(step)] = step


def rans_encode(values: I32, tables: U8, shifts: U8, histograms: U16) -> U8:
    """Code values int32 `[n]`, each with the histogram of its table and its low `shift` bits as they are.

    tables and shifts uint8 `[n]`; histograms uint16 `[tables, 32]` of the values −15..15 and the escape, each summing
    to 2^`PROBABILITY_BITS`. A value may be anything in ±32767. Raises ArgumentError.
    """
    checks.array("values", values, np.int32, (len(values),))
    _check_symbols(tables, shifts, histograms, len(values))
    if len(values) and not -MAX_VALUE <= int(values.min()) <= int(values.max()) <= MAX_VALUE:
        raise ArgumentError(f"values: {values[np.abs(values).argmax()]} is outside ±{MAX_VALUE}, divide them")
    out = np.empty(BYTES_BESIDE + BYTES_PER_VALUE * len(values), np.uint8)
    size = dispatch.active.rans_encode(values, tables, shifts, histograms, out)
    if size < 0:
        raise ArgumentError(f"values: {len(out)} bytes do not hold {len(values)} values, code fewer at once")
    return out[:size]


def rans_decode(data: U8, tables: U8, shifts: U8, histograms: U16) -> I32:
    """Values int32 `[n]` of uint8 `data`, with the tables and shifts that it was encoded with.

    Raises ArgumentError, and PayloadError for bytes that no encoder writes.
    """
    checks.array("data", data, np.uint8, (len(data),))
    _check_symbols(tables, shifts, histograms, len(tables))
    out = np.empty(len(tables), np.int32)
    if dispatch.active.rans_decode(data, tables, shifts, histograms, out) < 0:
        raise PayloadError(f"features: {len(data)} bytes are no stream of {len(out)} values, send it again")
    return out


def check_histograms(histograms: U16) -> None:
    """Raise ArgumentError unless histograms uint16 `[tables, 32]` can be coded with."""
    checks.array("histograms", histograms, np.uint16, ("tables", SYMBOLS))
    sums = histograms.sum(axis=1, dtype=np.int64)
    if (sums != 1 << PROBABILITY_BITS).any():
        wrong = int((sums != 1 << PROBABILITY_BITS).argmax())
        raise ArgumentError(f"histograms: table {wrong} sums to {sums[wrong]}, must sum to {1 << PROBABILITY_BITS}")
    if histograms.max() == 1 << PROBABILITY_BITS:
        raise ArgumentError(f"histograms: a share of {1 << PROBABILITY_BITS} leaves no code for others, take one off")


def _check_symbols(tables: U8, shifts: U8, histograms: U16, count: int) -> None:
    checks.array("tables", tables, np.uint8, (count,))
    checks.array("shifts", shifts, np.uint8, (count,))
    check_histograms(histograms)
    if not histograms[:, -1].all():
        raise ArgumentError("histograms: the escape has no share in one of them, give it at least 1")
    if count and int(tables.max()) >= len(histograms):
        raise ArgumentError(f"tables: {tables.max()} is outside 0..{len(histograms) - 1}")
    if count and int(shifts.max()) > MAX_SHIFT:
        raise ArgumentError(f"shifts: {shifts.max()} is outside 0..{MAX_SHIFT}")


def _check_plan(plan: FeaturePlan) -> None:
    """What keeps 32-bit sums of 16-bit products from overflowing, and states from dividing by zero."""
    checks.integer("plan.block", plan.block, 1, MAX_BLOCK)
    checks.integer("plan.channels", plan.channels, 1, MAX_CHANNELS)
    for name, extent in (("height", plan.height), ("width", plan.width)):
        checks.integer(f"plan.{name}", extent, 1, 2**16 - 1)
    for name in ("mean", "scale", "unscale"):
        values = getattr(plan, name)
        checks.array(f"plan.{name}", values, _F32, (plan.channels,))
        if not np.isfinite(values).all():
            raise ArgumentError(f"plan.{name}: holds NaN or inf, calibrate again")
    square = (plan.channels, plan.channels)
    for name, shape in (("basis", (plan.block, plan.block)), ("forward", square), ("inverse", square)):
        _check_matrix(f"plan.{name}", getattr(plan, name), shape)
    _check_matrix("plan.basis", np.ascontiguousarray(plan.basis.T), (plan.block, plan.block))
    check_histograms(plan.histograms)
    if len(plan.histograms) < RATIOS or not plan.histograms[:RATIOS, -1].all():
        raise ArgumentError(f"plan.histograms: the first {RATIOS} must have an escape, calibrate again")


def _check_matrix(name: str, matrix: Any, shape: tuple[int, int]) -> None:
    checks.array(name, matrix, _I16, shape)
    largest = int(np.abs(matrix.astype(np.int64)).sum(axis=1).max())
    if largest > MAX_ROW_SUM:
        raise ArgumentError(f"{name}: the magnitudes of a row sum to {largest}, at most {MAX_ROW_SUM} cannot overflow")


def _check_step(step: FeatureStep, plan: FeaturePlan) -> None:
    grid = (plan.frequencies, plan.channels)
    checks.array("step.extent", step.extent, _U16, (plan.frequencies,))
    checks.array("step.inverse", step.inverse, _F32, grid)
    checks.array("step.step", step.step, _F32, grid)
    checks.array("step.ratio", step.ratio, _U8, grid)
    checks.integer("step.level", step.level, 0, 2**32 - 1)
    checks.integer("step.activity_table", step.activity_table, 0, min(len(plan.histograms), MAX_TABLES) - 1)
    if plan.activity and not plan.histograms[step.activity_table, :BLOCK_CLASSES].all():
        raise ArgumentError(f"step.activity_table: histogram {step.activity_table} lacks a block class, take another")
    if int(step.extent.max()) > plan.channels or int(step.extent[0]) == 0:
        raise ArgumentError(f"step.extent: outside 0..{plan.channels}, or 0 for the lowest frequency")
    if int(step.ratio.max()) > LARGEST_RATIO:
        raise ArgumentError(f"step.ratio: {step.ratio.max()} is outside 0..{LARGEST_RATIO}")
    if not (np.isfinite(step.inverse).all() and np.isfinite(step.step).all()):
        raise ArgumentError("step: a step is not finite, calibrate again")


def _refuse_features(features: F32) -> NoReturn:
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        place = tuple(bad[0].tolist())
        raise ArgumentError(f"features: {features[place]} at {list(place)} is not finite, pass a finite map")
    place = tuple(map(int, np.unravel_index(np.abs(features).argmax(), features.shape)))
    raise ArgumentError(f"features: {features[place]} at {list(place)} overflows when it is scaled, pass a sane map")
