"""The server without the wire: a request in, a reply out. What the gRPC service calls, and in-process drivers."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from edge_runtime.errors import ArgumentError, EdgeRuntimeError
from edge_runtime.messages import Reply
from edge_runtime.models import open_model
from edge_runtime.transport import Description
from server_ref.handlers import HANDLERS
from server_ref.predictors import CnnPredictor, Predictor, VitPredictor

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.messages import Request
    from edge_runtime.models import Bundle, ModelSpec
    from server_ref.picture import Picture


class TooLate(EdgeRuntimeError):  # noqa: N818 - an event, as LinkLost is on the other side
    """The deadline has passed, or will before the model can have answered."""


class Backend:
    """Predictors by name, the bundle's facts, and one line of requests before each predictor. Safe between threads."""

    def __init__(
        self,
        predictors: Mapping[str, Predictor],
        *,
        default_model: str,
        bundle_hash: str,
        classes: tuple[str, ...],
        frame_size: int = 224,
        patch_size: int = 16,
    ) -> None:
        self._lines = {name: _Line(name, predictor) for name, predictor in predictors.items()}
        self.description = Description(
            bundle_hash=bundle_hash,
            default_model=default_model,
            models=tuple(predictors),
            classes=classes,
            payload_kinds=tuple(HANDLERS),
            frame_size=frame_size,
            patch_size=patch_size,
        )

    @classmethod
    def open(cls, bundle: Bundle, model: str = "", threads: int = 1) -> Backend:
        """Load every server model of a bundle, or the named one alone, which then is the default.

        Raises BundleError or ModelError.
        """
        specs = (bundle.model("server", model),) if model else bundle.models("server")
        return cls(
            {spec.name: _open_predictor(bundle, spec, threads) for spec in specs},
            default_model=bundle.model("server", model).name,
            bundle_hash=bundle.hash,
            classes=bundle.classes,
            frame_size=bundle.frame.size,
            patch_size=bundle.frame.patch,
        )

    def answer(self, request: Request, deadline_s: float = math.inf) -> Reply:
        """Decode, wait for the model's turn, compute. ``deadline_s`` is on the clock of ``time.monotonic``.

        Raises PayloadError for bytes that do not decode, ArgumentError for an unknown model, TooLate instead of an
        answer that would come after the deadline.
        """
        line = self._line(request.model or self.description.default_model)
        start = time.perf_counter()
        handle = HANDLERS[request.payload.kind]
        picture = handle(request.payload.data, self.description.frame_size, self.description.patch_size)
        decode_s = time.perf_counter() - start
        return line.answer(picture, decode_s, deadline_s)

    def _line(self, model: str) -> _Line:
        try:
            return self._lines[model]
        except KeyError:
            raise ArgumentError(f"model: {model!r} is unknown, this server has {', '.join(self._lines)}") from None


class _Line:
    """Requests wait here for one predictor and reach it one at a time."""

    def __init__(self, name: str, predictor: Predictor) -> None:
        self._name = name
        self._predictor = predictor
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._needed_s = 0.0

    def answer(self, picture: Picture, decode_s: float, deadline_s: float) -> Reply:
        arrived = time.perf_counter()
        self._wait_for_turn(deadline_s)
        try:
            started = time.perf_counter()
            probabilities = self._predict(picture, deadline_s)
            finished = time.perf_counter()
        finally:
            self._turn.release()
        return Reply(
            probabilities=probabilities,
            model=self._name,
            timings_ms={
                "decode": decode_s * 1e3,
                "queue": (started - arrived) * 1e3,
                "compute": (finished - started) * 1e3,
            },
            queue_length=self._waiting,
        )

    def _wait_for_turn(self, deadline_s: float) -> None:
        patience_s = deadline_s - time.monotonic()
        self._add_waiting(1)
        try:
            in_time = self._turn.acquire(timeout=min(max(patience_s, 0), threading.TIMEOUT_MAX))
        finally:
            self._add_waiting(-1)
        if not in_time:
            raise TooLate(f"deadline: passed while waiting for {self._name}, {self._waiting} more requests wait for it")

    def _predict(self, picture: Picture, deadline_s: float) -> NDArray[np.float32]:
        left_s = deadline_s - time.monotonic()
        if left_s <= self._needed_s:
            text = f"{left_s * 1e3:.0f} ms left, {self._name} needs at least {self._needed_s * 1e3:.0f} ms"
            # A refusal teaches nothing about the model: without this, one slow run could turn away everybody for ever.
            self._needed_s *= 0.9
            raise TooLate(f"deadline: {text}")
        start = time.perf_counter()
        probabilities = self._predictor.predict(picture)
        taken_s = time.perf_counter() - start
        # Down at once, up slowly: what a run cannot do without.
        self._needed_s = min(taken_s, self._needed_s + 0.1 * (taken_s - self._needed_s))
        return probabilities

    def _add_waiting(self, change: int) -> None:
        with self._count:
            self._waiting += change


def _open_predictor(bundle: Bundle, spec: ModelSpec, threads: int) -> Predictor:
    model = open_model(bundle, spec, threads=threads)
    if spec.kind == "vit-tokens":
        return VitPredictor(model, spec)
    if spec.kind == "cnn-filled":
        return CnnPredictor(model, spec, bundle.frame.size)
    raise ArgumentError(f"{spec.name}: kind {spec.kind!r} cannot serve, a server model is vit-tokens or cnn-filled")
