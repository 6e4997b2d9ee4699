"""Which backend serves this process.

`EDGE_RUNTIME_KERNELS` names one of native, jit, reference. Unset means native, or reference where the compiled
module cannot be imported. jit is never chosen unasked: it needs Numba, memory that is writable and executable,
and a good fraction of a second at start.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Literal, cast, get_args

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import Backend, BackendInfo

Name = Literal["native", "jit", "reference"]


def _load(name: str) -> Backend:
    if name not in get_args(Name):
        raise ArgumentError(f"kernels: backend {name!r} is unknown, use native, jit or reference")
    try:
        return cast("Backend", importlib.import_module(f"edge_runtime.kernels.{name}"))
    except ImportError as error:
        fix = {"native": "build it with `pip install .`", "jit": "install the extra `numba`"}.get(name, "")
        raise ArgumentError(f"kernels: backend {name!r} cannot be loaded ({error}), {fix}") from error


def _choose() -> Backend:
    asked = os.environ.get("EDGE_RUNTIME_KERNELS")
    if asked:
        return _load(asked)
    try:
        return _load("native")
    except ArgumentError:
        return _load("reference")


active: Backend = _choose()


class use:  # noqa: N801 - a verb, called like a function
    """Switch the backend at once; as a context manager, switch back at the end.

        kernels.use("reference")
        with kernels.use("jit"): ...

    Meant for tests and comparisons: the choice is per process, not per thread. A `Gate` keeps the backend it was
    made with. Raises ArgumentError when the backend is unknown or cannot be loaded.
    """

    def __init__(self, name: Name) -> None:
        global active
        self._before = active
        active = _load(name)

    def __enter__(self) -> None:
        """Nothing left to do: the switch has happened."""

    def __exit__(self, *_: object) -> None:
        global active
        active = self._before


def backend() -> BackendInfo:
    """The backend in use, its instruction set, and the variant that runs each kernel."""
    return active.info()
