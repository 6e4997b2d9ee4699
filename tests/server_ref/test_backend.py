"""Tests of server_ref.backend."""

from __future__ import annotations

import contextlib
import threading
import time

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.codecs import image, patches
from edge_runtime.errors import ArgumentError, BundleError, PayloadError
from edge_runtime.messages import Payload, Request
from edge_runtime.models import Bundle
from server_ref.backend import Backend
from server_ref.line import TooLate


@pytest.fixture
def request_(pixels) -> Request:
    """The whole frame."""
    return Request("remote", 7, (Payload("image", image.encode(pixels, "png")),))


def some_patches(pixels: np.ndarray, chosen: list[int]) -> Payload:
    """Some patches of the frame."""
    indices = np.array(chosen, np.uint16)
    return Payload("patches", patches.encode(kernels.gather(pixels, indices, 16), indices, (4, 4), "raw"))


def slow_run(backend: Backend, request: Request, predictor) -> None:
    """Let the predictor take 0.3 s once."""
    predictor.hold.clear()
    threading.Timer(0.3, predictor.hold.set).start()
    backend.answer(request)


class TestAnswer:
    """One request."""

    def test_probabilities_model_and_times(self, backend, request_):
        """The reply carries what the predictor said, its name and every stage's time."""
        reply = backend.answer(request_)

        assert reply.probabilities[0] == pytest.approx([0.5, 0, 0.5])
        assert reply.model == "colour"
        assert set(reply.timings_ms) == {"decode", "queue", "compute"}
        assert min(reply.timings_ms.values()) >= 0
        assert reply.queue_length == 0

    def test_unknown_model(self, backend, request_):
        """The models that exist are listed."""
        with pytest.raises(ArgumentError, match="model: 'other' is unknown, this server has colour"):
            backend.answer(Request("remote", 7, request_.payloads, "other"))

    def test_bad_bytes_never_reach_the_predictor(self, backend, predictor):
        """Bytes that do not decode cost no turn."""
        with pytest.raises(PayloadError):
            backend.answer(Request("remote", 7, (Payload("patches", b"EP"),)))

        assert predictor.calls == 0


class TestDeadline:
    """Answers that would come too late are not computed."""

    def test_already_passed(self, backend, request_, predictor):
        """A passed deadline costs no computation."""
        with pytest.raises(TooLate, match="colour"):
            backend.answer(request_, time.monotonic() - 1)

        assert predictor.calls == 0

    def test_less_left_than_runs_need(self, backend, request_, predictor):
        """With less time left than runs have needed, a run is not started."""
        slow_run(backend, request_, predictor)

        with pytest.raises(TooLate, match="needs at least"):
            backend.answer(request_, time.monotonic() + 0.02)
        assert predictor.calls == 1

    def test_one_slow_run_is_forgiven(self, backend, request_, predictor):
        """Refusals make the model seem faster, so that requests are tried again and show how fast it is."""
        slow_run(backend, request_, predictor)

        for _ in range(100):
            with contextlib.suppress(TooLate):
                backend.answer(request_, time.monotonic() + 0.02)

        assert predictor.calls > 1

    def test_passes_while_waiting(self, backend, request_, predictor):
        """A request gives up its place in the line when its time is over."""
        predictor.hold.clear()
        first = threading.Thread(target=backend.answer, args=(request_,))
        first.start()
        predictor.began.wait(5)

        with pytest.raises(TooLate, match="passed while waiting for colour"):
            backend.answer(request_, time.monotonic() + 0.05)
        predictor.hold.set()
        first.join()

    def test_centuries_ahead(self, backend, request_):
        """A deadline beyond what a lock can wait for is no deadline."""
        assert backend.answer(request_, time.monotonic() + 1e12).model == "colour"


class TestLine:
    """Many requests, one model."""

    def test_waiting_is_counted_and_timed(self, backend, request_, predictor):
        """The second of two requests reports its wait; the first reports that somebody waited."""
        predictor.hold.clear()
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(backend.answer(request_))) for _ in range(2)]
        for thread in threads:
            thread.start()
        predictor.began.wait(5)
        time.sleep(0.1)
        predictor.hold.set()
        for thread in threads:
            thread.join()

        assert sorted(reply.timings_ms["queue"] >= 90 for reply in replies) == [False, True]
        assert predictor.calls == 2


class TestOpen:
    """Backends from bundles."""

    def test_every_server_model(self, bundle_folder):
        """All server models are loaded, edge models are not; the default is the bundle's."""
        description = Backend.open(Bundle.load(bundle_folder)).description

        assert description.models == ("tokens", "filled", "slow")
        assert description.default_model == "tokens"
        assert description.payload_kinds == ("image", "patches")
        assert (description.frame_size, description.patch_size) == (64, 16)

    def test_one_model_alone(self, bundle_folder):
        """A named model is the only one and the default."""
        description = Backend.open(Bundle.load(bundle_folder), "filled").description

        assert description.models == ("filled",)
        assert description.default_model == "filled"

    def test_unknown_name(self, bundle_folder):
        """A name that the bundle does not have is answered with those it has."""
        with pytest.raises(BundleError, match="it has tokens, filled, slow"):
            Backend.open(Bundle.load(bundle_folder), "big")

    @pytest.mark.parametrize("model", ["tokens", "filled"])
    def test_answers_with_a_real_model(self, bundle_folder, request_, model):
        """Both kinds of models answer an image request with probabilities."""
        reply = Backend.open(Bundle.load(bundle_folder)).answer(Request("remote", 1, request_.payloads, model))

        assert reply.probabilities.dtype == np.float32
        assert reply.probabilities.sum() == pytest.approx(1)
        assert reply.model == model

    @pytest.mark.parametrize("model", ["tokens", "filled"])
    def test_frames_together_are_answered_as_alone(self, bundle_folder, pixels, model):
        """Frames of one request may differ in their patches; each gets the row that it gets by itself."""
        backend = Backend.open(Bundle.load(bundle_folder))
        payloads = [some_patches(pixels, chosen) for chosen in ([0], [0, 15], [8, 9, 10, 11])]
        together = backend.answer(Request("attention", 1, tuple(payloads), model))
        alone = [backend.answer(Request("attention", 1, (payload,), model)).probabilities for payload in payloads]

        assert together.probabilities == pytest.approx(np.concatenate(alone), abs=1e-6)
        assert len(np.unique(together.probabilities, axis=0)) == 3
