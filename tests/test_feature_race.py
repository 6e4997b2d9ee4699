"""The codecs that the race of feature maps compares, and how it chooses their settings."""

from __future__ import annotations

from itertools import pairwise

import feature_rate as rate
import feature_rivals as rivals
import feature_summary as summary
import numpy as np
import pytest

SHAPES = [(6, 28, 28), (5, 14, 14), (20, 7, 7)]


def feature_map(shape: tuple[int, int, int], *, relu: bool = False) -> np.ndarray:
    """Smooth noise, channels of unequal strength."""
    rng = np.random.default_rng(len(shape) + sum(shape))
    noise = rng.normal(size=shape)
    smooth = sum(np.roll(noise, shift, axis) for shift in (-1, 0, 1) for axis in (1, 2))
    features = (smooth * rng.gamma(2.0, 2.0, (shape[0], 1, 1))).astype(np.float32)
    return np.maximum(features, 0) if relu else features


def error(codec: object, features: np.ndarray, setting: object) -> float:
    """Relative error of a round trip."""
    decoded = codec.decode(codec.encode(features, setting))
    assert decoded.dtype == np.float32
    assert decoded.shape == features.shape
    return float(np.linalg.norm(decoded - features) / np.linalg.norm(features))


CODECS = [(shape, codec.name) for shape in SHAPES for codec in rivals.rivals(shape)]


@pytest.mark.parametrize(("shape", "name"), CODECS)
def test_finer_settings_take_more_bytes_and_err_less(shape: tuple[int, int, int], name: str) -> None:
    """Settings run from coarse to fine, and the finest is nearly exact."""
    codec = next(codec for codec in rivals.rivals(shape) if codec.name == name)
    features = feature_map(shape)
    places = np.linspace(0, len(codec.settings) - 1, 9).astype(int)
    errors = [error(codec, features, codec.settings[place]) for place in places]
    sizes = [len(codec.encode(features, codec.settings[place])) for place in places]
    assert errors[-1] < 0.05
    assert all(later < earlier + 0.1 for earlier, later in pairwise(errors))
    assert all(later > earlier * 0.9 for earlier, later in pairwise(sizes))


@pytest.mark.parametrize("name", ["uniform + zstd-1", "uniform + lz4"])
def test_uniform_steps_bound_the_error(name: str) -> None:
    """No value is further off than half a step."""
    features = feature_map(SHAPES[0])
    codec = next(codec for codec in rivals.rivals(SHAPES[0]) if codec.name == name)
    for setting in codec.settings[::9]:
        decoded = codec.decode(codec.encode(features, setting))
        step = (features.max() - features.min()) / setting
        assert np.abs(decoded - features).max() <= step / 2 * 1.001


def test_bytes_alone_tell_a_receiver_everything() -> None:
    """Another object of the same shape decodes the bytes alike: nothing is carried on the side."""
    features = feature_map(SHAPES[1])
    for sender, receiver in zip(rivals.rivals(SHAPES[1]), rivals.rivals(SHAPES[1]), strict=True):
        data = sender.encode(features, sender.settings[-1])
        assert np.array_equal(receiver.decode(data), sender.decode(data))


def test_maps_of_one_value_survive() -> None:
    """A range of no width divides by nothing."""
    for value in (0.0, -3.0):
        features = np.full(SHAPES[1], value, np.float32)
        for codec in rivals.rivals(SHAPES[1]):
            decoded = codec.decode(codec.encode(features, codec.settings[-1]))
            assert np.allclose(decoded, features, atol=0.02), codec.name


def test_photos_survive() -> None:
    """The photo itself goes through its codecs."""
    ramp = np.linspace(0, 255, 48).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (48, 1)), np.tile(ramp[:, None], (1, 48)), np.full((48, 48), 90, np.uint8)], 2)
    for codec in rivals.photo_rivals():
        decoded = codec.decode(codec.encode(pixels, 95))
        assert np.abs(decoded.astype(int) - pixels).mean() < 5


def test_the_finest_that_fits_is_chosen() -> None:
    """The search finds what trying every setting finds; where none fits, the coarsest is sent."""
    features, budgets = feature_map(SHAPES[0]), (300, 1200, 100_000)
    for codec in rivals.rivals(SHAPES[0]):
        sizes = np.array([len(codec.encode(features, setting)) for setting in codec.settings])
        for sent, budget in zip(rate.within(codec, features, budgets), budgets, strict=True):
            fitting = sizes[sizes <= budget]
            assert len(sent.data) == (fitting.max() if len(fitting) else sizes[0])
            assert sent.encode() == sent.data


def test_own_rate_control_is_used_while_it_keeps_to_the_budget() -> None:
    """A rate control that overshoots is replaced by the search."""

    class Controlled(rivals.Uniform):
        """Takes the coarsest setting for 500 bytes and more, the finest for fewer."""

        def choose(self, features: np.ndarray, budget: int) -> float:
            """What fits only where much is allowed."""
            del features
            return self.settings[0 if budget >= 500 else -1]

    codec = Controlled(SHAPES[0], "none", bytes, lambda data, _: data)
    features = feature_map(SHAPES[0])
    tight, roomy = rate.within(codec, features, (499, 2000))
    assert len(tight.data) > 499
    assert tight.data == codec.encode(features, codec.settings[0])
    assert (tight.controlled, roomy.controlled) == (False, True)
    assert roomy.data == codec.encode(features, codec.settings[0])


def test_paired_interval() -> None:
    """Ten points lost on 400 photos: bounds of about three points to both sides; none lost: no width."""
    right = np.zeros(400, bool)
    right[:300] = True
    worse = right.copy()
    worse[:40] = False
    low, high = summary.interval(right, worse)
    assert low < 0.1 < high
    assert low > 0.06
    assert high < 0.14
    assert summary.interval(right, right) == (0, 0)


def row(codec: str, right: np.ndarray, **changes: object) -> dict[str, object]:
    """A row as the race writes them, whose clean network is always right."""
    clean = np.ones(len(right), bool)
    figures = {"network": "n", "cut": "c", "budget": 1024, "can_play": True, "photos": len(right), "mean_bytes": 1000.0}
    loss = {"loss": float(1 - right.mean()), "loss_interval": summary.interval(clean, right)}
    return {
        **figures,
        **loss,
        "codec": codec,
        "correct": summary.to_text(right),
        "encode_ms": 1.0,
        "decode_ms": 1.0,
    } | changes


def test_summary_tells_wins_from_losses() -> None:
    """One point won, one lost, one without a choice."""
    right = np.ones(203, bool)
    half = right.copy()
    half[::2] = False
    winning = [row("FF", right), row("zfp accuracy", half, encode_ms=3.0)]
    losing = [row("FF", half, budget=2048), row("JPEG tiles", right, budget=2048)]
    unplayed = [row("zfp accuracy", right, budget=4096, can_play=False), row("FF", right, budget=4096)]
    found = summary.summarise([*winning, *losing, *unplayed])
    assert (found["ff_best_share"], found["ff_lowest_share"], found["ff_points"]) == (0.5, 0.5, 2)
    assert found["largest_loss_reduction"][0]["codec"] == "zfp accuracy"
    assert found["largest_loss_reduction"][0]["reduction"] == 1
    assert found["largest_time_reduction"][0]["reduction"] == 0.5
    assert [(entry["codec"], entry["known"]) for entry in found["rivals_ahead"]] == [("JPEG tiles", True)]
