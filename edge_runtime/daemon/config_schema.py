"""What the configuration may hold at each of its places, asked of its structs: for messages and for the environment."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import inspect

from edge_runtime.daemon.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

KIND = "kind"
# Of a key: names of tables, indices in arrays of tables.
Place = tuple[str | int, ...]


def dotted(place: Place) -> str:
    """As people read it: ``source[0].system.kind``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every key of plain tables with its value; empty tables and arrays are values too."""
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from leaves(one, (*place, key))
    elif isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value):
        for index, one in enumerate(value):
            yield from leaves(one, (*place, index))
    else:
        yield place, value


def value_at(raw: dict[str, Any], place: Place) -> Any:
    """What plain tables hold there; None where there is nothing."""
    value: Any = raw
    for key in place:
        if isinstance(key, int):
            value = value[key] if isinstance(value, list) and key < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def type_at(raw: dict[str, Any], place: Place) -> inspect.Type | None:
    """What may stand there, where the kinds of tables are those in ``raw``; None for a place that cannot be."""
    if not place:
        return _schema()
    around, key = place[:-1], place[-1]
    if isinstance(key, int):
        return row_type(type_at(raw, around))
    if key == KIND and (kinds := kinds_at(raw, around)):
        return inspect.LiteralType(kinds)
    table = table_at(raw, around)
    return next((field.type for field in table.fields if field.name == key), None) if table else None


def table_at(raw: dict[str, Any], place: Place) -> inspect.StructType | None:
    """The table there; None where it has kinds and ``raw`` names none of them."""
    tables = _tables(type_at(raw, place))
    if len(tables) == 1:
        return tables[0]
    value = value_at(raw, place)
    kind = value.get(KIND) if isinstance(value, dict) else None
    return next((table for table in tables if table.tag == kind), None)


def kinds_at(raw: dict[str, Any], place: Place) -> tuple[str, ...]:
    """The kinds that the table there may be of; none where it has no kinds."""
    return tuple(str(table.tag) for table in _tables(type_at(raw, place)) if table.tag_field)


def keys_at(raw: dict[str, Any], place: Place) -> list[str]:
    """The keys that the table there may have."""
    table = table_at(raw, place)
    kind = [KIND] if kinds_at(raw, place) else []
    return kind + ([field.name for field in table.fields] if table else [])


def no_such_key(raw: dict[str, Any], place: Place) -> str:
    """Why there can be no such key, with the one that was probably meant."""
    known = keys_at(raw, place[:-1])
    near = difflib.get_close_matches(str(place[-1]), known, 1)
    table = table_at(raw, place[:-1])
    of_kind = f" of kind {table.tag}" if table and table.tag else ""
    where = f"{dotted(place[:-1]) or 'the file'}{of_kind}"
    return f"no such key; did you mean {near[0]}?" if near else f"no such key; {where} has {', '.join(known) or 'none'}"


def is_table(of: inspect.Type | None) -> bool:
    """Whether it is a table, or an array of them, and no value of its own."""
    return bool(_tables(of) or _tables(row_type(of)))


def row_type(array: inspect.Type | None) -> inspect.Type | None:
    """What the array's items may be; None of anything else."""
    return next((one.item_type for one in members(array) if isinstance(one, inspect.VarTupleType)), None)


def members(of: inspect.Type | None) -> tuple[inspect.Type, ...]:
    """Its alternatives, itself where it has none."""
    if of is None:
        return ()
    return of.types if isinstance(of, inspect.UnionType) else (of,)


def _tables(of: inspect.Type | None) -> list[inspect.StructType]:
    return [one for one in members(of) if isinstance(one, inspect.StructType)]


@cache
def _schema() -> inspect.Type:
    return inspect.type_info(Config)
