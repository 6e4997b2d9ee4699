"""A policy that was learnt in the simulator: a small network scores the actions, the best feasible one is taken.

The file is ONNX: ``features`` float32 ``[batch, features]`` to ``values`` float32 ``[batch, actions]``. Its metadata
holds ``format`` and ``actions``, the plans in the order of the values, as JSON. `edge-export train bps-policy` writes
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edge_runtime.errors import ArgumentError, ModelError
from edge_runtime.models.onnx import open_session
from edge_runtime.scheduling.actions import ActionSet
from edge_runtime.scheduling.features import FEATURES, features
from edge_runtime.scheduling.forecast import Costs, candidates
from edge_runtime.scheduling.planner import cheapest
from edge_runtime.scheduling.plans import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.scheduling.state import State
    from edge_runtime.scheduling.tables import Tables

FORMAT = 1


class LearnedPolicy:
    """Chooses by the network in ``model``, the bytes of its file, among those of its actions that ``tables`` have.

    Actions that lose more than ``most_loss`` (a share, 0.01 is a point) are never chosen, nor such as send while the
    link is not reachable, nor such as come too late while another would be in time. Raises ModelError for a file that
    is no such policy.
    """

    name = "bps-learned"

    def __init__(self, model: bytes, tables: Tables, most_loss: float) -> None:
        self._session = open_session(model, "policy", threads=1)
        self.plans = read_metadata(self._session.get_modelmeta().custom_metadata_map)
        _check_shapes(self._session, self.plans)
        try:
            self._actions = ActionSet(tables, self.plans, most_loss)
        except ArgumentError as error:
            raise ModelError(f"policy: {error}") from error
        self.probe = cheapest(Costs(tables, candidates(tables, most_loss)))

    def choose(self, state: State) -> Plan:
        """The feasible action of the highest value, with the requests in flight that its forecast has."""
        foreseen = self._actions.foresee(state)
        seen = features(state, foreseen)
        values = self._session.run(["values"], {"features": seen[None]})[0][0]
        feasible = foreseen.feasible.nonzero()[0]
        return foreseen.forecast.stages(int(feasible[values[feasible].argmax()])).plan


def metadata(plans: Sequence[Plan]) -> dict[str, str]:
    """What a policy's file must say of itself."""
    return {"format": str(FORMAT), "actions": msgspec.json.encode(plans).decode()}


def read_metadata(found: Mapping[str, str]) -> list[Plan]:
    """The actions of a policy's file; raises ModelError."""
    if found.get("format") != str(FORMAT):
        raise ModelError(
            f"policy: format {found.get('format')} is not supported; this version reads {FORMAT}, "
            "train it with `edge-export train bps-policy`"
        )
    try:
        return msgspec.json.decode(found.get("actions", ""), type=list[Plan])
    except msgspec.DecodeError as error:
        raise ModelError(f"policy: its actions cannot be read ({error}); train it again") from error


def _check_shapes(session: Any, plans: Sequence[Plan]) -> None:
    shapes = [(tensor.name, tensor.shape[1:]) for tensor in (*session.get_inputs(), *session.get_outputs())]
    wanted = [("features", [len(FEATURES)]), ("values", [len(plans)])]
    if shapes != wanted:
        raise ModelError(f"policy: has {shapes}, not {wanted}; train it with this version")
