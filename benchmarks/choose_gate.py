"""Chooses the zoo's gate on the training photos that no model was trained on.

    python benchmarks/choose_gate.py --data TRAIN [--json OUT]

The gate is the paper's, on min-entropy. The rule: of all η and sums of attention tried, the most accurate whose cost is
at most 0.32 and whose bytes on the wire are at most 0.40 of every photo as JPEG of the same quality; of equals the one
with the fewest bytes. Some 800 photos cannot tell half a point from one, so spending what is allowed is safer than
taking the cheapest that looks good.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge_runtime.evaluation.link import open_link
from edge_runtime.evaluation.passes import SelectedPatches, WholePhoto, edge_pass, server_pass
from edge_runtime.evaluation.points import gated
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle
from edge_runtime.systems.edge import EdgeModel

MOST_COST, MOST_BYTES, QUALITY = 0.32, 0.40, 75
SUMS = (0.9, 0.94, 0.97, 0.99)
ETAS = (0.12, 0.14, 0.16, 0.17, 0.18, 0.19, 0.2, 0.22, 0.25, 0.3)


def main() -> None:
    """Measure, choose, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("zoo"))
    parser.add_argument("--data", type=Path, required=True, help="the training photos; every twelfth is used")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    photos = labelled_photos(options.data, bundle.manifest, every=12)
    edge = edge_pass(photos, EdgeModel(bundle), ("last",))
    patches = bundle.frame.grid**2
    points = []
    with open_link(bundle) as link:
        server = server_pass(photos, bundle.frame, WholePhoto("png", 100), link)
        jpeg = server_pass(photos, bundle.frame, WholePhoto("jpeg", QUALITY), link)
        for codec in ("jpeg", "webp"):
            for amount in SUMS:
                way = SelectedPatches(edge.scores["last"], bundle.frame, "last", "sum", amount, codec, QUALITY)
                sent = server_pass(photos, bundle.frame, way, link)
                points += [gated(edge, sent, patches, "min-entropy", eta) for eta in ETAS]
    allowed = [p for p in points if p.cost <= MOST_COST and p.wire_bytes <= MOST_BYTES * jpeg.wire_bytes.mean()]
    best = max(allowed, key=lambda point: (point.accuracy, -point.wire_bytes))
    report = {
        "photos": len(photos),
        "server_accuracy": float(server.correct.mean()),
        "jpeg_wire_bytes": float(jpeg.wire_bytes.mean()),
        "chosen": best.as_json(),
        "points": [point.as_json() for point in sorted(allowed, key=lambda p: (-p.accuracy, p.wire_bytes))],
    }
    print(json.dumps({key: value for key, value in report.items() if key != "points"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
