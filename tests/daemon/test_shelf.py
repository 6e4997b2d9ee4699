"""Whole models that sources share; that two of them load one is a matter of `test_systems`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.daemon.shelf import Shelf
from edge_runtime.errors import BundleError
from edge_runtime.models import Bundle
from edge_runtime.models.execution import DEFAULT_EXECUTION
from edge_runtime.systems.edge import EdgeModel

pytestmark = pytest.mark.host  # loads the zoo's models

ZOO = Path(__file__).parents[2] / "zoo"


def test_the_shelf_says_what_has_no_attention(zoo: Bundle) -> None:
    """A convolutional network answers alone, and attends to nothing."""
    shelf = Shelf()
    assert isinstance(shelf.edge(zoo, "", DEFAULT_EXECUTION), EdgeModel)
    with pytest.raises(BundleError, match="lite0 has no attention"):
        shelf.edge(Bundle.load(ZOO / "lite0"), "lite0", DEFAULT_EXECUTION)
