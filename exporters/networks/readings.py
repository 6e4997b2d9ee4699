"""What an exported file computes: a network read through the named inputs and outputs of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.models.bundle import Kind


class Reading(nn.Module):
    """A network behind one kind's interface; names of inputs are those of ``forward``.

    ``axes`` names the dimensions that may vary, by input; ``method`` is what the network must offer.
    """

    method: ClassVar[str]
    axes: ClassVar[dict[str, dict[int, str]]]
    outputs: ClassVar[tuple[str, ...]]

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not hasattr(network, self.method):
            raise ArgumentError(f"{type(network).__name__}: has no method {self.method}(), which its kind needs")
        self.network = network.eval().requires_grad_(False)

    def example(self, sample: Mapping[str, NDArray[np.generic]]) -> tuple[Tensor, ...]:
        """The sample's arrays as positional arguments of ``forward``."""
        return tuple(torch.from_numpy(sample[name]) for name in self.axes)

    @torch.no_grad()
    def answer(self, sample: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Named outputs of one sample."""
        values = self(*self.example(sample))
        values = values if isinstance(values, tuple) else (values,)
        return {name: value.numpy() for name, value in zip(self.outputs, values, strict=True)}


class AttentionReading(Reading):
    """Kind ``vit-attention``: ``image [B, 3, S, S]`` to ``logits [B, C]`` and ``attention``.

    ``attention`` is the last layer's class row ``[B, heads, T]``, or with ``all_layers`` ``[B, layers, heads, T, T]``.
    """

    method = "forward_with_attention"
    axes: ClassVar = {"image": {0: "batch"}}
    outputs = ("logits", "attention")

    def __init__(self, network: nn.Module, *, all_layers: bool) -> None:
        super().__init__(network)
        self.all_layers = all_layers

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and attention."""
        return cast("tuple[Tensor, Tensor]", getattr(self.network, self.method)(image, all_layers=self.all_layers))


class TokensReading(Reading):
    """Kind ``vit-tokens``: ``patches [B, N, 3 p²]`` float32 and ``positions [B, N]`` int64 to ``logits [B, C]``."""

    method = "forward_tokens"
    axes: ClassVar = {"patches": {0: "batch", 1: "tokens"}, "positions": {0: "batch", 1: "tokens"}}
    outputs = ("logits",)

    def forward(self, patches: Tensor, positions: Tensor) -> Tensor:
        """Logits of a subset of patches."""
        return cast("Tensor", getattr(self.network, self.method)(patches, positions))


class RecoveryReading(Reading):
    """Kind ``mae-recovery``: ``patches [B, N, 3 p²]`` and ``positions [B, N]`` to ``recovered [B, grid², 3 p²]``."""

    method = "forward"
    axes: ClassVar = TokensReading.axes
    outputs = ("recovered",)

    def forward(self, patches: Tensor, positions: Tensor) -> Tensor:
        """All patches from those that were seen."""
        return cast("Tensor", self.network(patches, positions))


class StatesReading(Reading):
    """Kind ``vit-states``: ``image [B, 3, S, S]`` and ``visible [B, grid²]`` to logits, attention and states.

    They are ``logits [B, C]``, ``attention [B, heads, T]`` and ``states [B, layers, 2, heads, T, d]``.
    """

    method = "first"
    axes: ClassVar = {"image": {0: "batch"}, "visible": {0: "batch"}}
    outputs = ("logits", "attention", "states")

    def forward(self, image: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A first look."""
        return cast("tuple[Tensor, Tensor, Tensor]", getattr(self.network, self.method)(image, visible))


class UpdateReading(Reading):
    """Kind ``vit-update``: ``image`` and ``visible`` now, ``states`` before, new ``positions [B, D]`` to ``logits``."""

    method = "update"
    axes: ClassVar = StatesReading.axes | {"states": {0: "batch"}, "positions": {0: "batch", 1: "changed"}}
    outputs = ("logits",)

    def forward(self, image: Tensor, visible: Tensor, states: Tensor, positions: Tensor) -> Tensor:
        """A second look at what changed."""
        return cast("Tensor", getattr(self.network, self.method)(image, visible, states, positions))


class ImageReading(Reading):
    """Kind ``cnn-filled``: ``image [B, 3, S, S]``, missing patches filled, to ``logits [B, C]``."""

    method = "forward"
    axes: ClassVar = {"image": {0: "batch"}}
    outputs = ("logits",)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of an image."""
        return cast("Tensor", self.network(image))


class PrefixReading(ImageReading):
    """Kind ``cnn-prefix``: ``image [B, 3, S, S]`` to ``features``."""

    outputs = ("features",)


class EncoderReading(ImageReading):
    """Kind ``latent-encoder``: ``image [B, 3, S, S]`` to ``latent [B, C, h, w]``, or a part of one."""

    outputs = ("latent",)


class DecoderReading(Reading):
    """Kind ``latent-decoder``: ``latent [B, C, h, w]`` to ``logits [B, classes]``."""

    method = "forward"
    axes: ClassVar = {"latent": {0: "batch"}}
    outputs = ("logits",)

    def forward(self, latent: Tensor) -> Tensor:
        """Logits of a latent."""
        return cast("Tensor", self.network(latent))


def read_as(kind: Kind, network: nn.Module, *, all_layers: bool = False) -> Reading:
    """Put the interface of ``kind`` before ``network``; ``all_layers`` concerns ``vit-attention`` only."""
    if kind == "vit-attention":
        return AttentionReading(network, all_layers=all_layers)
    if all_layers:
        raise ArgumentError(f"all_layers: a {kind} model reports no attention; leave it out")
    readings: dict[Kind, type[Reading]] = {
        "vit-tokens": TokensReading,
        "vit-states": StatesReading,
        "vit-update": UpdateReading,
        "mae-recovery": RecoveryReading,
        "latent-encoder": EncoderReading,
        "latent-decoder": DecoderReading,
    }
    return readings.get(kind, ImageReading)(network)
