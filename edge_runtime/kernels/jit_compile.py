"""How the Numba kernels are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

# To the type checker a compiled function is what it was before.
Function = TypeVar("Function", bound="Callable[..., Any]")


def compiled(function: Function) -> Function:
    """Compile on first call, and keep the result on disk where a cache directory can be written."""
    try:
        return cast("Function", numba.njit(cache=True)(function))
    except RuntimeError:
        return cast("Function", numba.njit(function))
