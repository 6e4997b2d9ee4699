"""Tests of server_ref.line: who shares a run with whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from edge_runtime.errors import ModelError, PayloadError
from edge_runtime.messages import Payload, Request
from server_ref.least_time import LeastTime
from server_ref.line import Line, TooLate
from server_ref.predictor import Outcome

FAR = float("inf")


class Scripted:
    """Answers byte b with logits [0, b]; `hold` keeps runs from ending while cleared, ``runs`` lists their frames."""

    kinds = ("features", "requested")
    max_bytes = 1
    batches = True

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.hold = threading.Event()
        self.taken_s = 0.0
        self.together_s = 0.0

    def decode(self, request, deadline_s):  # noqa: ARG002 - of `Predictor`
        """The bytes; 0 does not decode."""
        bytes_ = [payload.data[0] for payload in request.payloads]
        if 0 in bytes_:
            raise PayloadError("features: zero")
        return bytes_

    def run(self, bytes_):
        """One row a request; byte 13 fails the whole run, byte 255 gives NaN in its own row."""
        self.runs.append(bytes_)
        self.hold.wait(10)
        self.taken_s += 0.002 if len(bytes_) == 1 else self.together_s
        if 13 in bytes_:
            raise ModelError("unlucky")
        return [Outcome(np.array([0, np.nan if byte == 255 else byte], np.float32)) for byte in bytes_]


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

        def seen() -> int:
            return sum(len(ticket.inputs) for ticket in line._waiting) + sum(len(run) for run in scripted.runs)

        def once(*frames: int, deadline_s: float = FAR) -> Future:
            before = seen()
            asked = pool.submit(line.answer, split_request(*frames), deadline_s)
            settle(lambda: asked.done() or seen() > before)
            return asked

        yield once
        scripted.hold.set()


def split_request(*frames: int) -> Request:
    """A byte a frame."""
    return Request("split", 1, tuple(Payload("features", bytes([byte])) for byte in frames))


def settle(there: Callable[[], bool]) -> None:
    """Wait for a state that another thread brings about."""
    end = time.monotonic() + 10
    while not there():
        assert time.monotonic() < end
        time.sleep(0.001)


def all_best(asked: Future) -> list[int]:
    """The bytes that a reply answers, one a frame: their log-odds."""
    probabilities = asked.result(10).probabilities
    return np.log(probabilities[:, 1] / probabilities[:, 0]).round().astype(int).tolist()


def best(asked: Future) -> int:
    """The byte that a reply for one frame answers."""
    (byte,) = all_best(asked)
    return byte


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
    late, good = ask(2, deadline_s=time.monotonic() + 0.05), ask(3)
    with pytest.raises(TooLate, match="passed while waiting for suffix"):
        late.result(10)
    scripted.hold.set()

    assert best(good) == 3
    assert scripted.runs == [[1], [3]]


def test_sharing_that_proved_slower_is_given_up(ask, scripted, monkeypatch):
    """Where two frames take longer together than one after the other, those that wait are run apart after a while."""
    clock = SimpleNamespace(perf_counter=lambda: scripted.taken_s, monotonic=time.monotonic)
    monkeypatch.setattr("server_ref.line.time", clock)
    scripted.together_s = 0.02
    runs = []
    for _ in range(24):
        scripted.runs.clear()
        scripted.hold.clear()
        asked = [ask(byte) for byte in (1, 2, 3)]
        scripted.hold.set()
        assert [best(one) for one in asked] == [1, 2, 3]
        runs.append(list(scripted.runs))
    assert runs[0] == [[1], [2, 3]]
    assert runs[-8:] == [[[1], [2], [3]]] * 8


def test_company_makes_nobody_late(ask, line, scripted):
    """Who has time for a run alone, but not for one of two, is run alone."""
    line._needed["features", 2] = LeastTime(30.0)  # as if runs of two had taken longer
    asked = [ask(1), ask(2, deadline_s=time.monotonic() + 20), ask(3)]
    scripted.hold.set()

    assert [best(one) for one in asked] == [1, 2, 3]
    assert scripted.runs == [[1], [2], [3]]


def test_frames_of_a_request_stay_together(ask, scripted):
    """A run takes whole requests as long as their frames stay within the most; each gets its own rows, in order."""
    asked = [ask(1), ask(2, 3), ask(4, 5), ask(6), ask(7)]
    scripted.hold.set()

    assert [all_best(one) for one in asked] == [[1], [2, 3], [4, 5], [6], [7]]
    assert scripted.runs == [[1], [2, 3, 4, 5], [6, 7]]


def test_a_request_larger_than_the_most_is_run_alone(ask, scripted):
    """Six frames of one request are one run, and nobody joins it."""
    asked = [ask(1), ask(2), ask(3, 4, 5, 6, 7, 8), ask(9)]
    scripted.hold.set()

    assert [all_best(one) for one in asked] == [[1], [2], [3, 4, 5, 6, 7, 8], [9]]
    assert scripted.runs == [[1], [2], [3, 4, 5, 6, 7, 8], [9]]


def test_what_runs_need_is_known_by_their_frames(ask, line, scripted):
    """A request for two frames is refused for what runs of two need, not for what runs of one do."""
    line._needed["features", 2] = LeastTime(30.0)  # as if runs of two had taken longer
    scripted.hold.set()
    with pytest.raises(TooLate, match="needs at least 30000 ms"):
        ask(1, 2, deadline_s=time.monotonic() + 20).result(10)

    assert best(ask(3, deadline_s=time.monotonic() + 20)) == 3


def test_what_runs_need_is_known_by_their_payloads(ask, line, scripted):
    """A second round is not refused for what first rounds need."""
    line._needed["requested", 1] = LeastTime(30.0)  # as if second rounds had taken longer
    scripted.hold.set()
    with pytest.raises(TooLate, match="needs at least 30000 ms"):
        line.answer(Request("amot", 1, (Payload("requested", b"\1"),)), time.monotonic() + 20)

    assert best(ask(3, deadline_s=time.monotonic() + 20)) == 3


def test_one_bad_frame_refuses_its_request(ask, scripted):
    """A payload among several that does not decode, or has no answer, is the whole request's error."""
    scripted.hold.set()
    with pytest.raises(PayloadError, match="features: zero"):
        ask(1, 0).result(10)
    with pytest.raises(ModelError, match="no answer"):
        ask(1, 255).result(10)

    assert scripted.runs == [[1, 255]]


def test_a_model_that_takes_one_frame_at_a_time(scripted):
    """It answers the frames of a request one after another."""
    scripted.batches = False
    scripted.hold.set()
    reply = Line("suffix", scripted, 4).answer(split_request(1, 2, 3), FAR)

    assert reply.probabilities.shape == (3, 2)
    assert scripted.runs == [[1], [2], [3]]


def test_a_model_that_loses_rows(scripted):
    """Fewer rows than frames are the model's fault, not answers for somebody else."""
    scripted.hold.set()
    scripted.run = lambda inputs: [Outcome(np.zeros(2, np.float32))] * (len(inputs) - 1)
    with pytest.raises(ModelError, match="suffix: 1 rows of logits for 2 frames"):
        Line("suffix", scripted, 4).answer(split_request(1, 1), FAR)


def test_a_payload_of_another_kind(line):
    """The model's own kinds are named."""
    with pytest.raises(PayloadError, match="image: model 'suffix' takes features, requested"):
        line.answer(Request("remote", 1, (Payload("image", b""),)), FAR)
