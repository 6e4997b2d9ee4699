"""Evaluating slimmable encoders: photos in a row and over a trace, the grid of modes, and its rivals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.evaluation.link import open_link
from edge_runtime.evaluation.slimmable import Asked, Run, ask_in_a_row, ask_over_trace
from edge_runtime.evaluation.slimmable_grid import (
    CUT_BUDGETS,
    check_alike,
    cuts,
    measure_modes,
    teacher_accuracy,
    whole_network,
    whole_photos,
)
from edge_runtime.evaluation.slimmable_pictures import plot_grid, plot_trace
from edge_runtime.evaluation.split import Cut
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.messages import Answer, Mode
from edge_runtime.models import Bundle
from edge_runtime.scheduling.traces import Trace
from edge_runtime.systems.family import Family
from edge_runtime.systems.slimmable import Fixed, Slimmable
from server_ref.backend import Backend
from server_ref.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo

MBIT = 1e6 / 8


@pytest.fixture(scope="module")
def photos(latent_bundle: Bundle, colour_photos: Path) -> list[Photo]:
    """Two of each colour."""
    return labelled_photos(colour_photos, latent_bundle.manifest, limit=6)


@pytest.fixture(scope="module")
def family(latent_bundle: Bundle) -> Family:
    """The ensemble."""
    return Family.open(latent_bundle, latent_bundle.latent())


@pytest.fixture
def link(latent_bundle: Bundle) -> Iterator[MeasuredLink]:
    """To a server in this process."""
    with (
        Server(Backend.open(latent_bundle)) as server,
        open_link(latent_bundle, server.address, patient=True) as link,
    ):
        yield link


def fixed(family: Family, mode: Mode) -> Slimmable:
    """The system that always sends in one mode."""
    return Slimmable(family.encoders, family.codec, family.spec.decoder, Fixed(mode))


def answered(mode: Mode, payload_bytes: int) -> Answer:
    """An answer that says nothing else."""
    return Answer(np.ones(1, np.float32), 0, "server", 0.0, payload_bytes=payload_bytes, mode=mode)


def test_photos_in_a_row(family: Family, photos: list[Photo], link: MeasuredLink) -> None:
    """Each is answered once, in the mode that was given, and all bytes are counted."""
    run = ask_in_a_row(fixed(family, Mode(4, 16)), photos, link, 10.0)
    report = run.report(family.codec)
    assert (report["photos"], report["accuracy"], report["slo_hit"], report["unanswered"]) == (6, 1.0, 1.0, 0)
    assert report["modes"] == [{"members": 4, "bits": 4.0, "share": 1.0}]
    assert 0 < report["payload_bytes"] <= report["packed_bytes"] == family.codec.packed_bytes(16)
    assert report["packed_bytes"] < report["wire_bytes"] < 1000
    assert {"total", "encoders", "encode", "link", "server_compute"} <= report["latency_ms"].keys()


def test_a_report_counts_what_was_not_answered_as_wrong(family: Family) -> None:
    """Shares are of all photos, bytes of payloads of those that were answered."""
    first, other = Mode(1, 2), Mode(2, 8)
    asked = [
        Asked(0.0, 0.1, answered(first, 10), is_right=True),
        Asked(0.1, 0.1, answered(other, 30), is_right=False),
        Asked(0.2, 0.1, answered(other, 32), is_right=True),
        Asked(0.3, 0.2, None, is_right=False),
    ]
    report = Run(asked, 4000).report(family.codec)
    assert (report["accuracy"], report["slo_hit"], report["unanswered"]) == (0.5, 0.75, 1)
    assert (report["payload_bytes"], report["wire_bytes"]) == (24, 1000)
    assert report["packed_bytes"] == pytest.approx((16 + 2 * 32) / 3)
    assert report["modes"] == [
        {"members": 2, "bits": 3.0, "share": 0.5},
        {"members": 1, "bits": 1.0, "share": 0.25},
    ]


def test_photos_over_a_trace(family: Family, photos: list[Photo], link: MeasuredLink, tmp_path: Path) -> None:
    """One in each period, again from the first when there are no more; a crawling link answers none in time."""
    trace = LinkTrace(Trace([(0.0, 50 * MBIT), (2.0, 0.0005 * MBIT)]), 0.002)
    run = ask_over_trace(fixed(family, Mode(2, 16)), photos, link, trace, 0.25, 3.0)
    assert [one.at_s for one in run.asked] == pytest.approx([0.25 * number for number in range(12)])
    fates = [one.answer is not None for one in run.asked]
    assert any(fates[:8])
    assert not any(fates[9:])
    assert all(one.latency_s <= 0.25 for one in run.asked if one.answer)
    assert run.report(family.codec)["unanswered"] == fates.count(False)
    pytest.importorskip("matplotlib", reason="pictures come with the extra `report`")
    plot_trace(run, trace, 0.25, tmp_path / "trace.png")
    with Image.open(tmp_path / "trace.png") as drawn:
        assert drawn.width > 500


def test_the_grid_encodes_a_photo_once_for_each_number(
    family: Family, photos: list[Photo], link: MeasuredLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Levels share the latent; every mode is asked about every photo."""
    encoded, latent = [], family.encoders.latent

    def counted(frame, number):
        encoded.append((frame.id, number))
        return latent(frame, number)

    monkeypatch.setattr(family.encoders, "warm_up", list)
    monkeypatch.setattr(family.encoders, "latent", counted)
    found = measure_modes(photos, family, link, (2, 6, 16))
    assert encoded == [(index, number) for index in range(6) for number in (1, 2, 3, 4)]
    assert [(one.members, one.bits) for one in found] == [(n, bits) for n in (1, 2, 3, 4) for bits in (1.0, 2.5, 4.0)]
    for one in found:
        assert 0 < one.payload_bytes <= one.packed_bytes < one.wire_bytes
        assert one.encode_ms > 0
        assert one.accuracy_interval[0] <= one.accuracy <= one.accuracy_interval[1]
    assert found[-1].accuracy == 1.0


def test_wider_encoders_know_more_colours(latent_bundle: Bundle, photos: list[Photo], link: MeasuredLink) -> None:
    """The narrowest sees red alone, three channels all that there is."""
    widths = Family.open(latent_bundle, latent_bundle.latent("widths"))
    accuracies = [one.accuracy for one in measure_modes(photos, widths, link, (16,))]
    assert accuracies[0] < 1.0
    assert accuracies[2:] == [1.0, 1.0]


def test_rivals_are_whole_photos_and_cuts(
    latent_bundle: Bundle, split_bundle: Bundle, photos: list[Photo], link: MeasuredLink, tmp_path: Path
) -> None:
    """JPEG and WebP over their qualities, cuts over their budgets, and a picture of all."""
    assert teacher_accuracy(photos, latent_bundle, link) == 1.0
    found = list(whole_photos(photos, latent_bundle, link))
    assert len(found) == 6 + 6
    opened = [Cut.open(split_bundle, split_bundle.split("late"))]
    with Server(Backend.open(split_bundle)) as server, open_link(split_bundle, server.address) as theirs:
        found += cuts(photos, opened, theirs)
    assert [(one.curve, one.setting) for one in found[-4:]] == [("net.late ff", f"{b} bytes") for b in CUT_BUDGETS]
    assert all(one.wire_bytes > one.payload_bytes > 0 for one in found)
    assert found[-1].accuracy == 1.0
    pytest.importorskip("matplotlib", reason="pictures come with the extra `report`")
    family = Family.open(latent_bundle, latent_bundle.latent())
    plot_grid({"ensemble": measure_modes(photos[:1], family, link, (2, 4))}, found, 1.0, tmp_path / "g.png")
    with Image.open(tmp_path / "g.png") as drawn:
        assert drawn.width > 500


def test_rivals_tell_the_same_classes_apart(latent_bundle: Bundle, zoo: Bundle) -> None:
    """Cuts of another data set's network are no rivals; nor is a bundle without a whole network."""
    check_alike(latent_bundle, latent_bundle)
    with pytest.raises(ArgumentError, match="has other classes than the bundle"):
        check_alike(latent_bundle, zoo)
    models = tuple(model for model in latent_bundle.manifest.models if model.kind != "cnn-filled")
    half = Bundle(latent_bundle.folder, msgspec.structs.replace(latent_bundle.manifest, models=models))
    with pytest.raises(BundleError, match="has no whole network for the server"):
        whole_network(half)
