"""Configurations as TOML: one that holds, and the commented one that is written at the beginning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.daemon.config_schema import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_runtime.daemon.config_schema import Place


def template() -> str:
    """Every key with its default and a word about it; loads as it is."""
    return Path(__file__).with_name("config.toml").read_text("utf-8")


def toml(tables: dict[str, Any], origins: Mapping[str, str] | None = None) -> str:
    """Plain tables as TOML; with ``origins``, by key, each line says where its value came from."""
    return "\n".join(_table(tables, (), origins or {})).strip() + "\n"


def _table(table: dict[str, Any], place: Place, origins: Mapping[str, str]) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if _has_tables(value)}
    for key, value in table.items():
        if key not in inner:
            origin = origins.get(dotted((*place, key)))
            if value is not None:
                yield f"{key} = {_value(value)}" + (f"  # {origin}" if origin else "")
            elif origin:
                yield f"# {key} is not set"
    path = ".".join(str(key) for key in place if isinstance(key, str))
    for key, value in inner.items():
        header = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from ("", f"[{header}]", *_table(value, (*place, key), origins))
        else:
            for index, row in enumerate(value):
                yield from ("", f"[[{header}]]", *_table(row, (*place, key, index), origins))


def _has_tables(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value))


def _value(value: object) -> str:
    """A value that is no table; JSON writes them as TOML does, but for one character of text."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
