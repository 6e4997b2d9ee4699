"""One photo through every plan, beside what a server answers."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from edge_runtime import kernels
from edge_runtime.codecs import patches, requested, samples
from edge_runtime.control.rounds import Setting
from edge_runtime.messages import Payload, Request, SecondRound
from exporters.calibration.rounds_axes import Axes
from exporters.calibration.rounds_passes import FULL_EVERY, WEIGHTS, Passes, RoundPasses, probed
from server_ref.backend import Backend
from server_ref.least_time import LeastTime

GRID = (4, 4)
NUMBER = 2 * FULL_EVERY
AXES = Axes((Setting("webp", 20), Setting("raw", 100)), first=(5, 14, 16), second=(0, 2, 3))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A frame of noise, a little redder on the left."""
    noise = np.random.default_rng(5).integers(0, 150, (64, 64, 3), np.uint8)
    noise[:, :32, 0] += 100
    return noise


@pytest.fixture(scope="module")
def photo(pixels) -> bytes:
    """The frame as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def measure(rounds_bundle, photo):
    """Measures the photo under a number."""
    passes = RoundPasses(rounds_bundle, rounds_bundle.manifest.rounds, AXES)
    return lambda number: passes.measure(number, photo)


@pytest.fixture(scope="module")
def found(measure) -> Passes:
    """Of a photo whose full second rounds are those of the first setting."""
    return measure(NUMBER)


def first_payload(pixels, count: int, setting: Setting) -> Payload:
    """What a device sends in a first round."""
    chosen = kernels.gather(pixels, kernels.sample("jittered-grid", GRID, count, NUMBER), 16)
    return Payload("samples", samples.encode(chosen, GRID, "jittered-grid", NUMBER, setting.codec, setting.quality))


def softmax(logits) -> np.ndarray:
    """Probabilities."""
    return kernels.softmax(logits.astype(np.float32))


@pytest.mark.parametrize("s", [0, 1])
@pytest.mark.parametrize("f", [0, 1, 2])
def test_first_rounds_are_the_servers(rounds_bundle, pixels, found, s, f):
    """The same payload gets the same answer there."""
    payload = first_payload(pixels, AXES.first[f], AXES.settings[s])
    reply = Backend.open(rounds_bundle).answer(Request("amot", 7, (payload,)))

    assert np.array_equal(softmax(found.logits[s, f, 0]), reply.probabilities[0])
    assert found.first_bytes[s, f] == len(payload.data)
    assert found.first_ms[s, f] > 0


@pytest.mark.parametrize("s", [0, 1])
@pytest.mark.parametrize(("f", "k"), [(0, 1), (0, 2), (1, 1)])
def test_light_second_rounds_are_the_servers(rounds_bundle, pixels, found, s, f, k):
    """They bring what the server asks for, and get its answer."""
    setting, backend = AXES.settings[s], Backend.open(rounds_bundle)
    payload = first_payload(pixels, AXES.first[f], setting)
    ask = backend.answer(Request("amot", 7, (payload,), second=SecondRound(AXES.second[k], 1.0))).ask
    data = requested.encode(ask.session, kernels.gather(pixels, ask.indices, 16), setting.codec, setting.quality)
    backend._lines["classify"]._predictor._full_pass = LeastTime(1e9)
    reply = backend.answer(Request("amot", 7, (Payload("requested", data),)), time.monotonic() + 20)

    assert np.array_equal(softmax(found.logits[s, f, k]), reply.probabilities[0])
    assert found.second_bytes[s, f, k] == len(data)
    assert found.update_ms[s, f, k] > 0


def test_full_second_rounds_take_turns(measure):
    """One photo of four has them, with one setting after the other."""
    places = {number: np.argwhere(~np.isnan(measure(number).full[..., 0])).tolist() for number in (0, 1, 4, 8)}

    assert places[0] == places[8] == [[0, 0, 1], [0, 0, 2], [0, 1, 1]]
    assert places[1] == []
    assert places[4] == [[1, 0, 1], [1, 0, 2], [1, 1, 1]]


def test_full_second_rounds_are_the_servers(measure, pixels, rounds_bundle):
    """They are what all patches at once get, here where packing loses nothing."""
    found = measure(FULL_EVERY)
    backend, sampled = Backend.open(rounds_bundle), kernels.sample("jittered-grid", GRID, 5, FULL_EVERY)
    chosen = kernels.gather(pixels, sampled, 16)
    payload = Payload("samples", samples.encode(chosen, GRID, "jittered-grid", FULL_EVERY, "raw"))
    ask = backend.answer(Request("amot", 7, (payload,), second=SecondRound(3, 1.0))).ask
    every = np.union1d(sampled, ask.indices)
    at_once = Payload("patches", patches.encode(kernels.gather(pixels, every, 16), every, GRID, "raw"))
    expected = backend.answer(Request("amot", 7, (at_once,))).probabilities[0]

    assert np.array_equal(softmax(found.full[1, 0, 2]), expected)
    assert found.full_ms[1, 0, 2] > 0


def test_no_second_round_of_patches_that_are_not_there(found):
    """After 14 of 16 there are two, after all of them none."""
    assert np.isnan(found.logits[..., 0]).tolist() == [[[False] * 3, [False, False, True], [False, True, True]]] * 2
    assert (found.second_bytes[:, :, 0] == 0).all()


def test_weights_of_uncertainty_where_no_patch_is_left(found):
    """They are not tried."""
    assert probed(AXES) == (1, 2, 2)
    assert np.isnan(found.weighted).all()
    assert found.weighted.shape == (len(WEIGHTS), 3)


def test_weights_of_uncertainty(rounds_bundle, photo):
    """With none the answer is that of the bundle, whose weight is 0; others ask for other patches."""
    axes = AXES._replace(first=(5,))
    found = RoundPasses(rounds_bundle, rounds_bundle.manifest.rounds, axes).measure(0, photo)

    assert np.array_equal(found.weighted[0], found.logits[1, 0, 2])
    assert not np.array_equal(found.weighted[-1], found.weighted[0])
