"""What may be wrong with the daemon, by name, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.daemon.state import Condition

if TYPE_CHECKING:
    from edge_runtime.daemon.state import Level

ORDER: tuple[Level, ...] = ("ok", "degraded", "failed")
# What a restart may mend; everything else only keeps the daemon from doing all its work.
LIVE = ("loop", "models")


class Health:
    """Conditions as they were last reported; what was never reported is fine."""

    def __init__(self) -> None:
        self._conditions: dict[str, Condition] = {}

    def report(self, name: str, level: Level, reason: str = "") -> bool:
        """Set one; whether that is news, which a first report that all is well is not."""
        condition = Condition(name=name, level=level, reason=reason)
        before = self._conditions.get(name)
        self._conditions[name] = condition
        return level != (before.level if before else "ok")

    def retain(self, names: set[str]) -> None:
        """Drop all others: what they were about is gone."""
        for name in self._conditions.keys() - names:
            del self._conditions[name]

    @property
    def conditions(self) -> list[Condition]:
        """All of them, the worst first."""
        return sorted(self._conditions.values(), key=lambda one: (-ORDER.index(one.level), one.name))

    @property
    def level(self) -> Level:
        """The worst one's."""
        return self.conditions[0].level if self._conditions else "ok"

    @property
    def live(self) -> bool:
        """Whether a restart would not help."""
        return all(one.level != "failed" for one in self._conditions.values() if one.name in LIVE)

    @property
    def ready(self) -> bool:
        """Whether frames are answered, be it with less than everything."""
        return self.level != "failed"
