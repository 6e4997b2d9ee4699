"""Whether the sources' systems can be opened: the bundles have what they need, and the models load here."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec.structs import replace

from edge_runtime.daemon.config import Link
from edge_runtime.daemon.shelf import Shelf
from edge_runtime.daemon.systems import open_system
from edge_runtime.errors import EdgeRuntimeError

if TYPE_CHECKING:
    from concurrent.futures import Executor as Threads

    from edge_runtime.daemon.config import Config, Source


def failing(config: Config) -> list[str]:
    """Open every source's system and try it, as the daemon would, but for the server; what failed, a line each."""
    return asyncio.run(_failing(replace(config, link=Link())))


async def _failing(config: Config) -> list[str]:
    shelf = Shelf()
    with ThreadPoolExecutor(1, "models") as models:
        reasons = [await _failure(source, config, shelf, models) for source in config.source]
    return [f"source[{index}].system: {reason}" for index, reason in enumerate(reasons) if reason]


async def _failure(source: Source, config: Config, shelf: Shelf, models: Threads) -> str:
    """Why a source's system cannot be opened; empty when it can."""
    try:
        opened = await open_system(source, config, shelf, models)
    except EdgeRuntimeError as error:
        return str(error)
    await asyncio.to_thread(opened.close)
    return ""
