"""``edge-runtime demo``: the attention system on a few photos, with a page to look at."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from edge_runtime.codecs import image
from edge_runtime.errors import PhotoError
from edge_runtime.evaluation.pictures import html_page, triptych
from edge_runtime.messages import Frame, Payload, Request
from edge_runtime.photos import SUFFIXES, open_frame
from edge_runtime.systems.attention import Attention
from edge_runtime.systems.driver import drive
from edge_runtime.systems.selection import Selection, patch_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.messages import Answer
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import GateSpec
    from edge_runtime.systems.edge import EdgeModel

SKIMAGE_PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


class Shown(NamedTuple):
    """One photo's answer beside the server's whole-photo answer, and its picture."""

    photo: str
    answer: Answer
    whole_label: int
    wire_bytes: int
    picture: Image


def photo_paths(images: Sequence[Path]) -> list[Path]:
    """The photos named, folders searched; with none, those that come with scikit-image."""
    if not images:
        try:
            data = importlib.resources.files("skimage.data")
        except ModuleNotFoundError as error:
            raise PhotoError("--images: none given, and scikit-image is not installed; give some photos") from error
        return [Path(str(data / name)) for name in SKIMAGE_PHOTOS]
    found = [path for given in images for path in (sorted(given.iterdir()) if given.is_dir() else [given])]
    photos = [path for path in found if path.suffix.lower() in SUFFIXES]
    if not photos:
        raise PhotoError(f"--images {images[0]}: no photo there; expected {', '.join(SUFFIXES)}")
    return photos


def show(bundle: Bundle, edge: EdgeModel, gate: GateSpec, link: MeasuredLink, paths: Sequence[Path]) -> list[Shown]:
    """Answer each photo, and ask the server about it whole for comparison."""
    system = Attention(edge, gate)
    shown = []
    for number, path in enumerate(tqdm(paths, desc="photos", unit="photo", leave=False, disable=None)):
        pixels = open_frame(path, bundle.frame)
        before = link.wire_bytes()
        answer = drive(system.infer(Frame(number, pixels)), link.call)
        spent = link.wire_bytes() - before
        whole = link.call(Request("demo", number, (Payload("image", image.encode(pixels, "png")),)))
        whole_label = int(np.argmax(whole.probabilities[0]))
        shown.append(Shown(path.name, answer, whole_label, spent, picture(edge, gate, pixels)))
    return shown


def picture(edge: EdgeModel, gate: GateSpec, pixels: NDArray[np.uint8]) -> Image:
    """The frame, its attention, and the patches that leave the device."""
    seen = edge.see(Frame(0, pixels))
    decision = Selection(gate, edge.frame)(seen, pixels)
    return triptych(pixels, patch_scores(seen.attention, gate.score), decision.indices, edge.frame.patch)


def page(bundle: Bundle, shown: Sequence[Shown]) -> str:
    """The demo's HTML page."""
    rows: list[dict[str, object]] = [
        {
            "photo": one.photo,
            "answer": bundle.classes[one.answer.label],
            "decided by": one.answer.decided_by,
            "min-entropy, bits": f"{one.answer.min_entropy:.2f}",
            "patches sent": f"{one.answer.patches_sent} of {bundle.frame.grid**2}",
            "bytes on the wire": one.wire_bytes,
            "server's whole-photo answer": bundle.classes[one.whole_label],
        }
        for one in shown
    ]
    introduction = (
        f"The device looks at each photo and answers when it is sure; otherwise only the patches its attention chose "
        f"travel. {agreement(shown)} of {len(shown)} answers agree with the server's answer to the whole photo. "
        f"These models know {len(bundle.classes)} classes only ({', '.join(bundle.classes)}): a photo of anything "
        f"else gets the nearest of them."
    )
    return html_page("edge-runtime demo", introduction, rows, [one.picture for one in shown])


def agreement(shown: Sequence[Shown]) -> int:
    """How many answers equal the server's answer to the whole photo."""
    return sum(one.answer.label == one.whole_label for one in shown)
