"""The zoo's slimmable encoders, with their real networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.evaluation.demo import photo_paths
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.messages import Frame, Mode
from edge_runtime.models import Bundle
from edge_runtime.photos import open_frame
from edge_runtime.systems.driver import drive
from edge_runtime.systems.family import Family
from edge_runtime.systems.slimmable import Fixed, Slimmable
from server_ref.backend import Backend

if TYPE_CHECKING:
    from edge_runtime.messages import Answer, Reply, Request

pytestmark = pytest.mark.host  # a server's large models, many times

MOST_PACKED, MOST_CODED = 9500, 6000


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Both halves."""
    return Bundle.load(Path(__file__).parents[2] / "zoo" / "slimmable")


@pytest.fixture(scope="module")
def backend(bundle: Bundle) -> Backend:
    """The server, in this process."""
    return Backend.open(bundle)


@pytest.fixture(scope="module", params=["ensemble", "widths"])
def family(request: pytest.FixtureRequest, bundle: Bundle) -> Family:
    """Either, loaded."""
    return Family.open(bundle, bundle.latent(request.param))


def answer(family: Family, mode: Mode, frame: Frame, backend: Backend) -> Answer:
    """A frame's, in that mode."""

    def call(request: Request, _timeout_s: float) -> Reply:
        return backend.answer(request)

    system = Slimmable(family.encoders, family.codec, family.spec.decoder, Fixed(mode))
    return drive(system.infer(frame), call)


def test_every_mode_is_answered_and_small(family: Family, bundle: Bundle, backend: Backend) -> None:
    """A real photo in all modes: below the most that four bits may take, and never above packed bits."""
    frame = Frame(7, open_frame(photo_paths([])[0], bundle.frame))
    for mode in (one.mode for one in family.table.modes):
        found = answer(family, mode, frame, backend)
        assert found.mode == mode
        assert found.payload_bytes <= family.codec.packed_bytes(mode.levels) <= MOST_PACKED
        assert found.payload_bytes <= MOST_CODED
        np.testing.assert_allclose(found.probabilities.sum(), 1, rtol=1e-4)


def test_the_ensemble_answers_real_photos(bundle: Bundle, backend: Backend, imagenette_val: Path) -> None:
    """Most of forty, even at one bit, and nearly all at four with all members."""
    ensemble = Family.open(bundle, bundle.latent("ensemble"))
    photos = labelled_photos(imagenette_val, bundle.manifest, limit=40)
    for mode, least in ((Mode(1, 2), 28), (Mode(4, 16), 35)):
        frames = [Frame(number, open_frame(photo.data, bundle.frame)) for number, photo in enumerate(photos)]
        labels = [answer(ensemble, mode, frame, backend).label for frame in frames]
        assert sum(label == photo.label for label, photo in zip(labels, photos, strict=True)) >= least
