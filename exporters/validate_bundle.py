"""Check a finished bundle: against PyTorch where its spec is at hand, else against its most precise files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from edge_runtime.errors import BundleError
from edge_runtime.models import Execution, installed_runtimes, open_model
from edge_runtime.models.bundle import Bundle, ModelSpec, Precision
from exporters.bundle_folder import SIDES
from exporters.bundle_spec import read_spec
from exporters.validate import TOLERANCE, Check, check_runtime
from exporters.validate_samples import Sample, photos_for, samples_of, with_states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def validate_bundle(folder: Path, spec: Path | None, photos: Path | None, count: int) -> tuple[list[Check], list[str]]:
    """Check every file of the bundle in every runtime it claims; also returns claimed runtimes that are not installed.

    Without ``spec`` a model's reference is its own most precise file, which needs no PyTorch and finds runtimes that
    disagree, though not an export that was wrong from the start.
    """
    bundle = Bundle.load(folder)
    pixels = photos_for(bundle.frame, photos, count)
    installed = installed_runtimes()
    checks: list[Check] = []
    claimed: set[str] = set()
    models = [model for model in bundle.manifest.models if model.role in SIDES[bundle.manifest.half]]
    for model in tqdm(models, desc="validating", unit="model"):
        samples = samples_of(model.kind, pixels, model.mean, model.std, bundle.frame.patch)
        if model.kind in ("cnn-suffix", "latent-decoder"):
            samples = _sent(bundle, model, samples)
        if model.kind == "vit-update":
            samples = with_states(samples, _first_look(bundle, model))
        wanted = _pytorch(spec, model, pixels) if spec else _most_precise(bundle, model, samples)
        for file in model.files:
            claimed.update(file.runtimes)
            checks += [
                check_runtime(bundle.source(file), file, runtime, samples, wanted)
                for runtime in file.runtimes
                if runtime in installed
            ]
    return checks, sorted(claimed - set(installed))


def _pytorch(path: Path, model: ModelSpec, pixels: NDArray[np.uint8]) -> list[Sample]:
    from exporters.bundle_models import prepare_model

    spec = read_spec(path)
    for entry in spec.models:
        if entry.name == model.name:
            return prepare_model(entry, spec.frame, len(spec.classes), path.parent, pixels).wanted
    raise BundleError(f"{path}: has no model {model.name!r}; give the spec that the bundle was made from")


def _sent(bundle: Bundle, model: ModelSpec, images: list[Sample]) -> list[Sample]:
    """What the device makes of photos for ``model``, or noise where only the server's half is here."""
    makers = [split.prefix for split in bundle.manifest.splits if split.suffix == model.name]
    makers += [latent.encoders[0] for latent in bundle.manifest.latents if latent.decoder == model.name]
    if makers and bundle.manifest.half == "both":
        return _most_precise(bundle, bundle.model("edge", makers[0]), images)
    tensor = model.files[0].inputs[0]
    rng = np.random.default_rng(0)
    return [{tensor.name: rng.normal(size=(1, *tensor.shape[1:])).astype(np.float32)} for _ in images]


def _first_look(bundle: Bundle, update: ModelSpec) -> Callable[[Sample], Sample]:
    rounds = bundle.manifest.rounds
    if rounds is None or rounds.update != update.name:
        raise BundleError(f"{bundle.folder}: {update.name} is nobody's update; name it in [rounds] of the spec")
    return open_model(bundle, bundle.model("server", rounds.classifier)).run


def _most_precise(bundle: Bundle, model: ModelSpec, samples: list[Sample]) -> list[Sample]:
    installed = installed_runtimes()
    usable = [file.precision for file in model.files if set(file.runtimes) & set(installed)]
    if not usable:
        raise BundleError(f"{bundle.folder}: no installed runtime takes {model.name}; install one that it claims")
    best: Precision = min(usable, key=lambda precision: TOLERANCE[precision])
    reference = open_model(bundle, model, Execution(precision=best))
    return [reference.run(sample) for sample in samples]
