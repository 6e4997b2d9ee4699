"""``edge-runtime slo``: says how a photo would be asked about in two rounds, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_options import command, milliseconds
from edge_runtime.cli_rounds import add_wish_options, round_tables, wish
from edge_runtime.control.round_plans import Conditions, RoundPlan, RoundPlans, unmeetable
from edge_runtime.control.slo import FIRST_MARGIN_S
from edge_runtime.models import Bundle
from edge_runtime.transport.shaper import LinkShape

if TYPE_CHECKING:
    import argparse

    from edge_runtime.control.round_plans import Explanation

SHOWN = 3
REASONS = {
    "deadline": "with more time there would be a better plan",
    "accuracy": "the fewest bytes of all plans with that accuracy",
    "bytes": "more accuracy would cost more bytes than it is worth",
    "nothing": "the most accurate plan of all",
}


def add_slo(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "slo", _slo, "say how a photo would be asked about in two rounds")
    parser.add_argument(
        "--explain", action="store_true", help="also what binds, where time goes, and the next best plans"
    )
    parser.add_argument("--deadline", type=milliseconds, required=True, metavar="MS", help="80 or 80ms")
    parser.add_argument("--bandwidth", required=True, metavar="RATE/RTT", help="of the link: 5mbit/20ms")
    add_wish_options(parser)
    parser.add_argument("--queue", type=milliseconds, default=0.0, metavar="MS", help="of the server (0)")
    parser.add_argument(
        "--margin",
        type=milliseconds,
        default=FIRST_MARGIN_S * 1e3,
        metavar="MS",
        help="of each round, for whatever else takes time (%(default)g)",
    )


def _slo(options: argparse.Namespace) -> None:
    wanted, byte_price = wish(options)
    plans = RoundPlans(round_tables(Bundle.load(options.bundle)), wanted, byte_price)
    shape = LinkShape.parse(options.bandwidth)
    margin_s = options.margin / 1e3
    conditions = Conditions(
        bandwidth=shape.rate_bps / 8,
        round_trip_s=2 * shape.delay_s,
        queue_s=options.queue / 1e3,
        first_margin_s=margin_s,
        second_margin_s=margin_s,
    )
    explanation = plans.explain(conditions, options.deadline / 1e3)
    chosen = explanation.chosen
    if chosen.first_s + chosen.second_s > options.deadline / 1e3:
        raise unmeetable(options.deadline / 1e3, chosen.first_s)
    times = _times_ms(plans, chosen, conditions)
    if options.json:
        print(json.dumps(asdict(explanation) | {"times_ms": times} if options.explain else asdict(chosen)))
    elif options.explain:
        print(_explained(explanation, times))
    else:
        print(_name(chosen))


def _times_ms(plans: RoundPlans, plan: RoundPlan, conditions: Conditions) -> list[dict[str, float]]:
    """Milliseconds of each round: on the link, at the server, and left as a margin."""
    is_careful = plan.mode != "best-effort"
    rounds = [(plan.first_s, plans.first_server_s(plan), conditions.first_margin_s * is_careful)]
    if plan.second:
        rounds.append((plan.second_s, plans.second_round(plan, plan.second)[1], conditions.second_margin_s))
    found = []
    for taken_s, tables_s, margin_s in rounds:
        server_s = conditions.queue_s + conditions.server_factor * tables_s
        found.append({"link": taken_s - server_s - margin_s, "server": server_s, "margin": margin_s})
    return [{part: round(taken * 1e3, 3) for part, taken in one.items()} for one in found]


def _explained(explanation: Explanation, times: list[dict[str, float]]) -> str:
    lines = [f"{_name(explanation.chosen)}: {_worth(explanation.chosen)}"]
    lines += [
        f"  round {number}, ms: " + ", ".join(f"{part} {taken:.1f}" for part, taken in one.items())
        for number, one in enumerate(times, 1)
    ]
    fitting = (f"{count} of {explanation.all[mode]} {mode}" for mode, count in explanation.fitting.items())
    lines.append(f"  in time: {', '.join(fitting)} plans")
    lines.append(f"  what binds: {explanation.binds} ({REASONS[explanation.binds]})")
    return "\n".join(lines + [f"next best: {_name(plan)}: {_worth(plan)}" for plan in explanation.next_best[:SHOWN]])


def _name(plan: RoundPlan) -> str:
    more = f", then {plan.second} if less sure than {plan.below:g}" if plan.second else ""
    return f"{plan.mode} {plan.codec} q{plan.quality}, {plan.first} patches{more}"


def _worth(plan: RoundPlan) -> str:
    taken_ms = (plan.first_s + plan.second_s) * 1e3
    cost = f"{plan.expected_bytes:.0f} bytes, second round {plan.asked:.0%}, {taken_ms:.1f} ms"
    return f"accuracy {plan.accuracy:.1%}, {cost}"
