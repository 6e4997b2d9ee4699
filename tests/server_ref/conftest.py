"""What the server tests share: a picture, a predictor that needs no model, a tiny bundle."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
import pytest
import tomli_w
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.models.bundle import (
    FrameSpec,
    GateSpec,
    Manifest,
    ModelFile,
    ModelSpec,
    Tensor,
    manifest_hash,
    toml_table,
)
from server_ref.backend import Backend
from server_ref.handlers import HANDLERS
from server_ref.predictor import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.messages import Request

HASH = hashlib.sha256(b"a bundle").hexdigest()
CLASSES = ("red", "green", "blue")
SIZE, PATCH = 64, 16


class ColourShare:
    """Probabilities are the shares of red, green and blue; `hold` keeps it from answering while cleared.

    ``calls`` counts its runs, ``sizes`` how many requests each answered.
    """

    kinds = ("image", "patches")
    max_bytes = 3 * SIZE**2

    def __init__(self, *, batches: bool = False) -> None:
        self.batches = batches
        self.sizes: list[int] = []
        self.began = threading.Event()
        self.hold = threading.Event()
        self.hold.set()

    @property
    def calls(self) -> int:
        """Runs so far."""
        return len(self.sizes)

    def decode(self, request: Request, deadline_s: float) -> list[np.ndarray]:  # noqa: ARG002 - of `Predictor`
        """Sums of the colours in the received patches."""
        pictures = [HANDLERS[payload.kind](payload.data, SIZE, PATCH) for payload in request.payloads]
        return [picture.patches.sum(axis=(0, 1, 2), dtype=np.float64) for picture in pictures]

    def run(self, inputs: Sequence[np.ndarray]) -> list[Outcome]:
        """Logarithms of the sums."""
        self.sizes.append(len(inputs))
        self.began.set()
        self.hold.wait(10)
        return [Outcome(np.log(np.maximum(sums, 1e-30)).astype(np.float32)) for sums in inputs]


@pytest.fixture
def predictor() -> ColourShare:
    """A predictor that can be held."""
    return ColourShare()


@pytest.fixture
def backend(predictor: ColourShare) -> Backend:
    """A backend with that predictor as its only model, for frames of 4 × 4 patches."""
    return Backend(
        {"colour": predictor},
        default_model="colour",
        bundle_hash=HASH,
        classes=CLASSES,
        frame_size=SIZE,
        patch_size=PATCH,
    )


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """A frame that is half red and half blue, uint8[64, 64, 3]."""
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    frame[:32, :, 0] = 200
    frame[32:, :, 2] = 200
    return frame


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a model of each server kind, whose logits are the mean normalised colours, and a slow one."""
    folder = tmp_path_factory.mktemp("bundle")
    tokens, cnn = _mean_of_tokens(), _mean_of_image()
    specs = (
        _spec(folder, "tokens", "vit-tokens", tokens, {"patches": (-1, -1, 768), "positions": (-1, -1)}),
        _spec(folder, "filled", "cnn-filled", cnn, {"image": (-1, 3, SIZE, SIZE)}),
        _spec(folder, "slow", "cnn-filled", _slow(), {"image": (-1, 3, SIZE, SIZE)}),
        _spec(folder, "edge", "vit-attention", cnn, {"image": (1, 3, SIZE, SIZE)}),
    )
    manifest = Manifest(
        format=1,
        name="tiny",
        created_by="tests",
        hash="",
        half="both",
        classes=CLASSES,
        default_edge_model="edge",
        default_server_model="tokens",
        frame=FrameSpec(size=SIZE, patch=PATCH),
        models=specs,
        gate=GateSpec(eta=0.5, delta=0.9),
    )
    manifest = msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
    (folder / "bundle.toml").write_text(tomli_w.dumps(toml_table(manifest)))
    return folder


def _spec(folder: Path, name: str, kind: str, model: onnx.ModelProto, inputs: dict[str, tuple[int, ...]]) -> ModelSpec:
    data = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(data)
    dtypes = {"positions": "int64"}
    file = ModelFile(
        path=f"{name}.onnx",
        format="onnx",
        precision="fp32",
        runtimes=("onnxruntime",),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        inputs=tuple(Tensor(n, n, shape, dtypes.get(n, "float32")) for n, shape in inputs.items()),
        outputs=(Tensor("logits", "logits", (-1, 3)),),
    )
    role = "edge" if name == "edge" else "server"
    return ModelSpec(
        name=name,
        role=role,
        kind=kind,
        mean=(100.0, 110.0, 120.0),
        std=(50.0, 55.0, 60.0),
        parameters=1,
        macs=1,
        files=(file,),
    )


def _mean_of_tokens() -> onnx.ModelProto:
    """logits[b, c] = mean over tokens and pixels of channel c, plus the mean position in every logit."""
    by_channel = np.repeat(np.eye(3, dtype=np.float32), PATCH * PATCH, axis=0) / (PATCH * PATCH)
    nodes = [
        helper.make_node("ReduceMean", ["patches", "token_axis"], ["token"], keepdims=0),
        helper.make_node("MatMul", ["token", "by_channel"], ["colour"]),
        helper.make_node("Cast", ["positions"], ["at"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["at", "token_axis"], ["where"], keepdims=1),
        helper.make_node("Add", ["colour", "where"], ["logits"]),
    ]
    inputs = [
        helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["b", "n", 768]),
        helper.make_tensor_value_info("positions", TensorProto.INT64, ["b", "n"]),
    ]
    constants = {"by_channel": by_channel, "token_axis": np.array([1])}
    return _model(nodes, inputs, constants)


def _mean_of_image() -> onnx.ModelProto:
    """logits[b, c] = mean of channel c."""
    nodes = [helper.make_node("ReduceMean", ["image", "axes"], ["logits"], keepdims=0)]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, SIZE, SIZE])]
    return _model(nodes, inputs, {"axes": np.array([2, 3])})


def _slow() -> onnx.ModelProto:
    """logits[b, c] = mean of channel c, after some 100 GFLOP that come to nothing."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["colour"], keepdims=0),
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nought"]),
        helper.make_node("Expand", ["nought", "large"], ["product0"]),
        *(helper.make_node("MatMul", [f"product{i}", f"product{i}"], [f"product{i + 1}"]) for i in range(9)),
        helper.make_node("ReduceMax", ["product9"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["colour", "nothing"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, SIZE, SIZE])]
    constants = {"axes": np.array([2, 3]), "zero": np.float32([0]), "large": np.array([1800, 1800])}
    return _model(nodes, inputs, constants)


def _model(nodes: list, inputs: list, constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 3])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, [logits], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
