"""Runs over changing links: whole photos to a real server, and every way in which a photo can end."""

from __future__ import annotations

import math
import time
from pathlib import Path

import link_runs as runs
import link_traces as traces
import pytest

from edge_runtime.errors import LinkLost, Unmeetable
from edge_runtime.evaluation.link import serving
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle
from edge_runtime.scheduling.traces import Trace
from edge_runtime.systems.remote import Remote

# Generous, since the machine may be busy.
DEADLINE_S = 2.0


@pytest.fixture(scope="module")
def shown(rounds_bundle: Bundle, colour_photos: Path) -> object:
    """Three photos."""
    return runs.Shown(rounds_bundle, labelled_photos(colour_photos, rounds_bundle.manifest, limit=3))


@pytest.fixture(scope="module")
def link(rounds_bundle: Bundle) -> object:
    """A connection to a real server."""
    with (
        serving(rounds_bundle.folder) as address,
        runs.connected(rounds_bundle, address, LinkTrace(Trace.constant(traces.FASTEST), 0.0)) as found,
    ):
        yield found


def test_photos_are_shown_again(shown):
    """After the last comes the first, under a number of its own."""
    assert (shown.frame(4, math.inf).pixels == shown.frame(1, math.inf).pixels).all()
    assert (shown.frame(2, math.inf).pixels != shown.frame(1, math.inf).pixels).any()
    assert (shown.frame(4, 7.0).id, shown.frame(4, 7.0).deadline_s) == (4, 7.0)


def test_everybody_begins_once():
    """Each policy runs in each cell, and another one first each time."""
    raced = [traces.Cell(str(place), LinkTrace(Trace.constant(1e6), 0.0), 0.1, 1) for place in range(3)]
    begun = []
    found = list(runs.race(raced, ["a", "b", "c"], lambda name, cell: begun.append(name + cell.name) or cell.name))
    assert begun == ["a0", "b0", "c0", "b1", "c1", "a1", "c2", "a2", "b2"]
    assert [(cell.name, sorted(each)) for cell, each in found] == [(name, ["a", "b", "c"]) for name in "012"]


def test_a_run_answers_every_photo(shown, link):
    """In a run of whole photos each answer is counted in bytes, and what was warmed up with is not."""
    policy = runs.Policy(Remote("webp", 20).infer, link.call, lambda: "whole", lambda started_s: [(1, started_s)])
    cell = traces.Cell("fast", LinkTrace(Trace([(0.0, traces.FASTEST)]), 0.0), 0.6, 3)
    began_s = time.monotonic()
    found = runs.ask_all(policy, shown, cell, link)
    assert len(found.asked) == 3
    answered = [one for one in found.asked if one.fate == "answered"]
    assert answered
    assert all(one.plan == "whole" and one.rounds == 1 for one in answered)
    assert sum(one.payload_bytes for one in answered) < found.wire_bytes
    ((_, started_s),) = found.late
    assert began_s < started_s < time.monotonic()


def test_answers_are_right_or_wrong(shown, link):
    """By the label of the photo that was shown."""
    policy = runs.Policy(Remote("webp", 90).infer, link.call)
    asked = [runs.ask(policy, shown, number, time.monotonic() + DEADLINE_S, link) for number in range(3)]
    assert [one.fate for one in asked] == ["answered"] * 3
    answer = None

    def kept(frame):
        nonlocal answer
        answer = yield from Remote("webp", 90).infer(frame)
        return answer

    again = runs.ask(runs.Policy(kept, link.call), shown, 1, time.monotonic() + DEADLINE_S, link)
    assert again.is_right == shown.is_right(1, answer) == asked[1].is_right
    assert again.plan is None


def test_who_has_no_plan_asks_nobody(shown, link):
    """The photo is rejected, with no plan and no bytes."""

    def refused(frame):
        raise Unmeetable("no plan meets the deadline")
        yield frame

    found = runs.ask(runs.Policy(refused, link.call), shown, 0, time.monotonic() + DEADLINE_S, link)
    assert (found.fate, found.payload_bytes, found.plan) == ("rejected", 0, None)


def test_a_reply_that_never_comes(shown, link):
    """The photo is lost."""

    def silent(request, timeout_s):
        raise LinkLost(f"no reply to {request.frame_id} within {timeout_s} s")

    found = runs.ask(runs.Policy(Remote().infer, silent), shown, 0, time.monotonic() + DEADLINE_S, link)
    assert found.fate == "lost"
