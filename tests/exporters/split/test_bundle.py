"""A bundle of halves: what is in it, what it computes, what ties it together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
import pytest

from edge_runtime.errors import ArgumentError, BundleError, ModelError
from edge_runtime.models import Bundle, Execution, open_model
from edge_runtime.models.bundle import FrameSpec, manifest_hash
from exporters.bundle_folder import split_bundle
from exporters.split.bundle import DeviceEntries, Labels, write_split
from exporters.split.cuts import find_cuts
from exporters.split.halves import read_files
from exporters.split.source import Network
from exporters.validate_bundle import validate_bundle
from exporters.validate_samples import samples_of, synthetic_photos
from tests.exporters.split.conftest import SIZE, residual_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.split.graph import Graph

MEAN, STD = (127.0,) * 3, (64.0,) * 3
PHOTOS = synthetic_photos(SIZE, 12)
LABELS = Labels("net", FrameSpec(SIZE, 8), MEAN, STD, ("cat", "dog", "bird"))
FILES = ("onnx-fp32", "onnx-fp16", "onnx-int8")


def tables(prefix: Path, suffix: Path, photos: np.ndarray, mean: tuple, std: tuple, *, rectified: bool) -> bytes:
    """Stands in for the codec's calibration: both files load from where they lie."""
    for path in (prefix, suffix):
        onnx.checker.check_model(onnx.load(path))
    assert (photos.shape, mean, std) == (PHOTOS.shape, MEAN, STD)
    return f"{prefix.stem}, {'positive' if rectified else 'signed'}".encode()


def write(graph: Graph, out: Path, labels: Labels = LABELS, cuts: tuple[str, ...] = ("relu2", "conv5")) -> Bundle:
    """The bundle of a network at two cuts."""
    found, files = find_cuts(graph), read_files(FILES)
    entries = DeviceEntries(files, files)
    write_split(Network(graph), [found.named(cut) for cut in cuts], entries, labels, PHOTOS, tables, out)
    return Bundle.load(out)


@pytest.fixture
def bundle(residual: Graph, tmp_path: Path) -> Bundle:
    """The residual network's."""
    return write(residual, tmp_path / "bundle")


def test_each_cut_has_its_halves_and_tables(bundle: Bundle) -> None:
    """Both halves are called after network and cut; the first cut is the default."""
    assert bundle.split().cut == "relu2"
    split = bundle.split("conv5")
    assert (split.network, split.tensor, split.prefix, split.suffix) == ("net", "narrow", "net.conv5", "net.conv5")
    assert bundle.read(split.tables) == b"net.conv5-prefix, signed"
    assert bundle.read(bundle.split().tables) == b"net.relu2-prefix, positive"
    prefix, suffix = bundle.model("edge", split.prefix), bundle.model("server", split.suffix)
    assert (prefix.kind, suffix.kind) == ("cnn-prefix", "cnn-suffix")
    assert bundle.model("server").kind == "cnn-filled"
    assert prefix.macs + suffix.macs == bundle.model("server").macs
    assert prefix.parameters + suffix.parameters == bundle.model("server").parameters
    assert prefix.files[0].outputs[0].shape == suffix.files[0].inputs[0].shape == (-1, 4, 4, 4)


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", 0.01), ("fp16", 0.01), ("int8", 0.2)])
@pytest.mark.parametrize("cut", ["relu2", "conv5"])
def test_halves_answer_like_the_whole(bundle: Bundle, cut: str, precision: str, allowed: float) -> None:
    """The device's features, handed to the server, give the network's logits; the server takes several at once."""
    split = bundle.split(cut)
    prefix = open_model(bundle, bundle.model("edge", split.prefix), Execution(precision=precision))
    suffix = open_model(bundle, bundle.model("server", split.suffix))
    whole = open_model(bundle, bundle.model("server"))
    samples = samples_of("cnn-filled", PHOTOS, MEAN, STD, 8)
    features = np.concatenate([prefix.run(sample)["features"] for sample in samples])
    wanted = whole.run({"image": np.concatenate([sample["image"] for sample in samples])})["logits"]
    answers = suffix.run({"features": features})["logits"]
    assert np.abs(answers - wanted).max() < allowed * np.abs(wanted).max()


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", 1e-4), ("fp16", 0.01), ("int8", 0.2)])
def test_the_device_has_the_whole_network_too(bundle: Bundle, precision: str, allowed: float) -> None:
    """In its own formats and precisions it gives the logits that the server's gives, and costs as much."""
    spec, wanted = bundle.model("edge", "net"), bundle.model("server", "net")
    assert (spec.kind, spec.macs, spec.parameters) == ("cnn-whole", wanted.macs, wanted.parameters)
    assert bundle.manifest.default_edge_model == "net.relu2"
    images = np.concatenate([sample["image"] for sample in samples_of("cnn-whole", PHOTOS, MEAN, STD, 8)])
    answers = open_model(bundle, spec, Execution(precision=precision)).run({"image": images})["logits"]
    exact = open_model(bundle, spec, Execution(precision="fp32")).run({"image": images})["logits"]
    assert np.abs(answers - exact).max() <= allowed * np.abs(exact).max()


def test_no_model_is_stored_twice(bundle: Bundle) -> None:
    """The device's whole network in float16 is the server's file, and no other file has the same bytes."""
    (shared,) = (file for file in bundle.model("edge", "net").files if file.precision == "fp16")
    assert (shared,) == bundle.model("server").files
    files = [path.read_bytes() for path in bundle.folder.iterdir()]
    assert len(set(files)) == len(files)


def test_a_whole_network_that_answers_otherwise_is_left_out(
    residual: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small differences that change labels count: every file claims to keep nearly all of the photos' labels."""
    monkeypatch.setattr("exporters.split.halves.SAME_LABELS", 1.01)
    bundle = write(residual, tmp_path / "bundle")
    assert [file.precision for file in bundle.model("edge", "net").files] == ["fp16"]


def test_the_server_models_share_one_file_of_weights(bundle: Bundle) -> None:
    """It is stored once, and checked whenever one of them is opened."""
    models = bundle.models("server")
    assert {file.weights.path for model in models for file in model.files} == {"net-fp16.weights"}
    (bundle.folder / "net-fp16.weights").write_bytes(b"others")
    with pytest.raises(BundleError, match=r"net-fp16\.weights: its sha256"):
        open_model(bundle, models[-1])


def test_halves_divide_models_and_share_tables(bundle: Bundle, tmp_path: Path) -> None:
    """The device gets no suffixes, the server no prefixes; both get the tables, the whole network, and one hash."""
    names = {}
    for half in ("device", "server"):
        split_bundle(bundle.folder, tmp_path / half, half)
        names[half] = {path.name for path in (tmp_path / half).iterdir()}
        assert Bundle.load(tmp_path / half).hash == bundle.hash
    whole = {"net-fp16.onnx", "net-fp16.weights"}
    assert names["device"] & names["server"] == {"bundle.toml", "net.relu2.tables", "net.conv5.tables", *whole}
    assert {"net-int8.onnx", "net-fp32.onnx"} < names["device"]
    open_model(Bundle.load(tmp_path / "device"), bundle.model("edge", "net"), Execution(precision="fp16"))
    open_model(Bundle.load(tmp_path / "server"), bundle.model("server", "net.conv5"))


def test_other_tables_are_another_bundle(bundle: Bundle) -> None:
    """A server that decodes by other tables must be told apart."""
    manifest = bundle.manifest
    split = manifest.splits[0]
    other = msgspec.structs.replace(split, tables=msgspec.structs.replace(split.tables, sha256="0" * 64))
    changed = msgspec.structs.replace(manifest, splits=(other, *manifest.splits[1:]))
    assert manifest_hash(changed) != bundle.hash


def test_a_written_bundle_validates(bundle: Bundle, tmp_path: Path) -> None:
    """Also the server's half alone, where there are no features but noise."""
    checks, _ = validate_bundle(bundle.folder, None, None, 2)
    assert len(checks) == 1 + 3 + 2 * (3 + 1)
    assert all(check.passed for check in checks)
    split_bundle(bundle.folder, tmp_path / "server", "server")
    checks, _ = validate_bundle(tmp_path / "server", None, None, 2)
    assert all(check.passed for check in checks)


@pytest.mark.parametrize("options", [{"opset": 11}, {"batch": 1}])
def test_own_files_of_other_opsets_and_batches_split_too(
    read: Callable[..., Graph], tmp_path: Path, options: dict[str, int]
) -> None:
    """Int8 needs a newer opset, which the file is brought to."""
    bundle = write(read(residual_model(**options)), tmp_path / "own", cuts=("relu2",))
    assert [file.precision for file in bundle.model("edge").files] == ["fp32", "fp16", "int8"]


def test_a_fixed_larger_batch_is_refused(read: Callable[..., Graph], tmp_path: Path) -> None:
    """Photos come one by one."""
    with pytest.raises(ModelError, match="net: takes batches of 4 only; export it with an open batch"):
        write(read(residual_model(batch=4)), tmp_path / "own")


def test_class_names_must_fit(residual: Graph, tmp_path: Path) -> None:
    """Too few names are told; without names, classes are called by their folders or by number."""
    few = Labels("net", FrameSpec(SIZE, 8), MEAN, STD, ("cat", "dog"))
    with pytest.raises(ArgumentError, match="--classes: 2 names for 3 logits; name each"):
        write(residual, tmp_path / "few", few)
    unnamed = Labels("net", FrameSpec(SIZE, 8), MEAN, STD)
    assert unnamed.names_of(3) == ("0", "1", "2")


def test_device_files_are_named_by_format_and_precision() -> None:
    """Anything else is told what there is."""
    with pytest.raises(ArgumentError, match="files onnx int9: each is onnx- or tflite- and fp32, fp16 or int8"):
        read_files(["onnx", "int9"])


def test_weights_are_stored_once_and_small_ones_stay(bundle: Bundle) -> None:
    """The file holds the float16 kernels of at least a KiB; vectors and tiny kernels remain in the graphs."""
    model = onnx.load(bundle.folder / "net-fp16.onnx", load_external_data=False)
    outside = [weight for weight in model.graph.initializer if weight.external_data]
    assert [weight.name for weight in outside] == ["w1_float16", "w2_float16"]
    size = sum(2 * math.prod(weight.dims) for weight in outside)
    assert size <= (bundle.folder / "net-fp16.weights").stat().st_size < size + 64 * len(outside)
