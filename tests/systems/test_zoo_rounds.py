"""The zoo's bundle of two rounds, with its real networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.rounds import RoundTables
from edge_runtime.control.slo import Slo
from edge_runtime.evaluation.demo import photo_paths
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle
from edge_runtime.photos import open_frame
from edge_runtime.systems.amot import Amot, Fixed
from edge_runtime.systems.driver import drive
from server_ref.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.messages import Reply, Request

pytestmark = pytest.mark.host  # a server's large models, many times


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Both halves."""
    return Bundle.load(Path(__file__).parents[2] / "zoo" / "amot")


@pytest.fixture(scope="module")
def backend(bundle: Bundle) -> Backend:
    """The server, in this process."""
    return Backend.open(bundle)


def test_a_second_round_sees_what_one_round_of_everything_sees(bundle: Bundle, backend: Backend) -> None:
    """All that is missing, asked for: the answer is that of all patches at once, but for the codec."""
    frame = Frame(7, open_frame(photo_paths([])[0], bundle.frame))
    answers = [
        drive(Amot(bundle.frame, "jittered-grid", plan).infer(frame), _call(backend))
        for plan in (Fixed("webp", 90, 49, 147, 1.0), Fixed("webp", 90, 196))
    ]
    assert [answer.rounds for answer in answers] == [2, 1]
    assert [answer.patches_sent for answer in answers] == [196, 196]
    np.testing.assert_allclose(answers[0].probabilities, answers[1].probabilities, atol=0.1)


def test_the_planner_reads_its_tables(bundle: Bundle, backend: Backend) -> None:
    """With a fast link and no hurry the photo is answered as the tables promise plans for."""
    rounds = bundle.manifest.rounds
    assert rounds is not None
    assert rounds.tables is not None
    planner = Slo(RoundTables.load(bundle.read(rounds.tables)), LinkEstimate(2.5e6, 0.02))
    frame = Frame(7, open_frame(photo_paths([])[0], bundle.frame))
    answer = drive(Amot(bundle.frame, rounds.pattern, planner).infer(frame), _call(backend))
    assert answer.decided_by == "server"
    assert planner.plan(10.0).accuracy > 0.95


def _call(backend: Backend) -> Callable[[Request, float], Reply]:
    def call(request: Request, _timeout_s: float) -> Reply:
        return backend.answer(request)

    return call
