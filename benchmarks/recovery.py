"""Does recovery pay? Pictures recovered, filled plainly, and shown to the trunk or kept from it.

    python benchmarks/recovery.py --data PHOTOS [--bundle zoo/amot] [--limit N] [--json OUT]

Each share of patches is sampled on the bundle's grid and coded as WebP at quality 35. The classifier answers from four
pictures of the same patches: `recovered` as the server does it, the trunk seeing only what arrived; `trunk too`, with
recovered pixels shown to the trunk as well, as if they had arrived; `mean colour` and `nearest`, the missing patches
filled with grey or with the mean colour of the visible patches nearest to them instead of the autoencoder's pixels.
PSNR is that of the missing patches, over all photos.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from edge_runtime import kernels
from edge_runtime.codecs import samples
from edge_runtime.evaluation.photos import labelled_photos
from edge_runtime.models import Bundle, open_model
from edge_runtime.photos import open_frame
from server_ref.normaliser import Normaliser
from server_ref.picture import Picture, paste
from server_ref.round_models import RoundModels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.evaluation.photos import Photo

SHARES = (0.1, 0.25, 0.5)
CODEC, QUALITY = "webp", 35
VARIANTS = ("recovered", "trunk too", "nearest", "mean colour")


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("zoo/amot"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    photos = labelled_photos(options.data, bundle.manifest, limit=options.limit)
    report = {"photos": len(photos), "shares": [compare(bundle, photos, share) for share in SHARES]}
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def compare(bundle: Bundle, photos: list[Photo], share: float) -> dict[str, Any]:
    """Accuracy of every variant and PSNR of both fills at one share of patches."""
    rounds, side, patch = bundle.manifest.rounds, bundle.frame.grid, bundle.frame.patch
    assert rounds is not None
    classifier = open_model(bundle, bundle.model("server", rounds.classifier))
    spec = bundle.model("server", rounds.classifier)
    models, normalise = RoundModels(bundle, rounds), Normaliser(spec)
    right = dict.fromkeys(VARIANTS, 0)
    errors: dict[str, list[float]] = {"recovered": [], "nearest": []}
    count = round(share * side**2)
    for number, photo in enumerate(tqdm(photos, desc=f"{share:.0%} of the patches", unit="photo", disable=None)):
        pixels = open_frame(photo.data, bundle.frame)
        indices = kernels.sample(rounds.pattern, (side, side), count, number)
        chosen = kernels.gather(pixels, indices, patch)
        data = samples.encode(chosen, (side, side), rounds.pattern, number, CODEC, QUALITY)
        picture = Picture(*samples.decode(data, (side, side), patch))
        look = models.look(picture)
        visible = np.zeros((1, side**2), np.float32)
        visible[0, indices] = 1
        fills = {"recovered": look.patches, "nearest": nearest(normalise(picture.patches), indices, side)}
        fills["mean colour"] = _filled(normalise(picture.patches), indices, side)
        for name, fill in fills.items():
            right[name] += _label(classifier, fill, visible) == photo.label
        right["trunk too"] += _label(classifier, look.patches, np.ones_like(visible)) == photo.label
        truth = normalise(kernels.gather(pixels, np.arange(side**2, dtype=np.uint16), patch))
        missing = visible[0] == 0
        for name, found in errors.items():
            found.append(float(np.square(fills[name][missing] - truth[missing]).mean()))
    peak = 255 / spec.std[0]
    return {
        "share": share,
        "accuracy": {name: found / len(photos) for name, found in right.items()},
        "psnr_db": {name: float(10 * np.log10(peak**2 / np.mean(found))) for name, found in errors.items()},
    }


def nearest(patches: NDArray[np.float32], indices: NDArray[np.uint16], side: int) -> NDArray[np.float32]:
    """All patches, the missing ones in the mean colour of the visible patches nearest to them."""
    places = np.stack(np.divmod(np.arange(side**2), side), axis=1)
    distances = np.abs(places[:, None] - places[None, indices]).max(axis=2)
    around = distances == distances.min(axis=1, keepdims=True)
    colours = around @ patches.mean(axis=(2, 3)) / around.sum(axis=1, keepdims=True)
    everything = np.broadcast_to(colours[:, :, None, None], (side**2, *patches.shape[1:])).astype(np.float32)
    everything[indices] = patches
    return everything


def _filled(patches: NDArray[np.float32], indices: NDArray[np.uint16], side: int) -> NDArray[np.float32]:
    everything = np.zeros((side**2, *patches.shape[1:]), np.float32)
    everything[indices] = patches
    return everything


def _label(classifier: Any, patches: NDArray[np.float32], visible: NDArray[np.float32]) -> int:
    side = round(len(patches) ** 0.5) * patches.shape[-1]
    image = np.empty((1, 3, side, side), np.float32)
    paste(patches, np.arange(len(patches), dtype=np.uint16), image)
    return int(classifier.run({"image": image, "visible": visible})["logits"][0].argmax())


if __name__ == "__main__":
    main()
