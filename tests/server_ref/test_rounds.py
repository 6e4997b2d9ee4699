"""Tests of server_ref.rounds, with real models that look at mean colours."""

from __future__ import annotations

import hashlib
import time

import msgspec
import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.codecs import image, patches, requested, samples
from edge_runtime.control.rounds import Bytes, RoundTables, ServerTimes, Setting, Temperatures
from edge_runtime.errors import BundleError, ModelError, PayloadError, ServerRefused, SessionForgotten
from edge_runtime.messages import Ask, Payload, Request, SecondRound
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import StoredFile
from edge_runtime.transport import Client
from server_ref.backend import Backend
from server_ref.least_time import LeastTime
from server_ref.server import Server
from server_ref.sessions import Sessions

GRID = (4, 4)
EVERY = np.arange(16, dtype=np.uint16)
# What the tiny autoencoder adds to the mean of the visible patches.
BRIGHTER = np.array([0.1, 0.9, 0.3, 0.5, 0.8, 0.2, 0.7, 0.4, 0.6, 0.15, 0.95, 0.35, 0.55, 0.85, 0.25, 0.75])
SEED = 3
ALLOWED = SecondRound(patches=3, below=0.99)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A frame of noise, a little redder on the left."""
    noise = np.random.default_rng(5).integers(0, 150, (64, 64, 3), np.uint8)
    noise[:, :32, 0] += 100
    return noise


@pytest.fixture
def backend(rounds_bundle: Bundle) -> Backend:
    """A server that has seen nothing yet."""
    return Backend.open(rounds_bundle)


def colours(pixels: np.ndarray) -> np.ndarray:
    """Mean normalised colour of every patch, ``[16, 3]``."""
    return kernels.gather(pixels, EVERY, 16).mean(axis=(1, 2)) / 50


def recovered(pixels: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The same where the tiny autoencoder has filled in what is not visible."""
    true = colours(pixels)
    found = true[visible].mean(axis=0) + BRIGHTER[:, None]
    found[visible] = true[visible]
    return found


def sampled(count: int) -> np.ndarray:
    """What a device sends first."""
    return kernels.sample("jittered-grid", GRID, count, SEED)


def first(pixels: np.ndarray, count: int, second: SecondRound | None = ALLOWED) -> Request:
    """A first round."""
    chosen = kernels.gather(pixels, sampled(count), 16)
    payload = Payload("samples", samples.encode(chosen, GRID, "jittered-grid", SEED, "raw"))
    return Request("amot", 7, (payload,), second=second)


def second(pixels: np.ndarray, ask: Ask, frame_id: int = 7) -> Request:
    """What a device answers."""
    data = requested.encode(ask.session, kernels.gather(pixels, ask.indices, 16), "raw")
    return Request("amot", frame_id, (Payload("requested", data),))


def at_once(pixels: np.ndarray, indices: np.ndarray) -> Request:
    """The same patches in one round."""
    data = patches.encode(kernels.gather(pixels, indices, 16), indices, GRID, "raw")
    return Request("amot", 7, (Payload("patches", data),))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities."""
    return kernels.softmax(logits.astype(np.float32))


def hurried(backend: Backend, **needed_s: float) -> float:
    """A deadline in 20 s, after the predictor has learnt that something takes longer than that."""
    for name, seconds in needed_s.items():
        setattr(backend._lines["classify"]._predictor, name, LeastTime(seconds))
    return time.monotonic() + 20


class TestFirstRound:
    """Recover, classify, ask."""

    @pytest.mark.parametrize("second", [None, ALLOWED])
    def test_a_whole_image_needs_no_recovery(self, backend, pixels, second):
        """It is classified as it is, and there is nothing to ask for."""
        payload = Payload("image", image.encode(pixels, "png"))
        reply = backend.answer(Request("remote", 7, (payload,), second=second))

        assert reply.probabilities[0] == pytest.approx(softmax(colours(pixels).mean(axis=0)), abs=1e-5)
        assert reply.ask is None

    def test_what_was_not_sent_is_recovered(self, backend, pixels):
        """The classifier sees visible patches as they came and the recovery elsewhere."""
        reply = backend.answer(first(pixels, 5, second=None))

        expected = recovered(pixels, sampled(5)).mean(axis=0)
        assert reply.probabilities[0] == pytest.approx(softmax(expected), abs=1e-5)
        assert reply.model == "classify"
        assert reply.ask is None

    def test_patches_with_indices_are_as_good(self, backend, pixels):
        """The same patches with a bitmap instead of a seed give the same answer."""
        by_seed, by_bitmap = backend.answer(first(pixels, 5)), backend.answer(at_once(pixels, sampled(5)))

        assert np.array_equal(by_seed.probabilities, by_bitmap.probabilities)

    def test_asks_for_what_it_attended_to(self, backend, pixels):
        """The brightest of the recovered patches, as many as are allowed."""
        ask = backend.answer(first(pixels, 5)).ask

        missing = np.setdiff1d(EVERY, sampled(5))
        brightest = missing[np.argsort(-recovered(pixels, sampled(5)).mean(axis=1)[missing])]
        assert ask.indices.tolist() == sorted(brightest[:3])
        assert len(ask.session) == 16

    def test_never_asks_for_more_than_are_missing(self, backend, pixels):
        """Of sixteen, eleven."""
        ask = backend.answer(first(pixels, 5, SecondRound(1000, 0.99))).ask

        assert np.array_equal(np.setdiff1d(EVERY, sampled(5)), ask.indices)

    def test_is_sure_enough(self, backend, pixels):
        """An answer that is not below what the request says asks for nothing."""
        confidence = backend.answer(first(pixels, 5)).probabilities.max()

        assert backend.answer(first(pixels, 5, SecondRound(3, confidence))).ask is None
        assert backend.answer(first(pixels, 5, SecondRound(3, np.nextafter(confidence, 1)))).ask is not None

    def test_has_no_time_to_ask(self, backend, pixels):
        """When second rounds have taken longer than what is left, the first answer is all there is."""
        assert backend.answer(first(pixels, 5), hurried(backend, _second_round=1e9)).ask is None

    def test_has_no_room_to_remember(self, rounds_bundle, pixels):
        """Whoever could not use the patches does not ask for them."""
        assert Backend.open(rounds_bundle, sessions=Sessions(max_bytes=4096)).answer(first(pixels, 5)).ask is None

    def test_several_frames(self, backend, pixels):
        """Each is recovered by itself."""
        one, other = first(pixels, 5, None), at_once(pixels, sampled(9))
        payloads = (at_once(pixels, sampled(5)).payloads[0], other.payloads[0])
        together = backend.answer(Request("amot", 7, payloads)).probabilities

        assert np.array_equal(together[:1], backend.answer(one).probabilities)
        assert np.array_equal(together[1:], backend.answer(other).probabilities)


class TestSecondRound:
    """Look again."""

    def test_a_light_look_updates_what_was_seen(self, backend, pixels):
        """Without time for more, the patches that came replace their own; the rest stays recovered as it was."""
        ask = backend.answer(first(pixels, 5)).ask
        reply = backend.answer(second(pixels, ask), hurried(backend, _full_pass=1e9))

        seen = recovered(pixels, sampled(5))
        seen[ask.indices] = colours(pixels)[ask.indices]
        assert reply.probabilities[0] == pytest.approx(softmax(seen.mean(axis=0)), abs=1e-5)
        assert reply.ask is None

    def test_still_unsure_it_looks_at_everything_anew(self, backend, pixels):
        """With time, the answer is the one that all the patches at once would have got."""
        ask = backend.answer(first(pixels, 5)).ask
        reply = backend.answer(second(pixels, ask))

        everything = backend.answer(at_once(pixels, np.union1d(sampled(5), ask.indices)))
        assert np.array_equal(reply.probabilities, everything.probabilities)

    def test_time_on_the_way_is_time_that_has_passed(self, backend, pixels, monkeypatch):
        """A second round that was long under way leaves no time for a full look, though its clock has just begun."""
        ask = backend.answer(first(pixels, 5)).ask
        light = backend.answer(second(pixels, ask), hurried(backend, _full_pass=1e9)).probabilities
        hurried(backend, _full_pass=0.0)
        later_s = time.monotonic() + 20
        monkeypatch.setattr("server_ref.rounds.time.monotonic", lambda: later_s)
        reply = backend.answer(second(pixels, ask), later_s + 10)

        assert np.array_equal(reply.probabilities, light)

    def test_sure_it_leaves_it_at_the_light_look(self, backend, pixels):
        """A second answer that is as sure as was wanted is given at once."""
        sight = pixels.copy()
        asked = backend.answer(first(sight, 5)).ask.indices
        for i in asked:
            y, x = divmod(int(i), 4)
            sight[y * 16 : y * 16 + 16, x * 16 : x * 16 + 16] = (255, 0, 0)
        reply = backend.answer(first(sight, 5, SecondRound(3, 0.7)))
        seen = recovered(sight, sampled(5))
        seen[asked] = colours(sight)[asked]

        assert reply.probabilities.max() < 0.7
        found = backend.answer(second(sight, reply.ask)).probabilities[0]
        assert found.max() >= 0.7
        assert found == pytest.approx(softmax(seen.mean(axis=0)), abs=1e-5)

    def test_twice_the_same(self, backend, pixels):
        """A second round that is repeated is answered alike."""
        ask = backend.answer(first(pixels, 5)).ask
        once, again = (backend.answer(second(pixels, ask)).probabilities for _ in range(2))

        assert np.array_equal(once, again)

    def test_sessions_do_not_mix(self, backend, pixels):
        """Two frames under way get the answers that each gets alone."""
        others = np.ascontiguousarray(pixels[::-1])
        asks = [backend.answer(first(one, 5)).ask for one in (pixels, others)]
        found = [backend.answer(second(one, ask)) for one, ask in zip((pixels, others), asks, strict=True)]

        alone = [
            backend.answer(at_once(one, np.union1d(sampled(5), ask.indices)))
            for one, ask in zip((pixels, others), asks, strict=True)
        ]
        assert all(np.array_equal(a.probabilities, b.probabilities) for a, b in zip(found, alone, strict=True))

    def test_another_frames(self, backend, pixels):
        """A session serves the frame that it was opened for."""
        ask = backend.answer(first(pixels, 5)).ask
        with pytest.raises(SessionForgotten, match="of frame 8 is not known here"):
            backend.answer(second(pixels, ask, frame_id=8))

    def test_another_servers(self, rounds_bundle, backend, pixels):
        """A server that was started since knows nothing of it."""
        ask = backend.answer(first(pixels, 5)).ask
        with pytest.raises(SessionForgotten):
            Backend.open(rounds_bundle).answer(second(pixels, ask))

    def test_other_patches_than_were_asked_for(self, backend, pixels):
        """Their number must be the one asked for; the session survives it."""
        ask = backend.answer(first(pixels, 5)).ask
        with pytest.raises(PayloadError, match="requested: 2 patches of 16 pixels, asked for 3"):
            backend.answer(second(pixels, Ask(ask.session, ask.indices[:2])))

        assert backend.answer(second(pixels, ask)).model == "classify"

    def test_several_frames(self, backend, pixels):
        """A second round is about the frame that was asked about."""
        once = second(pixels, backend.answer(first(pixels, 5)).ask)
        with pytest.raises(PayloadError, match="requested: 2 frames in a second round, send one at a time"):
            backend.answer(Request("amot", 7, once.payloads * 2))

    @pytest.mark.parametrize("data", [b"", b"ER", bytes(100)])
    def test_bytes_that_do_not_decode(self, backend, data):
        """They get the codec's own line."""
        with pytest.raises(PayloadError, match="requested: "):
            backend.answer(Request("amot", 7, (Payload("requested", data),)))


class TestCalibration:
    """Probabilities that are as often right as they say."""

    def test_temperature_by_visible_patches(self, rounds_bundle, pixels, tmp_path):
        """Logits are divided by what the tables have for as many patches as are visible, in either round."""
        backend = Backend.open(calibrated(rounds_bundle, tmp_path))
        reply = backend.answer(first(pixels, 5))
        again = backend.answer(second(pixels, reply.ask), hurried(backend, _full_pass=1e9))

        seen = recovered(pixels, sampled(5))
        assert reply.probabilities[0] == pytest.approx(softmax(seen.mean(axis=0) / 5), abs=1e-5)
        seen[reply.ask.indices] = colours(pixels)[reply.ask.indices]
        assert again.probabilities[0] == pytest.approx(softmax(seen.mean(axis=0) / 8), abs=1e-5)


class TestOpen:
    """From bundles."""

    def test_only_the_classifier_is_served(self, backend):
        """The other models work for it."""
        assert backend.description.models == ("classify",)
        assert backend.description.payload_kinds == ("image", "patches", "samples", "requested")

    def test_the_others_alone(self, rounds_bundle):
        """They cannot serve."""
        with pytest.raises(BundleError, match="update: kind 'vit-update' cannot serve; vit-tokens, vit-states, "):
            Backend.open(rounds_bundle, "update")

    def test_without_rounds(self, rounds_bundle):
        """A classifier of that kind has no recovery of its own."""
        bare = Bundle(rounds_bundle.folder, msgspec.structs.replace(rounds_bundle.manifest, rounds=None))
        with pytest.raises(BundleError, match="classify: the bundle's rounds do not name it as their classifier"):
            Backend.open(bare)

    def test_models_of_different_scales(self, rounds_bundle):
        """What one recovers the other could not read."""
        manifest = rounds_bundle.manifest
        models = (msgspec.structs.replace(manifest.models[0], mean=(1.0, 1.0, 1.0)), *manifest.models[1:])
        with pytest.raises(BundleError, match="classify, recover, update: differ in mean or std"):
            Backend.open(Bundle(rounds_bundle.folder, msgspec.structs.replace(manifest, models=models)))

    def test_attention_that_is_none(self, backend, pixels, monkeypatch):
        """It is the model's fault, not the request's."""
        classifier = backend._lines["classify"]._predictor._models._classifier
        compute = classifier.run
        monkeypatch.setattr(
            classifier, "run", lambda inputs: {**compute(inputs), "attention": np.full((1, 2, 17), np.nan, np.float32)}
        )
        with pytest.raises(ModelError, match="the model's output is no answer: attention"):
            backend.answer(first(pixels, 5))


class TestWire:
    """Over a real connection."""

    @pytest.fixture
    def client(self, backend):
        """A device at a running server."""
        with Server(backend) as server, Client(server.address, backend.description.bundle_hash) as device:
            yield device

    def test_two_rounds(self, client, backend, pixels):
        """They are answered as in the same process."""
        reply = client.call(first(pixels, 5), 5)
        again = client.call(second(pixels, reply.ask), 5)

        there = backend.answer(first(pixels, 5))
        assert np.array_equal(reply.probabilities, there.probabilities)
        assert np.array_equal(reply.ask.indices, there.ask.indices)
        assert np.array_equal(again.probabilities, backend.answer(second(pixels, there.ask)).probabilities)

    def test_forgotten(self, client, pixels):
        """A token that nobody gave is NOT_FOUND, which the client knows by name."""
        with pytest.raises(SessionForgotten, match="NOT_FOUND: session: 00000000… of frame 7 is not known here"):
            client.call(second(pixels, Ask(bytes(16), np.array([1], np.uint16))), 5)

    def test_hostile_limits(self, client, pixels):
        """A second round that no device can mean is refused by name."""
        hostile = SecondRound(3, 0.9)
        object.__setattr__(hostile, "below", float("nan"))
        with pytest.raises(ServerRefused, match="INVALID_ARGUMENT: below: nan is no probability"):
            client.call(first(pixels, 5, hostile), 5)


def calibrated(bundle: Bundle, folder) -> Bundle:
    """A copy of the bundle whose temperature is the number of visible patches."""
    for path in bundle.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    data = RoundTables(
        photos=1,
        settings=(Setting("raw", 100),),
        first=(5,),
        second=(0,),
        below=(0.5,),
        temperatures=Temperatures((1, 16), (1.0, 16.0)),
        accuracy=((((0.5,),),),),
        asked=(((0.5,),),),
        first_bytes=((Bytes(1, 1),),),
        second_bytes=((Bytes(0, 0),),),
        server_ms=ServerTimes((1.0,), (1.0,)),
    ).dump()
    (folder / "rounds.json").write_bytes(data)
    tables = StoredFile("rounds.json", hashlib.sha256(data).hexdigest(), len(data))
    rounds = msgspec.structs.replace(bundle.manifest.rounds, tables=tables)
    return Bundle(folder, msgspec.structs.replace(bundle.manifest, rounds=rounds))
