"""For which photos, shares and codecs do chosen patches cost less than the whole photo in the same codec and quality?

    python benchmarks/where_patches_pay.py --data PHOTOS [--limit N] [--json OUT]

Only photos that the bundle's gate would send are asked about. A cell compares payload bytes (patches against the whole
photo) and accuracy of the server on those photos, for all of them and for three classes: by how much of the photo the
selection keeps, and by how many bytes the whole photo takes (plain, middling, detailed).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.evaluation.link import MeasuredLink, open_link
from edge_runtime.evaluation.passes import SelectedPatches, ServerPass, WholePhoto, edge_pass, server_pass
from edge_runtime.evaluation.points import local_mask
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle
from edge_runtime.systems.edge import EdgeModel

if TYPE_CHECKING:
    from edge_runtime.labelled_photos import Photo

DELTAS = (0.5, 0.65, 0.8, 0.9, 0.97)
CODECS = (("jpeg", 50), ("jpeg", 75), ("webp", 50), ("webp", 75))
PATCHES = 196


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("zoo"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    photos = labelled_photos(options.data, bundle.manifest, limit=options.limit)
    with open_link(bundle) as link:
        report = compare(bundle, photos, link)
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def compare(bundle: Bundle, photos: list[Photo], link: MeasuredLink) -> dict[str, Any]:
    """Every codec and δ, on the photos that the gate sends."""
    edge = edge_pass(photos, EdgeModel(bundle), ("last",))
    sent = np.flatnonzero(~local_mask(edge, bundle.gate.uncertainty, bundle.gate.eta))
    unsure = [photos[i] for i in sent]
    scores = edge.scores["last"][sent]
    rows = []
    for codec, quality in CODECS:
        whole = server_pass(unsure, bundle.frame, WholePhoto(codec, quality), link)
        for delta in DELTAS:
            way = SelectedPatches(scores, bundle.frame, "last", "sum", delta, codec, quality)
            chosen = server_pass(unsure, bundle.frame, way, link)
            rows += [
                {"codec": codec, "quality": quality, "delta": delta, "photos": name, **cell(whole, chosen, which)}
                for name, which in classes(whole, chosen).items()
                if which.any()
            ]
    return {"photos": len(photos), "sent": len(sent), "rows": rows}


def classes(whole: ServerPass, chosen: ServerPass) -> dict[str, np.ndarray]:
    """All photos; by the share kept; by the whole photo's bytes, in thirds."""
    kept = chosen.patches / PATCHES
    low, high = np.quantile(whole.payload_bytes, (1 / 3, 2 / 3))
    return {
        "all": np.ones(len(kept), bool),
        "keep less than half": kept < 0.5,
        "keep half to three quarters": (kept >= 0.5) & (kept < 0.75),
        "keep more": kept >= 0.75,
        "plain": whole.payload_bytes < low,
        "middling": (whole.payload_bytes >= low) & (whole.payload_bytes < high),
        "detailed": whole.payload_bytes >= high,
    }


def cell(whole: ServerPass, chosen: ServerPass, which: np.ndarray) -> dict[str, Any]:
    """How patches compare with whole photos on some of them."""
    return {
        "count": int(which.sum()),
        "patches": float(chosen.patches[which].mean()),
        "bytes_ratio": float(chosen.payload_bytes[which].sum() / whole.payload_bytes[which].sum()),
        "share_cheaper": float((chosen.payload_bytes < whole.payload_bytes)[which].mean()),
        "accuracy_patches": float(chosen.correct[which].mean()),
        "accuracy_whole": float(whole.correct[which].mean()),
    }


if __name__ == "__main__":
    main()
