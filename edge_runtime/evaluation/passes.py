"""One pass over the photos at a time: the edge model once, the server once per way of sending.

Everything else (gates, thresholds, rivals) is arithmetic on what the passes recorded per photo, so a whole grid of
operating points costs no more than its distinct payloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from edge_runtime import kernels
from edge_runtime.codecs import image, patches
from edge_runtime.messages import Frame, Payload, Request
from edge_runtime.photos import open_frame
from edge_runtime.systems.selection import patch_scores, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edge_runtime.codecs.image import ImageCodec
    from edge_runtime.codecs.patches import PatchCodec
    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.models.bundle import FrameSpec
    from edge_runtime.systems.edge import EdgeModel


@dataclass(frozen=True)
class EdgePass:
    """What the edge model said about each photo: ``label``, ``correct`` and the uncertainties, each ``[photos]``.

    ``scores`` maps a score's name to float32 ``[photos, patches]``.
    """

    label: NDArray[np.int64]
    correct: NDArray[np.bool_]
    min_entropy: NDArray[np.float64]
    shannon: NDArray[np.float64]
    margin: NDArray[np.float64]
    scores: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class ServerPass:
    """What came of sending every photo one way, each ``[photos]``."""

    name: str
    correct: NDArray[np.bool_]
    patches: NDArray[np.int64]
    payload_bytes: NDArray[np.int64]
    wire_bytes: NDArray[np.int64]


class Sending(Protocol):
    """A way of turning a photo into a payload."""

    @property
    def name(self) -> str:
        """Short name for tables and pictures."""

    def payload(self, index: int, pixels: NDArray[np.uint8]) -> tuple[Payload, int]:
        """The payload of photo ``index`` and the number of patches in it."""


@dataclass(frozen=True)
class WholePhoto:
    """Every photo as one image file."""

    codec: ImageCodec
    quality: int

    @property
    def name(self) -> str:
        """For example ``jpeg q75``."""
        return self.codec if self.codec == "png" else f"{self.codec} q{self.quality}"

    def payload(self, index: int, pixels: NDArray[np.uint8]) -> tuple[Payload, int]:  # noqa: ARG002 - of `Sending`
        """The photo's file; it counts as no patches."""
        return Payload("image", image.encode(pixels, self.codec, self.quality)), 0


@dataclass(frozen=True)
class SelectedPatches:
    """The patches that ``rule`` picks by ``scores [photos, patches]``; see ``systems.selection.select``."""

    scores: NDArray[np.float32]
    frame: FrameSpec
    score: str
    rule: str
    amount: float
    codec: PatchCodec
    quality: int

    @property
    def name(self) -> str:
        """For example ``last sum 0.97 jpeg q75``."""
        quality = "" if self.codec == "raw" else f" q{self.quality}"
        return f"{self.score} {self.rule} {self.amount:g} {self.codec}{quality}"

    def payload(self, index: int, pixels: NDArray[np.uint8]) -> tuple[Payload, int]:
        """The chosen patches; a random choice is seeded by the photo's index."""
        indices = select(self.scores[index], self.rule, self.amount, seed=index)
        chosen = kernels.gather(pixels, indices, self.frame.patch)
        grid = (self.frame.grid, self.frame.grid)
        return Payload("patches", patches.encode(chosen, indices, grid, self.codec, self.quality)), len(indices)


def edge_pass(photos: Sequence[Photo], edge: EdgeModel, scores: Sequence[str]) -> EdgePass:
    """Run the edge model on every photo."""
    doubts = []
    found: dict[str, list[NDArray[np.float32]]] = {score: [] for score in scores}
    for _, frame in _frames(photos, edge.frame, f"{edge.spec.name} on the device"):
        seen = edge.see(frame)
        doubts.append(kernels.uncertainty(seen.logits))
        for score, rows in found.items():
            rows.append(patch_scores(seen.attention, score))
    labels = np.array([doubt.label for doubt in doubts])
    return EdgePass(
        labels,
        labels == [photo.label for photo in photos],
        np.array([doubt.min_entropy for doubt in doubts]),
        np.array([doubt.shannon for doubt in doubts]),
        np.array([doubt.margin for doubt in doubts]),
        {score: np.stack(rows) for score, rows in found.items()},
    )


def server_pass(
    photos: Sequence[Photo], frame: FrameSpec, sending: Sending, link: MeasuredLink, model: str = ""
) -> ServerPass:
    """Send every photo one way and record what came back and what it cost."""
    rows = []
    for photo, shown in _frames(photos, frame, sending.name):
        payload, count = sending.payload(shown.id, shown.pixels)
        before = link.wire_bytes()
        reply = link.call(Request("evaluate", shown.id, (payload,), model))
        correct = int(np.argmax(reply.probabilities[0])) == photo.label
        rows.append((correct, count, len(payload.data), link.wire_bytes() - before))
    correct_, count_, payload_, wire_ = zip(*rows, strict=True)
    return ServerPass(
        sending.name,
        np.array(correct_),
        np.array(count_),
        np.array(payload_),
        np.array(wire_),
    )


def _frames(photos: Sequence[Photo], spec: FrameSpec, what: str) -> Iterator[tuple[Photo, Frame]]:
    for index, photo in enumerate(tqdm(photos, desc=what, unit="photo", mininterval=1, leave=False, disable=None)):
        yield photo, Frame(index, open_frame(photo.data, spec))
