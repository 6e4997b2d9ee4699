"""A bundle at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_runtime.models.bundle import MANIFEST, Bundle, ModelFile, files_of

if TYPE_CHECKING:
    from pathlib import Path


def describe_bundle(folder: Path) -> dict[str, object]:
    """What ``bundle.toml`` says, and which of its files are here."""
    bundle = Bundle.load(folder)
    manifest = bundle.manifest
    return {
        "bundle": str(folder / MANIFEST),
        "name": manifest.name,
        "half": manifest.half,
        "hash": manifest.hash,
        "created_by": manifest.created_by,
        "classes": list(manifest.classes),
        "frame": msgspec.to_builtins(manifest.frame),
        "gate": msgspec.to_builtins(manifest.gate) or "none",
        "policy": manifest.policy.path if manifest.policy else "none",
        "edge": manifest.default_edge_model,
        "server": manifest.default_server_model,
        "cut": manifest.default_split or "none",
        "models": [
            {
                "model": model.name,
                "role": model.role,
                "kind": model.kind,
                "parameters": model.parameters,
                "macs": model.macs,
            }
            for model in manifest.models
        ],
        "splits": [
            {"cut": split.cut, "network": split.network, "tensor": split.tensor, "tables": split.tables.path}
            for split in manifest.splits
        ],
        "latents": [
            {
                "family": latent.name,
                "encoders": list(latent.encoders),
                "sums": "yes" if latent.sums else "no",
                "decoder": latent.decoder,
                "tables": latent.tables.path,
                "modes": latent.modes.path,
            }
            for latent in manifest.latents
        ],
        "files": [
            {
                "file": file.path,
                "precision": file.precision if isinstance(file, ModelFile) else "-",
                "bytes": file.bytes,
                "runtimes": list(file.runtimes) if isinstance(file, ModelFile) else [],
                "here": "yes" if (folder / file.path).exists() else "no",
                "sha256": file.sha256,
            }
            for file in files_of(manifest).values()
        ],
    }
