"""Kinds demand what they read."""

from __future__ import annotations

import pytest
import torch

from edge_runtime.errors import ArgumentError
from exporters.networks.readings import read_as


def test_network_without_attention_is_refused() -> None:
    """The message names the network's class and the missing method."""
    with pytest.raises(ArgumentError, match=r"Linear: has no method forward_with_attention\(\)"):
        read_as("vit-attention", torch.nn.Linear(1, 1))


def test_all_layers_needs_attention() -> None:
    """A convolutional model has no matrices to report."""
    with pytest.raises(ArgumentError, match="all_layers"):
        read_as("cnn-filled", torch.nn.Linear(1, 1), all_layers=True)
