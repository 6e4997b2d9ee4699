"""Writing bundle folders: whole, or one side's half. Needs no PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import tomli_w

from edge_runtime.errors import BundleError
from edge_runtime.models.bundle import MANIFEST, Bundle, Manifest, Role, files_of, toml_table

if TYPE_CHECKING:
    from pathlib import Path

Half = Literal["device", "server", "both"]
SIDES: dict[Half, frozenset[Role]] = {
    "device": frozenset({"edge"}),
    "server": frozenset({"server"}),
    "both": frozenset({"edge", "server"}),
}


def split_bundle(source: Path, out: Path, half: Half) -> Manifest:
    """Copy one side's half of an existing bundle (or all of it) into another folder."""
    bundle = Bundle.load(source)
    if out.resolve() == source.resolve():
        raise BundleError(f"--out {out}: is the bundle itself; give another folder")
    return write_bundle(bundle.manifest, source, out, half)


def write_bundle(manifest: Manifest, files: Path, out: Path, half: Half, keep: Path | None = None) -> Manifest:
    """Fill ``out`` with ``manifest`` and that half of its files, taken from the folder ``files``.

    Both halves carry the whole manifest and so the same hash. ``out`` may hold nothing, an older bundle (which is
    replaced) or the file ``keep``, a spec that lies beside its own bundle; anything else is refused.
    """
    source = Bundle(files, manifest)
    contents = {name: source.read(file) for name, file in files_of(manifest, SIDES[half]).items()}
    manifest = msgspec.structs.replace(manifest, half=half)
    old = check_replaceable(out, keep)
    out.mkdir(parents=True, exist_ok=True)
    # The manifest goes first and comes back last: a copy that was cut short is no bundle.
    for name in (MANIFEST, *old):
        (out / name).unlink(missing_ok=True)
    for name, data in contents.items():
        (out / name).write_bytes(data)
    (out / MANIFEST).write_text(tomli_w.dumps(toml_table(manifest)))
    return manifest


def check_replaceable(out: Path, keep: Path | None = None) -> tuple[str, ...]:
    """Files of the bundle that ``out`` holds and a new one replaces; ``BundleError`` if it holds other things."""
    if not out.exists():
        return ()
    if not out.is_dir():
        raise BundleError(f"--out {out}: is a file; give a folder")
    if (out / MANIFEST).exists():
        return tuple(files_of(Bundle.load(out).manifest))
    foreign = sorted(path.name for path in out.iterdir() if keep is None or path.resolve() != keep.resolve())
    if foreign:
        raise BundleError(f"--out {out}: holds {foreign[0]} and is not a bundle; give a new or empty folder")
    return ()
