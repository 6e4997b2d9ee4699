"""The backends of the kernels that this machine has, the compiled one in each instruction set."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_runtime import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class BackendChoice(NamedTuple):
    """A backend by its name in reports, the ``isa`` of a compiled one, and how to switch to it."""

    name: str
    isa: str | None
    switch: Callable[[], Any]


def backend_choices() -> list[BackendChoice]:
    """The compiled sets, the best first, then Numba and NumPy; what is missing is left out."""
    found = []
    if importlib.util.find_spec("edge_runtime.kernels._native"):
        native = importlib.import_module("edge_runtime.kernels.native")
        found = [_compiled(native, isa) for isa in reversed(native.isas())]
    if importlib.util.find_spec("numba"):
        found.append(BackendChoice("jit", None, lambda: kernels.use("jit")))
    return [*found, BackendChoice("reference", None, lambda: kernels.use("reference"))]


def _compiled(native: Any, isa: str) -> BackendChoice:
    return BackendChoice(f"native {isa}", isa, lambda: (native.use_isa(isa), kernels.use("native")))


@contextmanager
def kept() -> Iterator[None]:
    """Switch as you like within; afterwards backend and instruction set are what they were."""
    before = kernels.backend()
    try:
        yield
    finally:
        if before.name == "native":
            importlib.import_module("edge_runtime.kernels.native").use_isa(before.isa)
        kernels.use(before.name)  # type: ignore[arg-type]
