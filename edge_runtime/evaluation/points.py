"""Operating points: what a gate makes of a pass, and how sure we are of the figure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from edge_runtime.evaluation.passes import EdgePass, ServerPass


class _Placed(Protocol):
    @property
    def accuracy(self) -> float: ...
    @property
    def wire_bytes(self) -> float: ...


OnPlane = TypeVar("OnPlane", bound=_Placed)
Measure = Literal["min-entropy", "shannon", "margin"]
Z95 = 1.959964


@dataclass(frozen=True)
class Point:
    """One way of answering all photos; means per photo, accuracies in 0..1.

    ``cost`` is the paper's: the share of photos sent times the mean share of patches sent of those. ``low`` and
    ``high`` bound the accuracy with 95 % confidence (Wilson). ``uncertainty`` is empty and ``eta`` NaN without a gate.
    """

    sending: str
    uncertainty: str
    eta: float
    photos: int
    accuracy: float
    low: float
    high: float
    share_local: float
    patches_per_sent_photo: float
    cost: float
    payload_bytes: float
    wire_bytes: float

    def as_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes null."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }


def wilson(right: float, count: int) -> tuple[float, float]:
    """95 % confidence interval of a share of ``count`` trials."""
    share = right / count
    spread = Z95 * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2))
    centre = share + Z95**2 / (2 * count)
    scale = 1 + Z95**2 / count
    return (centre - spread) / scale, (centre + spread) / scale


def local_mask(edge: EdgePass, measure: Measure, eta: float) -> NDArray[np.bool_]:
    """Photos that the gate keeps on the device."""
    if measure == "margin":
        return edge.margin > eta
    return (edge.min_entropy if measure == "min-entropy" else edge.shannon) < eta


def ungated(sent: ServerPass, total_patches: int) -> Point:
    """Every photo sent."""
    return _point(sent, np.zeros(len(sent.correct), bool), sent.correct, total_patches, "", math.nan)


def gated(edge: EdgePass, sent: ServerPass, total_patches: int, measure: Measure, eta: float) -> Point:
    """Photos below the gate answered by the device, the others sent."""
    return _point(sent, local_mask(edge, measure, eta), edge.correct, total_patches, measure, eta)


def _point(
    sent: ServerPass,
    local: NDArray[np.bool_],
    local_correct: NDArray[np.bool_],
    total_patches: int,
    measure: str,
    eta: float,
) -> Point:
    count = len(local)
    remote = ~local
    right = np.where(local, local_correct, sent.correct).sum()
    patches = float(sent.patches[remote].mean()) if remote.any() else 0.0
    return Point(
        sending=sent.name,
        uncertainty=measure,
        eta=eta,
        photos=count,
        accuracy=float(right / count),
        low=wilson(right, count)[0],
        high=wilson(right, count)[1],
        share_local=float(local.mean()),
        patches_per_sent_photo=patches,
        cost=float(remote.mean()) * patches / total_patches,
        payload_bytes=float(sent.payload_bytes[remote].sum() / count),
        wire_bytes=float(sent.wire_bytes[remote].sum() / count),
    )


def cheapest(points: Iterable[Point], accuracy: float, most_cost: float = math.inf) -> Point | None:
    """The point with the fewest wire bytes that reaches ``accuracy`` at no more than ``most_cost``."""
    good = [point for point in points if point.accuracy >= accuracy and point.cost <= most_cost]
    return min(good, key=lambda point: point.wire_bytes, default=None)


def frontier(points: Sequence[OnPlane]) -> list[OnPlane]:
    """Points that no other beats in both accuracy and wire bytes, fewest bytes first."""
    best: list[OnPlane] = []
    for point in sorted(points, key=lambda point: (point.wire_bytes, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best
