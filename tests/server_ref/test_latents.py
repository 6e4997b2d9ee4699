"""Latents at a real server: both families over a real link, and bytes that are no latent."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.errors import BundleError, PayloadError, ServerRefused
from edge_runtime.messages import Frame, Payload, Request
from edge_runtime.models import Bundle
from edge_runtime.systems.encoders import Encoders
from edge_runtime.transport import Client
from server_ref.backend import Backend
from server_ref.predictors import open_predictor
from server_ref.server import Server
from server_ref.sessions import Sessions


@pytest.fixture(scope="module")
def backend(latent_bundle: Bundle) -> Backend:
    """The tiny families' server models."""
    return Backend.open(latent_bundle)


@pytest.fixture
def client(backend: Backend, latent_bundle: Bundle) -> Iterator[Client]:
    """A client of a real server."""
    with Server(backend) as server, Client(server.address, latent_bundle.hash) as connected:
        yield connected


def encoded(bundle: Bundle, family: str = "ensemble", number: int = 4, levels: int = 16, seed: int = 0) -> bytes:
    """A good payload: noise, a third of the frames each red, green and blue."""
    pixels = np.random.default_rng(seed).integers(0, 120, (32, 32, 3), np.uint8)
    pixels[..., seed % 3] += 100
    spec = bundle.latent(family)
    latent = Encoders(bundle, spec).latent(Frame(seed, pixels), number)
    return LatentCodec.load(bundle.read(spec.tables)).encode(latent, number, levels)


def ask(model: str, *data: bytes) -> Request:
    """A request with latents for a model."""
    return Request("slimmable", 1, tuple(Payload("latent", one) for one in data), model)


def refusal(backend: Backend, data: bytes) -> str:
    """The codec's line about bad bytes, empty when they were answered."""
    try:
        reply = backend.answer(ask("ensemble-decoder", data))
    except PayloadError as error:
        return str(error)
    assert np.isfinite(reply.probabilities).all()
    return ""


@pytest.mark.parametrize("family", ["ensemble", "widths"])
def test_each_family_has_its_decoder(client, latent_bundle, family):
    """Which tells colours apart."""
    for seed in range(3):
        reply = client.call(ask(f"{family}-decoder", encoded(latent_bundle, family, seed=seed)), 10)
        assert (reply.model, reply.probabilities.argmax()) == (f"{family}-decoder", seed)


def test_one_decoder_takes_every_mode_together(client, latent_bundle):
    """Frames in different modes in one request are answered like requests of their own."""
    made = [encoded(latent_bundle, number=n, levels=levels, seed=n) for n in (1, 2, 3, 4) for levels in (2, 3, 16)]
    together = client.call(ask("ensemble-decoder", *made), 10)
    alone = [client.call(ask("ensemble-decoder", one), 10).probabilities[0] for one in made]
    np.testing.assert_array_equal(together.probabilities, alone)


def test_the_server_says_what_it_takes(client):
    """Pictures for the whole network, latents for the decoders."""
    description = client.describe()
    assert description.models == ("net", "ensemble-decoder", "widths-decoder")
    assert description.payload_kinds == ("image", "patches", "latent")


def test_kinds_are_not_mixed_up(client, latent_bundle):
    """Neither model takes what the other does."""
    with pytest.raises(ServerRefused, match="latent: model 'net' takes image, patches"):
        client.call(ask("net", encoded(latent_bundle)), 10)
    with pytest.raises(ServerRefused, match="image: model 'widths-decoder' takes latent"):
        client.call(Request("remote", 1, (Payload("image", b"\xff\xd8"),), "widths-decoder"), 10)


def test_a_latent_of_the_other_family(client, latent_bundle):
    """Its tables are other ones: refused by the codec's own line."""
    with pytest.raises(ServerRefused, match="INVALID_ARGUMENT: latent: made with tables"):
        client.call(ask("widths-decoder", encoded(latent_bundle)), 10)


def test_hostile_bytes_are_refused_or_answered(backend, latent_bundle):
    """Cut, lengthened and flipped payloads either raise PayloadError or decode to something; nothing else happens."""
    good = encoded(latent_bundle, levels=6)
    seeded = np.random.default_rng(0)
    tries = [b"", b"\0" * len(good), b"\xff" * 100, good[:-1], good[:7], good + b"\0"]
    for _ in range(100):
        flipped = bytearray(good)
        for place in seeded.integers(0, len(good), 3):
            flipped[place] ^= 1 << seeded.integers(0, 8)
        tries.append(bytes(flipped))
    said = [refusal(backend, data) for data in tries]

    assert all(said[:6])
    assert all(line.startswith("latent: ") for line in said if line)


def test_a_payload_is_never_larger_than_the_server_allows(latent_bundle):
    """What the largest mode packs to is the most, whatever the latent."""
    spec = latent_bundle.latent()
    predictor = open_predictor(latent_bundle, latent_bundle.model("server", spec.decoder), Sessions())
    codec = LatentCodec.load(latent_bundle.read(spec.tables))
    noise = np.random.default_rng(0).normal(0, 3, codec.shape).astype(np.float32)
    sizes = {len(codec.encode(noise, n, levels)) for n in (1, 2, 3, 4) for levels in codec.levels}
    assert max(sizes) <= predictor.max_bytes == codec.packed_bytes(16)
    assert predictor.batches


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latents": ()}, "ensemble-decoder: no family of encoders of this bundle names it as its decoder"),
        ({"shape": (-1, 5, 4, 4)}, r"ensemble-decoder: takes \[5, 4, 4\], its tables are for \[4, 4, 4\]"),
    ],
)
def test_a_decoder_without_its_tables(latent_bundle, change, message):
    """One that nobody names, or of another shape, cannot serve."""
    manifest, replace = latent_bundle.manifest, msgspec.structs.replace
    spec = latent_bundle.model("server", "ensemble-decoder")
    if "shape" in change:
        file = spec.files[0]
        spec = replace(spec, files=(replace(file, inputs=(replace(file.inputs[0], shape=change["shape"]),)),))
    else:
        manifest = replace(manifest, **change)
    with pytest.raises(BundleError, match=message):
        open_predictor(Bundle(latent_bundle.folder, manifest), spec, Sessions())
