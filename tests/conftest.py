"""What the whole suite shares: the committed zoo, a tiny cut network, and data that may lie beside the repository."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
import pytest
import tomli_w
from onnx import TensorProto, helper, numpy_helper, parser
from PIL import Image

from edge_runtime.codecs.latent_tables import make_tables
from edge_runtime.control.modes import BITS, ModeFigures, ModeTable
from edge_runtime.control.rounds import Bytes, RoundTables, ServerTimes, Setting, Temperatures
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import (
    FrameSpec,
    LatentSpec,
    Manifest,
    ModelFile,
    ModelSpec,
    RoundsSpec,
    SplitSpec,
    StoredFile,
    Tensor,
    manifest_hash,
    toml_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
# The tiny network means over blocks of so many pixels first, then over all: each cut's name and block.
CUTS = {"early": 4, "late": 8}
FRAME = 64


@pytest.fixture
def restored_logs() -> Iterator[None]:
    """What the daemon's logs configure for the whole process is taken back."""
    import structlog

    from edge_runtime.daemon.logs import Handler

    root = logging.getLogger()
    level = root.level
    yield
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers = [one for one in root.handlers if not isinstance(one, Handler)]


@pytest.fixture(scope="session")
def zoo() -> Bundle:
    """The committed bundle."""
    return Bundle.load(ROOT / "zoo")


@pytest.fixture(scope="session")
def imagenette_val() -> Path:
    """Real validation photos; they may not be committed, so a clone alone skips what needs them."""
    path = ROOT.parent / "shared" / "data" / "imagenette224_val.tar"
    if not path.exists():
        pytest.skip("needs the Imagenette validation photos in ../shared/data, which may not be distributed")
    return path


@pytest.fixture(scope="session")
def colour_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve noisy photos each of red, green and blue, in folders of those names."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for channel, colour in enumerate(("red", "green", "blue")):
        (folder / colour).mkdir()
        for number in range(12):
            pixels = random.integers(0, 120, (80, 100, 3), np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(folder / colour / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def split_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A network ``net`` that tells red, green and blue photos apart: whole, and cut at ``early`` and at ``late``."""
    folder = tmp_path_factory.mktemp("split")
    models = [
        _network(folder, "net", kind, {"image": (-1, 3, FRAME, FRAME)}, {"logits": (-1, 3)}, 1)
        for kind in ("cnn-filled", "cnn-whole")
    ]
    splits = []
    for cut, block in CUTS.items():
        shape = (3, FRAME // block, FRAME // block)
        name = f"net.{cut}"
        prefix = _network(
            folder, name, "cnn-prefix", {"image": (-1, 3, FRAME, FRAME)}, {"features": (-1, *shape)}, block
        )
        suffix = _network(folder, name, "cnn-suffix", {"features": (-1, *shape)}, {"logits": (-1, 3)}, 1)
        models += [prefix, suffix]
        tables = _store(folder, f"{cut}.tables", _tables(folder, prefix, suffix))
        splits.append(SplitSpec(network="net", cut=cut, tensor=cut, prefix=name, suffix=name, tables=tables))
    manifest = Manifest(
        format=1,
        name="tiny",
        created_by="tests",
        hash="",
        half="both",
        classes=("red", "green", "blue"),
        default_edge_model="net.early",
        default_server_model="net",
        frame=FrameSpec(size=FRAME, patch=16),
        models=tuple(models),
        splits=tuple(splits),
        default_split="early",
    )
    manifest = msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
    (folder / "bundle.toml").write_text(tomli_w.dumps(toml_table(manifest)))
    return Bundle.load(folder)


@pytest.fixture(scope="session")
def rounds_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Three models of two rounds that tell colours apart by their mean over a frame of 4 × 4 patches, uncalibrated.

    What is missing is recovered as the mean of what is visible, a little brighter in some patches than in others; the
    class token attends to what is bright; the states are the patches' colours.
    """
    folder = tmp_path_factory.mktemp("rounds")
    manifest = Manifest(
        format=1,
        name="tiny-rounds",
        created_by="tests",
        hash="",
        half="both",
        classes=("red", "green", "blue"),
        default_edge_model="",
        default_server_model="classify",
        frame=FrameSpec(size=FRAME, patch=16),
        models=tuple(_parsed(folder, name, *kind_and_graph) for name, kind_and_graph in ROUNDS_GRAPHS.items()),
        rounds=RoundsSpec(classifier="classify", recovery="recover", update="update", pattern="jittered-grid"),
    )
    manifest = msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
    (folder / "bundle.toml").write_text(tomli_w.dumps(toml_table(manifest)))
    return Bundle.load(folder)


# Of two codecs, with more accuracy for more patches; nobody measured it.
ROUNDS_TABLES = RoundTables(
    photos=100,
    settings=(Setting("webp", 20), Setting("jpeg", 50)),
    first=(4, 8, 16),
    second=(0, 4),
    below=(0.0, 0.5, 0.9),
    temperatures=Temperatures((4, 16), (1.2, 1.0)),
    accuracy=tuple(
        tuple(
            tuple(tuple(value + gain for gain in (0.0, 0.03, 0.05)) if more else (value,) * 3 for more in (0, 1))
            if first < 16
            else ((value,) * 3, (None,) * 3)
            for first, value in ((4, 0.8), (8, 0.9), (16, 0.94 + extra))
        )
        for extra in (0.0, 0.02)
    ),
    asked=(((0.0, 0.2, 0.5),) * 3,) * 2,
    first_bytes=tuple(tuple(Bytes(size * count, 1.5 * size * count) for count in (4, 8, 16)) for size in (100, 400)),
    second_bytes=tuple(tuple(Bytes(size * count, 1.5 * size * count) for count in (0, 4)) for size in (100, 400)),
    server_ms=ServerTimes(first=(10, 10, 10), update=(0, 4)),
)


@pytest.fixture(scope="session")
def calibrated_rounds(rounds_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The three models of two rounds, with tables."""
    folder = tmp_path_factory.mktemp("calibrated") / "bundle"
    shutil.copytree(rounds_bundle.folder, folder)
    manifest, replace = rounds_bundle.manifest, msgspec.structs.replace
    assert manifest.rounds is not None
    tables = _store(folder, "rounds.json", ROUNDS_TABLES.dump())
    manifest = replace(manifest, rounds=replace(manifest.rounds, tables=tables))
    manifest = replace(manifest, hash=manifest_hash(manifest))
    (folder / "bundle.toml").write_text(tomli_w.dumps(toml_table(manifest)))
    return Bundle.load(folder)


# The mean colour of every patch, row by row.
_COLOURS = """
    pooled = AveragePool <kernel_shape = [16, 16], strides = [16, 16]> (image)
    shape = Constant <value = int64[3] {1, 3, 16}> ()
    flat = Reshape (pooled, shape)
    colours = Transpose <perm = [0, 2, 1]> (flat)
    one = Constant <value = int64[1] {1}> ()
"""
ROUNDS_GRAPHS = {
    "recover": (
        "mae-recovery",
        """(float[1, n, 768] patches, int64[1, n] positions) => (float[1, 16, 768] recovered) {
        one = Constant <value = int64[1] {1}> ()
        mean = ReduceMean <keepdims = 1> (patches, one)
        bright = Constant <value = float[16]
            {0.1, 0.9, 0.3, 0.5, 0.8, 0.2, 0.7, 0.4, 0.6, 0.15, 0.95, 0.35, 0.55, 0.85, 0.25, 0.75}> ()
        shape = Constant <value = int64[3] {1, 16, 1}> ()
        brighter = Reshape (bright, shape)
        recovered = Add (mean, brighter)
    }""",
    ),
    "classify": (
        "vit-states",
        """(float[1, 3, 64, 64] image, float[1, 16] visible)
        => (float[1, 3] logits, float[1, 2, 17] attention, float[1, 1, 2, 1, 17, 3] states) {"""
        + _COLOURS
        + """
        logits = ReduceMean <keepdims = 0> (colours, one)
        two = Constant <value = int64[1] {2}> ()
        light = ReduceMean <keepdims = 0> (colours, two)
        before = Constant <value = int64[4] {0, 1, 0, 0}> ()
        padded = Pad (light, before)
        weights = Softmax <axis = -1> (padded)
        row = Unsqueeze (weights, one)
        heads = Constant <value = int64[3] {1, 2, 17}> ()
        attention = Expand (row, heads)
        above = Constant <value = int64[6] {0, 1, 0, 0, 0, 0}> ()
        tokens = Pad (colours, above)
        layer = Constant <value = int64[6] {1, 1, 1, 1, 17, 3}> ()
        values = Reshape (tokens, layer)
        both = Constant <value = int64[6] {1, 1, 2, 1, 17, 3}> ()
        states = Expand (values, both)
    }""",
    ),
    "update": (
        "vit-update",
        """(float[1, 3, 64, 64] image, float[1, 16] visible, float[1, 1, 2, 1, 17, 3] states,
        int64[1, n] positions)
        => (float[1, 3] logits) {"""
        + _COLOURS
        + """
        all = Constant <value = int64[1] {-1}> ()
        places = Reshape (positions, all)
        changed = Gather <axis = 1> (colours, places)
        second = Constant <value = int64 {1}> ()
        kept = Gather <axis = 2> (states, second)
        tokens = Constant <value = int64[3] {1, 17, 3}> ()
        values = Reshape (kept, tokens)
        rows = Add (positions, one)
        two = Constant <value = int64[1] {2}> ()
        column = Unsqueeze (rows, two)
        size = Shape (changed)
        where = Expand (column, size)
        updated = ScatterElements <axis = 1> (values, where, changed)
        sum = ReduceSum <keepdims = 0> (updated, one)
        sixteen = Constant <value = float {16}> ()
        logits = Div (sum, sixteen)
    }""",
    ),
}


SMALL_FRAME = 32
LATENT = (4, 4, 4)


@pytest.fixture(scope="session")
def latent_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two families of four encoders that pool colours over blocks of 8 × 8 pixels, and the whole network.

    The members of ``ensemble`` count half as much each, and add up; those of ``widths`` fill one channel more each, of
    red, green, blue and grey. The decoders tell colours apart by the mean latent.
    """
    folder = tmp_path_factory.mktemp("latent")
    image = (3, SMALL_FRAME, SMALL_FRAME)
    models = [_network(folder, "net", "cnn-filled", {"image": (-1, *image)}, {"logits": (-1, 3)}, 1)]
    models.append(msgspec.structs.replace(models[0], role="edge", kind="cnn-whole"))
    latents = []
    for family, sums in (("ensemble", True), ("widths", False)):
        names = tuple(f"{family}{number}" for number in (1, 2, 3, 4))
        models += [_encoder(folder, name, number, sums) for number, name in enumerate(names)]
        models.append(_parsed(folder, f"{family}-decoder", "latent-decoder", LATENT_DECODER))
        latents.append(
            LatentSpec(
                name=family,
                encoders=names,
                sums=sums,
                decoder=f"{family}-decoder",
                tables=_store(folder, f"{family}.tables", _latent_tables(narrow=not sums)),
                modes=_store(folder, f"{family}.json", LATENT_MODES.dump()),
            )
        )
    manifest = Manifest(
        format=1,
        name="tiny-latents",
        created_by="tests",
        hash="",
        half="both",
        classes=("red", "green", "blue"),
        default_edge_model="ensemble1",
        default_server_model="net",
        frame=FrameSpec(size=SMALL_FRAME, patch=8),
        models=tuple(models),
        latents=tuple(latents),
    )
    manifest = msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
    (folder / "bundle.toml").write_text(tomli_w.dumps(toml_table(manifest)))
    return Bundle.load(folder)


# Nobody measured it.
LATENT_MODES = ModeTable(
    photos=100,
    teacher_accuracy=0.98,
    server_ms=5.0,
    modes=tuple(
        ModeFigures(number, levels, 0.6 + 0.07 * bits + 0.02 * number, Bytes(8 + 8 * bits, 9 + 8 * bits))
        for number in (1, 2, 3, 4)
        for levels, bits in BITS.items()
    ),
)
LATENT_DECODER = """(float[b, 4, 4, 4] latent) => (float[b, 3] logits) {
    pooled = GlobalAveragePool (latent)
    flat = Flatten (pooled)
    weights = Constant <value = float[4, 3] {5, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0}> ()
    logits = MatMul (flat, weights)
}"""


def _encoder(folder: Path, name: str, number: int, sums: bool) -> ModelSpec:
    """A convolution whose channels are the means of red, green, blue and all three, shifted to lie around zero."""
    weights = np.repeat(np.vstack([np.eye(3), np.full((1, 3), 1 / 3)]), 64).reshape(4, 3, 8, 8) / 64
    weights += np.random.default_rng(number).normal(0, 0.01, weights.shape)
    bias = np.full(4, -2.0)
    if sums:
        weights, bias = weights / 2**number, bias / 2**number
    else:
        weights[number + 1 :], bias[number + 1 :] = 0, 0
    nodes = [helper.make_node("Conv", ["image", "weights", "bias"], ["latent"], strides=[8, 8])]
    shapes = {"image": (1, 3, SMALL_FRAME, SMALL_FRAME)}, {"latent": (1, *LATENT)}
    infos = [
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape)] for one in shapes for key, shape in one.items()
    ]
    constants = [
        numpy_helper.from_array(values.astype(np.float32), key)
        for key, values in (("weights", weights), ("bias", bias))
    ]
    graph = helper.make_graph(nodes, "tiny", *infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    stored = _store(folder, f"{name}.onnx", model.SerializeToString())
    return _spec(name, "latent-encoder", stored, *shapes)


def _latent_tables(*, narrow: bool) -> bytes:
    """Levels over −3 to 3 (``narrow``: −2 to 2), those in the middle more frequent."""
    levels = tuple(BITS)
    span = 4 if narrow else 6
    steps = np.array([[span / count] * LATENT[0] for count in levels], np.float32)
    counts = np.zeros((4, len(levels), LATENT[0], 16), np.int64)
    for place, count in enumerate(levels):
        symbols = np.arange(count)
        counts[:, place, :, :count] = 1 + np.minimum(symbols, count - 1 - symbols) ** 2
    return make_tables(LATENT, levels, steps, counts)


def _parsed(folder: Path, name: str, kind: str, text: str) -> ModelSpec:
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> tiny {text}')
    stored = _store(folder, f"{name}.onnx", model.SerializeToString())
    return _spec(name, kind, stored, _shapes(model.graph.input), _shapes(model.graph.output))


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> dict[str, tuple[int, ...]]:
    return {one.name: tuple(size.dim_value or -1 for size in one.type.tensor_type.shape.dim) for one in values}


def _tables(folder: Path, prefix: ModelSpec, suffix: ModelSpec) -> bytes:
    """The feature codec's tables of a cut, calibrated on noise of several colours."""
    from exporters.calibration.calibrate import calibrate

    noise = np.random.default_rng(0).integers(0, 256, (16, FRAME, FRAME, 3))
    photos = (noise * np.random.default_rng(1).random((16, 1, 1, 3))).astype(np.uint8)
    return calibrate(folder / prefix.files[0].path, folder / suffix.files[0].path, photos, prefix.mean, prefix.std)


def _store(folder: Path, name: str, data: bytes) -> StoredFile:
    (folder / name).write_bytes(data)
    return StoredFile(path=name, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def _network(
    folder: Path,
    name: str,
    kind: str,
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    block: int,
) -> ModelSpec:
    """Means over blocks of pixels, or over everything where the output is flat."""
    stored = _store(folder, f"{kind}-{name}.onnx", _graph(inputs, outputs, block).SerializeToString())
    return _spec(name, kind, stored, inputs, outputs)


def _spec(
    name: str,
    kind: str,
    stored: StoredFile,
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
) -> ModelSpec:
    file = ModelFile(
        path=stored.path,
        format="onnx",
        precision="fp32",
        runtimes=("onnxruntime",),
        sha256=stored.sha256,
        bytes=stored.bytes,
        inputs=tuple(
            Tensor(key, key, shape, "int64" if key == "positions" else "float32") for key, shape in inputs.items()
        ),
        outputs=tuple(Tensor(key, key, shape) for key, shape in outputs.items()),
    )
    return ModelSpec(
        name=name,
        role="edge" if kind in {"cnn-prefix", "cnn-whole", "latent-encoder"} else "server",
        kind=kind,
        mean=(0.0, 0.0, 0.0),
        std=(50.0, 50.0, 50.0),
        parameters=1,
        macs=1,
        files=(file,),
    )


def _graph(inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]], block: int) -> onnx.ModelProto:
    ((source, _),), ((target, _),) = inputs.items(), outputs.items()
    node = (
        helper.make_node("AveragePool", [source], [target], kernel_shape=[block, block], strides=[block, block])
        if target == "features"
        else helper.make_node("ReduceMean", [source, "axes"], [target], keepdims=0)
    )
    constants = [] if target == "features" else [numpy_helper.from_array(np.array([2, 3]), "axes")]
    infos = [
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, ["b" if size < 0 else size for size in shape])]
        for key, shape in (*inputs.items(), *outputs.items())
    ]
    graph = helper.make_graph([node], "tiny", *infos, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
