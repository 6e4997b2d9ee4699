"""The slimmable encoder: one set of weights at four widths."""

from __future__ import annotations

import pytest
import torch

from exporters.networks.channel_slimmable import WIDTHS, SlimBatchNorm, SlimEncoder


@pytest.fixture
def encoder() -> SlimEncoder:
    """Random weights."""
    torch.manual_seed(0)
    return SlimEncoder()


def test_a_width_fills_its_share_of_the_channels(encoder: SlimEncoder) -> None:
    """The latent has one shape; what a width does not have is zero."""
    latents = encoder.eval()(torch.randn(2, 3, 32, 32))
    for number, latent in enumerate(latents, 1):
        assert latent.shape == (2, 12, 4, 4)
        empty = latent.abs().amax((0, 2, 3)) == 0
        assert empty.tolist() == [False] * (3 * number) + [True] * (12 - 3 * number)


def test_a_narrow_width_reads_the_first_channels_alone(encoder: SlimEncoder) -> None:
    """What later channels weigh does not change it."""
    images = torch.randn(1, 3, 32, 32)
    before = encoder.eval().at_width(images, 2)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith("expand.weight"):
                parameter[len(parameter) // 2 :] += 1
    torch.testing.assert_close(encoder.at_width(images, 2), before)
    assert not torch.allclose(encoder.at_width(images, 3), before)


def test_statistics_are_each_widths_own() -> None:
    """Training at one width leaves the running means of the others alone."""
    norm = SlimBatchNorm(8).train()
    norm(torch.randn(4, 4, 3, 3) + 5, 2)
    assert [float(one.running_mean.abs().sum()) > 0 for one in norm.norms] == [False, True, False, False]
    assert [len(one.running_mean) for one in norm.norms] == [8 * number // WIDTHS for number in range(1, WIDTHS + 1)]
