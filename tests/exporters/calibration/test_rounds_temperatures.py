"""Temperatures of answers whose true ones are known."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.calibration.rounds_temperatures import LEAST, MOST, fit_temperatures, softmax


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels and visible patches of answers that are too sure: the fewer patches, the more so."""
    rng = np.random.default_rng(0)
    visible = rng.choice([20, 60, 100], 40_000)
    calibrated = rng.normal(0, 2, (len(visible), 5))
    chances = softmax(calibrated).cumsum(axis=1)
    labels = (rng.random(len(visible))[:, np.newaxis] > chances).sum(axis=1).clip(max=4)
    return calibrated * temperature(visible)[:, np.newaxis], labels, visible


def temperature(visible: np.ndarray) -> np.ndarray:
    """From 3 at 20 patches to 1 at 100."""
    return 3 - (visible - 20) / 40


def test_the_true_ones_are_found(answers):
    """Each from the answers with so many patches."""
    found = fit_temperatures(*answers, (20, 60, 100))

    assert found.counts == (20, 60, 100)
    assert found.values == pytest.approx([3, 2, 1], rel=0.05)


def test_answers_between_counts(answers):
    """They weigh for both: what is only seen at 60 is what 20 and 100 have in common."""
    logits, labels, visible = (array[answers[2] == 60] for array in answers)

    assert fit_temperatures(logits, labels, visible, (20, 100)).values == pytest.approx([2, 2], rel=0.05)


def test_none_is_more_likely(answers):
    """With one count it is the best single temperature."""
    logits, labels, visible = answers
    (best,) = fit_temperatures(logits, labels, visible, (50,)).values

    def likelihood(value: float) -> float:
        return np.log(softmax(logits / value)[np.arange(len(labels)), labels]).mean()

    assert likelihood(best) > max(likelihood(0.98 * best), likelihood(1.02 * best))


@pytest.mark.parametrize(("labels", "bound"), [([0, 1, 1], LEAST), ([1, 0, 0], MOST)])
def test_bounds(labels, bound):
    """Answers that are always right would be made ever surer, wrong ones ever less."""
    logits = np.array([[1.0, 0], [0, 3], [-1, 2]])
    found = fit_temperatures(logits, np.array(labels), np.array([7, 7, 7]), (7,))

    assert found.values == pytest.approx([bound], rel=1e-3)
