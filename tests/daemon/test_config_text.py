"""Configurations as TOML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import inspect

from edge_runtime.daemon.config import Config
from edge_runtime.daemon.config_file import load, plain
from edge_runtime.daemon.config_schema import KIND, members
from edge_runtime.daemon.config_text import template, toml

if TYPE_CHECKING:
    from collections.abc import Iterator

# The page's tables: key, default, meaning.
ROW = re.compile(r"^\| `(?P<key>\w+)` \| (?P<default>[^|]*) \|", re.MULTILINE)
PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def shown() -> dict[str, Any]:
    """The template with the keys that it only shows."""
    return dict(msgspec.toml.decode(re.sub(r"^#(?=[\w\[])", "", template(), flags=re.MULTILINE)))


def structs(of: inspect.Type, name: str = "") -> Iterator[tuple[str, inspect.StructType]]:
    """Every table of the schema, by the key that it stands under."""
    for one in members(of):
        if isinstance(one, inspect.VarTupleType):
            yield from structs(one.item_type, name)
        elif isinstance(one, inspect.StructType):
            yield name, one
            for field in one.fields:
                yield from structs(field.type, field.name)


TABLES = {f"{name} {one.tag or ''}".strip(): (name, one) for name, one in structs(inspect.type_info(Config))}


def tables_named(name: str, value: Any) -> Iterator[dict[str, Any]]:
    """The tables under this key, however deep."""
    for key, one in value.items() if isinstance(value, dict) else ():
        for row in one if isinstance(one, list) else [one]:
            if isinstance(row, dict):
                yield from [row] if key == name else ()
                yield from tables_named(name, row)


def test_the_schema_has_the_tables_that_we_think() -> None:
    """So that the tests below look at all of them."""
    assert len(TABLES) == 1 + 5 + 4 + 6 + 1 + 4


def test_the_template_loads_as_it_is(tmp_path: Path) -> None:
    """Without a word of warning."""
    (tmp_path / "c.toml").write_text(template())
    assert load(tmp_path / "c.toml", {}).warnings == []


def test_the_template_loads_with_everything_that_it_shows() -> None:
    """What is commented out is right in kind, too."""
    msgspec.convert(shown(), Config, dec_hook=lambda kind, value: kind(value))


@pytest.mark.parametrize("table", TABLES)
def test_the_template_names_every_key_with_its_default(table: str) -> None:
    """Keys without a default, or with none that could be written, have an example, and say so."""
    name, struct = TABLES[table]
    found = list(tables_named(name, shown())) if name else [shown()]
    of_kind = [one for one in found if not struct.tag or one.get(KIND) == struct.tag]
    assert of_kind
    for field in struct.fields:
        # What all sources have is shown with the first only.
        values = [one[field.name] for one in of_kind if field.name in one] or [
            one[field.name] for one in found if field.name in one
        ]
        assert values, field.name
        if not field.required and field.default not in (None, ()) and not isinstance(field.default, msgspec.Struct):
            assert field.default in values, field.name


def test_an_example_is_called_one() -> None:
    """A line that is commented out shows the default, or says that it does not."""
    defaults: dict[str, set[object]] = {}
    for _, struct in TABLES.values():
        for field in struct.fields:
            defaults.setdefault(field.name, set()).add(None if field.required else repr(field.default))
    for key, value, comment in re.findall(r"^#(\w+) = (.*?)(?: +# (.*))?$", template(), re.MULTILINE):
        if key not in (KIND, "name"):
            is_default = repr(msgspec.toml.decode(f"v = {value}")["v"]) in defaults[key]
            assert is_default != comment.startswith("example"), key


def test_the_page_has_every_key_with_its_default() -> None:
    """One table per table of the file, under a heading that names it."""
    sections = {part.split("\n")[0].strip("# `"): part for part in re.split(r"^(?=#+ )", PAGE.read_text(), flags=re.M)}
    for table, (name, struct) in TABLES.items():
        heading = {"": "Top level", "source": "[[source]]", "sink": "[[sink]]"}.get(name, f"[{name}]")
        heading = {"system": "[source.system]", "plan": "[source.system.plan]"}.get(name, heading)
        parts = [sections[heading]] if heading in sections else []
        parts += [sections[key] for key in [f'kind = "{struct.tag}", {heading}'] if key in sections]
        keys = {row["key"]: row["default"] for part in parts for row in ROW.finditer(part)}
        for field in struct.fields:
            if not _is_table(field.type):
                assert field.name in keys, f"{table}: {field.name}"
                assert keys[field.name] == _default(field), f"{table}: {field.name}"


def _is_table(of: inspect.Type) -> bool:
    return any(
        isinstance(one, inspect.StructType) or (isinstance(one, inspect.VarTupleType) and _is_table(one.item_type))
        for one in members(of)
    )


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    return "" if field.default in (None, "") else f"`{msgspec.json.encode(field.default).decode()}`".replace('"', "")


@pytest.mark.parametrize("text", ['a"b\\c', "two\nlines", "\x7f\x00\t", "café ×", "${X}", ""])
def test_any_text_survives(text: str) -> None:
    """Written as TOML and read again."""
    tables = {"name": text, "list": [text, "x"], "inner": {"name": text, "rows": [{"a": text}, {"a": 1}]}}
    assert msgspec.toml.decode(toml(tables)) == tables


def test_what_holds_can_be_read_again(tmp_path: Path) -> None:
    """And is the same configuration; without keys that are not set, which TOML cannot say."""
    (tmp_path / "c.toml").write_text(template())
    loaded = load(tmp_path / "c.toml", {"EDGE_RUNTIME__SOURCE__PHOTOS__DEADLINE_MS": "1e-7"})
    (tmp_path / "d.toml").write_text(toml(plain(loaded.config), loaded.origins))
    assert load(tmp_path / "d.toml", {}).config == loaded.config


def test_origins_are_comments() -> None:
    """Of values, and of keys that are not set."""
    text = toml({"a": 1, "b": None, "rows": [{"c": "x"}]}, {"a": "file", "b": "default", "rows[0].c": "environment X"})
    assert text == 'a = 1  # file\n# b is not set\n\n[[rows]]\nc = "x"  # environment X\n'
