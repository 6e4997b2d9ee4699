"""Settings from the environment: ``EDGE_RUNTIME__LINK__SERVER`` stands above ``server`` in ``[link]``.

Tables of an array are called by their name, in upper case and with ``_`` for ``-``, or by their index from 0:
``EDGE_RUNTIME__SOURCE__FRONT_DOOR__MAX_FPS``. A value is read as TOML where it parses, else taken as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from edge_runtime.daemon.config_schema import (
    KIND,
    dotted,
    is_table,
    keys_at,
    members,
    no_such_key,
    row_type,
    type_at,
    value_at,
)
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.daemon.config_schema import Place

PREFIX = "EDGE_RUNTIME__"
_TEXTS = (inspect.StrType, inspect.CustomType, inspect.LiteralType)


def override(raw: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Set in ``raw`` what the environment has; the variables' names by the keys that they set."""
    # A table's kind says which other keys it may have, so kinds come first.
    names = sorted((not name.endswith(f"__{KIND.upper()}"), name) for name in environ if name.startswith(PREFIX))
    return {dotted(_set(raw, name, environ[name])): name for _, name in names}


def _set(raw: dict[str, Any], name: str, text: str) -> Place:
    place: Place = ()
    for part in name.removeprefix(PREFIX).split("__"):
        place += (_key(raw, place, part, name),)
    expected = type_at(raw, place)
    if is_table(expected):
        raise ConfigError(f"{name}: {dotted(place)} is a table; name one of its keys, as in {name}__KEY")
    is_text = any(isinstance(one, _TEXTS) for one in members(expected))
    _table(raw, place[:-1], name)[str(place[-1])] = _value(text, is_text=is_text)
    return place


def _key(raw: dict[str, Any], place: Place, part: str, name: str) -> str | int:
    if row_type(type_at(raw, place)):
        return _row(value_at(raw, place), place, part, name)
    key = part.lower()
    if key not in keys_at(raw, place):
        raise ConfigError(f"{name}: {dotted((*place, key))}: {no_such_key(raw, (*place, key))}")
    return key


def _row(rows: Any, place: Place, part: str, name: str) -> int:
    """The index of the table that a variable means."""
    tables = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    names = [str(table.get("name")) for table in tables]
    called = [index for index, one in enumerate(names) if one.replace("-", "_").upper() == part]
    if len(called) == 1:
        return called[0]
    if part.isascii() and part.isdigit() and int(part) < len(names):
        return int(part)
    known = ", ".join(names) or "none"
    raise ConfigError(f"{name}: the file has no single {dotted(place)} named {part.lower()!r}; it has {known}")


def _table(raw: dict[str, Any], place: Place, name: str) -> dict[str, Any]:
    """The table there, made where it is missing."""
    table: Any = raw
    for key in place:
        table = table.setdefault(key, {}) if isinstance(table, dict) else table[key]
    if not isinstance(table, dict):
        raise ConfigError(f"{name}: {dotted(place)} is no table in the file; write it as one, or take it out")
    return table


def _value(text: str, *, is_text: bool) -> Any:
    """As TOML where that parses and, where text is wanted, gives text; else as it is."""
    try:
        table = msgspec.toml.decode(f"value = {text}")
    except (msgspec.DecodeError, ValueError):
        return text
    wanted = len(table) == 1 and (isinstance(table["value"], str) or not is_text)
    return table["value"] if wanted else text
