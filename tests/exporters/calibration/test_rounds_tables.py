"""Tables of passes that were made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.control.rounds import Bytes, RoundTables
from exporters.calibration.rounds_tables import right, round_tables
from exporters.calibration.rounds_temperatures import softmax


@pytest.fixture
def tables(axes, passes, labels) -> RoundTables:
    """Of four photos."""
    return round_tables(axes, passes, labels)


def test_they_are_read_back(tables, axes):
    """What is written is what the device and the server read."""
    assert RoundTables.load(tables.dump()) == tables
    assert (tables.settings, tables.first, tables.second, tables.below) == axes
    assert tables.photos == 4


def test_accuracy(tables, passes):
    """The second answer counts where the first is less sure than asked for; without a question the first does."""
    confidence = softmax(passes.logits[:, 0, 0, 0] / tables.temperature(4)).max(axis=1)
    assert (confidence < 0.6).tolist() == [False, False, False, True]

    for rows in tables.accuracy:
        assert rows[0][0] == (0.5, 0.5, 0.5)
        assert rows[0][1] == rows[0][2] == (0.5, 0.75, 0.75)


def test_accuracy_of_more_patches_than_there_are(tables):
    """There is none."""
    none = (None, None, None)
    assert [row[1:].count(none) for row in tables.accuracy[0]] == [0, 1, 2]
    assert tables.accuracy[0][2][0] == (0.5, 0.5, 0.5)


def test_asked(axes, passes, labels):
    """The share of photos that are less sure, by temperature; nobody is below 0, and who is certain is not below 1."""
    certain = passes._replace(logits=np.where(np.abs(passes.logits) > 3, 100 * passes.logits, passes.logits))
    tables = round_tables(axes, certain, labels)

    assert tables.asked[0][0] == (0.0, 0.25, 0.25)


def test_bytes(tables):
    """Means over photos; of second rounds also over first rounds, none for none."""
    assert tables.first_bytes[1] == (Bytes(800, 800), Bytes(2400, 2400), Bytes(3200, 3200))
    assert tables.second_bytes[0] == (Bytes(0, 0), Bytes(40, 40), Bytes(80, 80))


def test_most_bytes(axes, passes, labels):
    """Are rarely exceeded."""
    sizes = np.arange(100.0)
    many = passes._replace(first_bytes=np.broadcast_to(sizes[:, np.newaxis, np.newaxis], (100, 2, 3)))

    found = round_tables(axes, many, labels).first_bytes[0][0]
    assert found.mean == 49.5
    assert found.most == pytest.approx(94.05, abs=0.1)


def test_server_times(tables):
    """Medians of first looks by their patches, and of updates by theirs."""
    assert tables.server_ms.first == (20, 19, 18)
    assert tables.server_ms.update == (0, 4, 8)


def test_temperatures_reach_to_all_patches(axes, passes, labels):
    """Also where so many come only in two rounds."""
    fewer = axes._replace(first=axes.first[:2])
    fewer_passes = passes._replace(
        logits=passes.logits[:, :, :2], first_bytes=passes.first_bytes[:, :, :2], first_ms=passes.first_ms[:, :, :2]
    )

    assert round_tables(fewer, fewer_passes, labels).temperatures.counts == (4, 12, 16)
    assert round_tables(axes, passes, labels).temperatures.counts == (4, 12, 16)


def test_right(passes, labels):
    """NaN where there is no answer."""
    found = right(passes.logits, labels)

    assert found[:, 0, 0, 0].tolist() == [1, 1, 0, 0]
    assert found[:, 1, 0, 1].tolist() == [1, 1, 0, 1]
    assert np.isnan(found[:, 0, 2, 1]).all()
