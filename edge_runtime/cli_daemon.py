"""``edge-runtime daemon``: answers frames until it is told to stop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_options import command

if TYPE_CHECKING:
    import argparse


def add_daemon(commands: Any) -> None:
    """Declare the command."""
    daemon = command(commands, "daemon", _daemon, "answer frames from sources, as a service", needs_bundle=False)
    daemon.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help="default: %(default)s")


def _daemon(options: argparse.Namespace) -> None:
    import asyncio

    from edge_runtime.daemon.daemon import Daemon
    from edge_runtime.daemon.service_manager import ServiceManager

    environ = dict(os.environ)
    if options.json:
        environ["EDGE_RUNTIME__LOG__FORMAT"] = "json"

    async def run() -> None:
        await Daemon(options.config, environ, ServiceManager.from_environment(environ)).run()

    asyncio.run(run())
