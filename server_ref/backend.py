"""The server without the wire: a request in, a reply out. What the gRPC service calls, and in-process drivers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_runtime.errors import ArgumentError
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution
from edge_runtime.transport import Description
from server_ref.line import Line
from server_ref.predictors import SERVED, open_predictor
from server_ref.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.messages import Reply, Request
    from edge_runtime.models import Bundle
    from server_ref.predictor import Predictor

MAX_BATCH = 8
# Frames in one request: what a device sends at a time, and what bounds the memory that a request may ask for.
MAX_FRAMES = 32


class Backend:
    """Predictors by name, the bundle's facts, and one line of requests before each predictor. Safe between threads.

    Requests that wait for the same model share a run of up to ``max_batch`` frames, where the model can.
    """

    def __init__(
        self,
        predictors: Mapping[str, Predictor],
        *,
        default_model: str,
        bundle_hash: str,
        classes: tuple[str, ...],
        frame_size: int = 224,
        patch_size: int = 16,
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._lines = {name: Line(name, predictor, max_batch) for name, predictor in predictors.items()}
        self.max_payload_bytes = max(predictor.max_bytes for predictor in predictors.values())
        self.description = Description(
            bundle_hash=bundle_hash,
            default_model=default_model,
            models=tuple(predictors),
            classes=classes,
            payload_kinds=tuple(dict.fromkeys(kind for predictor in predictors.values() for kind in predictor.kinds)),
            frame_size=frame_size,
            patch_size=patch_size,
            max_frames=MAX_FRAMES,
        )

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        model: str = "",
        execution: Execution = DEFAULT_EXECUTION,
        max_batch: int = MAX_BATCH,
        sessions: Sessions | None = None,
    ) -> Backend:
        """Load every server model of a bundle, or the named one alone, which then is the default.

        Models that only work for another one are loaded with that. ``sessions`` hold what is remembered of first
        rounds. Raises BundleError or ModelError.
        """
        sessions = sessions or Sessions()
        served = [spec for spec in bundle.models("server") if spec.kind in SERVED]
        specs = [bundle.model("server", model)] if model else served
        return cls(
            {spec.name: open_predictor(bundle, spec, sessions, execution) for spec in specs},
            default_model=bundle.model("server", model).name,
            bundle_hash=bundle.hash,
            classes=bundle.classes,
            frame_size=bundle.frame.size,
            patch_size=bundle.frame.patch,
            max_batch=max_batch,
        )

    def answer(self, request: Request, deadline_s: float = math.inf) -> Reply:
        """Decode, wait for the model's turn, compute, all frames of a request together.

        ``deadline_s`` is on the clock of ``time.monotonic``. Raises PayloadError for bytes that do not decode or a kind
        of payload that the model does not take, ArgumentError for an unknown model, SessionForgotten for a second round
        whose first is not remembered, TooLate instead of an answer that would come after the deadline.
        """
        return self._line(request.model or self.description.default_model).answer(request, deadline_s)

    def _line(self, model: str) -> Line:
        try:
            return self._lines[model]
        except KeyError:
            raise ArgumentError(f"model: {model!r} is unknown, this server has {', '.join(self._lines)}") from None
