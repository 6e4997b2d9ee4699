"""EfficientNet-Lite cut to fewer classes."""

from __future__ import annotations

import torch

from exporters.networks.efficientnet_lite import efficientnet_lite


def test_kept_classes_keep_their_logits() -> None:
    """The cut classifier's logits are the rows of the whole one's."""
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        whole, cut = efficientnet_lite(0).eval()(image), efficientnet_lite(0, (3, 700)).eval()(image)
    torch.testing.assert_close(cut, whole[:, [3, 700]])
