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

if TYPE_CHECKING:
    from server_ref.picture import Picture

HASH = hashlib.sha256(b"a bundle").hexdigest()


class Equal:
    """Every class is as likely as any other; `hold` keeps it from answering while cleared."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.hold = threading.Event()
        self.hold.set()

    def predict(self, picture: Picture) -> np.ndarray:
        """Probabilities of four classes."""
        assert len(picture.patches)
        self.began.set()
        self.hold.wait(10)
        return np.full(4, 0.25, np.float32)


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
    return Request("attention", 1, Payload("patches", patches.encode(sent, indices, (14, 14), "raw")))
