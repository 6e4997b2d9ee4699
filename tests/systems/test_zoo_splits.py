"""The zoo's cut networks answer as they do uncut."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.codecs import image
from edge_runtime.codecs.features import FeatureCodec
from edge_runtime.evaluation.demo import photo_paths
from edge_runtime.messages import Frame, Payload, Request
from edge_runtime.models import Bundle, Execution
from edge_runtime.models.bundle import MANIFEST
from edge_runtime.photos import open_frame
from edge_runtime.systems.driver import drive
from edge_runtime.systems.edge import PrefixModel, WholeModel
from edge_runtime.systems.local import Local
from edge_runtime.systems.remote import Remote
from edge_runtime.systems.split import Split
from server_ref.backend import Backend

if TYPE_CHECKING:
    from edge_runtime.messages import Reply

pytestmark = pytest.mark.host  # a server's large models, many times

BUNDLES = sorted(path.parent for path in (Path(__file__).parents[2] / "zoo").glob(f"*/{MANIFEST}"))
FOLDERS = [folder for folder in BUNDLES if Bundle.load(folder).manifest.splits]


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    """One network's bundle."""
    return Bundle.load(request.param)


def test_fine_features_keep_the_answer(bundle: Bundle) -> None:
    """At every cut, from float weights and from int8, the probabilities stay close to the whole network's."""
    frame = Frame(0, open_frame(photo_paths([])[0], bundle.frame))
    backend = Backend.open(bundle)

    def call(request: Request, _timeout_s: float) -> Reply:
        return backend.answer(request)

    whole = Payload("image", image.encode(frame.pixels, "png"))
    for spec in bundle.manifest.splits:
        wanted = backend.answer(Request("remote", 0, (whole,), spec.network)).probabilities[0]
        codec = FeatureCodec.load(bundle.read(spec.tables))
        for precision, difference in (("fp16", 0.05), ("int8", 0.25)):
            prefix = PrefixModel(bundle, spec.prefix, Execution(precision=precision))
            answer = drive(Split(prefix, codec, spec.suffix, quality=100).infer(frame), call)
            assert np.abs(answer.probabilities - wanted).max() < difference, (spec.cut, precision)
            assert answer.payload_bytes < 4 * np.prod(codec.shape)


def test_a_batch_is_answered_as_its_frames_are(bundle: Bundle) -> None:
    """By the whole network here, by the server's, and across the default cut, up to float noise."""
    frames = [Frame(i, open_frame(path, bundle.frame)) for i, path in enumerate(photo_paths([])[:3])]
    backend, spec = Backend.open(bundle), bundle.split()
    codec = FeatureCodec.load(bundle.read(spec.tables))
    systems = [
        Local(WholeModel(bundle, spec.network)),
        Remote("jpeg", 75, spec.network),
        Split(PrefixModel(bundle, spec.prefix), codec, spec.suffix, quality=60),
    ]

    def call(request: Request, _timeout_s: float) -> Reply:
        return backend.answer(request)

    for system in systems:
        together = drive(system.infer_batch(frames), call)
        alone = [drive(system.infer(frame), call) for frame in frames]
        assert [answer.label for answer in together] == [answer.label for answer in alone], system.name
        for one, other in zip(together, alone, strict=True):
            assert np.abs(one.probabilities - other.probabilities).max() < 1e-4, system.name
            assert one.payload_bytes == other.payload_bytes


def test_every_budget_is_kept(bundle: Bundle) -> None:
    """From one kilobyte up, on a photo unlike those of the calibration."""
    frame = Frame(0, open_frame(photo_paths([])[1], bundle.frame))
    for spec in bundle.manifest.splits:
        codec = FeatureCodec.load(bundle.read(spec.tables))
        features = PrefixModel(bundle, spec.prefix).features([frame]).reshape(codec.shape)
        for budget in (1024, 4096, 16384):
            assert len(codec.encode_within(features, budget)) <= budget
