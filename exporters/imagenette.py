"""The zoo's ten classes: Imagenette's, a subset of ImageNet's thousand."""

from __future__ import annotations

from typing import NamedTuple


class ImagenetClass(NamedTuple):
    """A class folder's name, its row among ImageNet's thousand, and what people call it."""

    wnid: str
    row: int
    name: str


IMAGENETTE = (
    ImagenetClass("n01440764", 0, "tench"),
    ImagenetClass("n02102040", 217, "English springer"),
    ImagenetClass("n02979186", 482, "cassette player"),
    ImagenetClass("n03000684", 491, "chain saw"),
    ImagenetClass("n03028079", 497, "church"),
    ImagenetClass("n03394916", 566, "French horn"),
    ImagenetClass("n03417042", 569, "garbage truck"),
    ImagenetClass("n03425413", 571, "gas pump"),
    ImagenetClass("n03445777", 574, "golf ball"),
    ImagenetClass("n03888257", 701, "parachute"),
)
IMAGENET_INDICES = tuple(entry.row for entry in IMAGENETTE)
NAMES = tuple(entry.name for entry in IMAGENETTE)
