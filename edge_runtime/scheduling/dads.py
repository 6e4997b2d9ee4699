"""DADS, a baseline: partition by a minimum cut, for latency under a light load and for throughput under a heavy one.

Hu, Bao, Wang, Liu, INFOCOM 2019. Theirs partitions a graph of layers; ours a chain of the parts between measured cuts,
where the throughput problem, NP-hard on graphs and approximated there, is solved exactly.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.scheduling.forecast import Costs
from edge_runtime.scheduling.planner import cheapest, wanted_rate
from edge_runtime.scheduling.plans import LOCAL, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.scheduling.state import State
    from edge_runtime.scheduling.tables import Tables

    F64 = NDArray[np.float64]


class Dads:
    """Takes of ``plans``, one frame a request each, and of computing here, the partition that fits the load.

    While the largest stage of the partition of lowest latency keeps up with the arrivals and the backlog, that one;
    else the one whose largest stage is smallest. Requests overlap. Raises EdgeRuntimeError where networkx is missing.
    """

    name = "dads"

    def __init__(self, tables: Tables, plans: Sequence[Plan]) -> None:
        self._networkx = _networkx()
        chain = Costs(tables, [*(_pipelined(plan) for plan in plans), LOCAL])
        self.probe = cheapest(Costs(tables, plans))
        # In the order of the network: the photos first, the whole network last.
        order = np.argsort(chain.device_s + chain.local_s, kind="stable")
        self._costs = Costs(tables, [chain.plans[index] for index in order])

    def choose(self, state: State) -> Plan:
        """The partition for this load and link; local without one."""
        if not state.link.reachable:
            return LOCAL
        forecast = self._costs.forecast(state)
        device_s = forecast.device_s + forecast.local_s
        stages_s = np.maximum.reduce([device_s, forecast.link_s, forecast.server_s])
        crossing_s = forecast.latency_s - device_s - forecast.server_s
        best = least_cut(self._networkx, device_s, crossing_s, forecast.server_s)
        if stages_s[best] * wanted_rate(state) > 1:
            best = int(stages_s.argmin())
        return forecast.stages(best).plan


def least_cut(networkx: Any, device_s: F64, crossing_s: F64, server_s: F64) -> int:
    """The place in a chain where leaving the device takes least in all, by a minimum s-t cut.

    Float arrays ``[places]`` in the chain's order, in seconds: of all before each place on the device, of crossing
    there, of all behind it on the server.
    """
    # Part k of the network lies between places k - 1 and k; part 0 is the device, the last one the server. The minimum
    # cut severs, and so pays, a part's edge from the device where the server computes it, its edge to the server where
    # the device does, and the edge between two parts where the network crosses.
    places = len(device_s)
    on_device_s, on_server_s = np.diff(device_s), -np.diff(server_s)
    # Measured differences may be negative, capacities not. Of a part's two edges every cut severs one.
    offset_s = -min([0.0, *on_device_s, *on_server_s])
    seconds: defaultdict[tuple[int, int], float] = defaultdict(float)
    for place in range(places):
        seconds[place, place + 1] += crossing_s[place]
    for part in range(1, places):
        seconds[0, part] += on_server_s[part - 1] + offset_s
        seconds[part, places] += on_device_s[part - 1] + offset_s
    graph = networkx.DiGraph()
    # In nanoseconds: the algorithms are exact for integers only.
    graph.add_edges_from((*edge, {"capacity": round(1e9 * taken_s)}) for edge, taken_s in seconds.items())
    # Without a capacity, which is endless: nothing returns to the device once it has left.
    graph.add_edges_from((part + 1, part) for part in range(1, places - 1))
    _, (on_device, _) = networkx.minimum_cut(graph, 0, places)
    return len(on_device) - 1


def _pipelined(plan: Plan) -> Plan:
    return replace(plan, mode="split-pipeline") if plan.mode == "split" else plan


def _networkx() -> Any:
    try:
        import networkx
    except ImportError as error:
        raise EdgeRuntimeError("dads: its minimum cut needs networkx; `pip install edge-runtime[report]`") from error
    return networkx
