"""The fused hot path."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError

RULES = {
    "top-k": (kernels.TopK(30), lambda scores: kernels.select_top_k(scores, 30)),
    "threshold": (kernels.Threshold(0.005), lambda scores: kernels.select_threshold(scores, 0.005)),
    "sum": (kernels.CumulativeSum(0.97), lambda scores: kernels.select_sum(scores, 0.97)),
    "sum without crossing": (
        kernels.CumulativeSum(0.5, include_crossing=False),
        lambda scores: kernels.select_sum(scores, 0.5, include_crossing=False),
    ),
}


def inputs(seed: int, side: int = 224, classes: int = 10, heads: int = 3):
    """Logits, attention and a picture."""
    rng = np.random.default_rng(seed)
    tokens = (side // 16) ** 2 + 1
    return (
        rng.normal(0, 1.5, classes).astype(np.float32),
        rng.dirichlet(np.full(tokens, 0.7), heads).astype(np.float32),
        rng.integers(0, 256, (side, side, 3), dtype=np.uint8),
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("side", [224, 384])
def test_the_gate_has_the_bytes_of_its_parts(everywhere, rule, side):
    """Calling the kernels one by one gives the same answer."""
    logits, attention, image = inputs(side, side)
    setting, select = RULES[rule]

    def fused():
        gate = kernels.Gate(classes=10, heads=3, image=(side, side), eta=-1.0, rule=setting)
        return gate(logits, attention, image)

    decision = everywhere(fused)

    scores = kernels.class_attention(attention)
    indices = select(scores)
    assert not decision.local
    assert decision.uncertainty == kernels.uncertainty(logits)
    assert np.array_equal(scores, decision.scores)
    assert np.array_equal(indices, decision.indices)
    assert np.array_equal(kernels.pack_bitmap(indices, len(scores)), decision.bitmap)
    assert np.array_equal(kernels.gather(image, indices), decision.patches)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from(["min_entropy", "shannon", "margin"]), st.floats(0, 3))
def test_a_sure_frame_stays_local(everywhere, seed, measure, eta):
    """Below eta for entropies, above it for the margin."""
    logits, attention, image = inputs(seed, side=32)

    decision = everywhere(
        lambda: kernels.Gate(classes=10, heads=3, image=(32, 32), eta=eta, measure=measure)(logits, attention, image)
    )

    value = getattr(kernels.uncertainty(logits), measure)
    assert decision.local == (value > eta if measure == "margin" else value < eta)
    assert (len(decision.indices) == 0) == decision.local
    assert (len(decision.bitmap) == 0) == decision.local


@pytest.mark.usefixtures("each_backend")
def test_a_tie_with_eta_is_transmitted():
    """The inequality is strict: exactly eta is not sure enough."""
    _, attention, image = inputs(0, side=32)

    decision = kernels.Gate(classes=8, heads=3, image=(32, 32), eta=3.0)(np.zeros(8, np.float32), attention, image)

    assert not decision.local


@pytest.mark.usefixtures("each_backend")
def test_views_are_reused_by_the_next_call():
    """Buffers are made once; a caller that keeps a result copies it."""
    gate = kernels.Gate(classes=10, heads=3, eta=-1.0)

    first, second = gate(*inputs(1)), gate(*inputs(2))

    assert np.shares_memory(first.patches, second.patches)


def test_arrays_that_come_again_are_read_again(everywhere):
    """A camera loop may write every frame into the same arrays."""

    def second_frame():
        gate, frame = kernels.Gate(classes=10, heads=3, eta=-1.0), inputs(1)
        gate(*frame)
        for array, new in zip(frame, inputs(2), strict=True):
            array[:] = new
        return gate(*frame)

    decision = everywhere(second_frame)

    assert np.array_equal(kernels.class_attention(inputs(2)[1]), decision.scores)


def test_pictures_need_not_be_square(everywhere):
    """Rows and columns are not mixed up."""
    rng = np.random.default_rng(0)
    logits, attention = np.zeros(4, np.float32), rng.dirichlet(np.ones(16), 2).astype(np.float32)
    image = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)

    decision = everywhere(
        lambda: kernels.Gate(classes=4, heads=2, image=(24, 40), patch=8, rule=kernels.CumulativeSum(1.0))(
            logits, attention, image
        )
    )

    assert np.array_equal(kernels.gather(image, np.arange(15, dtype=np.uint16), 8), decision.patches)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, np.nan, "^logits: nan at index 0"),
        (1, np.nan, "^attention: holds NaN or inf"),
        (1, -0.5, "^attention: holds negative values"),
    ],
)
@pytest.mark.usefixtures("each_backend")
def test_broken_inputs_are_refused(position, value, message):
    """As the separate kernels refuse them."""
    frame = inputs(3)
    frame[position].flat[:2] = value

    with pytest.raises(ArgumentError, match=message):
        kernels.Gate(classes=10, heads=3, eta=-1.0)(*frame)


@pytest.mark.parametrize(("position", "name"), list(enumerate(["logits", "attention", "image"])))
@pytest.mark.usefixtures("each_backend")
def test_wrong_arrays_are_refused(position, name):
    """Shape, dtype and layout of each input."""
    gate, frame = kernels.Gate(classes=10, heads=3), list(inputs(4))
    good = frame[position]

    for bad in (good[:-1], good.astype(np.float16), np.repeat(good, 2, axis=-1)[..., ::2], good.tolist()):
        frame[position] = bad
        with pytest.raises(ArgumentError, match=f"^{name}: "):
            gate(*frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "classes: 0 is outside"),
        ({"heads": 0}, "heads: 0 is outside"),
        ({"eta": float("nan")}, "eta: nan is not finite"),
        ({"measure": "gini"}, "measure: 'gini' is unknown"),
        ({"image": (224, 225)}, "image: 224 × 225 is not a multiple"),
        ({"rule": kernels.TopK(197)}, "rule.k: 197 is outside 1..196"),
        ({"rule": kernels.Threshold(-0.1)}, "rule.delta: -0.1 is outside"),
        ({"rule": kernels.CumulativeSum(1.1)}, "rule.delta: 1.1 is outside"),
    ],
)
def test_settings_are_checked_when_made(options, message):
    """Not at the first frame."""
    with pytest.raises(ArgumentError) as error:
        kernels.Gate(**{"classes": 10, "heads": 3, **options})

    assert str(error.value).startswith(message)
