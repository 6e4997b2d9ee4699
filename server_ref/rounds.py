"""Two rounds of questions about one frame: recover what was not sent, classify, ask, and look again.

Reconstruction of A-MOT's server (Liu et al., ACM TOSN 2024); docs/formats/wire.md describes what crosses the link.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.codecs import requested
from edge_runtime.control.rounds import RoundTables
from edge_runtime.errors import BundleError, PayloadError
from edge_runtime.messages import Ask
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution
from server_ref.asking import wanted_patches
from server_ref.handlers import HANDLERS
from server_ref.least_time import LeastTime
from server_ref.picture import Picture, merge
from server_ref.predictor import Outcome, blame_the_model
from server_ref.round_models import RoundModels
from server_ref.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.messages import PayloadKind, Request, SecondRound
    from edge_runtime.models import Bundle, ModelSpec
    from server_ref.sessions import Sessions


@dataclass(frozen=True, slots=True)
class _First:
    """A frame that is looked at for the first time."""

    frame_id: int
    picture: Picture
    second: SecondRound | None
    deadline_s: float


@dataclass(frozen=True, slots=True)
class _Second:
    """The patches uint8 ``[k, p, p, 3]`` that ``session`` asked for."""

    session: Session
    patches: NDArray[np.uint8]
    deadline_s: float


class RoundsPredictor:
    """A vision transformer before which an autoencoder recovers what is missing (kind ``vit-states``).

    Logits are divided by the temperature that calibration found for so many visible patches. When the result is less
    sure than a request demands, the classifier's states are kept in ``sessions`` and patches are asked for; with those
    a second, light pass brings the states up to date. Raises BundleError when the bundle's rounds are not of this
    model.
    """

    kinds: tuple[PayloadKind, ...] = ("image", "patches", "samples", "requested")
    batches = False

    def __init__(
        self, bundle: Bundle, spec: ModelSpec, sessions: Sessions, execution: Execution = DEFAULT_EXECUTION
    ) -> None:
        rounds = bundle.manifest.rounds
        if rounds is None or rounds.classifier != spec.name:
            raise BundleError(f"{spec.name}: the bundle's rounds do not name it as their classifier")
        self._models = RoundModels(bundle, rounds, execution)
        self._tables = RoundTables.load(bundle.read(rounds.tables)) if rounds.tables else None
        self._uncertainty_weight = rounds.uncertainty_weight
        self._frame = bundle.frame
        self._sessions = sessions
        # Of a first look, and from a question to the second answer.
        self._full_pass, self._second_round = LeastTime(), LeastTime()
        self.max_bytes = 3 * bundle.frame.size**2

    def decode(self, request: Request, deadline_s: float) -> list[_First] | list[_Second]:
        """What the payloads show; raises SessionForgotten for a second round whose first is not remembered."""
        size, patch = self._frame.size, self._frame.patch
        if request.payloads[0].kind != "requested":
            pictures = [HANDLERS[payload.kind](payload.data, size, patch) for payload in request.payloads]
            return [_First(request.frame_id, picture, request.second, deadline_s) for picture in pictures]
        if len(request.payloads) > 1:
            raise PayloadError(f"requested: {len(request.payloads)} frames in a second round, send one at a time")
        data = request.payloads[0].data
        session = self._sessions.recall(requested.session_of(data), request.frame_id)
        # The time that is left is counted from a request's arrival: what it took to come has passed as well.
        deadline_s -= time.monotonic() - session.asked_s
        return [_Second(session, requested.decode(data, len(session.asked), patch), deadline_s)]

    def run(self, inputs: Sequence[_First | _Second]) -> list[Outcome]:
        """Look at each frame, for the first or for the second time."""
        return [self._first(one) if isinstance(one, _First) else self._second(one) for one in inputs]

    def _first(self, first: _First) -> Outcome:
        started_s = time.monotonic()
        look = self._models.look(first.picture)
        outcome = Outcome(self._calibrated(look.logits, len(first.picture.indices)))
        self._full_pass.took(time.monotonic() - started_s)
        if not self._may_ask(first, outcome):
            return outcome
        assert first.second is not None  # noqa: S101 - or it may not ask
        with blame_the_model():
            asked = wanted_patches(
                look.attention, look.patches, first.picture.indices, first.second.patches, self._uncertainty_weight
            )
        session = Session(
            first.frame_id, first.picture, asked, look.image, look.states, first.second.below, time.monotonic()
        )
        if not self._sessions.has_room_for(session.nbytes):
            return outcome
        return Outcome(outcome.logits, Ask(self._sessions.remember(session), asked))

    def _may_ask(self, first: _First, outcome: Outcome) -> bool:
        """Whether the answer is not sure enough, patches are missing and they may come in time."""
        return (
            first.second is not None
            and len(first.picture.indices) < self._frame.grid**2
            and outcome.probabilities.max() < first.second.below
            and self._second_round.fits(first.deadline_s - time.monotonic())
        )

    def _second(self, second: _Second) -> Outcome:
        session = second.session
        arrived = Picture(session.asked, second.patches)
        picture = merge(session.picture, arrived)
        logits = self._models.update(session.image, session.states, session.picture.indices, arrived)
        outcome = Outcome(self._calibrated(logits, len(picture.indices)))
        unsure = outcome.probabilities.max() < session.below
        # Twice its time, since what comes too late costs the answer that there is.
        if unsure and self._full_pass.fits((second.deadline_s - time.monotonic()) / 2):
            outcome = self._first(_First(session.frame_id, picture, None, second.deadline_s))
        self._second_round.took(time.monotonic() - session.asked_s)
        return outcome

    def _calibrated(self, logits: NDArray[np.float32], visible: int) -> NDArray[np.float32]:
        """Logits whose probabilities are as often right as they say, with so many patches visible."""
        return logits / np.float32(self._tables.temperature(visible)) if self._tables else logits
