"""`edge-export validate`: the gate that every exported file passes, on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporters.validate import Check


def rows(checks: Sequence[Check]) -> list[dict[str, object]]:
    """Checks as table rows."""
    return [
        {
            "file": check.file,
            "runtime": check.runtime,
            "difference": check.difference,
            "limit": check.limit,
            "same_label": check.same_label,
            "result": "ok" if check.passed else check.error or "differs",
        }
        for check in checks
    ]
