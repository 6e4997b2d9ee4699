"""What the commands about two rounds share: their options, the bundle's tables, and the system that asks."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, cast

from edge_runtime.cli_options import Meant
from edge_runtime.errors import ArgumentError, BundleError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from edge_runtime.codecs.patches import PatchCodec
    from edge_runtime.control.rounds import RoundTables
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import RoundsSpec
    from edge_runtime.systems.amot import Amot, Fixed, Planner
    from edge_runtime.transport.client import Client

PLAN = re.compile(
    r"(?P<codec>raw|jpeg|webp):(?P<quality>\d+):(?P<first>\d+)(:(?P<second>\d+):(?P<below>\d+(\.\d+)?))?", re.ASCII
)
AMOT_OPTIONS: Meant = (("amot",), ("wanted", "price", "plan"))
# What is believed of a link, in bytes a second, before anything has crossed it.
FIRST_BANDWIDTH = 1e6 / 8


def add_wish_options(parser: argparse._ActionsContainer) -> None:
    """Declare what a plan should be best at."""
    parser.add_argument("--wanted", type=float, help="accuracy 0..1 to reach with the fewest bytes (default: the best)")
    parser.add_argument("--price", type=float, help="without --wanted: points that 1000 bytes must bring (0)")


def add_planner_options(parser: argparse.ArgumentParser) -> None:
    """Declare how the device of ``--system amot`` makes its plans."""
    group = parser.add_argument_group("--system amot")
    add_wish_options(group)
    group.add_argument(
        "--plan",
        metavar="CODEC:QUALITY:FIRST[:SECOND:BELOW]",
        help="the same for every photo: webp:35:49:50:0.9 sends 49 patches, and 50 more if less sure than 0.9",
    )


def rounds_spec(bundle: Bundle) -> RoundsSpec:
    """The bundle's two rounds; raises BundleError where it has none."""
    if bundle.manifest.rounds is None:
        raise BundleError(f"{bundle.folder}: has no models for two rounds; give a bundle with [rounds]")
    return bundle.manifest.rounds


def round_tables(bundle: Bundle) -> RoundTables:
    """What calibration measured of the bundle; raises BundleError where it did not."""
    from edge_runtime.control.rounds import RoundTables

    rounds = bundle.manifest.rounds
    if rounds is None or rounds.tables is None:
        raise BundleError(f"{bundle.folder}: was not calibrated for two rounds; give a bundle that was")
    return RoundTables.load(bundle.read(rounds.tables))


def wish(options: argparse.Namespace) -> tuple[float | None, float]:
    """The accuracy wanted, if any, and the accuracy that one byte must bring; raises ArgumentError."""
    wanted, price = options.wanted, options.price or 0.0
    if wanted is not None and not 0 <= wanted <= 1:
        raise ArgumentError(f"--wanted: {wanted} is not an accuracy within 0..1")
    if not price >= 0:
        raise ArgumentError(f"--price: {price} is below 0")
    return wanted, price / 100 / 1000


def amot_for(options: argparse.Namespace, bundle: Bundle) -> Callable[[Client], Amot]:
    """The system as the options have it, once its server is known.

    It asks the server how far it is, and raises LinkLost when nobody is there; what else is wrong is found at once.
    """
    from edge_runtime.systems.amot import Amot

    rounds, planner_for = rounds_spec(bundle), _planner_for(options, bundle)
    return lambda client: Amot(bundle.frame, rounds.pattern, planner_for(client), rounds.classifier)


def _planner_for(options: argparse.Namespace, bundle: Bundle) -> Callable[[Client], Planner]:
    from edge_runtime.control.link_estimate import LinkEstimate
    from edge_runtime.control.slo import Slo

    if options.plan:
        if options.wanted is not None or options.price is not None:
            raise ArgumentError("--plan: leaves nothing to plan, give it without --wanted and --price")
        plan = parse_plan(options.plan, bundle.frame.grid**2)
        return lambda _: plan
    wanted, byte_price = wish(options)
    tables = round_tables(bundle)

    def slo(client: Client) -> Slo:
        client.ping(1.0)  # the first one opens the connection
        link = LinkEstimate(FIRST_BANDWIDTH, client.ping(1.0), time.monotonic())
        return Slo(tables, link, wanted=wanted, byte_price=byte_price)

    return slo


def parse_plan(text: str, patches: int) -> Fixed:
    """Read ``CODEC:QUALITY:FIRST[:SECOND:BELOW]`` for frames of so many patches; raises ArgumentError."""
    from edge_runtime.systems.amot import Fixed

    match = PLAN.fullmatch(text)
    if match is None:
        raise ArgumentError(f"--plan: {text!r} is no plan, write it like webp:35:49:50:0.9 or webp:35:49")
    quality, first, second = (int(match[part] or 0) for part in ("quality", "first", "second"))
    below = float(match["below"] or 0)
    if not (1 <= quality <= 100 and 1 <= first <= patches and second <= patches - first and below <= 1):
        raise ArgumentError(
            f"--plan: {text} is out of range, give a quality of 1..100, {patches} patches at most, below up to 1"
        )
    return Fixed(cast("PatchCodec", match["codec"]), quality, first, second, below)
