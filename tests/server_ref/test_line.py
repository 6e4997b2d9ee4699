"""Tests of server_ref.line: who shares a run with whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from edge_runtime.errors import ModelError, PayloadError
from edge_runtime.messages import Payload
from server_ref.line import Line, TooLate

FAR = float("inf")


class Scripted:
    """Answers byte b with logits [0, b]; `hold` keeps runs from ending while cleared, ``runs`` lists their requests."""

    kinds = ("features",)
    max_bytes = 1
    batches = True

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.hold = threading.Event()

    def decode(self, payload):
        """The byte; 0 does not decode."""
        if payload.data == b"\0":
            raise PayloadError("features: zero")
        return {"byte": np.frombuffer(payload.data, np.uint8)}

    def logits(self, inputs):
        """One row a request; byte 13 fails the whole run, byte 255 gives NaN in its own row."""
        bytes_ = [int(one["byte"][0]) for one in inputs]
        self.runs.append(bytes_)
        self.hold.wait(10)
        if 13 in bytes_:
            raise ModelError("unlucky")
        return np.array([[0, np.nan if byte == 255 else byte] for byte in bytes_], np.float32)


@pytest.fixture
def scripted() -> Scripted:
    """The predictor, held."""
    return Scripted()


@pytest.fixture
def line(scripted: Scripted) -> Line:
    """A line whose runs take four at most."""
    return Line("suffix", scripted, 4)


@pytest.fixture
def ask(line: Line, scripted: Scripted):
    """Asks in a thread of its own, and returns once the request waits or is run."""
    with ThreadPoolExecutor(16) as pool:

        def once(byte: int, deadline_s: float = FAR) -> Future:
            before = len(line._waiting) + sum(len(run) for run in scripted.runs)
            asked = pool.submit(line.answer, Payload("features", bytes([byte])), deadline_s)
            settle(lambda: asked.done() or len(line._waiting) + sum(len(run) for run in scripted.runs) > before)
            return asked

        yield once
        scripted.hold.set()


def settle(there: Callable[[], bool]) -> None:
    """Wait for a state that another thread brings about."""
    end = time.monotonic() + 10
    while not there():
        assert time.monotonic() < end
        time.sleep(0.001)


def best(asked: Future) -> float:
    """The byte that a reply answers: its log-odds."""
    probabilities = asked.result(10).probabilities
    return round(float(np.log(probabilities[1] / probabilities[0])))


def test_those_that_wait_share_a_run(ask, scripted):
    """Requests that came during a run are answered together after it, each with its own answer."""
    asked = [ask(byte) for byte in (1, 2, 3)]
    scripted.hold.set()

    assert [best(one) for one in asked] == [1, 2, 3]
    assert scripted.runs == [[1], [2, 3]]


def test_nobody_waits_for_company(ask, scripted):
    """A request that finds the model free is run alone at once."""
    scripted.hold.set()

    assert [best(ask(byte)) for byte in (1, 2)] == [1, 2]
    assert scripted.runs == [[1], [2]]


def test_a_run_takes_the_oldest_up_to_the_most(ask, scripted):
    """Six that wait behind one become a run of four and one of two, in order of arrival."""
    asked = [ask(byte) for byte in range(1, 8)]
    scripted.hold.set()

    assert [best(one) for one in asked] == list(range(1, 8))
    assert scripted.runs == [[1], [2, 3, 4, 5], [6, 7]]


def test_bytes_that_do_not_decode_never_wait(ask, scripted):
    """A bad payload among good ones is refused by itself; the others share their run."""
    first, good, bad, other = ask(1), ask(2), ask(0), ask(3)
    with pytest.raises(PayloadError, match="features: zero"):
        bad.result(10)
    scripted.hold.set()

    assert [best(one) for one in (first, good, other)] == [1, 2, 3]
    assert scripted.runs == [[1], [2, 3]]


def test_one_row_that_is_no_answer_fails_alone(ask, scripted):
    """NaN in one request's logits is that request's error."""
    _, good, nan = ask(1), ask(2), ask(255)
    scripted.hold.set()

    assert best(good) == 2
    with pytest.raises(ModelError, match="no answer"):
        nan.result(10)


def test_a_run_that_fails_ends(ask, scripted):
    """Everybody in it is told, and the line goes on."""
    ask(1)
    unlucky = [ask(13), ask(2)]
    scripted.hold.set()
    for one in unlucky:
        with pytest.raises(ModelError, match="unlucky"):
            one.result(10)

    assert best(ask(3)) == 3


def test_a_late_request_leaves_the_line(ask, scripted):
    """Its time over, it is not computed; those around it are."""
    ask(1)
    late, good = ask(2, time.monotonic() + 0.05), ask(3)
    with pytest.raises(TooLate, match="passed while waiting for suffix"):
        late.result(10)
    scripted.hold.set()

    assert best(good) == 3
    assert scripted.runs == [[1], [3]]


def test_company_makes_nobody_late(ask, line, scripted):
    """Who has time for a run alone, but not for one of two, is run alone."""
    line._needed_s[2] = 30.0  # as if runs of two had taken longer
    asked = [ask(1), ask(2, time.monotonic() + 20), ask(3)]
    scripted.hold.set()

    assert [best(one) for one in asked] == [1, 2, 3]
    assert scripted.runs == [[1], [2], [3]]


def test_a_payload_of_another_kind(line):
    """The model's own kinds are named."""
    with pytest.raises(PayloadError, match="image: model 'suffix' takes features"):
        line.answer(Payload("image", b""), FAR)
