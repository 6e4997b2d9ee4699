"""A bundle of one network: whole, and cut at each chosen tensor, for device and server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
from tqdm import tqdm

from edge_runtime.errors import ArgumentError
from edge_runtime.models.bundle import FORMAT, FrameSpec, Manifest, ModelSpec, SplitSpec, Triple, manifest_hash
from exporters.bundle import ourselves
from exporters.bundle_files import stored_file
from exporters.bundle_folder import check_replaceable, write_bundle
from exporters.split.halves import Halves

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from exporters.bundle_spec import FileEntry
    from exporters.split.cuts import Cut
    from exporters.split.source import Network
    from exporters.validate import Check


class Calibrate(Protocol):
    """From an exact prefix, its suffix and photos uint8 ``[N, S, S, 3]`` to the feature codec's tables.

    ``mean`` and ``std`` are in 0..255 units; ``rectified`` says that no feature is ever negative.
    """

    def __call__(
        self, prefix: Path, suffix: Path, photos: NDArray[np.uint8], mean: Triple, std: Triple, *, rectified: bool
    ) -> bytes:
        """Bytes of the tables' file."""


class DeviceEntries(NamedTuple):
    """The files that the device's ``halves`` are written as, and its ``whole`` network, best first."""

    halves: Sequence[FileEntry]
    whole: Sequence[FileEntry]


@dataclass(frozen=True)
class Labels:
    """What the bundle says about the network: its ``name``, what its logits mean, and how photos come to it.

    Without ``classes`` they are called like their ``class_folders``, else by number.
    """

    name: str
    frame: FrameSpec
    mean: Triple
    std: Triple
    classes: tuple[str, ...] = ()
    class_folders: tuple[str, ...] = ()

    def names_of(self, count: int) -> tuple[str, ...]:
        """Names of ``count`` classes; ``ArgumentError`` when another number was given."""
        for option, names in (("--classes", self.classes), ("--class-folders", self.class_folders)):
            if len(names) not in {0, count}:
                raise ArgumentError(f"{option}: {len(names)} names for {count} logits; name each")
        return self.classes or self.class_folders or tuple(map(str, range(count)))


def write_split(
    network: Network,
    cuts: Sequence[Cut],
    entries: DeviceEntries,
    labels: Labels,
    photos: NDArray[np.uint8],
    calibrate: Calibrate,
    out: Path,
) -> tuple[Manifest, list[Check]]:
    """Write the bundle of ``network`` cut at ``cuts`` (the first is the default) into the folder ``out``.

    Ranges of int8 activations and the codec's tables come from ``photos [N, S, S, 3]``. Returns the manifest and every
    check that was made; raises ``ModelError`` when a model has no file that agrees with the original network.
    """
    check_replaceable(out)
    with TemporaryDirectory() as files, TemporaryDirectory() as scratch:
        halves = Halves(labels.name, network, photos, labels.mean, labels.std, Path(files))
        classes = labels.names_of(halves.classes)
        whole = halves.whole(cuts[0].prefix_macs + cuts[0].suffix_macs)
        exact = Path(scratch, f"{labels.name}.onnx")
        models: list[ModelSpec] = [whole, halves.device_whole(whole, entries.whole, exact)]
        splits = []
        for cut in tqdm(cuts, desc="splitting", unit="cut"):
            exact = Path(scratch, f"{labels.name}.{cut.name}-prefix.onnx")
            models += [halves.prefix(cut, entries.halves, exact), halves.suffix(cut)]
            tables = Path(files, f"{labels.name}.{cut.name}.tables")
            suffix, mean, std = halves.suffix_path(cut), labels.mean, labels.std
            tables.write_bytes(calibrate(exact, suffix, photos, mean, std, rectified=cut.non_negative))
            name = models[-1].name
            splits.append(SplitSpec(labels.name, cut.name, cut.tensor, name, name, stored_file(tables)))
        manifest = _manifest(labels, classes, models, splits)
        return write_bundle(manifest, Path(files), out, "both"), halves.checks


def _manifest(
    labels: Labels, classes: tuple[str, ...], models: Sequence[ModelSpec], splits: Sequence[SplitSpec]
) -> Manifest:
    manifest = Manifest(
        format=FORMAT,
        name=labels.name,
        created_by=ourselves(),
        hash="",
        half="both",
        classes=classes,
        default_edge_model=splits[0].prefix,
        default_server_model=labels.name,
        frame=labels.frame,
        models=tuple(models),
        class_folders=labels.class_folders,
        splits=tuple(splits),
        default_split=splits[0].cut,
    )
    return msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
