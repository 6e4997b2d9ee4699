"""The race of two rounds over changing links: the oracle's arithmetic, tiny models for real, what is made of runs."""

from __future__ import annotations

import json
import math
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import amot_light as light
import amot_oracle as oracle
import amot_picture as picture
import amot_runs as runs
import amot_summary as summary
import amot_traces as race
import link_runs
import link_traces
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.control.round_plans import ROUND_BYTES, RoundPlans
from edge_runtime.control.rounds import Bytes, RoundTables, ServerTimes, Setting, Temperatures
from edge_runtime.errors import SessionForgotten, Unmeetable
from edge_runtime.evaluation.link import serving
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.messages import Frame, Payload, Request
from edge_runtime.models import Bundle
from edge_runtime.photos import open_frame
from edge_runtime.scheduling.traces import Trace
from edge_runtime.systems.amot import Fixed

FIRST, SECOND, BELOW = (2, 4, 8), (0, 2, 4), (0.0, 0.9)
# Generous, since the machine may be busy.
DEADLINE_MS = 600


@pytest.fixture(scope="module")
def tables() -> RoundTables:
    """More patches are worth more; two settings of which the second packs finer."""
    return RoundTables(
        photos=100,
        settings=(Setting("webp", 20), Setting("webp", 60)),
        first=FIRST,
        second=SECOND,
        below=BELOW,
        temperatures=Temperatures((16,), (1.0,)),
        accuracy=tuple(
            tuple(
                tuple(tuple(0.4 + 0.03 * (first + second * below) + 0.1 * fine for below in BELOW) for second in SECOND)
                for first in FIRST
            )
            for fine in (0, 1)
        ),
        asked=(((0.0, 0.5),) * 3,) * 2,
        first_bytes=tuple(tuple(Bytes(size * first, 1.2 * size * first) for first in FIRST) for size in (60, 120)),
        second_bytes=tuple(tuple(Bytes(size * second, 1.2 * size * second) for second in SECOND) for size in (60, 120)),
        server_ms=ServerTimes((2.0, 3.0, 4.0), (0.0, 1.0, 1.5)),
    )


@pytest.fixture(scope="module")
def subject(rounds_bundle: Bundle, colour_photos: Path, tables: RoundTables) -> object:
    """The tiny models, served."""
    photos = labelled_photos(colour_photos, rounds_bundle.manifest, limit=6)
    with serving(rounds_bundle.folder) as address:
        yield runs.Subject(rounds_bundle, tables, photos, address)


@pytest.fixture(scope="module")
def raced(subject: object) -> tuple[object, dict[str, object], list[tuple[bool, float]]]:
    """One cell of two photos with every policy, and how late rounds were before."""
    late = runs.measure(subject)
    (cell,) = link_traces.cells({"steady": Trace.constant(link_traces.FASTEST)}, [DEADLINE_MS], seconds=1.2)
    run = partial(runs.run, subject=subject, late_s=oracle.typical(late, runs.CAREFUL))
    ((_, found),) = link_runs.race([cell], list(runs.POLICIES), run)
    return cell, found, late


class TestOracle:
    """What it foresees."""

    @settings(max_examples=60, deadline=None)
    @given(
        rates=st.lists(st.floats(5e4, 3e6), min_size=1, max_size=5),
        start_s=st.floats(0, 5),
        left_s=st.floats(0.01, 0.4),
        late_s=st.tuples(st.floats(0, 0.02), st.floats(0, 0.02)),
        weights=st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)),
    )
    def test_takes_the_most_accurate_plan_that_is_in_time(self, tables, rates, start_s, left_s, late_s, weights):
        """Plan by plan in plain Python, each round at the rate of the moment in which it is sent."""
        bandwidth = Trace([(float(at_s), rate) for at_s, rate in enumerate(rates)])
        known = oracle.Oracle(RoundPlans(tables, None, 0.0), LinkTrace(bandwidth, 0.02), late_s)

        def round_s(at_s: float, size: float, server_ms: float, late_s: float) -> float:
            return (size + ROUND_BYTES) / bandwidth.at(at_s) + 0.02 + server_ms / 1e3 + late_s

        best = None
        for setting, first, second, below in product(range(2), range(3), range(3), range(2)):
            if bool(second) != bool(below):
                continue
            size = tables.first_bytes[setting][first].mean * weights[setting]
            taken_s = round_s(start_s, size, tables.server_ms.first[first], late_s[0])
            if second:
                size = tables.second_bytes[setting][second].mean * weights[setting]
                taken_s += round_s(start_s + taken_s, size, tables.server_ms.update[second], late_s[1])
            accuracy = tables.accuracy[setting][first][second][below]
            if taken_s <= left_s:
                best = accuracy if best is None else max(best, accuracy)

        place = known.best(start_s, left_s, np.array(weights))
        assert (place is None) == (best is None)
        if place is not None:
            plan = known.plan(place)
            found = tables.accuracy[tables.settings.index(Setting(plan.codec, plan.quality))][FIRST.index(plan.first)][
                SECOND.index(plan.second)
            ][BELOW.index(plan.below)]
            assert found == pytest.approx(best)

    @given(st.floats(5e4, 3e6), st.floats(5e4, 3e6), st.floats(0.01, 0.4))
    def test_a_faster_link_never_costs_accuracy(self, tables, one, other, left_s):
        """Nor does it make a photo unmeetable."""
        accuracies = []
        for rate in sorted((one, other)):
            plans = RoundPlans(tables, None, 0.0)
            place = oracle.Oracle(plans, LinkTrace(Trace.constant(rate), 0.02), (0.0, 0.0)).best(0, left_s, np.ones(2))
            accuracies.append(0.0 if place is None else plans.columns.accuracy[place])
        assert accuracies[0] <= accuracies[1]

    def test_lateness_is_what_link_and_tables_do_not_explain(self, tables):
        """Rounds made of a crossing, a round trip, the server's time and something more: that comes out again."""
        plan = Fixed("webp", 20, first=4, second=2, below=0.9)
        link = LinkTrace(Trace([(0.0, 1e6), (1.0, 1e5)]), 0.02)
        rounds = [
            oracle.Round(plan, second, 690, since_s=at_s - 0.001, sent_s=at_s, replied_s=at_s + taken_s)
            for second, at_s, taken_s in (
                (False, 10.5, 0.001 + 0.02 + 0.003 + 0.004),
                (True, 11.5, 0.01 + 0.02 + 0.001 + 0.006),
            )
        ]
        found = oracle.lateness(rounds, RoundPlans(tables, None, 0.0), link, started_s=10.0)
        assert found == [(False, pytest.approx(0.005)), (True, pytest.approx(0.007))]
        assert oracle.typical(found) == (pytest.approx(0.005), pytest.approx(0.007))
        assert oracle.typical(found[:1]) == (pytest.approx(0.005), pytest.approx(0.005))

    def test_photos_weigh_what_they_pack_to(self, rounds_bundle, tables):
        """Noise packs to more bytes than a flat frame, in both settings."""
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        flat = np.full((64, 64, 3), 90, np.uint8)
        found = [
            oracle.weights(Frame(3, pixels), rounds_bundle.frame, "jittered-grid", tables) for pixels in (flat, noise)
        ]
        assert found[0].shape == (2,)
        assert (found[0] < found[1]).all()
        assert oracle.heavy(tables).tolist() == pytest.approx([1.2, 1.2])


class TestRuns:
    """Real models, a real server, the shaper."""

    def test_every_policy_asks_about_every_photo(self, raced):
        """Every photo has one fate; who asks for something gets answers."""
        cell, found, _ = raced
        assert found.keys() == runs.POLICIES.keys()
        assert all(len(run.asked) == cell.photos == 2 for run in found.values())
        assert all(found[name].wire_bytes > 0 for name in runs.POLICIES if name not in {runs.OURS, runs.ORACLE})
        assert any(one.fate == "answered" for run in found.values() for one in run.asked)

    def test_ours_has_plans_and_late_rounds(self, raced):
        """The planner's, of the tables, and as many rounds as were answered."""
        _, found, late = raced
        ours = found[runs.OURS]
        assert all(one.plan.first in FIRST for one in ours.asked if one.plan)
        assert len(ours.late) >= sum(one.rounds for one in ours.asked)
        assert {is_second for is_second, _ in late} == {False, True}

    def test_a_full_second_look_is_one_of_a_server_that_forgot(self, subject, raced):
        """What it was asked for never leaves the device by itself."""
        setup = runs.Setup(subject, raced[0], SimpleNamespace(call=None), (0.0, 0.0))
        policy = runs.POLICIES["MOT: fixed 25 % + 25 %, full second look"](setup)
        with pytest.raises(SessionForgotten):
            policy.call(Request("amot", 0, (Payload("requested", b""),)), 1.0)

    def test_the_oracle_rejects_what_nobody_could_answer(self, subject):
        """On a link that is too slow for the smallest round."""
        cell = link_traces.Cell("slow", LinkTrace(Trace.constant(100.0), 0.02), 0.2, 2)
        policy = runs.POLICIES[runs.ORACLE](runs.Setup(subject, cell, SimpleNamespace(call=None), (0.0, 0.0)))
        with pytest.raises(Unmeetable):
            next(policy.infer(subject.shown.frame(0, math.inf)))


class TestSummary:
    """What is made of runs."""

    def test_a_cell(self, subject, raced):
        """Counts fit together, and the figures are plain JSON."""
        cell, found, late = raced
        figures = summary.cell_figures(subject, cell, found, late)
        assert json.loads(json.dumps(figures))["photos"] == 2
        for row in figures["policies"].values():
            assert row["meetable_in_time"] <= min(row["in_time"], figures["meetable"])
            assert row["in_time"] + row["lost"] + row["unasked"] + row["rejected"] <= 2
        total = summary.overall([figures, figures])
        assert total["photos"] == 4
        assert total["policies"][runs.OURS]["in_time"] == 2 * figures["policies"][runs.OURS]["in_time"]
        assert "A-MOT" in race.in_words({"overall": total})

    def test_points_are_lost_by_misses_and_by_smaller_plans(self, subject):
        """Of four photos one is answered by the best plan, one by half of it, one too late, one not at all."""
        cell = link_traces.Cell("fast", LinkTrace(Trace.constant(1e9), 0.0), 0.2, 4)
        best = Fixed("webp", 60, first=8, second=4, below=0.9)
        asked = [
            link_runs.Asked("answered", 0.1, is_right=True, rounds=2, plan=best),
            link_runs.Asked("best effort", 0.1, is_right=True, rounds=1, plan=best),
            link_runs.Asked("answered", 0.3, is_right=True, rounds=2, plan=best),
            link_runs.Asked("rejected", 0.0),
        ]
        late = [(False, 0.0), (True, 0.0)]
        ours = link_runs.Run(asked, wire_bytes=400, late=late)
        known = link_runs.Run([link_runs.Asked("answered", 0.1, is_right=True)] * 4, wire_bytes=800, late=[])
        found = summary.cell_figures(subject, cell, dict.fromkeys(runs.POLICIES, known) | {runs.OURS: ours}, late)

        accuracy = 0.4 + 0.03 * (8 + 4 * 0.9) + 0.1
        alone = 0.4 + 0.03 * 8 + 0.1
        assert (found["meetable"], found["oracle_accuracy"]) == (4, pytest.approx(accuracy))
        assert found["points_lost"] == pytest.approx(100 * (3 * accuracy - alone) / 4)
        assert found["points_lost_answered"] == pytest.approx(100 * (accuracy - alone) / 2)
        assert found["points_lost_to_the_link"] == found["points_lost_answered"]
        assert found["points_lost_for_real"][0] == pytest.approx(50)
        row = found["policies"][runs.OURS]
        assert (row["in_time"], row["rejected"], row["second_rounds"], row["wire_bytes"]) == (2, 1, 1, 100)
        assert summary.overall([found])["policies"][runs.OURS]["share_of_meetable"] == 0.5

    def test_a_cell_in_which_nothing_was_answered(self, subject):
        """It has no accuracy, and nothing fails."""
        cell = link_traces.Cell("dead", LinkTrace(Trace.constant(1.0), 0.02), 0.1, 2)
        run = link_runs.Run([link_runs.Asked("lost", 0.1), link_runs.Asked("unasked", 0.0)], wire_bytes=10, late=[])
        found = summary.cell_figures(subject, cell, dict.fromkeys(runs.POLICIES, run), [(False, 0.0)])
        assert (found["meetable"], found["points_lost"]) == (0, None)
        assert summary.overall([found])["policies"][runs.OURS]["share_of_meetable"] is None
        assert race.in_words({"overall": summary.overall([found])})

    def test_a_picture(self, raced, tmp_path):
        """Of our run."""
        pytest.importorskip("matplotlib", reason="pictures come with the extra `report`")
        cell, found, _ = raced
        picture.plot(cell, found[runs.OURS], tmp_path / "run.png")
        assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


class TestLight:
    """What is timed is what it says; times are not tested."""

    def test_looks(self, rounds_bundle):
        """Five numbers of patches after a quarter, a full look and a light one each."""
        pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
        found = light.looks(rounds_bundle, pixels, rounds=1)
        assert [(row["first"], row["second"]) for row in found] == [(4, 1), (4, 2), (4, 3), (4, 4), (4, 8)]
        assert all(row["times"].keys() == {"full look", "light look"} for row in found)

    def test_packing(self, rounds_bundle, colour_photos):
        """Whole photos first, then every pattern with and without packing."""
        photos = labelled_photos(colour_photos, rounds_bundle.manifest, limit=2)
        frames = [open_frame(photo.data, rounds_bundle.frame) for photo in photos]
        found = light.packing(rounds_bundle, frames, rounds=1)
        assert found["photos"] == 2
        assert len(found["times"]) == 7
        assert found["times"]["whole photo, WebP"]["ratio"] == 1
