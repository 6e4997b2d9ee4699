"""What the whole suite shares: the committed zoo, and the data that may lie beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.models import Bundle

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def zoo() -> Bundle:
    """The committed bundle."""
    return Bundle.load(ROOT / "zoo")


@pytest.fixture(scope="session")
def imagenette_val() -> Path:
    """Real validation photos; they may not be committed, so a clone alone skips what needs them."""
    path = ROOT.parent / "shared" / "data" / "imagenette224_val.tar"
    if not path.exists():
        pytest.skip("needs the Imagenette validation photos in ../shared/data, which may not be distributed")
    return path
