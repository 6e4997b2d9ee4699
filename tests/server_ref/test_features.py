"""Feature maps at a real server: the split system over a real link, and bytes that are no feature map."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edge_runtime.codecs.features import FeatureCodec
from edge_runtime.errors import PayloadError, ServerRefused
from edge_runtime.messages import Frame, Payload, Request
from edge_runtime.models import Bundle
from edge_runtime.systems.driver import drive
from edge_runtime.systems.edge import PrefixModel
from edge_runtime.systems.split import Split
from edge_runtime.transport import Client
from server_ref.backend import Backend
from server_ref.server import Server

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}


def frame(colour: str, seed: int = 0) -> Frame:
    """A frame of one colour, but for noise."""
    noise = np.random.default_rng(seed).integers(0, 50, (64, 64, 3))
    return Frame(1, (np.array(COLOURS[colour]) + noise).astype(np.uint8))


@pytest.fixture(scope="module")
def backend(split_bundle: Bundle) -> Backend:
    """The tiny network's server models."""
    return Backend.open(split_bundle)


@pytest.fixture
def client(backend: Backend, split_bundle: Bundle) -> Iterator[Client]:
    """A client of a real server."""
    with Server(backend) as server, Client(server.address, split_bundle.hash) as connected:
        yield connected


def codec(bundle: Bundle, cut: str) -> FeatureCodec:
    """The codec of a cut."""
    return FeatureCodec.load(bundle.read(bundle.split(cut).tables))


def encoded(bundle: Bundle, cut: str, colour: str = "red", seed: int = 0) -> bytes:
    """A good payload for a cut."""
    features = PrefixModel(bundle, bundle.split(cut).prefix).features([frame(colour, seed)])[0]
    return codec(bundle, cut).encode(features, 90)


def ask(model: str, data: bytes) -> Request:
    """A request with features for a model."""
    return Request("split", 1, (Payload("features", data),), model)


def refusal(backend: Backend, data: bytes) -> str:
    """The codec's line about bad bytes, empty when they were answered."""
    try:
        reply = backend.answer(ask("net.early", data))
    except PayloadError as error:
        return str(error)
    assert np.isfinite(reply.probabilities).all()
    return ""


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("cut", ["early", "late"])
def test_both_halves_make_the_network(split_bundle, client, cut, colour):
    """Prefix, payload and suffix together tell what the whole network tells."""
    system = Split(
        PrefixModel(split_bundle, f"net.{cut}"), codec(split_bundle, cut), split_bundle.split(cut).suffix, quality=95
    )
    answer = drive(system.infer(frame(colour)), lambda request, _: client.call(request, 10))

    assert split_bundle.classes[answer.label] == colour
    assert answer.timings_ms["server_compute"] > 0


def test_frames_together_get_the_answers_they_get_alone(client, split_bundle):
    """32 frames in one request are answered like 32 requests, row by row."""
    payloads = [Payload("features", encoded(split_bundle, "early", list(COLOURS)[i % 3], seed=i)) for i in range(32)]
    together = client.call(Request("split", 1, tuple(payloads), "net.early"), 10)
    alone = [client.call(Request("split", 1, (payload,), "net.early"), 10) for payload in payloads]

    assert together.probabilities.shape == (32, 3)
    assert np.array_equal(np.concatenate([reply.probabilities for reply in alone]), together.probabilities)


def test_the_server_says_what_it_takes(client):
    """All three kinds of payloads are in its description."""
    description = client.describe()

    assert description.models == ("net", "net.early", "net.late")
    assert description.payload_kinds == ("image", "patches", "features")


def test_features_for_a_whole_network(client, split_bundle):
    """A model that takes pictures says so."""
    with pytest.raises(ServerRefused, match="features: model 'net' takes image, patches"):
        client.call(ask("net", encoded(split_bundle, "early")), 10)


def test_a_picture_for_a_suffix(client):
    """A model that takes features says so."""
    with pytest.raises(ServerRefused, match=r"image: model 'net\.late' takes features"):
        client.call(Request("split", 1, (Payload("image", b"\xff\xd8"),), "net.late"), 10)


def test_features_of_another_cut(client, split_bundle):
    """A map of another shape is refused by the codec's own line."""
    with pytest.raises(ServerRefused, match="INVALID_ARGUMENT: features: "):
        client.call(ask("net.late", encoded(split_bundle, "early")), 10)


def test_hostile_bytes_are_refused_or_answered(backend, split_bundle):
    """Cut, lengthened and flipped payloads either raise PayloadError or decode to something; nothing else happens."""
    good = encoded(split_bundle, "early")
    seeded = np.random.default_rng(0)
    tries = [b"", b"\0" * len(good), b"\xff" * 100, good[:-1], good[: len(good) // 2], good + b"\0"]
    for _ in range(100):
        flipped = bytearray(good)
        for place in seeded.integers(0, len(good), 3):
            flipped[place] ^= 1 << seeded.integers(0, 8)
        tries.append(bytes(flipped))
    said = [refusal(backend, data) for data in tries]

    assert all(said[:6])
    assert all(line.startswith("features: ") for line in said if line)
    assert backend.answer(ask("net.early", good)).model == "net.early"


def test_requests_for_one_suffix_share_runs(split_bundle):
    """Requests that come while the model is busy are answered together, each with its own answer."""
    backend = Backend.open(split_bundle)
    predictor = backend._lines["net.early"]._predictor
    runs, began, hold, compute = [], threading.Event(), threading.Event(), predictor.run

    def held(inputs):
        runs.append(len(inputs))
        began.set()
        hold.wait(10)
        return compute(inputs)

    predictor.run = held
    replies = {}

    def answer(colour):
        replies[colour] = backend.answer(ask("net.early", encoded(split_bundle, "early", colour)))

    threads = [threading.Thread(target=answer, args=(colour,)) for colour in COLOURS]
    threads[0].start()
    began.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(backend._lines["net.early"]._waiting) < 2:
        time.sleep(0.001)
    with pytest.raises(PayloadError):
        backend.answer(ask("net.early", b"no features"))
    hold.set()
    for thread in threads:
        thread.join()

    assert runs == [1, 2]
    for colour, reply in replies.items():
        assert split_bundle.classes[reply.probabilities.argmax()] == colour


def test_a_message_larger_than_any_payload(client):
    """Nothing larger than 32 raw frames, or as many of the largest map as float16, is read."""
    largest = max(2 * 3 * 16 * 16, 3 * 64 * 64)
    with pytest.raises(ServerRefused, match="larger than max"):
        client.call(ask("net.early", bytes(32 * (largest + (1 << 12)))), 10)
