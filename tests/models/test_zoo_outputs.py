"""Every model file of the zoo, in every runtime that it claims, answers as recorded on another machine.

`python tests/models/test_zoo_outputs.py` records: values of every output, spread over it, and its norm.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from edge_runtime.models import Bundle, Model, installed_runtimes, load_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edge_runtime.models import ModelFile, ModelSpec
    from edge_runtime.models.bundle import Runtime

Arrays = dict[str, "NDArray[Any]"]
ZOO = Path(__file__).parents[2] / "zoo"
RECORDED = Path(__file__).with_name("zoo_outputs.json")
VALUES = 60
# How far values may be from the recorded ones, as a share of their norm. Arithmetic in another order changes last
# digits; where values are rounded to 8 bits on the way, those decide for one step or the next.
TOLERANCE = {"fp32": 1e-5, "fp16": 1e-5, "int8": 0.2}
# The same of the whole output's norm, in which most steps that fall either way cancel out.
NORM_TOLERANCE = {"fp32": 1e-5, "fp16": 1e-5, "int8": 0.03}


@cache
def bundle(name: str) -> Bundle:
    """The zoo's bundle in a folder of that name, "." being the zoo's own."""
    return Bundle.load(ZOO / name)


class Claim(NamedTuple):
    """One runtime that a file of one of the zoo's bundles claims to run in."""

    folder: str
    spec: ModelSpec
    file: ModelFile
    runtime: Runtime

    @property
    def name(self) -> str:
        """What it is called in the record."""
        return f"{self.folder}/{self.file.path} {self.runtime}"


def claims() -> list[Claim]:
    """Everything that the zoo says it can run; a file that serves two models counts once."""
    folders = sorted(path.parent.relative_to(ZOO).as_posix() for path in ZOO.glob("**/bundle.toml"))
    found = [
        Claim(folder, spec, file, runtime)
        for folder in folders
        for spec in bundle(folder).manifest.models
        for file in spec.files
        for runtime in file.runtimes
    ]
    return list({claim.name: claim for claim in found}.values())


def picture(size: int) -> NDArray[np.float32]:
    """A soft, coloured picture, float32 ``[3, size, size]`` in 0..255: what a network sees is then no mere noise."""
    row, column = np.mgrid[0:size, 0:size] / size
    disc = np.hypot(row - 0.45, column - 0.55) < 0.3
    sky = np.stack([90 + 60 * row, 140 + 40 * row, 220 - 80 * row])
    ball = np.stack([200 - 90 * row, 180 + 40 * np.sin(19 * column), 60 + 90 * column])
    return np.where(disc, ball, sky).astype(np.float32)


def inputs(folder: str, spec: ModelSpec) -> Arrays:
    """What a model is given: the picture, patches of it, or what another model makes of it."""
    manifest = bundle(folder).manifest
    size, side = manifest.frame.size, manifest.frame.patch
    mean, std = (np.array(values, np.float32)[:, np.newaxis, np.newaxis] for values in (spec.mean, spec.std))
    image = ((picture(size) - mean) / std)[np.newaxis].astype(np.float32)
    names = [tensor.name for tensor in spec.files[0].inputs]
    if names == ["features"]:
        (prefix,) = (split.prefix for split in manifest.splits if split.suffix == spec.name)
        return before(folder, "edge", prefix)
    if names == ["latent"]:
        (family,) = (family for family in manifest.latents if family.decoder == spec.name)
        return before(folder, "edge", family.encoders[0])
    grid = size // side
    kept = np.arange(0, grid**2, 2, dtype=np.int64)
    visible = np.zeros((1, grid**2), np.float32)
    visible[0, kept] = 1
    patches = image.reshape(3, grid, side, grid, side).transpose(1, 3, 0, 2, 4).reshape(1, grid**2, -1)
    found = {"image": image, "visible": visible, "patches": patches[:, kept], "positions": kept[np.newaxis]}
    if "states" in names:
        assert manifest.rounds is not None
        found["states"] = before(folder, "server", manifest.rounds.classifier)["states"]
        found["visible"] = np.ones_like(visible)
        found["positions"] = kept[np.newaxis, :20] + 1
    return {name: found[name] for name in names}


@cache
def before(folder: str, role: str, name: str) -> Arrays:
    """What the model of that role and name makes of the picture, in onnxruntime at its highest precision."""
    (spec,) = (spec for spec in bundle(folder).manifest.models if (spec.role, spec.name) == (role, name))
    return opened(folder, spec.files[0], "onnxruntime").run(inputs(folder, spec))


def opened(folder: str, file: ModelFile, runtime: Runtime) -> Model:
    """A model file in a runtime, one thread."""
    return load_model(bundle(folder).source(file), file, runtime)


def spread(values: NDArray[Any]) -> NDArray[np.float64]:
    """At most `VALUES` values of an array, the first and the last among them."""
    flat = values.ravel().astype(np.float64)
    return flat[np.linspace(0, flat.size - 1, min(VALUES, flat.size)).round().astype(int)]


def summary(outputs: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """Of each output its shape, values and norm; of logits the best class as well."""
    return {
        name: {
            "shape": list(values.shape),
            "values": spread(values).tolist(),
            "norm": float(np.linalg.norm(values.astype(np.float64))),
        }
        | ({"label": int(values.argmax())} if name == "logits" else {})
        for name, values in outputs.items()
    }


def answers(claim: Claim) -> dict[str, dict[str, Any]]:
    """What a file answers in a runtime, in short."""
    return summary(opened(claim.folder, claim.file, claim.runtime).run(inputs(claim.folder, claim.spec)))


def marked(claim: Claim) -> Any:
    """A claim by its name; a server's are marked, being larger than the device's."""
    return pytest.param(claim, id=claim.name, marks=pytest.mark.server if claim.spec.role == "server" else ())


@pytest.mark.parametrize("claim", [marked(claim) for claim in claims()])
def test_a_file_answers_as_recorded(claim: Claim) -> None:
    """Shapes and label are the same; values and norms are within what the file's precision allows."""
    if claim.runtime not in installed_runtimes():
        pytest.skip(f"this machine has no {claim.runtime}")
    recorded, precision = json.loads(RECORDED.read_text())[claim.name], claim.file.precision
    found = answers(claim)
    assert found.keys() == recorded.keys()
    for name, right in recorded.items():
        assert found[name]["shape"] == right["shape"]
        assert found[name].get("label") == right.get("label")
        away = np.linalg.norm(np.subtract(found[name]["values"], right["values"])) / np.linalg.norm(right["values"])
        assert away <= TOLERANCE[precision], name
        assert abs(found[name]["norm"] / right["norm"] - 1) <= NORM_TOLERANCE[precision], name


def test_everything_recorded_is_in_the_zoo() -> None:
    """No record outlives its file."""
    assert json.loads(RECORDED.read_text()).keys() == {claim.name for claim in claims()}


def record() -> None:
    """Write what every file answers here."""
    lines = (f"{json.dumps(claim.name)}: {json.dumps(rounded(answers(claim)))}" for claim in claims())
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def rounded(value: Any) -> Any:
    """Floats with seven digits, in whatever holds them."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


if __name__ == "__main__":
    record()
