"""Modes are measured as device and server will run them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.labelled_photos import Photo
from edge_runtime.messages import Frame
from edge_runtime.models import open_model
from edge_runtime.photos import open_frame
from edge_runtime.systems.encoders import Encoders
from exporters.calibration.latents import LatentEncoders
from exporters.calibration.modes import ModeMeasurement

if TYPE_CHECKING:
    from edge_runtime.control.modes import ModeTable
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import LatentSpec


@pytest.fixture(scope="module")
def photos(latent_bundle: Bundle) -> list[Photo]:
    """Two each of red, green and blue, of which the last bears a wrong label."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(6):
        pixels = rng.integers(0, 120, (latent_bundle.frame.size,) * 2 + (3,), np.uint8)
        pixels[..., number // 2] += 100
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png")
        found.append(Photo(f"{number}.png", 0 if number == 5 else number // 2, file.getvalue()))
    return found


@pytest.fixture(scope="module", params=["ensemble", "widths"])
def spec(latent_bundle: Bundle, request: pytest.FixtureRequest) -> LatentSpec:
    """Each family."""
    return latent_bundle.latent(request.param)


@pytest.fixture(scope="module")
def table(latent_bundle: Bundle, spec: LatentSpec, photos: list[Photo]) -> ModeTable:
    """What was measured of it."""
    edge = [latent_bundle.model("edge", name) for name in spec.encoders]
    combined = (lambda parts: parts.cumsum(axis=0)) if spec.sums else (lambda parts: parts)
    encoders = LatentEncoders([open_model(latent_bundle, one) for one in edge], combined, edge[0].mean, edge[0].std)
    decoder, network = (
        open_model(latent_bundle, latent_bundle.model("server", name)) for name in (spec.decoder, "net")
    )
    codec = LatentCodec.load(latent_bundle.read(spec.tables))
    measurement = ModeMeasurement(encoders, codec, decoder, network, edge[0].mean, edge[0].std)
    return measurement.table(photos, latent_bundle.frame)


def test_bytes_and_answers_are_the_devices(
    latent_bundle: Bundle, spec: LatentSpec, photos: list[Photo], table: ModeTable
) -> None:
    """Payloads of the device's own encoders are as large, and their answers as often right."""
    device = Encoders(latent_bundle, spec)
    codec = LatentCodec.load(latent_bundle.read(spec.tables))
    decoder = open_model(latent_bundle, latent_bundle.model("server", spec.decoder))
    for figures in table.modes:
        sizes, right = [], []
        for photo in photos:
            frame = Frame(0, open_frame(photo.data, latent_bundle.frame))
            payload = codec.encode(device.latent(frame, figures.encoders), figures.encoders, figures.levels)
            sizes.append(len(payload))
            logits = decoder.run({"latent": codec.decode(payload)[np.newaxis]})["logits"]
            right.append(logits.argmax() == photo.label)
        assert figures.accuracy == pytest.approx(np.mean(right), abs=1e-5)
        assert figures.bytes.mean == pytest.approx(np.mean(sizes), abs=0.05)
        assert min(sizes) <= figures.bytes.most <= max(sizes)


def test_every_mode_is_there_once(spec: LatentSpec, table: ModeTable) -> None:
    """Each number of encoders at each number of levels, beside what the whole network answers."""
    assert len({one.mode for one in table.modes}) == len(table.modes) == len(spec.encoders) * 7
    assert table.photos == 6
    assert table.teacher_accuracy == pytest.approx(5 / 6, abs=1e-5)
    assert table.server_ms > 0
