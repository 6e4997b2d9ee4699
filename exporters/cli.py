"""`edge-export`: one command per verb; a command's libraries are imported when it is called."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from typing import TYPE_CHECKING

from edge_runtime.errors import EdgeRuntimeError
from exporters.cli_text import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "train": ("exporters.training.commands", "train a network of the zoo, one's own, or the scheduler's policy"),
    "onnx": ("exporters.cli_export", "export one network to an ONNX file"),
    "tflite": ("exporters.cli_export", "export one network to a TFLite file"),
    "calibrate": ("exporters.cli_calibrate", "measure on photos what a bundle's cuts or rounds decide by"),
    "bundle": ("exporters.cli_bundle", "export a spec to a bundle, or split a bundle into halves"),
    "split": ("exporters.cli_split", "list where a network can be cut in two, or write a bundle of its halves"),
    "slimmable": ("exporters.cli_slimmable", "write a bundle of trained slimmable encoders, every mode measured"),
    "validate": ("exporters.cli_validate", "run every file in every runtime it is claimed for, and compare"),
    "inspect": ("exporters.cli_inspect", "say what a model file or a bundle holds"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``edge-export`` and return its exit status: 0, or 2 when something failed."""
    options = _parser().parse_args(argv)
    module, description = COMMANDS[options.command]
    try:
        command = importlib.import_module(module)
        parser = argparse.ArgumentParser(prog=f"edge-export {options.command}", description=description)
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.set_defaults(command=options.command)
        command.add_arguments(parser)
        chosen = parser.parse_args(options.arguments)
        result = command.run(chosen)
    except EdgeRuntimeError as error:
        print(f"edge-export {options.command}: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        extras = "`pip install edge-runtime[export-tflite,policy,zoo]`"
        print(f"edge-export {options.command}: {error}; {extras}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2) if chosen.json else as_text(result))
    return 2 if result.get("failed") else 0


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:10}{description}" for name, (_, description) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="edge-export",
        description=f"Turn PyTorch networks into what devices and servers run.\n\n{commands}",
        epilog="`edge-export COMMAND --help` lists a command's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser
