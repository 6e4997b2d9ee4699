"""What may be wrong with the daemon."""

from __future__ import annotations

import pytest

from edge_runtime.daemon.health import Health
from edge_runtime.daemon.state import Condition, Level


@pytest.fixture
def health() -> Health:
    """Nothing was reported yet."""
    return Health()


def test_all_is_well_until_something_is_reported(health: Health) -> None:
    """A daemon without troubles is ready."""
    assert (health.level, health.live, health.ready, health.conditions) == ("ok", True, True, [])


def test_the_worst_condition_counts_and_comes_first(health: Health) -> None:
    """Equal ones are ordered by name."""
    health.report("b", "degraded", "slow")
    health.report("a", "ok")
    health.report("d", "failed", "gone")
    health.report("c", "failed", "gone too")
    assert health.level == "failed"
    assert [condition.name for condition in health.conditions] == ["c", "d", "b", "a"]
    assert health.conditions[0] == Condition(name="c", level="failed", reason="gone too")


@pytest.mark.parametrize(
    ("name", "level", "live", "ready"),
    [
        ("spool", "degraded", True, True),
        ("source gate", "failed", True, False),
        ("models", "degraded", True, True),
        ("models", "failed", False, False),
        ("loop", "failed", False, False),
    ],
)
def test_a_restart_is_wanted_only_where_it_may_help(
    health: Health, name: str, level: Level, live: bool, ready: bool
) -> None:
    """A source that is gone keeps the daemon from being ready, and would be as gone after a restart."""
    health.report(name, level, "reason")
    assert (health.live, health.ready) == (live, ready)


def test_news_is_what_changes_the_level(health: Health) -> None:
    """Neither a first report that all is well is news, nor another reason for the same."""
    reports = [("ok", ""), ("degraded", "one"), ("degraded", "two"), ("failed", "two"), ("ok", ""), ("ok", "")]
    assert [health.report("link", level, reason) for level, reason in reports] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]


def test_what_is_gone_is_forgotten(health: Health) -> None:
    """What was never reported may be retained all the same."""
    health.report("sink file", "failed", "full")
    health.report("spool", "degraded", "slow")
    health.retain({"spool", "models"})
    assert health.ready
    assert [condition.name for condition in health.conditions] == ["spool"]
