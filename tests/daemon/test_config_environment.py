"""Settings from the environment."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.daemon.config_environment import override
from edge_runtime.errors import ConfigError


def tables() -> dict[str, Any]:
    """Two sources and a sink."""
    return {
        "source": [
            {"kind": "http", "name": "door", "system": {"kind": "local"}},
            {"kind": "folder", "name": "back-yard_2", "system": {"kind": "attention"}, "path": "in"},
        ],
        "sink": [{"kind": "mqtt", "name": "7", "host": "h"}],
    }


def overridden(**environ: str) -> dict[str, Any]:
    """The tables with what the environment sets."""
    raw = tables()
    override(raw, {f"EDGE_RUNTIME__{name}": value for name, value in environ.items()})
    return raw


def test_other_variables_are_left_alone() -> None:
    """Those with a single underscore have other meanings."""
    raw = tables()
    assert override(raw, {"EDGE_RUNTIME_KERNELS": "native", "EDGE_RUNTIME_BUNDLE": "zoo", "PATH": "/bin"}) == {}
    assert raw == tables()


def test_a_table_that_the_file_lacks_is_made() -> None:
    """A device may be configured by its environment alone, but for sources and sinks."""
    raw = overridden(LINK__SERVER="host:1", SPOOL__PATH="/s", BUNDLE="/b")
    assert (raw["link"], raw["spool"], raw["bundle"]) == ({"server": "host:1"}, {"path": "/s"}, "/b")


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("SOURCE__DOOR__MAX_FPS", "5", "max_fps", 5),
        ("SOURCE__0__MAX_FPS", "0.5", "max_fps", 0.5),
        ("SOURCE__DOOR__ASK_LATER", "true", "ask_later", True),
        ("SOURCE__DOOR__SINKS", '["7"]', "sinks", ["7"]),
        ("SOURCE__DOOR__ORDER", "newest", "order", "newest"),
        ("SOURCE__DOOR__ORDER", '"newest"', "order", "newest"),
        ("SOURCE__DOOR__FALLBACK", "12", "fallback", "12"),
        ("SOURCE__DOOR__FALLBACK", "", "fallback", ""),
        ("SOURCE__DOOR__QUEUE", "many", "queue", "many"),
        ("SOURCE__DOOR__QUEUE", "1\nx = 2", "queue", "1\nx = 2"),
    ],
)
def test_a_value_is_toml_where_it_parses_and_text_where_text_is_wanted(
    name: str, text: str, key: str, value: object
) -> None:
    """A path of digits is no number; what does not parse is text, which the table's check then refuses."""
    assert overridden(**{name: text})["source"][0][key] == value


def test_tables_of_an_array_are_called_by_name_or_index() -> None:
    """A name's hyphens are underscores in a variable; a name goes before an index."""
    raw = overridden(SOURCE__BACK_YARD_2__PATH="a", SINK__7__HOST="b", SINK__0__TOPIC="c")
    assert raw["source"][1]["path"] == "a"
    assert (raw["sink"][0]["host"], raw["sink"][0]["topic"]) == ("b", "c")


def test_a_kind_is_set_before_the_keys_that_it_has() -> None:
    """Whatever the order of the variables."""
    raw = overridden(SOURCE__DOOR__SYSTEM__ETA="0.5", SOURCE__DOOR__SYSTEM__KIND="attention")
    assert raw["source"][0]["system"] == {"kind": "attention", "eta": 0.5}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("LNK__SERVER", "lnk: no such key; did you mean link?"),
        ("LINK__SRVER", "link.srver: no such key; did you mean server?"),
        ("LINK", "link is a table; name one of its keys, as in EDGE_RUNTIME__LINK__KEY"),
        ("SOURCE", "source is a table"),
        ("SOURCE__DOOR", r"source\[0\] is a table"),
        ("SOURCE__DOOR__SYSTEM", r"source\[0\].system is a table"),
        (
            "SOURCE__DOOR__SYSTEM__ETA",
            r"source\[0\].system.eta: no such key; source\[0\].system of kind local has kind",
        ),
        ("SOURCE__DOOR__NAME__X", r"source\[0\].name.x: no such key; source\[0\].name has none"),
        ("SOURCE__WINDOW__NAME", "the file has no single source named 'window'; it has door, back-yard_2"),
        ("SOURCE__2__NAME", "the file has no single source named '2'"),
        ("", r": no such key; the file has bundle, models"),
    ],
)
def test_a_variable_that_means_nothing_is_named(name: str, error: str) -> None:
    """Rather than silently ignored: it was meant to do something."""
    with pytest.raises(ConfigError, match=rf"^EDGE_RUNTIME__{name}: {error}"):
        overridden(**{name: "1"})


@pytest.mark.parametrize("wrong", [{"link": 3}, {"source": [3]}, {"source": 3}, {"source": {"name": "a"}}])
def test_a_file_that_holds_no_table_there_is_to_blame(wrong: dict[str, Any]) -> None:
    """The variable cannot be set in it."""
    with pytest.raises(ConfigError, match=r"no table in the file|no single source|no such key"):
        override(wrong, {"EDGE_RUNTIME__LINK__SERVER": "a:1", "EDGE_RUNTIME__SOURCE__0__NAME": "b"})
