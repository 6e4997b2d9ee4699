"""Times encoders against the network they save the device from, a change of mode, and what changing models costs.

    python benchmarks/slimmable_encoders.py --bundle zoo/slimmable --split zoo/lite0 --data PHOTOS --out JSON

Rivals run interleaved in one pinned process, one thread each, in an order that turns round every round. A figure is the
ratio of the medians, with the 10 % and 90 % quantiles of the ratios of single rounds. Cost: each number of encoders,
each width of the slimmable network, and each cut, against the whole network of the same runtime and precision. Frames
that alternate between two modes run against as many that do not. Cold change: loading a model and running it once,
against a run of one that is there. Memory: what a new process grows by when it loads all that it changes between.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from kernels import Rival, fingerprint, race, run_single_threaded, show
from tqdm import tqdm

from edge_runtime import kernels
from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.errors import ModelError
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle, Execution, load_model, open_model
from edge_runtime.photos import open_frame
from edge_runtime.systems.edge import PrefixModel, WholeModel
from edge_runtime.systems.encoders import Encoders
from exporters.bundle_files import Exporter
from exporters.bundle_spec import FileEntry
from exporters.networks import efficientnet_lite as lite
from exporters.networks.readings import read_as

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.models import Model
    from edge_runtime.models.bundle import LatentSpec, ModelSpec, Precision, Runtime

WHOLE: tuple[tuple[Runtime, Precision], ...] = (
    ("onnxruntime", "fp16"),
    ("litert", "fp16"),
    ("onnxruntime", "int8"),
    ("litert", "int8"),
)
"""Runtimes and precisions of the race; fp16 is how weights are stored, both compute in float32."""
LEAST, MOST = (1, 2), (4, 16)
# Frames that are encoded in a row, half of them in either mode.
FRAMES = 8
COLD_RUNS = 15


def costs(bundle: Bundle, split: Bundle, frame: Frame, rounds: int) -> list[dict[str, Any]]:
    """Every family beside the whole network, in each runtime and precision that both have a file for."""
    found = []
    for (runtime, precision), spec in product(WHOLE, bundle.manifest.latents):
        encoders = Encoders(bundle, spec, Execution(runtime, precision))
        rivals = [Rival("whole network", _whole_run(split, runtime, precision, frame))]
        rivals += [
            Rival(f"{spec.name} {number}", partial(encoders.latent, frame, number))
            for number in range(1, len(encoders) + 1)
        ]
        times = race(rivals, rounds)
        found.append({"family": spec.name, "runtime": runtime, "precision": precision, "times": times})
    return found


def cut_costs(split: Bundle, frame: Frame, rounds: int) -> dict[str, Any]:
    """What a device computes up to each cut, beside the whole network, both as the bundle's best files have them."""
    whole = WholeModel(split, _whole(split).name)
    rivals = [Rival("whole network", lambda: whole.logits([frame]))]
    for cut in split.manifest.splits:
        prefix = PrefixModel(split, cut.prefix, Execution(whole.runtime, whole.precision))
        rivals.append(Rival(f"cut {cut.cut}", lambda prefix=prefix: prefix.features([frame])))
    return race(rivals, rounds)


def change(bundle: Bundle, spec: LatentSpec, frame: Frame, rounds: int) -> dict[str, Any]:
    """As many frames in either mode, once one mode after the other, once in turns; coding is part of a frame."""
    encoders, codec = Encoders(bundle, spec), LatentCodec.load(bundle.read(spec.tables))

    def send(modes: list[tuple[int, int]]) -> None:
        for number, levels in modes:
            codec.encode(encoders.latent(frame, number), number, levels)

    steady = [LEAST] * (FRAMES // 2) + [MOST] * (FRAMES // 2)
    rivals = [Rival("in a row", partial(send, steady)), Rival("in turns", partial(send, [LEAST, MOST] * (FRAMES // 2)))]
    return race(rivals, rounds)


def coding(bundle: Bundle, spec: LatentSpec, frame: Frame, rounds: int) -> dict[str, Any]:
    """What quantising and coding add to all encoders, and what the server's decoding takes, in the largest mode."""
    encoders, codec = Encoders(bundle, spec), LatentCodec.load(bundle.read(spec.tables))
    number, levels = MOST
    latent = encoders.latent(frame, number)
    data = codec.encode(latent, number, levels)
    rivals = [
        Rival("encoders", partial(encoders.latent, frame, number)),
        Rival("encode", partial(codec.encode, latent, number, levels)),
        Rival("decode", partial(codec.decode, data)),
    ]
    return race(rivals, rounds)


def cold_changes(bundle: Bundle, split: Bundle, frame: Frame) -> dict[str, dict[str, float]]:
    """Milliseconds of loading a model and its first run, and of a run after some: medians."""
    found = {}
    for spec in bundle.manifest.latents:
        for number in range(1, len(spec.encoders) + 1):
            if not spec.sums:
                load = partial(_one_encoder, bundle, spec, number)
                found[f"{spec.name} {number}"] = _cold(load, lambda model: model.run({"image": _image(bundle)}))
    for cut in split.manifest.splits:
        load = partial(PrefixModel, split, cut.prefix)
        found[f"cut {cut.cut}"] = _cold(load, lambda model: model.features([frame]))
    return found


def memory(bundle: Path, split: Path) -> dict[str, float]:
    """Mebibytes that a process grows by: all modes of each family, and all of the cuts' prefixes."""
    names = [spec.name for spec in Bundle.load(bundle).manifest.latents]
    found = {name: _grown(bundle, name) for name in names}
    return {**found, "all cuts": _grown(split, "")}


def load_everything(bundle: Bundle, family: str) -> float:
    """In a process of its own: load what a family, or without one all cuts, change between, run it; MiB more."""
    import onnxruntime  # noqa: F401 - the runtime itself is there whatever is loaded

    frame = Frame(0, np.zeros((bundle.frame.size, bundle.frame.size, 3), np.uint8))
    before = _resident()
    if family:
        spec = bundle.latent(family)
        kept: list[Any] = [Encoders(bundle, spec), LatentCodec.load(bundle.read(spec.tables))]
        for number, levels in product(range(1, len(kept[0]) + 1), kept[1].levels):
            kept[1].encode(kept[0].latent(frame, number), number, levels)
    else:
        kept = [PrefixModel(bundle, cut.prefix) for cut in bundle.manifest.splits]
        for model in kept:
            model.features([frame])
    return (_resident() - before) / 2**20


def _whole_run(split: Bundle, runtime: Runtime, precision: Precision, frame: Frame) -> Callable[[], Any]:
    """A run of the whole network, normalising included."""
    try:
        whole = WholeModel(split, _whole(split).name, Execution(runtime, precision))
    except ModelError:
        if runtime != "litert":  # for which alone the repository does not carry the network in floating point
            raise
        model = _exported(split, precision)
        image, mean, std = _image(split), *(np.array(one, np.float32) for one in (lite.MEAN, lite.STD))

        def run() -> Any:
            kernels.normalise(frame.pixels, mean, std, out=image[0])
            return model.run({"image": image})

        return run
    return lambda: whole.logits([frame])


def _exported(split: Bundle, precision: Precision) -> Model:
    """EfficientNet-Lite0 with as many classes, written for LiteRT."""
    reading = read_as("cnn-whole", lite.efficientnet_lite(0, range(len(split.classes))))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "whole"
        written = Exporter(reading, {"image": _image(split)}, Path(folder)).write(FileEntry("tflite", precision), path)
        return load_model(path.read_bytes(), written, "litert")


def _whole(bundle: Bundle) -> ModelSpec:
    return next(model for model in bundle.models("edge") if model.kind == "cnn-whole")


def _one_encoder(bundle: Bundle, spec: LatentSpec, number: int) -> Any:
    return open_model(bundle, bundle.model("edge", spec.encoders[number - 1]))


def _image(bundle: Bundle) -> np.ndarray:
    return np.zeros((1, 3, bundle.frame.size, bundle.frame.size), np.float32)


def _cold(load: Callable[[], Any], run: Callable[[Any], Any]) -> dict[str, float]:
    cold_s, warm_s = [], []
    for _ in range(COLD_RUNS):
        start = time.perf_counter()
        model = load()
        run(model)
        cold_s.append(time.perf_counter() - start)
        for _ in range(3):
            start = time.perf_counter()
            run(model)
        warm_s.append(time.perf_counter() - start)
    return {"cold_ms": 1e3 * float(np.median(cold_s)), "warm_ms": 1e3 * float(np.median(warm_s))}


def _grown(bundle: Path, family: str) -> float:
    command = [sys.executable, __file__, "--bundle", str(bundle), "--memory-of", family]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - ourselves


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Race, print and write."""
    run_single_threaded()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="with families of encoders")
    parser.add_argument("--split", type=Path, help="bundle of cuts, the rivals that change by loading")
    parser.add_argument("--data", type=Path, help="labelled photos, of which one is encoded")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--memory-of", metavar="FAMILY", help="only say by how many MiB this process grows")
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    if options.memory_of is not None:
        print(load_everything(bundle, options.memory_of))
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    (photo,) = labelled_photos(options.data, bundle.manifest, limit=1)
    frame, family = Frame(0, open_frame(photo.data, bundle.frame)), bundle.latent()
    with tqdm(total=6, unit="part") as progress:
        found: dict[str, Any] = {}
        for name, part in {
            "costs": lambda: costs(bundle, Bundle.load(options.split), frame, options.rounds),
            "cut_costs": lambda: cut_costs(Bundle.load(options.split), frame, options.rounds),
            "coding": lambda: coding(bundle, family, frame, options.rounds),
            "change": lambda: change(bundle, family, frame, options.rounds),
            "cold_changes": lambda: cold_changes(bundle, Bundle.load(options.split), frame),
            "memory_mib": lambda: memory(options.bundle, options.split),
        }.items():
            progress.set_description(name)
            found[name] = part()
            progress.update()
    for row in found["costs"]:
        show(f"{row['family']}, {row['runtime']}, {row['precision']}", row["times"])
    show("up to each cut", found["cut_costs"])
    show("coding, largest mode", found["coding"])
    show("change of mode", found["change"])
    for name, taken in found["cold_changes"].items():
        print(f"{name}: {taken['cold_ms']:.1f} ms to load and run, {taken['warm_ms']:.2f} ms to run")
    print(", ".join(f"{name} {size:.1f} MiB" for name, size in found["memory_mib"].items()))
    options.out.write_text(json.dumps({**found, "fingerprint": fingerprint()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
