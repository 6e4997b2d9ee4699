"""``edge-runtime config``: checks the daemon's configuration, shows what holds, and writes one to begin with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_options import DEFAULT_CONFIG, command
from edge_runtime.daemon.config_file import load, plain
from edge_runtime.daemon.config_paths import lacking
from edge_runtime.daemon.config_text import template, toml
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    import argparse


def add_config(commands: Any) -> None:
    """Declare the command."""
    text = "check, show or begin the daemon's configuration"
    actions = commands.add_parser("config", help=text, description=text).add_subparsers(required=True, metavar="ACTION")
    _add(actions, "check", _check, "say whether the daemon could run with it here")
    show = _add(actions, "show", _show, "print what holds, defaults and environment included")
    show.add_argument("--origin", action="store_true", help="also where each value came from")
    init = _add(actions, "init", _init, "write one with every key and its default")
    init.add_argument("--force", action="store_true", help="over one that is there")


def _add(actions: Any, name: str, function: Any, text: str) -> Any:
    parser = command(actions, name, function, text, needs_bundle=False)
    parser.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help="default: %(default)s")
    return parser


def _check(options: argparse.Namespace) -> int:
    from edge_runtime.daemon.config_trial import failing

    warnings: list[str] = []
    try:
        config, _, warnings = load(options.config, os.environ)
        # Models take a moment to load, and cannot from a path that leads nowhere.
        problems = [f"{options.config}: {problem}" for problem in [*lacking(config)] or failing(config)]
    except ConfigError as error:
        problems = [str(error)]
    if options.json:
        print(json.dumps({"config": str(options.config), "problems": problems, "warnings": warnings}))
    else:
        for warning in warnings:
            print(f"{options.config}: warning: {warning}")
        print("\n".join(problems) or f"{options.config}: fine")
    return 2 if problems else 0


def _show(options: argparse.Namespace) -> None:
    config, origins, _ = load(options.config, os.environ)
    tables = plain(config)
    if options.json:
        print(json.dumps({"config": tables, "origins": origins} if options.origin else tables))
    else:
        print(toml(tables, origins if options.origin else None), end="")


def _init(options: argparse.Namespace) -> None:
    path: Path = options.config
    if path.exists() and not options.force:
        raise ConfigError(f"{path}: is there already; give --force to write over it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); give --config another path") from error
    print(json.dumps({"config": str(path)}) if options.json else f"{path}: written, with every key and its default")
