"""Trying the sources' systems before a daemon is started with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.config_trial import failing

pytestmark = pytest.mark.host  # loads the zoo's models

ZOO = Path(__file__).parents[2] / "zoo"
# Nobody is there, and nobody is to be asked.
LINK = config.Link(server="127.0.0.1:1")


def posted(system: config.System, bundle: str) -> config.Posted:
    """A source with this system of one of the zoo's bundles."""
    return config.Posted(name="gate", system=system, bundle=ZOO / bundle)


def test_systems_that_suit_their_bundles_are_fine() -> None:
    """Each of the four, though no server is there."""
    sources = (
        posted(config.Attention(), "."),
        posted(config.Amot(), "amot"),
        posted(config.Slimmable(), "slimmable"),
        posted(config.Bps(), "lite0"),
    )
    assert failing(config.Config(link=LINK, source=sources)) == []


def test_each_system_that_cannot_be_opened_is_named_with_the_reason() -> None:
    """Those that can are not."""
    sources = (
        posted(config.Attention(), "lite0"),
        posted(config.Local(), "."),
        posted(config.Attention(edge_model="none"), "."),
    )
    first, last = failing(config.Config(link=LINK, source=sources))
    assert first.startswith(f"source[0].system: {ZOO / 'lite0'}: ")
    assert last.startswith(f"source[2].system: {ZOO}: no edge model named 'none'")
