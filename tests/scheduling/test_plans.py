"""What a plan says of itself."""

from __future__ import annotations

import pytest

from edge_runtime.scheduling.plans import LOCAL, Plan


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        (LOCAL, "local(1)"),
        (Plan("remote", 4, "", "jpeg q75"), "remote(4, jpeg q75)"),
        (Plan("data-parallel", 8, "", "jpeg q75", local=3), "data-parallel(8, jpeg q75, local 3)"),
        (Plan("hybrid", 2, "conv16", "ff q40", local=1, in_flight=3), "hybrid(2, conv16, ff q40, local 1)"),
    ],
)
def test_a_plan_s_name_says_all_but_what_is_under_way(plan: Plan, name: str) -> None:
    """Mode, batch, cut, level and the frames computed beside."""
    assert plan.name == name


def test_only_the_local_mode_sends_nothing() -> None:
    """Every other mode makes requests."""
    assert not LOCAL.sends
    assert Plan("split", 1, "conv16", "ff q40").sends
