"""What two rounds show a server: patches sampled, picture recovered, patches asked for, final picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import patches, requested, samples
from edge_runtime.evaluation.pictures import UNSENT, pyplot
from edge_runtime.models import open_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_runtime.messages import Answer, Reply, Request
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import FrameSpec

    # The answered requests about one frame.
    Conversation = Sequence[tuple[Request, Reply]]


class Shown(NamedTuple):
    """Patches uint8 ``[k, p, p, 3]`` as they arrived, and their ``indices``, uint16 ``[k]``."""

    indices: NDArray[np.uint16]
    patches: NDArray[np.uint8]


def shown_by_round(conversation: Conversation, frame: FrameSpec) -> list[Shown]:
    """What each request of one frame showed the server: of a second round what was asked for, and only that."""
    grid, asked = (frame.grid, frame.grid), None
    found: list[Shown] = []
    for request, reply in conversation:
        (payload,) = request.payloads
        if payload.kind == "samples":
            found.append(Shown(*samples.decode(payload.data, grid, frame.patch)))
        elif payload.kind == "patches":  # all of them again, for a server that had forgotten
            everything = Shown(*patches.decode(payload.data, grid, frame.patch))
            new = ~np.isin(everything.indices, found[0].indices)
            found.append(Shown(everything.indices[new], everything.patches[new]))
        elif asked is not None:
            found.append(Shown(asked, requested.decode(payload.data, len(asked), frame.patch)))
        asked = reply.ask.indices if reply.ask else None
    return found


def open_recovery(bundle: Bundle) -> Callable[[Shown], NDArray[np.uint8]]:
    """The bundle's autoencoder: what is shown in, the whole frame uint8 ``[size, size, 3]`` out.

    Raises BundleError where the folder has not the server's half, and ModelError.
    """
    rounds = bundle.manifest.rounds
    assert rounds is not None  # noqa: S101 - the system that was drawn needs them
    spec, frame = bundle.model("server", rounds.recovery), bundle.frame
    model = open_model(bundle, spec)
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)

    def recover(shown: Shown) -> NDArray[np.uint8]:
        count, side = len(shown.indices), frame.patch
        planes = kernels.normalise(shown.patches.reshape(count * side, side, 3), mean, std)
        tokens = planes.reshape(3, count, side, side).transpose(1, 0, 2, 3).reshape(1, count, -1)
        outputs = model.run(
            {"patches": np.ascontiguousarray(tokens), "positions": shown.indices.astype(np.int64)[np.newaxis]}
        )
        recovered = outputs["recovered"].reshape(-1, 3, side, side).transpose(0, 2, 3, 1) * std + mean
        everything = np.ascontiguousarray(recovered.round().clip(0, 255).astype(np.uint8))
        return pasted(Shown(np.arange(len(everything), dtype=np.uint16), everything), blank(frame))

    return recover


def blank(frame: FrameSpec) -> NDArray[np.uint8]:
    """A frame of which nothing was sent."""
    return np.full((frame.size, frame.size, 3), UNSENT, np.uint8)


def pasted(shown: Shown, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of ``pixels`` with what is shown put in its place."""
    out = pixels.copy()
    kernels.scatter(np.ascontiguousarray(shown.patches), shown.indices, out)
    return out


def draw_rounds(
    conversation: Conversation,
    answer: Answer,
    bundle: Bundle,
    recover: Callable[[Shown], NDArray[np.uint8]] | None,
    path: Path,
) -> None:
    """Write the four panels; without ``recover`` nothing stands where nothing was sent."""
    frame, nothing = bundle.frame, blank(bundle.frame)
    first, *second = shown_by_round(conversation, frame)
    recovered = pasted(first, recover(first) if recover else nothing)
    asked = second[0] if second else Shown(first.indices[:0], first.patches[:0])
    texts = [f"{reply.model}: {_best(bundle, reply.probabilities[0])}" for _, reply in conversation]
    sizes = [len(request.payloads[0].data) for request, _ in conversation]
    panels = [
        (f"sampled: {len(first.indices)} of {frame.grid**2} patches\n{sizes[0]} bytes", pasted(first, nothing)),
        (f"{'recovered' if recover else 'recovered at the server, not here'}\n{texts[0]}", recovered),
        (f"asked for: {len(asked.indices)} patches\n{sum(sizes[1:])} bytes", pasted(asked, nothing)),
        (f"after {answer.rounds} of 2 rounds, decided by {answer.decided_by}\n{texts[-1]}", pasted(asked, recovered)),
    ]
    plt = pyplot(path)
    figure, axes = plt.subplots(1, len(panels), figsize=(14, 4.1), constrained_layout=True)
    for axis, (text, pixels) in zip(axes, panels, strict=True):
        axis.imshow(pixels)
        axis.set_title(text, fontsize=10)
        axis.set_axis_off()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _best(bundle: Bundle, probabilities: NDArray[np.float32]) -> str:
    label = int(probabilities.argmax())
    return f"{bundle.classes[label]} {probabilities[label]:.0%}"
