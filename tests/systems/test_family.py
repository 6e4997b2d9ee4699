"""Families of encoders: what is checked when one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_runtime.errors import BundleError
from edge_runtime.systems.family import Family

if TYPE_CHECKING:
    from edge_runtime.models import Bundle


def test_modes_that_the_family_cannot_make(latent_bundle: Bundle) -> None:
    """A table of more encoders than there are is refused when it is read."""
    spec = latent_bundle.latent()
    with pytest.raises(BundleError, match=r"ensemble.json: a mode of 4 encoders at 2 levels is none of its family's"):
        Family.open(latent_bundle, msgspec.structs.replace(spec, encoders=spec.encoders[:3]))
