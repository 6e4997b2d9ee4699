"""``edge-runtime daemon``: answers frames until it is told to stop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_options import DEFAULT_CONFIG, command
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    import argparse


def add_daemon(commands: Any) -> None:
    """Declare the command."""
    daemon = command(commands, "daemon", _daemon, "answer frames from sources, as a service", needs_bundle=False)
    daemon.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help="default: %(default)s")


def _daemon(options: argparse.Namespace) -> None:
    import asyncio

    try:
        from edge_runtime.daemon.daemon import Daemon
    except ModuleNotFoundError as error:
        raise ConfigError(f"daemon: {error.name} is not installed; pip install 'edge-runtime[daemon]'") from error
    from edge_runtime.daemon.service_manager import ServiceManager

    # What is asked for on the command line goes before the file, as the environment does.
    environ = os.environ | ({"EDGE_RUNTIME__LOG__FORMAT": "json"} if options.json else {})

    async def run() -> None:
        await Daemon(options.config, environ, ServiceManager.from_environment(environ)).run()

    asyncio.run(run())
