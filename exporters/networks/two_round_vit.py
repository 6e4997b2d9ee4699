"""A ViT beside a convolutional network, whose second look at a picture costs a fraction of its first.

Both judge by what arrived: the trunk, an EfficientNet-Lite0 that learnt to miss patches, sees grey elsewhere, and the
ViT, which learnt from subsets of patches, takes keys from no other; their probabilities are multiplied. Recovered
patches are tokens all the same. They look at the others but are looked at by nobody, except that the class token of
the last layer says how much it would attend to each: that is what to ask for.

The first pass keeps keys and values of every layer. When more patches arrive, the second computes the class token and
those patches' tokens alone and takes all other keys and values from the first pass, where they are a little stale:
variant L1 of the notes (reconstruction). It is exact when every patch is listed. The trunk runs anew: convolutions are
cheap on a server.
"""

# mypy: disable-error-code="no-any-return, no-untyped-call"
# torch does not type what calling a module returns.

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.networks import efficientnet_lite as lite
from exporters.networks import vit
from exporters.networks.vit import Block, VisionTransformer, VitConfig


class TwoRoundVit(nn.Module):
    """``trunk`` maps images to logits of as many classes as ``config`` has, whose side is a multiple of 32.

    Pictures are normalised as EfficientNet-Lite wants; for the ViT they become what DeiT is used to.
    """

    def __init__(self, config: VitConfig, trunk: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.vit = VisionTransformer(config)
        self.trunk = trunk
        self.scale: Tensor
        self.shift: Tensor
        pairs = list(zip(lite.MEAN, lite.STD, vit.MEAN, vit.STD, strict=True))
        scale = torch.tensor([std / its_std for _, std, _, its_std in pairs])
        shift = torch.tensor([(mean - its_mean) / its_std for mean, _, its_mean, its_std in pairs])
        self.register_buffer("scale", scale.view(3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor, visible: Tensor) -> Tensor:
        """Logits ``[B, classes]``; arguments as in `first`."""
        return self.first(images, visible)[0]

    def first(self, images: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``[B, classes]``, the last layer's class row ``[B, heads, T]``, keys and values of every layer.

        ``images [B, 3, H, W]`` are recovered where ``visible`` float32 ``[B, grid²]`` is 0; it is 1 where a patch
        arrived. The class row is what attention would be if all had arrived. States are
        ``[B, layers, 2, heads, T, width / heads]``; token 0 is the class token's.
        """
        x = self._tokens(images)
        mask = _mask(torch.cat([torch.ones_like(visible[:, :1]), visible], dim=1))
        states = []
        for block in self._blocks[:-1]:
            q, k, v = _project(block, x)
            x = _finish(block, x, _attend(q, k, v, mask))
            states.append(torch.stack([k, v], dim=1))
        last = self._blocks[-1]
        q, k, v = _project(last, x)
        states.append(torch.stack([k, v], dim=1))
        q = q[:, :, :1]
        attention = (_scaled(q) @ k.transpose(-2, -1)).softmax(dim=-1)
        x = _finish(last, x[:, :1], _attend(q, k, v, mask))
        return self._logits(images, visible, x), attention[:, :, 0], torch.stack(states, dim=1)

    def update(self, images: Tensor, visible: Tensor, states: Tensor, positions: Tensor) -> Tensor:
        """Logits ``[B, classes]`` after the patches at raster indices ``positions`` int64 ``[B, D]`` have arrived.

        ``images`` and ``visible`` are as they are now, ``states`` what `first` gave for them before.
        """
        new = torch.cat([torch.zeros_like(positions[:, :1]), positions + 1], dim=1)
        x = self._tokens(images)
        x = x.gather(1, new.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        # Known tokens keep their old keys and values, the new ones follow behind them.
        known = torch.cat([torch.zeros_like(visible[:, :1]), visible.scatter(1, positions, 0.0)], dim=1)
        mask = _mask(torch.cat([known, torch.ones_like(new, dtype=known.dtype)], dim=1))
        for layer, block in enumerate(self._blocks):
            q, k, v = _project(block, x)
            k = torch.cat([states[:, layer, 0], k], dim=2)
            v = torch.cat([states[:, layer, 1], v], dim=2)
            if layer == self.config.depth - 1:
                q, x = q[:, :, :1], x[:, :1]
            x = _finish(block, x, _attend(q, k, v, mask))
        return self._logits(images, visible, x)

    @property
    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.vit.blocks))

    def _tokens(self, images: Tensor) -> Tensor:
        return self.vit.tokens(images * self.scale + self.shift)

    def _logits(self, images: Tensor, visible: Tensor, x: Tensor) -> Tensor:
        """The product of both networks' probabilities, as logits; ``x [B, 1, width]`` is the class token."""
        grid, patch = self.config.grid, self.config.patch
        shown = visible.unflatten(1, (grid, grid)).unsqueeze(1)
        seen = self.trunk(images * shown.repeat_interleave(patch, 2).repeat_interleave(patch, 3))
        tokens = self.vit.head(self.vit.norm(x[:, 0]))
        return F.log_softmax(seen, dim=-1) + F.log_softmax(tokens, dim=-1)


def _mask(seen: Tensor) -> Tensor:
    """What is added to attention scores ``[B, heads, Q, T]``: nothing for tokens ``seen`` (1), else minus a lot."""
    return ((seen - 1) * 1e4)[:, None, None]


def _project(block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of tokens ``x [B, T, width]``, each ``[B, heads, T, width / heads]``."""
    batch, tokens, _ = x.shape
    qkv = block.attn.qkv(block.norm1(x)).reshape(batch, tokens, 3, block.attn.heads, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v


def _scaled(q: Tensor) -> Tensor:
    return q * q.shape[-1] ** -0.5


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (_scaled(q) @ k.transpose(-2, -1) + mask).softmax(dim=-1) @ v


def _finish(block: Block, x: Tensor, attended: Tensor) -> Tensor:
    """The rest of a block for tokens ``x [B, Q, width]``, given what they attended to, ``[B, heads, Q, ·]``."""
    x = x + block.attn.proj(attended.transpose(1, 2).flatten(2))
    return x + block.mlp(block.norm2(x))
