"""Systems from a source's table, with the zoo's models."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.systems import Opened, Shelf, open_system
from edge_runtime.errors import BundleError, ConfigError
from edge_runtime.messages import Frame
from edge_runtime.models.execution import DEFAULT_EXECUTION

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.daemon.answering import Outcome
    from edge_runtime.models import Bundle

ZOO = Path(__file__).parents[2] / "zoo"


def posted(system: config.System, bundle: Path = ZOO, fallback: Path | None = None) -> config.Posted:
    """A source with this system."""
    return config.Posted(name="gate", system=system, bundle=bundle, fallback=fallback)


def answered(source: config.Source, pixels: NDArray[np.uint8], server: str = "") -> tuple[Opened, Outcome]:
    """The source's answer to a frame, due in ten seconds."""

    async def run() -> tuple[Opened, Outcome]:
        with ThreadPoolExecutor(1) as models:
            opened = await open_system(source, config.Config(link=config.Link(server=server)), Shelf(), models)
            try:
                due_s = __import__("time").monotonic() + 10
                return opened, await opened.answering.answer(Frame(1, pixels, due_s))
            finally:
                await asyncio.to_thread(opened.close)

    return asyncio.run(run())
