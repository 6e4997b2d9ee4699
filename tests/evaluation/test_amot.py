"""Evaluating two rounds: what a pass counts, what rivals answer and cost, and a sweep that goes on where it was."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.cli_rounds import round_tables, rounds_spec
from edge_runtime.codecs import image, patches, requested, samples
from edge_runtime.errors import ArgumentError, LinkLost, Unmeetable
from edge_runtime.evaluation.amot import ask_all, evaluate
from edge_runtime.evaluation.amot_panels import Shown, open_recovery, shown_by_round
from edge_runtime.evaluation.amot_plane import LOSSLESS, TWO_ROUNDS, Way, plans_wanted, ways
from edge_runtime.evaluation.amot_rivals import DownSampled, FullSecondRound, VisiblePatches
from edge_runtime.evaluation.amot_sweep import Outcome, Points, Sweep, measure
from edge_runtime.evaluation.link import open_link
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.messages import Ask, Frame, Reply
from edge_runtime.systems.amot import Amot, Fixed
from edge_runtime.systems.driver import drive
from edge_runtime.systems.remote import Remote
from server_ref.backend import Backend
from server_ref.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Request
    from edge_runtime.models import Bundle

GRID = (4, 4)
PLAN = Fixed("webp", 35, first=4, second=3, below=0.99)
FRAME_BYTES = 3 * 64 * 64


@pytest.fixture(scope="module")
def photos(rounds_bundle: Bundle, colour_photos: Path) -> list[Photo]:
    """Two of each colour."""
    return labelled_photos(colour_photos, rounds_bundle.manifest, limit=6)


@pytest.fixture(scope="module")
def link(calibrated_rounds: Bundle) -> Iterator[MeasuredLink]:
    """To a server in this process."""
    with Server(Backend.open(calibrated_rounds)) as server, open_link(calibrated_rounds, server.address) as link:
        yield link


@pytest.fixture
def frame() -> Frame:
    """Noise."""
    return Frame(7, np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


def amot(bundle: Bundle, planner: object = PLAN) -> Amot:
    """The system with one plan."""
    return Amot(bundle.frame, "jittered-grid", planner, "classify")


class Busy:
    """A system that answers every third photo, loses every third and refuses every third."""

    name = "busy"

    def __init__(self) -> None:
        self.remote = Remote("png", 100, "classify")

    def infer(self, frame: Frame):
        """By the frame's number."""
        if frame.id % 3 == 1:
            raise LinkLost("link: cut")
        if frame.id % 3 == 2:
            raise Unmeetable("deadline: none")
        return (yield from self.remote.infer(frame))


class Script:
    """Replies in their order; ``requests`` are what they answered."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []

    def __call__(self, request: Request, timeout_s: float) -> Reply:  # noqa: ARG002
        """The next one."""
        self.requests.append(request)
        return self.replies.pop(0)


def reply(ask: Ask | None = None) -> Reply:
    """An answer."""
    return Reply(
        np.array([[0.2, 0.5, 0.3]], np.float32), "classify", {"decode": 0.0, "queue": 0.0, "compute": 0.0}, 0, ask
    )


class TestAPassOverPhotos:
    """What is counted."""

    def test_answers_bytes_and_rounds(self, calibrated_rounds: Bundle, photos: list[Photo], link: MeasuredLink) -> None:
        """Every photo is answered after both rounds, and its bytes are those of payloads and messages."""
        found = ask_all(amot(calibrated_rounds), photos, calibrated_rounds.frame, link)
        assert (found.photos, found.right, found.rejected, found.unanswered) == (6, 6, 0, 0)
        assert found.second_round_share == 1.0
        assert found.patches_share(16) == 7 / 16
        assert 2 * 100 < found.wire_bytes / 6 - found.payload_bytes < 2 * 400

    def test_what_was_not_answered_is_wrong(
        self, calibrated_rounds: Bundle, photos: list[Photo], link: MeasuredLink
    ) -> None:
        """Refusals and lost photos are counted apart, and both count against the accuracy."""
        found = ask_all(Busy(), photos, calibrated_rounds.frame, link)
        assert (found.right, found.rejected, found.unanswered) == (2, 2, 2)
        assert (len(found.answers), found.accuracy) == (2, 2 / 6)

    def test_payloads_count_as_the_answer_has_them(
        self, calibrated_rounds: Bundle, photos: list[Photo], link: MeasuredLink
    ) -> None:
        """A rival that sends more than what it stands for costs what that would cost, messages included."""
        frame = calibrated_rounds.frame
        smaller = ask_all(DownSampled(16, 50, "classify"), photos, frame, link)
        whole = ask_all(Remote("webp", 50, "classify"), photos, frame, link)
        assert smaller.payload_bytes < whole.payload_bytes
        overheads = [(found.wire_bytes / 6 - found.payload_bytes) for found in (smaller, whole)]
        assert overheads[0] == pytest.approx(overheads[1], abs=40)

    def test_a_report_has_every_documented_key(
        self, calibrated_rounds: Bundle, photos: list[Photo], link: MeasuredLink
    ) -> None:
        """With no time at all nothing is answered, and the server's own accuracy is known all the same."""
        found = evaluate(amot(calibrated_rounds), photos, link, 60.0)
        assert (found["accuracy"], found["server_accuracy"], found["slo_hit"]) == (1.0, 1.0, 1.0)
        assert (found["second_round_share"], found["best_effort_share"]) == (1.0, 0.0)
        assert {"total", "encode", "link", "server_compute"} <= found["latency_ms"].keys()
        hurried = evaluate(amot(calibrated_rounds), photos[:2], link, 0.0)
        assert (hurried["slo_hit"], hurried["unanswered"], hurried["server_accuracy"]) == (0.0, 2, 1.0)


class TestRivals:
    """What other ways would send, and what the server sees of it."""

    def test_a_smaller_photo_arrives_as_large_as_a_frame(self, frame: Frame) -> None:
        """It is sampled down, packed, unpacked and sampled up; the small file is what counts."""
        script = Script(reply())
        answer = drive(DownSampled(16, 50, "classify").infer(frame), script)
        shown = image.decode(script.requests[0].payloads[0].data, 64)
        small = image.encode(kernels.resize(frame.pixels, (16, 16)), "webp", 50)
        assert np.array_equal(shown, kernels.resize(image.decode(small, 16).copy(), (64, 64)))
        assert (answer.payload_bytes, answer.label) == (len(small), 1)

    def test_visible_patches_are_those_that_two_rounds_send_first(self, rounds_bundle: Bundle, frame: Frame) -> None:
        """The same seed, and their places with them."""
        script = Script(reply())
        answer = drive(VisiblePatches(rounds_bundle.frame, "grid", PLAN, "net").infer(frame), script)
        indices, _ = patches.decode(script.requests[0].payloads[0].data, GRID, 16)
        assert np.array_equal(indices, kernels.sample("grid", GRID, 4, 7))
        assert (answer.patches_sent, script.requests[0].model) == (4, "net")

    def test_a_full_second_round_has_all_patches_and_pays_for_the_new_ones(
        self, rounds_bundle: Bundle, frame: Frame
    ) -> None:
        """What the server sees is a first look at everything; what counts are both payloads of two rounds."""
        sampled = kernels.sample("grid", GRID, 4, 7)
        asked = np.setdiff1d(np.arange(16, dtype=np.uint16), sampled)[:3]
        script = Script(reply(Ask(bytes(16), asked)), reply())
        answer = drive(FullSecondRound(rounds_bundle.frame, "grid", PLAN, "classify").infer(frame), script)
        first, second = (request.payloads[0] for request in script.requests)
        assert np.array_equal(samples.decode(first.data, GRID, 16)[0], sampled)
        assert np.array_equal(patches.decode(second.data, GRID, 16)[0], np.union1d(sampled, asked))
        more = requested.encode(bytes(16), kernels.gather(frame.pixels, asked, 16), "webp", 35)
        assert (answer.payload_bytes, answer.patches_sent, answer.rounds) == (len(first.data) + len(more), 7, 2)

    def test_a_sure_server_ends_the_full_round_as_well(self, rounds_bundle: Bundle, frame: Frame) -> None:
        """One request, one round."""
        script = Script(reply())
        answer = drive(FullSecondRound(rounds_bundle.frame, "grid", PLAN, "classify").infer(frame), script)
        assert (answer.rounds, answer.patches_sent) == (1, 4)
        assert answer.payload_bytes == len(script.requests[0].payloads[0].data)


class TestPlane:
    """Which ways there are."""

    def test_plans_go_from_dear_to_cheap(self, calibrated_rounds: Bundle) -> None:
        """Of a planner without deadline that may lose more and more accuracy, each plan once."""
        plans = plans_wanted(round_tables(calibrated_rounds))
        assert plans[0] == Fixed("jpeg", 50, 16)
        assert len(plans) == len(set(plans)) > 2
        assert plans[-1].codec == "webp"

    def test_every_way_is_a_point_of_its_own(self, calibrated_rounds: Bundle, split_bundle: Bundle) -> None:
        """Curve and setting tell them apart; only the rivals' models ask the rivals' server."""
        found = ways(calibrated_rounds, rounds_spec(calibrated_rounds), round_tables(calibrated_rounds), split_bundle)
        assert len({(way.curve, way.setting) for way in found}) == len(found)
        assert {way.curve for way in found if way.asks} == {"one round, net", "whole photo, WebP, net"}
        assert found[0].curve == LOSSLESS

    def test_rivals_have_the_same_frames(self, calibrated_rounds: Bundle, zoo: Bundle) -> None:
        """Patches of other frames would compare nothing."""
        rounds, tables = rounds_spec(calibrated_rounds), round_tables(calibrated_rounds)
        with pytest.raises(ArgumentError, match=r"has a frame.size of 224, the bundle one of 64"):
            ways(calibrated_rounds, rounds, tables, zoo)


def outcome(curve: str, accuracy: float, wire_bytes: float) -> Outcome:
    """A point."""
    return Outcome(curve, f"{wire_bytes:g}", 100, accuracy, 0.0, 1.0, wire_bytes, wire_bytes, 0.5, 0.0)


class TestSweep:
    """Points that are kept, and what is chosen among them."""

    def test_the_cheapest_within_a_loss_and_its_rivals(self) -> None:
        """Rivals must reach the chosen accuracy, not the wanted one; one that does not is none."""
        points = [
            outcome(LOSSLESS, 0.98, 90000),
            outcome(TWO_ROUNDS, 0.98, 3000),
            outcome(TWO_ROUNDS, 0.97, 1500),
            outcome(TWO_ROUNDS, 0.93, 700),
            outcome("jpeg", 0.965, 1000),
            outcome("jpeg", 0.975, 4000),
            outcome("smaller", 0.9, 500),
        ]
        found = Sweep.of(points, within=0.015)
        assert (found.chosen, found.server_accuracy) == (points[2], 0.98)
        assert found.cheapest == {"jpeg": points[5], "smaller": None}
        assert Sweep.of(points, within=-0.01).chosen is None
        assert json.dumps(found.as_json())

    def test_what_was_measured_is_not_measured_again(
        self, calibrated_rounds: Bundle, photos: list[Photo], link: MeasuredLink, tmp_path: Path
    ) -> None:
        """A sweep that was broken off keeps its points, for the same photos and bundle only."""
        tried = [Way(LOSSLESS, "png", Remote("png", 100, "classify")), Way(TWO_ROUNDS, "one", amot(calibrated_rounds))]
        opened = []

        @contextmanager
        def links() -> Iterator[list[MeasuredLink]]:
            opened.append(1)
            yield [link]

        def points(some: list[Photo]) -> Points:
            return Points(tmp_path / "points.jsonl", some, [calibrated_rounds])

        frame = calibrated_rounds.frame
        with pytest.raises(LinkLost):
            measure([*tried, Way("busy", "", Lost())], photos, frame, points(photos), links)
        first = measure(tried, photos, frame, points(photos), links, workers=1)
        assert len(opened) == 1
        assert [(point.curve, point.accuracy, point.second_round_share) for point in first] == [
            (LOSSLESS, 1.0, 0.0),
            (TWO_ROUNDS, 1.0, 1.0),
        ]
        others = measure(tried, photos[:3], frame, points(photos[:3]), links, workers=2)
        assert len(opened) == 3
        assert [point.photos for point in others] == [3, 3]
        assert measure(tried, photos, frame, points(photos), links) == first


class Lost:
    """A system whose link is cut."""

    name = "lost"

    def infer(self, frame: Frame):
        """Raise."""
        raise LinkLost(f"link: cut before frame {frame.id}")
        yield


class TestPanels:
    """What the server was shown, as a picture has it."""

    @pytest.mark.parametrize("forgets", [False, True])
    def test_each_round_shows_what_it_brought(
        self, calibrated_rounds: Bundle, frame: Frame, link: MeasuredLink, forgets: bool
    ) -> None:
        """Both rounds together are all that was sent, whether the server remembered the first or not."""
        system = (
            FullSecondRound(calibrated_rounds.frame, "grid", PLAN, "classify") if forgets else amot(calibrated_rounds)
        )
        conversation = []

        def call(request: Request, timeout_s: float) -> Reply:
            conversation.append((request, link.call(request, timeout_s)))
            return conversation[-1][1]

        drive(system.infer(frame), call)
        first, second = shown_by_round(conversation, calibrated_rounds.frame)
        assert len(first.indices) == len(first.patches) == 4
        assert np.array_equal(second.indices, conversation[0][1].ask.indices)
        assert second.patches.shape == (3, 16, 16, 3)

    def test_the_recovered_picture_is_the_models(self, rounds_bundle: Bundle) -> None:
        """The tiny autoencoder paints the mean of what it sees, a little brighter by patch."""
        shown = Shown(np.array([0, 5], np.uint16), np.full((2, 16, 16, 3), 100, np.uint8))
        recovered = open_recovery(rounds_bundle)(shown)
        assert recovered.shape == (64, 64, 3)
        assert (recovered[:16, :16] == 105).all()
        assert (recovered[:16, 16:32] == 145).all()
