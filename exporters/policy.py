"""The scheduler's policy as a file: written to ONNX, checked, and put into a bundle."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec
import numpy as np
import onnx
import tomli_w

from edge_runtime.errors import BundleError, ModelError
from edge_runtime.models.bundle import MANIFEST, Bundle, Manifest, StoredFile, toml_table
from edge_runtime.models.onnx import open_session
from edge_runtime.scheduling.features import FEATURES, LIMIT
from edge_runtime.scheduling.learned import metadata
from exporters.networks.readings import Reading
from exporters.onnx import export_onnx

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from edge_runtime.scheduling.plans import Plan

POLICY = "policy.onnx"
# Values are shares of a reward; a difference of a thousandth decides nothing.
TOLERANCE = 1e-4


class PolicyReading(Reading):
    """``features [B, F]`` to ``values [B, A]``."""

    method = "forward"
    axes: ClassVar = {"features": {0: "batch"}}
    outputs = ("values",)

    def forward(self, features: Tensor) -> Tensor:
        """Values of every action."""
        return cast("Tensor", self.network(features))


def write_policy(network: nn.Module, plans: Sequence[Plan], path: Path) -> None:
    """Write ``network``, which maps `FEATURES` to the values of ``plans``, as `LearnedPolicy` reads it.

    Raises ModelError when onnxruntime computes other values than PyTorch.
    """
    seen = np.random.default_rng(0).uniform(-LIMIT, LIMIT, (64, len(FEATURES))).astype(np.float32)
    # A reading freezes its network, which may be in training.
    reading = PolicyReading(copy.deepcopy(network))
    export_onnx(reading, {"features": seen[:1]}, path)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, metadata(plans))
    onnx.save(model, path)
    (found,) = open_session(path, path.name, threads=1).run(["values"], {"features": seen})
    wanted = reading.answer({"features": seen})["values"]
    if (worst := float(np.abs(found - wanted).max())) > TOLERANCE:
        raise ModelError(f"{path}: differs from PyTorch by {worst:.1e}; install the versions of the export extra")


def install_policy(policy: Path, folder: Path) -> Manifest:
    """Put a policy's file into the bundle in ``folder``, in the place of an older one; its hash stays as it is."""
    bundle = Bundle.load(folder)
    if bundle.manifest.half == "server":
        raise BundleError(f"{folder}: is the server's half, which schedules nothing; give the device's or both")
    data = policy.read_bytes()
    stored = StoredFile(POLICY, hashlib.sha256(data).hexdigest(), len(data))
    manifest = msgspec.structs.replace(bundle.manifest, policy=stored)
    # The manifest goes first and comes back last: a bundle that was cut short is none.
    (folder / MANIFEST).unlink()
    (folder / POLICY).write_bytes(data)
    (folder / MANIFEST).write_text(tomli_w.dumps(toml_table(manifest)))
    return manifest
