"""The encoders of a family: added up or alone, and nothing loaded between two frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, BundleError, ModelError
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle, Execution, open_model
from edge_runtime.systems.encoders import Encoders

if TYPE_CHECKING:
    from edge_runtime.models.bundle import LatentSpec


@pytest.fixture
def small() -> Frame:
    """Noise, of the tiny bundle's size."""
    return Frame(5, np.random.default_rng(4).integers(0, 256, (32, 32, 3), np.uint8))


def alone(bundle: Bundle, spec: LatentSpec, number: int, frame: Frame) -> np.ndarray:
    """What encoder ``number`` makes of a frame by itself."""
    model = bundle.model("edge", spec.encoders[number - 1])
    image = kernels.normalise(frame.pixels, np.float32(model.mean), np.float32(model.std))
    return open_model(bundle, model).run({"image": image[np.newaxis]})["latent"][0]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_members_add_up_in_their_order(latent_bundle: Bundle, small: Frame, number: int) -> None:
    """The latent of n is the float32 sum of the first n, to the last bit."""
    spec = latent_bundle.latent("ensemble")
    wanted = alone(latent_bundle, spec, 1, small)
    for other in range(2, number + 1):
        wanted = wanted + alone(latent_bundle, spec, other, small)
    latent = Encoders(latent_bundle, spec).latent(small, number)
    assert (latent.dtype, latent.shape) == (np.float32, (4, 4, 4))
    np.testing.assert_array_equal(latent, wanted)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_widths_run_alone(latent_bundle: Bundle, small: Frame, number: int) -> None:
    """The latent of n is the n-th encoder's, its channels above n empty."""
    spec = latent_bundle.latent("widths")
    latent = Encoders(latent_bundle, spec).latent(small, number)
    np.testing.assert_array_equal(latent, alone(latent_bundle, spec, number, small))
    assert latent[:number].all()
    assert not latent[number:].any()


def test_a_mode_is_no_state(latent_bundle: Bundle, small: Frame) -> None:
    """Latents depend on nothing that was asked for before, and outlive what is asked for later."""
    encoders = Encoders(latent_bundle, latent_bundle.latent())
    first = [encoders.latent(small, number) for number in (1, 2, 3, 4)]
    kept = [latent.copy() for latent in first]
    other = Frame(6, 255 - small.pixels)
    for number in (4, 1, 3, 2):
        encoders.latent(other, number)
        np.testing.assert_array_equal(encoders.latent(small, number), kept[number - 1])
    np.testing.assert_array_equal(first, kept)


def test_switching_loads_nothing(latent_bundle: Bundle, small: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the mode, after the start no file is read."""
    encoders = Encoders(latent_bundle, latent_bundle.latent())

    def read(*_: Any) -> bytes:
        raise AssertionError("a file was read")

    monkeypatch.setattr(Bundle, "read", read)
    assert [encoders.latent(small, number).shape for number in (4, 1)] == [(4, 4, 4)] * 2


@pytest.mark.parametrize("number", [0, 5])
def test_as_many_as_there_are(latent_bundle: Bundle, small: Frame, number: int) -> None:
    """None and too many are refused."""
    encoders = Encoders(latent_bundle, latent_bundle.latent())
    assert len(encoders) == 4
    with pytest.raises(ArgumentError, match=f"encoders: {number} of 4; give 1..4"):
        encoders.latent(small, number)


def test_a_warm_up_measures_every_number(latent_bundle: Bundle) -> None:
    """One time each, in seconds."""
    taken_s = Encoders(latent_bundle, latent_bundle.latent()).warm_up()
    assert len(taken_s) == 4
    assert all(0 < one < 1 for one in taken_s)


def test_encoders_see_one_picture(latent_bundle: Bundle) -> None:
    """Which is normalised once: another mean or deviation in one of them is an error."""
    manifest, replace = latent_bundle.manifest, msgspec.structs.replace
    models = tuple(
        replace(model, mean=(1.0, 2.0, 3.0)) if model.name == "ensemble3" else model for model in manifest.models
    )
    changed = Bundle(latent_bundle.folder, replace(manifest, models=models))
    with pytest.raises(BundleError, match="the encoders of ensemble differ in mean and std"):
        Encoders(changed, changed.latent("ensemble"))
    assert len(Encoders(changed, changed.latent("widths"))) == 4


def test_a_precision_that_is_not_there(latent_bundle: Bundle) -> None:
    """The model that lacks it is named."""
    with pytest.raises(ModelError, match="ensemble1: no file for runtime"):
        Encoders(latent_bundle, latent_bundle.latent(), Execution(precision="int8"))
