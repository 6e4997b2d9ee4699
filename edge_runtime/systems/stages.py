"""How long each stage of one inference took. For the answer's record only: no system decides by it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Stages:
    """Named stage times in milliseconds."""

    def __init__(self) -> None:
        self.taken_ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the time spent in the ``with`` block to stage ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.taken_ms[name] = self.taken_ms.get(name, 0.0) + (time.perf_counter() - start) * 1e3

    def add_server(self, timings_ms: Mapping[str, float]) -> None:
        """Add the server's own stages; what remains of the round trip was the link's."""
        for name, taken in timings_ms.items():
            self.taken_ms[f"server_{name}"] = self.taken_ms.get(f"server_{name}", 0.0) + taken
        self.taken_ms["link"] = self.taken_ms.get("link", 0.0) - sum(timings_ms.values())
