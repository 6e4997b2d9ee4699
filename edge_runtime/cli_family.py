"""What the commands about slimmable encoders share: their options, the family, and the system that chooses modes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_runtime.cli_options import Meant, execution
from edge_runtime.errors import ArgumentError
from edge_runtime.messages import Mode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from edge_runtime.control.modes import ModeFigures
    from edge_runtime.models import Bundle
    from edge_runtime.systems.family import Family
    from edge_runtime.systems.slimmable import Controller, Slimmable
    from edge_runtime.transport.client import Client

FAMILY_OPTIONS: Meant = (("slimmable",), ("family", "members", "bits", "estimate", "whole_bits"))
ESTIMATES = ("sums", "ema")


def add_family_options(parser: argparse._ActionsContainer) -> None:
    """Declare which family, and which of its modes may be chosen."""
    parser.add_argument("--family", default="", help="of encoders (default: the bundle's first)")
    parser.add_argument("--whole-bits", action="store_true", help="choose no fractional rates, like 1.5 bits")


def add_slimmable_options(parser: argparse.ArgumentParser) -> None:
    """Declare how the device of ``--system slimmable`` comes to its modes."""
    group = parser.add_argument_group("--system slimmable")
    add_family_options(group)
    group.add_argument("--members", type=int, help="so many encoders for every photo; with --bits, nothing is chosen")
    group.add_argument("--bits", type=float, help="of every value: 1 to 4 in halves")
    group.add_argument("--estimate", choices=ESTIMATES, help=f"of the bandwidth ({ESTIMATES[0]}, ema as published)")


def family_of(options: argparse.Namespace, bundle: Bundle) -> Family:
    """The family that the options name, loaded as they say."""
    from edge_runtime.systems.family import Family

    spec = bundle.latent(options.family)
    return Family.open(bundle, spec, execution(options))


def modes_of(options: argparse.Namespace, family: Family) -> Sequence[ModeFigures]:
    """The modes that may be chosen."""
    return family.table.whole_bits if options.whole_bits else family.table.modes


def slimmable_for(options: argparse.Namespace, family: Family) -> Callable[[Client], Slimmable]:
    """The system as the options have it, once its server is known.

    It asks the server how far it is, and raises LinkLost when nobody is there; what else is wrong is found at once.
    """
    from edge_runtime.systems.slimmable import Slimmable

    controller_for = _controller_for(options, family)
    return lambda client: Slimmable(family.encoders, family.codec, family.spec.decoder, controller_for(client))


def _controller_for(options: argparse.Namespace, family: Family) -> Callable[[Client], Controller]:
    from edge_runtime.control.bandwidth_average import BandwidthAverage
    from edge_runtime.control.link_estimate import LinkEstimate
    from edge_runtime.control.mode_controller import FIRST_BANDWIDTH, ModeController
    from edge_runtime.systems.slimmable import Fixed

    if options.members is not None or options.bits is not None:
        fixed = Fixed(_mode(options, family))
        return lambda _: fixed
    estimate = BandwidthAverage if options.estimate == "ema" else LinkEstimate
    encode_s = family.encoders.warm_up()

    def controller(client: Client) -> ModeController:
        client.ping(1.0)  # the first one opens the connection
        link = estimate(FIRST_BANDWIDTH, client.ping(1.0), time.monotonic())
        return ModeController(modes_of(options, family), encode_s, family.table.server_ms, link)

    return controller


def _mode(options: argparse.Namespace, family: Family) -> Mode:
    from edge_runtime.control.modes import BITS, LEVELS

    members, bits = options.members, options.bits
    if members is None or bits is None:
        raise ArgumentError("--members, --bits: one of them given; give both, or neither to have modes chosen")
    if options.estimate or options.whole_bits:
        raise ArgumentError("--members, --bits: leave nothing to choose; give them without --estimate and --whole-bits")
    if not 1 <= members <= len(family.encoders):
        raise ArgumentError(f"--members: {members} of {len(family.encoders)}; give 1..{len(family.encoders)}")
    known = [BITS[levels] for levels in family.codec.levels if levels in BITS]
    if bits not in known:
        raise ArgumentError(f"--bits: {bits:g} is not among its rates; give {', '.join(f'{one:g}' for one in known)}")
    return Mode(members, LEVELS[bits])
