"""Sources: each captures frames and offers them to its intake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edge_runtime.daemon.intake import Intake


class Source(Protocol):
    """Whatever captures frames."""

    @property
    def trouble(self) -> str:
        """Why no frames come at the moment; empty while all is well."""

    async def run(self, intake: Intake) -> None:
        """Offer frames until cancelled, or until there are none left; raises SourceError when it cannot go on.

        Sets ``intake.begun`` once no frame that comes from then on escapes it.
        """
