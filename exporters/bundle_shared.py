"""Readings of one network in one bundle: their weights lie in one file."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
import onnx

from exporters.bundle_files import stored_file
from exporters.split.weights import externalise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.models.bundle import ModelFile
    from exporters.bundle_spec import ModelEntry


def share_weights(
    entries: Sequence[ModelEntry], written: Sequence[list[ModelFile]], folder: Path
) -> list[list[ModelFile]]:
    """The files of every entry, those ONNX files rewritten whose network and precision other entries have as well.

    Their weights go to ``<name of the first>-<precision>.weights`` in ``folder``.
    """
    groups: dict[tuple[object, ...], list[ModelFile]] = defaultdict(list)
    for entry, files in zip(entries, written, strict=True):
        for file in files:
            if file.format == "onnx" and entry.weights is not None:
                groups[entry.network, entry.weights, entry.trunk_weights, file.precision].append(file)
    shared = {file.path: file for group in groups.values() if len(group) > 1 for file in share_files(group, folder)}
    return [[shared.get(file.path, file) for file in files] for files in written]


def share_files(files: Sequence[ModelFile], folder: Path) -> list[ModelFile]:
    """ONNX files of ``folder``, rewritten: their weights lie in one file, equal ones once, named after the first."""
    models = [onnx.load(folder / file.path) for file in files]
    weights = (folder / files[0].path).with_suffix(".weights")
    externalise(models, weights)
    rewritten = []
    for model, file in zip(models, files, strict=True):
        onnx.save(model, folder / file.path)
        stored = stored_file(folder / file.path)
        rewritten.append(
            msgspec.structs.replace(file, sha256=stored.sha256, bytes=stored.bytes, weights=stored_file(weights))
        )
    return rewritten
