"""Times what A-MOT saves: a light second look against a full one, and a device's first round against a whole photo.

    python benchmarks/amot_light.py --bundle zoo/amot --data PHOTOS --out JSON [--rounds N]

Rivals run interleaved in one pinned process, one thread each, in an order that turns round every round. A figure is the
ratio of the medians, with the 10 % and 90 % quantiles of the ratios of single rounds. Decoding, which both looks share,
is in neither; the full one sees the patches of both rounds, recovers the rest and classifies. For a first round the
device samples, cuts out and packs; whole photos and patches are packed by the same codec at the same quality.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amot_runs import FIXED_QUALITY
from kernels import Rival, fingerprint, race, run_single_threaded, show

from edge_runtime import kernels
from edge_runtime.cli_rounds import rounds_spec
from edge_runtime.codecs import image, samples
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle
from edge_runtime.photos import open_frame
from server_ref.asking import wanted_patches
from server_ref.picture import Picture, merge
from server_ref.round_models import RoundModels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.kernels import Pattern

    Pixels = NDArray[np.uint8]

# Shares of a frame's patches: of the first round, and of second ones (10, 20, 35, 50, 98 of 196).
FIRST, SECONDS = 0.25, (0.05, 0.1, 0.18, 0.255, 0.5)
# So many photos are packed in a row: some are harder to compress than others.
PHOTOS = 8


def looks(bundle: Bundle, pixels: Pixels, rounds: int) -> list[dict[str, Any]]:
    """Both second looks at one photo, for each number of patches that were asked for."""
    spec = rounds_spec(bundle)
    models, total = RoundModels(bundle, spec), bundle.frame.grid**2
    first = _picture(bundle, pixels, kernels.sample(spec.pattern, _grid(bundle), round(FIRST * total), 0))
    seen = models.look(first)
    found = []
    for share in SECONDS:
        count = max(round(share * total), 1)
        asked = wanted_patches(seen.attention, seen.patches, first.indices, count, spec.uncertainty_weight)
        second = _picture(bundle, pixels, asked)
        both = merge(first, second)
        rivals = [
            Rival("full look", lambda both=both: models.look(both)),
            Rival("light look", lambda second=second: models.update(seen.image, seen.states, first.indices, second)),
        ]
        found.append({"first": len(first.indices), "second": count, "times": race(rivals, rounds)})
    return found


def packing(bundle: Bundle, photos: Sequence[Pixels], rounds: int) -> dict[str, Any]:
    """First rounds of every pattern beside whole photos, for all ``photos`` in a row."""
    rivals = [Rival("whole photo, WebP", lambda: [image.encode(one, "webp", FIXED_QUALITY) for one in photos])]
    for pattern in kernels.PATTERNS:
        rivals += [
            Rival(
                f"{pattern}, sampled and cut out", lambda name=pattern: [_sampled(bundle, name, one) for one in photos]
            ),
            Rival(f"{pattern}, WebP", lambda name=pattern: [_packed(bundle, name, one) for one in photos]),
        ]
    return {"photos": len(photos), "share": FIRST, "quality": FIXED_QUALITY, "times": race(rivals, rounds)}


def _sampled(bundle: Bundle, pattern: Pattern, pixels: Pixels) -> Pixels:
    indices = kernels.sample(pattern, _grid(bundle), round(FIRST * bundle.frame.grid**2), 0)
    return kernels.gather(pixels, indices, bundle.frame.patch)


def _packed(bundle: Bundle, pattern: Pattern, pixels: Pixels) -> bytes:
    return samples.encode(_sampled(bundle, pattern, pixels), _grid(bundle), pattern, 0, "webp", FIXED_QUALITY)


def _picture(bundle: Bundle, pixels: Pixels, indices: NDArray[np.uint16]) -> Picture:
    return Picture(indices, kernels.gather(pixels, indices, bundle.frame.patch))


def _grid(bundle: Bundle) -> tuple[int, int]:
    return bundle.frame.grid, bundle.frame.grid


def main() -> None:
    """Race, print and write."""
    run_single_threaded()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="with models of two rounds")
    parser.add_argument("--data", type=Path, required=True, help="labelled photos")
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--rounds", type=int, default=101)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    bundle = Bundle.load(options.bundle)
    photos = labelled_photos(options.data, bundle.manifest, limit=PHOTOS)
    frames = [open_frame(photo.data, bundle.frame) for photo in photos]
    found = {"looks": looks(bundle, frames[0], options.rounds), "packing": packing(bundle, frames, options.rounds)}
    for row in found["looks"]:
        show(f"{row['first']} patches, then {row['second']}", row["times"])
    show(f"{len(frames)} photos packed, {FIRST:.0%} of the patches", found["packing"]["times"])
    options.out.write_text(json.dumps({**found, "fingerprint": fingerprint()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
