"""Answers that are the server's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.messages import Payload, Reply
    from edge_runtime.systems.stages import Stages


def server_answers(payloads: Sequence[Payload], reply: Reply, stages: Stages) -> list[Answer]:
    """One answer per payload, in their order; the server's stages are added to ``stages``, which all of them share."""
    stages.add_server(reply.timings_ms)
    return [
        server_answer(probabilities, len(payload.data), stages)
        for payload, probabilities in zip(payloads, reply.probabilities, strict=True)
    ]


def server_answer(probabilities: NDArray[np.float32], payload_bytes: int, stages: Stages) -> Answer:
    """The answer that float32 ``probabilities [classes]`` are, after ``payload_bytes`` were sent for it."""
    return Answer(
        probabilities,
        int(probabilities.argmax()),
        "server",
        float(-np.log2(probabilities.max())),
        payload_bytes=payload_bytes,
        timings_ms=stages.taken_ms,
    )
