"""Does recovery pay? What recovered pixels do to the first answer, and what they ask for.

    python benchmarks/recovery.py --data PHOTOS [--bundle zoo/amot] [--limit N] [--json OUT]

Patches are sampled on the bundle's grid and coded as WebP at quality 35. The first answer is the classifier's from what
arrived, and once more with recovered pixels shown to it as if they had arrived. Then it asks for more patches, and they
are added losslessly: those that the classifier attends to most where missing patches are recovered by the autoencoder,
filled with the mean colour of the visible patches nearest to them, or grey; and, without any attention, a random few.
PSNR is that of the missing patches, over all photos.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from edge_runtime import kernels
from edge_runtime.cli_rounds import rounds_spec
from edge_runtime.codecs import samples
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle, open_model
from edge_runtime.photos import open_frame
from server_ref.asking import wanted_patches
from server_ref.normaliser import Normaliser
from server_ref.picture import Picture, merge, paste
from server_ref.round_models import RoundModels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.labelled_photos import Photo

    F32 = NDArray[np.float32]

# Patches sent unasked, and asked for.
ROUNDS = ((29, 35), (49, 35))
CODEC, QUALITY = "webp", 35


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
    server = _Server(bundle)
    report = {"photos": len(photos), "rounds": [compare(server, photos, *counts) for counts in ROUNDS]}
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def compare(server: _Server, photos: list[Photo], first: int, second: int) -> dict[str, Any]:
    """Accuracy of the first answers and of the second ones, and PSNR of both fills."""
    right: Counter[str] = Counter()
    errors: dict[str, list[float]] = {"recovered": [], "nearest": []}
    for number, photo in enumerate(tqdm(photos, desc=f"{first} + {second} patches", unit="photo", disable=None)):
        pixels = open_frame(photo.data, server.bundle.frame)
        picture = server.arrived(pixels, first, number)
        fills = server.fills(picture)
        right["first"] += server.label(fills["recovered"], picture.indices) == photo.label
        everything = np.arange(len(fills["recovered"]), dtype=np.uint16)
        right["first, recovered shown"] += server.label(fills["recovered"], everything) == photo.label
        for name, asked in server.asked(fills, picture.indices, second, number).items():
            both = merge(picture, Picture(asked, kernels.gather(pixels, asked, server.bundle.frame.patch)))
            right[name] += int(server.models.look(both).logits.argmax()) == photo.label
        truth = server.normalise(kernels.gather(pixels, everything, server.bundle.frame.patch))
        missing = np.setdiff1d(everything, picture.indices)
        for name, found in errors.items():
            found.append(float(np.square(fills[name][missing] - truth[missing]).mean()))
    return {
        "first": first,
        "second": second,
        "accuracy": {name: found / len(photos) for name, found in right.items()},
        "psnr_db": {name: server.psnr_db(float(np.mean(found))) for name, found in errors.items()},
    }


class _Server:
    """The bundle's models, and what they make of one photo."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.rounds = rounds_spec(bundle)
        self.models = RoundModels(bundle, self.rounds)
        spec = bundle.model("server", self.rounds.classifier)
        self.normalise = Normaliser(spec)
        self._peak = 255 / spec.std[0]
        self._classifier = open_model(bundle, spec)
        self._grid = (bundle.frame.grid, bundle.frame.grid)

    def arrived(self, pixels: NDArray[np.uint8], count: int, seed: int) -> Picture:
        """So many sampled patches, packed and unpacked."""
        pattern, patch = self.rounds.pattern, self.bundle.frame.patch
        indices = kernels.sample(pattern, self._grid, count, seed)
        chosen = kernels.gather(pixels, indices, patch)
        return Picture(
            *samples.decode(samples.encode(chosen, self._grid, pattern, seed, CODEC, QUALITY), self._grid, patch)
        )

    def fills(self, picture: Picture) -> dict[str, F32]:
        """All patches ``[n, 3, p, p]``, normalised, the missing ones filled in three ways."""
        patches = self.normalise(picture.patches)
        grey = np.zeros((self._grid[0] * self._grid[1], *patches.shape[1:]), np.float32)
        grey[picture.indices] = patches
        return {
            "recovered": self.models.look(picture).patches,
            "nearest": nearest(patches, picture.indices, self._grid[0]),
            "grey": grey,
        }

    def asked(
        self, fills: dict[str, F32], visible: NDArray[np.uint16], count: int, seed: int
    ) -> dict[str, NDArray[np.uint16]]:
        """What the classifier asks for when it sees each fill, and a random choice."""
        missing = np.setdiff1d(np.arange(len(fills["grey"]), dtype=np.uint16), visible)
        chosen = {"random": missing[kernels.select_random(len(missing), count, seed)]}
        for name, fill in fills.items():
            attention = self._run(fill, visible)["attention"][0]
            chosen[name] = wanted_patches(attention, fill, visible, count)
        return chosen

    def label(self, patches: F32, visible: NDArray[np.uint16]) -> int:
        """What the classifier says when only ``visible`` counts as arrived."""
        return int(self._run(patches, visible)["logits"][0].argmax())

    def psnr_db(self, error: float) -> float:
        """Of a mean squared error of normalised pixels."""
        return float(10 * np.log10(self._peak**2 / error))

    def _run(self, patches: F32, visible: NDArray[np.uint16]) -> dict[str, NDArray[Any]]:
        image = np.empty((1, 3, self.bundle.frame.size, self.bundle.frame.size), np.float32)
        paste(patches, np.arange(len(patches), dtype=np.uint16), image)
        shown = np.zeros((1, len(patches)), np.float32)
        shown[0, visible] = 1
        return self._classifier.run({"image": image, "visible": shown})


def nearest(patches: F32, indices: NDArray[np.uint16], side: int) -> F32:
    """All patches, the missing ones in the mean colour of the visible patches nearest to them."""
    places = np.stack(np.divmod(np.arange(side**2), side), axis=1)
    distances = np.abs(places[:, None] - places[None, indices]).max(axis=2)
    around = distances == distances.min(axis=1, keepdims=True)
    colours = around @ patches.mean(axis=(2, 3)) / around.sum(axis=1, keepdims=True)
    everything = np.broadcast_to(colours[:, :, None, None], (side**2, *patches.shape[1:])).astype(np.float32)
    everything[indices] = patches
    return everything


if __name__ == "__main__":
    main()
