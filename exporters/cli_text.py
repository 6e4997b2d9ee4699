"""A command's result as text for people: scalars a line each, lists of records as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def as_text(result: Mapping[str, object]) -> str:
    """Render what ``--json`` would print."""
    lines: list[str] = []
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += ["", *_table(value)]
        else:
            lines.append(f"{key:12}  {_cell(value)}")
    return "\n".join(lines)


def _table(records: list[dict[str, object]]) -> list[str]:
    head = list(records[0])
    rows = [head, *([_cell(record[key]) for key in head] for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return " ".join(f"{key}={_cell(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(_cell(item) for item in value) or "-"
    return str(value)
