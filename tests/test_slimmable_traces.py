"""The race of modes over changing links: the oracle's arithmetic, tiny encoders for real, what is made of runs."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import link_runs
import link_traces
import numpy as np
import pytest
import slimmable_oracle as oracle
import slimmable_picture as picture
import slimmable_runs as runs
import slimmable_summary as summary
import slimmable_traces as race
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.mode_choice import MESSAGE_BYTES
from edge_runtime.control.mode_controller import ModeController
from edge_runtime.control.modes import BITS, LEVELS, ModeFigures, ModeTable
from edge_runtime.control.rounds import Bytes
from edge_runtime.errors import Unmeetable
from edge_runtime.evaluation.link import serving
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.messages import Mode
from edge_runtime.models import Bundle
from edge_runtime.scheduling.traces import Trace
from edge_runtime.systems.driver import RETURN_MARGIN_S
from edge_runtime.systems.family import Family

# Generous, since the machine may be busy.
DEADLINE_MS = 300
ENCODE_S = (0.004, 0.007, 0.010, 0.013)


@pytest.fixture(scope="module")
def table() -> ModeTable:
    """Bits are worth more than encoders, and weigh a thousand bytes each."""
    return ModeTable(
        photos=100,
        teacher_accuracy=0.98,
        server_ms=5.0,
        modes=tuple(
            ModeFigures(number, levels, 0.6 + 0.08 * bits + 0.01 * number, Bytes(1000 * bits, 1200 * bits))
            for number in (1, 2, 3, 4)
            for levels, bits in BITS.items()
        ),
    )


@pytest.fixture(scope="module")
def subject(latent_bundle: Bundle, colour_photos: Path) -> object:
    """The tiny encoders, and their decoder served."""
    family = Family.open(latent_bundle, latent_bundle.latent())
    photos = labelled_photos(colour_photos, latent_bundle.manifest, limit=6)
    with serving(latent_bundle.folder) as address:
        yield runs.Subject(latent_bundle, family, photos, address)


@pytest.fixture(scope="module")
def raced(subject: object) -> tuple[object, dict[str, object], list[tuple[Mode, float]]]:
    """One cell of two photos with every policy, and how late photos were before."""
    late = runs.measure(subject)
    (cell,) = link_traces.cells({"steady": Trace.constant(link_traces.FASTEST)}, [DEADLINE_MS], seconds=0.6)
    run = partial(runs.run, subject=subject, late_s=oracle.typical(late, runs.CAREFUL))
    ((_, found),) = link_runs.race([cell], list(runs.POLICIES), run)
    return cell, found, late


class TestOracle:
    """What it foresees."""

    @settings(max_examples=60, deadline=None)
    @given(
        rates=st.lists(st.floats(5e4, 3e6), min_size=1, max_size=5),
        start_s=st.floats(0, 5),
        left_s=st.floats(0.01, 0.2),
        weight=st.floats(0.5, 2),
    )
    def test_takes_the_most_accurate_mode_that_is_in_time(self, table, rates, start_s, left_s, weight):
        """Mode by mode in plain Python, each payload at the rate of the moment in which it is sent."""
        bandwidth = Trace([(float(at_s), rate) for at_s, rate in enumerate(rates)])
        fitting = []
        for one in table.modes:
            encoded_s = ENCODE_S[one.encoders - 1]
            crossing_s = (weight * one.bytes.mean + MESSAGE_BYTES) / bandwidth.at(start_s + encoded_s)
            if encoded_s + crossing_s + 0.02 + 0.005 <= left_s:
                fitting.append(one.accuracy)

        foreseen = oracle.Foreseen(table, ENCODE_S, LinkTrace(bandwidth, 0.02))
        sizes = np.array([weight * one.bytes.mean for one in table.modes])
        place = oracle.best(table, foreseen.total_s(start_s, sizes), left_s)
        assert (place is None) == (not fitting)
        if place is not None:
            assert table.modes[place].accuracy == max(fitting)

    @given(st.floats(5e4, 3e6), st.floats(5e4, 3e6), st.floats(0.01, 0.2))
    def test_a_faster_link_never_costs_accuracy(self, table, one, other, left_s):
        """Nor does it make a photo unmeetable."""
        sizes = np.array([mode.bytes.mean for mode in table.modes])
        accuracies = []
        for rate in sorted((one, other)):
            foreseen = oracle.Foreseen(table, ENCODE_S, LinkTrace(Trace.constant(rate), 0.02))
            place = oracle.best(table, foreseen.total_s(0.0, sizes), left_s)
            accuracies.append(0.0 if place is None else table.modes[place].accuracy)
        assert accuracies[0] <= accuracies[1]

    def test_of_equal_modes_the_smaller(self):
        """Which leaves more of the link to others."""
        modes = tuple(ModeFigures(1, levels, 0.9, Bytes(100 * levels, 100 * levels)) for levels in (8, 4, 16))
        equal = ModeTable(photos=1, teacher_accuracy=1.0, server_ms=1.0, modes=modes)
        assert oracle.best(equal, np.array([0.1, 0.1, 0.1]), 0.2) == 1

    def test_lateness_is_what_encoders_link_and_table_do_not_explain(self, table):
        """Photos made of encoding, a crossing, a round trip, the server's time and something more: it comes out."""
        link = LinkTrace(Trace([(0.0, 1e6), (1.0, 1e5)]), 0.02)
        size = 1000 - MESSAGE_BYTES
        answered = [
            oracle.Answered(mode, size, since_s=sent_s - encode_s, sent_s=sent_s, replied_s=sent_s + taken_s)
            for mode, encode_s, sent_s, taken_s in (
                (Mode(1, 4), 0.004, 10.5, 0.001 + 0.02 + 0.005 + 0.002),
                (Mode(4, 4), 0.013, 11.5, 0.01 + 0.02 + 0.005 + 0.006),
            )
        ]
        found = oracle.Foreseen(table, ENCODE_S, link).lateness(answered, started_s=10.0)
        assert found == [(Mode(1, 4), pytest.approx(0.002)), (Mode(4, 4), pytest.approx(0.006))]
        assert oracle.typical(found) == pytest.approx(0.004)

    def test_a_watched_controller_is_the_same_controller(self, table):
        """What it is told it learns, and what it chose and was answered is written down."""
        plain, told = (ModeController(table.modes, ENCODE_S, 5.0, LinkEstimate(1e5, 0.02)) for _ in range(2))
        watch = oracle.Watch(told)
        for controller in (plain, watch):
            mode = controller.choose(0.1, 0.0)
            controller.encoded(mode, 0.01)
            controller.sent(3000, 0.01)
            controller.replied({"decode": 1.0, "queue": 0.0, "compute": 3.0}, 0.07)
            controller.choose(0.1, 0.1)
            controller.sent(3000, 0.11)
            controller.lost(0.3)
        assert told.conditions(0.3) == plain.conditions(0.3)
        assert len(watch.modes) == 2
        assert watch.answered == [oracle.Answered(watch.modes[0], 3000, 0.0, 0.01, 0.07)]


class TestRuns:
    """Tiny encoders, a real server, the shaper."""

    def test_every_policy_asks_about_every_photo(self, raced):
        """Every photo has one fate; who asks for something gets answers."""
        cell, found, _ = raced
        assert found.keys() == runs.POLICIES.keys()
        assert {runs.OURS, runs.PUBLISHED, runs.ORACLE} < found.keys()
        assert all(len(run.asked) == cell.photos == 2 for run in found.values())
        assert all(found[name].wire_bytes > 0 for name in runs.POLICIES if name != runs.ORACLE)
        assert any(one.fate == "answered" for run in found.values() for one in run.asked)

    def test_fixed_modes_stay(self, raced, subject):
        """In the mode of their name, whose payloads have the bytes that the oracle reckons with."""
        _, found, _ = raced
        for encoders, bits in runs.FIXED:
            mode = Mode(encoders, LEVELS[bits])
            place = [one.mode for one in subject.table.modes].index(mode)
            for number, one in enumerate(found[f"fixed: members {encoders}, bits {bits:g}"].asked):
                assert one.plan == mode
                assert one.fate != "answered" or one.payload_bytes == subject.sizes(number)[place]

    def test_ours_chooses_and_is_watched(self, raced, subject):
        """Modes of the table, and the lateness of every photo that was answered."""
        _, found, late = raced
        ours = found[runs.OURS]
        assert {one.plan for one in ours.asked} <= {one.mode for one in subject.table.modes}
        assert len(ours.late) == sum(one.fate == "answered" for one in ours.asked)
        assert {mode.encoders for mode, _ in late} == {1, 2, 3, 4}

    def test_whole_photos_have_no_mode(self, raced):
        """Nor is anybody late who foresaw nothing."""
        _, found, _ = raced
        whole = found["whole photo, WebP q20"]
        assert {one.plan for one in whole.asked} == {None}
        assert not whole.late

    def test_the_published_controller_counts_encoders_and_payload_alone(self, table):
        """Of the same link it believes the same but for round trip and server."""
        ours, published = (
            kind(table.modes, ENCODE_S, 5.0, LinkEstimate(1e5, 0.02)) for kind in (ModeController, runs.Published)
        )
        assert published.conditions(0.0) == ours.conditions(0.0)._replace(round_trip_s=0.0, server_s=0.0)
        assert ours.conditions(0.0).server_s == 0.005

    def test_the_oracle_rejects_what_nobody_could_answer(self, subject):
        """On a link that is too slow for the smallest mode."""
        cell = link_traces.Cell("slow", LinkTrace(Trace.constant(100.0), 0.02), 0.1, 2)
        policy = runs.POLICIES[runs.ORACLE](runs.Setup(subject, cell, SimpleNamespace(call=None), 0.0))
        with pytest.raises(Unmeetable):
            next(policy.infer(subject.shown.frame(0, math.inf)))
        assert policy.planned() is None

    def test_who_cannot_weigh_a_photo_takes_it_for_heavy(self, subject):
        """On a link that this photo can just cross in the best mode, most others could not."""
        modes = subject.table.modes
        place = max(range(len(modes)), key=lambda place: modes[place].accuracy)
        size = (subject.sizes(0)[place] + modes[place].bytes.most) / 2
        assert subject.sizes(0)[place] < size
        sending_s = 0.15 - RETURN_MARGIN_S - subject.encode_s[-1] - subject.table.server_ms / 1e3
        link = LinkTrace(Trace.constant((size + MESSAGE_BYTES) / sending_s), 0.0)
        cell = link_traces.Cell("narrow", link, 0.15, 1)
        assert runs.choices(subject, cell, 0.0) == [place]
        (unweighed,) = runs.choices(subject, cell, 0.0, weighs=False)
        assert modes[unweighed].accuracy < modes[place].accuracy


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
        ours, fixed = (total["policies"][name] for name in (runs.OURS, "fixed: members 2, bits 2"))
        assert ours["in_time"] == 2 * figures["policies"][runs.OURS]["in_time"]
        assert fixed["modes"] == [{"members": 2, "bits": 2.0, "levels": 4, "share": 1.0}]
        words = race.in_words({"overall": total})
        assert "as published" in words
        assert "whole photo, WebP q20:" not in words

    def test_points_are_lost_by_misses_and_by_lesser_modes(self, subject):
        """Of four photos one is answered in the best mode, one in the least, one too late, one not at all."""
        cell = link_traces.Cell("fast", LinkTrace(Trace.constant(1e9), 0.0), 0.2, 4)
        best, least = (
            pick(subject.table.modes, key=lambda one: (one.accuracy, -one.bytes.mean)) for pick in (max, min)
        )
        ours = link_runs.Run(
            [
                link_runs.Asked("answered", 0.1, is_right=True, plan=best.mode),
                link_runs.Asked("answered", 0.1, plan=least.mode),
                link_runs.Asked("answered", 0.3, is_right=True, plan=best.mode),
                link_runs.Asked("lost", 0.2, plan=best.mode),
            ],
            wire_bytes=400,
            late=[(best.mode, 0.0)],
        )
        known = link_runs.Run([link_runs.Asked("answered", 0.1, is_right=True)] * 4, wire_bytes=800, late=[])
        named = dict.fromkeys(runs.POLICIES, known) | {runs.OURS: ours}
        found = summary.cell_figures(subject, cell, named, [(best.mode, 0.0)])
        assert (found["meetable"], found["oracle_accuracy"]) == (4, pytest.approx(best.accuracy))
        row = found["policies"][runs.OURS]
        assert row["points_lost"] == pytest.approx(100 * (3 * best.accuracy - least.accuracy) / 4)
        assert row["points_lost_answered"] == pytest.approx(50 * (best.accuracy - least.accuracy))
        assert row["points_lost_for_real"][0] == pytest.approx(75)
        assert row["switches"] == 2
        assert row["modes"][0] == {
            "members": best.encoders,
            "bits": best.bits,
            "levels": best.levels,
            "share": 0.75,
        }
        assert found["policies"]["whole photo, JPEG q30"]["points_lost"] is None

    def test_a_cell_in_which_nothing_was_answered(self, subject):
        """It has no accuracy, and nothing fails."""
        cell = link_traces.Cell("dead", LinkTrace(Trace.constant(1.0), 0.02), 0.1, 2)
        asked = [link_runs.Asked("lost", 0.1, plan=Mode(1, 2)), link_runs.Asked("unasked", 0.0, plan=Mode(1, 2))]
        run = link_runs.Run(asked, wire_bytes=10, late=[])
        found = summary.cell_figures(subject, cell, dict.fromkeys(runs.POLICIES, run), [(Mode(1, 2), 0.0)])
        assert (found["meetable"], found["policies"][runs.OURS]["points_lost"]) == (0, None)
        total = summary.overall([found])
        assert total["policies"][runs.OURS]["share_of_meetable"] is None
        assert race.in_words({"overall": total})

    def test_a_picture(self, tmp_path):
        """Of a run in several modes, in which some photos were missed."""
        pytest.importorskip("matplotlib", reason="pictures come with the extra `report`")
        cell = link_traces.Cell("walk", LinkTrace(Trace([(0.0, 1e6), (0.2, 1e5)]), 0.02), 0.1, 3)
        asked = [
            link_runs.Asked("answered", 0.05, plan=Mode(4, 16)),
            link_runs.Asked("lost", 0.1, plan=Mode(4, 6)),
            link_runs.Asked("answered", 0.09, plan=Mode(1, 2)),
        ]
        picture.plot(cell, link_runs.Run(asked, wire_bytes=10, late=[]), tmp_path / "run.png")
        assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")

    def test_cells_are_written_as_they_are_finished(self, subject, tmp_path, monkeypatch):
        """After the second of two cells the file has both, and the picture is of the trace that is drawn."""
        pytest.importorskip("matplotlib", reason="pictures come with the extra `report`")
        few = {name: runs.POLICIES[name] for name in (runs.OURS, runs.ORACLE)}
        monkeypatch.setattr(race, "POLICIES", few)
        steady = Trace.constant(link_traces.FASTEST)
        cells = link_traces.cells({"steady": steady, link_traces.DRAWN: steady}, [DEADLINE_MS], seconds=0.3)
        written = []
        figures = race.cell_figures

        def kept(*arguments):
            written.append(len(json.loads(out.read_text())["cells"]) if out.exists() else 0)
            return figures(*arguments)

        out = tmp_path / "race.json"
        monkeypatch.setattr(race, "cell_figures", kept)
        report = race._race(subject, cells, out, tmp_path / "race.png")
        assert written == [0, 1]
        assert json.loads(out.read_text())["cells"] == json.loads(json.dumps(report["cells"]))
        assert [cell["trace"] for cell in report["cells"]] == ["steady", "walk"]
        assert (report["family"], len(report["encode_ms"])) == ("ensemble", 4)
        assert (tmp_path / "race.png").exists()
