"""A tiny zoo of random networks: real formats and runtimes, seconds instead of minutes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge_runtime.models import Bundle
from edge_runtime.scheduling.tables import Level, LevelCodec, Origin, Site, Tables
from exporters.bundle import build_bundle
from exporters.networks.efficientnet_lite import efficientnet_lite
from exporters.networks.mae import MaeConfig, MaskedAutoencoder
from exporters.networks.vit import VisionTransformer, VitConfig

# Tiny networks gain nothing from a second thread, and where cores are shared its waiting costs minutes.
torch.set_num_threads(1)

SPEC = """
name = "tiny"
classes = ["cat", "dog", "bird"]
default_edge_model = "eye"
default_server_model = "brain"

[frame]
size = 32
patch = 16

[gate]
eta = 0.8
delta = 0.97

[[models]]
name = "eye"
role = "edge"
kind = "vit-attention"
network = "vit"
weights = "weights.pt"
width = 16
depth = 2
heads = 2
mean = [127.0, 127.0, 127.0]
std = [128.0, 128.0, 128.0]
files = [
    { format = "onnx", precision = "fp16" },
    { format = "tflite", precision = "int8" },
    { format = "tflite", precision = "fp32" },
]

[[models]]
name = "brain"
role = "server"
kind = "vit-tokens"
network = "vit"
weights = "weights.pt"
width = 16
depth = 2
heads = 2
mean = [127.0, 127.0, 127.0]
std = [128.0, 128.0, 128.0]
files = [{ format = "onnx", precision = "int8" }, { format = "onnx", precision = "fp32" }]
"""


@pytest.fixture(scope="session")
def tiny_vit() -> VisionTransformer:
    """Four patches, two blocks, three classes; weights large enough that attention is not flat."""
    torch.manual_seed(0)
    network = VisionTransformer(VitConfig(image_size=32, patch=16, width=16, depth=2, heads=2, classes=3))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def spec_path(tmp_path_factory: pytest.TempPathFactory, tiny_vit: VisionTransformer) -> Path:
    """A spec with its weights beside it."""
    folder = tmp_path_factory.mktemp("spec")
    torch.save(tiny_vit.state_dict(), folder / "weights.pt")
    (folder / "tiny.toml").write_text(SPEC)
    return folder / "tiny.toml"


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, spec_path: Path) -> Bundle:
    """The bundle of that spec."""
    out = tmp_path_factory.mktemp("bundle")
    build_bundle(spec_path, out, count=3)
    return Bundle.load(out)


ROUNDS_SPEC = """
name = "two rounds"
classes = ["cat", "dog", "bird"]
default_server_model = "look"

[frame]
size = 64
patch = 16

[rounds]
classifier = "look"
recovery = "recover"
update = "look-again"
pattern = "jittered-grid"
"""
ROUNDS_MODEL = """
[[models]]
name = "{name}"
role = "server"
kind = "{kind}"
network = "{network}"
weights = "{network}.pt"
{trunk}width = 16
depth = 2
heads = 2
mean = [127.0, 127.0, 127.0]
std = [128.0, 128.0, 128.0]
files = [{{ format = "onnx", precision = "fp16" }}]
"""


@pytest.fixture(scope="session")
def rounds_spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec of two rounds, sixteen patches and three classes, with its random weights beside it."""
    folder = tmp_path_factory.mktemp("rounds-spec")
    torch.manual_seed(0)
    shape = {"image_size": 64, "width": 16, "depth": 2, "heads": 2}
    torch.save(VisionTransformer(VitConfig(**shape, classes=3)).state_dict(), folder / "two-round-vit.pt")
    torch.save(efficientnet_lite(0, (1, 2, 3)).state_dict(), folder / "trunk.pt")
    torch.save(MaskedAutoencoder(MaeConfig(**shape)).state_dict(), folder / "mae.pt")
    trunk = 'trunk_weights = "trunk.pt"\nimagenet_classes = [1, 2, 3]\n'
    models = (
        ("look", "vit-states", "two-round-vit"),
        ("look-again", "vit-update", "two-round-vit"),
        ("recover", "mae-recovery", "mae"),
    )
    entries = [
        ROUNDS_MODEL.format(name=name, kind=kind, network=network, trunk=trunk if network != "mae" else "")
        for name, kind, network in models
    ]
    (folder / "rounds.toml").write_text("".join([ROUNDS_SPEC, *entries]))
    return folder / "rounds.toml"


@pytest.fixture(scope="session")
def deit_weights() -> Path:
    """The published DeiT-Tiny checkpoint; it may not be committed, so a clone alone skips what needs it."""
    path = Path(__file__).parents[3] / "shared" / "weights" / "deit_tiny_patch16_224.safetensors"
    if not path.exists():
        pytest.skip("needs DeiT-Tiny's weights in ../shared/weights, which may not be distributed")
    return path


@pytest.fixture(scope="session")
def tables() -> Tables:
    """What a scheduler would measure: 200 frames a second on either side, photos of 3 to 10 kB, a cut of 2 to 4 kB."""
    return Tables(
        format=1,
        bundle_hash="0" * 64,
        network="net",
        origin=Origin("a device", "a server", "onnxruntime", "fp16", 1, "2026-01-01", 1000, "0.1.0"),
        local_s=_times(5.0),
        sites=(
            Site("", {}, _times(5.0), (_level("jpeg", 10, 3000, 0.05), _level("jpeg", 75, 10_000, 0.0))),
            Site("early", _times(1.5), _times(4.0), (_level("ff", 40, 2000, 0.005), _level("ff", 70, 4000, 0.0))),
        ),
        request_s=5e-4,
        serving_s=5e-4,
        request_bytes=200,
        reply_bytes=120,
        bandwidth=1e6,
        round_trip_s=0.02,
        largest_batch=32,
    )


def _times(one_ms: float) -> dict[int, float]:
    return {batch: (1 + (one_ms - 1) * batch) / 1e3 for batch in (1, 2, 4, 8, 16, 32)}


def _level(codec: LevelCodec, quality: int, size: int, loss: float) -> Level:
    return Level(codec, quality, size, encode_s=2e-4, decode_s=2e-4, loss=loss, loss_error=1e-3)
