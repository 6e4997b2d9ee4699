"""`edge-export train NAME`: the zoo's recipes, and the scheduler's policy, by name."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from edge_runtime.errors import ArgumentError
from exporters.imagenette import IMAGENET_INDICES
from exporters.networks import efficientnet_lite as lite
from exporters.networks.catalogue import load_weights, own_network
from exporters.training import bps_commands
from exporters.training.loop import Recipe, train
from exporters.training.photos import load_photos

RECIPES = {
    "edge-vit": "the device's ViT on an EfficientNet-Lite stem, whose attention chooses patches",
    "server-vit": "the server's ViT, which takes any subset of patches",
    "patch-tolerant": "EfficientNet-Lite0, or one's own network, taught to miss patches",
    "recovery": "the masked autoencoder, which recovers the patches that were not sent",
    "relu-resnet": "a residual network with ReLUs, to be cut in two",
    "ensemble": "up to four encoders whose outputs add up to one latent, and its decoder",
    "widths": "the ensemble's rival: one encoder that can be cut to a share of its channels",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export train`, each name's own."""
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, text in RECIPES.items():
        _add_recipe_arguments(_named(names, name, text))
    bps_commands.add_arguments(_named(names, "bps-policy", bps_commands.DESCRIPTION))


def run(options: argparse.Namespace) -> dict[str, object]:
    """Train and report where the result lies."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return bps_commands.run(options) if options.name == "bps-policy" else _train_recipe(options)


def _named(names: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str) -> argparse.ArgumentParser:
    parser = names.add_parser(name, help=text, description=text)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint, the log and the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    # Also after the name; without a default, for that would undo what stands before it.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON")
    return parser


def _add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=Path, required=True, help="folder or tar file, <class>/<photo>")
    parser.add_argument("--epochs", type=int, help="default: the recipe's own")
    parser.add_argument("--limit", type=int, help="train on an even sample of so many photos")
    parser.add_argument("--start", type=Path, help="weights to start from, of the same network")
    parser.add_argument(
        "--teacher",
        type=Path,
        help="DeiT-Tiny weights, official key names: server-vit needs them, edge-vit learns where to look from them",
    )
    parser.add_argument(
        "--model",
        metavar="MODULE:FACTORY",
        help="patch-tolerant: a callable that returns one's own torch network (default: ten-way EfficientNet-Lite0)",
    )
    parser.add_argument("--mean", type=float, nargs=3, default=lite.MEAN, help="--model's normalisation, 0..255 units")
    parser.add_argument("--std", type=float, nargs=3, default=lite.STD)
    parser.add_argument("--size", type=int, default=224, help="side of --model's input in pixels")


def _train_recipe(options: argparse.Namespace) -> dict[str, object]:
    recipe = _recipe(options)
    if options.start:
        load_weights(recipe.model, options.start)
    photos, held_out = load_photos(options.photos, options.size, options.limit).split_for_tuning()
    train(recipe, photos, held_out, options.out, options.seed)
    return {"model": str(options.out / "model.pt"), "log": str(options.out / "log.jsonl")}


def _recipe(options: argparse.Namespace) -> Recipe:
    epochs = {} if options.epochs is None else {"epochs": options.epochs}
    if options.name == "edge-vit":
        from exporters.training.edge_vit import EdgeVit

        return EdgeVit(len(IMAGENET_INDICES), options.teacher, **epochs)
    if options.name == "server-vit":
        from exporters.training.server_vit import ServerVit

        if options.teacher is None:
            raise ArgumentError("--teacher: server-vit needs DeiT-Tiny weights to learn from; give their file")
        return ServerVit(IMAGENET_INDICES, options.teacher, **epochs)
    if options.name == "relu-resnet":
        from exporters.training.relu_resnet import ReluResnet

        return ReluResnet(len(IMAGENET_INDICES), **epochs)
    if options.name == "recovery":
        from exporters.training.recovery import Recovery

        return Recovery(**epochs)
    if options.name in ("ensemble", "widths"):
        return _slimmable(options.name, epochs)
    from exporters.training.patch_tolerant import PatchTolerant

    network = own_network(options.model) if options.model else lite.efficientnet_lite(0, IMAGENET_INDICES)
    return PatchTolerant(network, tuple(options.mean), tuple(options.std), **epochs)


def _slimmable(name: str, epochs: dict[str, int]) -> Recipe:
    from exporters.networks.channel_slimmable import SlimEncoder
    from exporters.networks.ensemble import CHANNELS, EnsembleEncoder
    from exporters.training.slimmable import Slimmable

    return Slimmable(EnsembleEncoder() if name == "ensemble" else SlimEncoder(), CHANNELS, **epochs)
