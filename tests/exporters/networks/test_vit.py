"""The plain ViT: three readings of the same weights agree."""

from __future__ import annotations

import torch

from exporters.networks.vit import VisionTransformer, VitConfig


def test_logits_do_not_depend_on_reporting_attention(tiny_vit: VisionTransformer) -> None:
    """A class-token-only last block, every matrix, and no matrix give the same logits."""
    images = torch.randn(2, 3, 32, 32)
    expected = tiny_vit(images)
    for all_layers in (False, True):
        logits, _ = tiny_vit.forward_with_attention(images, all_layers=all_layers)
        torch.testing.assert_close(logits, expected)


def test_last_class_row_is_part_of_every_matrix(tiny_vit: VisionTransformer) -> None:
    """The reported row is the class token's row of the last matrix, and sums to one."""
    images = torch.randn(2, 3, 32, 32)
    _, row = tiny_vit.forward_with_attention(images)
    _, matrices = tiny_vit.forward_with_attention(images, all_layers=True)
    assert row.shape == (2, 2, 5)
    assert matrices.shape == (2, 2, 2, 5, 5)
    torch.testing.assert_close(matrices[:, -1, :, 0], row)
    torch.testing.assert_close(row.sum(-1), torch.ones(2, 2))


def test_all_patches_give_the_whole_image_answer(tiny_vit: VisionTransformer) -> None:
    """Patches in any order, with their positions, answer as the image does."""
    images = torch.randn(2, 3, 32, 32)
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5).reshape(2, 4, -1)
    order = torch.tensor([2, 0, 3, 1])
    logits = tiny_vit.forward_tokens(patches[:, order], order.expand(2, -1))
    torch.testing.assert_close(logits, tiny_vit(images))


def test_defaults_are_deit_tiny() -> None:
    """DeiT-Tiny has 5,717,416 parameters."""
    assert sum(p.numel() for p in VisionTransformer(VitConfig()).parameters()) == 5_717_416
