"""What the link tests share: a real server with a model that needs no file, and requests for it."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.codecs import patches
from edge_runtime.messages import Payload, Request
from server_ref.backend import Backend
from server_ref.handlers import HANDLERS
from server_ref.predictor import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

HASH = hashlib.sha256(b"a bundle").hexdigest()


class Equal:
    """Every class is as likely as any other; `hold` keeps it from answering while cleared."""

    kinds = ("image", "patches")
    max_bytes = 3 * 224**2
    batches = False

    def __init__(self) -> None:
        self.began = threading.Event()
        self.hold = threading.Event()
        self.hold.set()

    def decode(self, request: Request, deadline_s: float) -> list[np.ndarray]:  # noqa: ARG002 - of `Predictor`
        """The patches' indices."""
        return [HANDLERS[payload.kind](payload.data, 224, 16).indices for payload in request.payloads]

    def run(self, inputs: Sequence[np.ndarray]) -> list[Outcome]:
        """Zeros for four classes."""
        self.began.set()
        self.hold.wait(10)
        return [Outcome(np.zeros(4, np.float32))] * len(inputs)


@pytest.fixture(scope="session")
def bundle_hash() -> str:
    """Hex sha256 of the bundle that the server and its clients share."""
    return HASH


@pytest.fixture
def predictor() -> Equal:
    """A predictor that can be held."""
    return Equal()


@pytest.fixture
def backend(predictor: Equal) -> Backend:
    """A backend for frames of 224 pixels."""
    return Backend({"equal": predictor}, default_model="equal", bundle_hash=HASH, classes=("a", "b", "c", "d"))


@pytest.fixture(scope="session")
def photo_request() -> Request:
    """Half of the raw patches of a frame: 75 kB."""
    indices = np.arange(0, 196, 2, dtype=np.uint16)
    sent = kernels.gather(np.full((224, 224, 3), 90, np.uint8), indices, 16)
    return Request("attention", 1, (Payload("patches", patches.encode(sent, indices, (14, 14), "raw")),))
