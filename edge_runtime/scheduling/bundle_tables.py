"""The tables that belong to a bundle, complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling import tables
from edge_runtime.scheduling.regression import filled

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.models import Bundle
    from edge_runtime.scheduling.tables import Tables

TABLES = "tables.json"


def bundle_tables(bundle: Bundle, path: Path | None = None) -> Tables:
    """Read the tables at ``path``, or those in the bundle's folder; what was not timed is predicted.

    Raises ArgumentError, also for tables of another bundle.
    """
    path = path or bundle.folder / TABLES
    found = tables.load(path)
    if found.bundle_hash != bundle.hash:
        raise ArgumentError(f"{path}: measured with another bundle than {bundle.folder}; profile this one")
    return found if all(site.timed for site in found.sites) else filled(found, _macs(bundle, found))


def _macs(bundle: Bundle, found: Tables) -> dict[str, tuple[int, int]]:
    """Multiply-accumulates of a frame before and behind each site."""
    cuts = [bundle.split(site.cut) for site in found.sites if site.cut]
    parts = {cut.cut: (bundle.model("edge", cut.prefix).macs, bundle.model("server", cut.suffix).macs) for cut in cuts}
    return {"": (0, bundle.model("edge", found.network).macs)} | parts
