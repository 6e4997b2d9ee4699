"""The checks every public kernel makes on its arrays, and the sentences they fail with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# Indices are uint16, so a picture holds at most this many patches.
MAX_PATCHES = 65536


def fits(value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
    """Whether `array` has nothing to say about a fixed shape; much the quicker question."""
    return type(value) is np.ndarray and value.dtype == dtype and value.shape == shape and value.flags.c_contiguous


def array(name: str, value: Any, dtype: DTypeLike, shape: tuple[int | str, ...]) -> None:
    """Check type, dtype, shape and C order; a string in `shape` names an extent that is free but not zero."""
    if not isinstance(value, np.ndarray):
        raise ArgumentError(f"{name}: got {type(value).__name__}, pass a numpy array")
    if value.dtype != dtype:
        raise ArgumentError(f"{name}: dtype is {value.dtype}, convert it to {np.dtype(dtype).name}")
    if not _matches(value.shape, shape):
        raise ArgumentError(f"{name}: shape is {value.shape}, need ({', '.join(map(str, shape))})")
    if not value.flags.c_contiguous:
        raise ArgumentError(f"{name}: strides are {value.strides}, copy it with numpy.ascontiguousarray")


def _matches(shape: tuple[int, ...], wanted: tuple[int | str, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        extent == want if isinstance(want, int) else extent > 0 for extent, want in zip(shape, wanted, strict=True)
    )


def output(name: str, value: Any, dtype: DTypeLike, shape: tuple[int, ...]) -> Any:
    """Check that an output can be written, or allocate it when it is None."""
    if value is None:
        return np.empty(shape, dtype)
    array(name, value, dtype, shape)
    if not value.flags.writeable:
        raise ArgumentError(f"{name}: read-only, pass an array that can be written")
    return value


def integer(name: str, value: Any, low: int, high: int) -> None:
    """Check that a count or size lies in low..high."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{name}: got {value!r}, pass an integer in {low}..{high}")
    if not low <= value <= high:
        raise ArgumentError(f"{name}: {value} is outside {low}..{high}")


def share(name: str, value: float) -> None:
    """Check that a threshold is a share: a number in 0..1."""
    if not 0.0 <= value <= 1.0:
        raise ArgumentError(f"{name}: {value} is outside 0..1")


def finite(name: str, value: float) -> None:
    """Check that a number is finite."""
    if not math.isfinite(value):
        raise ArgumentError(f"{name}: {value} is not finite")


def refuse_logits(logits: np.ndarray[Any, Any]) -> NoReturn:
    """Say what is wrong with logits that a kernel refused."""
    bad = np.flatnonzero(np.isnan(logits) | (logits == np.inf))
    if bad.size:
        raise ArgumentError(
            f"logits: {logits[bad[0]]} at index {bad[0]}, the model or its input is broken; pass finite logits"
        )
    raise ArgumentError("logits: every value is -inf, at least one class needs a finite logit")


def refuse_attention(attention: np.ndarray[Any, Any]) -> NoReturn:
    """Say what is wrong with an attention array that a kernel refused."""
    if not np.isfinite(attention).all():
        raise ArgumentError("attention: holds NaN or inf, pass the softmax output of the layer")
    raise ArgumentError(
        "attention: the patches' share is not positive and finite, pass the softmax output of the layer"
    )


def refuse_scores(scores: np.ndarray[Any, Any]) -> NoReturn:
    """Say what is wrong with scores that a kernel refused."""
    bad = int(np.flatnonzero(~((scores >= 0) & (scores <= 1)))[0])
    raise ArgumentError(f"scores: {scores[bad]} at index {bad} is outside 0..1, divide the scores by their sum")


def refuse_indices(indices: np.ndarray[Any, Any], count: int) -> NoReturn:
    """Say which index a kernel refused."""
    beyond = indices[indices >= count]
    if beyond.size:
        raise ArgumentError(f"indices: {beyond[0]} is outside 0..{count - 1}, the picture has {count} patches")
    raise ArgumentError("indices: not strictly ascending, sort them and drop repeats with numpy.unique")
